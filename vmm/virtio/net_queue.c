/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Frames between the host's end and the guest's buffers, in this process: each goes over in one
 * system call, without a copy of ours, for the tap's header and the device's are the same 12 bytes.
 *
 * Receiving. The tap may hand out a frame of 64 KiB (to a guest that takes segments unsegmented),
 * and it has to be read at once or its tail is lost. So the guest's next buffers are lined up in
 * one iov until they hold the largest frame there may be; a frame takes as many of them as it
 * fills, and the others stay in line for the next one. Without mergeable buffers a frame has one
 * buffer, and the driver's are large enough by themselves. Behind the line stands a last entry that
 * is nobody's: a frame that reaches into it was larger than the room, and is dropped rather than
 * cut.
 *
 * A driver may have fewer buffers than that, and no more to come before it gets some back. Then the
 * last entry is the spill, memory of ours that makes up for what the line lacks. A frame that fits
 * the line goes to the guest as ever. One that does not is kept in the spill, and goes before all
 * others, as soon as the guest has given buffers enough. Until then the tap is left alone - unless
 * the frame is larger than all that this driver ever had here at once: it may wait for what never
 * comes, so it gives way when there is another.
 *
 * When the guest has no buffers the tap is left alone until it says that it has: frames wait, and
 * are dropped, in the tap's own queue. The same happens while a rate limit is reached, until its
 * timer ends.
 */
#include <errno.h>
#include <poll.h>

#include "vmm/backend/stream.h"
#include "vmm/virtio/net_priv.h"

#define FRAME_EXTRA  (NETDEV_HEADER_SIZE + NETDEV_FRAME_EXTRA)
#define MAX_SEGMENT  (NETDEV_HEADER_SIZE + NETDEV_MAX_FRAME) /* one that is to be cut up */
#define SPILL_SIZE   (MAX_SEGMENT + 1)                       /* full: the frame was cut */
#define BATCH        128u /* frames, before other events get their turn */
#define NOTIFY_EVERY 16u  /* frames, so that the guest begins while we go on */

static bool started(const struct net_pair *pair)
{
    return pair->net->dev.workers[pair->index].started;
}

/* Read by the main thread at any time. */
static void count(uint64_t *counter, uint64_t more)
{
    __atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

/* ---- rate limits ---- */

/* Whether the pair has to wait; then its timer runs. */
static bool over_limit(struct net_pair *pair, enum net_direction direction)
{
    struct virtio_net *net = pair->net;
    uint64_t wait;
    int r;

    if (!net->limited[direction])
        return false;
    pthread_mutex_lock(&net->limit_lock);
    wait = throttle_wait(&net->throttles[direction], direction == NET_TX, monotonic_ns());
    pthread_mutex_unlock(&net->limit_lock);
    if (wait == 0)
        return false;
    r = loop_timer_set(&pair->timers[direction], wait, 0);
    if (r == 0)
        return true;
    virtio_log(&net->dev, "set a timer: %s", strerror(-r));
    return false;
}

static void account(struct net_pair *pair, enum net_direction direction, uint64_t bytes)
{
    struct virtio_net *net = pair->net;

    if (!net->limited[direction])
        return;
    pthread_mutex_lock(&net->limit_lock);
    throttle_account(&net->throttles[direction], direction == NET_TX, bytes, monotonic_ns());
    pthread_mutex_unlock(&net->limit_lock);
}

/* ---- receive: host to guest ---- */

static void append_buffer(struct net_pair *pair)
{
    const struct virtq_chain *chain = &pair->chain;
    const struct virtqueue *vq = &pair->net->dev.queues[net_rx_queue(pair)];
    uint16_t here = (uint16_t)(vq->seen_avail - vq->next_used);

    pair->rx_most = MAX(pair->rx_most, here);
    memcpy(pair->rx_iov + pair->rx_segments, chain->iov, chain->writable * sizeof(struct iovec));
    pair->rx_segments += chain->writable;
    pair->rx_room += chain->writable_len;
    pair->rx_buffers[pair->rx_count++] =
        (struct net_rx_buffer){chain->head, chain->writable, chain->writable_len};
}

enum rx_line {
    LINE_READY, /* as much room as was wanted, or as there can be for one frame */
    LINE_SHORT, /* the guest has no more at the moment */
    LINE_EMPTY, /* nor any before */
};

/* Lines up the guest's buffers until there is room for `wanted` bytes. */
static enum rx_line line_up(struct net_pair *pair, size_t wanted)
{
    struct virtio_device *dev = &pair->net->dev;
    struct virtqueue *vq = &dev->queues[net_rx_queue(pair)];
    unsigned max = virtio_has_feature(dev, VIRTIO_NET_F_MRG_RXBUF) ? NET_MAX_BUFFERS : 1;

    max = MIN(max, vq->size);
    while (pair->rx_room < wanted && pair->rx_count < max) {
        /* A ring that is broken stops us, and that clears the line. */
        if (!virtio_pop(dev, net_rx_queue(pair), &pair->chain))
            return pair->rx_count > 0 ? LINE_SHORT : LINE_EMPTY;
        if (pair->chain.readable > 0 || pair->chain.writable_len < NETDEV_HEADER_SIZE) {
            virtio_device_fail(dev, "a receive buffer that cannot hold a header");
            return LINE_EMPTY;
        }
        if (pair->chain.writable > NET_RX_SEGMENTS - pair->rx_segments) {
            virtq_unpop(vq, 1);
            break;
        }
        append_buffer(pair);
    }
    return LINE_READY;
}

/* Takes the first `used` buffers out of the line. */
static void move_up(struct net_pair *pair, unsigned used)
{
    unsigned segments = 0;

    for (unsigned i = 0; i < used; i++) {
        segments += pair->rx_buffers[i].segments;
        pair->rx_room -= pair->rx_buffers[i].len;
    }
    pair->rx_count -= used;
    pair->rx_segments -= segments;
    memmove(pair->rx_buffers, pair->rx_buffers + used,
            pair->rx_count * sizeof(pair->rx_buffers[0]));
    memmove(pair->rx_iov, pair->rx_iov + segments, pair->rx_segments * sizeof(pair->rx_iov[0]));
}

/* Gives back the buffers that the frame filled, and says in its header how many those are. */
static void push_frame(struct net_pair *pair, size_t len)
{
    struct virtqueue *vq = &pair->net->dev.queues[net_rx_queue(pair)];
    uint16_t used = 0;

    count(&pair->stats.rx_packets, 1);
    count(&pair->stats.rx_bytes, (uint64_t)len - NETDEV_HEADER_SIZE);
    for (size_t left = len; left > 0; used++)
        left -= MIN(left, pair->rx_buffers[used].len);
    iov_write(pair->rx_iov, pair->rx_segments, offsetof(struct virtio_net_hdr_v1, num_buffers),
              &used, sizeof(used));
    for (unsigned i = 0; i < used; i++) {
        size_t part = MIN(len, pair->rx_buffers[i].len);

        virtq_push(vq, pair->rx_buffers[i].head, (uint32_t)part);
        len -= part;
    }
    move_up(pair, used);
}

static short netdev_events_of(const struct net_pair *pair)
{
    return netdev_events(pair->net->netdev, pair->index);
}

enum rx_result {
    RX_FRAME,
    RX_NO_FRAME,
    RX_NO_BUFFER,
    RX_KEPT, /* too few buffers for the frame that is kept, and no other frame */
    RX_OVER_LIMIT,
};

/* One frame into the line, and what it does not hold into the spill, or nowhere. */
static ssize_t read_frame(struct net_pair *pair, bool spill)
{
    struct iovec *rest = pair->rx_iov + pair->rx_segments;
    uint8_t too_much[64];

    *rest = (struct iovec){too_much, sizeof(too_much)};
    if (spill) {
        if (!pair->spill)
            pair->spill = xcalloc(1, SPILL_SIZE);
        /* Where it belongs in the whole frame. */
        *rest = (struct iovec){pair->spill + pair->rx_room, SPILL_SIZE - pair->rx_room};
    }
    return netdev_read(pair->net->netdev, pair->index, pair->rx_iov, pair->rx_segments + 1);
}

/* Takes the frame's beginning out of the guest's buffers, which are free again for others, or for
 * the guest in a pause. */
static void keep_frame(struct net_pair *pair, size_t len)
{
    iov_read(pair->rx_iov, pair->rx_segments, 0, pair->spill, pair->rx_room);
    pair->spill_len = len;
}

void net_pair_drop_spill(struct net_pair *pair)
{
    if (pair->spill_len > 0)
        count(&pair->stats.rx_drops, 1);
    pair->spill_len = 0;
}

static enum rx_result deliver_spill(struct net_pair *pair)
{
    size_t len = pair->spill_len;

    if (line_up(pair, len) != LINE_READY) {
        if (pair->rx_count < pair->rx_most)
            return RX_NO_BUFFER;
        if (!(netdev_events_of(pair) & POLLIN))
            return RX_KEPT;
        net_pair_drop_spill(pair);
    } else if (pair->rx_room < len) {
        net_pair_drop_spill(pair);
    } else {
        iov_write(pair->rx_iov, pair->rx_segments, 0, pair->spill, len);
        pair->spill_len = 0;
        push_frame(pair, len);
    }
    return RX_FRAME;
}

static enum rx_result receive_one(struct net_pair *pair)
{
    struct virtio_net *net = pair->net;
    enum rx_line line;
    ssize_t len;

    if (pair->spill_len > 0)
        return deliver_spill(pair);
    if (over_limit(pair, NET_RX))
        return RX_OVER_LIMIT;
    line = line_up(pair, pair->rx_wanted);
    if (line == LINE_EMPTY)
        return RX_NO_BUFFER;
    len = read_frame(pair, line == LINE_SHORT);
    if (len <= (ssize_t)NETDEV_HEADER_SIZE) {
        /* EBADFD: the interface is down or gone. No frames come, that is all. */
        if (len < 0 && errno != EAGAIN && errno != EBADFD && errno != EIO && errno != EPIPE)
            virtio_log(&net->dev, "read from the tap: %s", strerror(errno));
        return RX_NO_FRAME;
    }
    account(pair, NET_RX, (uint64_t)len - NETDEV_HEADER_SIZE);
    if ((size_t)len <= pair->rx_room) {
        push_frame(pair, (size_t)len);
    } else if (line == LINE_SHORT && (size_t)len < SPILL_SIZE) {
        keep_frame(pair, (size_t)len);
    } else {
        count(&pair->stats.rx_drops, 1);
        /* The interface's MTU grew. Soon they fit, where the driver's buffers add up. */
        pair->rx_wanted = MIN(2 * pair->rx_wanted, MAX_SEGMENT);
    }
    return RX_FRAME;
}

/* Reads until something is missing, or others have to get their turn. */
static enum rx_result receive_batch(struct net_pair *pair)
{
    struct virtio_device *dev = &pair->net->dev;
    unsigned queue = net_rx_queue(pair);
    enum rx_result result = RX_FRAME;

    virtq_disable_kicks(&dev->queues[queue]);
    for (unsigned i = 1; i <= BATCH && result == RX_FRAME; i++) {
        result = receive_one(pair);
        if (!started(pair))
            return RX_NO_FRAME;
        if (i % NOTIFY_EVERY == 0)
            virtio_notify(dev, queue);
        if ((result == RX_NO_BUFFER || result == RX_KEPT) &&
            virtq_enable_kicks(&dev->queues[queue]))
            result = RX_FRAME;
    }
    /* A tap brings us back for the frames that it has, but not for this one, and nobody for those
     * that came out of a socket already. */
    if (result == RX_FRAME && (pair->spill_len > 0 || pair->net->netdev->stream))
        virtio_kick_again(dev, queue);
    virtio_notify(dev, queue);
    return result;
}

static void on_netdev_ready(void *opaque, uint32_t events);

/* Has the host's end watched, or not, as things are; true when it is. */
static bool watch_netdev(struct net_pair *pair)
{
    struct virtio_net *net = pair->net;
    struct loop *loop = net->dev.workers[pair->index].loop;
    bool wanted = net->dev.queues[net_rx_queue(pair)].ready && net->link_up &&
                  pair->index < net_active_pairs(net);
    struct error err;

    /* A queue that was switched off and on while we saw it off was not gone. */
    if (pair->netdev_gone && wanted)
        pair->netdev_gone = netdev_events_of(pair) & (POLLERR | POLLHUP);
    wanted &= !pair->netdev_gone;
    if (!wanted) {
        loop_remove(loop, &pair->netdev_watch);
        net_pair_drop_spill(pair);
        return false;
    }
    if (pair->netdev_watch.fd >= 0)
        return true;
    pair->netdev_awaited = EPOLLIN;
    if (loop_add(loop, &pair->netdev_watch, net->netdev->fds[pair->index], EPOLLIN, on_netdev_ready,
                 pair, &err) == 0)
        return true;
    virtio_device_fail(&net->dev, err.msg);
    return false;
}

/* Waits for an event, or no longer. */
static void await(struct net_pair *pair, uint32_t event, bool wanted)
{
    uint32_t events = wanted ? pair->netdev_awaited | event : pair->netdev_awaited & ~event;

    if (pair->netdev_watch.fd < 0 || events == pair->netdev_awaited)
        return;
    pair->netdev_awaited = events;
    loop_modify(pair->net->dev.workers[pair->index].loop, &pair->netdev_watch, events);
}

/* No frame will come any more. The peer of a socket was somebody's choice: he has to be told. */
static void give_up_netdev(struct net_pair *pair, const char *why)
{
    pair->netdev_gone = true;
    virtio_log(&pair->net->dev, "%s", why);
    watch_netdev(pair);
    if (pair->net->netdev->stream)
        virtio_notice(&pair->net->dev, VIRTIO_NOTICE_LINK_LOST);
}

/* True when the peer of a socket left, or broke the framing. */
static bool lost_peer(struct net_pair *pair)
{
    const char *why = stream_broken(pair->net->netdev);

    if (why && !pair->netdev_gone)
        give_up_netdev(pair, why);
    return why != NULL;
}

void net_receive(struct net_pair *pair)
{
    enum rx_result result;

    if (!watch_netdev(pair))
        return;
    result = receive_batch(pair);
    /* Wait for what is missing with the tap switched off, or the loop would spin on it. */
    if (started(pair) && !lost_peer(pair))
        await(pair, EPOLLIN, result != RX_NO_BUFFER && result != RX_OVER_LIMIT);
}

static void on_netdev_ready(void *opaque, uint32_t events)
{
    struct net_pair *pair = opaque;

    if (events & EPOLLOUT) {
        await(pair, EPOLLOUT, false);
        net_transmit(pair);
    }
    if (!started(pair) || pair->netdev_watch.fd < 0)
        return;
    /* The interface was deleted under us, or the socket's peer left: that stays, so there is
     * nothing to wait for. A queue that is switched off shows the same; it comes back. */
    if (events & (EPOLLERR | EPOLLHUP)) {
        if (pair->net->netdev->stream)
            stream_hung_up(pair->net->netdev);
        if (pair->index >= net_active_pairs(pair->net))
            watch_netdev(pair);
        else if (!lost_peer(pair))
            give_up_netdev(pair, "the tap is gone");
        return;
    }
    net_receive(pair);
}

/* ---- transmit: guest to host ---- */

/* A peer that does not read holds the guest up, as long as somebody can tell us that it does. */
static bool has_room(struct net_pair *pair)
{
    if (netdev_settle(pair->net->netdev) || pair->netdev_watch.fd < 0)
        return true;
    await(pair, EPOLLOUT, true);
    return false;
}

static bool send_one(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct virtio_net *net = net_of(dev);
    struct net_pair *pair = &net->pairs[queue / 2];
    ssize_t len = -1;

    if (over_limit(pair, NET_TX) || !has_room(pair))
        return false;
    /* A runt is dropped, as by a cable, and by one that is not plugged in all; what the tap does
     * not take (no room, the interface is down, a header it does not like) as well. */
    if (chain->readable_len > NETDEV_HEADER_SIZE && net->link_up) {
        account(pair, NET_TX, chain->readable_len - NETDEV_HEADER_SIZE);
        len = netdev_write(net->netdev, pair->index, chain->iov, chain->readable);
    }
    if (len < 0) {
        count(&pair->stats.tx_drops, 1);
    } else {
        count(&pair->stats.tx_packets, 1);
        count(&pair->stats.tx_bytes, (uint64_t)len - NETDEV_HEADER_SIZE);
    }
    virtq_push(&dev->queues[queue], chain->head, 0);
    return true;
}

void net_transmit(struct net_pair *pair)
{
    virtio_serve(&pair->net->dev, net_tx_queue(pair), &pair->chain, send_one);
    if (!started(pair))
        return;
    /* The rest of the last frame, too, has to leave. */
    has_room(pair);
    lost_peer(pair);
}

/* ---- life ---- */

static void on_rx_timer(void *opaque)
{
    net_receive(opaque);
}

static void on_tx_timer(void *opaque)
{
    net_transmit(opaque);
}

static int watch_timers(struct net_pair *pair, struct error *err)
{
    static void (*const handlers[])(void *) = {
        [NET_RX] = on_rx_timer,
        [NET_TX] = on_tx_timer,
    };

    for (unsigned i = 0; i < NET_DIRECTIONS; i++) {
        if (pair->net->limited[i] && loop_timer_add(pair->net->dev.workers[pair->index].loop,
                                                    &pair->timers[i], handlers[i], pair, err) < 0)
            return -1;
    }
    return 0;
}

/* Segments come whole where the guest takes them; else a frame is as long as the MTU. */
static size_t largest_frame(const struct virtio_net *net)
{
    if (virtio_has_feature(&net->dev, VIRTIO_NET_F_GUEST_TSO4) ||
        virtio_has_feature(&net->dev, VIRTIO_NET_F_GUEST_TSO6))
        return MAX_SEGMENT;
    return MIN(net->mtu + FRAME_EXTRA, MAX_SEGMENT);
}

void net_pair_start(struct net_pair *pair)
{
    struct virtio_net *net = pair->net;
    struct error err;

    pair->netdev_gone = stream_broken(net->netdev) != NULL;
    if (pair->rx_wanted == 0)
        pair->rx_wanted = largest_frame(net);
    if (watch_timers(pair, &err) < 0) {
        virtio_device_fail(&net->dev, err.msg);
        return;
    }
    watch_netdev(pair);
    /* What came out of a socket before shows no event. */
    if (net->netdev->stream)
        net_receive(pair);
    /* A queue that is not a transmit queue with this driver is not rung for. */
    if (started(pair) && net->dev.queues[net_tx_queue(pair)].ready)
        net_transmit(pair);
}

void net_pair_stop(struct net_pair *pair)
{
    struct loop *loop = pair->net->dev.workers[pair->index].loop;

    loop_remove(loop, &pair->netdev_watch);
    for (unsigned i = 0; i < NET_DIRECTIONS; i++)
        loop_timer_remove(loop, &pair->timers[i]);
    if (pair->rx_count > 0)
        virtq_unpop(&pair->net->dev.queues[net_rx_queue(pair)], pair->rx_count);
    pair->rx_count = pair->rx_segments = 0;
    pair->rx_room = 0;
}

void net_pair_reset(struct net_pair *pair)
{
    net_pair_drop_spill(pair);
    free(pair->spill);
    pair->spill = NULL;
    pair->rx_wanted = 0;
    pair->rx_most = 0;
}

int net_make_timers(struct virtio_net *net, struct error *err)
{
    for (unsigned i = 0; i < net->pair_count; i++) {
        for (unsigned k = 0; k < NET_DIRECTIONS; k++) {
            if (loop_timer_open(&net->pairs[i].timers[k], err) < 0)
                return -1;
        }
    }
    return 0;
}

void net_pair_init(struct virtio_net *net, unsigned index)
{
    struct net_pair *pair = &net->pairs[index];

    pair->net = net;
    pair->index = index;
    pair->vhost = VHOST_CLOSED;
    pair->netdev_watch.fd = -1;
    for (unsigned i = 0; i < NET_DIRECTIONS; i++)
        pair->timers[i] = LOOP_TIMER_CLOSED;
}

void net_pair_release(struct net_pair *pair)
{
    for (unsigned i = 0; i < NET_DIRECTIONS; i++)
        loop_timer_close(&pair->timers[i]);
    free(pair->spill);
}
