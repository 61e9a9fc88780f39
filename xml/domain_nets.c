/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <interface>. */
#include <string.h>

#include "xml/domain_devices.h"
#include "xml/domain_values.h"

#define IFNAME_CHARS DOMAIN_WORD_CHARS "."
#define IFNAME_MAX   15 /* IFNAMSIZ less its NUL */
#define MTU_MIN      68 /* docs/machine-config.md */
#define MTU_MAX      65535

bool domain_check_ifname(xmlNode *node, const char *attribute, const char *name, GError **error)
{
    if (*name && strlen(name) <= IFNAME_MAX && name[strspn(name, IFNAME_CHARS)] == '\0' &&
        strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
        return true;
    return xml_refuse_attribute(error, node, attribute, "not the name of a network interface");
}

/* What became of the network's interface is live data. */
static bool read_live_network(xmlNode *node, struct domain_net *net, GError **error)
{
    g_autofree char *bridge = xml_attribute(node, "bridge");
    g_autofree char *dev = xml_attribute(node, "dev");
    int mode = DOMAIN_DIRECT_ABSENT;

    if ((bridge && !domain_check_ifname(node, "bridge", bridge, error)) ||
        (dev && !domain_check_ifname(node, "dev", dev, error)) ||
        !xml_enum_attribute(node, "mode", domain_direct_values, &mode, error))
        return false;
    net->port_id = xml_attribute(node, "portid");
    net->bridge = g_steal_pointer(&bridge);
    net->dev = g_steal_pointer(&dev);
    net->mode = (enum domain_direct_mode)mode;
    return true;
}

static bool read_network(xmlNode *node, struct device_parser *parser, GError **error)
{
    struct domain_net *net = parser->net;

    if (!xml_check_attributes(node, "network portgroup portid bridge dev mode", error))
        return false;
    net->network = xml_attribute(node, "network");
    net->portgroup = xml_attribute(node, "portgroup");
    if (net->network && !*net->network)
        return xml_invalid(error, node, "the network's name is empty");
    return !parser->live || read_live_network(node, net, error);
}

static bool read_dev(xmlNode *node, struct domain_net *net, GError **error)
{
    int mode = DOMAIN_DIRECT_ABSENT;

    if (!xml_check_attributes(node, net->type == DOMAIN_NET_DIRECT ? "dev mode" : "dev", error) ||
        !xml_enum_attribute(node, "mode", domain_direct_values, &mode, error))
        return false;
    net->dev = xml_attribute(node, "dev");
    net->mode = (enum domain_direct_mode)mode;
    return !net->dev || domain_check_ifname(node, "dev", net->dev, error);
}

/* A bridge's port or a macvtap whose source names a network is what that network's interface became
 * in a running domain: it is the network's still, also where a client defines it. */
static void note_network(xmlNode *node, const struct device_parser *parser)
{
    struct domain_net *net = parser->net;

    if ((net->type != DOMAIN_NET_BRIDGE && net->type != DOMAIN_NET_DIRECT) ||
        !xmlHasProp(node, BAD_CAST "network"))
        return;
    net->host_bridge = parser->live && net->type == DOMAIN_NET_BRIDGE;
    net->type = DOMAIN_NET_NETWORK;
}

static bool read_net_source(xmlNode *node, void *target, GError **error)
{
    struct device_parser *parser = target;
    struct domain_net *net = parser->net;

    note_network(node, parser);
    switch (net->type) {
    case DOMAIN_NET_NETWORK:
        return read_network(node, parser, error);
    case DOMAIN_NET_DIRECT:
    case DOMAIN_NET_USER:
        return read_dev(node, net, error);
    case DOMAIN_NET_ETHERNET:
        return xml_refuse(error, node, "an ethernet interface has no source");
    case DOMAIN_NET_BRIDGE:
        break;
    }
    if (!xml_check_attributes(node, "bridge", error))
        return false;
    net->bridge = xml_attribute(node, "bridge");
    return !net->bridge || domain_check_ifname(node, "bridge", net->bridge, error);
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
    if (dev && !domain_check_ifname(node, "dev", dev, error))
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
    /* Cards of real PCs, which tools choose when they do not know the hypervisor. */
    static const char *const mapped[] = {"e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet", NULL};
    g_autofree char *type = xml_attribute(node, "type");

    if (type && strcmp(type, "virtio") != 0 && !g_strv_contains(mapped, type))
        return xml_refuse_attribute(error, node, "type", "a microVM's interfaces are virtio");
    return true;
}

static bool read_net_driver(xmlNode *node, void *target, GError **error)
{
    struct domain_net *net = ((struct device_parser *)target)->net;
    int driver = DOMAIN_NET_DRIVER_ABSENT;

    if (!xml_enum_attribute(node, "name", domain_net_driver_values, &driver, error) ||
        !xml_ranged_attribute(node, "queues", 1, DOMAIN_MAX_QUEUES, &net->queues, error))
        return false;
    net->driver = (enum domain_net_driver)driver;
    return domain_read_facts(node, &net->facts, error);
}

static bool read_mtu(xmlNode *node, void *target, GError **error)
{
    struct domain_net *net = ((struct device_parser *)target)->net;

    if (!xmlHasProp(node, BAD_CAST "size"))
        return xml_invalid(error, node, "missing attribute 'size'");
    return xml_ranged_attribute(node, "size", MTU_MIN, MTU_MAX, &net->mtu, error);
}

static bool read_net_link(xmlNode *node, void *target, GError **error)
{
    int link = DOMAIN_NET_LINK_ABSENT;

    if (!xmlHasProp(node, BAD_CAST "state"))
        return xml_invalid(error, node, "missing attribute 'state'");
    if (!xml_enum_attribute(node, "state", domain_link_values, &link, error))
        return false;
    ((struct device_parser *)target)->net->link = (enum domain_net_link)link;
    return true;
}

/* ---- <bandwidth> ---- */

static bool read_rates(xmlNode *node, struct domain_bandwidth *bandwidth, GError **error)
{
    if (!xmlHasProp(node, BAD_CAST "average") && !bandwidth->floor)
        return xml_invalid(error, node, "missing attribute 'average'");
    if (!xml_ranged_attribute(node, "average", 1, G_MAXUINT, &bandwidth->average, error) ||
        !xml_ranged_attribute(node, "peak", 1, G_MAXUINT, &bandwidth->peak, error) ||
        !xml_ranged_attribute(node, "burst", 1, G_MAXUINT, &bandwidth->burst, error))
        return false;
    if (bandwidth->peak && bandwidth->peak < bandwidth->average)
        return xml_refuse_attribute(error, node, "peak", "it is lower than the average");
    return true;
}

/* The floor is kept by the network, on its bridge. */
static bool read_inbound(xmlNode *node, void *target, GError **error)
{
    struct domain_net *net = target;

    if (xmlHasProp(node, BAD_CAST "floor") && net->type != DOMAIN_NET_NETWORK)
        return xml_refuse_attribute(error, node, "floor", "only a network keeps one");
    return xml_ranged_attribute(node, "floor", 1, G_MAXUINT, &net->inbound.floor, error) &&
           read_rates(node, &net->inbound, error);
}

static bool read_outbound(xmlNode *node, void *target, GError **error)
{
    return read_rates(node, &((struct domain_net *)target)->outbound, error);
}

static const struct xml_element bandwidth_elements[] = {
    {"inbound", "average peak burst floor", XML_ONCE | XML_EMPTY, read_inbound},
    {"outbound", "average peak burst", XML_ONCE | XML_EMPTY, read_outbound},
    {},
};

static bool read_bandwidth(xmlNode *node, void *target, GError **error)
{
    return xml_read_children(node, bandwidth_elements, ((struct device_parser *)target)->net,
                             error);
}

/* ---- <interface> ---- */

#define NO_SCRIPT "no scripts are run"

static const struct xml_element net_elements[] = {
    {"source", "bridge network portgroup portid dev mode", XML_ONCE | XML_EMPTY, read_net_source},
    {"mac", "address", XML_ONCE | XML_EMPTY, read_mac},
    {"target", "dev managed", XML_ONCE | XML_EMPTY, read_net_target},
    {"model", "type", XML_ONCE | XML_EMPTY, read_net_model},
    {"driver", "name queues ioeventfd event_idx", XML_ONCE | XML_EMPTY, read_net_driver},
    {"mtu", "size", XML_ONCE | XML_EMPTY, read_mtu},
    {"link", "state", XML_ONCE | XML_EMPTY, read_net_link},
    {"vlan", "trunk", XML_ONCE, domain_read_vlan},
    {"port", "isolated", XML_ONCE | XML_EMPTY, domain_read_net_port},
    {"backend", "type logFile", XML_ONCE | XML_EMPTY, domain_read_net_backend},
    {"ip", "address family prefix peer", XML_EMPTY, domain_read_net_ip},
    {"portForward", "proto address dev", 0, domain_read_port_forward},
    {"bandwidth", NULL, XML_ONCE, read_bandwidth},
    {"boot", "order", XML_ONCE | XML_EMPTY, domain_read_boot_order},
    {"alias", "name", XML_ONCE | XML_EMPTY, domain_read_alias},
    {"address", DOMAIN_ADDRESS_ATTRIBUTES, XML_ONCE | XML_EMPTY, domain_read_address},
    {"coalesce", .refused = "interrupt coalescing is not offered"},
    {"virtualport", .refused = "ports of switches have no profiles"},
    {"filterref", .refused = "network filters are not applied"},
    {"script", .refused = NO_SCRIPT},
    {"downscript", .refused = NO_SCRIPT},
    {"route", .refused = "routes inside the guest cannot be given"},
    {"guest", .refused = "this is for containers"},
    {"rom", .refused = "a microVM boots its kernel directly, without firmware"},
    {"tune", .refused = "send buffers cannot be chosen"},
    {"teaming", .refused = "interfaces are not teamed"},
    {},
};

static bool has_source(const struct domain_net *net)
{
    switch (net->type) {
    case DOMAIN_NET_BRIDGE:
        return net->bridge != NULL;
    case DOMAIN_NET_NETWORK:
        return net->network != NULL;
    case DOMAIN_NET_DIRECT:
        return net->dev != NULL;
    case DOMAIN_NET_USER:
    case DOMAIN_NET_ETHERNET:
        break;
    }
    return true;
}

/* What only a tap or a port of a bridge has. */
static bool check_of_type(xmlNode *node, const struct domain_net *net, GError **error)
{
    bool is_port = net->type == DOMAIN_NET_BRIDGE || net->type == DOMAIN_NET_NETWORK;

    if (net->vlan && !is_port)
        return xml_refuse(error, node, "<vlan> is for interfaces of type bridge and network");
    if (net->isolated && !is_port)
        return xml_refuse(error, node,
                          "<port isolated> is for interfaces of type bridge and network");
    if (net->type != DOMAIN_NET_USER)
        return true;
    if (net->target)
        return xml_refuse(error, node, "an interface of type user has no device on the host");
    if (net->queues > 1 || net->driver == DOMAIN_NET_DRIVER_VHOST)
        return xml_refuse(error, node,
                          "an interface of type user has one pair of queues, and no vhost");
    return true;
}

static bool complete_net(xmlNode *node, const struct domain_net *net, GError **error)
{
    bool is_limited = net->inbound.average || net->outbound.average;

    if (!has_source(net)) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR,
                          "interface type='%s' requires a 'source' element",
                          xml_value_name(domain_net_type_values, (int)net->type));
        return false;
    }
    if (is_limited && net->driver == DOMAIN_NET_DRIVER_VHOST)
        return xml_refuse(error, node,
                          "<bandwidth> and the driver 'vhost' go not together: the VMM counts, and "
                          "with vhost no packet passes it");
    return check_of_type(node, net, error);
}

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
    if (net->type == DOMAIN_NET_USER)
        net->user = g_new0(struct domain_user_net, 1);
    if (!xml_read_children(node, net_elements, &device, error))
        return false;
    if (!complete_net(node, net, error))
        return false;
    if (!device.has_mac)
        domain_mac_generate(net->mac);
    g_ptr_array_add(parser->def->nets, g_steal_pointer(&net));
    return true;
}
