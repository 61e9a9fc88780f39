/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/arch/x86_64/cpuid_features.h"

#include <stdio.h>

#define LEAF_XSAVE        0xdu
#define LEAF_PT           0x14u
#define LEAF_TILE         0x1du
#define LEAF_TMUL         0x1eu
#define XSAVE_LEGACY_SIZE 576u /* x87, SSE and the header */
#define XSAVE_COMPONENTS  63u
/* The bits of leaf 1's EDX that AMD has in 0x80000001, too. */
#define AMD_COPIES 0x0183f3ffu

static struct kvm_cpuid_entry2 *find_entry(struct cpuid *cpuid, uint32_t function, uint32_t index)
{
    for (uint32_t i = 0; i < cpuid->head.nent; i++) {
        struct kvm_cpuid_entry2 *e = &cpuid->entries[i];
        bool indexed = e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX;

        if (e->function == function && (indexed ? e->index : 0) == index)
            return e;
    }
    return NULL;
}

static uint32_t *register_of(struct kvm_cpuid_entry2 *e, enum x86_register reg)
{
    uint32_t *const registers[] = {
        [X86_EAX] = &e->eax, [X86_EBX] = &e->ebx, [X86_ECX] = &e->ecx, [X86_EDX] = &e->edx};

    return registers[reg];
}

static bool has_feature(const struct cpuid *cpuid, unsigned feature)
{
    const struct x86_feature_word *word = x86_feature_word(feature / 32);

    for (uint32_t i = 0; i < cpuid->head.nent; i++) {
        struct kvm_cpuid_entry2 e = cpuid->entries[i];
        bool indexed = e.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX;

        if (e.function == word->function && (indexed ? e.index : 0) == word->index)
            return *register_of(&e, word->reg) >> feature % 32 & 1;
    }
    return false;
}

static bool is_off(const struct x86_feature_set *off, const char *name)
{
    unsigned feature;

    return x86_feature_find(name, &feature) && x86_feature_set_has(off, feature);
}

/* ---- what is taken away ---- */

static int unknown(const char *name, struct error *err)
{
    return error_set(err, "cpu.features: \"%s\" is no feature of an x86 CPU that is known", name);
}

/* Guests take from these bits whether to read what CPUID says about cores and threads. */
static int check_topology(const struct x86_feature_set *off, const struct cpu_topology *t,
                          struct error *err)
{
    const struct {
        const char *name;
        bool needed;
    } bits[] = {
        {"ht", t->cores * t->threads > 1},
        {"cmp_legacy", t->cores * t->threads > 1},
        {"topoext", t->threads > 1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
        if (bits[i].needed && is_off(off, bits[i].name))
            return error_set(err,
                             "cpu.features: %s follows from the topology, and cannot be taken away",
                             bits[i].name);
    }
    return 0;
}

int cpuid_features_off(const struct config_cpu *cpu, const struct cpu_topology *t,
                       struct x86_feature_set *off, struct error *err)
{
    *off = (struct x86_feature_set){{0}};
    for (unsigned i = 0; i < cpu->feature_count; i++) {
        unsigned feature;

        if (!x86_feature_find(cpu->features[i].name, &feature))
            return unknown(cpu->features[i].name, err);
        if (!cpu->features[i].wanted)
            x86_feature_set_add(off, feature);
    }
    x86_feature_set_add_dependents(off);
    return check_topology(off, t, err);
}

static void drop(struct cpuid *cpuid, uint32_t function, uint32_t index, bool whole)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < cpuid->head.nent; i++) {
        const struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

        if (e->function != function || (!whole && e->index != index))
            cpuid->entries[kept++] = *e;
    }
    cpuid->head.nent = kept;
}

/* Components of the XSAVE area (Intel SDM volume 1, 13.1), and what they are there for. */
static uint64_t components_off(const struct x86_feature_set *off)
{
    static const struct {
        const char *name;
        uint64_t components;
    } parts[] = {
        {"avx", UINT64_C(1) << 2},       {"mpx", UINT64_C(3) << 3},
        {"avx512f", UINT64_C(7) << 5},   {"intel-pt", UINT64_C(1) << 8},
        {"pku", UINT64_C(1) << 9},       {"uintr", UINT64_C(1) << 14},
        {"arch-lbr", UINT64_C(1) << 15}, {"amx-tile", UINT64_C(3) << 17},
    };
    uint64_t mask = 0;

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        mask |= is_off(off, parts[i].name) ? parts[i].components : 0;
    return mask;
}

/* What an area for all components that are left takes: each has its own place, whichever others
 * there are. */
static uint32_t area_size(struct cpuid *cpuid, uint64_t components)
{
    uint32_t size = XSAVE_LEGACY_SIZE;

    for (uint32_t i = 2; i < XSAVE_COMPONENTS; i++) {
        const struct kvm_cpuid_entry2 *e =
            components >> i & 1 ? find_entry(cpuid, LEAF_XSAVE, i) : NULL;

        if (e)
            size = MAX(size, e->ebx + e->eax);
    }
    return size;
}

/* Leaf 0xd: which components there are (subleaf 0: XCR0; 1: IA32_XSS), and where each of them is.
 * KVM itself keeps up to date what the enabled ones take. */
static void shrink_xsave(struct cpuid *cpuid, const struct x86_feature_set *off)
{
    uint64_t mask = components_off(off);
    struct kvm_cpuid_entry2 *user;
    struct kvm_cpuid_entry2 *system;

    if (is_off(off, "xsave"))
        drop(cpuid, LEAF_XSAVE, 0, true);
    if (!mask)
        return;
    for (uint32_t i = 2; i < XSAVE_COMPONENTS; i++) {
        if (mask >> i & 1)
            drop(cpuid, LEAF_XSAVE, i, false);
    }
    user = find_entry(cpuid, LEAF_XSAVE, 0);
    system = find_entry(cpuid, LEAF_XSAVE, 1);
    if (user) {
        user->eax &= ~(uint32_t)mask;
        user->edx &= ~(uint32_t)(mask >> 32);
        user->ecx = area_size(cpuid, user->eax | (uint64_t)user->edx << 32);
        user->ebx = MIN(user->ebx, user->ecx);
    }
    if (system) {
        system->ecx &= ~(uint32_t)mask;
        system->edx &= ~(uint32_t)(mask >> 32);
    }
}

void cpuid_take_away(struct cpuid *cpuid, const struct x86_feature_set *off)
{
    if (x86_feature_set_is_empty(off))
        return;
    for (unsigned i = 0; i < X86_FEATURE_WORDS; i++) {
        const struct x86_feature_word *word = x86_feature_word(i);
        struct kvm_cpuid_entry2 *e =
            off->words[i] ? find_entry(cpuid, word->function, word->index) : NULL;
        struct kvm_cpuid_entry2 *copy = e && word->function == 1 && word->reg == X86_EDX
                                            ? find_entry(cpuid, 0x80000001, 0)
                                            : NULL;

        if (e)
            *register_of(e, word->reg) &= ~off->words[i];
        if (copy)
            copy->edx &= ~(off->words[i] & AMD_COPIES);
    }
    shrink_xsave(cpuid, off);
    if (is_off(off, "intel-pt"))
        drop(cpuid, LEAF_PT, 0, true);
    if (is_off(off, "amx-tile")) {
        drop(cpuid, LEAF_TILE, 0, true);
        drop(cpuid, LEAF_TMUL, 0, true);
    }
}

/* ---- what is asked for ---- */

int cpuid_check_wanted(const struct config_cpu *cpu, const struct cpuid *cpuid,
                       const struct x86_feature_set *off, struct error *err)
{
    char missing[192] = "";
    size_t len = 0;

    for (unsigned i = 0; i < cpu->feature_count; i++) {
        const char *name = cpu->features[i].name;
        unsigned feature;

        if (!cpu->features[i].wanted)
            continue;
        if (!x86_feature_find(name, &feature))
            return unknown(name, err);
        if (x86_feature_set_has(off, feature))
            return error_set(err, "cpu.features: %s is asked for, but what it needs is taken away",
                             name);
        if (!has_feature(cpuid, feature) && len < sizeof(missing))
            len += (size_t)snprintf(missing + len, sizeof(missing) - len, "%s%s", len ? ", " : "",
                                    name);
    }
    return len ? error_set(err, "cpu.features: this host cannot give a guest: %s", missing) : 0;
}
