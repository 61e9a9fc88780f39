/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtio driver for tests, on the device itself, without a transport: rings and buffers lie in a
 * few MiB of RAM, and an interrupt is a condition to wait for. It follows the rules; a test that
 * wants to break them writes to the rings by itself.
 */
#ifndef VOLE_TESTS_VIRTIO_DRIVER_H
#define VOLE_TESTS_VIRTIO_DRIVER_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>

#include "vmm/virtio/device.h"

#define DRIVER_RAM       (8 * MiB)
#define DRIVER_DATA      (2 * MiB)  /* where buffers begin */
#define DRIVER_RING_SIZE (64 * KiB) /* room for a queue's three parts */
#define DRIVER_SECONDS   60         /* the longest wait for anything */

struct driver_queue {
    struct vring vring; /* in host memory */
    uint16_t used;      /* entries of the used ring that were looked at */
    uint16_t next_desc; /* descriptors are given out in turn */
};

struct driver {
    struct memory mem;
    struct virtio_device *dev;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned interrupts;
    unsigned config_changes;
    struct driver_queue queues[VIRTIO_MAX_QUEUES];
};

static inline void driver_interrupt_(void *opaque, int queue)
{
    struct driver *d = opaque;

    pthread_mutex_lock(&d->lock);
    d->interrupts++;
    d->config_changes += queue == VIRTIO_CONFIG_CHANGED;
    pthread_cond_broadcast(&d->cond);
    pthread_mutex_unlock(&d->lock);
}

/* RAM; the device is made by the caller, with `&d->mem`, and given to driver_attach(). */
static inline void driver_init(struct driver *d)
{
    struct memory_region region = {.gpa = 0, .size = DRIVER_RAM};
    struct error err;

    *d = (struct driver){.dev = NULL};
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->cond, NULL);
    if (memory_init(&d->mem, &region, 1, NULL, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
}

static inline void driver_attach(struct driver *d, struct virtio_device *dev)
{
    d->dev = dev;
    dev->transport = (struct virtio_transport){.interrupt = driver_interrupt_, .opaque = d};
}

/* Frees the device too. */
static inline void driver_release(struct driver *d)
{
    virtio_device_free(d->dev);
    memory_release(&d->mem);
    pthread_cond_destroy(&d->cond);
    pthread_mutex_destroy(&d->lock);
}

static inline void driver_set_queue(struct driver *d, unsigned i, uint16_t size)
{
    uint64_t gpa = DRIVER_RING_SIZE * (i + 1);
    uint8_t *host = memory_ptr(&d->mem, gpa, DRIVER_RING_SIZE);
    struct virtqueue *vq = &d->dev->queues[i];

    memset(host, 0, DRIVER_RING_SIZE);
    d->queues[i] = (struct driver_queue){.used = 0};
    vring_init(&d->queues[i].vring, size, host, 4096);
    vq->size = size;
    vq->desc_gpa = gpa;
    vq->avail_gpa = gpa + (uint64_t)((uint8_t *)d->queues[i].vring.avail - host);
    vq->used_gpa = gpa + (uint64_t)((uint8_t *)d->queues[i].vring.used - host);
    vq->ready = true;
}

/* From reset to DRIVER_OK with the first `queues` queues, and those of `features` that the device
 * has. Returns its status. */
static inline uint32_t driver_start(struct driver *d, uint64_t features, unsigned queues)
{
    uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

    virtio_device_set_status(d->dev, status);
    d->dev->acked = (features & d->dev->offered) | VIRTIO_FEATURE(VIRTIO_F_VERSION_1);
    status |= VIRTIO_CONFIG_S_FEATURES_OK;
    virtio_device_set_status(d->dev, status);
    for (unsigned i = 0; i < queues; i++)
        driver_set_queue(d, i, d->dev->queues[i].max_size);
    virtio_device_set_status(d->dev, status | VIRTIO_CONFIG_S_DRIVER_OK);
    return virtio_device_status(d->dev);
}

static inline void driver_reset(struct driver *d)
{
    virtio_device_set_status(d->dev, 0);
}

static inline void *driver_ptr(struct driver *d, uint64_t gpa)
{
    return memory_ptr(&d->mem, gpa, 1);
}

struct driver_buffer {
    uint64_t gpa;
    uint32_t len;
    bool writable;
};

/* Puts a chain into the ring and the ring's index on. Returns its head. */
static inline uint16_t driver_add(struct driver *d, unsigned queue,
                                  const struct driver_buffer *buffers, unsigned count)
{
    struct driver_queue *q = &d->queues[queue];
    uint16_t size = (uint16_t)q->vring.num;
    uint16_t head = q->next_desc;
    uint16_t idx = q->vring.avail->idx;

    for (unsigned i = 0; i < count; i++) {
        struct vring_desc *desc = &q->vring.desc[q->next_desc];

        q->next_desc = (uint16_t)((q->next_desc + 1) % size);
        *desc = (struct vring_desc){
            .addr = buffers[i].gpa,
            .len = buffers[i].len,
            .flags = (uint16_t)((buffers[i].writable ? VRING_DESC_F_WRITE : 0) |
                                (i + 1 < count ? VRING_DESC_F_NEXT : 0)),
            .next = q->next_desc,
        };
    }
    q->vring.avail->ring[idx % size] = head;
    __atomic_store_n(&q->vring.avail->idx, (uint16_t)(idx + 1), __ATOMIC_RELEASE);
    return head;
}

static inline void driver_kick(struct driver *d, unsigned queue)
{
    (void)eventfd_write(d->dev->queues[queue].kick_fd, 1);
}

static inline uint16_t driver_used(struct driver *d, unsigned queue)
{
    return __atomic_load_n(&d->queues[queue].vring.used->idx, __ATOMIC_ACQUIRE);
}

/* Waits until `done(d, arg)`, looking again at each interrupt. */
static inline bool driver_wait(struct driver *d, bool (*done)(struct driver *d, unsigned arg),
                               unsigned arg)
{
    struct timespec deadline;
    int r = 0;

    (void)clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += DRIVER_SECONDS;
    pthread_mutex_lock(&d->lock);
    while (!done(d, arg) && r == 0)
        r = pthread_cond_timedwait(&d->cond, &d->lock, &deadline);
    pthread_mutex_unlock(&d->lock);
    return r == 0;
}

static inline bool driver_has_used_(struct driver *d, unsigned arg)
{
    unsigned queue = arg >> 16;

    return (uint16_t)(driver_used(d, queue) - d->queues[queue].used) >= (arg & 0xffff);
}

/* Waits until `count` more chains came back, and takes them off. */
static inline bool driver_wait_used(struct driver *d, unsigned queue, uint16_t count)
{
    bool ok = driver_wait(d, driver_has_used_, queue << 16 | count);

    d->queues[queue].used = (uint16_t)(d->queues[queue].used + count);
    return ok;
}

static inline bool driver_needs_reset_(struct driver *d, unsigned arg)
{
    (void)arg;
    return virtio_device_status(d->dev) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static inline bool driver_wait_failed(struct driver *d)
{
    return driver_wait(d, driver_needs_reset_, 0);
}

#endif
