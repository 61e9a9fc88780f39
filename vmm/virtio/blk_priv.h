/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the block device's files share: blk_request.c knows what a request is and how it ends, blk.c
 * when one may begin. */
#ifndef VOLE_VIRTIO_BLK_PRIV_H
#define VOLE_VIRTIO_BLK_PRIV_H

#include <linux/virtio_blk.h>

#include "vmm/backend/disk.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/devices.h"

#define BLK_QUEUE_SIZE 256
#define BLK_SEG_MAX    126 /* with header and status half of what a chain may have */
#define BLK_MAX_RANGES 16  /* of a discard */

/* What one range may have: a hole is quickly made, but zeroes may have to be written. */
#define BLK_MAX_DISCARD_SECTORS (1 * GiB / DISK_SECTOR)
#define BLK_MAX_ZEROES_SECTORS  (64 * MiB / DISK_SECTOR)

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
        struct iovec data[BLK_SEG_MAX + 2]; /* header and status may share buffers with data */
        struct virtio_blk_discard_write_zeroes ranges[BLK_MAX_RANGES];
    };
};

/* Its worker's alone. */
struct blk_queue {
    struct virtio_blk *blk;
    unsigned index;
    struct disk_queue *disk;
    struct blk_request *requests; /* BLK_QUEUE_SIZE of them, made when a driver first comes */
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
_Static_assert(BLK_QUEUE_SIZE <= DISK_MAX_IN_FLIGHT, "a full queue goes to the disk at once");

static inline struct virtio_blk *to_blk(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_blk, dev);
}

/* All of it in the queue's worker. */

/* From the queue's pool, NULL when all are under way; and back into it. */
struct blk_request *blk_request_get(struct blk_queue *q);
void blk_request_put(struct blk_request *req);

/* What the chain q->chain asks for: BLK_TO_SUBMIT with `req->disk` filled, or a status to finish it
 * with. False: there is no room for header or status, which breaks a rule. */
#define BLK_TO_SUBMIT (-1)
bool blk_request_read(struct blk_request *req, int *status);
/* From now on the disk's, until it is finished or parked. */
void blk_request_submit(struct blk_request *req);
/* Gives the chain back to the driver, and the request to the pool. */
void blk_request_finish(struct blk_request *req, uint8_t status);

#endif
