/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Devices that virt-install and virt-manager put into every domain, whether somebody asked for them
 * or not: a display, a tablet, sound, USB, the controllers of a PC's buses. A microVM has none of
 * them, and a guest that boots a kernel with a serial console misses none. They are accepted in the
 * form that stands for "whatever is usual" and left out of the definition, where XML has a word for
 * it with a sign that they are: <video> and <controller type='usb'> become model='none'. As soon as
 * something about one is chosen (a port, a password, 3D) it is somebody's wish, and refused.
 *
 * The same goes for what virt-install --cloud-init writes into SMBIOS tables, which a microVM does
 * not have: that the seed is on a disk. cloud-init sees that by itself.
 */
#include <string.h>

#include "xml/domain_devices.h"

#define NO_DISPLAY "a microVM has no display"
#define NO_INPUT   "a microVM has no keyboard, mouse or tablet"
#define NO_USB     "a microVM has no USB"

static bool read_nothing(xmlNode *node, void *target, GError **error)
{
    return true;
}

#define ALIAS_AND_ADDRESS                                                        \
    {"alias", "name", XML_ONCE | XML_EMPTY, read_nothing},                       \
    {                                                                            \
        "address", DOMAIN_ADDRESS_ATTRIBUTES, XML_ONCE | XML_EMPTY, read_nothing \
    }

/* Of an attribute: absent, or one of these words. */
static bool check_usual(xmlNode *node, const char *attribute, const char *const *usual,
                        const char *reason, GError **error)
{
    g_autofree char *value = xml_attribute(node, attribute);

    if (!value || g_strv_contains(usual, value))
        return true;
    return xml_refuse_attribute(error, node, attribute, "%s", reason);
}

/* Of a device: `attribute` says of what kind it is. */
static bool check_kind(xmlNode *node, const char *attribute, const char *const *usual,
                       const char *reason, GError **error)
{
    if (!xmlHasProp(node, BAD_CAST attribute))
        return xml_refuse(error, node, "%s", reason);
    return check_usual(node, attribute, usual, reason, error);
}

/* ---- <graphics>, <video> ---- */

static bool read_listen(xmlNode *node, void *target, GError **error)
{
    static const char *const anywhere[] = {"none", "address", NULL};

    return check_usual(node, "type", anywhere, NO_DISPLAY, error);
}

static bool read_image(xmlNode *node, void *target, GError **error)
{
    static const char *const usual[] = {"off", NULL};

    return check_usual(node, "compression", usual, NO_DISPLAY, error);
}

static const struct xml_element graphics_elements[] = {
    {"listen", "type", XML_EMPTY, read_listen},
    {"image", "compression", XML_ONCE | XML_EMPTY, read_image},
    {"alias", "name", XML_ONCE | XML_EMPTY, read_nothing},
    {"jpeg", .refused = NO_DISPLAY},
    {"zlib", .refused = NO_DISPLAY},
    {"playback", .refused = NO_DISPLAY},
    {"streaming", .refused = NO_DISPLAY},
    {"clipboard", .refused = NO_DISPLAY},
    {"mouse", .refused = NO_DISPLAY},
    {"filetransfer", .refused = NO_DISPLAY},
    {"channel", .refused = NO_DISPLAY},
    {"gl", .refused = NO_DISPLAY},
    {"audio", .refused = NO_DISPLAY},
    {},
};

bool domain_read_graphics(xmlNode *node, void *target, GError **error)
{
    static const char *const types[] = {"vnc", "spice", NULL};
    static const char *const any_port[] = {"-1", NULL};
    static const char *const autoport[] = {"yes", NULL};

    if (xmlHasProp(node, BAD_CAST "passwd"))
        return xml_refuse(error, node, NO_DISPLAY); /* and nobody's password in a message */
    return check_kind(node, "type", types, NO_DISPLAY, error) &&
           check_usual(node, "port", any_port, NO_DISPLAY, error) &&
           check_usual(node, "tlsPort", any_port, NO_DISPLAY, error) &&
           check_usual(node, "autoport", autoport, NO_DISPLAY, error) &&
           xml_check_attributes(node, "type port tlsPort autoport", error) &&
           xml_read_children(node, graphics_elements, NULL, error);
}

static const struct xml_element video_model_elements[] = {
    {"acceleration", .refused = NO_DISPLAY},
    {"resolution", .refused = NO_DISPLAY},
    {},
};

static bool read_video_model(xmlNode *node, void *target, GError **error)
{
    static const char *const usual[] = {"vga",   "cirrus", "qxl",  "virtio", "vmvga",
                                        "bochs", "ramfb",  "none", NULL};

    return check_usual(node, "type", usual, NO_DISPLAY, error) &&
           xml_read_children(node, video_model_elements, NULL, error);
}

static const struct xml_element video_elements[] = {
    {"model", "type ram vram vram64 vgamem heads primary", XML_ONCE, read_video_model},
    ALIAS_AND_ADDRESS,
    {"driver", .refused = NO_DISPLAY},
    {},
};

bool domain_read_video(xmlNode *node, void *target, GError **error)
{
    ((struct domain_parser *)target)->def->video_none = true;
    return xml_read_children(node, video_elements, NULL, error);
}

/* ---- <input>, <sound>, <redirdev>, <channel type='spicevmc'> ---- */

static const struct xml_element alias_and_address[] = {ALIAS_AND_ADDRESS, {}};

bool domain_read_input(xmlNode *node, void *target, GError **error)
{
    static const char *const types[] = {"tablet", "mouse", "keyboard", NULL};
    static const char *const buses[] = {"usb", "ps2", NULL};

    return check_kind(node, "type", types, NO_INPUT, error) &&
           check_usual(node, "bus", buses, NO_INPUT, error) &&
           xml_check_attributes(node, "type bus", error) &&
           xml_read_children(node, alias_and_address, NULL, error);
}

bool domain_read_sound(xmlNode *node, void *target, GError **error)
{
    static const char *const models[] = {"ich6", "ich9", "ac97", NULL};

    return check_kind(node, "model", models, DOMAIN_NO_SOUND, error) &&
           xml_check_attributes(node, "model", error) &&
           xml_read_children(node, alias_and_address, NULL, error);
}

bool domain_read_redirdev(xmlNode *node, void *target, GError **error)
{
    static const char *const types[] = {"spicevmc", NULL};
    static const char *const buses[] = {"usb", NULL};

    return check_kind(node, "type", types, NO_USB, error) &&
           check_usual(node, "bus", buses, NO_USB, error) &&
           xml_check_attributes(node, "type bus", error) &&
           xml_read_children(node, alias_and_address, NULL, error);
}

static bool read_agent_target(xmlNode *node, void *target, GError **error)
{
    static const char *const types[] = {"virtio", NULL};
    static const char *const names[] = {"com.redhat.spice.0", NULL};

    return check_usual(node, "type", types, NO_DISPLAY, error) &&
           check_usual(node, "name", names, NO_DISPLAY, error);
}

static const struct xml_element agent_elements[] = {
    {"target", "type name state", XML_ONCE | XML_EMPTY, read_agent_target},
    ALIAS_AND_ADDRESS,
    {},
};

bool domain_read_display_agent(xmlNode *node, GError **error)
{
    return xml_check_attributes(node, "type", error) &&
           xml_read_children(node, agent_elements, NULL, error);
}

/* ---- <controller> ---- */

static bool read_bus_detail(xmlNode *node, void *target, GError **error)
{
    static const struct xml_element nothing[] = {{}};

    return xml_read_children(node, nothing, NULL, error);
}

static const struct xml_element bus_elements[] = {
    {"master", "startport", XML_ONCE | XML_EMPTY, read_bus_detail},
    {"model", "name", XML_ONCE | XML_EMPTY, read_bus_detail},
    {"target", "chassisNr chassis port busNr index hotplug", XML_ONCE | XML_EMPTY, read_bus_detail},
    ALIAS_AND_ADDRESS,
    {"driver", .refused = "a microVM has no buses"},
    {"pcihole64", .refused = "a microVM has no buses"},
    {},
};

/* Their disks are on virtio-mmio, as all other devices are; where the XML says which place of a bus
 * a device has, that is refused. */
static bool read_bus(xmlNode *node, GError **error)
{
    return xml_check_attributes(node, "type index model ports", error) &&
           xml_read_children(node, bus_elements, NULL, error);
}

static const struct xml_element virtio_serial_elements[] = {
    {"alias", "name", XML_ONCE | XML_EMPTY, domain_read_alias},
    {"address", DOMAIN_ADDRESS_ATTRIBUTES, XML_ONCE | XML_EMPTY, domain_read_address},
    {"driver", .refused = "the device cannot be tuned"},
    {},
};

/* Consoles and channels sit on one that is there whenever there are any. */
static bool read_virtio_serial(xmlNode *node, struct domain_parser *parser, GError **error)
{
    domain_def *def = parser->def;
    struct device_parser device = {.live = parser->live, .info = &def->virtio_serial_info};

    if (def->virtio_serial)
        return xml_refuse(error, node, "a microVM has at most one such controller");
    def->virtio_serial = true;
    return xml_check_attributes(node, "type index", error) &&
           xml_read_children(node, virtio_serial_elements, &device, error);
}

bool domain_read_controller(xmlNode *node, void *target, GError **error)
{
    static const char *const buses[] = {"pci", "ide", "sata", "scsi", "fdc", NULL};
    struct domain_parser *parser = target;
    g_autofree char *type = xml_attribute(node, "type");
    unsigned index = 0;

    if (!xml_unsigned_attribute(node, "index", &index, error))
        return false;
    /* Any number of them is the same as model='none', as no device can be on them. */
    if (g_strcmp0(type, "usb") == 0)
        parser->def->usb_none = true;
    if (g_strcmp0(type, "usb") == 0 || (type && g_strv_contains(buses, type)))
        return read_bus(node, error);
    if (g_strcmp0(type, "virtio-serial") != 0)
        return xml_refuse_attribute(error, node, "type",
                                    "a microVM has no buses, and so no controllers");
    if (index != 0)
        return xml_refuse_attribute(error, node, "index", "the index must be 0");
    return read_virtio_serial(node, parser, error);
}

/* ---- <sysinfo>, <os><smbios> ---- */

#define NO_SMBIOS "a microVM has no SMBIOS tables"

static bool read_system_entry(xmlNode *node, void *target, GError **error)
{
    static const char *const usual[] = {"serial", NULL};
    g_autofree char *text = xml_text(node);

    if (!check_kind(node, "name", usual, NO_SMBIOS, error))
        return false;
    if (g_strcmp0(text, "ds=nocloud") != 0)
        return xml_refuse(
            error, node, NO_SMBIOS "; what is for cloud-init can be in <cmdline> (ds=nocloud;...)");
    return true;
}

static bool read_system(xmlNode *node, void *target, GError **error)
{
    static const struct xml_element entries[] = {
        {"entry", "name", XML_ONCE | XML_TEXT, read_system_entry},
        {},
    };

    return xml_read_children(node, entries, NULL, error);
}

bool domain_read_sysinfo(xmlNode *node, void *target, GError **error)
{
    static const char *const types[] = {"smbios", NULL};
    static const struct xml_element tables[] = {
        {"system", NULL, XML_ONCE, read_system},
        {"bios", .refused = NO_SMBIOS},
        {"baseBoard", .refused = NO_SMBIOS},
        {"chassis", .refused = NO_SMBIOS},
        {"oemStrings", .refused = NO_SMBIOS},
        {"entry", .refused = NO_SMBIOS},
        {},
    };

    return check_kind(node, "type", types, NO_SMBIOS, error) &&
           xml_read_children(node, tables, NULL, error);
}

bool domain_read_smbios(xmlNode *node, void *target, GError **error)
{
    static const char *const modes[] = {"sysinfo", NULL};

    return check_kind(node, "mode", modes, NO_SMBIOS, error);
}
