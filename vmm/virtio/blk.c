/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-blk (virtio 1.2, section 5.2). A request is a chain: a 16-byte header to read, data one
 * way or the other, and one status byte to write, the very last writable byte. The driver may cut
 * it into buffers anywhere, so header and status are found by offset, not by descriptor.
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
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "vmm/backend/disk.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/devices.h"

#define QUEUE_SIZE 256
#define SEG_MAX    126 /* with header and status half of what a chain may have */
#define MAX_RANGES 16  /* of a discard */

/* What one range may have: a hole is quickly made, but zeroes may have to be written. */
#define MAX_DISCARD_SECTORS (1 * GiB / DISK_SECTOR)
#define MAX_ZEROES_SECTORS  (64 * MiB / DISK_SECTOR)

#define CONFIG_SIZE offsetof(struct virtio_blk_config, max_secure_erase_sectors)
_Static_assert(CONFIG_SIZE <= VIRTIO_MAX_CONFIG, "the configuration fits");

struct virtio_blk;
struct blk_queue;

struct blk_request {
    struct disk_request disk;
    struct blk_queue *queue;
    struct blk_request *next; /* in the pool, or parked */
    uint16_t head;
    uint32_t data_written; /* bytes of the chain's writable part, the status byte apart */
    uint8_t *status;       /* in guest memory */
    unsigned range_count;  /* of a discard or zeroes */
    unsigned next_range;
    union {
        struct iovec data[SEG_MAX + 2]; /* header and status may share buffers with data */
        struct virtio_blk_discard_write_zeroes ranges[MAX_RANGES];
    };
};

/* Its worker's alone. */
struct blk_queue {
    struct virtio_blk *blk;
    unsigned index;
    struct disk_queue *disk;
    struct blk_request *requests; /* QUEUE_SIZE of them, made when a driver first comes */
    unsigned used_requests;       /* of them have ever been used: the rest costs no memory */
    struct blk_request *pool;
    struct blk_request *parked; /* to be submitted at the next start */
    bool starved;               /* the pool was empty when there was more to do */
    struct loop_timer timer;    /* for what a rate limit holds back; fd is -1 until it is needed */
    struct virtq_chain chain;   /* the one that is looked at */
};

struct virtio_blk {
    struct virtio_device dev;
    struct disk *disk;
    char serial[VIRTIO_BLK_ID_BYTES];
    bool writethrough; /* the driver wants each write to be flushed; atomic */
    uint32_t error;    /* the last of the host's: the operation, and its errno above it; atomic */

    bool limited; /* atomic */
    pthread_mutex_t throttle_lock;
    struct throttle throttle;

    unsigned queue_count;
    struct blk_queue *queues;
};
_Static_assert(QUEUE_SIZE <= DISK_MAX_IN_FLIGHT, "a full queue goes to the disk at once");

static void on_disk_done(struct disk_request *disk_req, int result);

static struct virtio_blk *to_blk(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_blk, dev);
}

/* ---- the pool ---- */

static struct blk_request *get_request(struct blk_queue *q)
{
    struct blk_request *req = q->pool;

    if (req) {
        q->pool = req->next;
    } else if (q->used_requests < QUEUE_SIZE) {
        req = &q->requests[q->used_requests++];
        req->queue = q;
        req->disk.done = on_disk_done;
    }
    return req;
}

static void put_request(struct blk_request *req)
{
    req->next = req->queue->pool;
    req->queue->pool = req;
}

/* ---- the end of a request ---- */

static void finish(struct blk_request *req, uint8_t status)
{
    struct blk_queue *q = req->queue;
    uint32_t written = status == VIRTIO_BLK_S_OK ? req->data_written : 0;

    *req->status = status;
    virtq_push(&q->blk->dev.queues[q->index], req->head, written + 1);
    put_request(req);
}

static void submit_range(struct blk_request *req)
{
    const struct virtio_blk_discard_write_zeroes *range = &req->ranges[req->next_range++];

    req->disk.offset = range->sector * DISK_SECTOR;
    req->disk.length = range->num_sectors * DISK_SECTOR;
    req->disk.unmap = range->flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
    disk_submit(req->queue->disk, &req->disk);
}

static const char *const op_names[] = {
    [DISK_READ] = "read",
    [DISK_WRITE] = "write",
    [DISK_FLUSH] = "flush",
    [DISK_DISCARD] = "discard",
    [DISK_WRITE_ZEROES] = "write zeroes",
};
_Static_assert(ARRAY_SIZE(op_names) == DISK_OPS, "each operation has a name");

/* A driver that cannot flush, or told us to do it, takes a write that is done for one that stays
 * (5.2.6.2). */
static bool wants_flush(struct virtio_blk *blk, enum disk_op op)
{
    return (op == DISK_WRITE || op == DISK_WRITE_ZEROES) &&
           (!virtio_has_feature(&blk->dev, VIRTIO_BLK_F_FLUSH) ||
            __atomic_load_n(&blk->writethrough, __ATOMIC_RELAXED));
}

static void submit_flush(struct blk_request *req)
{
    req->disk.op = DISK_FLUSH;
    req->disk.offset = 0;
    req->disk.length = 0;
    disk_submit(req->queue->disk, &req->disk);
}

static void on_disk_done(struct disk_request *disk_req, int result)
{
    struct blk_request *req = container_of(disk_req, struct blk_request, disk);
    struct virtio_blk *blk = req->queue->blk;

    if (result == -ECANCELED) {
        req->next = req->queue->parked;
        req->queue->parked = req;
    } else if (result < 0) {
        virtio_log(&blk->dev, "%s: %s", op_names[disk_req->op], strerror(-result));
        __atomic_store_n(&blk->error, (uint32_t)disk_req->op | (uint32_t)-result << 8,
                         __ATOMIC_RELEASE);
        virtio_notice(&blk->dev, VIRTIO_NOTICE_IO_ERROR);
        finish(req, VIRTIO_BLK_S_IOERR);
    } else if (req->next_range < req->range_count) {
        submit_range(req);
    } else if (wants_flush(blk, disk_req->op)) {
        submit_flush(req);
    } else {
        finish(req, VIRTIO_BLK_S_OK);
    }
}

/* ---- what a request asks for: each fills `req->disk`, or answers a status ---- */

#define TO_SUBMIT (-1) /* no status: the disk has to do it */

/* Reads and writes: what is left of the chain without header and status is data. */
static int prepare_transfer(struct blk_request *req, enum disk_op op, uint64_t sector)
{
    const struct virtq_chain *chain = &req->queue->chain;
    const size_t header = sizeof(struct virtio_blk_outhdr);
    struct disk *disk = req->queue->blk->disk;
    uint64_t size = disk_size(disk);
    bool is_read = op == DISK_READ;
    size_t len = is_read ? chain->writable_len - 1 : chain->readable_len - header;

    if (len == 0 || len % DISK_SECTOR != 0 || len > size || sector > (size - len) / DISK_SECTOR ||
        (is_read ? chain->writable : chain->readable) > ARRAY_SIZE(req->data) ||
        (!is_read && disk_readonly(disk)))
        return VIRTIO_BLK_S_IOERR;
    req->disk.op = op;
    req->disk.offset = sector * DISK_SECTOR;
    req->disk.length = len;
    req->disk.iov = req->data;
    req->disk.iov_count =
        is_read ? iov_slice(chain->iov + chain->readable, chain->writable, 0, len, req->data)
                : iov_slice(chain->iov, chain->readable, header, len, req->data);
    req->data_written = is_read ? (uint32_t)len : 0;
    return TO_SUBMIT;
}

static int check_range(const struct blk_request *req, enum disk_op op,
                       const struct virtio_blk_discard_write_zeroes *range)
{
    uint64_t sectors = disk_size(req->queue->blk->disk) / DISK_SECTOR;
    uint32_t known = op == DISK_DISCARD ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
    uint64_t most = op == DISK_DISCARD ? MAX_DISCARD_SECTORS : MAX_ZEROES_SECTORS;

    if (range->flags & ~known)
        return VIRTIO_BLK_S_UNSUPP;
    if (range->num_sectors > most || range->num_sectors > sectors ||
        range->sector > sectors - range->num_sectors)
        return VIRTIO_BLK_S_IOERR;
    return TO_SUBMIT;
}

/* Discard and zeroes: the data are ranges. All are checked before the first one is touched. */
static int prepare_ranges(struct blk_request *req, enum disk_op op, unsigned feature)
{
    const struct virtq_chain *chain = &req->queue->chain;
    const size_t header = sizeof(struct virtio_blk_outhdr);
    size_t len = chain->readable_len - header;
    int status = TO_SUBMIT;

    if (!virtio_has_feature(&req->queue->blk->dev, feature))
        return VIRTIO_BLK_S_UNSUPP;
    if (len == 0 || len % sizeof(req->ranges[0]) != 0 || len > sizeof(req->ranges) ||
        disk_readonly(req->queue->blk->disk))
        return VIRTIO_BLK_S_IOERR;
    iov_read(chain->iov, chain->readable, header, req->ranges, len);
    req->range_count = (unsigned)(len / sizeof(req->ranges[0]));
    req->disk.op = op;
    req->disk.length = 0; /* of all ranges together, for the limits; submit_range() sets its own */
    for (unsigned i = 0; i < req->range_count && status == TO_SUBMIT; i++) {
        status = check_range(req, op, &req->ranges[i]);
        req->disk.length += req->ranges[i].num_sectors * DISK_SECTOR;
    }
    return status;
}

static int get_id(struct blk_request *req)
{
    const struct virtq_chain *chain = &req->queue->chain;
    size_t len = MIN(chain->writable_len - 1, (size_t)VIRTIO_BLK_ID_BYTES);

    req->data_written = (uint32_t)iov_write(chain->iov + chain->readable, chain->writable, 0,
                                            req->queue->blk->serial, len);
    return VIRTIO_BLK_S_OK;
}

static int prepare(struct blk_request *req, const struct virtio_blk_outhdr *header)
{
    switch (header->type) {
    case VIRTIO_BLK_T_IN:
        return prepare_transfer(req, DISK_READ, header->sector);
    case VIRTIO_BLK_T_OUT:
        return prepare_transfer(req, DISK_WRITE, header->sector);
    case VIRTIO_BLK_T_FLUSH:
        req->disk.op = DISK_FLUSH;
        return TO_SUBMIT;
    case VIRTIO_BLK_T_DISCARD:
        return prepare_ranges(req, DISK_DISCARD, VIRTIO_BLK_F_DISCARD);
    case VIRTIO_BLK_T_WRITE_ZEROES:
        return prepare_ranges(req, DISK_WRITE_ZEROES, VIRTIO_BLK_F_WRITE_ZEROES);
    case VIRTIO_BLK_T_GET_ID:
        return get_id(req);
    default:
        return VIRTIO_BLK_S_UNSUPP;
    }
}

static uint8_t *last_byte(const struct virtq_chain *chain)
{
    unsigned i = chain->readable + chain->writable - 1;

    while (chain->iov[i].iov_len == 0) /* there is one that is not: writable_len says so */
        i--;
    return (uint8_t *)chain->iov[i].iov_base + chain->iov[i].iov_len - 1;
}

static void submit(struct blk_request *req)
{
    if (req->range_count > 0)
        submit_range(req);
    else if (req->disk.op == DISK_FLUSH)
        submit_flush(req);
    else
        disk_submit(req->queue->disk, &req->disk);
}

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
    if (loop_timer_open(&q->timer, err) < 0)
        return -1;
    if (loop_timer_add(virtio_loop(&q->blk->dev, q->index), &q->timer, on_timer, q, err) == 0)
        return 0;
    loop_timer_close(&q->timer);
    return -1;
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

static void stop_timer(struct blk_queue *q)
{
    if (q->timer.fd < 0)
        return;
    loop_timer_remove(virtio_loop(&q->blk->dev, q->index), &q->timer);
    loop_timer_close(&q->timer);
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
    struct blk_request *req = get_request(q);
    struct virtq_chain *chain = &q->chain;
    struct virtio_blk_outhdr header;
    uint64_t wait;
    int status;

    if (!req) {
        q->starved = true;
        return SERVED_HELD;
    }
    if (!virtio_pop(dev, q->index, chain)) {
        put_request(req);
        return SERVED_NONE;
    }
    if (chain->writable_len == 0 ||
        iov_read(chain->iov, chain->readable, 0, &header, sizeof(header)) < sizeof(header)) {
        put_request(req);
        virtio_device_fail(dev, "a request without header or status");
        return SERVED_NONE;
    }
    req->head = chain->head;
    req->status = last_byte(chain);
    req->data_written = 0;
    req->range_count = 0;
    req->next_range = 0;
    status = prepare(req, &header);
    if (status != TO_SUBMIT) {
        finish(req, (uint8_t)status);
        return SERVED;
    }
    wait = time_to_wait(q->blk, &req->disk);
    if (wait > 0 && wait_for(q, wait)) {
        virtq_unpop(&dev->queues[q->index], 1);
        put_request(req);
        return SERVED_HELD;
    }
    submit(req);
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
    for (unsigned left = QUEUE_SIZE; served == SERVED && left > 0; left--)
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
        q->requests = xcalloc(QUEUE_SIZE, sizeof(*q->requests));
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

    stop_timer(q);
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
            put_request(req);
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
    .queue_size = QUEUE_SIZE,
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
        .seg_max = SEG_MAX,
        .blk_size = g->logical_block,
        .physical_block_exp = log2_of(g->physical_block / g->logical_block),
        .min_io_size = (uint16_t)(g->physical_block / g->logical_block),
        .opt_io_size = g->optimal_io / g->logical_block,
        .wce = 1,
        .num_queues = (uint16_t)queues,
        .max_discard_sectors = MAX_DISCARD_SECTORS,
        .max_discard_seg = MAX_RANGES,
        .discard_sector_alignment = sectors_of_block,
        .max_write_zeroes_sectors = MAX_ZEROES_SECTORS,
        .max_write_zeroes_seg = MAX_RANGES,
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
