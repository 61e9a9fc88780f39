/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-net by way of vhost-net: each pair is a vhost of its own, with the tap's queue behind it.
 * The kernel serves the pairs while there is nothing that only this process can do: a pulled cable
 * drops frames here, and rate limits are kept here. Going over from one to the other is a stop and
 * a start of the workers, and the ring goes on where it was.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "vmm/virtio/net_priv.h"
#include "vmm/virtio/vhost.h"

#define VHOST_NET "/dev/vhost-net"

/* What vhost-net has to know of the driver; the rest is the tap's. */
#define VHOST_FEATURES (VIRTIO_VHOST_RING_FEATURES | VIRTIO_FEATURE(VIRTIO_NET_F_MRG_RXBUF))

/* ---- opening ---- */

/* `fd` is an inherited one, or -1. */
static int open_pair(struct net_pair *pair, int fd, struct error *err)
{
    char source[16] = VHOST_NET;

    if (fd >= 0)
        snprintf(source, sizeof(source), "fd:%d", fd);
    if (vhost_open(&pair->vhost, source, pair->net->dev.mem, err) < 0)
        return -1;
    if (!(pair->vhost.features & VIRTIO_FEATURE(VIRTIO_F_VERSION_1)))
        return error_set(err, "%s: the host's vhost-net knows no virtio 1", source);
    return 0;
}

static int open_pairs(struct virtio_net *net, const char *list, struct error *err)
{
    int fds[NETDEV_MAX_QUEUES];
    int count = list ? spec_list_fds(list, fds, NETDEV_MAX_QUEUES, err) : 0;

    if (count < 0)
        return -1;
    if (list && (unsigned)count != net->pair_count)
        return error_set(err, "vhost_fds: `%s` is not fd:N for each of %u queues", list,
                         net->pair_count);
    net->vhost_err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (net->vhost_err_fd < 0)
        return error_set_errno(err, errno, "make an eventfd");
    for (unsigned i = 0; i < net->pair_count; i++) {
        if (open_pair(&net->pairs[i], list ? fds[i] : -1, err) < 0)
            return -1;
    }
    return 0;
}

int net_vhost_open(struct virtio_net *net, const struct config_net *config, struct error *err)
{
    if (open_pairs(net, config->vhost_fds, err) < 0) {
        net_vhost_close(net);
        /* Descriptors that were given are meant to be used. */
        return config->vhost == VHOST_ON || config->vhost_fds
                   ? error_prefix(err, "net `%s`", config->id)
                   : 0;
    }
    net->dev.offered &= ~VHOST_FEATURES | net->pairs[0].vhost.features;
    return 0;
}

void net_vhost_close(struct virtio_net *net)
{
    for (unsigned i = 0; i < net->pair_count; i++)
        vhost_close(&net->pairs[i].vhost);
    if (net->vhost_err_fd >= 0)
        close(net->vhost_err_fd);
    net->vhost_err_fd = -1;
}

/* ---- one pair ---- */

static int start_ring(struct net_pair *pair, unsigned index, struct error *err)
{
    struct virtio_net *net = pair->net;
    unsigned queue = net_rx_queue(pair) + index;
    uint16_t next_avail;
    struct error ignored;

    if (virtio_vhost_give(&net->dev, queue, &pair->vhost, index, net->vhost_err_fd, err) == 0 &&
        vhost_net_set_backend(&pair->vhost, index, net->netdev->fds[pair->index], err) == 0)
        return 0;
    /* It did nothing yet, so its position is still ours. */
    (void)vhost_unset_ring(&pair->vhost, index, &next_avail, &ignored);
    return -1;
}

int net_vhost_start_pair(struct net_pair *pair, struct error *err)
{
    struct virtio_device *dev = &pair->net->dev;

    /* A driver that enables a pair that it did not set up has no use of it. */
    if (!dev->queues[net_rx_queue(pair)].ready || !dev->queues[net_tx_queue(pair)].ready)
        return 0;
    if (vhost_set_features(&pair->vhost, dev->acked & VHOST_FEATURES, err) < 0)
        return -1;
    while (pair->vhost_rings < NET_DIRECTIONS) {
        if (start_ring(pair, pair->vhost_rings, err) < 0) {
            net_vhost_stop_pair(pair);
            return -1;
        }
        pair->vhost_rings++;
    }
    virtio_vhost_started(dev, net_rx_queue(pair));
    virtio_vhost_started(dev, net_tx_queue(pair));
    return 0;
}

void net_vhost_stop_pair(struct net_pair *pair)
{
    struct virtio_device *dev = &pair->net->dev;
    struct error err;

    while (pair->vhost_rings > 0) {
        unsigned i = --pair->vhost_rings;

        if (vhost_net_set_backend(&pair->vhost, i, -1, &err) < 0 ||
            virtio_vhost_take(dev, net_rx_queue(pair) + i, &pair->vhost, i, &err) < 0)
            virtio_log(dev, "%s", err.msg);
    }
}

/* ---- all of them ---- */

void net_vhost_choose(struct virtio_net *net)
{
    struct virtio_device *dev = &net->dev;
    bool in_kernel = net->pairs[0].vhost.fd >= 0 && !net->vhost_failed && net->link_up &&
                     !net->limited[NET_RX] && !net->limited[NET_TX] && dev->queues[0].ready &&
                     dev->queues[1].ready;

    __atomic_store_n(&net->in_kernel, in_kernel, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < dev->queue_count; i++)
        dev->watches[i].external = in_kernel && i != net->control_queue;
}

int net_vhost_start(struct virtio_net *net, struct error *err)
{
    for (unsigned i = 0; i < net_active_pairs(net); i++) {
        if (net->pairs[i].vhost_rings == 0 && net_vhost_start_pair(&net->pairs[i], err) < 0) {
            net_vhost_stop(net);
            return -1;
        }
    }
    return 0;
}

static void on_broken_ring(void *opaque, uint32_t events)
{
    struct virtio_net *net = opaque;
    eventfd_t count;

    (void)events;
    if (eventfd_read(net->vhost_err_fd, &count) == 0)
        virtio_device_fail(&net->dev, "the driver's ring is broken, vhost says");
}

int net_vhost_watch(struct virtio_net *net, struct error *err)
{
    return loop_add(virtio_loop(&net->dev, net->control_queue), &net->vhost_err_watch,
                    net->vhost_err_fd, EPOLLIN, on_broken_ring, net, err);
}

void net_vhost_forget_errors(struct virtio_net *net)
{
    eventfd_t count;

    if (net->vhost_err_fd >= 0)
        (void)eventfd_read(net->vhost_err_fd, &count);
}

void net_vhost_stop(struct virtio_net *net)
{
    struct loop *loop = net->dev.workers[0].loop;

    if (loop)
        loop_remove(loop, &net->vhost_err_watch);
    for (unsigned i = 0; i < net->pair_count; i++)
        net_vhost_stop_pair(&net->pairs[i]);
}
