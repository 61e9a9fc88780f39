/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <devices>: one table lists every device libvirt knows, each device has a table of its children. A
 * device is read into a struct of its own and joins the definition when it is complete. Disks,
 * interfaces, character devices and the small ones have files of their own.
 */
#include <string.h>

#include "xml/domain_devices.h"

#define ALIAS_CHARS DOMAIN_WORD_CHARS
#define ALIAS_MAX   63 /* docs/machine-config.md: the VMM's bound of a device's id */

/* An alias that libvirt makes is live data; one that the user makes begins with "ua-" and stays. */
bool domain_read_alias(xmlNode *node, void *target, GError **error)
{
    struct device_parser *parser = target;
    g_autofree char *name = xml_attribute(node, "name");

    if (!parser->live && !(name && g_str_has_prefix(name, DOMAIN_USER_ALIAS)))
        return true;
    if (!name || !*name || strlen(name) > ALIAS_MAX || name[strspn(name, ALIAS_CHARS)] != '\0')
        return xml_invalid(error, node, "an alias is made of letters, digits, '_' and '-'");
    parser->info->alias = g_steal_pointer(&name);
    return true;
}

/* There is one place where a microVM's devices can sit; that they do is shown while it runs. */
bool domain_read_address(xmlNode *node, void *target, GError **error)
{
    g_autofree char *type = xml_attribute(node, "type");

    if (!type || strcmp(type, "virtio-mmio") != 0)
        return xml_refuse(error, node, "devices sit on virtio-mmio; there is no other bus");
    return xml_check_attributes(node, "type", error);
}

bool domain_read_boot_order(xmlNode *node, void *target, GError **error)
{
    struct device_parser *parser = target;
    unsigned order = 0;

    if (!xml_unsigned_attribute(node, "order", &order, error))
        return false;
    if (order == 0)
        return xml_invalid(error, node, "incorrect boot order, expecting positive integer");
    parser->info->boot_order = order;
    return true;
}

static bool read_emulator(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    return domain_read_path(node, &parser->def->emulator, error);
}

#define NO_USB "a microVM has no USB"

static const struct xml_element device_elements[] = {
    {"emulator", NULL, XML_ONCE | XML_TEXT, read_emulator},
    {"disk", "type device", 0, domain_read_disk},
    {"interface", "type", 0, domain_read_interface},
    {"serial", "type", 0, domain_read_serial},
    {"console", "type tty", 0, domain_read_console},
    {"channel", "type", 0, domain_read_channel},
    {"rng", "model", 0, domain_read_rng},
    {"memballoon", "model autodeflate freePageReporting", XML_ONCE, domain_read_memballoon},
    {"vsock", "model", 0, domain_read_vsock},
    {"panic", "model", 0, domain_read_panic},
    {"controller", "type index model ports vectors maxEventChannels maxGrantFrames", 0,
     domain_read_controller},
    {"graphics",
     "type port tlsPort autoport listen passwd passwdValidTo connected keymap sharePolicy "
     "websocket websocketGenerated powerControl socket defaultMode display xauth fullscreen "
     "multiUser replaceUser username",
     0, domain_read_graphics},
    {"video", NULL, 0, domain_read_video},
    {"input", "type bus model", 0, domain_read_input},
    {"sound", "model multichannel streams", 0, domain_read_sound},
    {"redirdev", "bus type", 0, domain_read_redirdev},
    {"audio", .refused = DOMAIN_NO_SOUND},
    {"hub", .refused = NO_USB},
    {"redirfilter", .refused = NO_USB},
    {"smartcard", .refused = "a microVM has no smartcard reader"},
    {"parallel", .refused = "a microVM has no parallel port"},
    {"filesystem", .refused = "directories of the host are not shared"},
    {"hostdev", .refused = "devices of the host are not passed through"},
    {"watchdog", .refused = "a microVM has no watchdog"},
    {"tpm", .refused = "a microVM has no TPM"},
    {"shmem", .refused = "memory of the host is not shared"},
    {"memory", .refused = "memory cannot be added to a running microVM"},
    {"iommu", .refused = "a microVM has no IOMMU"},
    {"lease", .refused = "there is no lock manager"},
    {"nvram", .refused = "a microVM boots its kernel directly, without firmware"},
    {"crypto", .refused = "a microVM has no crypto device"},
    {},
};

bool domain_is_device(const char *element)
{
    for (const struct xml_element *at = device_elements; at->name; at++)
        if (strcmp(at->name, element) == 0)
            return at->read != read_emulator;
    return false;
}

bool domain_read_devices(xmlNode *node, void *target, GError **error)
{
    if (!xml_read_children(node, device_elements, target, error))
        return false;
    domain_place_disks(target);
    return domain_pair_consoles(target, error);
}

#define PLACES(array, type) offsetof(domain_def, array), offsetof(struct type, info)

static const struct {
    size_t array;
    size_t info;
} places[] = {
    [DOMAIN_DEVICE_DISK] = {PLACES(disks, domain_disk)},
    [DOMAIN_DEVICE_NET] = {PLACES(nets, domain_net)},
    [DOMAIN_DEVICE_SERIAL] = {PLACES(serials, domain_serial)},
    [DOMAIN_DEVICE_CONSOLE] = {PLACES(consoles, domain_console)},
    [DOMAIN_DEVICE_CHANNEL] = {PLACES(channels, domain_channel)},
    [DOMAIN_DEVICE_RNG] = {PLACES(rngs, domain_rng)},
    [DOMAIN_DEVICE_VSOCK] = {PLACES(vsocks, domain_vsock)},
    [DOMAIN_DEVICE_PANIC] = {PLACES(panics, domain_panic)},
};
G_STATIC_ASSERT(G_N_ELEMENTS(places) == DOMAIN_DEVICE_KINDS);

GPtrArray *domain_devices(const domain_def *def, enum domain_device_kind kind)
{
    const void *member = (const char *)def + places[kind].array;

    return *(GPtrArray *const *)member;
}

const struct domain_device_info *domain_device_info_at(const domain_def *def,
                                                       enum domain_device_kind kind, guint index)
{
    const char *device = g_ptr_array_index(domain_devices(def, kind), index);
    const void *info = device + places[kind].info;

    return info;
}

struct taken {
    GHashTable *orders;
    GHashTable *aliases;
    GError **error;
};

/* A device's place in boot order and its name, to see that none is taken twice. */
static bool take_info(struct taken *taken, const struct domain_device_info *info)
{
    if (info->boot_order && !g_hash_table_add(taken->orders, GUINT_TO_POINTER(info->boot_order))) {
        libvirt_error_set(taken->error, VIR_ERR_XML_ERROR,
                          "boot order '%u' used for more than one device", info->boot_order);
        return false;
    }
    if (info->alias && !g_hash_table_add(taken->aliases, info->alias)) {
        libvirt_error_set(taken->error, VIR_ERR_XML_ERROR, "non unique alias detected: %s",
                          info->alias);
        return false;
    }
    return true;
}

static bool take_infos(struct taken *taken, const domain_def *def)
{
    for (unsigned kind = 0; kind < DOMAIN_DEVICE_KINDS; kind++)
        for (guint i = 0; i < domain_devices(def, kind)->len; i++)
            if (!take_info(taken, domain_device_info_at(def, kind, i)))
                return false;
    return take_info(taken, &def->memballoon.info) && take_info(taken, &def->virtio_serial_info);
}

static bool check_iothreads(const domain_def *def, GError **error)
{
    for (guint i = 0; i < def->disks->len; i++) {
        const struct domain_disk *disk = domain_disk_at(def, i);

        if (disk->iothread && !domain_has_iothread(def, disk->iothread)) {
            libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                              "Disk iothread '%u' not defined in iothreadid", disk->iothread);
            return false;
        }
    }
    return true;
}

bool domain_check_devices(const domain_def *def, GError **error)
{
    g_autoptr(GHashTable) orders = g_hash_table_new(NULL, NULL);
    g_autoptr(GHashTable) aliases = g_hash_table_new(g_str_hash, g_str_equal);
    struct taken taken = {orders, aliases, error};

    if (!take_infos(&taken, def))
        return false;
    if (def->os.boot_count && g_hash_table_size(orders)) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "per-device boot elements cannot be used together with os/boot elements");
        return false;
    }
    return check_iothreads(def, error);
}
