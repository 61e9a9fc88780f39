/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CPU features that are taken from a guest or asked for, and all places where CPUID tells of them.
 */
#include "tests/unit/tap.h"
#include "vmm/arch/x86_64/cpuid_features.h"

#define INDEXED KVM_CPUID_FLAG_SIGNIFCANT_INDEX

static const struct cpu_topology one_cpu = {.cores = 1, .threads = 1};
static const struct cpu_topology two_cores = {.cores = 2, .threads = 1, .core_bits = 1};
static const struct cpu_topology two_threads = {.cores = 1, .threads = 2, .thread_bits = 1};

static struct cpuid cpuid;
static struct config_cpu cpu;
static struct x86_feature_set off;

/* An AMD host with AVX-512, AMX and protection keys, whose XSAVE area is 576 bytes and: AVX 256,
 * AVX-512 64 + 512 + 1024, PKRU 8, AMX 64 + 8192; and of supervisor state PT. */
static void make_host(void)
{
    static const struct kvm_cpuid_entry2 entries[] = {
        {.function = 1, .ecx = 0xffffffff, .edx = 0xffffffff},
        {.function = 7,
         .index = 0,
         .flags = INDEXED,
         .ebx = 0xffffffff,
         .ecx = 0xffffffff,
         .edx = 0xffffffff},
        {.function = 7, .index = 1, .flags = INDEXED, .eax = 0xffffffff},
        {.function = 0xd, .index = 0, .flags = INDEXED, .eax = 0x602e7, .ebx = 576, .ecx = 11008},
        {.function = 0xd, .index = 1, .flags = INDEXED, .eax = 0x1f, .ecx = 0x100},
        {.function = 0xd, .index = 2, .flags = INDEXED, .eax = 256, .ebx = 576},
        {.function = 0xd, .index = 5, .flags = INDEXED, .eax = 64, .ebx = 1088},
        {.function = 0xd, .index = 6, .flags = INDEXED, .eax = 512, .ebx = 1152},
        {.function = 0xd, .index = 7, .flags = INDEXED, .eax = 1024, .ebx = 1664},
        {.function = 0xd, .index = 8, .flags = INDEXED, .eax = 128, .ecx = 1},
        {.function = 0xd, .index = 9, .flags = INDEXED, .eax = 8, .ebx = 2688},
        {.function = 0xd, .index = 17, .flags = INDEXED, .eax = 64, .ebx = 2752},
        {.function = 0xd, .index = 18, .flags = INDEXED, .eax = 8192, .ebx = 2816},
        {.function = 0x14, .index = 0, .flags = INDEXED, .eax = 1},
        {.function = 0x1d, .index = 0, .flags = INDEXED, .eax = 1},
        {.function = 0x1e, .index = 0, .flags = INDEXED, .ebx = 0x4010},
        {.function = 0x80000001, .ecx = 0xffffffff, .edx = 0xffffffff},
    };

    memset(&cpuid, 0, sizeof(cpuid));
    memcpy(cpuid.entries, entries, sizeof(entries));
    cpuid.head.nent = ARRAY_SIZE(entries);
    cpu.feature_count = 0;
}

static const struct kvm_cpuid_entry2 *find(uint32_t function, uint32_t index)
{
    static const struct kvm_cpuid_entry2 none;

    for (uint32_t i = 0; i < cpuid.head.nent; i++) {
        const struct kvm_cpuid_entry2 *e = &cpuid.entries[i];

        if (e->function == function && e->index == index)
            return e;
    }
    return &none;
}

static void want(const char *name, bool wanted)
{
    cpu.features[cpu.feature_count++] = (struct config_cpu_feature){(char *)name, wanted};
}

static void take_away(const char *name)
{
    struct error err;

    make_host();
    want(name, false);
    if (check_int(cpuid_features_off(&cpu, &one_cpu, &off, &err), 0))
        cpuid_take_away(&cpuid, &off);
}

/* ---- the table ---- */

static void test_names_are_found_where_they_stand(void)
{
    unsigned names = 0;

    for (unsigned i = 0; i < X86_FEATURE_LAST; i++) {
        const char *name = x86_feature_name(i);
        unsigned found = X86_FEATURE_LAST;

        if (!name)
            continue;
        names++;
        check(x86_feature_find(name, &found));
        check_int(found, i); /* so no name stands twice */
        check(strlen(name) < X86_FEATURE_NAME_MAX);
    }
    check(names > 200);
}

static void test_words_are_different(void)
{
    for (unsigned i = 0; i < X86_FEATURE_WORDS; i++) {
        for (unsigned j = 0; j < i; j++) {
            const struct x86_feature_word *a = x86_feature_word(i);
            const struct x86_feature_word *b = x86_feature_word(j);

            check(a->function != b->function || a->index != b->index || a->reg != b->reg);
        }
    }
}

/* ---- what both programs say of a guest ---- */

static struct x86_feature_set features_of(const struct cpuid *of)
{
    struct x86_feature_set set = {{0}};

    for (uint32_t i = 0; i < of->head.nent; i++) {
        const struct kvm_cpuid_entry2 *e = &of->entries[i];
        const uint32_t registers[] = {e->eax, e->ebx, e->ecx, e->edx};

        for (unsigned w = 0; w < X86_FEATURE_WORDS; w++) {
            const struct x86_feature_word *word = x86_feature_word(w);

            if (word->function == e->function && word->index == e->index)
                set.words[w] = registers[word->reg];
        }
    }
    return set;
}

static void test_guests_have_what_the_table_says(void)
{
    struct x86_feature_set told;
    struct x86_feature_set given;

    make_host();
    cpuid.entries[cpuid.head.nent++] =
        (struct kvm_cpuid_entry2){.function = 0x8000000a, .edx = 0xffffffff};
    cpuid.entries[cpuid.head.nent++] =
        (struct kvm_cpuid_entry2){.function = 0x12, .flags = INDEXED, .eax = 3};
    told = features_of(&cpuid);
    x86_feature_set_for_guest(&told);
    cpuid_adjust(&cpuid, &two_cores, 0);
    given = features_of(&cpuid);
    for (unsigned i = 0; i < X86_FEATURE_LAST; i++) {
        const char *name = x86_feature_name(i);

        if (name && !check_int(x86_feature_set_has(&given, i), x86_feature_set_has(&told, i)))
            printf("# %s\n", name);
    }
}

/* ---- taken away ---- */

static void test_nothing_is_taken_away(void)
{
    struct cpuid before;
    struct error err;

    make_host();
    before = cpuid;
    check_int(cpuid_features_off(&cpu, &one_cpu, &off, &err), 0);
    cpuid_take_away(&cpuid, &off);
    check(memcmp(&before, &cpuid, sizeof(cpuid)) == 0);
}

static void test_one_bit(void)
{
    take_away("popcnt");
    check_int(find(1, 0)->ecx, ~(1u << 23));
    check_int(find(1, 0)->edx, 0xffffffff);
    check_int(find(7, 0)->ebx, 0xffffffff);
    check_int(find(0xd, 0)->ecx, 11008);
}

static void test_amds_copy_goes_too(void)
{
    take_away("mmx");
    check_int(find(1, 0)->edx, ~(1u << 23));
    /* MMX itself, and its extension of AMD's and both 3DNow!s, which need it. */
    check_int(find(0x80000001, 0)->edx, ~(1u << 23 | 1u << 22 | 3u << 30));

    take_away("sep"); /* of leaf 1 alone: there, 0x80000001 has SYSCALL */
    check_int(find(1, 0)->edx, ~(1u << 11));
    check_int(find(0x80000001, 0)->edx, 0xffffffff);
}

static void test_dependents_go_too(void)
{
    take_away("avx2");
    check_int(find(7, 0)->ebx & 1u << 5, 0);
    check_int(find(7, 0)->ebx & 1u << 16, 0);            /* avx512f */
    check_int(find(7, 0)->ecx & 1u << 1, 0);             /* avx512vbmi, by way of avx512bw */
    check_int(find(7, 1)->eax & (1u << 4 | 1u << 5), 0); /* avx-vnni, avx512-bf16 */
    check(find(1, 0)->ecx & 1u << 28);                   /* avx stays */
    check_int(find(0xd, 0)->eax, 0x60207);
    check_int(find(0xd, 6)->eax, 0);
    check_int(find(0xd, 0)->ecx, 2816 + 8192); /* the others stay in their places */
}

static void test_the_xsave_area_shrinks(void)
{
    take_away("amx-tile");
    check_int(find(0xd, 0)->eax, 0x2e7);
    check_int(find(0xd, 0)->ecx, 2688 + 8);
    check_int(find(0xd, 17)->eax, 0);
    check_int(find(0xd, 18)->eax, 0);
    check_int(find(0x1d, 0)->eax, 0);
    check_int(find(0x1e, 0)->ebx, 0);

    take_away("pku");
    check_int(find(0xd, 0)->eax, 0x600e7);
    check_int(find(7, 0)->ecx & 3u << 3, 0); /* and what tells that it is on */

    take_away("intel-pt");
    check_int(find(0xd, 1)->ecx, 0);
    check_int(find(0xd, 8)->eax, 0);
    check_int(find(0x14, 0)->eax, 0);
    check_int(find(0xd, 0)->ecx, 11008);
}

static void test_without_xsave(void)
{
    take_away("xsave");
    check_int(find(1, 0)->ecx & (1u << 26 | 1u << 27 | 1u << 28), 0);
    for (uint32_t i = 0; i < 19; i++)
        check_int(find(0xd, i)->eax, 0);
    check_int(find(7, 0)->ebx & (1u << 5 | 1u << 16), 0);
    check(find(1, 0)->ecx & 1u << 20); /* SSE4.2 needs none of it */
}

static void test_what_the_host_lacks_is_gone_already(void)
{
    struct error err;

    make_host();
    cpuid.head.nent = 1;
    want("avx2", false);
    check_int(cpuid_features_off(&cpu, &one_cpu, &off, &err), 0);
    cpuid_take_away(&cpuid, &off);
    check_int(cpuid.head.nent, 1);
}

/* ---- refused ---- */

static void refused_off(const struct cpu_topology *t, const char *why)
{
    struct error err;

    if (check_int(cpuid_features_off(&cpu, t, &off, &err), -1))
        check_str(err.msg, why);
}

static void test_unknown_names(void)
{
    make_host();
    want("avx3", false);
    refused_off(&one_cpu, "cpu.features: \"avx3\" is no feature of an x86 CPU that is known");
    make_host();
    want("", true);
    refused_off(&one_cpu, "cpu.features: \"\" is no feature of an x86 CPU that is known");
}

static void test_the_topology_is_told(void)
{
    struct error err;

    make_host();
    want("ht", false);
    refused_off(&two_cores, "cpu.features: ht follows from the topology, and cannot be taken away");
    check_int(cpuid_features_off(&cpu, &one_cpu, &off, &err), 0);
    make_host();
    want("topoext", false);
    refused_off(&two_threads,
                "cpu.features: topoext follows from the topology, and cannot be taken away");
    check_int(cpuid_features_off(&cpu, &two_cores, &off, &err), 0);
}

static void check_wanted(const char *why)
{
    struct error err = {""};

    if (!check_int(cpuid_features_off(&cpu, &one_cpu, &off, &err), 0))
        return;
    cpuid_take_away(&cpuid, &off);
    check_int(cpuid_check_wanted(&cpu, &cpuid, &off, &err), why ? -1 : 0);
    check_str(err.msg, why ? why : "");
}

static void test_asked_for(void)
{
    make_host();
    want("avx2", true);
    want("amx-tile", true);
    want("pcid", false);
    check_wanted(NULL);

    make_host();
    cpuid.entries[1].ebx = 0;
    want("avx2", true);
    want("sse4.2", true);
    want("avx512f", true);
    want("npt", true); /* whose leaf is not there at all */
    check_wanted("cpu.features: this host cannot give a guest: avx2, avx512f, npt");

    make_host();
    want("avx2", true);
    want("avx", false);
    check_wanted("cpu.features: avx2 is asked for, but what it needs is taken away");
}

static void test_a_long_list_is_cut(void)
{
    struct error err;

    make_host();
    memset(cpuid.entries, 0, sizeof(cpuid.entries));
    for (unsigned i = 0; i < X86_FEATURE_LAST && cpu.feature_count < CONFIG_MAX_CPU_FEATURES; i++) {
        if (x86_feature_name(i))
            want(x86_feature_name(i), true);
    }
    check_int(cpuid_features_off(&cpu, &one_cpu, &off, &err), 0);
    check_int(cpuid_check_wanted(&cpu, &cpuid, &off, &err), -1);
    check(strlen(err.msg) < sizeof(err.msg));
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_names_are_found_where_they_stand),
        TAP(test_words_are_different),
        TAP(test_guests_have_what_the_table_says),
        TAP(test_nothing_is_taken_away),
        TAP(test_one_bit),
        TAP(test_amds_copy_goes_too),
        TAP(test_dependents_go_too),
        TAP(test_the_xsave_area_shrinks),
        TAP(test_without_xsave),
        TAP(test_what_the_host_lacks_is_gone_already),
        TAP(test_unknown_names),
        TAP(test_the_topology_is_told),
        TAP(test_asked_for),
        TAP(test_a_long_list_is_cut),
        {0},
    });
}
