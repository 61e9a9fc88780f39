/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control queue (virtio 1.2, section 5.1.6.5). A command is a class, a number and its data, and
 * one byte for the answer; what is not in the table below, or does not have the data that it should
 * have, or comes from a driver that did not accept its feature, is answered with VIRTIO_NET_ERR and
 * changes nothing.
 */

#include "vmm/virtio/net_priv.h"

/* ---- receive filter ---- */

void net_filter_reset(struct net_filter *filter)
{
    bool told = filter->told;

    *filter = (struct net_filter){.told = told};
    /* Until the driver says otherwise. */
    filter->modes[VIRTIO_NET_CTRL_RX_PROMISC] = 1;
}

static void filter_changed(struct virtio_net *net)
{
    if (!net->filter.told)
        virtio_notice(&net->dev, VIRTIO_NOTICE_RX_FILTER);
    net->filter.told = true;
}

static enum virtio_net_rx_state rx_state(bool none, bool all)
{
    return none ? VIRTIO_NET_RX_NONE : all ? VIRTIO_NET_RX_ALL : VIRTIO_NET_RX_NORMAL;
}

struct filter_question {
    struct virtio_net *net;
    struct virtio_net_rx_filter *answer;
};

static void copy_filter(void *opaque)
{
    const struct filter_question *question = opaque;
    struct virtio_net *net = question->net;
    const uint8_t *modes = net->filter.modes;
    struct virtio_net_rx_filter *answer = question->answer;

    *answer = net->filter.tables;
    answer->promiscuous = modes[VIRTIO_NET_CTRL_RX_PROMISC];
    answer->broadcast_allowed = !modes[VIRTIO_NET_CTRL_RX_NOBCAST];
    answer->unicast = rx_state(modes[VIRTIO_NET_CTRL_RX_NOUNI], modes[VIRTIO_NET_CTRL_RX_ALLUNI]);
    answer->multicast =
        rx_state(modes[VIRTIO_NET_CTRL_RX_NOMULTI], modes[VIRTIO_NET_CTRL_RX_ALLMULTI]);
    answer->vlan = rx_state(false, !virtio_has_feature(&net->dev, VIRTIO_NET_F_CTRL_VLAN));
    pthread_mutex_lock(&net->dev.config_lock);
    memcpy(answer->main_mac, net->dev.config + offsetof(struct virtio_net_config, mac),
           sizeof(answer->main_mac));
    pthread_mutex_unlock(&net->dev.config_lock);
    net->filter.told = false;
}

void virtio_net_get_rx_filter(struct virtio_device *dev, struct virtio_net_rx_filter *filter)
{
    struct filter_question question = {.net = net_of(dev), .answer = filter};

    virtio_device_call(dev, 0, copy_filter, &question);
}

/* ---- commands; each returns whether it was carried out ---- */

/* A command's data: the readable part behind its two bytes. */
struct command_data {
    const struct virtq_chain *chain;
    size_t offset;
    size_t left;
};

/* Takes the next `len` bytes; false when there are fewer. */
static bool take(struct command_data *data, void *to, size_t len)
{
    if (data->left < len)
        return false;
    iov_read(data->chain->iov, data->chain->readable, data->offset, to, len);
    data->offset += len;
    data->left -= len;
    return true;
}

static bool set_rx_mode(struct virtio_net *net, uint8_t command, struct command_data *data)
{
    uint8_t on;

    if (!take(data, &on, sizeof(on)))
        return false;
    net->filter.modes[command] = on != 0;
    filter_changed(net);
    return true;
}

/* A table that is larger than what is left for it is all or nothing. */
static bool take_macs(struct command_data *data, unsigned room, unsigned *count, bool *overflow,
                      uint8_t table[][VIRTIO_NET_MAC_SIZE])
{
    uint32_t entries;
    size_t size;

    if (!take(data, &entries, sizeof(entries)) || entries > data->left / VIRTIO_NET_MAC_SIZE)
        return false;
    size = (size_t)entries * VIRTIO_NET_MAC_SIZE;
    if (entries <= room) {
        *count = entries;
        return take(data, table, size);
    }
    *overflow = true;
    data->offset += size;
    data->left -= size;
    return true;
}

static bool set_mac_table(struct virtio_net *net, uint8_t command, struct command_data *data)
{
    struct virtio_net_rx_filter *tables = &net->filter.tables;
    struct virtio_net_rx_filter new = {0};

    (void)command;
    if (!take_macs(data, VIRTIO_NET_MAX_MACS, &new.unicast_count, &new.unicast_overflow,
                   new.unicast_table) ||
        !take_macs(data, VIRTIO_NET_MAX_MACS - new.unicast_count, &new.multicast_count,
                   &new.multicast_overflow, new.multicast_table))
        return false;
    memcpy(new.vlans, tables->vlans, sizeof(new.vlans));
    *tables = new;
    filter_changed(net);
    return true;
}

static bool set_mac_address(struct virtio_net *net, uint8_t command, struct command_data *data)
{
    uint8_t mac[VIRTIO_NET_MAC_SIZE];

    (void)command;
    if (!take(data, mac, sizeof(mac)))
        return false;
    net_set_mac(net, mac);
    filter_changed(net);
    return true;
}

static bool set_vlan(struct virtio_net *net, uint8_t command, struct command_data *data)
{
    uint32_t *vlans = net->filter.tables.vlans;
    uint16_t id;
    uint32_t bit;

    if (!take(data, &id, sizeof(id)) || id >= VIRTIO_NET_VLANS)
        return false;
    bit = UINT32_C(1) << (id % VIRTIO_NET_VLAN_BITS);
    if (command == VIRTIO_NET_CTRL_VLAN_ADD)
        vlans[id / VIRTIO_NET_VLAN_BITS] |= bit;
    else
        vlans[id / VIRTIO_NET_VLAN_BITS] &= ~bit;
    filter_changed(net);
    return true;
}

static bool acknowledge_announcement(struct virtio_net *net, uint8_t command,
                                     struct command_data *data)
{
    (void)command;
    (void)data;
    if (!net->announcing)
        return false;
    net->announcing = false;
    net_publish_status(net);
    return true;
}

static bool set_queue_pairs(struct virtio_net *net, uint8_t command, struct command_data *data)
{
    uint16_t pairs;
    int r;

    (void)command;
    if (!take(data, &pairs, sizeof(pairs)) || pairs == 0 || pairs > net->pair_count)
        return false;
    r = net_set_pairs(net, pairs);
    if (r < 0)
        virtio_log(&net->dev, "enable %u queue pairs: %s", pairs, strerror(-r));
    return r == 0;
}

static bool set_offloads(struct virtio_net *net, uint8_t command, struct command_data *data)
{
    static const uint64_t known =
        VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO4) |
        VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO6) | VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_ECN);
    uint64_t offloads;

    (void)command;
    if (!take(data, &offloads, sizeof(offloads)) || (offloads & ~(known & net->dev.acked)))
        return false;
    return netdev_set_offload(net->netdev, net_tap_offloads(offloads)) == 0;
}

/* ---- the table ---- */

static const struct command {
    uint8_t class;
    uint8_t first; /* numbers of commands, */
    uint8_t last;  /* inclusive */
    uint8_t feature;
    bool (*run)(struct virtio_net *net, uint8_t command, struct command_data *data);
} commands[] = {
    {VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, VIRTIO_NET_CTRL_RX_ALLMULTI,
     VIRTIO_NET_F_CTRL_RX, set_rx_mode},
    {VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLUNI, VIRTIO_NET_CTRL_RX_NOBCAST,
     VIRTIO_NET_F_CTRL_RX_EXTRA, set_rx_mode},
    {VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, VIRTIO_NET_CTRL_MAC_TABLE_SET,
     VIRTIO_NET_F_CTRL_RX, set_mac_table},
    {VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, VIRTIO_NET_CTRL_MAC_ADDR_SET,
     VIRTIO_NET_F_CTRL_MAC_ADDR, set_mac_address},
    {VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, VIRTIO_NET_CTRL_VLAN_DEL,
     VIRTIO_NET_F_CTRL_VLAN, set_vlan},
    {VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, VIRTIO_NET_CTRL_ANNOUNCE_ACK,
     VIRTIO_NET_F_GUEST_ANNOUNCE, acknowledge_announcement},
    {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
     VIRTIO_NET_F_MQ, set_queue_pairs},
    {VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
     VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, set_offloads},
};

static bool carry_out(struct virtio_net *net, const struct virtq_chain *chain)
{
    struct command_data data = {.chain = chain, .left = chain->readable_len};
    struct virtio_net_ctrl_hdr header;

    if (!take(&data, &header, sizeof(header)))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        const struct command *c = &commands[i];

        if (c->class == header.class && c->first <= header.cmd && header.cmd <= c->last)
            return virtio_has_feature(&net->dev, c->feature) && c->run(net, header.cmd, &data);
    }
    return false;
}

static bool serve(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    uint8_t answer;

    if (chain->writable_len == 0) {
        virtio_device_fail(dev, "a control command without room for an answer");
        return true;
    }
    answer = carry_out(net_of(dev), chain) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
    iov_write(chain->iov + chain->readable, chain->writable, 0, &answer, sizeof(answer));
    virtq_push(&dev->queues[queue], chain->head, sizeof(answer));
    return true;
}

void net_control(struct virtio_net *net)
{
    virtio_serve(&net->dev, net->control_queue, &net->pairs[0].chain, serve);
}
