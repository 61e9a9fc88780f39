/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A driver for a virtio device, without a transport and in one thread: what the device does in its
 * loop happens in driver_run(). The rings are written byte by byte after virtio 1.2, section 2.7,
 * with no help of vmm/virtio/queue.h, and the doorbell is rung only when the device asked for it;
 * so a device that forgets to ask stands still here as it would with a guest.
 *
 * For unit tests and fuzz targets: what cannot be set up ends the program.
 */
#ifndef VOLE_TESTS_VIRTIO_LOOP_DRIVER_H
#define VOLE_TESTS_VIRTIO_LOOP_DRIVER_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "tests/unit/loop-round.h"
#include "vmm/virtio/device.h"

/* Queue i has its three parts from DRIVER_QUEUE(i) on; from DRIVER_DATA on RAM is free. */
#define DRIVER_RAM       (2 * MiB)
#define DRIVER_QUEUE(i)  (0x4000 + (uint64_t)(i)*0x3000)
#define DRIVER_AVAIL     0x1000
#define DRIVER_USED      0x2000
#define DRIVER_DATA      UINT64_C(0x100000)
#define DRIVER_MAX_CHAIN 16

struct driver_buffer {
    uint64_t gpa;
    uint32_t len;
    bool write; /* the device's to write to */
};

struct driver_queue {
    uint16_t size;
    uint16_t next_desc;
    uint16_t avail_idx;
    uint16_t rung; /* avail_idx when we last thought about the doorbell */
    uint16_t used_seen;
};

struct driver {
    struct memory mem;
    uint8_t *ram;
    struct loop_round round;
    bool quit_on_interrupt;
    struct virtio_device *dev;
    struct driver_queue queues[VIRTIO_MAX_QUEUES];
    unsigned interrupts;
    unsigned config_interrupts;
    unsigned notices;
};

static inline void driver_need(bool ok, const char *what)
{
    if (ok)
        return;
    printf("Bail out! %s\n", what);
    abort();
}

/* Makes RAM and the loop. */
static inline void driver_open(struct driver *d)
{
    struct memory_region region = {.gpa = 0, .size = DRIVER_RAM};
    struct error err;

    *d = (struct driver){0};
    loop_round_open(&d->round);
    driver_need(memory_init(&d->mem, &region, 1, NULL, &err) == 0, "RAM");
    d->ram = memory_ptr(&d->mem, 0, DRIVER_RAM);
}

static inline void driver_interrupted(void *opaque, int queue)
{
    struct driver *d = opaque;

    if (queue == VIRTIO_CONFIG_CHANGED)
        d->config_interrupts++;
    else
        d->interrupts++;
    if (d->quit_on_interrupt)
        loop_quit(d->round.loop);
}

static inline void driver_noticed(void *opaque)
{
    ((struct driver *)opaque)->notices++;
}

/* Takes over the device, which was made with our RAM and loop. */
static inline void driver_bind(struct driver *d, struct virtio_device *dev)
{
    driver_need(dev != NULL, "a device");
    d->dev = dev;
    dev->transport = (struct virtio_transport){.interrupt = driver_interrupted, .opaque = d};
    dev->notify = driver_noticed;
    dev->notify_opaque = d;
}

static inline void driver_close(struct driver *d)
{
    virtio_device_free(d->dev);
    loop_round_close(&d->round);
    memory_release(&d->mem);
}

/* Has the loop do what is ready. */
static inline void driver_round(struct driver *d)
{
    loop_round_run(&d->round);
}

/* And what follows from that. */
static inline void driver_run(struct driver *d)
{
    for (int i = 0; i < 8; i++)
        driver_round(d);
}

static inline uint16_t driver_get16(const struct driver *d, uint64_t gpa)
{
    uint16_t v;

    memcpy(&v, d->ram + gpa, sizeof(v));
    return v;
}

static inline void driver_put16(struct driver *d, uint64_t gpa, uint16_t v)
{
    memcpy(d->ram + gpa, &v, sizeof(v));
}

/* As after power-on, and then up to DRIVER_OK with those of `features` that are offered. Queues
 * that `ready` does not have a bit for stay unused. */
static inline void driver_start_some(struct driver *d, uint64_t features, uint64_t ready)
{
    virtio_device_set_status(d->dev, 0);
    virtio_device_set_status(d->dev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    d->dev->acked = (features | VIRTIO_FEATURE(VIRTIO_F_VERSION_1)) & d->dev->offered;
    virtio_device_set_status(d->dev, VIRTIO_CONFIG_S_FEATURES_OK);
    for (unsigned i = 0; i < d->dev->queue_count; i++) {
        struct virtqueue *vq = &d->dev->queues[i];

        memset(d->ram + DRIVER_QUEUE(i), 0, 0x3000);
        d->queues[i] = (struct driver_queue){.size = vq->max_size};
        vq->size = vq->max_size;
        vq->desc_gpa = DRIVER_QUEUE(i);
        vq->avail_gpa = DRIVER_QUEUE(i) + DRIVER_AVAIL;
        vq->used_gpa = DRIVER_QUEUE(i) + DRIVER_USED;
        vq->ready = i >= 64 || (ready >> i & 1);
    }
    virtio_device_set_status(d->dev, VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline void driver_start(struct driver *d, uint64_t features)
{
    driver_start_some(d, features, UINT64_MAX);
}

static inline bool driver_failed(const struct driver *d)
{
    return virtio_device_status(d->dev) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* Makes a chain available. Never more than `size` descriptors may be with the device. */
static inline uint16_t driver_give_chain(struct driver *d, unsigned queue,
                                         const struct driver_buffer *buffers, unsigned count)
{
    struct driver_queue *q = &d->queues[queue];
    uint64_t at = DRIVER_QUEUE(queue);
    uint16_t head = q->next_desc % q->size;

    for (unsigned i = 0; i < count; i++) {
        struct vring_desc desc = {
            .addr = buffers[i].gpa,
            .len = buffers[i].len,
            .flags = (uint16_t)((buffers[i].write ? VRING_DESC_F_WRITE : 0) |
                                (i + 1 < count ? VRING_DESC_F_NEXT : 0)),
            .next = (uint16_t)((q->next_desc + 1) % q->size),
        };

        memcpy(d->ram + at + (uint64_t)(q->next_desc % q->size) * sizeof(desc), &desc,
               sizeof(desc));
        q->next_desc++;
    }
    driver_put16(d, at + DRIVER_AVAIL + 4 + (uint64_t)(q->avail_idx % q->size) * 2, head);
    q->avail_idx++;
    driver_put16(d, at + DRIVER_AVAIL + 2, q->avail_idx);
    return head;
}

static inline uint16_t driver_give(struct driver *d, unsigned queue, uint64_t gpa, uint32_t len,
                                   bool write)
{
    return driver_give_chain(d, queue, &(struct driver_buffer){gpa, len, write}, 1);
}

/* Rings, if the device wants to hear of what was given since the last time. */
static inline bool driver_kick(struct driver *d, unsigned queue)
{
    struct driver_queue *q = &d->queues[queue];
    uint64_t used = DRIVER_QUEUE(queue) + DRIVER_USED;
    uint16_t old = q->rung;
    bool wanted;

    q->rung = q->avail_idx;
    if (virtio_has_feature(d->dev, VIRTIO_RING_F_EVENT_IDX))
        wanted =
            vring_need_event(driver_get16(d, used + 4 + (uint64_t)q->size * 8), q->avail_idx, old);
    else
        wanted = !(driver_get16(d, used) & VRING_USED_F_NO_NOTIFY);
    if (wanted)
        (void)eventfd_write(d->dev->queues[queue].kick_fd, 1);
    return wanted;
}

/* Takes back one chain that the device is done with; false when there is none. */
static inline bool driver_take(struct driver *d, unsigned queue, uint32_t *head, uint32_t *len)
{
    struct driver_queue *q = &d->queues[queue];
    uint64_t used = DRIVER_QUEUE(queue) + DRIVER_USED;
    uint64_t at = used + 4 + (uint64_t)(q->used_seen % q->size) * 8;

    if (driver_get16(d, used + 2) == q->used_seen)
        return false;
    memcpy(head, d->ram + at, sizeof(*head));
    memcpy(len, d->ram + at + 4, sizeof(*len));
    q->used_seen++;
    return true;
}

#endif
