/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtio device (virtio 1.2, chapter 2), in three structs with three jobs: the constant table of
 * its type, the state of the device, and the state of each queue (queue.h). A device knows nothing
 * of its transport; the transport calls the functions below in the vCPU's thread, under its lock.
 *
 * Threads. Registers are the vCPUs' business; queues are served by workers. A worker is an event
 * loop and the queues that belong to it. Between the two there is activation (the driver set
 * DRIVER_OK: queues go to their workers) and reset (the workers give them back before the register
 * write is over). Devices that move data have workers with threads of their own, made when a driver
 * first activates the device; the others have one worker, whose loop they share.
 *
 * Three things keep order besides: `life` (a lock) keeps activation, reset, pause, resume and
 * virtio_device_call() apart, and is never taken in a worker; `config_lock` guards config space,
 * which the machine may change while a driver reads it; what else is touched from both sides
 * (status, notices) is atomic.
 */
#ifndef VOLE_VIRTIO_DEVICE_H
#define VOLE_VIRTIO_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/loop.h"
#include "vmm/memory.h"
#include "vmm/util.h"
#include "vmm/virtio/queue.h"

#define VIRTIO_MAX_QUEUES  64
#define VIRTIO_MAX_WORKERS 16
#define VIRTIO_MAX_CONFIG  64

#define VIRTIO_FEATURE(bit) (UINT64_C(1) << (bit))

struct virtio_device;

struct virtio_type {
    const char *name; /* "virtio-blk" */
    uint32_t id;      /* linux/virtio_ids.h */
    uint16_t queue_size;

    /* Optional, each. In the worker's loop, while the driver drives the device: */
    void (*start)(struct virtio_device *dev, unsigned worker); /* its queues are ours from now on */
    void (*kick)(struct virtio_device *dev, unsigned queue);   /* something may be in the queue */
    /* Give back or finish all that is under way in the worker's queues. */
    void (*stop)(struct virtio_device *dev, unsigned worker);
    /* In the vCPU's thread. The driver reset the device, or no worker could be had for what
     * `activate` began; its queues are with nobody. */
    void (*reset)(struct virtio_device *dev);
    /* In the vCPU's thread, before the workers: all is set up, activate. -1: it cannot be (a line
     * has been logged), the device fails. `dev->watches[i].external` and `worker` may be set
     * here. */
    int (*activate)(struct virtio_device *dev);
    /* In the vCPU's thread: the driver wrote to config space; `offset` + `len` is inside of it, and
     * nothing has been stored yet. Without it writes are ignored. */
    void (*write_config)(struct virtio_device *dev, unsigned offset, const void *data,
                         unsigned len);
    /* Frees the whole device; its queues are with nobody. */
    void (*free)(struct virtio_device *dev);
};

/* How a device reaches its driver. `queue` is VIRTIO_CONFIG_CHANGED for a configuration change. */
struct virtio_transport {
    void (*interrupt)(void *opaque, int queue); /* from any thread */
    /* An eventfd (the transport's own) whose signal interrupts the driver for any queue. For back
     * ends in the kernel; once asked for, the driver is always told to look at its queues. */
    int (*interrupt_fd)(void *opaque);
    void *opaque;
};
#define VIRTIO_CONFIG_CHANGED (-1)

/* What a device tells the machine, from any thread; told again only after it was heard. */
enum virtio_notice {
    VIRTIO_NOTICE_FAILED = 1 << 0,    /* the driver broke a rule: DEVICE_NEEDS_RESET */
    VIRTIO_NOTICE_BALLOON = 1 << 1,   /* the balloon's size changed */
    VIRTIO_NOTICE_PORT = 1 << 2,      /* a guest opened or closed a console port */
    VIRTIO_NOTICE_RX_FILTER = 1 << 3, /* the receive filter changed */
    VIRTIO_NOTICE_IO_ERROR = 1 << 4,  /* the host failed a request */
    VIRTIO_NOTICE_LINK_LOST = 1 << 5, /* who was at the other end of a network device is gone */
};

struct virtio_worker {
    struct virtio_device *dev;
    unsigned index;
    struct loop *loop; /* NULL: its thread is not made yet */
    bool own_loop;     /* made for this device */
    bool started;      /* the driver is there, and the machine is not paused; the worker's own */
};

struct virtio_queue_watch {
    struct loop_watch watch;
    struct virtio_device *dev;
    unsigned index;
    unsigned worker;
    bool external; /* served by the host's kernel: the worker leaves the doorbell alone */
};

/* Embedded first in each device. */
struct virtio_device {
    const struct virtio_type *type;
    const char *id; /* the configuration's, for messages */
    const struct memory *mem;
    struct virtio_transport transport;

    uint64_t offered; /* features */
    uint64_t acked;
    uint32_t status; /* VIRTIO_CONFIG_S_*; atomic: a worker may set NEEDS_RESET */

    pthread_mutex_t config_lock;
    uint8_t config[VIRTIO_MAX_CONFIG];
    uint32_t config_size;
    uint32_t config_generation; /* written under the lock, read without it */
    uint32_t first_generation;  /* when the driver came; the vCPUs' */

    unsigned complaints; /* lines that virtio_log() wrote; atomic */

    /* To whoever made the device: notices (enum virtio_notice) that nobody has taken yet; atomic.
     */
    unsigned notices;
    void (*notify)(void *opaque);
    void *notify_opaque;

    pthread_mutex_t life;
    bool active; /* between DRIVER_OK and reset */
    bool paused;
    unsigned worker_count;
    unsigned queue_count;
    struct virtio_worker *workers;
    struct virtio_queue_watch *watches;
    struct virtqueue *queues;
};

/* ---- for the devices' constructors and code ---- */

/*
 * Sets up the common part: offers `features` and those that every device of ours has. `loop` is the
 * one worker's, and shared; NULL gives each of `workers` a thread of its own. Queue i belongs to
 * worker 0, or to what the device then writes to watches[i].worker. 0, or -1 with `err`.
 */
struct virtio_shape {
    unsigned queues;
    unsigned workers; /* 0 means 1 */
    struct loop *loop;
    uint64_t features;
};
int virtio_device_init(struct virtio_device *dev, const struct virtio_type *type, const char *id,
                       const struct memory *mem, const struct virtio_shape *shape,
                       struct error *err);
/* Undoes it; called by the types' `free`. */
void virtio_device_release(struct virtio_device *dev);
/* Stops the device and frees it. Main thread; no vCPU runs. NULL is harmless. */
void virtio_device_free(struct virtio_device *dev);

static inline bool virtio_has_feature(const struct virtio_device *dev, unsigned bit)
{
    return dev->acked & VIRTIO_FEATURE(bit);
}

/* Whether the queue is the worker's to touch; in the worker's loop. */
static inline bool virtio_started(const struct virtio_device *dev, unsigned queue)
{
    return dev->workers[dev->watches[queue].worker].started;
}

static inline struct loop *virtio_loop(const struct virtio_device *dev, unsigned queue)
{
    return dev->workers[dev->watches[queue].worker].loop;
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
                  bool (*serve)(struct virtio_device *dev, unsigned queue,
                                struct virtq_chain *chain));
/* Lets the loop call `kick` for the queue again. */
void virtio_kick_again(struct virtio_device *dev, unsigned queue);
/* The driver broke a rule: the one way out. Marks the device DEVICE_NEEDS_RESET, tells the driver,
 * stops serving the queues: the calling worker's at once. From any thread. */
void virtio_device_fail(struct virtio_device *dev, const char *why);
/* A line for the log that a guest can provoke: only the first few of a device are told. */
void virtio_log(struct virtio_device *dev, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Leaves a notice for the machine. From any thread. */
void virtio_notice(struct virtio_device *dev, enum virtio_notice notice);
/* Changes config space and tells the driver, if there is one: one that is still setting itself up
 * as soon as it is ready. From any thread that does not hold config_lock. Nothing happens where it
 * is so already. */
void virtio_set_config(struct virtio_device *dev, unsigned offset, const void *data, unsigned len);
/* As above for the queues' owner: pops, and fails the device when the ring is broken. True when
 * there is a chain. */
bool virtio_pop(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain);

/* ---- for the transport ---- */

/* A write to the status register (section 3.1), with all that follows from it. */
void virtio_device_set_status(struct virtio_device *dev, uint32_t status);
uint32_t virtio_device_status(const struct virtio_device *dev);
void virtio_device_reset(struct virtio_device *dev);

/* Config space as the driver sees it; bytes beyond its end are zero, and take no writes. */
uint64_t virtio_device_read_config(struct virtio_device *dev, uint64_t offset, unsigned len);
void virtio_device_write_config(struct virtio_device *dev, uint64_t offset, uint64_t value,
                                unsigned len);
uint32_t virtio_device_config_generation(struct virtio_device *dev);

/* ---- for the machine; main thread ---- */

/* Runs `fn(opaque)` where it can touch what belongs to the worker: in its loop, or right here while
 * it has none. Not from a worker. */
void virtio_device_call(struct virtio_device *dev, unsigned worker, void (*fn)(void *opaque),
                        void *opaque);
/*
 * Runs `change(opaque)` while no worker serves a queue, and has them go on after it: for a device
 * that is served otherwise from then on (watches[i].external, limits). Right here in the caller's
 * thread, and not from a worker.
 */
void virtio_device_rearrange(struct virtio_device *dev, void (*change)(void *opaque), void *opaque);
/* The notices left since the last call. */
unsigned virtio_device_take_notices(struct virtio_device *dev);

/* The machine stands still (no vCPU runs): nothing is read from or written to guest memory until
 * resume. */
void virtio_device_pause(struct virtio_device *dev);
void virtio_device_resume(struct virtio_device *dev);

#endif
