/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/arch/x86_64/cpuid.h"

#include <asm/kvm.h>
#include <stdbool.h>

#define LEAF1_ECX_VMX          (1u << 5)
#define LEAF1_ECX_X2APIC       (1u << 21)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR   (1u << 31)
#define LEAF1_EDX_HTT          (1u << 28)
#define LEAF7_EBX_SGX          (1u << 2)
#define LEAF7_ECX_SGX_LC       (1u << 30)
#define AMD1_ECX_CMP_LEGACY    (1u << 1)
#define AMD1_ECX_SVM           (1u << 2)
#define AMD1_ECX_TOPOEXT       (1u << 22)

#define LEAF_AMD_TOPOLOGY 0x8000001eu
#define LEAF_TOPOLOGY     0xbu
#define LEAF_TOPOLOGY_V2  0x1fu
#define LEVEL_SMT         1u
#define LEVEL_CORE        2u

/* ---- topology ---- */

/* Bits that it takes to number `count` things. */
static unsigned bits_for(unsigned count)
{
    return count <= 1 ? 0 : 32 - (unsigned)__builtin_clz(count - 1);
}

struct cpu_topology cpu_topology(const struct config *config)
{
    const struct config_topology *c = &config->topology;
    bool given = c->sockets > 0 && c->cores > 0 && c->threads > 0;
    struct cpu_topology t = {
        .cores = given ? c->cores : config->cpus,
        .threads = given ? c->threads : 1,
    };

    t.thread_bits = bits_for(t.threads);
    t.core_bits = bits_for(t.cores);
    return t;
}

static unsigned package_bits(const struct cpu_topology *t)
{
    return t->thread_bits + t->core_bits;
}

static unsigned package_threads(const struct cpu_topology *t)
{
    return t->cores * t->threads;
}

uint32_t cpu_apic_id(const struct cpu_topology *t, unsigned index)
{
    unsigned thread = index % t->threads;
    unsigned core = index / t->threads % t->cores;
    unsigned socket = index / package_threads(t);

    return socket << package_bits(t) | core << t->thread_bits | thread;
}

static uint32_t core_of(const struct cpu_topology *t, uint32_t apic_id)
{
    return apic_id >> t->thread_bits & ((1u << t->core_bits) - 1);
}

static uint32_t socket_of(const struct cpu_topology *t, uint32_t apic_id)
{
    return apic_id >> package_bits(t);
}

/* ---- the leaves ---- */

/* A guest that runs on an Intel processor looks at other leaves than one on an AMD. */
static bool is_amd(const struct cpuid *cpuid)
{
    for (uint32_t i = 0; i < cpuid->head.nent; i++) {
        const struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

        /* The vendor's name stands in EBX, EDX, ECX. */
        if (e->function == 0)
            return e->ecx == 0x444d4163 /* AuthentiCAMD */ ||
                   e->ecx == 0x656e6975 /* HygonGenuine */;
    }
    return false;
}

static void adjust_features(struct kvm_cpuid_entry2 *e, const struct cpu_topology *t,
                            uint32_t apic_id, bool amd)
{
    /* Intel counts the ids that are set aside for a package, AMD the threads that there are. */
    unsigned logical = amd ? package_threads(t) : 1u << package_bits(t);

    e->ebx = (e->ebx & 0xffff) | MIN(logical, 255u) << 16 | apic_id << 24;
    e->ecx &= ~LEAF1_ECX_VMX;
    e->ecx |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_X2APIC | LEAF1_ECX_TSC_DEADLINE;
    e->edx = package_threads(t) > 1 ? e->edx | LEAF1_EDX_HTT : e->edx & ~LEAF1_EDX_HTT;
}

/* The first two levels of cache are a core's, the others the package's. */
static bool cache_is_shared(const struct kvm_cpuid_entry2 *e)
{
    return (e->eax >> 5 & 7) >= 3;
}

/* Leaf 4, Intel's caches: ids set aside for those that share one, and for the package's cores. */
static void adjust_intel_cache(struct kvm_cpuid_entry2 *e, const struct cpu_topology *t)
{
    unsigned sharing = cache_is_shared(e) ? package_bits(t) : t->thread_bits;

    if ((e->eax & 0x1f) == 0)
        return; /* ends the list */
    e->eax = (e->eax & 0x3fff) | ((1u << sharing) - 1) << 14 | ((1u << t->core_bits) - 1) << 26;
}

/* Leaf 0x8000001d, AMD's caches: how many share one. */
static void adjust_amd_cache(struct kvm_cpuid_entry2 *e, const struct cpu_topology *t)
{
    unsigned sharing = cache_is_shared(e) ? package_threads(t) : t->threads;

    if ((e->eax & 0x1f) != 0)
        e->eax = (e->eax & 0x3fff) | (sharing - 1) << 14;
}

static void adjust_amd_entry(struct kvm_cpuid_entry2 *e, const struct cpu_topology *t,
                             uint32_t apic_id)
{
    switch (e->function) {
    case 0x80000001:
        e->ecx =
            package_threads(t) > 1 ? e->ecx | AMD1_ECX_CMP_LEGACY : e->ecx & ~AMD1_ECX_CMP_LEGACY;
        break;
    case 0x80000008:
        e->ecx = (e->ecx & ~0xf0ffu) | package_bits(t) << 12 | (package_threads(t) - 1);
        break;
    case 0x8000001d:
        adjust_amd_cache(e, t);
        break;
    case LEAF_AMD_TOPOLOGY: /* ids: APIC; core, and threads of it; node, of which a socket has one
                             */
        e->eax = apic_id;
        e->ebx = (t->threads - 1) << 8 | core_of(t, apic_id);
        e->ecx = socket_of(t, apic_id);
        break;
    default:
        break;
    }
}

static void adjust_entry(struct kvm_cpuid_entry2 *e, const struct cpu_topology *t, uint32_t apic_id,
                         bool amd)
{
    switch (e->function) {
    case 1:
        adjust_features(e, t, apic_id, amd);
        break;
    case 4:
        adjust_intel_cache(e, t);
        break;
    case 7:
        if (e->index == 0) {
            e->ebx &= ~LEAF7_EBX_SGX;
            e->ecx &= ~LEAF7_ECX_SGX_LC;
        }
        break;
    case 0x80000001:
        e->ecx &= ~AMD1_ECX_SVM;
        break;
    default:
        break;
    }
    if (amd)
        adjust_amd_entry(e, t, apic_id);
}

/* ---- leaves as a whole ---- */

static void drop_leaf(struct cpuid *cpuid, uint32_t leaf)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < cpuid->head.nent; i++) {
        if (cpuid->entries[i].function != leaf)
            cpuid->entries[kept++] = cpuid->entries[i];
    }
    cpuid->head.nent = kept;
}

/* Subleaf 0 is the thread level, 1 the core level, 2 ends the list. */
static void add_topology_leaf(struct cpuid *cpuid, uint32_t leaf, const struct cpu_topology *t,
                              uint32_t apic_id)
{
    const struct kvm_cpuid_entry2 levels[] = {
        {.eax = t->thread_bits, .ebx = t->threads, .ecx = LEVEL_SMT << 8},
        {.eax = package_bits(t), .ebx = package_threads(t), .ecx = LEVEL_CORE << 8},
        {0},
    };

    for (uint32_t i = 0; i < ARRAY_SIZE(levels) && cpuid->head.nent < CPUID_MAX_ENTRIES; i++) {
        struct kvm_cpuid_entry2 *e = &cpuid->entries[cpuid->head.nent++];

        *e = levels[i];
        e->function = leaf;
        e->index = i;
        e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
        e->ecx |= i;
        e->edx = apic_id;
    }
}

/*
 * What KVM tells of the extended topology is the host's, or one empty subleaf, or nothing: it
 * leaves that to us. Leaf 0x1f is there only where the processor has leaves that high, and a guest
 * believes it more than 0xb, so both have to say the same. AMD's own extended leaf, which guests
 * believe even more, goes.
 */
static void replace_topology(struct cpuid *cpuid, const struct cpu_topology *t, uint32_t apic_id)
{
    uint32_t highest = 0;

    drop_leaf(cpuid, LEAF_TOPOLOGY);
    drop_leaf(cpuid, LEAF_TOPOLOGY_V2);
    drop_leaf(cpuid, 0x80000026);
    for (uint32_t i = 0; i < cpuid->head.nent; i++) {
        struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

        if (e->function == 0) {
            e->eax = MAX(e->eax, LEAF_TOPOLOGY);
            highest = e->eax;
        }
    }
    add_topology_leaf(cpuid, LEAF_TOPOLOGY, t, apic_id);
    if (highest >= LEAF_TOPOLOGY_V2)
        add_topology_leaf(cpuid, LEAF_TOPOLOGY_V2, t, apic_id);
}

/* An AMD guest learns of threads from a leaf of AMD's own. It tells of numbers only, so it is there
 * also where the host does not have it. */
static void require_amd_topology(struct cpuid *cpuid)
{
    bool found = false;

    for (uint32_t i = 0; i < cpuid->head.nent; i++) {
        struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

        if (e->function == 0x80000000)
            e->eax = MAX(e->eax, LEAF_AMD_TOPOLOGY);
        else if (e->function == 0x80000001)
            e->ecx |= AMD1_ECX_TOPOEXT;
        found |= e->function == LEAF_AMD_TOPOLOGY;
    }
    if (!found && cpuid->head.nent < CPUID_MAX_ENTRIES)
        cpuid->entries[cpuid->head.nent++] =
            (struct kvm_cpuid_entry2){.function = LEAF_AMD_TOPOLOGY};
}

void cpuid_adjust(struct cpuid *cpuid, const struct cpu_topology *t, uint32_t apic_id)
{
    static const uint32_t unwanted[] = {0x12 /* SGX */, 0x8000000a /* SVM */, 0x8000001f /* SEV */};
    bool amd = is_amd(cpuid);

    for (size_t i = 0; i < ARRAY_SIZE(unwanted); i++)
        drop_leaf(cpuid, unwanted[i]);
    if (amd && t->threads > 1)
        require_amd_topology(cpuid);
    for (uint32_t i = 0; i < cpuid->head.nent; i++)
        adjust_entry(&cpuid->entries[i], t, apic_id, amd);
    replace_topology(cpuid, t, apic_id);
}

/* ---- the host's ---- */

struct cpuid *cpuid_supported(const struct kvm *kvm, struct error *err)
{
    cleanup_free struct cpuid *cpuid = xcalloc(1, sizeof(*cpuid));
    int r;

    cpuid->head.nent = CPUID_MAX_ENTRIES;
    r = kvm_ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
    if (r < 0) {
        error_set_errno(err, -r, "ask KVM for its CPU features");
        return NULL;
    }
    return steal_ptr(&cpuid);
}

unsigned cpuid_address_bits(const struct cpuid *cpuid)
{
    for (uint32_t i = 0; i < cpuid->head.nent; i++) {
        if (cpuid->entries[i].function == 0x80000008)
            return cpuid->entries[i].eax & 0xff;
    }
    return 36; /* every processor with PAE has as many */
}
