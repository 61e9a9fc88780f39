/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <interface>. */
#include <string.h>

#include "xml/domain_devices.h"
#include "xml/domain_values.h"

#define IFNAME_CHARS DOMAIN_WORD_CHARS "."
#define IFNAME_MAX   15 /* IFNAMSIZ less its NUL */

static bool check_ifname(xmlNode *node, const char *attribute, const char *name, GError **error)
{
    if (*name && strlen(name) <= IFNAME_MAX && name[strspn(name, IFNAME_CHARS)] == '\0' &&
        strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
        return true;
    return xml_refuse_attribute(error, node, attribute, "not the name of a network interface");
}

static bool read_net_source(xmlNode *node, void *target, GError **error)
{
    struct domain_net *net = ((struct device_parser *)target)->net;

    if (net->type != DOMAIN_NET_BRIDGE)
        return xml_refuse(error, node, "an ethernet interface has no source");
    net->bridge = xml_attribute(node, "bridge");
    return !net->bridge || check_ifname(node, "bridge", net->bridge, error);
}

static bool parse_mac(const char *text, uint8_t mac[6])
{
    for (int i = 0; i < 6; i++) {
        int digits = 0;

        for (mac[i] = 0; digits < 2 && g_ascii_isxdigit(*text); text++, digits++)
            mac[i] = (uint8_t)(mac[i] << 4 | g_ascii_xdigit_value(*text));
        if (digits == 0 || *text != (i < 5 ? ':' : '\0'))
            return false;
        text++;
    }
    return true;
}

static bool read_mac(xmlNode *node, void *target, GError **error)
{
    static const uint8_t zeros[6];
    struct device_parser *parser = target;
    uint8_t *mac = parser->net->mac;
    g_autofree char *text = xml_attribute(node, "address");
    g_autofree char *shown = xml_excerpt(text ? text : "");

    if (!text || !parse_mac(text, mac) || memcmp(mac, zeros, 6) == 0) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "unable to parse mac address '%s'", shown);
        return false;
    }
    if (mac[0] & 1) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR,
                          "expected unicast mac address, found multicast '%s'", shown);
        return false;
    }
    parser->has_mac = true;
    return true;
}

static bool read_net_target(xmlNode *node, void *target, GError **error)
{
    struct device_parser *parser = target;
    struct domain_net *net = parser->net;
    g_autofree char *dev = xml_attribute(node, "dev");
    int managed = DOMAIN_SWITCH_ABSENT;

    if (!xml_enum_attribute(node, "managed", domain_yes_no_values, &managed, error))
        return false;
    if (managed != DOMAIN_SWITCH_ABSENT && net->type != DOMAIN_NET_ETHERNET)
        return xml_invalid(error, node, "managed is an attribute of ethernet interfaces");
    net->managed = (enum domain_switch)managed;
    if (!dev && managed != DOMAIN_SWITCH_ABSENT)
        return xml_invalid(error, node, "managed is said of the tap in 'dev', which is missing");
    if (dev && !check_ifname(node, "dev", dev, error))
        return false;
    net->target = g_steal_pointer(&dev);
    if (!parser->live && net->target && !domain_net_target_is_users(net)) {
        g_clear_pointer(&net->target, g_free);
        net->managed = DOMAIN_SWITCH_ABSENT;
    }
    return true;
}

static bool read_net_model(xmlNode *node, void *target, GError **error)
{
    g_autofree char *type = xml_attribute(node, "type");

    if (type && strcmp(type, "virtio") != 0)
        return xml_refuse_attribute(error, node, "type", "a microVM's interfaces are virtio");
    return true;
}

static bool read_net_link(xmlNode *node, void *target, GError **error)
{
    static const struct xml_value states[] = {
        {"up", DOMAIN_NET_LINK_UP},
        {"down", 0, "a link cannot be taken down"},
        {},
    };
    struct device_parser *parser = target;
    int up = DOMAIN_NET_LINK_ABSENT;

    if (!xml_enum_attribute(node, "state", states, &up, error))
        return false;
    parser->net->link = (enum domain_net_link)up;
    return true;
}

#define NO_SCRIPT   "no scripts are run"
#define NO_GUEST_IP "addresses inside the guest cannot be given"

static const struct xml_element net_elements[] = {
    {"source", "bridge", XML_ONCE | XML_EMPTY, read_net_source},
    {"mac", "address", XML_ONCE | XML_EMPTY, read_mac},
    {"target", "dev managed", XML_ONCE | XML_EMPTY, read_net_target},
    {"model", "type", XML_ONCE | XML_EMPTY, read_net_model},
    {"link", "state", XML_ONCE | XML_EMPTY, read_net_link},
    {"boot", "order", XML_ONCE | XML_EMPTY, domain_read_boot_order},
    {"alias", "name", XML_ONCE | XML_EMPTY, domain_read_alias},
    {"address", DOMAIN_ADDRESS_ATTRIBUTES, XML_ONCE | XML_EMPTY, domain_read_address},
    {"driver", .refused = "an interface has one queue, in the VMM, without offloads to choose"},
    {"backend", .refused = "the tap device and vhost device cannot be chosen"},
    {"mtu", .refused = "the MTU cannot be told to the guest"},
    {"coalesce", .refused = "interrupt coalescing is not offered"},
    {"bandwidth", .refused = "bandwidth limits are not offered"},
    {"vlan", .refused = "VLAN tags are not set"},
    {"port", .refused = "bridge ports are not isolated"},
    {"virtualport", .refused = "an interface is of type ethernet (a tap device) or bridge"},
    {"filterref", .refused = "network filters are not applied"},
    {"script", .refused = NO_SCRIPT},
    {"downscript", .refused = NO_SCRIPT},
    {"ip", .refused = NO_GUEST_IP},
    {"route", .refused = NO_GUEST_IP},
    {"guest", .refused = "this is for containers"},
    {"rom", .refused = "a microVM boots its kernel directly, without firmware"},
    {"tune", .refused = "send buffers cannot be chosen"},
    {"teaming", .refused = "interfaces are not teamed"},
    {},
};

bool domain_read_interface(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;
    int type = -1;

    if (parser->def->nets->len == DOMAIN_MAX_NETS)
        return xml_refuse(error, node, "a microVM has at most %d interfaces", DOMAIN_MAX_NETS);
    if (!xml_enum_attribute(node, "type", domain_net_type_values, &type, error))
        return false;
    if (type < 0)
        return xml_invalid(error, node, "missing attribute 'type'");
    g_autoptr(domain_net) net = g_new0(struct domain_net, 1);
    struct device_parser device = {.live = parser->live, .info = &net->info, .net = net};

    net->type = (enum domain_net_type)type;
    if (!xml_read_children(node, net_elements, &device, error))
        return false;
    if (net->type == DOMAIN_NET_BRIDGE && !net->bridge) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR,
                          "interface type='bridge' requires a 'source' element");
        return false;
    }
    if (!device.has_mac)
        domain_mac_generate(net->mac);
    g_ptr_array_add(parser->def->nets, g_steal_pointer(&net));
    return true;
}
