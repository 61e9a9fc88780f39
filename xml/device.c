/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A device is read twice: once by itself, to know what it is and to find the like of it in a
 * definition, and when it is added once more, into that definition, where the readers of <devices>
 * see what is there already. So limits, names and defaults are those of a domain that is defined
 * with the device in it.
 */
#include "xml/device.h"

#include <string.h>

#include "xml/domain_devices.h"

struct domain_device {
    xmlDoc *doc;                  /* <devices>, and the element in it */
    domain_def *alone;            /* a definition that has nothing but the device */
    enum domain_device_kind kind; /* DOMAIN_DEVICE_KINDS: in none of the arrays */
};

/* ---- reading ---- */

/* The element becomes a child of <devices>, for which there are readers. */
static bool wrap(xmlDoc *doc, GError **error)
{
    xmlNode *root = xmlDocGetRootElement(doc);
    xmlNode *devices;

    if (!domain_is_device((const char *)root->name)) {
        g_autofree char *shown = xml_excerpt((const char *)root->name);

        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown device type '%s'", shown);
        return false;
    }
    devices = xmlNewDocNode(doc, NULL, BAD_CAST "devices", NULL);
    if (!devices) {
        libvirt_error_set(error, VIR_ERR_NO_MEMORY, NULL);
        return false;
    }
    xmlDocSetRootElement(doc, devices);
    xmlAddChild(devices, root);
    return true;
}

static bool read_into(const domain_device *device, domain_def *def, bool is_sought, GError **error)
{
    g_auto(domain_parser) parser;

    domain_parser_init(&parser, def);
    parser.joins = true;
    parser.is_sought = is_sought;
    return domain_read_devices(xmlDocGetRootElement(device->doc), &parser, error);
}

static enum domain_device_kind kind_of(const domain_def *alone)
{
    unsigned kind = 0;

    while (kind < DOMAIN_DEVICE_KINDS && domain_devices(alone, kind)->len == 0)
        kind++;
    return kind;
}

domain_device *domain_device_parse(const char *xml, gsize len, GError **error)
{
    g_autoptr(domain_device) device = g_new0(domain_device, 1);

    device->alone = domain_def_new();
    device->doc = xml_document_parse(xml, len, "(device_definition)", error);
    if (!device->doc || !wrap(device->doc, error) || !read_into(device, device->alone, true, error))
        return NULL;
    device->kind = kind_of(device->alone);
    return g_steal_pointer(&device);
}

void domain_device_free(domain_device *device)
{
    if (!device)
        return;
    g_clear_pointer(&device->doc, xmlFreeDoc);
    domain_def_free(device->alone);
    g_free(device);
}

static xmlNode *element_of(const domain_device *device)
{
    return xmlFirstElementChild(xmlDocGetRootElement(device->doc));
}

static xmlNode *child_of(const domain_device *device, const char *name)
{
    xmlNode *child = xmlFirstElementChild(element_of(device));

    while (child && strcmp((const char *)child->name, name) != 0)
        child = xmlNextElementSibling(child);
    return child;
}

const char *domain_device_element(const domain_device *device)
{
    return (const char *)element_of(device)->name;
}

const struct domain_net *domain_device_net(const domain_device *device)
{
    return device->kind == DOMAIN_DEVICE_NET ? domain_net_at(device->alone, 0) : NULL;
}

/* ---- finding ---- */

/* A pty is like any other; so is a path that the driver makes. */
static bool is_like_source(const struct domain_chardev *source, const struct domain_chardev *wanted)
{
    return source->type == wanted->type && source->append == wanted->append &&
           (!wanted->path || g_strcmp0(source->path, wanted->path) == 0);
}

/* A console's number counts the serial port's. */
static bool is_like_console(const domain_def *def, guint index, const domain_device *device)
{
    xmlNode *target = child_of(device, "target");
    unsigned port = 0;

    if (!is_like_source(&domain_console_at(def, index)->source,
                        &domain_console_at(device->alone, 0)->source))
        return false;
    return !target || !xmlHasProp(target, BAD_CAST "port") ||
           (xml_unsigned_attribute(target, "port", &port, NULL) &&
            port == def->serials->len + index);
}

static bool is_like_channel(const struct domain_channel *channel,
                            const struct domain_channel *wanted)
{
    return strcmp(channel->name, wanted->name) == 0 &&
           is_like_source(&channel->source, &wanted->source);
}

static bool is_like_rng(const struct domain_rng *rng, const struct domain_rng *wanted)
{
    return rng->builtin == wanted->builtin && strcmp(rng->source, wanted->source) == 0;
}

static bool is_like_net(const struct domain_net *net, const domain_device *device)
{
    return !child_of(device, "mac") ||
           memcmp(net->mac, domain_net_at(device->alone, 0)->mac, sizeof(net->mac)) == 0;
}

static bool is_like_vsock(const struct domain_vsock *vsock, const struct domain_vsock *wanted)
{
    return vsock->auto_cid == wanted->auto_cid &&
           (wanted->auto_cid == DOMAIN_SWITCH_ON || vsock->cid == wanted->cid);
}

static bool is_like(const domain_def *def, guint index, const domain_device *device)
{
    const domain_def *alone = device->alone;
    const char *alias = domain_device_info_at(def, device->kind, index)->alias;
    const char *wanted = domain_device_info_at(alone, device->kind, 0)->alias;

    if (alias && wanted && strcmp(alias, wanted) != 0)
        return false;
    switch (device->kind) {
    case DOMAIN_DEVICE_DISK:
        return strcmp(domain_disk_at(def, index)->target, domain_disk_at(alone, 0)->target) == 0;
    case DOMAIN_DEVICE_NET:
        return is_like_net(domain_net_at(def, index), device);
    case DOMAIN_DEVICE_SERIAL:
        return is_like_source(&domain_serial_at(def, index)->source,
                              &domain_serial_at(alone, 0)->source);
    case DOMAIN_DEVICE_CONSOLE:
        return is_like_console(def, index, device);
    case DOMAIN_DEVICE_CHANNEL:
        return is_like_channel(domain_channel_at(def, index), domain_channel_at(alone, 0));
    case DOMAIN_DEVICE_RNG:
        return is_like_rng(domain_rng_at(def, index), domain_rng_at(alone, 0));
    case DOMAIN_DEVICE_VSOCK:
        return is_like_vsock(domain_vsock_at(def, index), domain_vsock_at(alone, 0));
    case DOMAIN_DEVICE_PANIC:
    case DOMAIN_DEVICE_KINDS:
        break;
    }
    return true;
}

static void set_missing(const domain_device *device, GError **error)
{
    const domain_def *alone = device->alone;
    const char *alias;
    char mac[18] = "(<null>)";

    switch (device->kind) {
    case DOMAIN_DEVICE_DISK:
        libvirt_error_set(error, VIR_ERR_DEVICE_MISSING, "no target device %s",
                          domain_disk_at(alone, 0)->target);
        return;
    case DOMAIN_DEVICE_NET:
        alias = domain_net_at(alone, 0)->info.alias;
        if (child_of(device, "mac"))
            domain_mac_format(domain_net_at(alone, 0)->mac, mac);
        libvirt_error_set(error, VIR_ERR_DEVICE_MISSING,
                          "no device found matching MAC address '%s' and alias '%s'", mac,
                          alias ? alias : "(<null>)");
        return;
    case DOMAIN_DEVICE_SERIAL:
    case DOMAIN_DEVICE_CONSOLE:
    case DOMAIN_DEVICE_CHANNEL:
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "device not present in domain configuration");
        return;
    case DOMAIN_DEVICE_VSOCK:
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "matching vsock device not found");
        return;
    case DOMAIN_DEVICE_RNG:
        libvirt_error_set(error, VIR_ERR_DEVICE_MISSING, "no matching RNG device was found");
        return;
    case DOMAIN_DEVICE_PANIC:
    case DOMAIN_DEVICE_KINDS:
        libvirt_error_set(error, VIR_ERR_DEVICE_MISSING, "no matching %s device was found",
                          domain_device_element(device));
    }
}

static void set_ambiguous(const domain_device *device, GError **error)
{
    char mac[18];

    if (device->kind == DOMAIN_DEVICE_NET && child_of(device, "mac")) {
        domain_mac_format(domain_net_at(device->alone, 0)->mac, mac);
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED,
                          "multiple devices matching MAC address %s found", mac);
    } else {
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "multiple matching devices found");
    }
}

/* The one in the definition that is meant: its index in its array. */
static bool find(const domain_def *def, const domain_device *device, guint *index, GError **error)
{
    guint count = domain_devices(def, device->kind)->len;
    unsigned found = 0;

    for (guint i = 0; i < count; i++) {
        if (!is_like(def, i, device))
            continue;
        *index = i;
        found++;
    }
    if (found == 0)
        set_missing(device, error);
    else if (found > 1)
        set_ambiguous(device, error);
    return found == 1;
}

/* ---- changing ---- */

static bool refuse(const domain_device *device, const char *verb, GError **error)
{
    libvirt_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                      "persistent %s of device '%s' is not supported", verb,
                      domain_device_element(device));
    return false;
}

/* The one device that is there unless a definition says otherwise. */
static bool is_memballoon(const domain_device *device)
{
    return strcmp(domain_device_element(device), "memballoon") == 0 &&
           !device->alone->memballoon.none;
}

static void drop_memballoon(domain_def *def)
{
    g_free(def->memballoon.info.alias);
    def->memballoon = (struct domain_memballoon){.none = true};
}

static bool attach_memballoon(domain_def *def, const domain_device *device, GError **error)
{
    if (def->memballoon.none)
        return read_into(device, def, false, error);
    libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "domain already has a memballoon device");
    return false;
}

static bool detach_memballoon(domain_def *def, const domain_device *device, GError **error)
{
    if (def->memballoon.none) {
        set_missing(device, error);
        return false;
    }
    drop_memballoon(def);
    return true;
}

/* The first <console> is the serial port under another name (domain_chardevs.c). */
static bool is_serial_console(const domain_device *device)
{
    return device->kind == DOMAIN_DEVICE_SERIAL &&
           strcmp(domain_device_element(device), "console") == 0;
}

static bool check_new(const domain_def *def, const domain_device *device, GError **error)
{
    guint index;

    switch (device->kind) {
    case DOMAIN_DEVICE_SERIAL:
    case DOMAIN_DEVICE_CHANNEL:
        if (!find(def, device, &index, NULL))
            return true;
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "chardev already exists");
        return false;
    case DOMAIN_DEVICE_VSOCK:
        if (def->vsocks->len == 0)
            return true;
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "domain already has a vsock device");
        return false;
    default: /* the readers know */
        return true;
    }
}

bool domain_def_attach(domain_def *def, const domain_device *device, GError **error)
{
    if (is_memballoon(device))
        return attach_memballoon(def, device, error);
    if (device->kind == DOMAIN_DEVICE_KINDS)
        return refuse(device, "attach", error);
    if (is_serial_console(device)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                          "attaching serial console is not supported");
        return false;
    }
    return check_new(def, device, error) && read_into(device, def, false, error);
}

bool domain_def_detach(domain_def *def, const domain_device *device, GError **error)
{
    guint index;

    if (is_memballoon(device))
        return detach_memballoon(def, device, error);
    if (device->kind == DOMAIN_DEVICE_KINDS)
        return refuse(device, "detach", error);
    if (is_serial_console(device)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID,
                          "detaching serial console is not supported");
        return false;
    }
    if (!find(def, device, &index, error))
        return false;
    g_ptr_array_remove_index(domain_devices(def, device->kind), index);
    return true;
}

bool domain_def_detach_alias(domain_def *def, const char *alias, GError **error)
{
    g_autofree char *shown = xml_excerpt(alias);

    for (unsigned kind = 0; kind < DOMAIN_DEVICE_KINDS; kind++) {
        for (guint i = 0; i < domain_devices(def, kind)->len; i++) {
            if (g_strcmp0(domain_device_info_at(def, kind, i)->alias, alias) == 0) {
                g_ptr_array_remove_index(domain_devices(def, kind), i);
                return true;
            }
        }
    }
    if (g_strcmp0(def->memballoon.info.alias, alias) == 0) {
        drop_memballoon(def);
        return true;
    }
    libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "no device found with alias %s", shown);
    return false;
}

/* Interfaces are numbered by their order; one without a MAC address keeps the one it has. */
static bool replace_net(domain_def *def, guint index, const domain_device *device, GError **error)
{
    uint8_t mac[6];
    struct domain_net *net;

    memcpy(mac, domain_net_at(def, index)->mac, sizeof(mac));
    g_ptr_array_remove_index(def->nets, index);
    if (!read_into(device, def, false, error))
        return false;
    net = g_ptr_array_steal_index(def->nets, def->nets->len - 1);
    memcpy(net->mac, mac, sizeof(mac));
    g_ptr_array_insert(def->nets, (gint)index, net);
    return true;
}

bool domain_def_replace(domain_def *def, const domain_device *device, GError **error)
{
    guint index;

    switch (device->kind) {
    case DOMAIN_DEVICE_NET:
        return find(def, device, &index, error) && replace_net(def, index, device, error);
    case DOMAIN_DEVICE_DISK:
        if (find(def, device, &index, NULL)) {
            g_ptr_array_remove_index(def->disks, index);
            return read_into(device, def, false, error);
        }
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "target %s doesn't exist.",
                          domain_disk_at(device->alone, 0)->target);
        return false;
    default:
        return refuse(device, "update", error);
    }
}
