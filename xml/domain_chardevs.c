/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <serial>, <console> and <channel>. History made the first <console> of a machine a second name
 * for its first serial port: tools write either element, or both, and expect to read both. So a
 * first console whose target is "serial" (or not given) is set aside while devices are read, and
 * afterwards either becomes the serial port or has to agree with the one there is. In the
 * definition it is not kept: the formatter writes it whenever there is a serial port. Consoles with
 * target "virtio" and channels are ports of the virtio console device, numbered in their order, the
 * consoles first.
 */
#include <string.h>

#include "xml/domain_devices.h"
#include "xml/domain_values.h"

#define UNIX_PATH_MAX_BYTES 107 /* struct sockaddr_un, with its NUL */

#define CHANNEL_NAME_MAX 63 /* docs/machine-config.md */

enum console_target { CONSOLE_SERIAL = 0, CONSOLE_VIRTIO };

/* A serial port or console of which it is not known yet what becomes of it. */
struct parsed_chardev {
    struct domain_chardev source;
    struct domain_device_info info;
    int target; /* enum console_target */
    unsigned port;
    bool has_address;
    char *name; /* of a channel */
    enum domain_channel_state state;
};

void parsed_chardev_free(struct parsed_chardev *chardev)
{
    g_free(chardev->source.path);
    g_free(chardev->info.alias);
    g_free(chardev->name);
    g_free(chardev);
}

static bool read_unix_mode(xmlNode *node, GError **error)
{
    g_autofree char *mode = xml_attribute(node, "mode");

    /* As in libvirt, no mode means "connect". */
    if (!mode || strcmp(mode, "bind") != 0)
        return xml_refuse(error, node,
                          "a socket is listened on, not connected to; mode must be 'bind'");
    return true;
}

static bool read_source(xmlNode *node, void *target, GError **error)
{
    static const char *const attributes[] = {
        [DOMAIN_CHARDEV_NULL] = NULL,
        [DOMAIN_CHARDEV_PTY] = "path",
        [DOMAIN_CHARDEV_FILE] = "path append",
        [DOMAIN_CHARDEV_UNIX] = "path mode",
    };
    struct device_parser *parser = target;
    struct domain_chardev *source = &parser->chardev->source;
    g_autofree char *path = xml_attribute(node, "path");
    int append = DOMAIN_SWITCH_ABSENT;

    if (!xml_check_attributes(node, attributes[source->type], error) ||
        !xml_enum_attribute(node, "append", domain_switch_values, &append, error))
        return false;
    if (source->type == DOMAIN_CHARDEV_UNIX && !read_unix_mode(node, error))
        return false;
    if (source->type == DOMAIN_CHARDEV_UNIX && path && strlen(path) > UNIX_PATH_MAX_BYTES)
        return xml_refuse(error, node, "a socket's path has at most %d bytes", UNIX_PATH_MAX_BYTES);
    if (path && !domain_check_path(node, path, error))
        return false;
    source->append = (enum domain_switch)append;
    if (source->type != DOMAIN_CHARDEV_PTY || parser->live)
        source->path = g_steal_pointer(&path);
    return true;
}

/* Ports have their places by the order of the elements; an address can say no more than that it is
 * a port of the one controller there is. */
static bool read_port_address(xmlNode *node, void *target, GError **error)
{
    struct device_parser *parser = target;
    g_autofree char *type = xml_attribute(node, "type");
    unsigned controller = 0;
    unsigned bus = 0;
    unsigned port = 0;

    if (!type || strcmp(type, "virtio-serial") != 0)
        return xml_refuse(error, node, "it is a port of the controller 'virtio-serial'");
    if (!xml_check_attributes(node, "type controller bus port", error) ||
        !xml_unsigned_attribute(node, "controller", &controller, error) ||
        !xml_unsigned_attribute(node, "bus", &bus, error) ||
        !xml_unsigned_attribute(node, "port", &port, error))
        return false;
    if (controller != 0 || bus != 0)
        return xml_refuse(error, node, "there is one controller with one bus, both number 0");
    parser->chardev->has_address = true;
    return true;
}

static bool read_serial_model(xmlNode *node, void *target, GError **error)
{
    const char *here = domain_arch_find(VOLE_ARCH)->serial_model;
    g_autofree char *name = xml_attribute(node, "name");

    if (name && strcmp(name, here) != 0)
        return xml_refuse_attribute(error, node, "name", "serial ports here are of model %s", here);
    return true;
}

static const struct xml_element serial_target_elements[] = {
    {"model", "name", XML_ONCE | XML_EMPTY, read_serial_model},
    {},
};

static bool read_serial_target(xmlNode *node, void *target, GError **error)
{
    struct device_parser *parser = target;
    const char *here = domain_arch_find(VOLE_ARCH)->serial_type;
    g_autofree char *type = xml_attribute(node, "type");

    if (type && strcmp(type, here) != 0)
        return xml_refuse_attribute(error, node, "type", "serial ports here are %s", here);
    if (!xml_unsigned_attribute(node, "port", &parser->chardev->port, error))
        return false;
    if (parser->chardev->port != 0)
        return xml_refuse_attribute(error, node, "port", "the only serial port is number 0");
    return xml_read_children(node, serial_target_elements, target, error);
}

static bool read_console_target(xmlNode *node, void *target, GError **error)
{
    static const struct xml_value types[] = {
        {"serial", CONSOLE_SERIAL},
        {"virtio", CONSOLE_VIRTIO},
        {"xen", 0, "a console's target is serial or virtio"},
        {"uml", 0, "a console's target is serial or virtio"},
        {"lxc", 0, "a console's target is serial or virtio"},
        {"openvz", 0, "a console's target is serial or virtio"},
        {"sclp", 0, "a console's target is serial or virtio"},
        {"sclplm", 0, "a console's target is serial or virtio"},
        {},
    };
    struct parsed_chardev *chardev = ((struct device_parser *)target)->chardev;

    return xml_enum_attribute(node, "type", types, &chardev->target, error) &&
           xml_unsigned_attribute(node, "port", &chardev->port, error);
}

#define NO_NETWORK "a character device does not reach over the network"
#define NO_LOG     "output is not logged"

static const struct xml_element serial_elements[] = {
    {"source", "path mode append", XML_ONCE | XML_EMPTY, read_source},
    {"target", "type port", XML_ONCE, read_serial_target},
    {"alias", "name", XML_ONCE | XML_EMPTY, domain_read_alias},
    {"address", .refused = "a serial port's address is fixed"},
    {"protocol", .refused = NO_NETWORK},
    {"log", .refused = NO_LOG},
    {},
};

static const struct xml_element console_elements[] = {
    {"source", "path mode append", XML_ONCE | XML_EMPTY, read_source},
    {"target", "type port", XML_ONCE | XML_EMPTY, read_console_target},
    {"alias", "name", XML_ONCE | XML_EMPTY, domain_read_alias},
    {"address", DOMAIN_ADDRESS_ATTRIBUTES, XML_ONCE | XML_EMPTY, read_port_address},
    {"protocol", .refused = NO_NETWORK},
    {"log", .refused = NO_LOG},
    {},
};

/* A file's name in the guest. */
static bool check_channel_name(xmlNode *node, const char *name, GError **error)
{
    size_t len = strlen(name);
    bool ok =
        len > 0 && len <= CHANNEL_NAME_MAX && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;

    for (const char *c = name; ok && *c; c++)
        ok = *c > ' ' && *c <= '~' && *c != '/';
    if (ok)
        return true;
    return xml_refuse_attribute(error, node, "name",
                                "a channel's name is 1 to %d ASCII letters, digits and signs, "
                                "without '/'",
                                CHANNEL_NAME_MAX);
}

static bool read_channel_target(xmlNode *node, void *target, GError **error)
{
    static const struct xml_value types[] = {
        {"virtio", 0},
        {"guestfwd", 0, "a channel's target is virtio"},
        {"xen", 0, "a channel's target is virtio"},
        {},
    };
    struct device_parser *parser = target;
    struct parsed_chardev *chardev = parser->chardev;
    int type = -1;
    int state = DOMAIN_CHANNEL_STATE_ABSENT;

    if (!xml_enum_attribute(node, "type", types, &type, error) ||
        !xml_enum_attribute(node, "state", domain_channel_state_values, &state, error))
        return false;
    if (type < 0)
        return xml_invalid(error, node, "missing attribute 'type'");
    if (!xml_check_attributes(node, "type name state", error))
        return false;
    if (parser->live)
        chardev->state = (enum domain_channel_state)state;
    chardev->name = xml_attribute(node, "name");
    if (!chardev->name)
        return xml_refuse(error, node, "a channel needs a name");
    return check_channel_name(node, chardev->name, error);
}

static const struct xml_element channel_elements[] = {
    {"source", "path mode append", XML_ONCE | XML_EMPTY, read_source},
    {"target", "type name state address port", XML_ONCE | XML_EMPTY, read_channel_target},
    {"alias", "name", XML_ONCE | XML_EMPTY, domain_read_alias},
    {"address", DOMAIN_ADDRESS_ATTRIBUTES, XML_ONCE | XML_EMPTY, read_port_address},
    {"protocol", .refused = NO_NETWORK},
    {"log", .refused = NO_LOG},
    {},
};

static bool has_path(const struct domain_chardev *source)
{
    return source->path || source->type == DOMAIN_CHARDEV_PTY ||
           source->type == DOMAIN_CHARDEV_NULL;
}

/* What the elements have in common. A type that is not given is a pty. */
static struct parsed_chardev *read_chardev(xmlNode *node, const struct xml_element *elements,
                                           const struct domain_parser *parser, GError **error)
{
    int type = DOMAIN_CHARDEV_PTY;

    if (!xml_enum_attribute(node, "type", domain_chardev_values, &type, error))
        return NULL;
    g_autoptr(parsed_chardev) chardev = g_new0(struct parsed_chardev, 1);
    struct device_parser device = {
        .live = parser->live, .info = &chardev->info, .chardev = chardev};

    chardev->source.type = (enum domain_chardev_type)type;
    if (!xml_read_children(node, elements, &device, error))
        return NULL;
    /* A channel's socket can be wherever the driver puts it. */
    if (!has_path(&chardev->source) &&
        !(elements == channel_elements && type == DOMAIN_CHARDEV_UNIX)) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR,
                          "Missing source path attribute for char device");
        return NULL;
    }
    return g_steal_pointer(&chardev);
}

static void add_serial(domain_def *def, struct parsed_chardev *chardev)
{
    struct domain_serial *serial = g_new0(struct domain_serial, 1);

    serial->source = chardev->source;
    serial->info = chardev->info;
    g_free(chardev);
    g_ptr_array_add(def->serials, serial);
}

static void add_console(domain_def *def, struct parsed_chardev *chardev)
{
    struct domain_console *console = g_new0(struct domain_console, 1);

    console->source = chardev->source;
    console->info = chardev->info;
    g_free(chardev);
    g_ptr_array_add(def->consoles, console);
}

bool domain_read_serial(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;
    struct parsed_chardev *chardev;

    if (parser->def->serials->len > 0)
        return xml_refuse(error, node, "a microVM has at most one serial port");
    chardev = read_chardev(node, serial_elements, parser, error);
    if (!chardev)
        return false;
    add_serial(parser->def, chardev);
    return true;
}

bool domain_read_console(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;
    g_autoptr(parsed_chardev) chardev = read_chardev(node, console_elements, parser, error);

    if (!chardev)
        return false;
    if (chardev->target == CONSOLE_VIRTIO) {
        if (parser->def->consoles->len == DOMAIN_MAX_CONSOLES)
            return xml_refuse(error, node, "a microVM has at most %d virtio consoles",
                              DOMAIN_MAX_CONSOLES);
        add_console(parser->def, g_steal_pointer(&chardev));
        return true;
    }
    if (parser->serial_console || parser->def->consoles->len > 0) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "Only the first console can be a serial port");
        return false;
    }
    if (chardev->has_address)
        return xml_refuse(error, node, "a serial port's address is fixed");
    parser->serial_console = g_steal_pointer(&chardev);
    return true;
}

static bool is_same_source(const struct domain_chardev *a, const struct domain_chardev *b)
{
    return a->type == b->type && a->append == b->append &&
           (a->type == DOMAIN_CHARDEV_PTY || g_strcmp0(a->path, b->path) == 0);
}

bool domain_pair_consoles(struct domain_parser *parser, GError **error)
{
    struct parsed_chardev *console = parser->serial_console;
    const struct domain_serial *serial;

    if (!console)
        return true;
    if (parser->def->serials->len == 0) {
        parser->serial_console = NULL;
        add_serial(parser->def, console);
        return true;
    }
    serial = domain_serial_at(parser->def, 0);
    if (!is_same_source(&serial->source, &console->source)) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "the first <console> is the serial port's, but differs from <serial> in "
                          "its type or source");
        return false;
    }
    if (console->info.alias && g_strcmp0(console->info.alias, serial->info.alias) != 0) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "the first <console> is the serial port's, but has the alias '%s'",
                          console->info.alias);
        return false;
    }
    return true;
}

bool domain_read_channel(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;
    domain_def *def = parser->def;
    g_autofree char *type = xml_attribute(node, "type");

    if (g_strcmp0(type, "spicevmc") == 0)
        return domain_read_display_agent(node, error);
    g_autoptr(parsed_chardev) chardev = read_chardev(node, channel_elements, parser, error);

    if (!chardev)
        return false;
    if (!chardev->name)
        return xml_invalid(error, node, "missing element <target>");
    if (def->channels->len == DOMAIN_MAX_CHANNELS)
        return xml_refuse(error, node, "a microVM has at most %d channels", DOMAIN_MAX_CHANNELS);
    for (guint i = 0; i < def->channels->len; i++)
        if (strcmp(domain_channel_at(def, i)->name, chardev->name) == 0)
            return xml_invalid(error, node, "two channels have the name '%s'", chardev->name);
    struct domain_channel *channel = g_new0(struct domain_channel, 1);

    channel->source = chardev->source;
    channel->source.path = g_steal_pointer(&chardev->source.path);
    channel->info.alias = g_steal_pointer(&chardev->info.alias);
    channel->name = g_steal_pointer(&chardev->name);
    channel->state = chardev->state;
    g_ptr_array_add(def->channels, channel);
    if (!parser->live && !domain_channel_path_is_users(channel))
        g_clear_pointer(&channel->source.path, g_free);
    return true;
}
