/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio entropy device (virtio 1.2, section 5.4): each buffer is filled, or as much as one read
 * of the source gives. */
#include <errno.h>
#include <linux/virtio_ids.h>

#include "vmm/virtio/device.h"
#include "vmm/virtio/devices.h"

#define QUEUE_SIZE 8
/* More than any driver asks for at once; a greedy one gets less and asks again. */
#define MAX_READ 4096

struct virtio_rng {
    struct virtio_device dev;
    int source;
    struct virtq_chain chain;
};

static struct virtio_rng *to_rng(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_rng, dev);
}

/* Returns the number of bytes, or -1 when the source gave none. */
static ssize_t fill(const struct virtio_rng *rng)
{
    const struct virtq_chain *chain = &rng->chain;
    struct iovec part[VIRTQ_MAX_SEGMENTS];
    unsigned parts = iov_slice(chain->iov + chain->readable, chain->writable, 0, MAX_READ, part);
    ssize_t n;

    do
        n = readv(rng->source, part, (int)parts);
    while (n < 0 && errno == EINTR);
    return n > 0 ? n : -1;
}

static void rng_kick(struct virtio_device *dev, unsigned queue)
{
    struct virtio_rng *rng = to_rng(dev);
    struct virtqueue *vq = &dev->queues[queue];

    do {
        virtq_disable_kicks(vq);
        while (virtio_pop(dev, queue, &rng->chain)) {
            ssize_t n = fill(rng);

            if (n < 0) {
                /* Never an empty answer, a driver would take it for entropy: it asks in vain. */
                virtio_device_fail(dev, "the entropy source is dry");
                return;
            }
            virtq_push(vq, rng->chain.head, (uint32_t)n);
        }
        if (!dev->started)
            return;
        virtio_notify(dev, queue);
    } while (virtq_enable_kicks(vq));
}

static void rng_start(struct virtio_device *dev)
{
    if (dev->queues[0].ready)
        rng_kick(dev, 0);
}

static void rng_free(struct virtio_device *dev)
{
    virtio_device_release(dev);
    close(to_rng(dev)->source);
    free(to_rng(dev));
}

static const struct virtio_type rng_type = {
    .name = "virtio-rng",
    .id = VIRTIO_ID_RNG,
    .queues = 1,
    .queue_size = QUEUE_SIZE,
    .start = rng_start,
    .kick = rng_kick,
    .free = rng_free,
};

struct virtio_device *virtio_rng_new(const char *id, const struct memory *mem, struct loop *loop,
                                     int source_fd, struct error *err)
{
    struct virtio_rng *rng = xcalloc(1, sizeof(*rng));

    rng->source = source_fd;
    if (virtio_device_init(&rng->dev, &rng_type, id, mem, loop, 0, err) < 0) {
        rng_free(&rng->dev);
        return NULL;
    }
    return &rng->dev;
}
