/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/virtio/device.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>

int virtio_device_init(struct virtio_device *dev, const struct virtio_type *type, const char *id,
                       const struct memory *mem, struct loop *loop, uint64_t features,
                       struct error *err)
{
    dev->type = type;
    dev->id = id;
    dev->mem = mem;
    dev->loop = loop;
    dev->offered = features | VIRTIO_FEATURE(VIRTIO_F_VERSION_1) |
                   VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) |
                   VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC);
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
        dev->queues[i].kick_fd = -1;
        dev->watches[i] = (struct virtio_queue_watch){.watch.fd = -1, .dev = dev, .index = i};
    }
    for (unsigned i = 0; i < type->queues; i++) {
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        if (fd < 0) {
            error_set_errno(err, errno, "make the doorbell of `%s`", id);
            virtio_device_release(dev);
            return -1;
        }
        dev->queues[i].kick_fd = fd;
        dev->queues[i].max_size = type->queue_size;
        virtq_reset(&dev->queues[i]);
    }
    return 0;
}

void virtio_device_release(struct virtio_device *dev)
{
    if (dev->own_loop)
        loop_thread_stop(dev->loop);
    dev->loop = NULL;
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
        if (dev->queues[i].kick_fd >= 0)
            close(dev->queues[i].kick_fd);
        dev->queues[i].kick_fd = -1;
    }
}

void virtio_device_free(struct virtio_device *dev)
{
    if (!dev)
        return;
    virtio_device_reset(dev);
    dev->type->free(dev);
}

/* ---- serving queues: in the device's loop ---- */

static void on_kick(void *opaque, uint32_t events)
{
    struct virtio_queue_watch *watch = opaque;
    uint64_t count;

    (void)events;
    /* Only to clear it; that it was read by an earlier round is no harm. */
    if (read(watch->watch.fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        virtio_log(watch->dev, "read a doorbell: %s", strerror(errno));
    watch->dev->type->kick(watch->dev, watch->index);
}

static void start_in_loop(void *opaque)
{
    struct virtio_device *dev = opaque;
    struct error err;

    for (unsigned i = 0; i < dev->type->queues; i++) {
        if (!dev->queues[i].ready)
            continue;
        if (loop_add(dev->loop, &dev->watches[i].watch, dev->queues[i].kick_fd, EPOLLIN, on_kick,
                     &dev->watches[i], &err) < 0) {
            virtio_device_fail(dev, err.msg);
            return;
        }
    }
    dev->started = true;
    if (dev->type->start)
        dev->type->start(dev);
}

static void stop_in_loop(void *opaque)
{
    struct virtio_device *dev = opaque;

    for (unsigned i = 0; i < dev->type->queues; i++)
        loop_remove(dev->loop, &dev->watches[i].watch);
    if (!dev->started)
        return;
    /* First: what is finished while we stop must not begin anything new. */
    dev->started = false;
    if (dev->type->stop)
        dev->type->stop(dev);
}

void virtio_notify(struct virtio_device *dev, unsigned queue)
{
    if (virtq_should_interrupt(&dev->queues[queue]))
        dev->transport.interrupt(dev->transport.opaque, (int)queue);
}

#define MAX_COMPLAINTS 16

void virtio_log(struct virtio_device *dev, const char *fmt, ...)
{
    unsigned count = __atomic_fetch_add(&dev->complaints, 1, __ATOMIC_RELAXED);
    char text[256];
    va_list ap;

    if (count >= MAX_COMPLAINTS)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_warn("%s `%s`: %s%s", dev->type->name, dev->id, text,
             count == MAX_COMPLAINTS - 1 ? " (no more of this device's is told)" : "");
}

void virtio_device_fail(struct virtio_device *dev, const char *why)
{
    virtio_log(dev, "%s; the device needs a reset", why);
    __atomic_fetch_or(&dev->status, VIRTIO_CONFIG_S_NEEDS_RESET, __ATOMIC_ACQ_REL);
    stop_in_loop(dev);
    dev->transport.interrupt(dev->transport.opaque, VIRTIO_CONFIG_CHANGED);
}

bool virtio_pop(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct virtqueue *vq = &dev->queues[queue];

    /* A queue that the driver did not set up, or a device that failed in this very round. */
    if (!dev->started || !vq->ready)
        return false;
    switch (virtq_pop(vq, chain)) {
    case VIRTQ_CHAIN:
        return true;
    case VIRTQ_BROKEN:
        virtio_device_fail(dev, "the driver's ring is broken");
        return false;
    default:
        return false;
    }
}

void virtio_kick_again(struct virtio_device *dev, unsigned queue)
{
    (void)eventfd_write(dev->queues[queue].kick_fd, 1);
}

void virtio_serve(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain,
                  bool (*serve)(struct virtio_device *dev, struct virtq_chain *chain))
{
    struct virtqueue *vq = &dev->queues[queue];
    bool wait = true;
    unsigned left = vq->size;

    virtq_disable_kicks(vq);
    while (left > 0 && wait && virtio_pop(dev, queue, chain)) {
        left--;
        wait = serve(dev, chain);
    }
    if (!dev->started)
        return;
    if (!wait)
        virtq_unpop(vq, 1);
    virtio_notify(dev, queue);
    if (wait && (left == 0 || virtq_enable_kicks(vq)))
        virtio_kick_again(dev, queue);
}

/* ---- life, as the driver sees it ---- */

uint32_t virtio_device_status(const struct virtio_device *dev)
{
    return __atomic_load_n(&dev->status, __ATOMIC_ACQUIRE);
}

static bool activate_queues(struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->type->queues; i++) {
        if (dev->queues[i].ready &&
            virtq_activate(&dev->queues[i], dev->mem,
                           virtio_has_feature(dev, VIRTIO_RING_F_EVENT_IDX),
                           virtio_has_feature(dev, VIRTIO_RING_F_INDIRECT_DESC)) < 0)
            return false;
    }
    return true;
}

static bool have_loop(struct virtio_device *dev)
{
    char name[16];
    struct error err;

    if (dev->loop)
        return true;
    snprintf(name, sizeof(name), "vole/%s", dev->id);
    dev->loop = loop_thread_start(name, &err);
    if (!dev->loop)
        virtio_log(dev, "%s", err.msg);
    dev->own_loop = dev->loop != NULL;
    return dev->own_loop;
}

static void activate(struct virtio_device *dev)
{
    if (!activate_queues(dev) || !have_loop(dev)) {
        virtio_device_fail(dev, "the driver's queues cannot be used");
        return;
    }
    dev->active = true;
    loop_call(dev->loop, start_in_loop, dev);
}

void virtio_device_reset(struct virtio_device *dev)
{
    if (dev->active)
        loop_call(dev->loop, stop_in_loop, dev);
    dev->active = false;
    dev->acked = 0;
    for (unsigned i = 0; i < dev->type->queues; i++)
        virtq_reset(&dev->queues[i]);
    if (dev->type->reset)
        dev->type->reset(dev);
    __atomic_store_n(&dev->status, 0, __ATOMIC_RELEASE);
}

void virtio_device_set_status(struct virtio_device *dev, uint32_t status)
{
    uint32_t old = virtio_device_status(dev);
    uint32_t known = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
                     VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
                     VIRTIO_CONFIG_S_FAILED;

    if (status == 0) {
        virtio_device_reset(dev);
        return;
    }
    /* The driver cannot clear bits, and nothing but a reset helps a failed device. */
    status = (status & known) | old;
    if (old & VIRTIO_CONFIG_S_NEEDS_RESET)
        return;

    /* Features we did not offer, or a legacy driver: FEATURES_OK does not stay set (3.1.1). */
    if (!(old & VIRTIO_CONFIG_S_FEATURES_OK) && (status & VIRTIO_CONFIG_S_FEATURES_OK) &&
        ((dev->acked & ~dev->offered) || !virtio_has_feature(dev, VIRTIO_F_VERSION_1)))
        status &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK;
    if (!(status & VIRTIO_CONFIG_S_FEATURES_OK))
        status &= ~(uint32_t)VIRTIO_CONFIG_S_DRIVER_OK;

    __atomic_fetch_or(&dev->status, status, __ATOMIC_ACQ_REL);
    if (!(old & VIRTIO_CONFIG_S_DRIVER_OK) && (status & VIRTIO_CONFIG_S_DRIVER_OK))
        activate(dev);
}

/* ---- the machine stands still ---- */

void virtio_device_pause(struct virtio_device *dev)
{
    if (dev->active && dev->loop)
        loop_call(dev->loop, stop_in_loop, dev);
}

static void resume_in_loop(void *opaque)
{
    struct virtio_device *dev = opaque;

    if (!dev->started && !(virtio_device_status(dev) & VIRTIO_CONFIG_S_NEEDS_RESET))
        start_in_loop(dev);
}

void virtio_device_resume(struct virtio_device *dev)
{
    if (dev->active && dev->loop)
        loop_call(dev->loop, resume_in_loop, dev);
}
