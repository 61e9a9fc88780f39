/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/machine_priv.h"

/*
 * The interrupt controllers live in KVM: one local APIC a vCPU, one I/O APIC. KVM brings the two
 * 8259s along as well; a guest that reads our ACPI tables (hardware-reduced) never touches them. No
 * timer chip is made: guests that boot here have the TSC deadline timer and kvmclock.
 *
 * A flat guest gets no interrupt controller, so that its HLT comes out to us and ends it.
 */
int arch_vm_setup(struct machine *m, struct error *err)
{
    uint64_t identity_map = X86_IDENTITY_MAP;
    int r;

    r = kvm_vm_ioctl(&m->kvm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
    if (r < 0)
        return error_set_errno(err, -r, "place KVM's identity map");
    r = kvm_vm_ioctl(&m->kvm, KVM_SET_TSS_ADDR, (void *)(uintptr_t)X86_KVM_TSS);
    if (r < 0)
        return error_set_errno(err, -r, "place KVM's task state segment");
    if (m->config->flat)
        return 0;

    r = kvm_vm_ioctl(&m->kvm, KVM_CREATE_IRQCHIP, NULL);
    if (r < 0)
        return error_set_errno(err, -r, "make the interrupt controllers");
    return 0;
}
