/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <devices>: one table lists every device libvirt knows, each device has a table of its children. A
 * device is read into a struct of its own and joins the definition when it is complete. Disks,
 * interfaces and character devices have files of their own.
 */
#include <string.h>

#include "xml/domain_devices.h"
#include "xml/domain_values.h"

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

bool domain_read_address(xmlNode *node, void *target, GError **error)
{
    struct device_parser *parser = target;
    g_autofree char *type = xml_attribute(node, "type");

    if (!type || strcmp(type, "virtio-mmio") != 0)
        return xml_refuse(error, node, "devices sit on virtio-mmio; there is no other bus");
    if (!xml_check_attributes(node, "type", error))
        return false;
    parser->info->mmio_address = true;
    return true;
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

static bool read_rng_backend(xmlNode *node, void *target, GError **error)
{
    static const struct xml_value models[] = {
        {"random", 0},
        {"egd", 0, "entropy is read from a file of the host"},
        {"builtin", 0, "entropy is read from a file of the host"},
        {},
    };
    struct domain_rng *rng = ((struct device_parser *)target)->rng;
    int model = -1;

    if (!xml_enum_attribute(node, "model", models, &model, error))
        return false;
    if (model < 0)
        return xml_invalid(error, node, "missing RNG device backend model");
    return domain_read_path(node, &rng->source, error);
}

static const struct xml_element rng_elements[] = {
    {"backend", "model", XML_ONCE | XML_TEXT, read_rng_backend},
    {"alias", "name", XML_ONCE | XML_EMPTY, domain_read_alias},
    {"address", DOMAIN_ADDRESS_ATTRIBUTES, XML_ONCE | XML_EMPTY, domain_read_address},
    {"rate", .refused = "the rate is not limited"},
    {"driver", .refused = "the device cannot be tuned"},
    {},
};

static bool read_rng(xmlNode *node, void *target, GError **error)
{
    static const struct xml_value models[] = {
        {"virtio", 0},
        {"virtio-transitional", 0, "devices are virtio 1.x only; the model is 'virtio'"},
        {"virtio-non-transitional", 0, "the model is 'virtio'"},
        {},
    };
    struct domain_parser *parser = target;
    int model = -1;

    if (parser->def->rngs->len > 0)
        return xml_refuse(error, node, "a microVM has at most one entropy device");
    if (!xml_enum_attribute(node, "model", models, &model, error))
        return false;
    if (model < 0) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "missing RNG device model");
        return false;
    }
    g_autoptr(domain_rng) rng = g_new0(struct domain_rng, 1);
    struct device_parser device = {.live = parser->live, .info = &rng->info, .rng = rng};

    if (!xml_read_children(node, rng_elements, &device, error))
        return false;
    if (!rng->source)
        rng->source = g_strdup("/dev/urandom");
    g_ptr_array_add(parser->def->rngs, g_steal_pointer(&rng));
    return true;
}

static const struct xml_element no_elements[] = {{}};

static bool read_memballoon(xmlNode *node, void *target, GError **error)
{
    g_autofree char *model = xml_attribute(node, "model");

    if (!model || strcmp(model, "none") != 0)
        return xml_refuse_attribute(error, node, "model",
                                    "there is no memory balloon; the model must be 'none'");
    return xml_check_attributes(node, "model", error) &&
           xml_read_children(node, no_elements, target, error);
}

/* A controller is for a bus, and a microVM has none; that there is no USB may be said, being true.
 */
static bool read_controller(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;
    g_autofree char *type = xml_attribute(node, "type");
    g_autofree char *model = xml_attribute(node, "model");
    unsigned index = 0;

    if (g_strcmp0(type, "usb") != 0 || g_strcmp0(model, "none") != 0)
        return xml_refuse_attribute(error, node, "type",
                                    "a microVM has no buses, and so no controllers");
    if (parser->def->usb_none)
        return xml_invalid(error, node, "that there is no USB can only be said once");
    if (!xml_unsigned_attribute(node, "index", &index, error) ||
        !xml_check_attributes(node, "type index model", error))
        return false;
    if (index != 0)
        return xml_refuse_attribute(error, node, "index", "the index must be 0");
    parser->def->usb_none = true;
    return xml_read_children(node, no_elements, target, error);
}

static bool read_emulator(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    return domain_read_path(node, &parser->def->emulator, error);
}

#define NO_DISPLAY "a microVM has no display"
#define NO_SOUND   "a microVM has no sound"
#define NO_USB     "a microVM has no USB"

static const struct xml_element device_elements[] = {
    {"emulator", NULL, XML_ONCE | XML_TEXT, read_emulator},
    {"disk", "type device", 0, domain_read_disk},
    {"interface", "type", 0, domain_read_interface},
    {"serial", "type", 0, domain_read_serial},
    {"console", "type tty", 0, domain_read_console},
    {"rng", "model", 0, read_rng},
    {"memballoon", "model autodeflate freePageReporting", XML_ONCE, read_memballoon},
    {"controller", "type index model ports vectors maxEventChannels maxGrantFrames", 0,
     read_controller},
    {"graphics", .refused = NO_DISPLAY},
    {"video", .refused = NO_DISPLAY},
    {"input", .refused = "a microVM has no keyboard, mouse or tablet"},
    {"sound", .refused = NO_SOUND},
    {"audio", .refused = NO_SOUND},
    {"hub", .refused = NO_USB},
    {"redirdev", .refused = NO_USB},
    {"redirfilter", .refused = NO_USB},
    {"smartcard", .refused = "a microVM has no smartcard reader"},
    {"parallel", .refused = "a microVM has no parallel port"},
    {"channel", .refused = "a microVM has no channels, only serial ports and consoles"},
    {"filesystem", .refused = "directories of the host are not shared"},
    {"hostdev", .refused = "devices of the host are not passed through"},
    {"watchdog", .refused = "a microVM has no watchdog"},
    {"panic", .refused = "a microVM has no panic device"},
    {"tpm", .refused = "a microVM has no TPM"},
    {"vsock", .refused = "a microVM has no vsock device"},
    {"shmem", .refused = "memory of the host is not shared"},
    {"memory", .refused = "memory cannot be added to a running microVM"},
    {"iommu", .refused = "a microVM has no IOMMU"},
    {"lease", .refused = "there is no lock manager"},
    {"nvram", .refused = "a microVM boots its kernel directly, without firmware"},
    {"crypto", .refused = "a microVM has no crypto device"},
    {},
};

bool domain_read_devices(xmlNode *node, void *target, GError **error)
{
    return xml_read_children(node, device_elements, target, error) &&
           domain_pair_consoles(target, error);
}

/* Each device's place in boot order and name, to see that none is taken twice. */
static bool check_info(const struct domain_device_info *info, GHashTable *orders,
                       GHashTable *aliases, GError **error)
{
    if (info->boot_order && !g_hash_table_add(orders, GUINT_TO_POINTER(info->boot_order))) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "boot order '%u' used for more than one device",
                          info->boot_order);
        return false;
    }
    if (info->alias && !g_hash_table_add(aliases, info->alias)) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "non unique alias detected: %s", info->alias);
        return false;
    }
    return true;
}

bool domain_check_devices(const domain_def *def, GError **error)
{
    g_autoptr(GHashTable) orders = g_hash_table_new(NULL, NULL);
    g_autoptr(GHashTable) aliases = g_hash_table_new(g_str_hash, g_str_equal);
    bool ok = true;

    for (guint i = 0; ok && i < def->disks->len; i++)
        ok = check_info(&domain_disk_at(def, i)->info, orders, aliases, error);
    for (guint i = 0; ok && i < def->nets->len; i++)
        ok = check_info(&domain_net_at(def, i)->info, orders, aliases, error);
    for (guint i = 0; ok && i < def->serials->len; i++)
        ok = check_info(&domain_serial_at(def, i)->info, orders, aliases, error);
    for (guint i = 0; ok && i < def->consoles->len; i++)
        ok = check_info(&domain_console_at(def, i)->info, orders, aliases, error);
    for (guint i = 0; ok && i < def->rngs->len; i++)
        ok = check_info(&domain_rng_at(def, i)->info, orders, aliases, error);
    if (ok && def->os.boot_count && g_hash_table_size(orders)) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "per-device boot elements cannot be used together with os/boot elements");
        ok = false;
    }
    return ok;
}
