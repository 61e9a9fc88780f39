/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtio device (virtio 1.2, chapter 2), in three structs with three jobs: the constant table of
 * its type, the state of the device, and the state of each queue (queue.h). A device knows nothing
 * of its transport; the transport calls the functions below in the vCPU's thread, under its lock.
 *
 * Threads. Registers are the vCPUs' business; queues are served by the device's loop. Between the
 * two there is activation (the driver set DRIVER_OK: queues go to the loop) and reset (the loop
 * gives them back before the register write is over). Types that move data (own_thread) get a
 * thread of their own, made when a driver first activates the device; the others share one.
 */
#ifndef VOLE_VIRTIO_DEVICE_H
#define VOLE_VIRTIO_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/loop.h"
#include "vmm/memory.h"
#include "vmm/util.h"
#include "vmm/virtio/queue.h"

#define VIRTIO_MAX_QUEUES 4
#define VIRTIO_MAX_CONFIG 64

#define VIRTIO_FEATURE(bit) (UINT64_C(1) << (bit))

struct virtio_device;

struct virtio_type {
    const char *name; /* "virtio-blk" */
    uint32_t id;      /* linux/virtio_ids.h */
    unsigned queues;
    uint16_t queue_size;
    bool own_thread;

    /* Optional, each. In the device's loop, while the driver drives it: */
    void (*start)(struct virtio_device *dev);                /* queues are ours from now on */
    void (*kick)(struct virtio_device *dev, unsigned queue); /* something may be in the queue */
    void (*stop)(struct virtio_device *dev); /* give back or finish all that is under way */
    /* In the vCPU's thread: the driver wrote to config space, or reset the device. */
    void (*reset)(struct virtio_device *dev);
    /* Frees the whole device; its queues are with nobody. */
    void (*free)(struct virtio_device *dev);
};

/* How a device reaches its driver. `queue` is VIRTIO_CONFIG_CHANGED for a configuration change. */
struct virtio_transport {
    void (*interrupt)(void *opaque, int queue); /* from any thread */
    void *opaque;
};
#define VIRTIO_CONFIG_CHANGED (-1)

struct virtio_queue_watch {
    struct loop_watch watch;
    struct virtio_device *dev;
    unsigned index;
};

/* Embedded first in each device. */
struct virtio_device {
    const struct virtio_type *type;
    const char *id; /* the configuration's, for messages */
    const struct memory *mem;
    struct virtio_transport transport;

    uint64_t offered; /* features */
    uint64_t acked;
    uint32_t status; /* VIRTIO_CONFIG_S_*; atomic: the loop may set NEEDS_RESET */
    uint8_t config[VIRTIO_MAX_CONFIG];
    uint32_t config_size;

    unsigned complaints; /* lines that virtio_log() wrote; atomic */

    struct loop *loop;
    bool own_loop; /* made for this device */
    bool active;   /* between DRIVER_OK and reset */
    bool started;  /* active, and the machine is not paused */
    struct virtio_queue_watch watches[VIRTIO_MAX_QUEUES];
    struct virtqueue queues[VIRTIO_MAX_QUEUES];
};

/* ---- for the devices' constructors and code ---- */

/* Sets up the common part: offers `features` and those that every device of ours has. `loop` is the
 * shared one, or NULL for a type with own_thread. 0, or -1 with `err`. */
int virtio_device_init(struct virtio_device *dev, const struct virtio_type *type, const char *id,
                       const struct memory *mem, struct loop *loop, uint64_t features,
                       struct error *err);
/* Undoes it; called by the types' `free`. */
void virtio_device_release(struct virtio_device *dev);
/* Stops the device and frees it. Main thread; no vCPU runs. NULL is harmless. */
void virtio_device_free(struct virtio_device *dev);

static inline bool virtio_has_feature(const struct virtio_device *dev, unsigned bit)
{
    return dev->acked & VIRTIO_FEATURE(bit);
}

/* After a batch: interrupts the driver if it wants that. */
void virtio_notify(struct virtio_device *dev, unsigned queue);
/*
 * For a type's kick: serves at most one ringful of chains by calling `serve(dev, chain)` for each,
 * notifies once, and asks for a doorbell or comes back by way of the loop when there is more. So a
 * driver that never stops giving cannot keep the thread from its other events. `serve` returns
 * false to put its chain back and end the round without asking for a doorbell (it knows when to go
 * on).
 */
void virtio_serve(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain,
                  bool (*serve)(struct virtio_device *dev, struct virtq_chain *chain));
/* Lets the loop call `kick` for the queue again. */
void virtio_kick_again(struct virtio_device *dev, unsigned queue);
/* The driver broke a rule: the one way out. Marks the device DEVICE_NEEDS_RESET, tells the driver,
 * stops serving the queues. In the device's loop. */
void virtio_device_fail(struct virtio_device *dev, const char *why);
/* A line for the log that a guest can provoke: only the first few of a device are told. */
void virtio_log(struct virtio_device *dev, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* As above for the queues' owner: pops, and fails the device when the ring is broken. True when
 * there is a chain. */
bool virtio_pop(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain);

/* ---- for the transport ---- */

/* A write to the status register (section 3.1), with all that follows from it. */
void virtio_device_set_status(struct virtio_device *dev, uint32_t status);
uint32_t virtio_device_status(const struct virtio_device *dev);
void virtio_device_reset(struct virtio_device *dev);

/* ---- for the machine; main thread, no vCPU runs ---- */

/* The machine stands still: nothing is read from or written to guest memory until resume. */
void virtio_device_pause(struct virtio_device *dev);
void virtio_device_resume(struct virtio_device *dev);

#endif
