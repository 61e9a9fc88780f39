/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-blk (virtio 1.2, section 5.2). A request is a chain: a 16-byte header to read, data one
 * way or the other, and one status byte to write, the very last writable byte. The driver may cut
 * it into buffers anywhere, so header and status are found by offset, not by descriptor.
 *
 * Requests come from a pool as large as the queue. A driver that follows the rules cannot have more
 * under way; one that does not waits until some are done.
 */
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "vmm/backend/disk.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/devices.h"

#define QUEUE_SIZE 256
#define SEG_MAX    126 /* with header and status half of what a chain may have */

struct virtio_blk;

struct blk_request {
    struct disk_request disk;
    struct virtio_blk *blk;
    struct blk_request *next; /* in the pool */
    struct virtq_chain chain;
    uint32_t data_written; /* bytes of the chain's writable part, the status byte apart */
    struct iovec data[VIRTQ_MAX_SEGMENTS];
};

struct virtio_blk {
    struct virtio_device dev;
    struct disk *disk;
    char serial[VIRTIO_BLK_ID_BYTES];

    struct blk_request *requests; /* QUEUE_SIZE of them, made when a driver first comes */
    unsigned used_requests;       /* of them have ever been used: the rest costs no memory */
    struct blk_request *pool;
    bool starved; /* the pool was empty when there was more to do */
};
_Static_assert(QUEUE_SIZE <= DISK_MAX_IN_FLIGHT, "a full queue goes to the disk at once");

static void on_disk_done(struct disk_request *disk_req, int result);

/* ---- the pool ---- */

static struct blk_request *get_request(struct virtio_blk *blk)
{
    struct blk_request *req = blk->pool;

    if (req) {
        blk->pool = req->next;
    } else if (blk->used_requests < QUEUE_SIZE) {
        req = &blk->requests[blk->used_requests++];
        req->blk = blk;
        req->disk.done = on_disk_done;
    }
    return req;
}

static void put_request(struct blk_request *req)
{
    req->next = req->blk->pool;
    req->blk->pool = req;
}

/* ---- one request ---- */

static void finish(struct blk_request *req, uint8_t status)
{
    struct virtio_device *dev = &req->blk->dev;
    const struct virtq_chain *chain = &req->chain;
    uint32_t written = status == VIRTIO_BLK_S_OK ? req->data_written : 0;

    iov_write(chain->iov + chain->readable, chain->writable, chain->writable_len - 1, &status, 1);
    virtq_push(&dev->queues[0], chain->head, written + 1);
    put_request(req);
}

static const char *op_name(enum disk_op op)
{
    return op == DISK_READ ? "read" : op == DISK_WRITE ? "write" : "flush";
}

static void on_disk_done(struct disk_request *disk_req, int result)
{
    struct blk_request *req = container_of(disk_req, struct blk_request, disk);
    struct virtio_device *dev = &req->blk->dev;

    if (result < 0)
        virtio_log(dev, "%s: %s", op_name(disk_req->op), strerror(-result));
    /* A driver that cannot flush takes a write that is done for one that stays (5.2.6.2). */
    if (result == 0 && disk_req->op == DISK_WRITE && !virtio_has_feature(dev, VIRTIO_BLK_F_FLUSH)) {
        disk_req->op = DISK_FLUSH;
        disk_submit(req->blk->disk, disk_req);
        return;
    }
    finish(req, result < 0 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
}

/* Reads and writes: what is left of the chain without header and status is data. */
static void do_transfer(struct blk_request *req, enum disk_op op, uint64_t sector)
{
    const struct virtq_chain *chain = &req->chain;
    const size_t header = sizeof(struct virtio_blk_outhdr);
    uint64_t size = disk_size(req->blk->disk);
    bool is_read = op == DISK_READ;
    size_t len = is_read ? chain->writable_len - 1 : chain->readable_len - header;

    if (len == 0 || len % DISK_SECTOR != 0 || len > size || sector > (size - len) / DISK_SECTOR ||
        (!is_read && disk_readonly(req->blk->disk))) {
        finish(req, VIRTIO_BLK_S_IOERR);
        return;
    }
    req->disk.op = op;
    req->disk.offset = sector * DISK_SECTOR;
    req->disk.iov = req->data;
    req->disk.iov_count =
        is_read ? iov_slice(chain->iov + chain->readable, chain->writable, 0, len, req->data)
                : iov_slice(chain->iov, chain->readable, header, len, req->data);
    req->data_written = is_read ? (uint32_t)len : 0;
    disk_submit(req->blk->disk, &req->disk);
}

static void do_get_id(struct blk_request *req)
{
    const struct virtq_chain *chain = &req->chain;
    size_t len = MIN(chain->writable_len - 1, (size_t)VIRTIO_BLK_ID_BYTES);

    req->data_written = (uint32_t)iov_write(chain->iov + chain->readable, chain->writable, 0,
                                            req->blk->serial, len);
    finish(req, VIRTIO_BLK_S_OK);
}

static void handle_request(struct blk_request *req)
{
    const struct virtq_chain *chain = &req->chain;
    struct virtio_blk_outhdr header;

    req->data_written = 0;
    if (chain->writable_len == 0 ||
        iov_read(chain->iov, chain->readable, 0, &header, sizeof(header)) < sizeof(header)) {
        virtio_device_fail(&req->blk->dev, "a request without header or status");
        put_request(req);
        return;
    }
    switch (header.type) {
    case VIRTIO_BLK_T_IN:
        do_transfer(req, DISK_READ, header.sector);
        break;
    case VIRTIO_BLK_T_OUT:
        do_transfer(req, DISK_WRITE, header.sector);
        break;
    case VIRTIO_BLK_T_FLUSH:
        req->disk.op = DISK_FLUSH;
        req->disk.offset = 0;
        disk_submit(req->blk->disk, &req->disk);
        break;
    case VIRTIO_BLK_T_GET_ID:
        do_get_id(req);
        break;
    default:
        finish(req, VIRTIO_BLK_S_UNSUPP);
    }
}

/* ---- the queue ---- */

/*
 * At most one ringful in one go, so that a driver that never stops giving cannot keep the thread
 * from its other events. Returns whether the queue is empty.
 */
static bool submit_round(struct virtio_blk *blk)
{
    for (unsigned left = QUEUE_SIZE; left > 0; left--) {
        struct blk_request *req = get_request(blk);

        if (!req) {
            blk->starved = true;
            return false;
        }
        if (!virtio_pop(&blk->dev, 0, &req->chain)) {
            put_request(req);
            return true;
        }
        handle_request(req);
    }
    virtio_kick_again(&blk->dev, 0);
    return false;
}

static void blk_kick(struct virtio_device *dev, unsigned queue)
{
    struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);
    bool empty;

    virtq_disable_kicks(&dev->queues[queue]);
    empty = submit_round(blk);
    if (!virtio_started(dev, queue))
        return;
    disk_commit(blk->disk);
    virtio_notify(dev, queue);
    if (empty && virtq_enable_kicks(&dev->queues[queue]))
        virtio_kick_again(dev, queue);
}

static void on_batch_done(void *opaque)
{
    struct virtio_blk *blk = opaque;

    virtio_notify(&blk->dev, 0);
    if (!blk->starved)
        return;
    /* By way of the loop, not from inside of the disk's own callback. */
    blk->starved = false;
    virtio_kick_again(&blk->dev, 0);
}

static void blk_start(struct virtio_device *dev, unsigned worker)
{
    struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);
    struct error err;

    if (!blk->requests)
        blk->requests = xcalloc(QUEUE_SIZE, sizeof(*blk->requests));
    if (disk_start(blk->disk, dev->workers[worker].loop, on_batch_done, blk, &err) < 0) {
        /* Not started: there is nothing to stop. */
        dev->workers[worker].started = false;
        virtio_device_fail(dev, err.msg);
        return;
    }
    /* What was put there before the doorbell was wired, or while the machine was paused. */
    if (dev->queues[0].ready)
        blk_kick(dev, 0);
}

static void blk_stop(struct virtio_device *dev, unsigned worker)
{
    disk_stop(container_of(dev, struct virtio_blk, dev)->disk);
}

static void blk_free(struct virtio_device *dev)
{
    struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);

    virtio_device_release(dev);
    free(blk->requests);
    free(blk);
}

static const struct virtio_type blk_type = {
    .name = "virtio-blk",
    .id = VIRTIO_ID_BLOCK,
    .queue_size = QUEUE_SIZE,
    .start = blk_start,
    .kick = blk_kick,
    .stop = blk_stop,
    .free = blk_free,
};

struct virtio_device *virtio_blk_new(const char *id, const struct memory *mem, struct disk *disk,
                                     const char *serial, struct error *err)
{
    struct virtio_blk *blk = xcalloc(1, sizeof(*blk));
    struct virtio_blk_config config = {
        .capacity = disk_size(disk) / DISK_SECTOR,
        .seg_max = SEG_MAX,
        .blk_size = (uint32_t)DISK_SECTOR,
    };
    struct virtio_shape shape = {
        .queues = 1,
        .features = VIRTIO_FEATURE(VIRTIO_BLK_F_SEG_MAX) | VIRTIO_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
                    VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH),
    };

    if (disk_readonly(disk))
        shape.features |= VIRTIO_FEATURE(VIRTIO_BLK_F_RO);
    if (virtio_device_init(&blk->dev, &blk_type, id, mem, &shape, err) < 0) {
        free(blk);
        return NULL;
    }
    blk->disk = disk;
    if (serial)
        memcpy(blk->serial, serial, MIN(strlen(serial), sizeof(blk->serial)));
    memcpy(blk->dev.config, &config, MIN(sizeof(config), (size_t)VIRTIO_MAX_CONFIG));
    blk->dev.config_size = offsetof(struct virtio_blk_config, wce);
    return &blk->dev;
}
