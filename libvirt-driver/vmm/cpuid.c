/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/cpuid.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "libvirt-driver/util.h"
#include "xml/cpu_features.h"

#if defined(__x86_64__)

#define ENTRIES_MAX 256

bool cpuid_check(const domain_def *def, GError **error)
{
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[ENTRIES_MAX];
    } kvm = {.head.nent = ENTRIES_MAX};
    struct cpuid_entry entries[ENTRIES_MAX];
    struct cpu_host host;
    auto_close int fd = -1;

    if (!def->cpu.features->len)
        return true;
    fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, KVM_GET_SUPPORTED_CPUID, &kvm) < 0) {
        libvirt_error_set_errno(error, errno, "cannot ask KVM for the features of the host's CPU");
        return false;
    }
    for (guint i = 0; i < kvm.head.nent; i++) {
        const struct kvm_cpuid_entry2 *from = &kvm.entries[i];

        entries[i] = (struct cpuid_entry){from->function, from->index, from->eax,
                                          from->ebx,      from->ecx,   from->edx};
    }
    cpu_host_init(&host, entries, kvm.head.nent);
    return domain_check_host_cpu(def, &host, error);
}

#else

/* Other architectures' definitions know no CPU features. */
bool cpuid_check(const domain_def *def, GError **error)
{
    if (!def->cpu.features->len)
        return true;
    libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "CPU features cannot be chosen here");
    return false;
}

#endif
