/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/network_port.h"

#include <string.h>

#include "xml/domain_devices.h"
#include "xml/domain_values.h"
#include "xml/format.h"

/* ---- what is asked for ---- */

char *network_port_format(const domain_def *def, const struct domain_net *net)
{
    struct format f = {0};
    char uuid[DOMAIN_UUID_TEXT];
    char mac[18];

    domain_uuid_format(def->uuid, uuid);
    domain_mac_format(net->mac, mac);
    xml_writer_init(&f.w);
    xml_open(&f.w, "networkport", NULL);
    xml_text_element(&f.w, "uuid", net->port_id, NULL);
    xml_open(&f.w, "owner", NULL);
    xml_text_element(&f.w, "name", def->name, NULL);
    xml_text_element(&f.w, "uuid", uuid, NULL);
    xml_close(&f.w, "owner");
    if (net->portgroup)
        xml_text_element(&f.w, "group", net->portgroup, NULL);
    xml_empty(&f.w, "mac", "address", mac, NULL);
    format_bandwidth(&f, net);
    format_vlan(&f, net->vlan);
    if (net->isolated)
        xml_empty(&f.w, "port", "isolated", word_of(domain_yes_no_values, net->isolated), NULL);
    xml_close(&f.w, "networkport");
    return xml_writer_finish(&f.w);
}

/* ---- what it became ---- */

/* Newer networks may say more than is known here; what nobody asked for is read over. */
static xmlNode *child_of(xmlNode *node, const char *name)
{
    for (xmlNode *child = node->children; child; child = child->next)
        if (child->type == XML_ELEMENT_NODE && strcmp((const char *)child->name, name) == 0)
            return child;
    return NULL;
}

static bool read_rates(xmlNode *node, struct domain_bandwidth *rates, GError **error)
{
    unsigned floor = rates->floor; /* the network keeps it */

    if (!node)
        return true;
    *rates = (struct domain_bandwidth){.floor = floor};
    return xml_unsigned_attribute(node, "average", &rates->average, error) &&
           xml_unsigned_attribute(node, "peak", &rates->peak, error) &&
           xml_unsigned_attribute(node, "burst", &rates->burst, error);
}

static bool read_plug(xmlNode *plug, struct domain_net *net, GError **error)
{
    g_autofree char *type = plug ? xml_attribute(plug, "type") : NULL;
    g_autofree char *manager = plug ? xml_attribute(plug, "macTableManager") : NULL;
    int mode = DOMAIN_DIRECT_ABSENT;

    net->host_bridge = false;
    g_clear_pointer(&net->bridge, g_free);
    g_clear_pointer(&net->dev, g_free);
    if (g_strcmp0(type, "network") == 0 || g_strcmp0(type, "bridge") == 0) {
        net->bridge = xml_attribute(plug, "bridge");
        net->host_bridge = g_strcmp0(type, "bridge") == 0;
        net->static_macs = g_strcmp0(manager, "libvirt") == 0;
    } else if (g_strcmp0(type, "direct") == 0) {
        if (!xml_enum_attribute(plug, "mode", domain_direct_values, &mode, error))
            return false;
        net->dev = xml_attribute(plug, "dev");
        net->mode = (enum domain_direct_mode)mode;
    }
    if ((net->bridge && domain_check_ifname(plug, "bridge", net->bridge, error)) ||
        (net->dev && domain_check_ifname(plug, "dev", net->dev, error)))
        return true;
    if (!*error)
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "network '%s' has neither a bridge nor an interface for a macvtap",
                          net->network);
    return false;
}

static bool read_port(xmlNode *root, struct domain_net *net, GError **error)
{
    struct device_parser parser = {.live = true, .info = &net->info, .net = net};
    xmlNode *bandwidth = child_of(root, "bandwidth");
    xmlNode *vlan = child_of(root, "vlan");
    xmlNode *port = child_of(root, "port");

    if (bandwidth && (!read_rates(child_of(bandwidth, "inbound"), &net->inbound, error) ||
                      !read_rates(child_of(bandwidth, "outbound"), &net->outbound, error)))
        return false;
    if (vlan)
        g_clear_pointer(&net->vlan, g_free);
    return (!vlan || domain_read_vlan(vlan, &parser, error)) &&
           (!port || domain_read_net_port(port, &parser, error)) &&
           read_plug(child_of(root, "plug"), net, error);
}

bool network_port_apply(const char *xml, struct domain_net *net, GError **error)
{
    g_autoptr(xmlDoc) doc = NULL;
    GError *failed = NULL;

    doc = xml_document_parse(xml, strlen(xml), "(networkport)", &failed);
    if (doc && read_port(xmlDocGetRootElement(doc), net, &failed))
        return true;
    g_propagate_error(error, failed);
    return false;
}
