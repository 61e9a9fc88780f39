/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-net over a tap (virtio 1.2, section 5.1), in this process: one receive and one transmit
 * queue. A frame goes between the tap and the guest's buffers in one system call, without a copy of
 * ours: the tap's header and the device's are the same 12 bytes.
 *
 * Receiving. The tap may hand out a frame of 64 KiB (a guest that takes segments unsegmented), and
 * it has to be read at once or its tail is lost. So as many of the guest's buffers as hold the
 * largest frame are lined up in one iov, the frame is read, and the buffers that it did not reach
 * are put back (virtq_unpop). Without mergeable buffers a frame has one buffer, and the driver's
 * are large enough by themselves. When the guest has no buffers the tap is left alone until it
 * says that it has: frames wait, and are dropped, in the tap's own queue.
 */
#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#include "vmm/backend/tap.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/devices.h"

#define QUEUE_SIZE 256
#define RX         0
#define TX         1

#define MAX_FRAME   (TAP_HEADER_SIZE + 1522u)
#define MAX_SEGMENT (TAP_HEADER_SIZE + 14 + 65535 + 4u) /* one that is to be cut up */
#define MAX_BUFFERS 64   /* chains that one received frame may be spread over */
#define RX_SEGMENTS 256  /* buffers in all of them */
#define BATCH       128u /* frames, before other events get their turn */

struct rx_buffer {
    uint16_t head;
    size_t len;
};

struct virtio_net {
    struct virtio_device dev;
    struct tap *tap;
    struct loop_watch tap_watch;
    struct virtq_chain chain;
    struct rx_buffer rx_buffers[MAX_BUFFERS];
    struct iovec rx_iov[RX_SEGMENTS];
};

static struct virtio_net *to_net(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_net, dev);
}

static bool mergeable(const struct virtio_net *net)
{
    return virtio_has_feature(&net->dev, VIRTIO_NET_F_MRG_RXBUF);
}

/* ---- receive: tap to guest ---- */

/* The room that the next frame may need. */
static size_t frame_room(const struct virtio_net *net)
{
    bool segments = virtio_has_feature(&net->dev, VIRTIO_NET_F_GUEST_TSO4) ||
                    virtio_has_feature(&net->dev, VIRTIO_NET_F_GUEST_TSO6);

    return segments ? MAX_SEGMENT : MAX_FRAME;
}

/*
 * Lines up the guest's buffers for one frame. Returns how many chains were taken, with their bytes
 * in *iov_count entries of rx_iov; 0, with nothing taken, when there are too few.
 */
static unsigned gather_buffers(struct virtio_net *net, unsigned *iov_count)
{
    unsigned max = mergeable(net) ? MAX_BUFFERS : 1;
    size_t wanted = frame_room(net);
    unsigned buffers = 0;
    size_t room = 0;
    bool may_come;

    *iov_count = 0;
    while (buffers < max && room < wanted && virtio_pop(&net->dev, RX, &net->chain)) {
        const struct virtq_chain *chain = &net->chain;

        if (chain->readable > 0 || chain->writable_len < TAP_HEADER_SIZE) {
            virtio_device_fail(&net->dev, "a receive buffer that cannot hold a header");
            return 0;
        }
        if (chain->writable > RX_SEGMENTS - *iov_count) {
            virtq_unpop(&net->dev.queues[RX], 1);
            break;
        }
        memcpy(net->rx_iov + *iov_count, chain->iov, chain->writable * sizeof(struct iovec));
        *iov_count += chain->writable;
        net->rx_buffers[buffers++] = (struct rx_buffer){chain->head, chain->writable_len};
        room += chain->writable_len;
    }
    if (!virtio_started(&net->dev, RX))
        return 0;
    /* Fewer than it takes, and the guest is about to give more: wait for it. A driver that has
     * given all it can and still has too little room gets frames that are cut off. */
    may_come = buffers < max && buffers < net->dev.queues[RX].size && *iov_count < RX_SEGMENTS / 2;
    if (room < wanted && may_come) {
        virtq_unpop(&net->dev.queues[RX], buffers);
        return 0;
    }
    return buffers;
}

/* Gives back the buffers that the frame filled, and says in its header how many those are. */
static void push_frame(struct virtio_net *net, unsigned gathered, unsigned iov_count, size_t len)
{
    struct virtqueue *vq = &net->dev.queues[RX];
    uint16_t used = 0;

    for (size_t left = len; left > 0; used++)
        left -= MIN(left, net->rx_buffers[used].len);
    iov_write(net->rx_iov, iov_count, offsetof(struct virtio_net_hdr_v1, num_buffers), &used,
              sizeof(used));
    virtq_unpop(vq, gathered - used);
    for (unsigned i = 0; i < used; i++) {
        size_t part = MIN(len, net->rx_buffers[i].len);

        virtq_push(vq, net->rx_buffers[i].head, (uint32_t)part);
        len -= part;
    }
}

enum rx_result {
    RX_FRAME,
    RX_NO_FRAME,
    RX_NO_BUFFER,
};

static enum rx_result receive_one(struct virtio_net *net)
{
    unsigned iov_count;
    unsigned gathered = gather_buffers(net, &iov_count);
    ssize_t len;

    if (gathered == 0)
        return RX_NO_BUFFER;
    do
        len = readv(net->tap->fd, net->rx_iov, (int)iov_count);
    while (len < 0 && errno == EINTR);
    if (len <= (ssize_t)TAP_HEADER_SIZE) {
        virtq_unpop(&net->dev.queues[RX], gathered);
        /* EBADFD: the interface is down or gone. No frames come, that is all. */
        if (len < 0 && errno != EAGAIN && errno != EBADFD && errno != EIO)
            virtio_log(&net->dev, "read from the tap: %s", strerror(errno));
        return RX_NO_FRAME;
    }
    push_frame(net, gathered, iov_count, (size_t)len);
    return RX_FRAME;
}

static void receive(struct virtio_net *net)
{
    struct virtqueue *vq = &net->dev.queues[RX];
    enum rx_result result = RX_FRAME;

    virtq_disable_kicks(vq);
    for (unsigned i = 0; i < BATCH && result == RX_FRAME; i++) {
        result = receive_one(net);
        if (!virtio_started(&net->dev, RX))
            return;
        /* Wait for the guest with the tap switched off, or the loop would spin on it. */
        if (result == RX_NO_BUFFER && virtq_enable_kicks(vq))
            result = RX_FRAME;
    }
    virtio_notify(&net->dev, RX);
    loop_modify(virtio_loop(&net->dev, RX), &net->tap_watch, result == RX_NO_BUFFER ? 0 : EPOLLIN);
}

static void on_tap_ready(void *opaque, uint32_t events)
{
    struct virtio_net *net = opaque;

    /* The interface was deleted under us: an error that stays, so there is nothing to wait for. */
    if (events & (EPOLLERR | EPOLLHUP)) {
        virtio_log(&net->dev, "the tap is gone");
        loop_remove(virtio_loop(&net->dev, RX), &net->tap_watch);
        return;
    }
    receive(net);
}

/* ---- transmit: guest to tap ---- */

static bool send_one(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    ssize_t len = 0;

    /* A runt is dropped, as by a cable; what the tap does not take (no room, the interface is down,
     * a header it does not like) as well. */
    if (chain->readable_len > TAP_HEADER_SIZE) {
        do
            len = writev(to_net(dev)->tap->fd, chain->iov, (int)chain->readable);
        while (len < 0 && errno == EINTR);
    }
    virtq_push(&dev->queues[queue], chain->head, 0);
    return true;
}

static void transmit(struct virtio_net *net)
{
    virtio_serve(&net->dev, TX, &net->chain, send_one);
}

/* ---- life ---- */

static void net_kick(struct virtio_device *dev, unsigned queue)
{
    if (queue == TX)
        transmit(to_net(dev));
    else if (to_net(dev)->tap_watch.fd >= 0)
        receive(to_net(dev));
}

/* What the guest takes, the tap may send: partial checksums, and segments larger than a frame. */
static unsigned guest_offloads(const struct virtio_device *dev)
{
    unsigned flags = 0;

    if (!virtio_has_feature(dev, VIRTIO_NET_F_GUEST_CSUM))
        return 0;
    flags |= TUN_F_CSUM;
    if (virtio_has_feature(dev, VIRTIO_NET_F_GUEST_TSO4))
        flags |= TUN_F_TSO4;
    if (virtio_has_feature(dev, VIRTIO_NET_F_GUEST_TSO6))
        flags |= TUN_F_TSO6;
    if (flags != TUN_F_CSUM && virtio_has_feature(dev, VIRTIO_NET_F_GUEST_ECN))
        flags |= TUN_F_TSO_ECN;
    return flags;
}

static void net_start(struct virtio_device *dev, unsigned worker)
{
    struct virtio_net *net = to_net(dev);
    struct error err;
    int r = tap_set_offload(net->tap, guest_offloads(dev));

    if (r < 0)
        virtio_log(dev, "set the tap's offloads: %s", strerror(-r));
    if (dev->queues[RX].ready && loop_add(virtio_loop(dev, RX), &net->tap_watch, net->tap->fd,
                                          EPOLLIN, on_tap_ready, net, &err) < 0) {
        virtio_device_fail(dev, err.msg);
        return;
    }
    if (dev->queues[TX].ready)
        transmit(net);
}

static void net_stop(struct virtio_device *dev, unsigned worker)
{
    loop_remove(virtio_loop(dev, RX), &to_net(dev)->tap_watch);
    /* The next driver may take less; what comes until then is for nobody. */
    (void)tap_set_offload(to_net(dev)->tap, 0);
}

static void net_free(struct virtio_device *dev)
{
    virtio_device_release(dev);
    free(to_net(dev));
}

static const struct virtio_type net_type = {
    .name = "virtio-net",
    .id = VIRTIO_ID_NET,
    .queue_size = QUEUE_SIZE,
    .start = net_start,
    .kick = net_kick,
    .stop = net_stop,
    .free = net_free,
};

struct virtio_device *virtio_net_new(const char *id, const struct memory *mem, struct tap *tap,
                                     const uint8_t mac[6], struct error *err)
{
    static const unsigned feature_bits[] = {
        VIRTIO_NET_F_CSUM,       VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_MAC,
        VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_ECN,
        VIRTIO_NET_F_HOST_TSO4,  VIRTIO_NET_F_HOST_TSO6,  VIRTIO_NET_F_HOST_ECN,
        VIRTIO_NET_F_MRG_RXBUF,  VIRTIO_NET_F_STATUS,
    };
    struct virtio_net *net = xcalloc(1, sizeof(*net));
    struct virtio_net_config config = {.status = VIRTIO_NET_S_LINK_UP};
    struct virtio_shape shape = {.queues = 2};

    for (size_t i = 0; i < ARRAY_SIZE(feature_bits); i++)
        shape.features |= VIRTIO_FEATURE(feature_bits[i]);
    net->tap = tap;
    net->tap_watch.fd = -1;
    if (virtio_device_init(&net->dev, &net_type, id, mem, &shape, err) < 0) {
        free(net);
        return NULL;
    }
    memcpy(config.mac, mac, sizeof(config.mac));
    memcpy(net->dev.config, &config, MIN(sizeof(config), (size_t)VIRTIO_MAX_CONFIG));
    net->dev.config_size = offsetof(struct virtio_net_config, max_virtqueue_pairs);
    return &net->dev;
}
