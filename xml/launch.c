/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/launch.h"

#include <jansson.h>

#include "xml/domain_priv.h"

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

static void set_number(json_t *object, const char *key, uint64_t value)
{
    if (value)
        json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void set_true(json_t *object, const char *key, bool value)
{
    if (value)
        json_object_set_new(object, key, json_true());
}

/* What was left open stays open in the document, too. */
static void set_switch(json_t *object, const char *key, enum domain_switch value)
{
    if (value != DOMAIN_SWITCH_ABSENT)
        json_object_set_new(object, key, json_boolean(value == DOMAIN_SWITCH_ON));
}

/* An object or array with nothing in it is left out. */
static void set_if_any(json_t *object, const char *key, json_t *value)
{
    if (json_object_size(value) + json_array_size(value) > 0)
        json_object_set(object, key, value);
    json_decref(value);
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

/* ---- disks ---- */

static json_t *disk_limits_json(const struct domain_iotune *iotune)
{
    static const char *const names[DOMAIN_IOTUNE_RATES] = {
        [DOMAIN_IOTUNE_TOTAL_BYTES] = "bps",    [DOMAIN_IOTUNE_READ_BYTES] = "bps_rd",
        [DOMAIN_IOTUNE_WRITE_BYTES] = "bps_wr", [DOMAIN_IOTUNE_TOTAL_IOPS] = "iops",
        [DOMAIN_IOTUNE_READ_IOPS] = "iops_rd",  [DOMAIN_IOTUNE_WRITE_IOPS] = "iops_wr",
    };
    json_t *limits = json_object();

    for (unsigned i = 0; i < DOMAIN_IOTUNE_RATES; i++) {
        g_autofree char *max = g_strconcat(names[i], "_max", NULL);
        g_autofree char *length = g_strconcat(names[i], "_max_length", NULL);

        set_number(limits, names[i], iotune->limits[i]);
        set_number(limits, max, iotune->limits[DOMAIN_IOTUNE_MAX + i]);
        set_number(limits, length, iotune->limits[DOMAIN_IOTUNE_MAX_LENGTH + i]);
    }
    set_number(limits, "iops_size", iotune->limits[DOMAIN_IOTUNE_SIZE_IOPS]);
    return limits;
}

/* "native" is the kernel's own asynchronous I/O, of which io_uring is the one there is: as with no
 * choice at all, it is taken where the host has it. */
static const char *engine_of(enum domain_disk_io io)
{
    switch (io) {
    case DOMAIN_DISK_IO_IO_URING:
        return "io_uring";
    case DOMAIN_DISK_IO_THREADS:
        return "threads";
    case DOMAIN_DISK_IO_NATIVE:
    case DOMAIN_DISK_IO_ABSENT:
        break;
    }
    return NULL;
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
        set_true(object, "direct", disk->cache == DOMAIN_DISK_CACHE_NONE);
        if (disk->discard != DOMAIN_DISK_DISCARD_ABSENT)
            json_object_set_new(object, "discard",
                                json_boolean(disk->discard == DOMAIN_DISK_DISCARD_UNMAP));
        set_number(object, "queues", disk->queues);
        set_string(object, "engine", engine_of(disk->io));
        set_string(object, "serial", disk->serial);
        set_if_any(object, "limits", disk_limits_json(&disk->iotune));
        json_array_append_new(disks, object);
    }
    return disks;
}

/* ---- interfaces ---- */

#define KILOBYTE 1000 /* of the rates, as in tc(8); a burst is in KiB */

/*
 * libvirt's "burst" is how many bytes may go out at the peak's rate; the VMM's is for how many
 * seconds that rate may last. Without a peak the burst is what may go out in the first second.
 */
json_t *launch_net_limits(const struct domain_bandwidth *bandwidth)
{
    json_t *limits = json_object();
    uint64_t average = (uint64_t)bandwidth->average * KILOBYTE;
    uint64_t peak = (uint64_t)bandwidth->peak * KILOBYTE;
    uint64_t burst = (uint64_t)bandwidth->burst * 1024;

    set_number(limits, "bps", average);
    if (peak) {
        set_number(limits, "bps_max", peak);
        set_number(limits, "bps_max_length", (burst + peak - 1) / peak);
    } else if (burst > average) {
        set_number(limits, "bps_max", burst);
    }
    return limits;
}

static const char *vhost_of(enum domain_net_driver driver)
{
    switch (driver) {
    case DOMAIN_NET_DRIVER_VHOST:
        return "on";
    case DOMAIN_NET_DRIVER_QEMU:
        return "off";
    case DOMAIN_NET_DRIVER_ABSENT:
        break;
    }
    return NULL;
}

static json_t *net_json(const struct domain_net *net, const char *host_end, const char *vhost_fds)
{
    json_t *object = json_object();
    char mac[18];

    domain_mac_format(net->mac, mac);
    set_string(object, "id", net->info.alias);
    set_string(object, net->type == DOMAIN_NET_USER ? "socket" : "tap", host_end);
    set_string(object, "mac", mac);
    set_number(object, "queues", net->queues);
    set_number(object, "mtu", net->mtu);
    if (net->link == DOMAIN_NET_LINK_DOWN)
        json_object_set_new(object, "link", json_false());
    set_string(object, "vhost", vhost_of(net->driver));
    set_string(object, "vhost_fds", vhost_fds);
    set_if_any(object, "rx_limits", launch_net_limits(&net->inbound));
    set_if_any(object, "tx_limits", launch_net_limits(&net->outbound));
    return object;
}

static json_t *nets_json(const domain_def *def, const struct launch_sources *sources,
                         GError **error)
{
    g_autoptr(json_value) nets = json_array();

    for (unsigned i = 0; i < def->nets->len; i++) {
        const struct domain_net *net = domain_net_at(def, i);
        const char *host_end = entry(sources->nets, i, net->target);

        if (!host_end) {
            libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "interface %u has no tap device", i);
            return NULL;
        }
        json_array_append_new(nets, net_json(net, host_end, entry(sources->vhosts, i, NULL)));
    }
    return g_steal_pointer(&nets);
}

/* ---- character devices ---- */

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

static json_t *ports_json(const domain_def *def, const struct launch_sources *sources,
                          GError **error)
{
    g_autoptr(json_value) ports = json_array();

    for (unsigned i = 0; i < def->channels->len; i++) {
        const struct domain_channel *channel = domain_channel_at(def, i);
        bool has_path = channel->source.type != DOMAIN_CHARDEV_UNIX || channel->source.path;
        g_autofree char *own = has_path ? chardev_source(&channel->source) : NULL;
        const char *chardev = entry(sources->channels, i, own);
        json_t *object;

        if (!chardev) {
            libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "channel '%s' has no socket",
                              channel->name);
            return NULL;
        }
        object = json_object();
        set_string(object, "id", channel->info.alias);
        set_string(object, "name", channel->name);
        set_string(object, "chardev", chardev);
        json_array_append_new(ports, object);
    }
    return g_steal_pointer(&ports);
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

/* ---- the machine ---- */

static void set_balloon(json_t *root, const struct domain_memballoon *balloon)
{
    json_t *object;

    if (balloon->none)
        return;
    object = json_object();
    set_switch(object, "deflate_on_oom", balloon->autodeflate);
    set_switch(object, "free_page_reporting", balloon->free_page_reporting);
    json_object_set_new(root, "balloon", object);
}

static bool set_vsock(json_t *root, const domain_def *def, const struct launch_sources *sources,
                      GError **error)
{
    const struct domain_vsock *vsock;
    json_t *object;

    if (def->vsocks->len == 0)
        return true;
    vsock = domain_vsock_at(def, 0);
    if (!vsock->cid) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "the vsock device has no address");
        return false;
    }
    object = json_object();
    set_number(object, "cid", vsock->cid);
    set_string(object, "vhost", sources->vsock);
    json_object_set_new(root, "vsock", object);
    return true;
}

static json_t *rtc_json(const struct domain_clock *clock)
{
    json_t *rtc = json_object();

    if (clock->timers[DOMAIN_TIMER_RTC].present == DOMAIN_SWITCH_OFF) {
        set_string(rtc, "base", "off");
        return rtc;
    }
    if (clock->offset == DOMAIN_CLOCK_LOCALTIME ||
        (clock->offset == DOMAIN_CLOCK_VARIABLE && clock->basis_localtime))
        set_string(rtc, "base", "localtime");
    if (clock->offset == DOMAIN_CLOCK_VARIABLE && clock->adjustment)
        json_object_set_new(rtc, "offset", json_integer(clock->adjustment));
    return rtc;
}

static json_t *topology_json(const struct domain_cpu *cpu)
{
    json_t *topology = json_object();

    set_number(topology, "sockets", cpu->sockets);
    set_number(topology, "cores", cpu->cores);
    set_number(topology, "threads", cpu->threads);
    return topology;
}

static bool is_of_topology(const char *name)
{
    struct x86_feature_set topology = x86_feature_set_of_topology();
    unsigned feature;

    return x86_feature_find(name, &feature) && x86_feature_set_has(&topology, feature);
}

/* What is asked for has been compared with the host; the VMM does so once more. What follows from
 * the topology is not asked of it. */
static json_t *cpu_json(const struct domain_cpu *cpu)
{
    json_t *object = json_object();
    json_t *features = json_object();

    for (guint i = 0; i < cpu->features->len; i++) {
        const struct domain_cpu_feature *feature = g_ptr_array_index(cpu->features, i);
        bool off = feature->policy == DOMAIN_CPU_DISABLE || feature->policy == DOMAIN_CPU_FORBID;

        if (feature->policy != DOMAIN_CPU_OPTIONAL && (off || !is_of_topology(feature->name)))
            json_object_set_new(features, feature->name, json_boolean(!off));
    }
    for (unsigned i = 0; i < X86_FEATURE_LAST; i++) {
        const char *name = x86_feature_set_has(&cpu->off, i) ? x86_feature_name(i) : NULL;

        if (name)
            json_object_set_new(features, name, json_false());
    }
    set_if_any(object, "features", features);
    return object;
}

static json_t *memory_backing_json(const domain_def *def)
{
    const struct domain_memory_backing *backing = &def->memory_backing;
    json_t *object = json_object();

    set_true(object, "shared", backing->access == DOMAIN_MEMORY_ACCESS_SHARED);
    set_number(object, "hugepages", domain_hugepage_kib(def) * 1024);
    set_true(object, "prealloc", backing->allocation == DOMAIN_MEMORY_ALLOCATION_IMMEDIATE);
    set_true(object, "lock", backing->locked);
    return object;
}

/* A crash is what the guest tells, which it can only with a device for that. */
static void set_panic(json_t *root, const domain_def *def)
{
    static const char *const actions[] = {
        [DOMAIN_ACTION_DESTROY] = "exit",
        [DOMAIN_ACTION_RESTART] = "restart",
        [DOMAIN_ACTION_PRESERVE] = "pause",
    };
    bool can_tell = def->panics->len > 0;

    json_object_set_new(root, "pvpanic", json_boolean(can_tell));
    if (can_tell)
        set_string(root, "on_panic", actions[def->on_crash]);
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
    if (def->has_genid) {
        domain_uuid_format(def->genid, uuid);
        set_string(root, "genid", uuid);
    }
    json_object_set_new(root, "cpus", json_integer((json_int_t)def->vcpus));
    set_if_any(root, "topology", topology_json(&def->cpu));
    set_if_any(root, "cpu", cpu_json(&def->cpu));
    json_object_set_new(root, "memory", json_integer((json_int_t)bytes));
    set_if_any(root, "memory_backing", memory_backing_json(def));
}

/* What follows from the definition; NULL with `error` set when something is missing. */
static json_t *document_json(const domain_def *def, const struct launch_sources *sources,
                             GError **error)
{
    g_autoptr(json_value) root = json_object();
    g_autoptr(json_value) nets = nets_json(def, sources, error);
    g_autoptr(json_value) ports = nets ? ports_json(def, sources, error) : NULL;

    if (!ports || !domain_def_check_start(def, error))
        return NULL;
    set_machine(root, def);
    json_object_set_new(root, "boot", boot_json(def, sources));
    set_if_any(root, "disks", disks_json(def, sources));
    set_if_any(root, "nets", g_steal_pointer(&nets));
    set_serial(root, def, sources);
    set_if_any(root, "consoles", consoles_json(def, sources));
    set_if_any(root, "ports", g_steal_pointer(&ports));
    set_rng(root, def, sources);
    set_balloon(root, &def->memballoon);
    if (!set_vsock(root, def, sources, error))
        return NULL;
    set_if_any(root, "rtc", rtc_json(&def->clock));
    set_panic(root, def);
    set_string(root, "kvm", sources->kvm);
    set_string(root, "on_reboot", def->on_reboot == DOMAIN_ACTION_RESTART ? "restart" : "exit");
    return g_steal_pointer(&root);
}

char *launch_document(const domain_def *def, const struct launch_sources *sources, unsigned flags,
                      GError **error)
{
    static const struct launch_sources none;
    g_autoptr(json_value) root = document_json(def, sources ? sources : &none, error);
    char *text;
    char *copy;

    if (!root)
        return NULL;
    set_if_any(root, "qmp", qmp_json(sources ? sources : &none));
    json_object_set_new(root, "paused", json_boolean(flags & LAUNCH_PAUSED));

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
