/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vCPUs of an x86_64 guest: the state of the first instruction, and port I/O. */
#include <asm/kvm.h>
#include <stdio.h>

#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/arch/x86_64/platform.h"
#include "vmm/machine_priv.h"

/* ---- CPUID ---- */

unsigned arch_vcpu_id(const struct machine *m, unsigned index)
{
    return cpu_apic_id(&m->platform->topology, index);
}

int arch_cpu_check(const struct machine *m, struct error *err)
{
    const struct config_cpu *cpu = &m->config->cpu;
    struct cpu_topology topology = cpu_topology(m->config);
    struct x86_feature_set off;
    cleanup_free struct cpuid *cpuid = NULL;

    if (cpu->feature_count == 0)
        return 0;
    if (cpuid_features_off(cpu, &topology, &off, err) < 0)
        return -1;
    cpuid = cpuid_supported(&m->kvm, err);
    if (!cpuid)
        return -1;
    cpuid_adjust(cpuid, &topology, 0);
    cpuid_take_away(cpuid, &off);
    return cpuid_check_wanted(cpu, cpuid, &off, err);
}

static int set_cpuid(struct vcpu *vcpu, struct error *err)
{
    const struct arch_platform *p = vcpu->machine->platform;
    struct cpuid cpuid = *p->cpuid;
    int r;

    cpuid_adjust(&cpuid, &p->topology, cpu_apic_id(&p->topology, vcpu->index));
    cpuid_take_away(&cpuid, &p->features_off);
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

/* The guest's kvmclock goes on while it stands still; told that it did, its watchdogs stay quiet. A
 * guest that has no kvmclock (yet) is the failure that there is. */
void arch_vcpu_stopped(struct vcpu *vcpu)
{
    (void)vcpu_ioctl(vcpu, KVM_KVMCLOCK_CTRL, NULL);
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
