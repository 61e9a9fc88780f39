/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands about network devices. */
#include <linux/virtio_ids.h>

#include "vmm/qmp/handlers.h"
#include "vmm/virtio/net.h"

/* The index of the network device with that id, or -1 with `err`. */
static int find_net(const struct machine *m, const char *name, struct error *err)
{
    const struct config *config = machine_config(m);

    for (unsigned i = 0; i < config->net_count; i++) {
        if (strcmp(config->nets[i].id, name) == 0)
            return (int)i;
    }
    return error_set(err, "Device '%s' not found", name);
}

static struct virtio_device *net_device(const struct machine *m, unsigned index)
{
    return machine_device(m, VIRTIO_ID_NET, machine_config(m)->nets[index].id);
}

QMP_HANDLER(set_link)
{
    int index = find_net(m, json_string_value(json_object_get(arguments, "name")), err);
    bool up = json_is_true(json_object_get(arguments, "up"));

    return index < 0 ? NULL : qmp_done(machine_set_link(m, (unsigned)index, up, err));
}

QMP_HANDLER(announce_self)
{
    for (unsigned i = 0; i < machine_config(m)->net_count; i++)
        virtio_net_announce(net_device(m, i));
    return json_object();
}

QMP_HANDLER(query_netstats)
{
    const struct config *config = machine_config(m);
    json_t *list = json_array();

    for (unsigned i = 0; i < config->net_count; i++) {
        struct virtio_device *dev = net_device(m, i);
        struct virtio_net_stats stats;

        virtio_net_get_stats(dev, &stats);
        json_array_append_new(
            list,
            json_pack("{s:s, s:b, s:{s:I, s:I, s:I, s:I, s:I, s:I}}", "device", config->nets[i].id,
                      "in-kernel", virtio_net_in_kernel(dev), "stats", "rx_bytes",
                      (json_int_t)stats.rx_bytes, "rx_packets", (json_int_t)stats.rx_packets,
                      "rx_dropped", (json_int_t)stats.rx_drops, "tx_bytes",
                      (json_int_t)stats.tx_bytes, "tx_packets", (json_int_t)stats.tx_packets,
                      "tx_dropped", (json_int_t)stats.tx_drops));
    }
    return list;
}

/* ---- query-rx-filter ---- */

static json_t *mac_text(const uint8_t mac[VIRTIO_NET_MAC_SIZE])
{
    char text[MAC_TEXT_SIZE];

    return json_string(format_mac(mac, text));
}

static json_t *mac_table(const uint8_t (*macs)[VIRTIO_NET_MAC_SIZE], unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(list, mac_text(macs[i]));
    return list;
}

static json_t *vlan_table(const struct virtio_net_rx_filter *filter)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < VIRTIO_NET_VLANS; i++) {
        if (filter->vlans[i / VIRTIO_NET_VLAN_BITS] & 1u << i % VIRTIO_NET_VLAN_BITS)
            json_array_append_new(list, json_integer(i));
    }
    return list;
}

static const char *state_name(enum virtio_net_rx_state state)
{
    switch (state) {
    case VIRTIO_NET_RX_NONE:
        return "none";
    case VIRTIO_NET_RX_ALL:
        return "all";
    default:
        return "normal";
    }
}

static json_t *rx_filter(const char *name, struct virtio_device *dev)
{
    struct virtio_net_rx_filter filter;

    virtio_net_get_rx_filter(dev, &filter);
    return json_pack("{s:s, s:b, s:b, s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o}", "name", name,
                     "promiscuous", filter.promiscuous, "broadcast-allowed",
                     filter.broadcast_allowed, "unicast", state_name(filter.unicast), "multicast",
                     state_name(filter.multicast), "vlan", state_name(filter.vlan),
                     "unicast-overflow", filter.unicast_overflow, "multicast-overflow",
                     filter.multicast_overflow, "main-mac", mac_text(filter.main_mac),
                     "unicast-table", mac_table(filter.unicast_table, filter.unicast_count),
                     "multicast-table", mac_table(filter.multicast_table, filter.multicast_count),
                     "vlan-table", vlan_table(&filter));
}

QMP_HANDLER(query_rx_filter)
{
    const char *name = json_string_value(json_object_get(arguments, "name"));
    const struct config *config = machine_config(m);
    json_t *list;

    if (name && find_net(m, name, err) < 0)
        return NULL;
    list = json_array();
    for (unsigned i = 0; i < config->net_count; i++) {
        if (!name || strcmp(config->nets[i].id, name) == 0)
            json_array_append_new(list, rx_filter(config->nets[i].id, net_device(m, i)));
    }
    return list;
}

/* ---- limits ---- */

/* One direction's: `bps` and `pps` are the names of its arguments. */
static int read_limits(const json_t *arguments, const char *bps, const char *pps,
                       struct throttle_limits *limits, struct error *err)
{
    const char *wrong;

    *limits = (struct throttle_limits){0};
    if (qmp_read_limit(arguments, bps, &limits->bucket[THROTTLE_BPS_TOTAL], err) < 0 ||
        qmp_read_limit(arguments, pps, &limits->bucket[THROTTLE_OPS_TOTAL], err) < 0)
        return -1;
    wrong = throttle_check(limits);
    return wrong ? error_set(err, "%s", wrong) : 0;
}

QMP_HANDLER(net_set_throttle)
{
    int index = find_net(m, json_string_value(json_object_get(arguments, "device")), err);
    struct throttle_limits rx;
    struct throttle_limits tx;

    if (index < 0 || read_limits(arguments, "rx_bps", "rx_pps", &rx, err) < 0 ||
        read_limits(arguments, "tx_bps", "tx_pps", &tx, err) < 0)
        return NULL;
    return qmp_done(machine_set_net_limits(m, (unsigned)index, &rx, &tx, err));
}
