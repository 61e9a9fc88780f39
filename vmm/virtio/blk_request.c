/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A block device's requests (virtio 1.2, section 5.2.6): what a chain asks of the disk, and what
 * the driver is told when the disk has done it. A request is a chain: a 16-byte header to read,
 * data one way or the other, and one status byte to write, the very last writable byte. The driver
 * may cut it into buffers anywhere, so header and status are found by offset, not by descriptor.
 */
#include <errno.h>

#include "vmm/virtio/blk_priv.h"

static void on_disk_done(struct disk_request *disk_req, int result);

/* ---- the pool ---- */

struct blk_request *blk_request_get(struct blk_queue *q)
{
    struct blk_request *req = q->pool;

    if (req) {
        q->pool = req->next;
    } else if (q->used_requests < BLK_QUEUE_SIZE) {
        req = &q->requests[q->used_requests++];
        req->queue = q;
        req->disk.done = on_disk_done;
    }
    return req;
}

void blk_request_put(struct blk_request *req)
{
    req->next = req->queue->pool;
    req->queue->pool = req;
}

/* ---- the end of a request ---- */

void blk_request_finish(struct blk_request *req, uint8_t status)
{
    struct blk_queue *q = req->queue;
    uint32_t written = status == VIRTIO_BLK_S_OK ? req->data_written : 0;

    *req->status = status;
    virtq_push(&q->blk->dev.queues[q->index], req->head, written + 1);
    blk_request_put(req);
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
        blk_request_finish(req, VIRTIO_BLK_S_IOERR);
    } else if (req->next_range < req->range_count) {
        submit_range(req);
    } else if (wants_flush(blk, disk_req->op)) {
        submit_flush(req);
    } else {
        blk_request_finish(req, VIRTIO_BLK_S_OK);
    }
}

/* ---- what a request asks for: each fills `req->disk`, or answers a status ---- */

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
    return BLK_TO_SUBMIT;
}

static int check_range(const struct blk_request *req, enum disk_op op,
                       const struct virtio_blk_discard_write_zeroes *range)
{
    uint64_t sectors = disk_size(req->queue->blk->disk) / DISK_SECTOR;
    uint32_t known = op == DISK_DISCARD ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
    uint64_t most = op == DISK_DISCARD ? BLK_MAX_DISCARD_SECTORS : BLK_MAX_ZEROES_SECTORS;

    if (range->flags & ~known)
        return VIRTIO_BLK_S_UNSUPP;
    if (range->num_sectors > most || range->num_sectors > sectors ||
        range->sector > sectors - range->num_sectors)
        return VIRTIO_BLK_S_IOERR;
    return BLK_TO_SUBMIT;
}

/* Discard and zeroes: the data are ranges. All are checked before the first one is touched. */
static int prepare_ranges(struct blk_request *req, enum disk_op op, unsigned feature)
{
    const struct virtq_chain *chain = &req->queue->chain;
    const size_t header = sizeof(struct virtio_blk_outhdr);
    size_t len = chain->readable_len - header;
    int status = BLK_TO_SUBMIT;

    if (!virtio_has_feature(&req->queue->blk->dev, feature))
        return VIRTIO_BLK_S_UNSUPP;
    if (len == 0 || len % sizeof(req->ranges[0]) != 0 || len > sizeof(req->ranges) ||
        disk_readonly(req->queue->blk->disk))
        return VIRTIO_BLK_S_IOERR;
    iov_read(chain->iov, chain->readable, header, req->ranges, len);
    req->range_count = (unsigned)(len / sizeof(req->ranges[0]));
    req->disk.op = op;
    req->disk.length = 0; /* of all ranges together, for the limits; submit_range() sets its own */
    for (unsigned i = 0; i < req->range_count && status == BLK_TO_SUBMIT; i++) {
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
        return BLK_TO_SUBMIT;
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

bool blk_request_read(struct blk_request *req, int *status)
{
    const struct virtq_chain *chain = &req->queue->chain;
    struct virtio_blk_outhdr header;

    if (chain->writable_len == 0 ||
        iov_read(chain->iov, chain->readable, 0, &header, sizeof(header)) < sizeof(header))
        return false;
    req->head = chain->head;
    req->status = last_byte(chain);
    req->data_written = 0;
    req->range_count = 0;
    req->next_range = 0;
    *status = prepare(req, &header);
    return true;
}

void blk_request_submit(struct blk_request *req)
{
    if (req->range_count > 0)
        submit_range(req);
    else if (req->disk.op == DISK_FLUSH)
        submit_flush(req);
    else
        disk_submit(req->queue->disk, &req->disk);
}
