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
    int source;              /* non-blocking */
    struct loop_watch watch; /* while the source has nothing */
    struct virtq_chain chain;
};

static struct virtio_rng *to_rng(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_rng, dev);
}

static void on_source_ready(void *opaque, uint32_t events);

/* The source has nothing now: the queue waits for it. */
static void wait_for_source(struct virtio_rng *rng)
{
    struct error err;

    if (rng->watch.fd < 0 && loop_add(virtio_loop(&rng->dev, 0), &rng->watch, rng->source, EPOLLIN,
                                      on_source_ready, rng, &err) < 0)
        virtio_device_fail(&rng->dev, err.msg);
}

/* Never an empty answer, a driver would take it for entropy. */
static bool fill(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct virtio_rng *rng = to_rng(dev);
    struct iovec part[VIRTQ_MAX_SEGMENTS];
    unsigned parts = iov_slice(chain->iov + chain->readable, chain->writable, 0, MAX_READ, part);
    ssize_t n;

    if (parts == 0) {
        virtio_device_fail(dev, "a request without room for an answer");
        return true;
    }
    do
        n = readv(rng->source, part, (int)parts);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        wait_for_source(rng);
        return false;
    }
    if (n <= 0)
        virtio_device_fail(dev, n < 0 ? strerror(errno) : "the entropy source is dry");
    else
        virtq_push(&dev->queues[queue], chain->head, (uint32_t)n);
    return true;
}

static void rng_kick(struct virtio_device *dev, unsigned queue)
{
    virtio_serve(dev, queue, &to_rng(dev)->chain, fill);
}

static void on_source_ready(void *opaque, uint32_t events)
{
    struct virtio_rng *rng = opaque;

    (void)events;
    loop_remove(virtio_loop(&rng->dev, 0), &rng->watch);
    rng_kick(&rng->dev, 0);
}

static void rng_stop(struct virtio_device *dev, unsigned worker)
{
    loop_remove(virtio_loop(dev, 0), &to_rng(dev)->watch);
}

static void rng_start(struct virtio_device *dev, unsigned worker)
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
    .queue_size = QUEUE_SIZE,
    .start = rng_start,
    .kick = rng_kick,
    .stop = rng_stop,
    .free = rng_free,
};

struct virtio_device *virtio_rng_new(const char *id, const struct memory *mem, struct loop *loop,
                                     int source_fd, struct error *err)
{
    struct virtio_rng *rng = xcalloc(1, sizeof(*rng));
    const struct virtio_shape shape = {.queues = 1, .loop = loop};

    rng->source = source_fd;
    rng->watch.fd = -1;
    if (virtio_device_init(&rng->dev, &rng_type, id, mem, &shape, err) < 0) {
        close(source_fd);
        free(rng);
        return NULL;
    }
    return &rng->dev;
}
