/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-blk (virtio 1.2, section 5.2): its queues, its limits, its life. What a request is stands
 * in blk_request.c.
 *
 * Each virtqueue has a worker, a queue of the disk's, and requests from a pool as large as the
 * virtqueue. A driver that follows the rules cannot have more under way; one that does not waits
 * until some are done.
 *
 * A rate limit is the whole disk's. A request that may not begin yet is put back into the ring,
 * where it waits, and all behind it, for the worker's timer: so that there is nothing of ours to
 * keep in a pause, or to drop in a reset.
 *
 * A pause does not wait for what the disk has not begun, nor for the rest of a long request: that
 * is parked, and goes on where it was; a reset drops it.
 */
#include <linux/virtio_ids.h>

#include "vmm/virtio/blk_priv.h"

#define CONFIG_SIZE offsetof(struct virtio_blk_config, max_secure_erase_sectors)
_Static_assert(CONFIG_SIZE <= VIRTIO_MAX_CONFIG, "the configuration fits");

/* ---- rate limits ---- */

/* How long the request has to wait; 0: it begins now, and has been accounted for. */
static uint64_t time_to_wait(struct virtio_blk *blk, const struct disk_request *req)
{
    bool is_write = req->op != DISK_READ;
    uint64_t bytes = req->op == DISK_DISCARD ? 0 : req->length;
    uint64_t now;
    uint64_t wait;

    if (!__atomic_load_n(&blk->limited, __ATOMIC_RELAXED) || req->op == DISK_FLUSH)
        return 0;
    now = monotonic_ns();
    pthread_mutex_lock(&blk->throttle_lock);
    wait = throttle_wait(&blk->throttle, is_write, now);
    if (wait == 0)
        throttle_account(&blk->throttle, is_write, bytes, now);
    pthread_mutex_unlock(&blk->throttle_lock);
    return wait;
}

static void on_timer(void *opaque)
{
    struct blk_queue *q = opaque;

    virtio_kick_again(&q->blk->dev, q->index);
}

static int have_timer(struct blk_queue *q, struct error *err)
{
    if (q->timer.fd >= 0)
        return 0;
    return loop_timer_attach(virtio_loop(&q->blk->dev, q->index), &q->timer, on_timer, q, err);
}

/* Comes back to the queue by then. False: nobody would, so that the limit has to give. */
static bool wait_for(struct blk_queue *q, uint64_t ns)
{
    struct error err;
    int r = have_timer(q, &err);

    if (r == 0) {
        r = loop_timer_set(&q->timer, ns, 0);
        if (r == 0)
            return true;
        error_set_errno(&err, -r, "set a timer");
    }
    virtio_log(&q->blk->dev, "rate limit: %s", err.msg);
    return false;
}

/* ---- the queue ---- */

enum served {
    SERVED,      /* one request was taken */
    SERVED_NONE, /* the ring is empty, or the device has failed */
    SERVED_HELD, /* something else brings us back */
};

static enum served serve_one(struct blk_queue *q)
{
    struct virtio_device *dev = &q->blk->dev;
    struct blk_request *req = blk_request_get(q);
    uint64_t wait;
    int status;

    if (!req) {
        q->starved = true;
        return SERVED_HELD;
    }
    if (!virtio_pop(dev, q->index, &q->chain)) {
        blk_request_put(req);
        return SERVED_NONE;
    }
    if (!blk_request_read(req, &status)) {
        blk_request_put(req);
        virtio_device_fail(dev, "a request without header or status");
        return SERVED_NONE;
    }
    if (status != BLK_TO_SUBMIT) {
        blk_request_finish(req, (uint8_t)status);
        return SERVED;
    }
    wait = time_to_wait(q->blk, &req->disk);
    if (wait > 0 && wait_for(q, wait)) {
        virtq_unpop(&dev->queues[q->index], 1);
        blk_request_put(req);
        return SERVED_HELD;
    }
    blk_request_submit(req);
    return SERVED;
}

/* At most one ringful in one go, so that a driver that never stops giving cannot keep the thread
 * from its other events. */
static void blk_kick(struct virtio_device *dev, unsigned queue)
{
    struct blk_queue *q = &to_blk(dev)->queues[queue];
    struct virtqueue *vq = &dev->queues[queue];
    enum served served = SERVED;

    if (!virtio_started(dev, queue) || !vq->ready)
        return;
    virtq_disable_kicks(vq);
    for (unsigned left = BLK_QUEUE_SIZE; served == SERVED && left > 0; left--)
        served = serve_one(q);
    if (!virtio_started(dev, queue))
        return;
    disk_commit(q->disk);
    virtio_notify(dev, queue);
    if (served == SERVED || (served == SERVED_NONE && virtq_enable_kicks(vq)))
        virtio_kick_again(dev, queue);
}

static void on_batch_done(void *opaque)
{
    struct blk_queue *q = opaque;

    virtio_notify(&q->blk->dev, q->index);
    if (!q->starved)
        return;
    /* By way of the loop, not from inside of the disk's own callback. */
    q->starved = false;
    virtio_kick_again(&q->blk->dev, q->index);
}

/* ---- life ---- */

static struct blk_request *take_parked(struct blk_queue *q)
{
    struct blk_request *req = q->parked;

    if (req)
        q->parked = req->next;
    return req;
}

static void blk_start(struct virtio_device *dev, unsigned worker)
{
    struct blk_queue *q = &to_blk(dev)->queues[worker];
    struct blk_request *req;
    struct error err;

    if (!dev->queues[worker].ready)
        return;
    if (!q->requests)
        q->requests = xcalloc(BLK_QUEUE_SIZE, sizeof(*q->requests));
    if (disk_queue_start(q->disk, virtio_loop(dev, worker), on_batch_done, q, &err) < 0) {
        virtio_device_fail(dev, err.msg);
        return;
    }
    while ((req = take_parked(q)))
        disk_submit(q->disk, &req->disk);
    /* What was put there before the doorbell was wired, or while the machine was paused. */
    blk_kick(dev, worker);
}

static void blk_stop(struct virtio_device *dev, unsigned worker)
{
    struct blk_queue *q = &to_blk(dev)->queues[worker];

    loop_timer_detach(virtio_loop(&q->blk->dev, q->index), &q->timer);
    disk_queue_cancel(q->disk);
    disk_queue_stop(q->disk);
    q->starved = false;
}

/* The one thing that a driver may write: whether what it writes may stay in the host's cache. */
static void blk_write_config(struct virtio_device *dev, unsigned offset, const void *data,
                             unsigned len)
{
    const size_t wce = offsetof(struct virtio_blk_config, wce);
    uint8_t writeback = *(const uint8_t *)data != 0;

    if (offset != wce || len != 1 || !virtio_has_feature(dev, VIRTIO_BLK_F_CONFIG_WCE))
        return;
    pthread_mutex_lock(&dev->config_lock);
    dev->config[wce] = writeback;
    pthread_mutex_unlock(&dev->config_lock);
    __atomic_store_n(&to_blk(dev)->writethrough, !writeback, __ATOMIC_RELAXED);
}

static void blk_reset(struct virtio_device *dev)
{
    struct virtio_blk *blk = to_blk(dev);
    struct blk_request *req;

    for (unsigned i = 0; i < blk->queue_count; i++)
        while ((req = take_parked(&blk->queues[i])))
            blk_request_put(req);
    pthread_mutex_lock(&dev->config_lock);
    dev->config[offsetof(struct virtio_blk_config, wce)] = 1;
    pthread_mutex_unlock(&dev->config_lock);
    __atomic_store_n(&blk->writethrough, false, __ATOMIC_RELAXED);
}

static void blk_free(struct virtio_device *dev)
{
    struct virtio_blk *blk = to_blk(dev);

    virtio_device_release(dev);
    for (unsigned i = 0; i < blk->queue_count; i++) {
        disk_queue_free(blk->queues[i].disk);
        free(blk->queues[i].requests);
    }
    pthread_mutex_destroy(&blk->throttle_lock);
    free(blk->queues);
    free(blk);
}

static const struct virtio_type blk_type = {
    .name = "virtio-blk",
    .id = VIRTIO_ID_BLOCK,
    .queue_size = BLK_QUEUE_SIZE,
    .start = blk_start,
    .kick = blk_kick,
    .stop = blk_stop,
    .reset = blk_reset,
    .write_config = blk_write_config,
    .free = blk_free,
};

/* ---- making one ---- */

static uint8_t log2_of(uint32_t n)
{
    return (uint8_t)(31 - __builtin_clz(n));
}

static struct virtio_blk_config make_config(const struct disk *disk, unsigned queues)
{
    const struct disk_geometry *g = disk_geometry(disk);
    uint32_t sectors_of_block = g->physical_block / (uint32_t)DISK_SECTOR;

    return (struct virtio_blk_config){
        .capacity = disk_size(disk) / DISK_SECTOR,
        .seg_max = BLK_SEG_MAX,
        .blk_size = g->logical_block,
        .physical_block_exp = log2_of(g->physical_block / g->logical_block),
        .min_io_size = (uint16_t)(g->physical_block / g->logical_block),
        .opt_io_size = g->optimal_io / g->logical_block,
        .wce = 1,
        .num_queues = (uint16_t)queues,
        .max_discard_sectors = BLK_MAX_DISCARD_SECTORS,
        .max_discard_seg = BLK_MAX_RANGES,
        .discard_sector_alignment = sectors_of_block,
        .max_write_zeroes_sectors = BLK_MAX_ZEROES_SECTORS,
        .max_write_zeroes_seg = BLK_MAX_RANGES,
        .write_zeroes_may_unmap = disk_discards(disk),
    };
}

static uint64_t features_of(const struct disk *disk, unsigned queues)
{
    uint64_t features = VIRTIO_FEATURE(VIRTIO_BLK_F_SEG_MAX) |
                        VIRTIO_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
                        VIRTIO_FEATURE(VIRTIO_BLK_F_TOPOLOGY) | VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) |
                        VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE);

    if (disk_readonly(disk))
        features |= VIRTIO_FEATURE(VIRTIO_BLK_F_RO);
    else
        features |= VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
    if (disk_discards(disk))
        features |= VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD);
    if (queues > 1)
        features |= VIRTIO_FEATURE(VIRTIO_BLK_F_MQ);
    return features;
}

struct virtio_device *virtio_blk_new(const char *id, const struct memory *mem, struct disk *disk,
                                     const struct virtio_blk_options *options, struct error *err)
{
    struct virtio_blk *blk = xcalloc(1, sizeof(*blk));
    unsigned queues = MAX(options->queues, 1u);
    struct virtio_blk_config config = make_config(disk, queues);
    struct virtio_shape shape = {
        .queues = queues,
        .workers = queues,
        .features = features_of(disk, queues),
    };

    if (virtio_device_init(&blk->dev, &blk_type, id, mem, &shape, err) < 0) {
        free(blk);
        return NULL;
    }
    blk->disk = disk;
    if (options->serial)
        memcpy(blk->serial, options->serial, MIN(strlen(options->serial), sizeof(blk->serial)));
    memcpy(blk->dev.config, &config, CONFIG_SIZE);
    blk->dev.config_size = CONFIG_SIZE;
    pthread_mutex_init(&blk->throttle_lock, NULL);
    throttle_init(&blk->throttle, &options->limits, monotonic_ns());
    blk->limited = blk->throttle.active;

    blk->queue_count = queues;
    blk->queues = xcalloc(queues, sizeof(*blk->queues));
    for (unsigned i = 0; i < queues; i++) {
        blk->queues[i] = (struct blk_queue){
            .blk = blk, .index = i, .disk = disk_queue_new(disk), .timer = LOOP_TIMER_CLOSED};
        blk->dev.watches[i].worker = i;
    }
    return &blk->dev;
}

/* ---- for the machine ---- */

void virtio_blk_resized(struct virtio_device *dev)
{
    uint64_t capacity = disk_size(to_blk(dev)->disk) / DISK_SECTOR;

    virtio_set_config(dev, offsetof(struct virtio_blk_config, capacity), &capacity,
                      sizeof(capacity));
}

int virtio_blk_last_error(struct virtio_device *dev, bool *reading)
{
    uint32_t error = __atomic_load_n(&to_blk(dev)->error, __ATOMIC_ACQUIRE);

    *reading = (error & 0xff) == DISK_READ;
    return (int)(error >> 8);
}

void virtio_blk_set_limits(struct virtio_device *dev, const struct throttle_limits *limits)
{
    struct virtio_blk *blk = to_blk(dev);

    pthread_mutex_lock(&blk->throttle_lock);
    throttle_init(&blk->throttle, limits, monotonic_ns());
    __atomic_store_n(&blk->limited, blk->throttle.active, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&blk->throttle_lock);
    /* What waits by the old limits looks at the new ones. */
    for (unsigned i = 0; i < blk->queue_count; i++)
        virtio_kick_again(dev, i);
}
