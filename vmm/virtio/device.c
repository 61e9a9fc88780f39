/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/virtio/device.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>

static int make_queues(struct virtio_device *dev, unsigned count, struct error *err)
{
    dev->queues = xcalloc(count, sizeof(*dev->queues));
    dev->watches = xcalloc(count, sizeof(*dev->watches));
    for (unsigned i = 0; i < count; i++) {
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        if (fd < 0)
            return error_set_errno(err, errno, "make the doorbell of `%s`", dev->id);
        dev->queues[i].kick_fd = fd;
        dev->queues[i].max_size = dev->type->queue_size;
        virtq_reset(&dev->queues[i]);
        dev->watches[i] = (struct virtio_queue_watch){.watch.fd = -1, .dev = dev, .index = i};
        dev->queue_count++;
    }
    return 0;
}

int virtio_device_init(struct virtio_device *dev, const struct virtio_type *type, const char *id,
                       const struct memory *mem, const struct virtio_shape *shape,
                       struct error *err)
{
    dev->type = type;
    dev->id = id;
    dev->mem = mem;
    dev->offered = shape->features | VIRTIO_FEATURE(VIRTIO_F_VERSION_1) |
                   VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) |
                   VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC);
    pthread_mutex_init(&dev->config_lock, NULL);
    pthread_mutex_init(&dev->life, NULL);
    dev->worker_count = MAX(shape->workers, 1u);
    dev->workers = xcalloc(dev->worker_count, sizeof(*dev->workers));
    for (unsigned i = 0; i < dev->worker_count; i++)
        dev->workers[i] = (struct virtio_worker){.dev = dev, .index = i, .loop = shape->loop};
    if (make_queues(dev, shape->queues, err) < 0) {
        virtio_device_release(dev);
        return -1;
    }
    return 0;
}

void virtio_device_release(struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->worker_count; i++) {
        if (dev->workers[i].own_loop)
            loop_thread_stop(dev->workers[i].loop);
    }
    for (unsigned i = 0; i < dev->queue_count; i++)
        close(dev->queues[i].kick_fd);
    free(dev->workers);
    free(dev->watches);
    free(dev->queues);
    pthread_mutex_destroy(&dev->life);
    pthread_mutex_destroy(&dev->config_lock);
}

void virtio_device_free(struct virtio_device *dev)
{
    if (!dev)
        return;
    virtio_device_reset(dev);
    dev->type->free(dev);
}

/* ---- serving queues: in the worker's loop ---- */

static void stop_worker(void *opaque)
{
    struct virtio_worker *worker = opaque;
    struct virtio_device *dev = worker->dev;

    for (unsigned i = 0; i < dev->queue_count; i++) {
        if (dev->watches[i].worker == worker->index)
            loop_remove(worker->loop, &dev->watches[i].watch);
    }
    if (!worker->started)
        return;
    /* First: what is finished while we stop must not begin anything new. */
    worker->started = false;
    if (dev->type->stop)
        dev->type->stop(dev, worker->index);
}

static void on_kick(void *opaque, uint32_t events)
{
    struct virtio_queue_watch *watch = opaque;
    struct virtio_device *dev = watch->dev;
    uint64_t count;

    (void)events;
    /* Only to clear it; that it was read by an earlier round is no harm. */
    if (read(watch->watch.fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        virtio_log(dev, "read a doorbell: %s", strerror(errno));
    /* Another worker found the driver to break a rule. */
    if (virtio_device_status(dev) & VIRTIO_CONFIG_S_NEEDS_RESET)
        stop_worker(&dev->workers[watch->worker]);
    else
        dev->type->kick(dev, watch->index);
}

static void start_worker(void *opaque)
{
    struct virtio_worker *worker = opaque;
    struct virtio_device *dev = worker->dev;
    struct error err;

    for (unsigned i = 0; i < dev->queue_count; i++) {
        struct virtio_queue_watch *watch = &dev->watches[i];

        if (watch->worker != worker->index || watch->external || !dev->queues[i].ready)
            continue;
        if (loop_add(worker->loop, &watch->watch, dev->queues[i].kick_fd, EPOLLIN, on_kick, watch,
                     &err) < 0) {
            virtio_device_fail(dev, err.msg);
            return;
        }
    }
    worker->started = true;
    if (dev->type->start)
        dev->type->start(dev, worker->index);
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
    uint32_t old = __atomic_fetch_or(&dev->status, VIRTIO_CONFIG_S_NEEDS_RESET, __ATOMIC_ACQ_REL);

    if (!(old & VIRTIO_CONFIG_S_NEEDS_RESET))
        virtio_log(dev, "%s; the device needs a reset", why);
    for (unsigned i = 0; i < dev->worker_count; i++) {
        if (dev->workers[i].loop && loop_is_here(dev->workers[i].loop))
            stop_worker(&dev->workers[i]);
    }
    /* The other workers find the status when they are rung, and stop themselves. */
    for (unsigned i = 0; i < dev->queue_count; i++) {
        if (!dev->watches[i].external)
            virtio_kick_again(dev, i);
    }
    dev->transport.interrupt(dev->transport.opaque, VIRTIO_CONFIG_CHANGED);
    virtio_notice(dev, VIRTIO_NOTICE_FAILED);
}

void virtio_notice(struct virtio_device *dev, enum virtio_notice notice)
{
    unsigned old = __atomic_fetch_or(&dev->notices, notice, __ATOMIC_ACQ_REL);

    if (!(old & notice) && dev->notify)
        dev->notify(dev->notify_opaque);
}

unsigned virtio_device_take_notices(struct virtio_device *dev)
{
    return __atomic_exchange_n(&dev->notices, 0, __ATOMIC_ACQ_REL);
}

bool virtio_pop(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct virtqueue *vq = &dev->queues[queue];

    /* A queue that the driver did not set up, or a device that failed in this very round. */
    if (!virtio_started(dev, queue) || !vq->ready)
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
                  bool (*serve)(struct virtio_device *dev, unsigned queue,
                                struct virtq_chain *chain))
{
    struct virtqueue *vq = &dev->queues[queue];
    bool wait = true;
    unsigned left;

    if (!virtio_started(dev, queue) || !vq->ready)
        return;
    left = vq->size;
    virtq_disable_kicks(vq);
    while (left > 0 && wait && virtio_pop(dev, queue, chain)) {
        left--;
        wait = serve(dev, queue, chain);
    }
    if (!virtio_started(dev, queue))
        return;
    if (!wait)
        virtq_unpop(vq, 1);
    virtio_notify(dev, queue);
    if (wait && (left == 0 || virtq_enable_kicks(vq)))
        virtio_kick_again(dev, queue);
}

/* ---- config space ---- */

uint64_t virtio_device_read_config(struct virtio_device *dev, uint64_t offset, unsigned len)
{
    uint64_t value = 0;

    if (offset >= dev->config_size || len > dev->config_size - offset)
        return 0;
    pthread_mutex_lock(&dev->config_lock);
    memcpy(&value, dev->config + offset, len);
    pthread_mutex_unlock(&dev->config_lock);
    return value;
}

void virtio_device_write_config(struct virtio_device *dev, uint64_t offset, uint64_t value,
                                unsigned len)
{
    if (!dev->type->write_config || offset >= dev->config_size || len > sizeof(value) ||
        len > dev->config_size - offset)
        return;
    dev->type->write_config(dev, (unsigned)offset, &value, len);
}

uint32_t virtio_device_config_generation(struct virtio_device *dev)
{
    return __atomic_load_n(&dev->config_generation, __ATOMIC_ACQUIRE);
}

void virtio_set_config(struct virtio_device *dev, unsigned offset, const void *data, unsigned len)
{
    bool tell = false;

    pthread_mutex_lock(&dev->config_lock);
    if (memcmp(dev->config + offset, data, len) != 0) {
        memcpy(dev->config + offset, data, len);
        __atomic_fetch_add(&dev->config_generation, 1, __ATOMIC_ACQ_REL);
        tell = virtio_device_status(dev) & VIRTIO_CONFIG_S_DRIVER_OK;
    }
    pthread_mutex_unlock(&dev->config_lock);
    if (tell)
        dev->transport.interrupt(dev->transport.opaque, VIRTIO_CONFIG_CHANGED);
}

/* A driver reads config space before it says that it is ready, and only then it is told of changes:
 * those in between are told when it does. Under the lock, as with it either we see the change or
 * virtio_set_config() sees the driver. */
static void tell_config_since(struct virtio_device *dev, uint32_t generation)
{
    bool changed;

    pthread_mutex_lock(&dev->config_lock);
    changed = dev->config_generation != generation;
    pthread_mutex_unlock(&dev->config_lock);
    if (changed)
        dev->transport.interrupt(dev->transport.opaque, VIRTIO_CONFIG_CHANGED);
}

/* ---- life, as the driver sees it ---- */

uint32_t virtio_device_status(const struct virtio_device *dev)
{
    return __atomic_load_n(&dev->status, __ATOMIC_ACQUIRE);
}

static bool activate_queues(struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->queue_count; i++) {
        if (dev->queues[i].ready &&
            virtq_activate(&dev->queues[i], dev->mem,
                           virtio_has_feature(dev, VIRTIO_RING_F_EVENT_IDX),
                           virtio_has_feature(dev, VIRTIO_RING_F_INDIRECT_DESC)) < 0)
            return false;
    }
    return !dev->type->activate || dev->type->activate(dev) == 0;
}

/* Whether any of the worker's queues is its to serve. The first worker always has its loop: what is
 * not about a queue happens there. */
static bool is_needed(const struct virtio_device *dev, unsigned worker)
{
    for (unsigned i = 0; i < dev->queue_count; i++) {
        if (dev->watches[i].worker == worker && dev->queues[i].ready && !dev->watches[i].external)
            return true;
    }
    return worker == 0;
}

static bool have_loop(struct virtio_worker *worker)
{
    struct virtio_device *dev = worker->dev;
    char name[16];
    struct error err;

    if (worker->loop)
        return true;
    if (dev->worker_count > 1)
        snprintf(name, sizeof(name), "vole/%.6s.%u", dev->id, worker->index);
    else
        snprintf(name, sizeof(name), "vole/%s", dev->id);
    worker->loop = loop_thread_start(name, &err);
    if (!worker->loop)
        virtio_log(dev, "%s", err.msg);
    worker->own_loop = worker->loop != NULL;
    return worker->own_loop;
}

static bool have_loops(struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->worker_count; i++) {
        if (is_needed(dev, i) && !have_loop(&dev->workers[i]))
            return false;
    }
    return true;
}

static void start_workers(struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->worker_count; i++) {
        if (is_needed(dev, i) && !(virtio_device_status(dev) & VIRTIO_CONFIG_S_NEEDS_RESET))
            loop_call(dev->workers[i].loop, start_worker, &dev->workers[i]);
    }
}

static void stop_workers(struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->worker_count; i++) {
        if (dev->workers[i].loop)
            loop_call(dev->workers[i].loop, stop_worker, &dev->workers[i]);
    }
}

static void activate(struct virtio_device *dev)
{
    bool ok;

    pthread_mutex_lock(&dev->life);
    ok = activate_queues(dev);
    /* Which threads are needed is known only now; the type may have handed queues to the kernel
     * already, and has to take them back: no pause would, of a device that is not active. */
    if (ok && !have_loops(dev)) {
        ok = false;
        if (dev->type->reset)
            dev->type->reset(dev);
    }
    if (ok) {
        dev->active = true;
        start_workers(dev);
    }
    pthread_mutex_unlock(&dev->life);
    if (!ok)
        virtio_device_fail(dev, "the driver's queues cannot be used");
}

void virtio_device_reset(struct virtio_device *dev)
{
    pthread_mutex_lock(&dev->life);
    if (dev->active)
        stop_workers(dev);
    dev->active = false;
    dev->acked = 0;
    for (unsigned i = 0; i < dev->queue_count; i++)
        virtq_reset(&dev->queues[i]);
    if (dev->type->reset)
        dev->type->reset(dev);
    __atomic_store_n(&dev->status, 0, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&dev->life);
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
    if (old == 0)
        dev->first_generation = virtio_device_config_generation(dev);
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
    if (!(old & VIRTIO_CONFIG_S_DRIVER_OK) && (status & VIRTIO_CONFIG_S_DRIVER_OK)) {
        activate(dev);
        tell_config_since(dev, dev->first_generation);
    }
}

/* ---- the machine ---- */

void virtio_device_pause(struct virtio_device *dev)
{
    pthread_mutex_lock(&dev->life);
    if (dev->active && !dev->paused)
        stop_workers(dev);
    dev->paused = true;
    pthread_mutex_unlock(&dev->life);
}

void virtio_device_resume(struct virtio_device *dev)
{
    pthread_mutex_lock(&dev->life);
    if (dev->active && dev->paused)
        start_workers(dev);
    dev->paused = false;
    pthread_mutex_unlock(&dev->life);
}

void virtio_device_rearrange(struct virtio_device *dev, void (*change)(void *opaque), void *opaque)
{
    bool ok = true;

    pthread_mutex_lock(&dev->life);
    if (dev->active && !dev->paused)
        stop_workers(dev);
    change(opaque);
    if (dev->active) {
        ok = have_loops(dev);
        if (ok && !dev->paused)
            start_workers(dev);
    }
    pthread_mutex_unlock(&dev->life);
    if (!ok)
        virtio_device_fail(dev, "it has no thread to go on in");
}

void virtio_device_call(struct virtio_device *dev, unsigned worker, void (*fn)(void *opaque),
                        void *opaque)
{
    pthread_mutex_lock(&dev->life);
    if (dev->workers[worker].loop)
        loop_call(dev->workers[worker].loop, fn, opaque);
    else
        fn(opaque);
    pthread_mutex_unlock(&dev->life);
}
