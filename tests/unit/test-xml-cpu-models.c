/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPU models: a map is read (tests/cpu_map is one like libvirt's), a CPU is described by it, and
 * what a domain asks for becomes what its guest gets on a host.
 */
#include <glib.h>
#include <libvirt/libvirt.h>
#include <libxml/parser.h>

#include "tests/unit/tap.h"
#include "xml/cpu_compare.h"
#include "xml/cpu_resolve.h"
#include "xml/launch.h"

static struct cpu_map *map;
static struct cpu_host host;

/* A Zen of model 1 with what is named, separated by blanks. */
static void make_host(const char *features)
{
    g_auto(GStrv) names = g_strsplit(features, " ", -1);

    host = (struct cpu_host){.vendor = "AuthenticAMD", .family = 23, .model = 1};
    for (guint i = 0; names[i]; i++) {
        unsigned feature = 0;

        if (check(x86_feature_find(names[i], &feature)))
            x86_feature_set_add(&host.features, feature);
        else
            printf("# %s\n", names[i]);
    }
}

static void check_names(const struct x86_feature_set *set, const char *want)
{
    g_autofree char *names = cpu_feature_names(set);

    check_str(names, want);
}

/* ---- the map ---- */

static void test_map(void)
{
    const struct cpu_model *zen2 = cpu_map_find(map, "Zen2");

    check_int(map->models->len, 6);
    check_str(cpu_map_vendor(map, "AuthenticAMD"), "AMD");
    check(!cpu_map_vendor(map, "NobodyAtAll!"));
    check(!cpu_map_find(map, "Zen3"));
    if (!check(zen2 != NULL))
        return;
    check_str(zen2->vendor, "AMD");
    check_names(&zen2->features, "aes, avx, sse, sse2, avx2, clwb");
    check(cpu_model_is(zen2, 23, 49, 7));
    check(!cpu_model_is(zen2, 23, 1, 2)); /* that is its parent */
    check(cpu_model_is(cpu_map_find(map, "Zen"), 23, 8, 3));
    check(!cpu_model_is(cpu_map_find(map, "Zen"), 23, 8, 2));
    check(!cpu_map_find(map, "old-host")->guests);
    check(cpu_map_find(map, "Cooper")->unseen);
}

static void test_no_map(void)
{
    g_autoptr(GError) error = NULL;

    check(!cpu_map_load(TOP_SRCDIR "/tests/golden", &error));
    check(error && strstr(error->message, "index.xml"));
}

/* libvirt's own, where it is: its models have features that are known here. */
static void test_libvirts_map(void)
{
    static const char folder[] = "/usr/share/libvirt/cpu_map";
    g_autoptr(GError) error = NULL;
    struct cpu_map *theirs;
    unsigned unseen = 0;

    if (!g_file_test(folder, G_FILE_TEST_IS_DIR)) {
        tap_skip("libvirt's CPU map is not installed");
        return;
    }
    theirs = cpu_map_load(folder, &error);
    if (!check(theirs != NULL))
        return;
    check(theirs->models->len > 50);
    check(cpu_map_find(theirs, "EPYC") && cpu_map_find(theirs, "qemu64"));
    for (guint i = 0; i < theirs->models->len; i++)
        unseen += ((const struct cpu_model *)g_ptr_array_index(theirs->models, i))->unseen;
    check(unseen < theirs->models->len / 4); /* those with features that are in MSRs */
    cpu_map_free(theirs);
}

static void described(const char *features, bool whole, const char *model, const char *extra,
                      const char *missing)
{
    struct cpu_description d;
    struct cpu_host cpu = host;

    make_host(features);
    cpu.features = host.features;
    host = cpu;
    if (!check_int(cpu_describe(map, &cpu, whole, &d), model != NULL) || !model)
        return;
    check_str(d.model->name, model);
    check_names(&d.extra, extra);
    check_names(&d.missing, missing);
}

static void test_descriptions(void)
{
    make_host("");
    /* Its own model, although another one comes nearer, */
    described("aes avx sse sse2 avx2 clwb", false, "Zen", "avx2, clwb", "");
    described("sse sse2", false, "Zen", "", "aes, avx");
    /* but not if nothing may be missing. */
    described("sse sse2 pni", true, "old", "pni", "");
    described("sse", true, NULL, NULL, NULL);
    host.model = 2;
    described("aes avx sse sse2 avx2 clwb pni", false, "Zen2", "pni", "");
    described("aes sse sse2", false, "old", "aes", "");
    g_strlcpy(host.vendor, "GenuineIntel", sizeof(host.vendor));
    host.family = 6;
    host.model = 85;
    described("sse sse2 avx aes", false, "Lake", "aes", "");
}

/* ---- what a domain asks for ---- */

#define DOMAIN                                                                            \
    "<domain type='kvm'><name>a</name><memory unit='MiB'>64</memory><os><type>hvm</type>" \
    "<kernel>/k</kernel></os>%s</domain>"

/* `cpu` resolved on the host; NULL with the error's message in `*why`. */
static domain_def *resolve(const char *cpu, const struct cpu_map *with, char **why)
{
    g_autofree char *text = g_strdup_printf(DOMAIN, cpu);
    g_autoptr(GError) error = NULL;
    g_autoptr(domain_def) def =
        domain_def_parse(text, strlen(text), DOMAIN_PARSE_DEFINITION, &error);

    *why = NULL;
    if (def && cpu_resolve(&def->cpu, with, &host, &error))
        return g_steal_pointer(&def);
    *why = libvirt_error_message(error);
    return NULL;
}

static char *cpu_of(const char *xml)
{
    const char *start = strstr(xml, "  <cpu ");
    const char *end = start ? strstr(start, "</cpu>\n") : NULL;

    return end ? g_strndup(start, (gsize)(end - start)) : g_strdup("");
}

/* The live <cpu>, without blanks at the beginning of lines and without quotes, and what of the host
 * is taken away. */
static void check_resolved(const char *cpu, const char *want, const char *off)
{
    g_autofree char *why = NULL;
    g_autoptr(domain_def) def = resolve(cpu, map, &why);
    g_autofree char *xml = NULL;
    g_autofree char *got = NULL;
    g_autofree char *again = NULL;

    check_str(why, NULL);
    if (!def)
        return;
    xml = domain_def_format(def, 0);
    got = cpu_of(xml);
    check_str(got, want);
    check_names(&def->cpu.off, off);

    /* A reboot does it once more, with the same end. */
    check(cpu_resolve(&def->cpu, map, &host, NULL));
    g_free(xml);
    xml = domain_def_format(def, 0);
    again = cpu_of(xml);
    check_str(again, want);
    check_names(&def->cpu.off, off);
}

static void check_unresolved(const char *cpu, const char *want)
{
    g_autofree char *why = NULL;
    g_autoptr(domain_def) def = resolve(cpu, map, &why);

    check(!def);
    check_str(why, want);
}

#define INCOMPATIBLE "the CPU is incompatible with host CPU: "
#define UNSUPPORTED  "unsupported configuration: "

static void test_passthrough(void)
{
    make_host("aes sse sse2 avx");
    check_resolved("<cpu mode='host-passthrough'><feature policy='require' name='aes'/>"
                   "<feature policy='disable' name='avx'/><feature policy='optional' name='pni'/>"
                   "<feature policy='forbid' name='svm'/></cpu>",
                   "  <cpu mode='host-passthrough'>\n"
                   "    <feature policy='require' name='aes'/>\n"
                   "    <feature policy='disable' name='avx'/>\n"
                   "    <feature policy='optional' name='pni'/>\n"
                   "    <feature policy='forbid' name='svm'/>\n  ",
                   "");
    check_unresolved("<cpu mode='maximum'><feature policy='require' name='avx2'/>"
                     "<feature policy='force' name='pni'/></cpu>",
                     INCOMPATIBLE "Host CPU does not provide required features: pni, avx2");
    check_unresolved("<cpu mode='host-passthrough'><feature policy='forbid' name='aes'/></cpu>",
                     INCOMPATIBLE "Host CPU provides forbidden features: aes");
    check_unresolved("<cpu mode='host-passthrough'><feature policy='disable' name='sse'/>"
                     "<feature policy='require' name='aes'/></cpu>",
                     UNSUPPORTED "CPU features are required, and what they need is disabled: aes");
}

static void test_host_model(void)
{
    make_host("aes avx sse sse2 avx2 x2apic ht invtsc");
    check_resolved("<cpu mode='host-model'/>",
                   "  <cpu mode='custom' match='exact' check='full'>\n"
                   "    <model fallback='forbid'>Zen</model>\n"
                   "    <vendor>AMD</vendor>\n"
                   "    <feature policy='require' name='x2apic'/>\n"
                   "    <feature policy='require' name='avx2'/>\n  ",
                   "invtsc");
    check_resolved("<cpu mode='host-model' check='partial'><feature policy='disable' name='avx'/>"
                   "<feature policy='require' name='invtsc'/></cpu>",
                   "  <cpu mode='custom' match='exact' check='full'>\n"
                   "    <model fallback='forbid'>Zen</model>\n"
                   "    <vendor>AMD</vendor>\n"
                   "    <feature policy='require' name='x2apic'/>\n"
                   "    <feature policy='require' name='invtsc'/>\n"
                   "    <feature policy='disable' name='avx'/>\n  ",
                   "avx, avx2");
}

static void test_custom(void)
{
    make_host("aes avx sse sse2 avx2 fma x2apic hypervisor ht invtsc pni");
    /* fma goes for the model's sake, x2apic is the machine's, pni is wanted where it is there. */
    check_resolved("<cpu match='exact'><model fallback='allow'>Zen</model>"
                   "<feature policy='optional' name='pni'/><feature policy='optional' name='svm'/>"
                   "<feature policy='disable' name='aes'/></cpu>",
                   "  <cpu mode='custom' match='exact' check='full'>\n"
                   "    <model fallback='allow'>Zen</model>\n"
                   "    <vendor>AMD</vendor>\n"
                   "    <feature policy='require' name='pni'/>\n"
                   "    <feature policy='require' name='x2apic'/>\n"
                   "    <feature policy='require' name='hypervisor'/>\n"
                   "    <feature policy='disable' name='aes'/>\n  ",
                   "fma, aes, avx2, invtsc");
    check_resolved("<cpu mode='custom' match='minimum'><model>old</model></cpu>",
                   "  <cpu mode='custom' match='exact' check='full'>\n"
                   "    <model>old</model>\n"
                   "    <vendor>AMD</vendor>\n"
                   "    <feature policy='require' name='pni'/>\n"
                   "    <feature policy='require' name='fma'/>\n"
                   "    <feature policy='require' name='x2apic'/>\n"
                   "    <feature policy='require' name='aes'/>\n"
                   "    <feature policy='require' name='avx'/>\n"
                   "    <feature policy='require' name='hypervisor'/>\n"
                   "    <feature policy='require' name='avx2'/>\n"
                   "    <feature policy='require' name='invtsc'/>\n  ",
                   "");
    make_host("aes avx sse sse2 hypervisor ht");
    check_resolved("<cpu mode='custom' match='strict'><model>Zen</model></cpu>",
                   "  <cpu mode='custom' match='exact' check='full'>\n"
                   "    <model>Zen</model>\n"
                   "    <vendor>AMD</vendor>\n"
                   "    <feature policy='require' name='hypervisor'/>\n  ",
                   "");
}

static void test_custom_refused(void)
{
    make_host("aes avx sse sse2 clwb");
    check_unresolved("<cpu mode='custom'><model>Zen9</model></cpu>",
                     "internal error: Unknown CPU model Zen9");
    check_unresolved("<cpu mode='custom'><model>Zen2</model></cpu>",
                     INCOMPATIBLE "Host CPU does not provide required features: avx2");
    check_unresolved("<cpu mode='custom' match='strict'><model>Zen</model></cpu>", INCOMPATIBLE
                     "Host CPU does not strictly match the guest's, it also has: clwb");
    check_unresolved("<cpu mode='custom'><model>Zen</model><vendor>Intel</vendor></cpu>",
                     INCOMPATIBLE "host CPU vendor does not match required CPU vendor Intel");
    check_unresolved("<cpu mode='custom'><model>Cooper</model></cpu>",
                     UNSUPPORTED "CPU model Cooper has features that CPUID does not tell of");
    check_unresolved("<cpu mode='custom'><model>old</model>"
                     "<feature policy='require' name='aes'/><feature policy='disable' "
                     "name='sse'/></cpu>",
                     UNSUPPORTED "CPU features are required, and what they need is disabled: aes");
}

static void test_without_a_map(void)
{
    g_autofree char *why = NULL;
    g_autofree char *why_not = NULL;
    g_autoptr(domain_def) def = NULL;

    make_host("aes");
    def = resolve("<cpu mode='host-model'/>", NULL, &why);
    if (check(def != NULL))
        check_int(def->cpu.mode, DOMAIN_CPU_HOST_MODEL);
    check(!resolve("<cpu mode='custom'><model>Zen</model></cpu>", NULL, &why_not));
    check_str(why_not,
              UNSUPPORTED "CPU model Zen: libvirt's descriptions of CPU models are not there");
}

static void test_launch_document(void)
{
    g_autofree char *why = NULL;
    g_autofree char *document = NULL;
    g_autoptr(domain_def) def = NULL;

    make_host("sse sse2 avx fma ht cmp_legacy topoext hypervisor");
    def = resolve("<cpu mode='custom'><model>old</model>"
                  "<feature policy='require' name='ht'/></cpu>",
                  map, &why);
    if (!check(def != NULL))
        return;
    document = launch_document(def, NULL, 0, NULL);
    check(strstr(document, "\"features\": {\n      \"hypervisor\": true,\n"
                           "      \"fma\": false,\n      \"avx\": false\n    }"));
}

/* ---- what clients ask ---- */

static void compared(const char *xml, int want, const char *want_why)
{
    g_autoptr(GError) why = NULL;
    g_autoptr(GError) error = NULL;

    check_int(cpu_compare(map, &host, xml, &why, &error), want);
    check_str(error ? error->message : why ? why->message : NULL, want_why);
}

static void test_compared(void)
{
    make_host("aes avx sse sse2 clwb ht");
    compared("<cpu><arch>x86_64</arch><model>Zen</model><vendor>AMD</vendor>"
             "<topology sockets='1' dies='1' cores='1' threads='1'/><feature name='clwb'/></cpu>",
             VIR_CPU_COMPARE_IDENTICAL, NULL);
    compared("<cpu><arch>x86_64</arch><model>Zen</model></cpu>", VIR_CPU_COMPARE_SUPERSET, NULL);
    compared("<cpu match='exact'><model>Zen2</model></cpu>", VIR_CPU_COMPARE_INCOMPATIBLE,
             "Host CPU does not provide required features: avx2");
    compared("<cpu match='strict'><model>Zen</model></cpu>", VIR_CPU_COMPARE_INCOMPATIBLE,
             "Host CPU does not strictly match the guest's, it also has: clwb");
    compared("<cpu match='exact'><model>Zen</model><vendor>Intel</vendor></cpu>",
             VIR_CPU_COMPARE_INCOMPATIBLE,
             "host CPU vendor does not match required CPU vendor Intel");
    compared("<cpu mode='host-passthrough'/>", VIR_CPU_COMPARE_IDENTICAL, NULL);
    compared("<cpu match='exact'><model>Nix</model></cpu>", VIR_CPU_COMPARE_ERROR,
             "Unknown CPU model Nix");
    compared("<domain/>", VIR_CPU_COMPARE_ERROR,
             "<domain> (line 1): a description of a CPU is a <cpu>");
    compared("<cpu><arch>x86_64</arch><model>Zen</model><feature name='nix'/></cpu>",
             VIR_CPU_COMPARE_ERROR, "Unknown CPU feature nix");
}

static void check_baseline(const char *a, const char *b, bool expand, const char *want)
{
    const char *const xmls[] = {a, b};
    g_autoptr(GError) error = NULL;
    g_autofree char *got = cpu_baseline(map, xmls, b ? 2 : 1, expand, true, &error);

    check_str(error ? error->message : got, want);
}

static void test_baselines(void)
{
    check_baseline("<cpu><arch>x86_64</arch><model>Zen2</model><vendor>AMD</vendor>"
                   "<feature name='pni'/><feature name='invtsc'/></cpu>",
                   "<cpu><arch>x86_64</arch><model>Zen</model><feature name='pni'/>"
                   "<feature name='clwb'/><feature name='invtsc'/></cpu>",
                   false,
                   "<cpu mode='custom' match='exact'>\n"
                   "  <model fallback='forbid'>Zen</model>\n"
                   "  <vendor>AMD</vendor>\n"
                   "  <feature policy='require' name='pni'/>\n"
                   "  <feature policy='require' name='clwb'/>\n</cpu>\n");
    check_baseline("<cpu mode='custom' match='exact'><model>old</model></cpu>", NULL, true,
                   "<cpu mode='custom' match='exact'>\n"
                   "  <model fallback='forbid'>old</model>\n"
                   "  <feature policy='require' name='sse'/>\n"
                   "  <feature policy='require' name='sse2'/>\n</cpu>\n");
    check_baseline("<cpu match='exact'><model>Zen</model></cpu>",
                   "<cpu match='exact'><model>Lake</model></cpu>", false,
                   "CPU vendors do not match");
    check_baseline("<cpu match='exact'><model>Zen</model><vendor>Nobody</vendor></cpu>", NULL,
                   false, "Unknown CPU vendor Nobody");
    check_baseline("<cpu mode='host-passthrough'/>", NULL, false,
                   "a CPU without a model was given");
}

int main(void)
{
    int rc;

    map = cpu_map_load(TOP_SRCDIR "/tests/cpu_map", NULL);
    if (!map)
        return 1;
    rc = tap_run((struct tap_test[]){
        TAP(test_map),
        TAP(test_no_map),
        TAP(test_libvirts_map),
        TAP(test_descriptions),
        TAP(test_passthrough),
        TAP(test_host_model),
        TAP(test_custom),
        TAP(test_custom_refused),
        TAP(test_without_a_map),
        TAP(test_launch_document),
        TAP(test_compared),
        TAP(test_baselines),
        {},
    });
    cpu_map_free(map);
    xmlCleanupParser();
    return rc;
}
