/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The generation id: a page of memory beside RAM that the device tree points to. It is no device:
 * Linux may read it by instructions that KVM does not take apart.
 */
#include <errno.h>
#include <sys/mman.h>

#include "vmm/arch/aarch64/layout.h"
#include "vmm/arch/aarch64/platform.h"

int genid_new(struct arch_platform *p, struct error *err)
{
    void *page =
        mmap(NULL, ARM64_GENID_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return error_set_errno(err, errno, "map memory for the generation id");
    p->genid = page;
    return 0;
}

void genid_free(struct arch_platform *p)
{
    if (p->genid)
        munmap(p->genid, ARM64_GENID_SIZE);
    p->genid = NULL;
}

int genid_map(const struct machine *m, struct error *err)
{
    struct kvm_userspace_memory_region slot = {
        .slot = MEMORY_MAX_REGIONS, /* behind those of RAM */
        .guest_phys_addr = ARM64_GENID,
        .memory_size = ARM64_GENID_SIZE,
        .userspace_addr = (uintptr_t)m->platform->genid,
    };
    int r;

    if (!m->platform->genid)
        return 0;
    config_genid_bytes(m->config, m->platform->genid);
    r = kvm_vm_ioctl(&m->kvm, KVM_SET_USER_MEMORY_REGION, &slot);
    return r < 0 ? error_set_errno(err, -r, "give the guest its generation id") : 0;
}
