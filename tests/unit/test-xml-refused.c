/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list of elements that are refused by name (docs/domain-xml.md, "What is refused") against the
 * parser: each is put where the list says that it belongs, and has to be refused with a reason of
 * its own, at that place.
 */
#include <glib.h>
#include <libxml/parser.h>

#include "tests/unit/tap.h"
#include "xml/domain.h"

#define PAGE      TOP_SRCDIR "/docs/domain-xml.md"
#define LIST      "\n## What is refused\n"
#define END       "\n\nElements and attributes"
#define NAMES_MIN 70 /* as many are in the list at the least */

#define OS     "<os><type>hvm</type><kernel>/k</kernel>"
#define DOMAIN "<domain type='kvm'><name>a</name><memory unit='MiB'>64</memory>"
#define DISK   DOMAIN OS "</os><devices><disk><source file='/a'/><target dev='vda'/>"

/* What comes before an element of such a parent. What would follow is never read. */
static const struct {
    const char *parent;
    const char *before;
} places[] = {
    {"the domain", DOMAIN},
    {"`os`", DOMAIN OS},
    {"`features`", DOMAIN "<features>"},
    {"`cpu`", DOMAIN "<cpu mode='host-passthrough'>"},
    {"`cputune`", DOMAIN "<cputune>"},
    {"`memtune`", DOMAIN "<memtune>"},
    {"`numatune`", DOMAIN "<numatune>"},
    {"`devices`", DOMAIN "<devices>"},
    {"`disk`", DISK},
    {"`iotune`", DISK "<iotune>"},
    {"`interface`", DOMAIN "<devices><interface type='ethernet'>"},
    {"`serial`", DOMAIN "<devices><serial>"},
    {"`console`", DOMAIN "<devices><console>"},
    {"`channel`", DOMAIN "<devices><channel>"},
    {"`rng`", DOMAIN "<devices><rng model='virtio'>"},
    {"`memballoon`", DOMAIN "<devices><memballoon model='virtio'>"},
    {"`vsock`", DOMAIN "<devices><vsock>"},
    {"`controller`", DOMAIN "<devices><controller type='virtio-serial'>"},
    {"a bus's `controller`", DOMAIN "<devices><controller type='pci'>"},
    {"`graphics`", DOMAIN "<devices><graphics type='vnc'>"},
    {"`video`", DOMAIN "<devices><video>"},
    {"`sysinfo`", DOMAIN "<sysinfo type='smbios'>"},
};

/* Ends of all elements that are open in `before`. */
static void append_ends(GString *xml, const char *before)
{
    g_autoptr(GPtrArray) open = g_ptr_array_new_with_free_func(g_free);

    for (const char *at = strchr(before, '<'); at; at = strchr(at + 1, '<')) {
        const char *end = strchr(at, '>');

        if (at[1] == '/')
            g_ptr_array_remove_index(open, open->len - 1);
        else if (end[-1] != '/')
            g_ptr_array_add(open, g_strndup(at + 1, strcspn(at + 1, " >")));
    }
    for (guint i = open->len; i > 0; i--)
        g_string_append_printf(xml, "</%s>", (char *)g_ptr_array_index(open, i - 1));
}

static void check_refused(const char *before, const char *parent, const char *name)
{
    g_autoptr(GString) xml = g_string_new(before);
    g_autofree char *tag = g_strdup_printf("<%s> (line 1): ", name);
    g_autoptr(GError) error = NULL;

    g_string_append_printf(xml, "<%s/>", name);
    append_ends(xml, before);
    g_autoptr(domain_def) def =
        domain_def_parse(xml->str, xml->len, DOMAIN_PARSE_DEFINITION, &error);
    bool ok = !def && libvirt_error_code(error) == VIR_ERR_CONFIG_UNSUPPORTED &&
              strstr(error->message, tag) && !strstr(error->message, "is not understood");

    if (!check(ok))
        printf("# %s of %s: %s\n", name, parent, error ? error->message : "accepted");
}

/* "- of `cpu`: `cache`, `model`", whose lines have been joined. Returns how many names it has. */
static unsigned check_item(const char *item)
{
    const char *colon = strchr(item, ':');
    g_autofree char *parent = g_strndup(item, colon ? (gsize)(colon - item) : 0);
    const char *before = NULL;
    unsigned count = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++)
        if (strcmp(places[i].parent, parent) == 0)
            before = places[i].before;
    if (!check(before != NULL)) {
        printf("# no place for: %s\n", item);
        return 0;
    }
    g_auto(GStrv) parts = g_strsplit(colon, "`", -1);

    for (unsigned i = 1; parts[i - 1] && parts[i]; i += 2, count++)
        check_refused(before, parent, parts[i]);
    return count;
}

static void test_list(void)
{
    g_autofree char *page = NULL;
    unsigned items = 0;
    unsigned names = 0;

    if (!check(g_file_get_contents(PAGE, &page, NULL, NULL)))
        return;
    char *list = strstr(page, LIST);
    char *end = list ? strstr(list, END) : NULL;

    if (!check(end != NULL))
        return;
    *end = '\0';
    g_auto(GStrv) parts = g_strsplit(list, "\n- of ", -1);

    for (char **part = parts + 1; *part; part++, items++)
        names += check_item(g_strdelimit(*part, "\n", ' '));
    check_int(items, G_N_ELEMENTS(places));
    if (!check(names >= NAMES_MIN))
        printf("# %u names\n", names);
}

int main(void)
{
    int rc = tap_run((struct tap_test[]){TAP(test_list), {}});

    xmlCleanupParser();
    return rc;
}
