/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/launch.h"

#include <jansson.h>

typedef json_t json_value;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(json_value, json_decref)

#define DOCUMENT_VERSION 1
#define PAGE_SIZE_KIB    4

/* Where there is a value; a key without one is left out of the document. Text that is not UTF-8 is
 * found when the document is written. */
static void set_string(json_t *object, const char *key, const char *value)
{
    if (value)
        json_object_set_new(object, key, json_string_nocheck(value));
}

static const char *entry(const char *const *sources, unsigned i, const char *otherwise)
{
    return sources && sources[i] ? sources[i] : otherwise;
}

/* docs/machine-config.md calls this a chardev. */
static char *chardev_source(const struct domain_chardev *source)
{
    switch (source->type) {
    case DOMAIN_CHARDEV_PTY:
        return g_strdup("pty");
    case DOMAIN_CHARDEV_FILE:
        return g_strconcat("file:", source->path, NULL);
    case DOMAIN_CHARDEV_UNIX:
        return g_strconcat("unix:", source->path, NULL);
    case DOMAIN_CHARDEV_NULL:
        break;
    }
    return g_strdup("null");
}

static json_t *boot_json(const domain_def *def, const struct launch_sources *sources)
{
    json_t *boot = json_object();

    set_string(boot, "kernel", sources->kernel ? sources->kernel : def->os.kernel);
    if (def->os.initrd)
        set_string(boot, "initrd", sources->initrd ? sources->initrd : def->os.initrd);
    set_string(boot, "cmdline", def->os.cmdline);
    return boot;
}

static json_t *disks_json(const domain_def *def, const struct launch_sources *sources)
{
    json_t *disks = json_array();

    for (unsigned i = 0; i < def->disks->len; i++) {
        const struct domain_disk *disk = domain_disk_at(def, i);
        json_t *object = json_object();

        set_string(object, "id", disk->info.alias);
        set_string(object, "source", entry(sources->disks, i, disk->source));
        json_object_set_new(object, "readonly", json_boolean(disk->readonly));
        set_string(object, "serial", disk->serial);
        json_array_append_new(disks, object);
    }
    return disks;
}

static json_t *nets_json(const domain_def *def, const struct launch_sources *sources,
                         GError **error)
{
    g_autoptr(json_value) nets = json_array();

    for (unsigned i = 0; i < def->nets->len; i++) {
        const struct domain_net *net = domain_net_at(def, i);
        const char *tap = entry(sources->nets, i, net->target);
        json_t *object = json_object();
        char mac[18];

        json_array_append_new(nets, object);
        if (!tap) {
            libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "interface %u has no tap device", i);
            return NULL;
        }
        domain_mac_format(net->mac, mac);
        set_string(object, "id", net->info.alias);
        set_string(object, "tap", tap);
        set_string(object, "mac", mac);
    }
    return g_steal_pointer(&nets);
}

static json_t *consoles_json(const domain_def *def, const struct launch_sources *sources)
{
    json_t *consoles = json_array();

    for (unsigned i = 0; i < def->consoles->len; i++) {
        const struct domain_console *console = domain_console_at(def, i);
        g_autofree char *own = chardev_source(&console->source);
        json_t *object = json_object();

        set_string(object, "id", console->info.alias);
        set_string(object, "chardev", entry(sources->consoles, i, own));
        json_array_append_new(consoles, object);
    }
    return consoles;
}

static void set_serial(json_t *root, const domain_def *def, const struct launch_sources *sources)
{
    g_autofree char *own = NULL;

    if (def->serials->len == 0)
        return;
    own = chardev_source(&domain_serial_at(def, 0)->source);
    set_string(root, "serial", sources->serial ? sources->serial : own);
}

static void set_rng(json_t *root, const domain_def *def, const struct launch_sources *sources)
{
    json_t *rng;

    if (def->rngs->len == 0)
        return;
    rng = json_object();
    set_string(rng, "source", sources->rng ? sources->rng : domain_rng_at(def, 0)->source);
    json_object_set_new(root, "rng", rng);
}

static json_t *qmp_json(const struct launch_sources *sources)
{
    json_t *qmp = json_array();

    for (unsigned i = 0; sources->qmp && sources->qmp[i]; i++)
        json_array_append_new(qmp, json_string_nocheck(sources->qmp[i]));
    return qmp;
}

static void set_machine(json_t *root, const domain_def *def)
{
    uint64_t pages = (def->memory_kib + PAGE_SIZE_KIB - 1) / PAGE_SIZE_KIB;
    uint64_t bytes = pages * PAGE_SIZE_KIB * 1024;
    char uuid[DOMAIN_UUID_TEXT];

    domain_uuid_format(def->uuid, uuid);
    json_object_set_new(root, "version", json_integer(DOCUMENT_VERSION));
    set_string(root, "name", def->name);
    set_string(root, "uuid", uuid);
    json_object_set_new(root, "cpus", json_integer((json_int_t)def->vcpus));
    json_object_set_new(root, "memory", json_integer((json_int_t)bytes));
}

static void set_array(json_t *root, const char *key, json_t *array)
{
    if (json_array_size(array) > 0)
        json_object_set(root, key, array);
    json_decref(array);
}

char *launch_document(const domain_def *def, const struct launch_sources *sources, unsigned flags,
                      GError **error)
{
    static const struct launch_sources none;
    g_autoptr(json_value) root = json_object();
    json_t *nets;
    char *text;
    char *copy;

    if (!sources)
        sources = &none;
    nets = nets_json(def, sources, error);
    if (!nets)
        return NULL;
    set_machine(root, def);
    json_object_set_new(root, "boot", boot_json(def, sources));
    set_array(root, "disks", disks_json(def, sources));
    set_array(root, "nets", nets);
    set_serial(root, def, sources);
    set_array(root, "consoles", consoles_json(def, sources));
    set_rng(root, def, sources);
    set_array(root, "qmp", qmp_json(sources));
    json_object_set_new(root, "paused", json_boolean(flags & LAUNCH_PAUSED));
    set_string(root, "on_reboot", def->on_reboot == DOMAIN_ACTION_RESTART ? "restart" : "exit");

    text = json_dumps(root, JSON_INDENT(2));
    if (!text) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR,
                          "the machine document cannot be written: a path is not UTF-8");
        return NULL;
    }
    copy = g_strconcat(text, "\n", NULL);
    free(text);
    return copy;
}
