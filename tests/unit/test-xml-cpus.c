/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of CPUs, pins, and what a domain wants of the host's CPU. */
#include <glib.h>
#include <libxml/parser.h>

#include "tests/unit/tap.h"
#include "xml/cpu_features.h"
#include "xml/cpuset.h"

static void test_sets_read_and_written(void)
{
    static const struct {
        const char *text;
        const char *written;
    } sets[] = {
        {"0", "0"},         {"1023", "1023"},      {"0-3", "0-3"},
        {" 3 , 1 ", "1,3"}, {"0-7,^2", "0-1,3-7"}, {"8,0-1,2", "0-2,8"},
        {"62-66", "62-66"}, {"0-1023", "0-1023"},  {"0-2,^1,1", "0-2"},
        {"5-5", "5"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(sets); i++) {
        struct cpuset set;
        g_autofree char *written = NULL;

        if (!check(cpuset_parse(sets[i].text, &set, NULL)))
            continue;
        written = cpuset_format(&set);
        check_str(written, sets[i].written);
    }
}

static void test_sets_refused(void)
{
    static const char *const texts[] = {
        "",       ",",  "0,",   "a",    "-1", "1-",  "3-1",   "1024",
        "0-1024", "^0", "0,^0", "1,^2", "+1", "0x1", "1-2-3", "99999999999999999999",
        "0 1",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        struct cpuset set = {{7}};
        g_autoptr(GError) error = NULL;

        if (!check(!cpuset_parse(texts[i], &set, &error)))
            printf("# '%s'\n", texts[i]);
        check_int(error ? libvirt_error_code(error) : VIR_ERR_OK, VIR_ERR_INVALID_ARG);
        check_int(set.words[0], 7); /* left as it was */
    }
}

static void test_long_list(void)
{
    g_autofree char *blanks = g_strnfill(16384, ' ');
    g_autofree char *longest = g_strconcat("1", blanks + 1, NULL);
    g_autofree char *too_long = g_strconcat("1", blanks, NULL);
    struct cpuset set;

    check(cpuset_parse(longest, &set, NULL));
    check(!cpuset_parse(too_long, &set, NULL));
}

static void test_set_members(void)
{
    struct cpuset set = {{0}};

    check(cpuset_is_empty(&set));
    cpuset_add(&set, 64);
    cpuset_add(&set, CPUSET_MAX); /* nothing */
    check(!cpuset_is_empty(&set));
    check(cpuset_has(&set, 64));
    check(!cpuset_has(&set, 63));
    check(!cpuset_has(&set, 65));
    check(!cpuset_has(&set, CPUSET_MAX));
}

#define DOMAIN(children)                                                        \
    "<domain type='kvm'><name>a</name><memory unit='MiB'>64</memory><os><type>" \
    "hvm</type><kernel>/k</kernel></os>" children "</domain>"

static domain_def *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    domain_def *def = domain_def_parse(text, strlen(text), DOMAIN_PARSE_DEFINITION, &error);

    check_str(error ? error->message : NULL, NULL);
    return def;
}

static void test_pins(void)
{
    g_autoptr(domain_def) def = parse(DOMAIN(""));
    struct cpuset cpus = {{1}};
    const struct cpuset none = {{0}};

    if (!def)
        return;
    GPtrArray *pins = def->cputune.vcpupins;

    check(!domain_pin_find(pins, 0));
    domain_pin_set(pins, 5, &cpus);
    domain_pin_set(pins, 1, &cpus);
    domain_pin_set(pins, 3, &cpus);
    cpuset_add(&cpus, 9);
    domain_pin_set(pins, 3, &cpus);
    check_int(pins->len, 3);
    for (guint i = 0; i < pins->len; i++)
        check_int(domain_pin_at(pins, i)->id, 1 + 2 * i);
    check(cpuset_has(&domain_pin_find(pins, 3)->cpus, 9));
    check(!cpuset_has(&domain_pin_find(pins, 5)->cpus, 9));
    domain_pin_set(pins, 3, &none);
    domain_pin_set(pins, 4, &none);
    check(!domain_pin_find(pins, 3));
    check_int(pins->len, 2);
}

/* A host with AES and AVX, and with features of other functions than the first. */
static struct cpu_host host;

static void make_host(void)
{
    static const struct cpuid_entry entries[] = {
        {.function = 0, .ebx = 0x68747541, .edx = 0x69746e65, .ecx = 0x444d4163},
        {.function = 1, .eax = 0xa20f12, .ecx = 1u << 5 | 1u << 25 | 1u << 28, .edx = 1u << 26},
        {.function = 7, .index = 1, .ebx = 1u << 5},
        {.function = 7, .index = 0, .ebx = 1u << 2 | 1u << 3},
        {.function = 0x12, .eax = 3},
        {.function = 0x80000001, .ecx = 1u << 2, .edx = 1u << 29},
        {.function = 0x8000000a, .edx = 1},
    };

    cpu_host_init(&host, entries, G_N_ELEMENTS(entries));
}

static void test_features(void)
{
    /* Timer and interrupts are the machine's; what a host has for machines and enclaves of its own
     * is no guest's. */
    static const char *const has[] = {"aes", "avx",    "sse2",         "bmi1",
                                      "lm",  "x2apic", "tsc-deadline", "hypervisor"};
    static const char *const lacks[] = {"avx2", "svm",    "vmx",           "npt", "sgx",
                                        "sgx1", "xsavec", "no-such-thing", ""};

    make_host();
    check_str(host.vendor, "AuthenticAMD");
    check_int(host.family, 25);
    check_int(host.model, 33);
    check_int(host.stepping, 2);
    check(cpu_host_has(&host, "svm"));
    check(!cpu_host_has(&host, "x2apic"));
    x86_feature_set_for_guest(&host.features);

    for (unsigned i = 0; i < G_N_ELEMENTS(has); i++)
        if (!check(cpu_feature_is_known(has[i])) || !check(cpu_host_has(&host, has[i])))
            printf("# %s\n", has[i]);
    for (unsigned i = 0; i < G_N_ELEMENTS(lacks); i++)
        if (!check(!cpu_host_has(&host, lacks[i])))
            printf("# %s\n", lacks[i]);
    check(cpu_feature_is_known("svm"));
    check(!cpu_feature_is_known("no-such-thing"));
}

int main(void)
{
    int rc = tap_run((struct tap_test[]){TAP(test_sets_read_and_written),
                                         TAP(test_sets_refused),
                                         TAP(test_long_list),
                                         TAP(test_set_members),
                                         TAP(test_pins),
                                         TAP(test_features),
                                         {}});

    xmlCleanupParser();
    return rc;
}
