/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domain XML against tests/golden/. Each NAME.xml there is one test point:
 *
 *     NAME.xml       what a client sends
 *     NAME.out.xml   the definition as it is kept and shown
 *     NAME.json      the machine document of a start
 *     NAME.live.xml  the XML while it runs; only compared where the file is there
 *     NAME.err       for bad-*.xml, instead of these: "code: message" of the refusal
 *
 * Besides, whatever is written has to be read back as the same, alive and defined anew, and to be
 * valid by libvirt's own schema. VOLE_REGENERATE=1 writes the expected files anew instead of
 * comparing (an empty NAME.live.xml asks for one); whether a file is to be refused is said by its
 * name alone, so that a mistake cannot regenerate itself into an expectation.
 */
#include <glib.h>
#include <libvirt/libvirt.h>
#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <stdlib.h>

#include "tests/unit/tap.h"
#include "xml/domain.h"
#include "xml/launch.h"

#define GOLDEN_DIR TOP_SRCDIR "/tests/golden"
#define SCHEMA     "/usr/share/libvirt/schemas/domain.rng"
#define LIVE_ID    7

static GPtrArray *cases; /* names, sorted */
static guint at;         /* the one whose turn it is */
static bool regenerate;
static xmlRelaxNG *schema; /* NULL where libvirt's schema is not installed */

static char *path_of(const char *name, const char *suffix)
{
    return g_strconcat(GOLDEN_DIR "/", name, suffix, NULL);
}

/* Takes over `text`. */
static char *replaced(char *text, const char *old, const char *new)
{
    g_auto(GStrv) parts = g_strsplit(text, old, -1);

    g_free(text);
    return g_strjoinv(new, parts);
}

/* The files are about an x86_64 machine; the same is expected of any other one. Takes over `text`.
 */
static char *for_this_architecture(char *text)
{
    const struct domain_arch *arch = domain_arch_find(VOLE_ARCH);
    g_autofree char *most = g_strdup_printf("type limit %u", arch->max_vcpus);
    g_autofree char *model = g_strdup_printf("<model name='%s'/>", arch->serial_model);
    g_autofree char *of_model = g_strdup_printf("of model %s", arch->serial_model);
    char *here = replaced(text, "x86_64", VOLE_ARCH);

    here = replaced(here, "<model name='isa-serial'/>", model);
    here = replaced(here, "of model isa-serial", of_model);
    here = replaced(here, "isa-serial", arch->serial_type);
    return replaced(here, "type limit 254", most);
}

static char *read_golden(const char *name, const char *suffix)
{
    g_autofree char *path = path_of(name, suffix);
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, &error);
    check_str(error ? error->message : NULL, NULL);
    return text ? for_this_architecture(text) : NULL;
}

/* Tells of the first line that differs. */
static void compare(const char *what, const char *got, const char *want)
{
    g_auto(GStrv) got_lines = g_strsplit(got, "\n", -1);
    g_auto(GStrv) want_lines = g_strsplit(want, "\n", -1);
    guint i = 0;

    if (strcmp(got, want) == 0)
        return;
    while (got_lines[i] && want_lines[i] && strcmp(got_lines[i], want_lines[i]) == 0)
        i++;
    printf("# %s, line %u\n", what, i + 1);
    check_str(got_lines[i], want_lines[i]);
}

static void check_golden(const char *name, const char *suffix, const char *text)
{
    g_autofree char *path = path_of(name, suffix);
    g_autofree char *want = NULL;

    if (regenerate) {
        check(g_file_set_contents(path, text, -1, NULL));
        return;
    }
    want = read_golden(name, suffix);
    if (want)
        compare(path, text, want);
}

static void check_schema(const char *text)
{
    xmlRelaxNGValidCtxt *ctxt;
    xmlDoc *doc;

    if (!schema)
        return;
    doc = xmlReadMemory(text, (int)strlen(text), "written.xml", NULL,
                        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    ctxt = xmlRelaxNGNewValidCtxt(schema);
    if (!check_int(xmlRelaxNGValidateDoc(ctxt, doc), 0))
        printf("# not valid by %s (the reasons are on standard error)\n", SCHEMA);
    xmlRelaxNGFreeValidCtxt(ctxt);
    xmlFreeDoc(doc);
}

static domain_def *parse(const char *text, unsigned flags)
{
    g_autoptr(GError) error = NULL;
    domain_def *def = domain_def_parse(text, strlen(text), flags, &error);

    check_str(error ? error->message : NULL, NULL);
    return def;
}

/* `text` is read and written with these flags, and comes out the same. */
static void check_fixed_point(const char *text, unsigned parse_flags, unsigned format_flags)
{
    g_autoptr(domain_def) def = parse(text, parse_flags);
    g_autoptr(domain_def) copy = def ? domain_def_copy(def) : NULL;
    g_autofree char *again = def ? domain_def_format(def, format_flags) : NULL;
    g_autofree char *copied = def ? domain_def_format(copy, format_flags) : NULL;

    if (!def)
        return;
    compare("written again", again, text);
    compare("written from a copy", copied, text);
}

static void make_chardev_live(struct domain_chardev *source, unsigned *terminals)
{
    if (source->type == DOMAIN_CHARDEV_PTY)
        source->path = g_strdup_printf("/dev/pts/%u", (*terminals)++);
}

/* By the network's name: what becomes of an interface in it. */
static void make_network_live(struct domain_net *net)
{
    net->port_id = g_strdup("5a6b7c8d-0000-4000-8000-000000000001");
    if (strcmp(net->network, "macvtaps") == 0) {
        net->dev = g_strdup("eth0");
        net->mode = DOMAIN_DIRECT_BRIDGE;
        return;
    }
    net->host_bridge = strcmp(net->network, "host-bridge") == 0;
    net->bridge = g_strdup(net->host_bridge ? "br0" : "virbr0");
}

/* What the daemon fills in when it starts a domain. */
static void make_live(domain_def *def)
{
    unsigned terminals = 0;

    def->id = LIVE_ID;
    domain_def_assign_aliases(def);
    for (guint i = 0; i < def->nets->len; i++) {
        struct domain_net *net = domain_net_at(def, i);

        if (!net->target && net->type != DOMAIN_NET_USER)
            net->target =
                g_strdup_printf("%s%u", net->type == DOMAIN_NET_DIRECT ? "macvtap" : "vnet", i);
        if (net->type == DOMAIN_NET_NETWORK)
            make_network_live(net);
    }
    for (guint i = 0; i < def->disks->len; i++) {
        struct domain_disk *disk = domain_disk_at(def, i);

        if (disk->type == DOMAIN_DISK_VOLUME)
            disk->source = g_strconcat("/var/lib/libvirt/images/", disk->volume, NULL);
    }
    for (guint i = 0; i < def->serials->len; i++)
        make_chardev_live(&domain_serial_at(def, i)->source, &terminals);
    for (guint i = 0; i < def->consoles->len; i++)
        make_chardev_live(&domain_console_at(def, i)->source, &terminals);
    for (guint i = 0; i < def->channels->len; i++) {
        struct domain_channel *channel = domain_channel_at(def, i);

        make_chardev_live(&channel->source, &terminals);
        channel->state = i ? DOMAIN_CHANNEL_DISCONNECTED : DOMAIN_CHANNEL_CONNECTED;
        if (!channel->source.path && channel->source.type == DOMAIN_CHARDEV_UNIX)
            channel->source.path = domain_channel_make_path("/run/vole", def, channel);
    }
    for (guint i = 0; i < def->vsocks->len; i++)
        if (!domain_vsock_at(def, i)->cid)
            domain_vsock_at(def, i)->cid = 1000 + LIVE_ID;
}

/* dumpxml | define: live data goes away, and what was defined remains. */
static void check_redefined(const char *live, const char *defined)
{
    g_autoptr(domain_def) def = parse(live, DOMAIN_PARSE_DEFINITION);
    g_autofree char *again = def ? domain_def_format(def, 0) : NULL;

    if (def)
        compare("live XML defined anew", again, defined);
}

static void check_alive(const char *name, domain_def *def, const char *defined)
{
    g_autofree char *live_path = path_of(name, ".live.xml");
    g_autofree char *live = NULL;
    g_autofree char *inactive = NULL;
    g_autofree char *document = NULL;
    g_autoptr(GError) error = NULL;
    const char *nets[DOMAIN_MAX_NETS] = {NULL};
    const struct launch_sources sources = {.nets = nets};

    make_live(def);
    for (guint i = 0; i < def->nets->len; i++)
        if (domain_net_at(def, i)->type == DOMAIN_NET_USER)
            nets[i] = "fd:9"; /* a socket has no name */
    live = domain_def_format(def, 0);
    if (g_file_test(live_path, G_FILE_TEST_EXISTS))
        check_golden(name, ".live.xml", live);
    check_fixed_point(live, DOMAIN_PARSE_LIVE, 0);
    check_schema(live);
    check_redefined(live, defined);

    inactive = domain_def_format(def, VIR_DOMAIN_XML_INACTIVE);
    compare("inactive XML of a running domain", inactive, defined);

    if (!def->os.kernel) {
        check(!launch_document(def, &sources, 0, &error));
        return;
    }
    document = launch_document(def, &sources, 0, &error);
    check_str(error ? error->message : NULL, NULL);
    if (document)
        check_golden(name, ".json", document);
}

static void test_accepted(const char *name, const char *text)
{
    g_autoptr(domain_def) def = parse(text, DOMAIN_PARSE_DEFINITION);
    g_autofree char *defined = NULL;

    if (!def)
        return;
    defined = domain_def_format(def, VIR_DOMAIN_XML_INACTIVE);
    check_golden(name, ".out.xml", defined);
    check_fixed_point(defined, DOMAIN_PARSE_DEFINITION, 0);
    check_schema(defined);
    check_alive(name, def, defined);
}

/* After "(domain_definition):LINE: " come libxml2's own words, which are not the same everywhere.
 */
static void cut_parsers_words(char *message)
{
    char *words = strstr(message, ": ");

    check(words != NULL);
    if (words)
        words[1] = '\0';
}

static void test_refused(const char *name, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(domain_def) def =
        domain_def_parse(text, strlen(text), DOMAIN_PARSE_DEFINITION, &error);
    g_autofree char *message = NULL;
    g_autofree char *line = NULL;

    if (!check(!def) || !check(error != NULL))
        return;
    message = libvirt_error_message(error);
    check(!strchr(message, '\n'));
    if (libvirt_error_code(error) == VIR_ERR_XML_DETAIL)
        cut_parsers_words(message);
    line = g_strdup_printf("%d: %s\n", (int)libvirt_error_code(error), message);
    check_golden(name, ".err", line);
}

static void test_case(void)
{
    const char *name = g_ptr_array_index(cases, at++);
    g_autofree char *text = read_golden(name, ".xml");

    if (!text)
        return;
    if (g_str_has_prefix(name, "bad-"))
        test_refused(name, text);
    else
        test_accepted(name, text);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool find_cases(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(GOLDEN_DIR, 0, &error);
    const char *file;

    if (!dir) {
        fprintf(stderr, "%s\n", error->message);
        return false;
    }
    cases = g_ptr_array_new_with_free_func(g_free);
    while ((file = g_dir_read_name(dir)))
        if (g_str_has_suffix(file, ".xml") && !g_str_has_suffix(file, ".out.xml") &&
            !g_str_has_suffix(file, ".live.xml"))
            g_ptr_array_add(cases, g_strndup(file, strlen(file) - strlen(".xml")));
    g_ptr_array_sort(cases, compare_names);
    return cases->len > 0;
}

static void load_schema(void)
{
    xmlRelaxNGParserCtxt *ctxt = xmlRelaxNGNewParserCtxt(SCHEMA);

    schema = ctxt ? xmlRelaxNGParse(ctxt) : NULL;
    xmlRelaxNGFreeParserCtxt(ctxt);
}

static void test_schema(void)
{
    if (!g_file_test(SCHEMA, G_FILE_TEST_EXISTS))
        tap_skip("libvirt's schema is not installed");
    else
        check(schema != NULL);
}

int main(void)
{
    struct tap_test *tests;
    int rc;

    if (!find_cases())
        return 99;
    regenerate = getenv("VOLE_REGENERATE") != NULL;
    load_schema();
    tests = g_new0(struct tap_test, cases->len + 2);
    tests[0] = (struct tap_test)TAP(test_schema);
    for (guint i = 0; i < cases->len; i++)
        tests[i + 1] = (struct tap_test){g_ptr_array_index(cases, i), test_case};
    rc = tap_run(tests);
    xmlRelaxNGFree(schema);
    xmlRelaxNGCleanupTypes();
    g_free(tests);
    g_ptr_array_unref(cases);
    return rc;
}
