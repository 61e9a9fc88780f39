/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where CPUID has what libvirt has names for: function (EAX), index (ECX), register and bit. The
 * functions are those of Intel's Software Developer's Manual (volume 2, CPUID) and, from 0x80000001
 * on, of AMD's Architecture Programmer's Manual (volume 3, appendix E).
 */
#include "xml/cpu_features.h"

#include <string.h>

enum cpuid_register { EAX = 0, EBX, ECX, EDX };

static const struct {
    uint32_t function;
    uint32_t index;
    enum cpuid_register reg;
    const char *names[32];
} words[] = {
    {0x1, 0, ECX, {[0] = "pni",     [1] = "pclmuldq",   [2] = "dtes64",        [3] = "monitor",
                   [4] = "ds_cpl",  [5] = "vmx",        [6] = "smx",           [7] = "est",
                   [8] = "tm2",     [9] = "ssse3",      [10] = "cid",          [12] = "fma",
                   [13] = "cx16",   [14] = "xtpr",      [15] = "pdcm",         [17] = "pcid",
                   [18] = "dca",    [19] = "sse4.1",    [20] = "sse4.2",       [21] = "x2apic",
                   [22] = "movbe",  [23] = "popcnt",    [24] = "tsc-deadline", [25] = "aes",
                   [26] = "xsave",  [27] = "osxsave",   [28] = "avx",          [29] = "f16c",
                   [30] = "rdrand", [31] = "hypervisor"}},
    {0x1,
     0,
     EDX,
     {[0] = "fpu",      [1] = "vme",  [2] = "de",    [3] = "pse",  [4] = "tsc",    [5] = "msr",
      [6] = "pae",      [7] = "mce",  [8] = "cx8",   [9] = "apic", [11] = "sep",   [12] = "mtrr",
      [13] = "pge",     [14] = "mca", [15] = "cmov", [16] = "pat", [17] = "pse36", [18] = "pn",
      [19] = "clflush", [21] = "ds",  [22] = "acpi", [23] = "mmx", [24] = "fxsr",  [25] = "sse",
      [26] = "sse2",    [27] = "ss",  [28] = "ht",   [29] = "tm",  [30] = "ia64",  [31] = "pbe"}},
    {0x6, 0, EAX, {[2] = "arat"}},
    {0x7, 0, EBX, {[0] = "fsgsbase",    [1] = "tsc_adjust", [2] = "sgx",         [3] = "bmi1",
                   [4] = "hle",         [5] = "avx2",       [7] = "smep",        [8] = "bmi2",
                   [9] = "erms",        [10] = "invpcid",   [11] = "rtm",        [12] = "cmt",
                   [14] = "mpx",        [16] = "avx512f",   [17] = "avx512dq",   [18] = "rdseed",
                   [19] = "adx",        [20] = "smap",      [21] = "avx512ifma", [22] = "pcommit",
                   [23] = "clflushopt", [24] = "clwb",      [25] = "intel-pt",   [26] = "avx512pf",
                   [27] = "avx512er",   [28] = "avx512cd",  [29] = "sha-ni",     [30] = "avx512bw",
                   [31] = "avx512vl"}},
    {0x7, 0, ECX, {[1] = "avx512vbmi",  [2] = "umip",          [3] = "pku",
                   [4] = "ospke",       [5] = "waitpkg",       [6] = "avx512vbmi2",
                   [8] = "gfni",        [9] = "vaes",          [10] = "vpclmulqdq",
                   [11] = "avx512vnni", [12] = "avx512bitalg", [14] = "avx512-vpopcntdq",
                   [16] = "la57",       [22] = "rdpid",        [24] = "bus-lock-detect",
                   [25] = "cldemote",   [27] = "movdiri",      [28] = "movdir64b",
                   [30] = "sgxlc",      [31] = "pks"}},
    {0x7,
     0,
     EDX,
     {[2] = "avx512-4vnniw",
      [3] = "avx512-4fmaps",
      [4] = "fsrm",
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
    {0x7, 1, EAX, {[4] = "avx-vnni", [5] = "avx512-bf16"}},
    {0xd, 1, EAX, {[0] = "xsaveopt", [1] = "xsavec", [2] = "xgetbv1", [3] = "xsaves", [4] = "xfd"}},
    {0xf, 1, EDX, {[1] = "mbm_total", [2] = "mbm_local"}},
    {0x12, 0, EAX, {[0] = "sgx1", [1] = "sgx2"}},
    {0x12, 0, EBX, {[0] = "sgx-exinfo"}},
    {0x12,
     1,
     EAX,
     {[1] = "sgx-debug",
      [2] = "sgx-mode64",
      [4] = "sgx-provisionkey",
      [5] = "sgx-tokenkey",
      [7] = "sgx-kss"}},
    {0x14, 0, ECX, {[31] = "intel-pt-lip"}},
    {0xd, 1, EAX, {[0] = "xsaveopt", [1] = "xsavec", [2] = "xgetbv1", [3] = "xsaves"}},
    {0x80000001,
     0,
     ECX,
     {[0] = "lahf_lm",       [1] = "cmp_legacy",    [2] = "svm",         [3] = "extapic",
      [4] = "cr8legacy",     [5] = "abm",           [6] = "sse4a",       [7] = "misalignsse",
      [8] = "3dnowprefetch", [9] = "osvw",          [10] = "ibs",        [11] = "xop",
      [12] = "skinit",       [13] = "wdt",          [15] = "lwp",        [16] = "fma4",
      [17] = "tce",          [18] = "cvt16",        [19] = "nodeid_msr", [21] = "tbm",
      [22] = "topoext",      [23] = "perfctr_core", [24] = "perfctr_nb"}},
    {0x80000001,
     0,
     EDX,
     {[11] = "syscall",
      [20] = "nx",
      [22] = "mmxext",
      [25] = "fxsr_opt",
      [26] = "pdpe1gb",
      [27] = "rdtscp",
      [29] = "lm",
      [30] = "3dnowext",
      [31] = "3dnow"}},
    {0x80000007, 0, EDX, {[8] = "invtsc"}},
    {0x80000008,
     0,
     EBX,
     {[0] = "clzero",
      [2] = "xsaveerptr",
      [9] = "wbnoinvd",
      [12] = "ibpb",
      [14] = "ibrs",
      [15] = "amd-stibp",
      [24] = "amd-ssbd",
      [25] = "virt-ssbd",
      [26] = "amd-no-ssb"}},
    {0x8000000a,
     0,
     EDX,
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
};

/* The place of a feature: an index of `words` and a bit. */
struct place {
    unsigned word;
    unsigned bit;
};

static bool find_feature(const char *name, struct place *place)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
        for (unsigned bit = 0; bit < 32; bit++) {
            if (words[i].names[bit] && strcmp(words[i].names[bit], name) == 0) {
                *place = (struct place){i, bit};
                return true;
            }
        }
    }
    return false;
}

bool cpu_feature_is_known(const char *name)
{
    struct place place;

    return find_feature(name, &place);
}

static uint32_t register_of(const struct cpuid_entry *entry, enum cpuid_register reg)
{
    const uint32_t values[] = {[EAX] = entry->eax, entry->ebx, entry->ecx, entry->edx};

    return values[reg];
}

bool cpu_feature_is_set(const char *name, const struct cpuid_entry *entries, unsigned count)
{
    struct place place;

    if (!find_feature(name, &place))
        return false;
    for (unsigned i = 0; i < count; i++)
        if (entries[i].function == words[place.word].function &&
            entries[i].index == words[place.word].index)
            return register_of(&entries[i], words[place.word].reg) >> place.bit & 1;
    return false;
}

static void append_name(GString *list, const char *name)
{
    g_string_append_printf(list, "%s%s", list->len ? ", " : "", name);
}

bool domain_check_host_cpu(const domain_def *def, const struct cpuid_entry *entries, unsigned count,
                           GError **error)
{
    g_autoptr(GString) missing = g_string_new(NULL);
    g_autoptr(GString) forbidden = g_string_new(NULL);

    for (guint i = 0; i < def->cpu.features->len; i++) {
        const struct domain_cpu_feature *feature = g_ptr_array_index(def->cpu.features, i);
        bool is_set = cpu_feature_is_set(feature->name, entries, count);

        if (feature->policy == DOMAIN_CPU_REQUIRE && !is_set)
            append_name(missing, feature->name);
        if (feature->policy == DOMAIN_CPU_FORBID && is_set)
            append_name(forbidden, feature->name);
    }
    if (missing->len)
        libvirt_error_set(error, VIR_ERR_CPU_INCOMPATIBLE,
                          "Host CPU does not provide required features: %s", missing->str);
    else if (forbidden->len)
        libvirt_error_set(error, VIR_ERR_CPU_INCOMPATIBLE,
                          "Host CPU provides forbidden features: %s", forbidden->str);
    return !missing->len && !forbidden->len;
}
