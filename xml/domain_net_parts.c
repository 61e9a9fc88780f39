/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of an <interface>: its VLANs, isolation, and what passt is told. */
#include <arpa/inet.h>
#include <string.h>

#include "xml/domain_devices.h"
#include "xml/domain_values.h"

#define VLAN_MAX 4094
#define PORT_MAX 65535
/* It announces no other, and cannot be told to. */
#define PASST_IPV6_PREFIX 64

static struct domain_net *net_of(void *target)
{
    return ((struct device_parser *)target)->net;
}

static bool need_attribute(xmlNode *node, const char *name, GError **error)
{
    return xmlHasProp(node, BAD_CAST name) ||
           xml_invalid(error, node, "missing attribute '%s'", name);
}

/* ---- VLANs ---- */

static bool read_tag(xmlNode *node, void *target, GError **error)
{
    struct domain_vlan *vlan = target;
    int native = DOMAIN_VLAN_NATIVE_ABSENT;
    struct domain_vlan_tag *tag = &vlan->tags[vlan->count];

    if (vlan->count == DOMAIN_MAX_VLANS)
        return xml_refuse(error, node, "a port has at most %d VLANs", DOMAIN_MAX_VLANS);
    if (!need_attribute(node, "id", error) ||
        !xml_ranged_attribute(node, "id", 1, VLAN_MAX, &tag->id, error) ||
        !xml_enum_attribute(node, "nativeMode", domain_vlan_native_values, &native, error))
        return false;
    tag->native = (enum domain_vlan_native)native;
    vlan->count++;
    return true;
}

static const struct xml_element vlan_elements[] = {
    {"tag", "id nativeMode", XML_EMPTY, read_tag},
    {},
};

/* As libvirt has it: several tags are a trunk, whatever is said, and of one it can be said. */
bool domain_read_vlan(xmlNode *node, void *target, GError **error)
{
    struct domain_net *net = net_of(target);
    struct domain_vlan vlan = {0};
    int trunk = DOMAIN_SWITCH_ABSENT;
    unsigned natives = 0;

    if (!xml_enum_attribute(node, "trunk", domain_yes_no_values, &trunk, error) ||
        !xml_read_children(node, vlan_elements, &vlan, error))
        return false;
    for (unsigned i = 0; i < vlan.count; i++)
        natives += vlan.tags[i].native != DOMAIN_VLAN_NATIVE_ABSENT;
    if (vlan.count == 0)
        return xml_invalid(error, node,
                           "missing tag id - each <vlan> must have at least one <tag> "
                           "subelement");
    if (trunk == DOMAIN_SWITCH_OFF && (vlan.count > 1 || natives))
        return xml_invalid(error, node,
                           "trunk='no' goes not together with a native VLAN or more "
                           "than one tag");
    if (natives > 1)
        return xml_invalid(error, node, "duplicate native vlan setting");
    vlan.trunk = trunk == DOMAIN_SWITCH_ON || vlan.count > 1 || natives;
    net->vlan = g_memdup2(&vlan, sizeof(vlan));
    return true;
}

bool domain_read_net_port(xmlNode *node, void *target, GError **error)
{
    int isolated = DOMAIN_SWITCH_ABSENT;

    if (!xml_enum_attribute(node, "isolated", domain_yes_no_values, &isolated, error))
        return false;
    net_of(target)->isolated = (enum domain_switch)isolated;
    return true;
}

/* ---- passt ---- */

bool domain_read_net_backend(xmlNode *node, void *target, GError **error)
{
    struct domain_net *net = net_of(target);
    g_autofree char *type = xml_attribute(node, "type");
    g_autofree char *log_file = xml_attribute(node, "logFile");

    if (net->type != DOMAIN_NET_USER)
        return xml_refuse(error, node, "the tap device and vhost device cannot be chosen");
    if (type && strcmp(type, "passt") != 0)
        return xml_refuse_attribute(error, node, "type", "user networking is passt's");
    if (log_file && !domain_check_path(node, log_file, error))
        return false;
    net->log_file = g_steal_pointer(&log_file);
    return true;
}

static bool set_address(xmlNode *node, const char *text, char out[DOMAIN_ADDRESS_TEXT],
                        GError **error)
{
    struct in6_addr address;

    if (strlen(text) < DOMAIN_ADDRESS_TEXT &&
        (inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1)) {
        g_strlcpy(out, text, DOMAIN_ADDRESS_TEXT);
        return true;
    }
    return xml_refuse_attribute(error, node, "address", "not an IP address");
}

/* Of the guest; passt hands it out by DHCP and its likes. */
bool domain_read_net_ip(xmlNode *node, void *target, GError **error)
{
    struct domain_net *net = net_of(target);
    g_autofree char *text = xml_attribute(node, "address");
    g_autofree char *family = xml_attribute(node, "family");
    bool is_ipv6 = text && strchr(text, ':') != NULL;
    struct domain_user_ip *ip;

    if (net->type != DOMAIN_NET_USER)
        return xml_refuse(error, node, "addresses inside the guest cannot be given");
    if (xmlHasProp(node, BAD_CAST "peer"))
        return xml_refuse_attribute(error, node, "peer", "the guest's network is no link of two");
    if (!text)
        return need_attribute(node, "address", error);
    if (family && strcmp(family, is_ipv6 ? "ipv6" : "ipv4") != 0)
        return xml_refuse_attribute(error, node, "family", "the address is of the other family");
    ip = is_ipv6 ? &net->user->ipv6 : &net->user->ipv4;
    if (ip->address[0])
        return xml_refuse(error, node, "the guest has one address of each family");
    if (!set_address(node, text, ip->address, error) ||
        !xml_ranged_attribute(node, "prefix", 1, is_ipv6 ? 128 : 32, &ip->prefix, error))
        return false;
    if (is_ipv6 && ip->prefix && ip->prefix != PASST_IPV6_PREFIX)
        return xml_refuse_attribute(error, node, "prefix", "passt's IPv6 networks are of %d bits",
                                    PASST_IPV6_PREFIX);
    return true;
}

static bool read_range(xmlNode *node, void *target, GError **error)
{
    struct domain_forward *forward = target;
    struct domain_range *range = &forward->ranges[forward->range_count];
    int exclude = DOMAIN_SWITCH_ABSENT;

    if (forward->range_count == DOMAIN_MAX_RANGES)
        return xml_refuse(error, node, "a port forward has at most %d ranges", DOMAIN_MAX_RANGES);
    if (!need_attribute(node, "start", error) ||
        !xml_ranged_attribute(node, "start", 1, PORT_MAX, &range->start, error) ||
        !xml_ranged_attribute(node, "end", 1, PORT_MAX, &range->end, error) ||
        !xml_ranged_attribute(node, "to", 1, PORT_MAX, &range->to, error) ||
        !xml_enum_attribute(node, "exclude", domain_yes_no_values, &exclude, error))
        return false;
    if (range->end && range->end < range->start)
        return xml_refuse_attribute(error, node, "end", "it is before the start");
    range->exclude = exclude == DOMAIN_SWITCH_ON;
    if (range->exclude && range->to)
        return xml_invalid(error, node, "a range that is excluded goes nowhere");
    if (range->to && range->end && range->to + (range->end - range->start) > PORT_MAX)
        return xml_refuse_attribute(error, node, "to", "the range ends behind the last port");
    forward->range_count++;
    return true;
}

static const struct xml_element forward_elements[] = {
    {"range", "start end to exclude", XML_EMPTY, read_range},
    {},
};

bool domain_read_port_forward(xmlNode *node, void *target, GError **error)
{
    static const struct xml_value protocols[] = {{"tcp", 0}, {"udp", 1}, {}};
    struct domain_net *net = net_of(target);
    g_autofree char *address = xml_attribute(node, "address");
    g_autofree char *dev = xml_attribute(node, "dev");
    struct domain_forward *forward;
    int is_udp = 0;

    if (net->type != DOMAIN_NET_USER)
        return xml_refuse(error, node, "ports are forwarded to interfaces of type user");
    if (net->user->forward_count == DOMAIN_MAX_FORWARDS)
        return xml_refuse(error, node, "an interface has at most %d port forwards",
                          DOMAIN_MAX_FORWARDS);
    forward = &net->user->forwards[net->user->forward_count++];
    if (!need_attribute(node, "proto", error) ||
        !xml_enum_attribute(node, "proto", protocols, &is_udp, error) ||
        (address && !set_address(node, address, forward->address, error)) ||
        (dev && !domain_check_ifname(node, "dev", dev, error)))
        return false;
    forward->udp = is_udp;
    g_strlcpy(forward->dev, dev ? dev : "", sizeof(forward->dev));
    return xml_read_children(node, forward_elements, forward, error);
}
