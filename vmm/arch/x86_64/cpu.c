/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPUs of an x86_64 guest: what CPUID tells, the registers of the first instruction, and port
 * I/O.
 *
 * CPUID starts from what KVM supports on this host and is changed in three ways: the topology is
 * made ours (one socket, one thread a core), bits of features that KVM emulates whatever the host
 * has are set, and nested virtualisation, a large attack surface that nobody asked for, is taken
 * out.
 */
#include <asm/kvm.h>
#include <errno.h>
#include <stdio.h>

#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/machine_priv.h"

/* ---- CPUID ---- */

#define MAX_CPUID_ENTRIES 256

struct cpuid {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entries[MAX_CPUID_ENTRIES];
};

#define LEAF1_ECX_VMX          (1u << 5)
#define LEAF1_ECX_X2APIC       (1u << 21)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR   (1u << 31)
#define LEAF1_EDX_HTT          (1u << 28)
#define AMD1_ECX_CMP_LEGACY    (1u << 1)
#define AMD1_ECX_SVM           (1u << 2)

#define LEAF_TOPOLOGY    0xbu
#define LEAF_TOPOLOGY_V2 0x1fu
#define LEVEL_SMT        1u
#define LEVEL_CORE       2u

/* Bits that it takes to number `count` things. */
static unsigned bits_for(unsigned count)
{
    return count <= 1 ? 0 : 32 - (unsigned)__builtin_clz(count - 1);
}

/* Leaf 0xb (and 0x1f): subleaf 0 is the thread level, 1 the core level, 2 ends the list. */
static void set_topology_level(struct kvm_cpuid_entry2 *e, unsigned cpus, unsigned apic_id)
{
    e->eax = 0;
    e->ebx = 0;
    e->ecx = e->index;
    e->edx = apic_id;
    if (e->index == 0) {
        e->ebx = 1;
        e->ecx |= LEVEL_SMT << 8;
    } else if (e->index == 1) {
        e->eax = bits_for(cpus);
        e->ebx = cpus;
        e->ecx |= LEVEL_CORE << 8;
    }
}

static void adjust_entry(struct kvm_cpuid_entry2 *e, unsigned cpus, unsigned apic_id)
{
    switch (e->function) {
    case 1:
        e->ebx = (e->ebx & 0xffff) | MIN(1u << bits_for(cpus), 255u) << 16 | apic_id << 24;
        e->ecx &= ~LEAF1_ECX_VMX;
        e->ecx |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_X2APIC | LEAF1_ECX_TSC_DEADLINE;
        e->edx = cpus > 1 ? e->edx | LEAF1_EDX_HTT : e->edx & ~LEAF1_EDX_HTT;
        break;
    case 4: /* Intel caches: first and second level of each core, the rest of all */
        e->eax &= 0x3fff;
        if ((e->eax & 0x1f) != 0) {
            unsigned level = (e->eax >> 5) & 7;
            unsigned sharing = level >= 3 ? (1u << bits_for(cpus)) - 1 : 0;

            e->eax |= ((1u << bits_for(cpus)) - 1) << 26 | sharing << 14;
        }
        break;
    case 0x80000001:
        e->ecx &= ~AMD1_ECX_SVM;
        e->ecx = cpus > 1 ? e->ecx | AMD1_ECX_CMP_LEGACY : e->ecx & ~AMD1_ECX_CMP_LEGACY;
        break;
    case 0x80000008:
        e->ecx = (e->ecx & ~0xf0ffu) | bits_for(cpus) << 12 | (cpus - 1);
        break;
    case 0x8000001d: /* AMD caches */
        e->eax &= ~(0xfffu << 14);
        if (((e->eax >> 5) & 7) >= 3)
            e->eax |= (cpus - 1) << 14;
        break;
    case 0x8000001e: /* AMD: APIC id, core id, node id */
        e->eax = apic_id;
        e->ebx = (e->ebx & ~0xffffu) | apic_id;
        e->ecx = 0;
        break;
    default:
        break;
    }
}

static void drop_leaf(struct cpuid *cpuid, uint32_t leaf)
{
    for (uint32_t i = 0; i < cpuid->head.nent;) {
        if (cpuid->entries[i].function == leaf)
            cpuid->entries[i] = cpuid->entries[--cpuid->head.nent];
        else
            i++;
    }
}

static void add_topology_leaf(struct cpuid *cpuid, uint32_t leaf, unsigned cpus, unsigned apic_id)
{
    for (uint32_t index = 0; index < 3 && cpuid->head.nent < MAX_CPUID_ENTRIES; index++) {
        struct kvm_cpuid_entry2 *e = &cpuid->entries[cpuid->head.nent++];

        *e = (struct kvm_cpuid_entry2){
            .function = leaf,
            .index = index,
            .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
        };
        set_topology_level(e, cpus, apic_id);
    }
}

/*
 * What KVM tells of the extended topology is the host's, or one empty subleaf, or nothing: it
 * leaves that to us. Leaf 0x1f is there only where the processor has leaves that high, and a guest
 * believes it more than 0xb, so both have to say the same.
 */
static void replace_topology(struct cpuid *cpuid, unsigned cpus, unsigned apic_id)
{
    uint32_t highest = 0;

    drop_leaf(cpuid, LEAF_TOPOLOGY);
    drop_leaf(cpuid, LEAF_TOPOLOGY_V2);
    for (uint32_t i = 0; i < cpuid->head.nent; i++) {
        struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

        if (e->function == 0) {
            e->eax = MAX(e->eax, (uint32_t)LEAF_TOPOLOGY);
            highest = e->eax;
        }
    }
    add_topology_leaf(cpuid, LEAF_TOPOLOGY, cpus, apic_id);
    if (highest >= LEAF_TOPOLOGY_V2)
        add_topology_leaf(cpuid, LEAF_TOPOLOGY_V2, cpus, apic_id);
}

static int set_cpuid(struct vcpu *vcpu, struct error *err)
{
    const struct kvm *kvm = &vcpu->machine->kvm;
    unsigned cpus = vcpu->machine->config->cpus;
    struct cpuid cpuid = {.head.nent = MAX_CPUID_ENTRIES};
    int r = kvm_ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);

    if (r < 0)
        return error_set_errno(err, -r, "ask KVM for its CPU features");
    for (uint32_t i = 0; i < cpuid.head.nent; i++)
        adjust_entry(&cpuid.entries[i], cpus, vcpu->index);
    replace_topology(&cpuid, cpus, vcpu->index);

    r = vcpu_ioctl(vcpu, KVM_SET_CPUID2, &cpuid);
    return r < 0 ? error_set_errno(err, -r, "set the CPU features of vCPU %u", vcpu->index) : 0;
}

/* ---- MSRs ---- */

#define MSR_IA32_MISC_ENABLE             0x1a0
#define MSR_IA32_MISC_ENABLE_FAST_STRING (1u << 0)
#define MSR_MTRR_DEF_TYPE                0x2ff
#define MTRR_ENABLE                      (1u << 11)
#define MTRR_TYPE_WRITE_BACK             6u

/* What firmware would have done: memory is write-back, string instructions are fast. */
static int set_msrs(struct vcpu *vcpu, struct error *err)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entries[2];
    } msrs = {
        .head.nmsrs = 2,
        .entries =
            {
                {.index = MSR_IA32_MISC_ENABLE, .data = MSR_IA32_MISC_ENABLE_FAST_STRING},
                {.index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE | MTRR_TYPE_WRITE_BACK},
            },
    };
    int r = vcpu_ioctl(vcpu, KVM_SET_MSRS, &msrs);

    if (r < 0)
        return error_set_errno(err, -r, "set the MSRs of vCPU %u", vcpu->index);
    if (r < (int)msrs.head.nmsrs)
        return error_set(err, "KVM refuses MSR 0x%x", msrs.entries[r].index);
    return 0;
}

/* ---- registers ---- */

#define CR0_PE   (1u << 0)
#define CR0_ET   (1u << 4)
#define CR0_PG   (1u << 31)
#define CR4_PAE  (1u << 5)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)

#define GDT_ENTRIES 4
#define SELECTOR_CS 0x10
#define SELECTOR_DS 0x18
#define CODE_TYPE   0xb /* execute, read, accessed */
#define DATA_TYPE   0x3 /* read, write, accessed */

/* A flat 4 GiB segment. */
static struct kvm_segment flat_segment(uint16_t selector, uint8_t type, bool is_long)
{
    return (struct kvm_segment){
        .base = 0,
        .limit = 0xffffffff,
        .selector = selector,
        .type = type,
        .present = 1,
        .s = 1,
        .g = 1,
        .l = is_long,
        .db = !is_long,
    };
}

/* The same as a descriptor in memory, for a guest that reloads a segment register. */
static uint64_t descriptor(const struct kvm_segment *s)
{
    return UINT64_C(0x000f00000000ffff) | (uint64_t)s->type << 40 | (uint64_t)s->s << 44 |
           (uint64_t)s->present << 47 | (uint64_t)s->l << 53 | (uint64_t)s->db << 54 |
           (uint64_t)s->g << 55;
}

static int set_protected_segments(const struct vcpu *vcpu, struct kvm_sregs *sregs, bool is_long,
                                  struct error *err)
{
    struct kvm_segment cs = flat_segment(SELECTOR_CS, CODE_TYPE, is_long);
    struct kvm_segment ds = flat_segment(SELECTOR_DS, DATA_TYPE, false);
    uint64_t gdt[GDT_ENTRIES] = {0};

    gdt[SELECTOR_CS / 8] = descriptor(&cs);
    gdt[SELECTOR_DS / 8] = descriptor(&ds);
    if (memory_write(&vcpu->machine->memory, X86_GDT, gdt, sizeof(gdt)) < 0)
        return error_set(err, "too little memory for the boot data");

    sregs->cs = cs;
    sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = ds;
    sregs->gdt.base = X86_GDT;
    sregs->gdt.limit = sizeof(gdt) - 1;
    sregs->cr0 = CR0_PE | CR0_ET;
    return 0;
}

#define PTE_PRESENT_RW UINT64_C(0x3)
#define PDE_LARGE      UINT64_C(0x80)
#define LARGE_PAGE     (2 * MiB)

/* One to one for the first 4 GiB, in pages of 2 MiB: one PML4, one PDPT, four directories. */
static int write_page_tables(const struct memory *mem, struct error *err)
{
    uint64_t *pml4 = memory_ptr(mem, X86_PAGE_TABLES, 6 * GUEST_PAGE_SIZE);
    uint64_t *pdpt;
    uint64_t *directory;

    if (!pml4)
        return error_set(err, "too little memory for the boot data");
    pdpt = pml4 + 512;
    directory = pdpt + 512;
    pml4[0] = (X86_PAGE_TABLES + GUEST_PAGE_SIZE) | PTE_PRESENT_RW;
    for (uint64_t i = 0; i < 4; i++)
        pdpt[i] = (X86_PAGE_TABLES + (2 + i) * GUEST_PAGE_SIZE) | PTE_PRESENT_RW;
    for (uint64_t i = 0; i < UINT64_C(4) * 512; i++)
        directory[i] = i * LARGE_PAGE | PDE_LARGE | PTE_PRESENT_RW;
    return 0;
}

static int set_start_state(struct vcpu *vcpu, const struct arch_entry *entry, struct error *err)
{
    struct kvm_regs regs = {.rip = entry->address, .rflags = 2};
    struct kvm_sregs sregs;
    int r = vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs);

    if (r < 0)
        return error_set_errno(err, -r, "read the registers of vCPU %u", vcpu->index);

    switch ((enum x86_mode)entry->mode) {
    case X86_MODE_LONG:
        if (set_protected_segments(vcpu, &sregs, true, err) < 0 ||
            write_page_tables(&vcpu->machine->memory, err) < 0)
            return -1;
        sregs.cr3 = X86_PAGE_TABLES;
        sregs.cr4 |= CR4_PAE;
        sregs.cr0 |= CR0_PG;
        sregs.efer |= EFER_LME | EFER_LMA;
        regs.rsi = entry->argument;
        break;
    case X86_MODE_PVH:
        if (set_protected_segments(vcpu, &sregs, false, err) < 0)
            return -1;
        regs.rbx = entry->argument;
        break;
    case X86_MODE_REAL:
        sregs.cs.base = 0;
        sregs.cs.selector = 0;
        regs.rsp = entry->address;
        break;
    }

    r = vcpu_ioctl(vcpu, KVM_SET_SREGS, &sregs);
    if (r == 0)
        r = vcpu_ioctl(vcpu, KVM_SET_REGS, &regs);
    return r < 0 ? error_set_errno(err, -r, "set the registers of vCPU %u", vcpu->index) : 0;
}

int arch_vcpu_setup(struct vcpu *vcpu, const struct arch_entry *entry, struct error *err)
{
    if (set_cpuid(vcpu, err) < 0)
        return -1;
    /* The others wait for the first one's INIT and SIPI, which set their registers. (A flat guest
     * has one vCPU: config_validate() sees to it.) */
    if (vcpu->index == 0 && set_start_state(vcpu, entry, err) < 0)
        return -1;
    return entry->mode == X86_MODE_REAL ? 0 : set_msrs(vcpu, err);
}

/* ---- exits ---- */

/* A string instruction (rep insb) leaves once for several elements. */
static void handle_io(struct vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    unsigned len = run->io.size;

    for (uint32_t i = 0; i < run->io.count; i++, data += len) {
        uint64_t value = 0;

        if (run->io.direction == KVM_EXIT_IO_OUT) {
            memcpy(&value, data, len);
            bus_write(&vcpu->machine->pio, run->io.port, value, len);
        } else {
            value = bus_read(&vcpu->machine->pio, run->io.port, len);
            memcpy(data, &value, len);
        }
    }
}

enum vcpu_next arch_vcpu_exit(struct vcpu *vcpu)
{
    if (vcpu->run->exit_reason != KVM_EXIT_IO)
        return VCPU_UNKNOWN_EXIT;
    handle_io(vcpu);
    return VCPU_CONTINUE;
}

void arch_vcpu_describe(const struct vcpu *vcpu, char *buf, size_t size)
{
    struct kvm_regs regs;
    struct kvm_sregs sregs;

    if (vcpu_ioctl(vcpu, KVM_GET_REGS, &regs) < 0 || vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0) {
        snprintf(buf, size, "unknown registers");
        return;
    }
    snprintf(buf, size,
             "rip=0x%llx cs=0x%x rsp=0x%llx rflags=0x%llx cr0=0x%llx cr3=0x%llx cr4=0x%llx",
             (unsigned long long)regs.rip, sregs.cs.selector, (unsigned long long)regs.rsp,
             (unsigned long long)regs.rflags, (unsigned long long)sregs.cr0,
             (unsigned long long)sregs.cr3, (unsigned long long)sregs.cr4);
}
