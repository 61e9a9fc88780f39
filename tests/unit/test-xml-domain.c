/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Definitions, as far as tests/golden cannot say it: what is made at random, and how they start. */
#include <glib.h>
#include <jansson.h>
#include <libxml/parser.h>

#include "tests/unit/tap.h"
#include "xml/domain.h"
#include "xml/domain_priv.h"
#include "xml/launch.h"

#define HEAD                                                                    \
    "<domain type='kvm'><name>a</name><memory unit='MiB'>64</memory><os><type>" \
    "hvm</type><kernel>/k</kernel><initrd>/i</initrd></os><devices>"
#define TAIL "</devices></domain>"

static domain_def *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    domain_def *def = domain_def_parse(text, strlen(text), DOMAIN_PARSE_DEFINITION, &error);

    check_str(error ? error->message : NULL, NULL);
    return def;
}

static void test_uuid(void)
{
    static const char *const good[] = {
        "6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11",
        "6F1C3AD25B5E4A559E0C0D9F3B6B8F11",
        " \n6f1c3ad2 5b5e 4a55--9e0c 0d9f3b6b8f11 \n",
    };
    static const char *const bad[] = {
        "",
        "-",
        "6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f1",
        "6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f1-1",
        "6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f1111",
        "6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11 x",
        "6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8fgg",
    };
    uint8_t uuid[DOMAIN_UUID_BYTES];
    char text[DOMAIN_UUID_TEXT];

    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        check(domain_uuid_parse(good[i], uuid));
        domain_uuid_format(uuid, text);
        check_str(text, good[0]);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
        if (!check(!domain_uuid_parse(bad[i], uuid)))
            printf("# '%s'\n", bad[i]);
}

static void test_disk_names(void)
{
    static const char *const bad[] = {"",    "v",    "vd",    "vda1",      "vdA",
                                      "hda", "vd a", "vdaaa", "vd\303\251"};

    check_int(domain_disk_index("vda"), 0);
    check_int(domain_disk_index("vdz"), 25);
    check_int(domain_disk_index("vdaa"), 26);
    check_int(domain_disk_index("vdzz"), 701);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
        if (!check_int(domain_disk_index(bad[i]), -1))
            printf("# '%s'\n", bad[i]);
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    while (len && bytes[len - 1] == 0)
        len--;
    return len == 0;
}

/* What a definition does not say is made once, and then stays. */
static void test_made_at_random(void)
{
    static const char xml[] = HEAD "<interface type='ethernet'/><interface type='ethernet'/>" TAIL;
    g_autoptr(domain_def) first = parse(xml);
    g_autoptr(domain_def) second = parse(xml);

    if (!first || !second)
        return;
    check(!is_zero(first->uuid, sizeof(first->uuid)));
    check(memcmp(first->uuid, second->uuid, sizeof(first->uuid)) != 0);
    check_int(first->uuid[6] >> 4, 4);
    check_int(first->uuid[8] >> 6, 2);
    for (unsigned i = 0; i < first->nets->len; i++) {
        static const uint8_t prefix[] = {0x52, 0x54, 0x00};

        check(memcmp(domain_net_at(first, i)->mac, prefix, sizeof(prefix)) == 0);
    }
    check(memcmp(domain_net_at(first, 0)->mac, domain_net_at(first, 1)->mac, 6) != 0);

    g_autofree char *text = domain_def_format(first, 0);
    g_autoptr(domain_def) again = parse(text);

    if (!again)
        return;
    check(memcmp(first->uuid, again->uuid, sizeof(first->uuid)) == 0);
    check(memcmp(domain_net_at(first, 1)->mac, domain_net_at(again, 1)->mac, 6) == 0);
}

/* Aliases of the disks follow their names and not their order, as libvirt's do. */
static void test_aliases(void)
{
    g_autoptr(domain_def) def =
        parse(HEAD "<disk><source file='/c'/><target dev='vdc'/></disk>"
                   "<disk><source file='/a'/><target dev='vda'/><alias name='ua-a'/></disk>"
                   "<interface type='ethernet'/><console/><console><target type='virtio'/>"
                   "</console><rng model='virtio'><backend model='random'/></rng>" TAIL);

    if (!def)
        return;
    check_str(domain_disk_at(def, 1)->info.alias, NULL);
    for (int times = 0; times < 2; times++)
        domain_def_assign_aliases(def);
    check_str(domain_disk_at(def, 0)->info.alias, "ua-a");
    check_str(domain_disk_at(def, 1)->info.alias, "virtio-disk2");
    check_str(domain_net_at(def, 0)->info.alias, "net0");
    check_str(domain_serial_at(def, 0)->info.alias, "serial0");
    check_str(domain_console_at(def, 0)->info.alias, "console1");
    check_str(domain_rng_at(def, 0)->info.alias, "rng0");
}

/* An id that a client sends is nobody's; the one in a status file is the domain's. */
static void test_ids(void)
{
    static const char xml[] = "<domain type='kvm' id='5'><name>a</name><memory>65536</memory>"
                              "<os><type>hvm</type><kernel>/k</kernel></os></domain>";
    static const char huge[] = "<domain type='kvm' id='4294967295'/>";
    g_autoptr(domain_def) defined = parse(xml);
    g_autoptr(domain_def) live = domain_def_parse(xml, strlen(xml), DOMAIN_PARSE_LIVE, NULL);
    g_autoptr(GError) error = NULL;

    check(defined && defined->id == -1);
    check(live && live->id == 5);
    check(!domain_def_parse(huge, strlen(huge), DOMAIN_PARSE_LIVE, &error));
    check(error && libvirt_error_code(error) == VIR_ERR_XML_ERROR);
}

/* ---- the machine document ---- */

static const char devices[] =
    HEAD "<disk><source file='/a'/><target dev='vda'/></disk>"
         "<disk><source file='/b'/><target dev='vdb'/></disk>"
         "<interface type='ethernet'><target dev='tap0'/></interface><console/>"
         "<console type='null'><target type='virtio'/></console>"
         "<rng model='virtio'><backend model='random'/></rng>" TAIL;

static json_t *launch(const domain_def *def, const struct launch_sources *sources, unsigned flags)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = launch_document(def, sources, flags, &error);

    check_str(error ? error->message : NULL, NULL);
    return text ? json_loads(text, 0, NULL) : NULL;
}

static const char *string_at(json_t *root, const char *array, size_t i, const char *key)
{
    return json_string_value(json_object_get(json_array_get(json_object_get(root, array), i), key));
}

static void test_launch_sources(void)
{
    static const char *const disks[] = {"fd:5", NULL};
    static const char *const nets[] = {"fd:6"};
    static const char *const consoles[] = {"fd:7"};
    static const char *const qmp[] = {"fd:8", "unix:/m", NULL};
    const struct launch_sources sources = {.kernel = "fd:3",
                                           .initrd = "fd:4",
                                           .disks = disks,
                                           .nets = nets,
                                           .serial = "fd:9",
                                           .consoles = consoles,
                                           .rng = "fd:10",
                                           .kvm = "fd:11",
                                           .qmp = qmp};
    g_autoptr(domain_def) def = parse(devices);
    json_t *root = def ? launch(def, &sources, LAUNCH_PAUSED) : NULL;
    json_t *boot = json_object_get(root, "boot");

    check_str(json_string_value(json_object_get(boot, "kernel")), "fd:3");
    check_str(json_string_value(json_object_get(boot, "initrd")), "fd:4");
    check_str(string_at(root, "disks", 0, "source"), "fd:5");
    check_str(string_at(root, "disks", 1, "source"), "/b");
    check_str(string_at(root, "nets", 0, "tap"), "fd:6");
    check_str(string_at(root, "consoles", 0, "chardev"), "fd:7");
    check_str(json_string_value(json_object_get(root, "serial")), "fd:9");
    check_str(json_string_value(json_object_get(json_object_get(root, "rng"), "source")), "fd:10");
    check_str(json_string_value(json_object_get(root, "kvm")), "fd:11");
    check_int(json_array_size(json_object_get(root, "qmp")), 2);
    check_str(json_string_value(json_array_get(json_object_get(root, "qmp"), 1)), "unix:/m");
    check(json_is_true(json_object_get(root, "paused")));
    json_decref(root);
}

static void test_launch_without_tap(void)
{
    g_autoptr(domain_def) def =
        parse(HEAD "<interface type='bridge'><source bridge='br0'/></interface>" TAIL);
    g_autoptr(GError) error = NULL;

    if (!def)
        return;
    check(!launch_document(def, NULL, 0, &error));
    check_int(libvirt_error_code(error), VIR_ERR_INTERNAL_ERROR);
    check_str(error->message, "interface 0 has no tap device");
}

/* What a start has to supply, and did not. */
static void test_launch_incomplete(void)
{
    static const struct {
        const char *device;
        const char *message;
    } cases[] = {
        {"<channel type='unix'><target type='virtio' name='a'/></channel>",
         "channel 'a' has no socket"},
        {"<vsock/>", "the vsock device has no address"},
        {"<interface type='network'><source network='n'/></interface>",
         "interface 0 has no tap device"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *xml = g_strconcat(HEAD, cases[i].device, TAIL, NULL);
        g_autoptr(domain_def) def = parse(xml);
        g_autoptr(GError) error = NULL;

        if (!def)
            continue;
        check(!launch_document(def, NULL, 0, &error));
        check_int(error ? libvirt_error_code(error) : VIR_ERR_OK, VIR_ERR_INTERNAL_ERROR);
        check_str(error ? error->message : NULL, cases[i].message);
    }
}

static void test_launch_more_sources(void)
{
    static const char *const nets[] = {"fd:3:4"};
    static const char *const vhosts[] = {"fd:5:6"};
    static const char *const channels[] = {"fd:7", NULL};
    const struct launch_sources sources = {
        .nets = nets, .vhosts = vhosts, .channels = channels, .vsock = "fd:8"};
    g_autoptr(domain_def) def =
        parse(HEAD "<interface type='network'><source network='n'/><driver queues='2'/></interface>"
                   "<channel type='unix'><target type='virtio' name='a'/></channel>"
                   "<channel type='pty'><target type='virtio' name='b'/></channel>"
                   "<vsock><cid address='9'/></vsock>" TAIL);
    json_t *root = def ? launch(def, &sources, 0) : NULL;
    json_t *vsock = json_object_get(root, "vsock");

    check_str(string_at(root, "nets", 0, "tap"), "fd:3:4");
    check_str(string_at(root, "nets", 0, "vhost_fds"), "fd:5:6");
    check_str(string_at(root, "ports", 0, "chardev"), "fd:7");
    check_str(string_at(root, "ports", 1, "chardev"), "pty");
    check_str(json_string_value(json_object_get(vsock, "vhost")), "fd:8");
    check_int(json_integer_value(json_object_get(vsock, "cid")), 9);
    json_decref(root);
}

/* A socket that the driver made has a name by which it is known again. */
static void test_channel_paths(void)
{
    g_autoptr(domain_def) def =
        parse(HEAD "<channel type='unix'><target type='virtio' name='a.0'/></channel>" TAIL);
    g_autofree char *path = NULL;

    if (!def)
        return;
    struct domain_channel *channel = domain_channel_at(def, 0);

    g_free(def->name);
    def->name = g_strdup("a name of more than twenty characters");
    def->id = 12;
    check(!domain_channel_path_is_users(channel));
    path = domain_channel_make_path("/run/libvirt/vole", def, channel);
    check_str(path, "/run/libvirt/vole/channel/target/domain-12-a name of more than /a.0");
    channel->source.path = g_strdup(path);
    check(!domain_channel_path_is_users(channel));
    channel->name[0] = 'b';
    check(domain_channel_path_is_users(channel));
}

static void check_change(domain_def *def, int code)
{
    g_autoptr(GError) error = NULL;

    check(domain_def_check(def, &error) == (code == VIR_ERR_OK));
    check_int(error ? libvirt_error_code(error) : VIR_ERR_OK, code);
}

/* Changes of a definition that would not be read again. */
static void test_changes_checked(void)
{
    g_autoptr(domain_def) def = parse(HEAD TAIL);

    if (!def)
        return;
    check_change(def, VIR_ERR_OK);
    def->id = 3;
    check_change(def, VIR_ERR_OK);
    def->title = g_strdup("a\001b");
    check_change(def, VIR_ERR_XML_DETAIL);
    g_clear_pointer(&def->title, g_free);
    def->vcpus = 2;
    check_change(def, VIR_ERR_CONFIG_UNSUPPORTED);
    def->vcpus = 1;
    def->cpu.sockets = 1;
    def->cpu.cores = 2;
    def->cpu.threads = 1;
    check_change(def, VIR_ERR_CONFIG_UNSUPPORTED);
    def->cpu.cores = 1;
    check_change(def, VIR_ERR_OK);
}

static void test_genid_made(void)
{
    static const char xml[] = "<domain type='kvm'><name>a</name><memory>65536</memory><genid/>"
                              "<os><type>hvm</type><kernel>/k</kernel></os></domain>";
    g_autoptr(domain_def) first = parse(xml);
    g_autoptr(domain_def) second = parse(xml);

    if (!first || !second)
        return;
    check(first->has_genid);
    check(memcmp(first->genid, second->genid, sizeof(first->genid)) != 0);
}

/* A path is bytes, a document is UTF-8: such a source is told of, and not left out. */
static void test_launch_not_utf8(void)
{
    static const char *const qmp[] = {"unix:/m\377", NULL};
    const struct launch_sources in_array = {.qmp = qmp};
    const struct launch_sources alone = {.kernel = "/k\377"};
    const struct launch_sources *const sources[] = {&in_array, &alone};
    g_autoptr(domain_def) def = parse(devices);

    for (unsigned i = 0; def && i < G_N_ELEMENTS(sources); i++) {
        g_autoptr(GError) error = NULL;

        check(!launch_document(def, sources[i], 0, &error));
        check_int(error ? libvirt_error_code(error) : VIR_ERR_OK, VIR_ERR_INTERNAL_ERROR);
    }
}

int main(void)
{
    int rc = tap_run((struct tap_test[]){TAP(test_uuid),
                                         TAP(test_disk_names),
                                         TAP(test_made_at_random),
                                         TAP(test_aliases),
                                         TAP(test_ids),
                                         TAP(test_launch_sources),
                                         TAP(test_launch_without_tap),
                                         TAP(test_launch_incomplete),
                                         TAP(test_launch_more_sources),
                                         TAP(test_launch_not_utf8),
                                         TAP(test_channel_paths),
                                         TAP(test_changes_checked),
                                         TAP(test_genid_made),
                                         {}});

    xmlCleanupParser();
    return rc;
}
