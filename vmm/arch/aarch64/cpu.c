/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPUs of an arm64 guest: what they can do, and the state of the first instruction. The others
 * than the first are off until the guest asks PSCI, that is KVM, for them.
 */
#include <asm/kvm.h>
#include <stdio.h>

#include "vmm/arch/aarch64/layout.h"
#include "vmm/arch/aarch64/platform.h"
#include "vmm/arch/arch.h"

unsigned arch_vcpu_id(const struct machine *m, unsigned index)
{
    (void)m;
    return index;
}

/* ---- registers ---- */

#define CORE_REG(name) \
    (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(name))

/* EL1 with its own stack pointer, all interrupts masked. */
#define PSTATE_START (PSR_D_BIT | PSR_A_BIT | PSR_I_BIT | PSR_F_BIT | PSR_MODE_EL1h)

static int set_reg(const struct vcpu *vcpu, uint64_t id, uint64_t value)
{
    struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};

    return vcpu_ioctl(vcpu, KVM_SET_ONE_REG, &reg);
}

static int get_reg(const struct vcpu *vcpu, uint64_t id, uint64_t *value)
{
    struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};

    return vcpu_ioctl(vcpu, KVM_GET_ONE_REG, &reg);
}

/* The first instruction of a CPU that was just started: its address, and what x0 has. */
static int set_start_state(const struct vcpu *vcpu, uint64_t address, uint64_t argument)
{
    const struct {
        uint64_t id;
        uint64_t value;
    } regs[] = {
        {CORE_REG(regs.pstate), PSTATE_START}, {CORE_REG(regs.pc), address},
        {CORE_REG(regs.regs[0]), argument},    {CORE_REG(regs.regs[1]), 0},
        {CORE_REG(regs.regs[2]), 0},           {CORE_REG(regs.regs[3]), 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
        int r = set_reg(vcpu, regs[i].id, regs[i].value);

        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- features ---- */

/* What can be asked for or taken away, by libvirt's names. All that KVM has is given otherwise. */
enum feature { FEATURE_PMU, FEATURE_SVE, FEATURE_PAUTH };

static const struct {
    const char *name;
    int capabilities[2]; /* of KVM, all of which it takes; 0: no more */
    unsigned bits[2];    /* of struct kvm_vcpu_init */
} features[] = {
    [FEATURE_PMU] = {"pmu", {KVM_CAP_ARM_PMU_V3}, {KVM_ARM_VCPU_PMU_V3}},
    [FEATURE_SVE] = {"sve", {KVM_CAP_ARM_SVE}, {KVM_ARM_VCPU_SVE}},
    [FEATURE_PAUTH] = {"pauth",
                       {KVM_CAP_ARM_PTRAUTH_ADDRESS, KVM_CAP_ARM_PTRAUTH_GENERIC},
                       {KVM_ARM_VCPU_PTRAUTH_ADDRESS, KVM_ARM_VCPU_PTRAUTH_GENERIC}},
};

/* -1 when there is none of that name. */
static int find_feature(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        if (strcmp(features[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

static bool host_has(const struct kvm *kvm, enum feature feature)
{
    for (unsigned i = 0; i < 2 && features[feature].capabilities[i]; i++) {
        if (kvm_check(kvm, features[feature].capabilities[i]) <= 0)
            return false;
    }
    return true;
}

static bool guest_has(const struct machine *m, enum feature feature)
{
    const struct config_cpu *cpu = &m->config->cpu;

    for (unsigned i = 0; i < cpu->feature_count; i++) {
        if (!cpu->features[i].wanted && strcmp(cpu->features[i].name, features[feature].name) == 0)
            return false;
    }
    return host_has(&m->kvm, feature);
}

int arch_cpu_check(const struct machine *m, struct error *err)
{
    const struct config_cpu *cpu = &m->config->cpu;

    for (unsigned i = 0; i < cpu->feature_count; i++) {
        int feature = find_feature(cpu->features[i].name);

        if (feature < 0)
            return error_set(err,
                             "cpu.features: \"%s\" is no feature of an arm64 CPU that can be "
                             "chosen: pmu, sve and pauth can",
                             cpu->features[i].name);
        if (cpu->features[i].wanted && !host_has(&m->kvm, (enum feature)feature))
            return error_set(err, "cpu.features: this host cannot give a guest: %s",
                             features[feature].name);
    }
    return 0;
}

bool arm64_has_pmu(const struct machine *m)
{
    return guest_has(m, FEATURE_PMU);
}

static void set_bit(struct kvm_vcpu_init *init, unsigned bit)
{
    init->features[bit / 32] |= 1u << bit % 32;
}

static void choose_features(const struct vcpu *vcpu, struct kvm_vcpu_init *init)
{
    set_bit(init, KVM_ARM_VCPU_PSCI_0_2);
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        for (unsigned j = 0; guest_has(vcpu->machine, (enum feature)i) && j < 2; j++) {
            if (features[i].capabilities[j])
                set_bit(init, features[i].bits[j]);
        }
    }
}

static int start_pmu(const struct vcpu *vcpu, struct error *err)
{
    int line = ARM64_FIRST_PPI + ARM64_PPI_PMU;
    struct kvm_device_attr attr = {
        .group = KVM_ARM_VCPU_PMU_V3_CTRL,
        .attr = KVM_ARM_VCPU_PMU_V3_IRQ,
        .addr = (uintptr_t)&line,
    };
    int r = vcpu_ioctl(vcpu, KVM_SET_DEVICE_ATTR, &attr);

    if (r == 0) {
        attr.attr = KVM_ARM_VCPU_PMU_V3_INIT;
        attr.addr = 0;
        r = vcpu_ioctl(vcpu, KVM_SET_DEVICE_ATTR, &attr);
    }
    return r < 0 ? error_set_errno(err, -r, "start the PMU of vCPU %u", vcpu->index) : 0;
}

/* All registers as after a reset. 0, or a negative errno. */
static int reset_vcpu(const struct vcpu *vcpu, bool off)
{
    struct kvm_vcpu_init init = {0};
    int r = kvm_vm_ioctl(&vcpu->machine->kvm, KVM_ARM_PREFERRED_TARGET, &init);

    if (r < 0)
        return r;
    choose_features(vcpu, &init);
    if (off)
        set_bit(&init, KVM_ARM_VCPU_POWER_OFF);
    return vcpu_ioctl(vcpu, KVM_ARM_VCPU_INIT, &init);
}

int arch_vcpu_setup(struct vcpu *vcpu, const struct arch_entry *entry, struct error *err)
{
    int sve = KVM_ARM_VCPU_SVE;
    int r = reset_vcpu(vcpu, vcpu->index > 0);

    if (r == 0 && guest_has(vcpu->machine, FEATURE_SVE))
        r = vcpu_ioctl(vcpu, KVM_ARM_VCPU_FINALIZE, &sve);
    if (r < 0)
        return error_set_errno(err, -r, "set the features of vCPU %u", vcpu->index);
    if (guest_has(vcpu->machine, FEATURE_PMU) && start_pmu(vcpu, err) < 0)
        return -1;
    r = vcpu->index == 0 ? set_start_state(vcpu, entry->address, entry->argument) : 0;
    return r < 0 ? error_set_errno(err, -r, "set the registers of vCPU %u", vcpu->index) : 0;
}

/* ---- exits ---- */

/* The guest accessed a device by an instruction that the processor does not take apart (of two
 * registers, with an update): it gets the fault that a bus would answer with. */
static enum vcpu_next refuse_access(const struct vcpu *vcpu)
{
    struct kvm_vcpu_events events = {.exception.ext_dabt_pending = 1};

    return vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events) < 0 ? VCPU_UNKNOWN_EXIT : VCPU_CONTINUE;
}

/* SYSTEM_SUSPEND: KVM lets the CPU sleep until an interrupt comes for it. */
static enum vcpu_next suspend(const struct vcpu *vcpu)
{
    struct kvm_mp_state state = {KVM_MP_STATE_SUSPENDED};

    return vcpu_ioctl(vcpu, KVM_SET_MP_STATE, &state) < 0 ? VCPU_UNKNOWN_EXIT : VCPU_CONTINUE;
}

/* It comes back as after a reset, at the place that it named in x1, with what was in x2 in x0. */
static enum vcpu_next wake_up(const struct vcpu *vcpu)
{
    uint64_t address;
    uint64_t argument;

    if (get_reg(vcpu, CORE_REG(regs.regs[1]), &address) < 0 ||
        get_reg(vcpu, CORE_REG(regs.regs[2]), &argument) < 0 || reset_vcpu(vcpu, false) < 0 ||
        set_start_state(vcpu, address, argument) < 0)
        return VCPU_UNKNOWN_EXIT;
    return VCPU_CONTINUE;
}

enum vcpu_next arch_vcpu_exit(struct vcpu *vcpu)
{
    const struct kvm_run *run = vcpu->run;

    if (run->exit_reason == KVM_EXIT_ARM_NISV)
        return refuse_access(vcpu);
    if (run->exit_reason == KVM_EXIT_SYSTEM_EVENT &&
        run->system_event.type == KVM_SYSTEM_EVENT_SUSPEND)
        return suspend(vcpu);
    if (run->exit_reason == KVM_EXIT_SYSTEM_EVENT &&
        run->system_event.type == KVM_SYSTEM_EVENT_WAKEUP)
        return wake_up(vcpu);
    return VCPU_UNKNOWN_EXIT;
}

void arch_vcpu_stopped(struct vcpu *vcpu)
{
    (void)vcpu;
}

void arch_vcpu_describe(const struct vcpu *vcpu, char *buf, size_t size)
{
    uint64_t pc;
    uint64_t sp;
    uint64_t lr;
    uint64_t pstate;

    if (get_reg(vcpu, CORE_REG(regs.pc), &pc) < 0 || get_reg(vcpu, CORE_REG(sp_el1), &sp) < 0 ||
        get_reg(vcpu, CORE_REG(regs.regs[30]), &lr) < 0 ||
        get_reg(vcpu, CORE_REG(regs.pstate), &pstate) < 0) {
        snprintf(buf, size, "unknown registers");
        return;
    }
    snprintf(buf, size, "pc=0x%llx lr=0x%llx sp=0x%llx pstate=0x%llx", (unsigned long long)pc,
             (unsigned long long)lr, (unsigned long long)sp, (unsigned long long)pstate);
}
