/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a VM lives in KVM: its interrupt controllers; and how far its processors address. */
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/arch/x86_64/platform.h"
#include "vmm/machine_priv.h"

/*
 * KVM brings two 8259s along with the I/O APIC, and by default sends the first 16 lines to both.
 * Our ACPI tables say that there are none, so they must never raise anything: each line goes to the
 * I/O APIC alone.
 */
static int route_to_ioapic(struct machine *m, struct error *err)
{
    struct {
        struct kvm_irq_routing head;
        struct kvm_irq_routing_entry entries[X86_GSIS];
    } routing = {.head.nr = X86_GSIS};
    int r;

    for (uint32_t i = 0; i < X86_GSIS; i++)
        routing.entries[i] = (struct kvm_irq_routing_entry){
            .gsi = i,
            .type = KVM_IRQ_ROUTING_IRQCHIP,
            .u.irqchip = {.irqchip = KVM_IRQCHIP_IOAPIC, .pin = i},
        };
    r = kvm_vm_ioctl(&m->kvm, KVM_SET_GSI_ROUTING, &routing);
    return r < 0 ? error_set_errno(err, -r, "route the interrupts") : 0;
}

/* There is one kind. How far it addresses is known by CPUID (see below). */
int arch_vm_type(const struct kvm *kvm, uint64_t end, unsigned long *type, struct error *err)
{
    (void)kvm;
    (void)end;
    (void)err;
    *type = 0;
    return 0;
}

/* Guest RAM ends where this host's processors can still address it. */
static int check_address_bits(const struct machine *m, struct error *err)
{
    const struct memory_region *top = &m->memory.regions[m->memory.count - 1];
    unsigned bits = cpuid_address_bits(m->platform->cpuid);

    if (bits < 64 && (top->gpa + top->size - 1) >> bits != 0)
        return error_set(err,
                         "%llu MiB of guest memory: this host's processors address %u bits only",
                         (unsigned long long)(m->memory.size / MiB), bits);
    return 0;
}

/* What the host's processors and its KVM can do does not change, so it is asked for once. */
static int learn_cpuid(const struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;

    if (!p->cpuid)
        p->cpuid = cpuid_supported(&m->kvm, err);
    return p->cpuid ? check_address_bits(m, err) : -1;
}

/*
 * The interrupt controllers live in KVM: one local APIC a vCPU, one I/O APIC. No timer chip is
 * made: guests that boot here have the TSC deadline timer and kvmclock.
 *
 * A flat guest gets no interrupt controller, so that its HLT comes out to us and ends it.
 */
int arch_vm_setup(struct machine *m, struct error *err)
{
    uint64_t identity_map = X86_IDENTITY_MAP;
    int r;

    if (learn_cpuid(m, err) < 0)
        return -1;
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
    return route_to_ioapic(m, err);
}
