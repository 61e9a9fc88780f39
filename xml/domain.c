/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Definitions as a whole: made, copied and freed. Which members of a struct are strings of its own
 * is said once, in a table, by which it is copied and freed alike. The tests copy every definition
 * they know and compare the XML.
 */
#include "xml/domain.h"

#include <string.h>

#include "xml/domain_priv.h"

struct layout {
    size_t size;
    size_t strings[8]; /* offsets of the members that are strings of its own */
    unsigned count;
    struct {
        size_t offset;
        size_t size;
    } blocks[2]; /* members that point to memory of its own, in which there are no pointers */
};

#define AT(type, member) offsetof(type, member)
#define CHARDEV(type)    AT(type, source.path), AT(type, info.alias)

static const struct layout disk_layout = {
    sizeof(struct domain_disk),
    {AT(struct domain_disk, driver_name), AT(struct domain_disk, source),
     AT(struct domain_disk, target), AT(struct domain_disk, serial), AT(struct domain_disk, pool),
     AT(struct domain_disk, volume), AT(struct domain_disk, info.alias)},
    7,
};
static const struct layout net_layout = {
    sizeof(struct domain_net),
    {AT(struct domain_net, bridge), AT(struct domain_net, network),
     AT(struct domain_net, portgroup), AT(struct domain_net, port_id), AT(struct domain_net, dev),
     AT(struct domain_net, log_file), AT(struct domain_net, target),
     AT(struct domain_net, info.alias)},
    8,
    {{AT(struct domain_net, user), sizeof(struct domain_user_net)},
     {AT(struct domain_net, vlan), sizeof(struct domain_vlan)}},
};
static const struct layout serial_layout = {
    sizeof(struct domain_serial), {CHARDEV(struct domain_serial)}, 2};
static const struct layout console_layout = {
    sizeof(struct domain_console), {CHARDEV(struct domain_console)}, 2};
static const struct layout channel_layout = {
    sizeof(struct domain_channel),
    {CHARDEV(struct domain_channel), AT(struct domain_channel, name)},
    3,
};
static const struct layout rng_layout = {
    sizeof(struct domain_rng),
    {AT(struct domain_rng, source), AT(struct domain_rng, info.alias)},
    2};
static const struct layout vsock_layout = {
    sizeof(struct domain_vsock), {AT(struct domain_vsock, info.alias)}, 1};
static const struct layout panic_layout = {
    sizeof(struct domain_panic), {AT(struct domain_panic, info.alias)}, 1};
static const struct layout feature_layout = {
    sizeof(struct domain_cpu_feature), {AT(struct domain_cpu_feature, name)}, 1};
static const struct layout blkio_layout = {
    sizeof(struct domain_blkio_device), {AT(struct domain_blkio_device, path)}, 1};
static const struct layout pin_layout = {sizeof(struct domain_pin), {0}, 0};

/* A definition's own strings. */
static const size_t def_strings[] = {
    AT(domain_def, name),
    AT(domain_def, title),
    AT(domain_def, description),
    AT(domain_def, metadata),
    AT(domain_def, os.arch),
    AT(domain_def, os.machine),
    AT(domain_def, os.kernel),
    AT(domain_def, os.initrd),
    AT(domain_def, os.cmdline),
    AT(domain_def, cpu.model),
    AT(domain_def, cpu.vendor),
    AT(domain_def, emulator),
    AT(domain_def, memballoon.info.alias),
    AT(domain_def, virtio_serial_info.alias),
};

static char **string_at(void *object, size_t offset)
{
    void *member = (char *)object + offset;

    return member;
}

static void free_object(void *object, const struct layout *layout)
{
    for (unsigned i = 0; object && i < G_N_ELEMENTS(layout->blocks) && layout->blocks[i].size; i++)
        g_free(*string_at(object, layout->blocks[i].offset));
    for (unsigned i = 0; object && i < layout->count; i++)
        g_free(*string_at(object, layout->strings[i]));
    g_free(object);
}

static void copy_strings(void *object, const size_t *offsets, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char **string = string_at(object, offsets[i]);

        *string = g_strdup(*string);
    }
}

static void *copy_object(const void *from, void *opaque)
{
    const struct layout *layout = opaque;
    void *object = g_memdup2(from, layout->size);

    copy_strings(object, layout->strings, layout->count);
    for (unsigned i = 0; i < G_N_ELEMENTS(layout->blocks) && layout->blocks[i].size; i++) {
        char **block = string_at(object, layout->blocks[i].offset);

        *block = g_memdup2(*block, layout->blocks[i].size);
    }
    return object;
}

void domain_disk_free(struct domain_disk *disk)
{
    free_object(disk, &disk_layout);
}

void domain_net_free(struct domain_net *net)
{
    free_object(net, &net_layout);
}

void domain_serial_free(struct domain_serial *serial)
{
    free_object(serial, &serial_layout);
}

void domain_console_free(struct domain_console *console)
{
    free_object(console, &console_layout);
}

void domain_channel_free(struct domain_channel *channel)
{
    free_object(channel, &channel_layout);
}

void domain_rng_free(struct domain_rng *rng)
{
    free_object(rng, &rng_layout);
}

void domain_vsock_free(struct domain_vsock *vsock)
{
    free_object(vsock, &vsock_layout);
}

void domain_panic_free(struct domain_panic *panic)
{
    free_object(panic, &panic_layout);
}

static void cpu_feature_free(struct domain_cpu_feature *feature)
{
    free_object(feature, &feature_layout);
}

/* The definition's arrays. */
static const struct {
    size_t offset;
    GDestroyNotify free;
    const struct layout *layout;
} arrays[] = {
    {AT(domain_def, disks), (GDestroyNotify)domain_disk_free, &disk_layout},
    {AT(domain_def, nets), (GDestroyNotify)domain_net_free, &net_layout},
    {AT(domain_def, serials), (GDestroyNotify)domain_serial_free, &serial_layout},
    {AT(domain_def, consoles), (GDestroyNotify)domain_console_free, &console_layout},
    {AT(domain_def, channels), (GDestroyNotify)domain_channel_free, &channel_layout},
    {AT(domain_def, rngs), (GDestroyNotify)domain_rng_free, &rng_layout},
    {AT(domain_def, vsocks), (GDestroyNotify)domain_vsock_free, &vsock_layout},
    {AT(domain_def, panics), (GDestroyNotify)domain_panic_free, &panic_layout},
    {AT(domain_def, cpu.features), (GDestroyNotify)cpu_feature_free, &feature_layout},
    {AT(domain_def, blkio_devices), (GDestroyNotify)domain_blkio_device_free, &blkio_layout},
    {AT(domain_def, cputune.vcpupins), g_free, &pin_layout},
    {AT(domain_def, cputune.iothreadpins), g_free, &pin_layout},
};

static GPtrArray **array_at(domain_def *def, size_t offset)
{
    void *member = (char *)def + offset;

    return member;
}

domain_def *domain_def_new(void)
{
    domain_def *def = g_new0(domain_def, 1);

    def->id = -1;
    def->max_vcpus = 1;
    def->vcpus = 1;
    def->on_reboot = DOMAIN_ACTION_RESTART;
    def->iothreads = g_array_new(FALSE, FALSE, sizeof(unsigned));
    for (unsigned i = 0; i < G_N_ELEMENTS(arrays); i++)
        *array_at(def, arrays[i].offset) = g_ptr_array_new_with_free_func(arrays[i].free);
    return def;
}

void domain_def_free(domain_def *def)
{
    if (!def)
        return;
    for (unsigned i = 0; i < G_N_ELEMENTS(def_strings); i++)
        g_free(*string_at(def, def_strings[i]));
    for (unsigned i = 0; i < G_N_ELEMENTS(arrays); i++)
        g_ptr_array_unref(*array_at(def, arrays[i].offset));
    g_array_unref(def->iothreads);
    g_free(def);
}

domain_def *domain_def_copy(const domain_def *def)
{
    domain_def *copy = g_memdup2(def, sizeof(*def));

    copy_strings(copy, def_strings, G_N_ELEMENTS(def_strings));
    for (unsigned i = 0; i < G_N_ELEMENTS(arrays); i++) {
        GPtrArray **array = array_at(copy, arrays[i].offset);

        /* The free function comes along. */
        *array = g_ptr_array_copy(*array, copy_object, (void *)arrays[i].layout);
    }
    copy->iothreads = g_array_copy(def->iothreads);
    return copy;
}

/* The place of a pin, or of where it would have to be. */
static guint pin_index(GPtrArray *pins, unsigned id)
{
    guint at = 0;

    while (at < pins->len && domain_pin_at(pins, at)->id < id)
        at++;
    return at;
}

struct domain_pin *domain_pin_find(GPtrArray *pins, unsigned id)
{
    guint at = pin_index(pins, id);

    return at < pins->len && domain_pin_at(pins, at)->id == id ? domain_pin_at(pins, at) : NULL;
}

void domain_pin_set(GPtrArray *pins, unsigned id, const struct cpuset *cpus)
{
    struct domain_pin *pin = domain_pin_find(pins, id);

    if (cpuset_is_empty(cpus)) {
        if (pin)
            g_ptr_array_remove(pins, pin);
        return;
    }
    if (!pin) {
        pin = g_new0(struct domain_pin, 1);
        pin->id = id;
        g_ptr_array_insert(pins, (gint)pin_index(pins, id), pin);
    }
    pin->cpus = *cpus;
}
