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
    g_autofree struct kvm_cpuid2 *kvm = NULL;
    g_autofree struct cpuid_entry *entries = NULL;
    auto_close int fd = -1;

    if (!def->cpu.features->len)
        return true;
    fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    kvm = g_malloc0(sizeof(*kvm) + ENTRIES_MAX * sizeof(kvm->entries[0]));
    kvm->nent = ENTRIES_MAX;
    if (fd < 0 || ioctl(fd, KVM_GET_SUPPORTED_CPUID, kvm) < 0) {
        libvirt_error_set_errno(error, errno, "cannot ask KVM for the features of the host's CPU");
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): clang 14 does not see g_autofree here */
        return false;
    }
    entries = g_new(struct cpuid_entry, kvm->nent);
    for (guint i = 0; i < kvm->nent; i++) {
        const struct kvm_cpuid_entry2 *from = &kvm->entries[i];

        entries[i] = (struct cpuid_entry){from->function, from->index, from->eax,
                                          from->ebx,      from->ecx,   from->edx};
    }
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as above */
    return domain_check_host_cpu(def, entries, kvm->nent, error);
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
