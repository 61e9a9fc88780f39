/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <interface>, in libvirt's order. */
#include "xml/format.h"

static void format_rates(struct format *f, const char *name, const struct domain_bandwidth *rates)
{
    if (rates->average || rates->floor)
        xml_empty(&f->w, name, "average", XML_NUMBER_OR_NULL(rates->average), "peak",
                  XML_NUMBER_OR_NULL(rates->peak), "floor", XML_NUMBER_OR_NULL(rates->floor),
                  "burst", XML_NUMBER_OR_NULL(rates->burst), NULL);
}

/* While it runs, an interface in a network is said to be what became of it: a port of the host's
 * own bridge, or a macvtap. The source still names the network. */
static enum domain_net_type shown_type(const struct format *f, const struct domain_net *net)
{
    if (!f->live || net->type != DOMAIN_NET_NETWORK)
        return net->type;
    if (net->dev)
        return DOMAIN_NET_DIRECT;
    return net->bridge && net->host_bridge ? DOMAIN_NET_BRIDGE : DOMAIN_NET_NETWORK;
}

static void format_source(struct format *f, const struct domain_net *net)
{
    const char *mode = word_of(domain_direct_values, net->mode);

    switch (net->type) {
    case DOMAIN_NET_BRIDGE:
        xml_empty(&f->w, "source", "bridge", net->bridge, NULL);
        break;
    case DOMAIN_NET_NETWORK: /* what became of it is live data */
        xml_empty(&f->w, "source", "network", net->network, "portgroup", net->portgroup, "portid",
                  f->live ? net->port_id : NULL, "bridge", f->live ? net->bridge : NULL, "dev",
                  f->live ? net->dev : NULL, "mode", f->live ? mode : NULL, NULL);
        break;
    case DOMAIN_NET_DIRECT:
        xml_empty(&f->w, "source", "dev", net->dev, "mode", mode ? mode : "vepa", NULL);
        break;
    case DOMAIN_NET_USER:
        if (net->dev)
            xml_empty(&f->w, "source", "dev", net->dev, NULL);
        break;
    case DOMAIN_NET_ETHERNET:
        break;
    }
}

void format_bandwidth(struct format *f, const struct domain_net *net)
{
    xml_open(&f->w, "bandwidth", NULL);
    format_rates(f, "inbound", &net->inbound);
    format_rates(f, "outbound", &net->outbound);
    xml_close_or_drop(&f->w, "bandwidth");
}

void format_vlan(struct format *f, const struct domain_vlan *vlan)
{
    if (!vlan)
        return;
    xml_open(&f->w, "vlan", "trunk", vlan->trunk ? "yes" : NULL, NULL);
    for (unsigned i = 0; i < vlan->count; i++)
        xml_empty(&f->w, "tag", "id", XML_NUMBER(vlan->tags[i].id), "nativeMode",
                  word_of(domain_vlan_native_values, vlan->tags[i].native), NULL);
    xml_close(&f->w, "vlan");
}

/* ---- passt ---- */

static void format_ip(struct format *f, const char *family, const struct domain_user_ip *ip)
{
    if (ip->address[0])
        xml_empty(&f->w, "ip", "address", ip->address, "family", family, "prefix",
                  XML_NUMBER_OR_NULL(ip->prefix), NULL);
}

static void format_forward(struct format *f, const struct domain_forward *forward)
{
    xml_open(&f->w, "portForward", "proto", forward->udp ? "udp" : "tcp", "address",
             forward->address[0] ? forward->address : NULL, "dev",
             forward->dev[0] ? forward->dev : NULL, NULL);
    for (unsigned i = 0; i < forward->range_count; i++) {
        const struct domain_range *range = &forward->ranges[i];

        xml_empty(&f->w, "range", "start", XML_NUMBER(range->start), "end",
                  XML_NUMBER_OR_NULL(range->end), "to", XML_NUMBER_OR_NULL(range->to), "exclude",
                  range->exclude ? "yes" : NULL, NULL);
    }
    xml_close(&f->w, "portForward");
}

static void format_user(struct format *f, const struct domain_net *net)
{
    format_ip(f, "ipv4", &net->user->ipv4);
    format_ip(f, "ipv6", &net->user->ipv6);
    for (unsigned i = 0; i < net->user->forward_count; i++)
        format_forward(f, &net->user->forwards[i]);
    xml_empty(&f->w, "backend", "type", "passt", "logFile", net->log_file, NULL);
}

/* ---- all of it ---- */

void format_net(struct format *f, const struct domain_net *net)
{
    char mac[18];

    domain_mac_format(net->mac, mac);
    xml_open(&f->w, "interface", "type",
             xml_value_name(domain_net_type_values, (int)shown_type(f, net)), NULL);
    xml_empty(&f->w, "mac", "address", mac, NULL);
    format_source(f, net);
    format_vlan(f, net->vlan);
    format_bandwidth(f, net);
    if (net->isolated)
        xml_empty(&f->w, "port", "isolated", word_of(domain_yes_no_values, net->isolated), NULL);
    if (net->target && (f->live || domain_net_target_is_users(net)))
        xml_empty(&f->w, "target", "dev", net->target, "managed",
                  word_of(domain_yes_no_values, net->managed), NULL);
    xml_empty(&f->w, "model", "type", "virtio", NULL);
    if (net->driver || net->queues || net->facts)
        xml_empty(&f->w, "driver", "name", word_of(domain_net_driver_values, net->driver),
                  "ioeventfd", domain_fact_value(net->facts, DOMAIN_FACT_IOEVENTFD), "event_idx",
                  domain_fact_value(net->facts, DOMAIN_FACT_EVENT_IDX), "queues",
                  XML_NUMBER_OR_NULL(net->queues), NULL);
    if (net->user)
        format_user(f, net);
    if (net->link)
        xml_empty(&f->w, "link", "state", word_of(domain_link_values, net->link), NULL);
    if (net->mtu)
        xml_empty(&f->w, "mtu", "size", XML_NUMBER(net->mtu), NULL);
    format_info(f, &net->info);
    xml_close(&f->w, "interface");
}

char *domain_net_format(const struct domain_net *net)
{
    struct format f = {.live = false};

    xml_writer_init(&f.w);
    format_net(&f, net);
    return xml_writer_finish(&f.w);
}
