/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of virtio-net, in four files:
 *
 *   net.c         the device's life, its features and config space, what the machine asks of it
 *   net_queue.c   frames between tap and guest, in this process
 *   net_vhost.c   the same work given to the host's kernel
 *   net_ctrl.c    the control queue
 *
 * Queue 2i receives and queue 2i + 1 transmits; the two are pair i, which has queue i of the tap
 * and worker i. The control queue comes after all of them (with a driver that knows but one pair,
 * after that one) and belongs to worker 0.
 *
 * What is written while the workers stand still (activation, reset, virtio_device_rearrange()) is
 * read by them without a lock. What changes under way has one writer: worker 0, which tells the
 * others by ringing their doorbell.
 */
#ifndef VOLE_VIRTIO_NET_PRIV_H
#define VOLE_VIRTIO_NET_PRIV_H

#include <linux/virtio_net.h>
#include <pthread.h>

#include "vmm/backend/netdev.h"
#include "vmm/backend/vhost.h"
#include "vmm/config.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/net.h"

#define NET_MAX_BUFFERS 64  /* chains that one received frame may be spread over */
#define NET_RX_SEGMENTS 256 /* buffers in all of them */

enum net_direction {
    NET_RX, /* to the guest */
    NET_TX,
    NET_DIRECTIONS,
};

struct net_rx_buffer {
    uint16_t head;
    unsigned segments;
    size_t len;
};

struct net_pair {
    struct virtio_net *net;
    unsigned index;
    struct loop_watch netdev_watch;
    uint32_t netdev_awaited; /* EPOLLIN, EPOLLOUT */
    bool netdev_gone;
    struct vhost vhost;
    unsigned vhost_rings; /* that it serves right now */
    struct loop_timer timers[NET_DIRECTIONS];
    struct virtio_net_stats stats; /* written by the worker alone; atomic */

    /* The driver's next buffers, lined up for the next frame. */
    unsigned rx_count; /* chains, the last that were popped */
    unsigned rx_segments;
    size_t rx_room;
    size_t rx_wanted; /* the room that a frame may need; 0 until the driver's features say */
    struct net_rx_buffer rx_buffers[NET_MAX_BUFFERS];
    struct iovec rx_iov[NET_RX_SEGMENTS + 1]; /* and one for what does not fit */
    uint16_t rx_most;                         /* chains that the driver ever had here at once */

    /* A frame that the line was too short for; it is the next to be delivered. */
    uint8_t *spill;   /* NULL until there is one */
    size_t spill_len; /* 0: no frame is kept */

    struct virtq_chain chain; /* the one at hand */
};

/* The driver's wishes; worker 0's. */
struct net_filter {
    uint8_t modes[VIRTIO_NET_CTRL_RX_NOBCAST + 1]; /* by command; 0 or 1 */
    struct virtio_net_rx_filter tables;            /* the modes in it are not used */
    bool told; /* a notice was left, and nobody has asked since */
};

struct virtio_net {
    struct virtio_device dev;
    struct netdev *netdev;
    uint8_t mac[VIRTIO_NET_MAC_SIZE]; /* after a reset */
    unsigned mtu;                     /* the largest that tap or driver may have been told of */
    enum vhost_use vhost_use;
    bool vhost_failed;

    /* Change only while the workers stand still. */
    bool link_up;
    bool in_kernel; /* the active pairs are vhost's; atomic, the main thread reads it */
    unsigned control_queue;
    bool limited[NET_DIRECTIONS];

    unsigned active_pairs; /* worker 0's; atomic */
    bool announcing;       /* worker 0's */
    struct net_filter filter;

    int vhost_err_fd; /* eventfd: a driver broke a ring; -1 without vhost */
    struct loop_watch vhost_err_watch;

    pthread_mutex_t limit_lock; /* over the buckets, which all pairs share */
    struct throttle throttles[NET_DIRECTIONS];

    unsigned pair_count;
    struct net_pair pairs[];
};

static inline struct virtio_net *net_of(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_net, dev);
}

static inline unsigned net_rx_queue(const struct net_pair *pair)
{
    return 2 * pair->index;
}

static inline unsigned net_tx_queue(const struct net_pair *pair)
{
    return 2 * pair->index + 1;
}

static inline unsigned net_active_pairs(const struct virtio_net *net)
{
    return __atomic_load_n(&net->active_pairs, __ATOMIC_ACQUIRE);
}

/* ---- net.c ---- */

/* In worker 0, or while the workers stand still. */
void net_publish_status(struct virtio_net *net);
void net_set_mac(struct virtio_net *net, const uint8_t mac[VIRTIO_NET_MAC_SIZE]);
/* What the tap may give the guest, as TUN_F_*, for `accepted` features. */
unsigned net_tap_offloads(uint64_t accepted);
/* The driver uses `count` pairs from now on. In worker 0, or while the workers stand still. 0, or a
 * negative errno, and then there is only the first. */
int net_set_pairs(struct virtio_net *net, unsigned count);

/* ---- net_queue.c; in the pair's worker ---- */

void net_pair_init(struct virtio_net *net, unsigned index);
void net_pair_release(struct net_pair *pair);
void net_pair_start(struct net_pair *pair);
void net_pair_stop(struct net_pair *pair);
/* The driver is gone; no worker runs. */
void net_pair_reset(struct net_pair *pair);
/* Nobody is going to take the frame that is kept, if there is one. Also while the workers stand
 * still. */
void net_pair_drop_spill(struct net_pair *pair);
/* Something may be in the queue, or the number of active pairs changed. */
void net_receive(struct net_pair *pair);
void net_transmit(struct net_pair *pair);
/* Makes what a limited device needs. 0, or -1 with `err`. */
int net_make_timers(struct virtio_net *net, struct error *err);

/* ---- net_vhost.c ---- */

/* Opens the vhosts of a device that may have them, and leaves out features that they cannot do. 0,
 * or -1 with `err`. */
int net_vhost_open(struct virtio_net *net, const struct config_net *config, struct error *err);
void net_vhost_close(struct virtio_net *net);
/* Decides who serves the queues from now on; the workers stand still. */
void net_vhost_choose(struct virtio_net *net);
/* Starts all active pairs, or none. 0, or -1 with `err`. */
int net_vhost_start(struct virtio_net *net, struct error *err);
/* Starts the watch over broken rings; in worker 0. 0, or -1 with `err`. */
int net_vhost_watch(struct virtio_net *net, struct error *err);
/* Stops all; afterwards nothing touches the guest's memory. */
void net_vhost_stop(struct virtio_net *net);
/* A driver's broken rings are no concern of the next one's. */
void net_vhost_forget_errors(struct virtio_net *net);
int net_vhost_start_pair(struct net_pair *pair, struct error *err);
void net_vhost_stop_pair(struct net_pair *pair);

/* ---- net_ctrl.c; in worker 0 ---- */

void net_control(struct virtio_net *net);
/* As after power-on. */
void net_filter_reset(struct net_filter *filter);

#endif
