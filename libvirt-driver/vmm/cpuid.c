/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/cpuid.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "libvirt-driver/util.h"

#define ENTRIES_MAX 256

/* Asks the processor. What is beyond its last function is all zeros, and not the last one's. */
static struct cpuid_entry ask(uint32_t function, uint32_t index)
{
    struct cpuid_entry e = {.function = function, .index = index};

    /* The compilers do not agree about what sign its result has. */
    if (function <= (uint32_t)__get_cpuid_max(function & 0x80000000, NULL))
        __cpuid_count(function, index, e.eax, e.ebx, e.ecx, e.edx);
    return e;
}

void cpuid_of_host(struct cpu_host *host)
{
    struct cpuid_entry entries[2 + X86_FEATURE_WORDS];
    unsigned count = 0;

    entries[count++] = ask(0, 0);
    entries[count++] = ask(1, 0);
    for (unsigned i = 0; i < X86_FEATURE_WORDS; i++)
        entries[count++] = ask(x86_feature_word(i)->function, x86_feature_word(i)->index);
    cpu_host_init(host, entries, count);
}

bool cpuid_of_guests(struct cpu_host *guest, GError **error)
{
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[ENTRIES_MAX];
    } kvm = {.head.nent = ENTRIES_MAX};
    struct cpuid_entry entries[ENTRIES_MAX];
    auto_close int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd < 0 || ioctl(fd, KVM_GET_SUPPORTED_CPUID, &kvm) < 0) {
        libvirt_error_set_errno(error, errno, "cannot ask KVM for the features of the host's CPU");
        return false;
    }
    for (guint i = 0; i < kvm.head.nent; i++) {
        const struct kvm_cpuid_entry2 *from = &kvm.entries[i];

        entries[i] = (struct cpuid_entry){from->function, from->index, from->eax,
                                          from->ebx,      from->ecx,   from->edx};
    }
    cpu_host_init(guest, entries, kvm.head.nent);
    x86_feature_set_for_guest(&guest->features);
    return true;
}
