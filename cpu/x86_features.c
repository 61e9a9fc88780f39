/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu/x86_features.h"

#include <assert.h>
#include <string.h>

/* The functions are those of Intel's Software Developer's Manual (volume 2, CPUID) and, from
 * 0x80000001 on, of AMD's Architecture Programmer's Manual (volume 3, appendix E). */
static const struct {
    struct x86_feature_word place;
    const char *names[32];
} words[] = {
    {{0x1, 0, X86_ECX},
     {[0] = "pni",     [1] = "pclmuldq",   [2] = "dtes64",        [3] = "monitor",
      [4] = "ds_cpl",  [5] = "vmx",        [6] = "smx",           [7] = "est",
      [8] = "tm2",     [9] = "ssse3",      [10] = "cid",          [12] = "fma",
      [13] = "cx16",   [14] = "xtpr",      [15] = "pdcm",         [17] = "pcid",
      [18] = "dca",    [19] = "sse4.1",    [20] = "sse4.2",       [21] = "x2apic",
      [22] = "movbe",  [23] = "popcnt",    [24] = "tsc-deadline", [25] = "aes",
      [26] = "xsave",  [27] = "osxsave",   [28] = "avx",          [29] = "f16c",
      [30] = "rdrand", [31] = "hypervisor"}},
    {{0x1, 0, X86_EDX},
     {[0] = "fpu",      [1] = "vme",  [2] = "de",    [3] = "pse",  [4] = "tsc",    [5] = "msr",
      [6] = "pae",      [7] = "mce",  [8] = "cx8",   [9] = "apic", [11] = "sep",   [12] = "mtrr",
      [13] = "pge",     [14] = "mca", [15] = "cmov", [16] = "pat", [17] = "pse36", [18] = "pn",
      [19] = "clflush", [21] = "ds",  [22] = "acpi", [23] = "mmx", [24] = "fxsr",  [25] = "sse",
      [26] = "sse2",    [27] = "ss",  [28] = "ht",   [29] = "tm",  [30] = "ia64",  [31] = "pbe"}},
    {{0x6, 0, X86_EAX}, {[2] = "arat"}},
    {{0x7, 0, X86_EBX},
     {[0] = "fsgsbase",    [1] = "tsc_adjust", [2] = "sgx",         [3] = "bmi1",
      [4] = "hle",         [5] = "avx2",       [7] = "smep",        [8] = "bmi2",
      [9] = "erms",        [10] = "invpcid",   [11] = "rtm",        [12] = "cmt",
      [14] = "mpx",        [16] = "avx512f",   [17] = "avx512dq",   [18] = "rdseed",
      [19] = "adx",        [20] = "smap",      [21] = "avx512ifma", [22] = "pcommit",
      [23] = "clflushopt", [24] = "clwb",      [25] = "intel-pt",   [26] = "avx512pf",
      [27] = "avx512er",   [28] = "avx512cd",  [29] = "sha-ni",     [30] = "avx512bw",
      [31] = "avx512vl"}},
    {{0x7, 0, X86_ECX}, {[1] = "avx512vbmi",  [2] = "umip",          [3] = "pku",
                         [4] = "ospke",       [5] = "waitpkg",       [6] = "avx512vbmi2",
                         [8] = "gfni",        [9] = "vaes",          [10] = "vpclmulqdq",
                         [11] = "avx512vnni", [12] = "avx512bitalg", [14] = "avx512-vpopcntdq",
                         [16] = "la57",       [22] = "rdpid",        [24] = "bus-lock-detect",
                         [25] = "cldemote",   [27] = "movdiri",      [28] = "movdir64b",
                         [30] = "sgxlc",      [31] = "pks"}},
    {{0x7, 0, X86_EDX},
     {[2] = "avx512-4vnniw",
      [3] = "avx512-4fmaps",
      [4] = "fsrm",
      [5] = "uintr",
      [8] = "avx512-vp2intersect",
      [10] = "md-clear",
      [14] = "serialize",
      [16] = "tsx-ldtrk",
      [18] = "pconfig",
      [19] = "arch-lbr",
      [22] = "amx-bf16",
      [23] = "avx512-fp16",
      [24] = "amx-tile",
      [25] = "amx-int8",
      [26] = "spec-ctrl",
      [27] = "stibp",
      [29] = "arch-capabilities",
      [30] = "core-capability",
      [31] = "ssbd"}},
    {{0x7, 1, X86_EAX},
     {[0] = "sha512",
      [1] = "sm3",
      [2] = "sm4",
      [4] = "avx-vnni",
      [5] = "avx512-bf16",
      [7] = "cmpccxadd",
      [10] = "fzrm",
      [11] = "fsrs",
      [12] = "fsrc",
      [17] = "fred",
      [18] = "lkgs",
      [19] = "wrmsrns",
      [21] = "amx-fp16",
      [23] = "avx-ifma",
      [26] = "lam"}},
    {{0x7, 1, X86_EDX},
     {[4] = "avx-vnni-int8",
      [5] = "avx-ne-convert",
      [8] = "amx-complex",
      [10] = "avx-vnni-int16",
      [14] = "prefetchiti"}},
    {{0x7, 2, X86_EDX},
     {[0] = "intel-psfd",
      [1] = "ipred-ctrl",
      [2] = "rrsba-ctrl",
      [3] = "ddpd-u",
      [4] = "bhi-ctrl",
      [5] = "mcdt-no"}},
    {{0xd, 1, X86_EAX},
     {[0] = "xsaveopt", [1] = "xsavec", [2] = "xgetbv1", [3] = "xsaves", [4] = "xfd"}},
    {{0xf, 1, X86_EDX}, {[1] = "mbm_total", [2] = "mbm_local"}},
    {{0x12, 0, X86_EAX}, {[0] = "sgx1", [1] = "sgx2"}},
    {{0x12, 0, X86_EBX}, {[0] = "sgx-exinfo"}},
    {{0x12, 1, X86_EAX},
     {[1] = "sgx-debug",
      [2] = "sgx-mode64",
      [4] = "sgx-provisionkey",
      [5] = "sgx-tokenkey",
      [7] = "sgx-kss"}},
    {{0x14, 0, X86_ECX}, {[31] = "intel-pt-lip"}},
    {{0x80000001, 0, X86_ECX},
     {[0] = "lahf_lm",       [1] = "cmp_legacy",    [2] = "svm",         [3] = "extapic",
      [4] = "cr8legacy",     [5] = "abm",           [6] = "sse4a",       [7] = "misalignsse",
      [8] = "3dnowprefetch", [9] = "osvw",          [10] = "ibs",        [11] = "xop",
      [12] = "skinit",       [13] = "wdt",          [15] = "lwp",        [16] = "fma4",
      [17] = "tce",          [18] = "cvt16",        [19] = "nodeid_msr", [21] = "tbm",
      [22] = "topoext",      [23] = "perfctr_core", [24] = "perfctr_nb"}},
    {{0x80000001, 0, X86_EDX},
     {[11] = "syscall",
      [20] = "nx",
      [22] = "mmxext",
      [25] = "fxsr_opt",
      [26] = "pdpe1gb",
      [27] = "rdtscp",
      [29] = "lm",
      [30] = "3dnowext",
      [31] = "3dnow"}},
    {{0x80000007, 0, X86_EBX}, {[0] = "overflow-recov", [1] = "succor"}},
    {{0x80000007, 0, X86_EDX}, {[8] = "invtsc"}},
    {{0x80000008, 0, X86_EBX},
     {[0] = "clzero",
      [2] = "xsaveerptr",
      [9] = "wbnoinvd",
      [12] = "ibpb",
      [14] = "ibrs",
      [15] = "amd-stibp",
      [17] = "stibp-always-on",
      [24] = "amd-ssbd",
      [25] = "virt-ssbd",
      [26] = "amd-no-ssb",
      [28] = "amd-psfd"}},
    {{0x8000000a, 0, X86_EDX},
     {[0] = "npt",
      [1] = "lbrv",
      [2] = "svm-lock",
      [3] = "nrip-save",
      [4] = "tsc-scale",
      [5] = "vmcb-clean",
      [6] = "flushbyasid",
      [7] = "decodeassists",
      [10] = "pause-filter",
      [12] = "pfthreshold",
      [13] = "avic",
      [15] = "v-vmsave-vmload",
      [16] = "vgif",
      [28] = "svme-addr-chk"}},
    {{0x80000021, 0, X86_EAX},
     {[0] = "no-nested-data-bp",
      [2] = "lfence-always-serializing",
      [6] = "null-sel-clr-base",
      [8] = "auto-ibrs",
      [27] = "sbpb",
      [28] = "ibpb-brtype"}},
};
static_assert(sizeof(words) / sizeof(words[0]) == X86_FEATURE_WORDS, "a set has a word for each");

/* What a feature makes no sense without: who takes the one away takes the other. */
static const struct {
    const char *name;
    const char *needs;
} needs[] = {
    {"fxsr_opt", "fxsr"},
    {"sse", "fxsr"},
    {"sse2", "sse"},
    {"mmxext", "mmx"},
    {"3dnow", "mmx"},
    {"3dnowext", "3dnow"},
    {"pni", "sse2"},
    {"ssse3", "pni"},
    {"sse4.1", "ssse3"},
    {"sse4.2", "sse4.1"},
    {"sse4a", "pni"},
    {"aes", "sse2"},
    {"pclmuldq", "sse2"},
    {"sha-ni", "sse2"},
    {"gfni", "sse2"},
    {"avx", "xsave"},
    {"avx", "sse4.2"},
    {"mpx", "xsave"},
    {"pku", "xsave"},
    {"ospke", "pku"},
    {"osxsave", "xsave"},
    {"xsaveopt", "xsave"},
    {"xsavec", "xsave"},
    {"xgetbv1", "xsave"},
    {"xsaves", "xsavec"},
    {"xfd", "xsave"},
    {"arch-lbr", "xsaves"},
    {"avx2", "avx"},
    {"fma", "avx"},
    {"f16c", "avx"},
    {"fma4", "avx"},
    {"xop", "avx"},
    {"vaes", "avx"},
    {"vpclmulqdq", "avx"},
    {"avx-vnni", "avx2"},
    {"avx-vnni-int8", "avx2"},
    {"avx-vnni-int16", "avx2"},
    {"avx-ne-convert", "avx2"},
    {"avx-ifma", "avx2"},
    {"sha512", "avx2"},
    {"sm3", "avx"},
    {"sm4", "avx2"},
    {"avx512f", "avx2"},
    {"avx512f", "f16c"},
    {"avx512f", "fma"},
    {"avx512cd", "avx512f"},
    {"avx512er", "avx512f"},
    {"avx512pf", "avx512f"},
    {"avx512dq", "avx512f"},
    {"avx512bw", "avx512f"},
    {"avx512vl", "avx512f"},
    {"avx512ifma", "avx512f"},
    {"avx512vbmi", "avx512bw"},
    {"avx512vbmi2", "avx512bw"},
    {"avx512bitalg", "avx512bw"},
    {"avx512-bf16", "avx512bw"},
    {"avx512-fp16", "avx512bw"},
    {"avx512vnni", "avx512f"},
    {"avx512-vpopcntdq", "avx512f"},
    {"avx512-vp2intersect", "avx512f"},
    {"avx512-4vnniw", "avx512f"},
    {"avx512-4fmaps", "avx512f"},
    {"amx-tile", "xfd"},
    {"amx-int8", "amx-tile"},
    {"amx-bf16", "amx-tile"},
    {"amx-fp16", "amx-tile"},
    {"amx-complex", "amx-tile"},
    {"invpcid", "pcid"},
    {"la57", "lm"},
    {"pdpe1gb", "lm"},
    {"lahf_lm", "lm"},
    {"intel-pt-lip", "intel-pt"},
    {"sgxlc", "sgx"},
};

static int find_bit(unsigned word, const char *name)
{
    for (int bit = 0; bit < 32; bit++) {
        if (words[word].names[bit] && strcmp(words[word].names[bit], name) == 0)
            return bit;
    }
    return -1;
}

bool x86_feature_find(const char *name, unsigned *feature)
{
    for (unsigned i = 0; i < X86_FEATURE_WORDS; i++) {
        int bit = find_bit(i, name);

        if (bit >= 0) {
            *feature = i * 32 + (unsigned)bit;
            return true;
        }
    }
    return false;
}

const char *x86_feature_name(unsigned feature)
{
    return words[feature / 32].names[feature % 32];
}

const struct x86_feature_word *x86_feature_word(unsigned index)
{
    return &words[index].place;
}

uint32_t x86_feature_word_mask(unsigned index)
{
    uint32_t mask = 0;

    for (unsigned bit = 0; bit < 32; bit++)
        mask |= words[index].names[bit] ? UINT32_C(1) << bit : 0;
    return mask;
}

bool x86_feature_set_has(const struct x86_feature_set *set, unsigned feature)
{
    return set->words[feature / 32] >> feature % 32 & 1;
}

void x86_feature_set_add(struct x86_feature_set *set, unsigned feature)
{
    set->words[feature / 32] |= UINT32_C(1) << feature % 32;
}

void x86_feature_set_remove(struct x86_feature_set *set, unsigned feature)
{
    set->words[feature / 32] &= ~(UINT32_C(1) << feature % 32);
}

bool x86_feature_set_is_empty(const struct x86_feature_set *set)
{
    uint32_t any = 0;

    for (unsigned i = 0; i < X86_FEATURE_WORDS; i++)
        any |= set->words[i];
    return !any;
}

struct x86_feature_set x86_feature_set_minus(const struct x86_feature_set *set,
                                             const struct x86_feature_set *less)
{
    struct x86_feature_set rest = *set;

    for (unsigned i = 0; i < X86_FEATURE_WORDS; i++)
        rest.words[i] &= ~less->words[i];
    return rest;
}

static void add_names(struct x86_feature_set *set, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned feature;

        if (x86_feature_find(names[i], &feature))
            x86_feature_set_add(set, feature);
    }
}

void x86_feature_set_for_guest(struct x86_feature_set *set)
{
    static const char *const given[] = {"x2apic", "tsc-deadline", "hypervisor"};
    static const char *const withheld[] = {"vmx", "svm", "sgx", "sgxlc"};
    struct x86_feature_set never = {{0}};

    add_names(&never, withheld, sizeof(withheld) / sizeof(withheld[0]));
    for (unsigned i = 0; i < X86_FEATURE_WORDS; i++) {
        uint32_t function = words[i].place.function;

        if (function == 0x12 || function == 0x8000000a) /* SGX, SVM */
            never.words[i] = UINT32_MAX;
    }
    add_names(set, given, sizeof(given) / sizeof(given[0]));
    *set = x86_feature_set_minus(set, &never);
}

struct x86_feature_set x86_feature_set_of_machine(void)
{
    static const char *const names[] = {"apic", "x2apic", "arat", "hypervisor", "tsc-deadline"};
    struct x86_feature_set set = {{0}};

    add_names(&set, names, sizeof(names) / sizeof(names[0]));
    return set;
}

struct x86_feature_set x86_feature_set_of_topology(void)
{
    static const char *const names[] = {"ht", "cmp_legacy", "topoext"};
    struct x86_feature_set set = {{0}};

    add_names(&set, names, sizeof(names) / sizeof(names[0]));
    return set;
}

/* The table goes from what is needed to what needs it, but not everywhere: until nothing is added.
 */
void x86_feature_set_add_dependents(struct x86_feature_set *off)
{
    bool grew = !x86_feature_set_is_empty(off);

    while (grew) {
        grew = false;
        for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
            unsigned feature = 0;
            unsigned needed = 0;

            if (!x86_feature_find(needs[i].name, &feature) ||
                !x86_feature_find(needs[i].needs, &needed))
                continue;
            if (x86_feature_set_has(off, needed) && !x86_feature_set_has(off, feature)) {
                x86_feature_set_add(off, feature);
                grew = true;
            }
        }
    }
}
