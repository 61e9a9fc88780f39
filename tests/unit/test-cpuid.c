/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guests read about their processors, made from what hosts of either vendor would offer. */
#include "tests/unit/tap.h"
#include "vmm/arch/x86_64/cpuid.h"

#define LEAF1_HTT  (1u << 28)
#define INDEXED    KVM_CPUID_FLAG_SIGNIFCANT_INDEX
#define AMD_LEGACY (1u << 1)

static struct cpuid cpuid;

static void host(const struct kvm_cpuid_entry2 *entries, uint32_t count)
{
    memset(&cpuid, 0, sizeof(cpuid));
    memcpy(cpuid.entries, entries, count * sizeof(entries[0]));
    cpuid.head.nent = count;
}

static void intel_host(void)
{
    static const struct kvm_cpuid_entry2 entries[] = {
        {.function = 0, .eax = 0x1f, .ebx = 0x756e6547, .edx = 0x49656e69, .ecx = 0x6c65746e},
        {.function = 1, .ebx = 0x11223344, .ecx = 1u << 5},
        {.function = 4, .index = 0, .flags = INDEXED, .eax = 0xfc004121},
        {.function = 4, .index = 2, .flags = INDEXED, .eax = 0xfc1fc143},
        {.function = 4, .index = 3, .flags = INDEXED, .eax = 0xfc1fc163},
        {.function = 4, .index = 4, .flags = INDEXED, .eax = 0},
        {.function = 7, .index = 0, .flags = INDEXED, .ebx = 1u << 2, .ecx = 1u << 30},
        {.function = 0xb, .index = 0, .flags = INDEXED, .eax = 7, .ebx = 99, .edx = 55},
        {.function = 0x12, .index = 0, .flags = INDEXED, .eax = 3},
        {.function = 0x1f, .index = 0, .flags = INDEXED, .eax = 7, .ebx = 99, .edx = 55},
        {.function = 0x40000000, .ebx = 0x4b4d564b},
        {.function = 0x40000001, .eax = 0xfb},
        {.function = 0x80000001, .ecx = 0x121},
        {.function = 0x80000008, .eax = 0x3027},
    };

    host(entries, ARRAY_SIZE(entries));
}

static void amd_host(void)
{
    static const struct kvm_cpuid_entry2 entries[] = {
        {.function = 0, .eax = 0x10, .ebx = 0x68747541, .edx = 0x69746e65, .ecx = 0x444d4163},
        {.function = 1, .ebx = 0x11223344},
        {.function = 7, .index = 0, .flags = INDEXED},
        {.function = 0x40000000, .ebx = 0x4b4d564b},
        {.function = 0x80000001, .ecx = 1u << 2 | 1u << 22},
        {.function = 0x80000008, .eax = 0x3030, .ecx = 0x707f},
        {.function = 0x8000000a, .eax = 1},
        {.function = 0x8000001d, .index = 0, .flags = INDEXED, .eax = 0x4121},
        {.function = 0x8000001d, .index = 3, .flags = INDEXED, .eax = 0xfffc163},
        {.function = 0x8000001e, .eax = 77, .ebx = 0x177, .ecx = 0x77},
        {.function = 0x8000001f, .eax = 3},
        {.function = 0x80000026, .index = 0, .flags = INDEXED, .eax = 1},
    };

    host(entries, ARRAY_SIZE(entries));
}

static const struct kvm_cpuid_entry2 *find(uint32_t function, uint32_t index)
{
    for (uint32_t i = 0; i < cpuid.head.nent; i++) {
        const struct kvm_cpuid_entry2 *e = &cpuid.entries[i];

        if (e->function == function && (!(e->flags & INDEXED) || e->index == index))
            return e;
    }
    return NULL;
}

/* An entry that has to be there; a zeroed one, for the checks that follow, if it is not. */
static struct kvm_cpuid_entry2 leaf(uint32_t function, uint32_t index)
{
    const struct kvm_cpuid_entry2 *e = find(function, index);

    if (!check(e != NULL)) {
        printf("# leaf 0x%x, %u\n", function, index);
        return (struct kvm_cpuid_entry2){0};
    }
    return *e;
}

static struct cpu_topology topology(unsigned sockets, unsigned cores, unsigned threads)
{
    const struct config config = {
        .cpus = sockets * cores * threads,
        .topology = {sockets, cores, threads},
    };

    return cpu_topology(&config);
}

/* ---- numbering ---- */

static void test_plain_numbers(void)
{
    const struct config config = {.cpus = 254};
    struct cpu_topology t = cpu_topology(&config);

    for (unsigned i = 0; i < 254; i++)
        check_int(cpu_apic_id(&t, i), i);
}

static void test_numbers_leave_holes(void)
{
    static const struct {
        unsigned sockets, cores, threads, index;
        uint32_t id;
    } cases[] = {
        {1, 1, 1, 0, 0},   {2, 3, 1, 2, 2},   {2, 3, 1, 3, 4},       {2, 3, 2, 5, 5},
        {2, 3, 2, 6, 8},   {2, 3, 2, 11, 13}, {1, 3, 3, 3, 4},       {4, 1, 1, 3, 3},
        {2, 4, 2, 15, 15}, {1, 5, 2, 9, 9},   {127, 1, 2, 253, 253},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct cpu_topology t = topology(cases[i].sockets, cases[i].cores, cases[i].threads);

        if (!check_int(cpu_apic_id(&t, cases[i].index), cases[i].id))
            printf("# case %zu\n", i);
    }
}

static void test_numbers_are_different(void)
{
    for (unsigned cores = 1; cores <= 9; cores++) {
        for (unsigned threads = 1; threads <= 3; threads++) {
            struct cpu_topology t = topology(3, cores, threads);

            for (unsigned i = 1; i < 3 * cores * threads; i++)
                check(cpu_apic_id(&t, i) > cpu_apic_id(&t, i - 1));
        }
    }
}

/* ---- what both vendors' guests read ---- */

static void check_levels(uint32_t function, const struct cpu_topology *t, uint32_t id)
{
    struct kvm_cpuid_entry2 smt = leaf(function, 0);
    struct kvm_cpuid_entry2 core = leaf(function, 1);
    struct kvm_cpuid_entry2 end = leaf(function, 2);

    check_int(smt.eax, t->thread_bits);
    check_int(smt.ebx, t->threads);
    check_int(smt.ecx, 0x100);
    check_int(core.eax, t->thread_bits + t->core_bits);
    check_int(core.ebx, t->threads * t->cores);
    check_int(core.ecx, 0x201);
    check_int(end.ebx, 0);
    check_int(end.ecx, 2);
    check_int(smt.edx, id);
    check_int(core.edx, id);
    check_int(end.edx, id);
}

static void test_extended_topology(void)
{
    struct cpu_topology t = topology(2, 3, 2);

    intel_host();
    cpuid_adjust(&cpuid, &t, 11);
    check_levels(0xb, &t, 11);
    check_levels(0x1f, &t, 11);

    /* A processor without the second leaf does not get it, and one without the first does. */
    amd_host();
    cpuid.entries[0].eax = 7;
    cpuid_adjust(&cpuid, &t, 11);
    check_levels(0xb, &t, 11);
    check_int(leaf(0, 0).eax, 0xb);
    check(find(0x1f, 0) == NULL);
}

static void test_one_processor_is_no_package_of_many(void)
{
    struct cpu_topology t = topology(4, 1, 1);

    for (int amd = 0; amd < 2; amd++) {
        if (amd)
            amd_host();
        else
            intel_host();
        cpuid_adjust(&cpuid, &t, 3);
        check_int(leaf(1, 0).ebx, 0x03013344);
        check(!(leaf(1, 0).edx & LEAF1_HTT));
        check(!(leaf(0x80000001, 0).ecx & AMD_LEGACY));
    }
}

static void test_features(void)
{
    struct cpu_topology t = topology(1, 2, 1);

    intel_host();
    cpuid_adjust(&cpuid, &t, 1);
    /* VMX went; x2APIC, the TSC deadline and the hypervisor's bit came. */
    check_int(leaf(1, 0).ecx, 1u << 21 | 1u << 24 | 1u << 31);
    check(leaf(1, 0).edx & LEAF1_HTT);
    check_int(leaf(7, 0).ebx, 0);
    check_int(leaf(7, 0).ecx, 0);
    check(find(0x12, 0) == NULL);
    /* KVM's own words stay. */
    check_int(leaf(0x40000000, 0).ebx, 0x4b4d564b);
    check_int(leaf(0x40000001, 0).eax, 0xfb);
}

/* ---- Intel ---- */

static void test_intel_package(void)
{
    struct cpu_topology t = topology(2, 3, 2);

    intel_host();
    cpuid_adjust(&cpuid, &t, 13);
    /* Eight ids are set aside for a package, four for its cores, two for the threads of one. */
    check_int(leaf(1, 0).ebx, 0x0d083344);
    check_int(leaf(4, 0).eax >> 26, 3);
    check_int(leaf(4, 0).eax >> 14 & 0xfff, 1);
    check_int(leaf(4, 2).eax >> 14 & 0xfff, 1);
    check_int(leaf(4, 3).eax >> 14 & 0xfff, 7);
    check_int(leaf(4, 3).eax & 0x3fff, 0x163);
    check_int(leaf(4, 4).eax, 0);
    /* What AMD has in these leaves has no meaning here. */
    check_int(leaf(0x80000001, 0).ecx, 0x121);
    check_int(leaf(0x80000008, 0).ecx, 0);
    check_int(cpuid_address_bits(&cpuid), 39);
}

static void test_intel_largest(void)
{
    struct cpu_topology t = topology(1, 254, 1);

    intel_host();
    cpuid_adjust(&cpuid, &t, 253);
    check_int(leaf(1, 0).ebx, 0xfdff3344);
    check_int(leaf(0xb, 1).eax, 8);
    check_int(leaf(0xb, 1).ebx, 254);
    check_int(leaf(4, 3).eax >> 14 & 0xfff, 255);
}

/* ---- AMD ---- */

static void test_amd_package(void)
{
    struct cpu_topology t = topology(2, 3, 2);

    amd_host();
    cpuid_adjust(&cpuid, &t, 13); /* socket 1, core 2, thread 1 */
    check_int(leaf(1, 0).ebx, 0x0d063344);
    check_int(leaf(0x80000001, 0).ecx, 1u << 22 | AMD_LEGACY);
    check_int(leaf(0x80000008, 0).ecx, 0x3005);
    check_int(leaf(0x8000001d, 0).eax >> 14, 1);
    check_int(leaf(0x8000001d, 3).eax >> 14, 5);
    check_int(leaf(0x8000001e, 0).eax, 13);
    check_int(leaf(0x8000001e, 0).ebx, 0x102);
    check_int(leaf(0x8000001e, 0).ecx, 1);
    check(find(0x8000000a, 0) == NULL);
    check(find(0x8000001f, 0) == NULL);
    check(find(0x80000026, 0) == NULL);
    check_int(cpuid_address_bits(&cpuid), 48);
}

/* Threads are told of whether or not the host has the leaf for it. */
static void test_amd_without_the_topology_leaf(void)
{
    static const struct kvm_cpuid_entry2 entries[] = {
        {.function = 0, .eax = 0xd, .ebx = 0x68747541, .edx = 0x69746e65, .ecx = 0x444d4163},
        {.function = 0x80000000, .eax = 0x8000001a},
        {.function = 0x80000001},
    };
    struct cpu_topology t = topology(1, 2, 2);

    host(entries, ARRAY_SIZE(entries));
    cpuid_adjust(&cpuid, &t, 2);
    check_int(leaf(0x80000000, 0).eax, 0x8000001e);
    check_int(leaf(0x80000001, 0).ecx, 1u << 22 | AMD_LEGACY);
    check_int(leaf(0x8000001e, 0).ebx, 0x101);
    t = topology(1, 4, 1);
    host(entries, ARRAY_SIZE(entries));
    cpuid_adjust(&cpuid, &t, 2);
    check(find(0x8000001e, 0) == NULL);
}

static void test_full_table_stays_in_bounds(void)
{
    struct cpu_topology t = topology(1, 2, 1);

    intel_host();
    for (uint32_t i = cpuid.head.nent; i < CPUID_MAX_ENTRIES; i++)
        cpuid.entries[i].function = 0xd;
    cpuid.head.nent = CPUID_MAX_ENTRIES;
    cpuid_adjust(&cpuid, &t, 1);
    check(cpuid.head.nent <= CPUID_MAX_ENTRIES);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_plain_numbers),
        TAP(test_numbers_leave_holes),
        TAP(test_numbers_are_different),
        TAP(test_extended_topology),
        TAP(test_one_processor_is_no_package_of_many),
        TAP(test_features),
        TAP(test_intel_package),
        TAP(test_intel_largest),
        TAP(test_amd_package),
        TAP(test_amd_without_the_topology_leaf),
        TAP(test_full_table_stays_in_bounds),
        {0},
    });
}
