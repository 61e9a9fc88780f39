/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Capabilities of the host and of domains: libvirt's schemas, and what they say. */
#include <glib.h>
#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <libxml/xpath.h>

#include "tests/unit/tap.h"
#include "xml/caps.h"

#define SCHEMAS "/usr/share/libvirt/schemas/"

static const struct host_cpu cpus[] = {
    {.id = 0, .socket = 0, .die = 0, .core = 0, .siblings = "0-1"},
    {.id = 1, .socket = 0, .die = 0, .core = 0, .siblings = "0-1"},
};
static const struct host_cell cells[] = {
    {.id = 0, .memory_kib = 4096, .cpus = cpus, .cpu_count = 2},
};
static const unsigned page_sizes[] = {4, 2048};

static const struct cpu_model model = {.name = (char *)"EPYC", .vendor = (char *)"AMD"};

static const struct host_caps host = {
    .uuid = "6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11",
    .arch = "x86_64",
    .cpu = {.model = &model, .vendor = "AMD", .extra = {{1u << 25}}},
    .host_model = {.model = &model, .vendor = "AMD", .missing = {{1u << 28}}},
    .sockets = 1,
    .dies = 1,
    .cores = 1,
    .threads = 2,
    .cells = cells,
    .cell_count = 1,
    .page_sizes_kib = page_sizes,
    .page_size_count = 2,
    .kvm_usable = true,
    .emulator = "/usr/bin/vole",
    .max_vcpus = 254,
};

static const struct host_caps bare_host = {.arch = "x86_64"};

static void check_schema(const char *text, const char *path)
{
    xmlRelaxNGParserCtxt *parser;
    xmlRelaxNG *schema;
    xmlRelaxNGValidCtxt *ctxt;
    xmlDoc *doc;

    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        tap_skip("libvirt's schemas are not installed");
        return;
    }
    parser = xmlRelaxNGNewParserCtxt(path);
    schema = xmlRelaxNGParse(parser);
    doc = xmlReadMemory(text, (int)strlen(text), "written.xml", NULL, XML_PARSE_NONET);
    ctxt = xmlRelaxNGNewValidCtxt(schema);
    check(schema != NULL);
    check_int(xmlRelaxNGValidateDoc(ctxt, doc), 0);
    xmlRelaxNGFreeValidCtxt(ctxt);
    xmlFreeDoc(doc);
    xmlRelaxNGFree(schema);
    xmlRelaxNGFreeParserCtxt(parser);
}

/* The value of an XPath expression, as a string. */
static void check_xpath(const char *text, const char *expression, const char *want)
{
    xmlDoc *doc = xmlReadMemory(text, (int)strlen(text), "written.xml", NULL, XML_PARSE_NONET);
    xmlXPathContext *ctxt = xmlXPathNewContext(doc);
    xmlXPathObject *result = xmlXPathEvalExpression(BAD_CAST expression, ctxt);
    xmlChar *got = xmlXPathCastToString(result);

    if (!check_str((const char *)got, want))
        printf("# %s\n", expression);
    xmlFree(got);
    xmlXPathFreeObject(result);
    xmlXPathFreeContext(ctxt);
    xmlFreeDoc(doc);
}

static void test_host(void)
{
    g_autofree char *text = caps_format(&host);

    check_schema(text, SCHEMAS "capability.rng");
    check_xpath(text, "string(/capabilities/host/uuid)", host.uuid);
    check_xpath(text, "string(/capabilities/host/cpu/model)", "EPYC");
    check_xpath(text, "string(/capabilities/host/cpu/vendor)", "AMD");
    check_xpath(text, "string(/capabilities/host/cpu/feature/@name)", "aes");
    check_xpath(text, "string(/capabilities/host/cpu/topology/@threads)", "2");
    check_xpath(text, "count(/capabilities/host/topology/cells/cell/cpus/cpu)", "2");
    check_xpath(text, "string(//cell/cpus/cpu[2]/@siblings)", "0-1");
    check_xpath(text, "string(/capabilities/guest/arch/@name)", "x86_64");
    check_xpath(text, "string(/capabilities/guest/arch/wordsize)", "64");
    check_xpath(text, "string(/capabilities/guest/arch/emulator)", "/usr/bin/vole");
    check_xpath(text, "string(/capabilities/guest/arch/machine)", "microvm");
    check_xpath(text, "string(/capabilities/guest/arch/machine/@maxCpus)", "254");
    check_xpath(text, "string(/capabilities/guest/arch/domain/@type)", "kvm");
}

/* Without KVM there is nothing to offer. */
static void test_bare_host(void)
{
    g_autofree char *text = caps_format(&bare_host);

    check_schema(text, SCHEMAS "capability.rng");
    check_xpath(text, "count(/capabilities/guest)", "0");
    check_xpath(text, "count(/capabilities/host/cpu)", "1");
}

static void test_domain(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = domain_caps_format(&host, NULL, NULL, NULL, NULL, &error);
    g_autofree char *same =
        domain_caps_format(&host, "/usr/bin/vole", "x86_64", "microvm", "kvm", &error);

    check_str(text, same);
    check_str(error ? error->message : NULL, NULL);
    check_schema(text, SCHEMAS "domaincaps.rng");
    check_xpath(text, "string(/domainCapabilities/path)", "/usr/bin/vole");
    check_xpath(text, "string(/domainCapabilities/vcpu/@max)", "254");
    check_xpath(text, "string(//os/loader/@supported)", "no");
    check_xpath(text, "string(//cpu/mode[@name='host-passthrough']/@supported)", "yes");
    check_xpath(text, "string(//cpu/mode[@name='host-model']/@supported)", "yes");
    check_xpath(text, "string(//cpu/mode[@name='host-model']/model)", "EPYC");
    check_xpath(text, "string(//cpu/mode[@name='host-model']/feature[@policy='disable']/@name)",
                "avx");
    check_xpath(text, "string(//cpu/mode[@name='custom']/@supported)", "no");
    check_xpath(text, "string(//iothreads/@supported)", "yes");
    check_xpath(text, "count(//memoryBacking/enum[@name='sourceType']/value)", "2");
    check_xpath(text, "count(//devices/channel/enum[@name='type']/value)", "4");
    check_xpath(text, "count(//devices/rng/enum[@name='backendModel']/value)", "2");
    check_xpath(text, "string(//devices/disk/enum[@name='bus'])", "\n        virtio\n      ");
    check_xpath(text, "string(//devices/graphics/@supported)", "no");
    check_xpath(text, "string(//devices/rng/@supported)", "yes");
}

/* virt-manager looks for a model's name wherever host-model is offered. */
static void test_unknown_model(void)
{
    struct host_caps unnamed = host;
    g_autofree char *text = NULL;

    unnamed.host_model.model = NULL;
    text = domain_caps_format(&unnamed, NULL, NULL, NULL, NULL, NULL);
    check_schema(text, SCHEMAS "domaincaps.rng");
    check_xpath(text, "string(//cpu/mode[@name='host-model']/@supported)", "no");
    check_xpath(text, "count(//cpu/mode[@name='host-model']/*)", "0");
}

static void check_wish(const struct host_caps *of, const char *emulator, const char *arch,
                       const char *machine, const char *virttype, const char *want)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *message = NULL;

    check_str(domain_caps_format(of, emulator, arch, machine, virttype, &error), NULL);
    message = error ? libvirt_error_message(error) : NULL;
    check_str(message, want);
}

static void test_domain_refused(void)
{
    check_wish(&host, NULL, NULL, NULL, "qemu",
               "invalid argument: virttype 'qemu' is not served; it must be 'kvm'");
    check_wish(&host, NULL, "aarch64", NULL, NULL,
               "invalid argument: architecture 'aarch64' is not served on this host; it must be "
               "'x86_64'");
    check_wish(&host, NULL, NULL, "q35", NULL,
               "invalid argument: machine 'q35' is not served; it must be 'microvm'");
    check_wish(&host, "/usr/bin/qemu", NULL, NULL, NULL,
               "invalid argument: '/usr/bin/qemu' is not the emulator; that is '/usr/bin/vole'");
    check_wish(&bare_host, NULL, NULL, NULL, NULL,
               "invalid argument: KVM is not usable on this host: /dev/kvm cannot be opened");
}

int main(void)
{
    int rc = tap_run((struct tap_test[]){TAP(test_host),
                                         TAP(test_bare_host),
                                         TAP(test_domain),
                                         TAP(test_unknown_model),
                                         TAP(test_domain_refused),
                                         {}});

    xmlRelaxNGCleanupTypes();
    xmlCleanupParser();
    return rc;
}
