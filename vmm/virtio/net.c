/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-net (virtio 1.2, section 5.1): the device's life, its features and config space, and what
 * the machine asks of it. net_priv.h tells how the parts belong together. */
#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "vmm/backend/stream.h"
#include "vmm/virtio/net_priv.h"

#define QUEUE_SIZE   256
#define CONTROL_SIZE 64
#define ETHERNET_MTU 1500u

_Static_assert(CONFIG_MAX_QUEUES <= NETDEV_MAX_QUEUES, "a tap queue for each pair");
_Static_assert(CONFIG_MAX_QUEUES <= VIRTIO_MAX_WORKERS, "a worker for each pair");
_Static_assert(2 * CONFIG_MAX_QUEUES + 1 <= VIRTIO_MAX_QUEUES, "two queues a pair, and control");

/* ---- what the tap does for the driver ---- */

unsigned net_tap_offloads(uint64_t accepted)
{
    static const struct {
        unsigned feature;
        unsigned flag;
    } segments[] = {
        {VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4},
        {VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6},
    };
    unsigned flags = 0;

    if (!(accepted & VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM)))
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(segments); i++)
        if (accepted & VIRTIO_FEATURE(segments[i].feature))
            flags |= segments[i].flag;
    if (flags && (accepted & VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_ECN)))
        flags |= TUN_F_TSO_ECN;
    return flags | TUN_F_CSUM;
}

static int disable_pair(struct net_pair *pair)
{
    net_vhost_stop_pair(pair);
    return netdev_enable_queue(pair->net->netdev, pair->index, false);
}

static int enable_pair(struct net_pair *pair)
{
    int r = netdev_enable_queue(pair->net->netdev, pair->index, true);
    struct error err;

    if (r < 0 || !pair->net->in_kernel)
        return r;
    if (net_vhost_start_pair(pair, &err) == 0)
        return 0;
    virtio_log(&pair->net->dev, "%s", err.msg);
    return -EIO;
}

static int change_pairs(struct virtio_net *net, unsigned old, unsigned count)
{
    int r = 0;

    for (unsigned i = count; i < old && r == 0; i++)
        r = disable_pair(&net->pairs[i]);
    for (unsigned i = old; i < count && r == 0; i++)
        r = enable_pair(&net->pairs[i]);
    return r;
}

int net_set_pairs(struct virtio_net *net, unsigned count)
{
    unsigned old = net_active_pairs(net);
    int r;

    /* What a worker sees of a disabled queue looks like a tap that is gone: it has to know before.
     */
    __atomic_store_n(&net->active_pairs, MIN(old, count), __ATOMIC_RELEASE);
    r = change_pairs(net, old, count);
    if (r < 0) {
        for (unsigned i = 1; i < net->pair_count; i++)
            (void)disable_pair(&net->pairs[i]);
        count = 1;
    }
    __atomic_store_n(&net->active_pairs, count, __ATOMIC_RELEASE);
    for (unsigned i = 1; i < net->pair_count; i++) {
        unsigned queue = net_rx_queue(&net->pairs[i]);

        if (net->dev.queues[queue].ready && !net->dev.watches[queue].external)
            virtio_kick_again(&net->dev, queue);
    }
    return r;
}

/* ---- config space ---- */

void net_publish_status(struct virtio_net *net)
{
    uint16_t status = (uint16_t)((net->link_up ? VIRTIO_NET_S_LINK_UP : 0) |
                                 (net->announcing ? VIRTIO_NET_S_ANNOUNCE : 0));

    virtio_set_config(&net->dev, offsetof(struct virtio_net_config, status), &status,
                      sizeof(status));
}

/* The driver's own doing: nothing that it has to be told. */
void net_set_mac(struct virtio_net *net, const uint8_t mac[VIRTIO_NET_MAC_SIZE])
{
    pthread_mutex_lock(&net->dev.config_lock);
    memcpy(net->dev.config + offsetof(struct virtio_net_config, mac), mac, VIRTIO_NET_MAC_SIZE);
    pthread_mutex_unlock(&net->dev.config_lock);
}

/* ---- life ---- */

/*
 * A driver comes. How it sees the queues depends on whether it knows of pairs at all; and frames
 * that waited for its predecessor are not for it: it may not even take their kind.
 */
static int net_activate(struct virtio_device *dev)
{
    struct virtio_net *net = net_of(dev);
    int r;

    net->control_queue = virtio_has_feature(dev, VIRTIO_NET_F_MQ) ? 2 * net->pair_count : 2;
    for (unsigned i = 0; i < dev->queue_count; i++)
        dev->watches[i].worker = i == net->control_queue || i / 2 >= net->pair_count ? 0 : i / 2;
    r = net_set_pairs(net, 1);
    if (r == 0)
        r = netdev_set_offload(net->netdev, net_tap_offloads(dev->acked));
    if (r < 0)
        virtio_log(dev, "set up the tap: %s", strerror(-r));
    netdev_drain(net->netdev, 0);
    if (stream_broken(net->netdev))
        virtio_notice(dev, VIRTIO_NOTICE_LINK_LOST);
    net_vhost_choose(net);
    if (net->in_kernel && !dev->paused) {
        struct error err;

        if (net_vhost_start(net, &err) == 0)
            return 0;
        virtio_log(dev, "%s", err.msg);
        if (net->vhost_use == VHOST_ON)
            return -1;
        net->vhost_failed = true;
        net_vhost_choose(net);
    }
    return 0;
}

static void net_start(struct virtio_device *dev, unsigned worker)
{
    struct virtio_net *net = net_of(dev);
    struct error err;

    if (net->in_kernel) {
        net_pair_drop_spill(&net->pairs[worker]);
        if (worker == 0 && (net_vhost_watch(net, &err) < 0 || net_vhost_start(net, &err) < 0)) {
            virtio_device_fail(dev, err.msg);
            return;
        }
    } else {
        net_pair_start(&net->pairs[worker]);
    }
    if (worker == 0 && virtio_started(dev, net->control_queue) &&
        dev->queues[net->control_queue].ready)
        net_control(net);
}

static void net_stop(struct virtio_device *dev, unsigned worker)
{
    struct virtio_net *net = net_of(dev);

    if (worker == 0)
        net_vhost_stop(net);
    net_pair_stop(&net->pairs[worker]);
}

static void net_kick(struct virtio_device *dev, unsigned queue)
{
    struct virtio_net *net = net_of(dev);

    if (queue == net->control_queue)
        net_control(net);
    else if (queue / 2 >= net->pair_count)
        return;
    else if (queue % 2 == 0)
        net_receive(&net->pairs[queue / 2]);
    else
        net_transmit(&net->pairs[queue / 2]);
}

static void net_reset(struct virtio_device *dev)
{
    struct virtio_net *net = net_of(dev);

    /* It may run although no worker does: what came after its start went wrong. */
    net_vhost_stop(net);
    net_vhost_forget_errors(net);
    __atomic_store_n(&net->in_kernel, false, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < dev->queue_count; i++)
        dev->watches[i].external = false;
    (void)net_set_pairs(net, 1);
    /* The next driver may take less; what comes until then is for nobody. */
    (void)netdev_set_offload(net->netdev, 0);
    for (unsigned i = 0; i < net->pair_count; i++)
        net_pair_reset(&net->pairs[i]);
    net_filter_reset(&net->filter);
    net_set_mac(net, net->mac);
    net->announcing = false;
    net_publish_status(net);
}

static void net_free(struct virtio_device *dev)
{
    struct virtio_net *net = net_of(dev);

    virtio_device_release(dev);
    net_vhost_close(net);
    for (unsigned i = 0; i < net->pair_count; i++)
        net_pair_release(&net->pairs[i]);
    pthread_mutex_destroy(&net->limit_lock);
    free(net);
}

static const struct virtio_type net_type = {
    .name = "virtio-net",
    .id = VIRTIO_ID_NET,
    .queue_size = QUEUE_SIZE,
    .activate = net_activate,
    .start = net_start,
    .kick = net_kick,
    .stop = net_stop,
    .reset = net_reset,
    .free = net_free,
};

/* Who is not in the kernel knows nothing of checksums to be filled in and segments to be cut. */
#define OFFLOADS                                                                         \
    (VIRTIO_FEATURE(VIRTIO_NET_F_CSUM) | VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM) |       \
     VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO4) | VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO6) | \
     VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_ECN) | VIRTIO_FEATURE(VIRTIO_NET_F_HOST_TSO4) |   \
     VIRTIO_FEATURE(VIRTIO_NET_F_HOST_TSO6) | VIRTIO_FEATURE(VIRTIO_NET_F_HOST_ECN) |    \
     VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS))

static uint64_t features(const struct config_net *config, const struct netdev *netdev)
{
    static const unsigned bits[] = {
        VIRTIO_NET_F_CSUM,          VIRTIO_NET_F_GUEST_CSUM,     VIRTIO_NET_F_MAC,
        VIRTIO_NET_F_GUEST_TSO4,    VIRTIO_NET_F_GUEST_TSO6,     VIRTIO_NET_F_GUEST_ECN,
        VIRTIO_NET_F_HOST_TSO4,     VIRTIO_NET_F_HOST_TSO6,      VIRTIO_NET_F_HOST_ECN,
        VIRTIO_NET_F_MRG_RXBUF,     VIRTIO_NET_F_STATUS,         VIRTIO_NET_F_CTRL_VQ,
        VIRTIO_NET_F_CTRL_RX,       VIRTIO_NET_F_CTRL_RX_EXTRA,  VIRTIO_NET_F_CTRL_VLAN,
        VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
    };
    uint64_t set = 0;

    for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
        set |= VIRTIO_FEATURE(bits[i]);
    if (config->queues > 1)
        set |= VIRTIO_FEATURE(VIRTIO_NET_F_MQ);
    if (config->mtu)
        set |= VIRTIO_FEATURE(VIRTIO_NET_F_MTU);
    if (!netdev->ops->in_kernel)
        set &= ~OFFLOADS;
    return set;
}

static void fill_config(struct virtio_net *net, const struct config_net *config)
{
    struct virtio_net_config space = {
        .status = net->link_up ? VIRTIO_NET_S_LINK_UP : 0,
        .max_virtqueue_pairs = (uint16_t)net->pair_count,
        .mtu = (uint16_t)config->mtu,
    };

    memcpy(space.mac, net->mac, sizeof(space.mac));
    net->dev.config_size = offsetof(struct virtio_net_config, speed);
    memcpy(net->dev.config, &space, net->dev.config_size);
}

static void set_throttles(struct virtio_net *net, const struct throttle_limits *rx,
                          const struct throttle_limits *tx)
{
    const struct throttle_limits *limits[] = {[NET_RX] = rx, [NET_TX] = tx};

    for (unsigned i = 0; i < NET_DIRECTIONS; i++) {
        throttle_init(&net->throttles[i], limits[i], monotonic_ns());
        net->limited[i] = net->throttles[i].active;
    }
}

/* Of a device that is whole, but for what may fail. */
static int set_up(struct virtio_net *net, const struct config_net *config, struct error *err)
{
    struct virtqueue *control = &net->dev.queues[net->control_queue];

    control->max_size = CONTROL_SIZE;
    virtq_reset(control);
    fill_config(net, config);
    net_filter_reset(&net->filter);
    if (net->vhost_use != VHOST_OFF && net_vhost_open(net, config, err) < 0)
        return -1;
    return virtio_net_set_limits(&net->dev, &config->rx_limits, &config->tx_limits, err);
}

struct virtio_device *virtio_net_new(const struct config_net *config, const struct memory *mem,
                                     struct netdev *netdev, struct error *err)
{
    unsigned pairs = netdev->queue_count;
    struct virtio_net *net = xcalloc(1, sizeof(*net) + pairs * sizeof(net->pairs[0]));
    const struct virtio_shape shape = {
        .queues = 2 * pairs + 1,
        .workers = pairs,
        .features = features(config, netdev),
    };

    net->netdev = netdev;
    net->vhost_use = netdev->ops->in_kernel ? config->vhost : VHOST_OFF;
    net->link_up = !config->link_down;
    net->mtu = MAX(MAX(netdev->mtu, config->mtu), ETHERNET_MTU);
    net->active_pairs = 1;
    net->control_queue = 2 * pairs;
    net->vhost_err_fd = net->vhost_err_watch.fd = -1;
    memcpy(net->mac, config->mac, sizeof(net->mac));
    if (virtio_device_init(&net->dev, &net_type, config->id, mem, &shape, err) < 0) {
        free(net);
        return NULL;
    }
    pthread_mutex_init(&net->limit_lock, NULL);
    net->pair_count = pairs;
    for (unsigned i = 0; i < pairs; i++)
        net_pair_init(net, i);
    if (set_up(net, config, err) < 0) {
        net_free(&net->dev);
        return NULL;
    }
    return &net->dev;
}

/* ---- what the machine asks ---- */

struct link_change {
    struct virtio_net *net;
    bool up;
};

static void change_link(void *opaque)
{
    const struct link_change *change = opaque;
    struct virtio_net *net = change->net;

    /* What came before or meanwhile is not delivered late. */
    for (unsigned i = 0; i < net->pair_count; i++)
        net_pair_drop_spill(&net->pairs[i]);
    for (unsigned i = 0; change->up && i < net_active_pairs(net); i++)
        netdev_drain(net->netdev, i);
    net->link_up = change->up;
    if (net->dev.active)
        net_vhost_choose(net);
}

static void publish_status(void *opaque)
{
    net_publish_status(opaque);
}

void virtio_net_set_link(struct virtio_device *dev, bool up)
{
    struct link_change change = {.net = net_of(dev), .up = up};

    if (change.net->link_up == up)
        return;
    virtio_device_rearrange(dev, change_link, &change);
    virtio_device_call(dev, 0, publish_status, change.net);
}

const char *virtio_net_broken(const struct virtio_device *dev)
{
    return stream_broken(container_of(dev, const struct virtio_net, dev)->netdev);
}

bool virtio_net_link_is_up(const struct virtio_device *dev)
{
    return container_of(dev, const struct virtio_net, dev)->link_up;
}

struct limits_change {
    struct virtio_net *net;
    const struct throttle_limits *rx;
    const struct throttle_limits *tx;
};

static void change_limits(void *opaque)
{
    const struct limits_change *change = opaque;

    set_throttles(change->net, change->rx, change->tx);
    if (change->net->dev.active)
        net_vhost_choose(change->net);
}

static bool has_limit(const struct throttle_limits *limits)
{
    for (unsigned i = 0; i < THROTTLE_BUCKETS; i++)
        if (limits->bucket[i].avg)
            return true;
    return false;
}

int virtio_net_set_limits(struct virtio_device *dev, const struct throttle_limits *rx,
                          const struct throttle_limits *tx, struct error *err)
{
    struct limits_change change = {.net = net_of(dev), .rx = rx, .tx = tx};
    bool any = has_limit(rx) || has_limit(tx);
    const char *why = throttle_check(rx);

    if (!why)
        why = throttle_check(tx);
    if (why)
        return error_set(err, "net `%s`: %s", dev->id, why);
    if (any && change.net->vhost_use == VHOST_ON)
        return error_set(err, "net `%s`: vhost has no rate limits", dev->id);
    if (any && net_make_timers(change.net, err) < 0)
        return error_prefix(err, "net `%s`", dev->id);
    virtio_device_rearrange(dev, change_limits, &change);
    return 0;
}

void virtio_net_get_limits(const struct virtio_device *dev, struct throttle_limits *rx,
                           struct throttle_limits *tx)
{
    const struct virtio_net *net = container_of(dev, const struct virtio_net, dev);

    *rx = net->throttles[NET_RX].limits;
    *tx = net->throttles[NET_TX].limits;
}

void virtio_net_get_stats(const struct virtio_device *dev, struct virtio_net_stats *stats)
{
    const struct virtio_net *net = container_of(dev, const struct virtio_net, dev);

    *stats = (struct virtio_net_stats){0};
    for (unsigned i = 0; i < net->pair_count; i++) {
        const struct virtio_net_stats *part = &net->pairs[i].stats;

        stats->rx_bytes += __atomic_load_n(&part->rx_bytes, __ATOMIC_RELAXED);
        stats->rx_packets += __atomic_load_n(&part->rx_packets, __ATOMIC_RELAXED);
        stats->rx_drops += __atomic_load_n(&part->rx_drops, __ATOMIC_RELAXED);
        stats->tx_bytes += __atomic_load_n(&part->tx_bytes, __ATOMIC_RELAXED);
        stats->tx_packets += __atomic_load_n(&part->tx_packets, __ATOMIC_RELAXED);
        stats->tx_drops += __atomic_load_n(&part->tx_drops, __ATOMIC_RELAXED);
    }
}

bool virtio_net_in_kernel(const struct virtio_device *dev)
{
    const struct virtio_net *net = container_of(dev, const struct virtio_net, dev);

    return __atomic_load_n(&net->in_kernel, __ATOMIC_RELAXED);
}

static void announce(void *opaque)
{
    struct virtio_net *net = opaque;

    net->announcing = net->link_up && virtio_has_feature(&net->dev, VIRTIO_NET_F_GUEST_ANNOUNCE);
    net_publish_status(net);
}

void virtio_net_announce(struct virtio_device *dev)
{
    virtio_device_call(dev, 0, announce, net_of(dev));
}
