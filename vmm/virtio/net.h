/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the machine may ask of a virtio-net device (virtio 1.2, section 5.1) while it is there. All
 * functions are for the main thread; the device is one that virtio_net_new() made.
 */
#ifndef VOLE_VIRTIO_NET_H
#define VOLE_VIRTIO_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/throttle.h"
#include "vmm/util.h"

struct config_net;
struct memory;
struct netdev;
struct virtio_device;

#define VIRTIO_NET_MAC_SIZE  6
#define VIRTIO_NET_MAX_MACS  64 /* in a filter's two tables together */
#define VIRTIO_NET_VLANS     4096
#define VIRTIO_NET_VLAN_BITS 32 /* in an entry of `vlans` */

/* A device on `netdev`, which has config->queues queues and stays the caller's, as do `config` and
 * `mem`; all have to live longer. NULL with `err` set. */
struct virtio_device *virtio_net_new(const struct config_net *config, const struct memory *mem,
                                     struct netdev *netdev, struct error *err);

/* Plugs the cable in, or pulls it: then what either side sends is dropped. */
void virtio_net_set_link(struct virtio_device *dev, bool up);
bool virtio_net_link_is_up(const struct virtio_device *dev);
/* Why nothing will ever pass again, or NULL: VIRTIO_NOTICE_LINK_LOST tells of it. */
const char *virtio_net_broken(const struct virtio_device *dev);

/* New limits with fresh buckets, for what goes to the guest and what comes from it. A device that
 * has limits is not served by vhost. 0, or -1 with `err` and nothing changed. */
int virtio_net_set_limits(struct virtio_device *dev, const struct throttle_limits *rx,
                          const struct throttle_limits *tx, struct error *err);
void virtio_net_get_limits(const struct virtio_device *dev, struct throttle_limits *rx,
                           struct throttle_limits *tx);

/* Frames and their bytes, without virtio's header, that passed through this process. */
struct virtio_net_stats {
    uint64_t rx_bytes;
    uint64_t rx_packets;
    uint64_t rx_drops;
    uint64_t tx_bytes;
    uint64_t tx_packets;
    uint64_t tx_drops;
};
void virtio_net_get_stats(const struct virtio_device *dev, struct virtio_net_stats *stats);
/* Whether vhost serves the device now: its frames are in the tap's own statistics only. */
bool virtio_net_in_kernel(const struct virtio_device *dev);

/*
 * Which frames the driver wants. It is a wish, and kept for whoever can use it on the way to the
 * tap (a macvtap, a switch); the device itself passes on all that the tap has.
 */
enum virtio_net_rx_state {
    VIRTIO_NET_RX_NORMAL, /* those in the table */
    VIRTIO_NET_RX_NONE,
    VIRTIO_NET_RX_ALL,
};
struct virtio_net_rx_filter {
    bool promiscuous;
    bool broadcast_allowed;
    enum virtio_net_rx_state unicast;
    enum virtio_net_rx_state multicast;
    enum virtio_net_rx_state vlan;
    uint8_t main_mac[VIRTIO_NET_MAC_SIZE];
    bool unicast_overflow; /* the driver has more than the table holds, which is empty then */
    bool multicast_overflow;
    unsigned unicast_count;
    unsigned multicast_count;
    uint8_t unicast_table[VIRTIO_NET_MAX_MACS][VIRTIO_NET_MAC_SIZE];
    uint8_t multicast_table[VIRTIO_NET_MAX_MACS][VIRTIO_NET_MAC_SIZE];
    uint32_t vlans[VIRTIO_NET_VLANS / VIRTIO_NET_VLAN_BITS]; /* a bit each */
};
/* After it, the next change leaves one VIRTIO_NOTICE_RX_FILTER. */
void virtio_net_get_rx_filter(struct virtio_device *dev, struct virtio_net_rx_filter *filter);

/* Has the driver tell the network where the guest is now (after it moved), if it knows how to. */
void virtio_net_announce(struct virtio_device *dev);

#endif
