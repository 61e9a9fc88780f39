/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk image: a raw file or a block device. It has never heard of virtio: requests carry host
 * buffers and a callback.
 *
 * A disk is shared by its queues. Each queue belongs to the thread of the loop that it is started
 * with: submitting, completing and stopping happen there, and one queue knows nothing of another. A
 * queue gets its requests done through io_uring, and what io_uring cannot do without waiting is
 * left to the disk's pool of threads; where the host has no io_uring, the pool does all of it.
 */
#ifndef VOLE_BACKEND_DISK_H
#define VOLE_BACKEND_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/config.h"
#include "vmm/loop.h"
#include "vmm/util.h"

#define DISK_SECTOR        UINT64_C(512)
#define DISK_MAX_IN_FLIGHT 256 /* of a queue */

struct disk;
struct disk_queue;

enum disk_op {
    DISK_READ,
    DISK_WRITE,
    DISK_FLUSH,        /* all writes that were done are on stable storage; once it has failed,
                          it fails for good, unless the disk is direct */
    DISK_DISCARD,      /* the content does not matter any more; a hint */
    DISK_WRITE_ZEROES, /* the content is zeroes */
    DISK_OPS,
};

/* The submitter's until it is submitted, the disk's until `done`. */
struct disk_request {
    enum disk_op op;
    bool unmap;        /* DISK_WRITE_ZEROES: the range need not keep its space */
    uint64_t offset;   /* bytes; the range stays inside of the disk, the caller
                          checks that */
    uint64_t length;   /* bytes: of a transfer, what all its buffers have; of a
                          flush, 0 */
    struct iovec *iov; /* of a transfer; changed by the disk */
    unsigned iov_count;
    /* 0, or a negative errno. A transfer is whole or an error; after a cancel it may be -ECANCELED,
     * and the request says what is left of it to do. In the loop's thread, never from inside
     * disk_submit(). */
    void (*done)(struct disk_request *req, int result);

    /* The disk's own. */
    struct disk_queue *queue;
    struct disk_request *next;
    uint64_t progress; /* bytes of a transfer, or of zeroes, that are done */
    uint64_t start_ns;
    int result;
};

struct disk_options {
    const char *source; /* a path or "fd:N" */
    bool readonly;
    bool direct;  /* O_DIRECT: past the host's page cache */
    bool discard; /* give space back where the guest does not need it */
    enum disk_engine_kind engine;
};

/* A writable image is locked against a second writer, and a reader's against any writer, for as
 * long as it is open. NULL with `err` set. */
struct disk *disk_open(const struct disk_options *options, struct error *err);
/* All queues are stopped and freed. NULL is harmless. */
void disk_close(struct disk *disk);

/* What a driver should know to use the disk well. Bytes, powers of two unless 0. */
struct disk_geometry {
    uint32_t logical_block;  /* of a block device; a file has DISK_SECTOR */
    uint32_t physical_block; /* smaller or unaligned writes are slow */
    uint32_t optimal_io;     /* 0: no preference; not always a power of two */
};

uint64_t disk_size(const struct disk *disk); /* bytes, whole blocks; from any thread */
bool disk_readonly(const struct disk *disk);
bool disk_discards(const struct disk *disk);
const struct disk_geometry *disk_geometry(const struct disk *disk);
/* How requests are carried out, in words: "io_uring", "threads", or "" before a first start. */
const char *disk_engine_name(struct disk *disk);

/*
 * Makes a file larger: `size` is whole blocks. Of a block device that somebody else made larger or
 * smaller, the size is only looked up, and `size` must not be more than that. One thread at a time,
 * queues may be at work. 0, or -1 with `err` set and nothing changed.
 */
int disk_resize(struct disk *disk, uint64_t size, struct error *err);

/* ---- what a disk has done; from any thread ---- */

struct disk_op_stats {
    uint64_t operations; /* that were done */
    uint64_t failed;
    uint64_t bytes;
    uint64_t total_time_ns; /* from submit to done, of all together */
};

struct disk_stats {
    struct disk_op_stats op[DISK_OPS];
    uint64_t write_highest_offset; /* the end of the farthest write */
    uint64_t in_flight;
};

/* The sum over all queues that the disk has now. */
void disk_get_stats(struct disk *disk, struct disk_stats *stats);

/* ---- queues ---- */

struct disk_queue *disk_queue_new(struct disk *disk);
/* The queue is stopped. What it counted stays with the disk. NULL is harmless. */
void disk_queue_free(struct disk_queue *queue);

/*
 * Begins to serve in the loop's thread, which makes the call. `batch_done(opaque)` is called after
 * one or more `done`, when no more of them follow at once. 0, or -1 with `err` set.
 */
int disk_queue_start(struct disk_queue *queue, struct loop *loop, void (*batch_done)(void *opaque),
                     void *opaque, struct error *err);
/* What is not done ends as soon as it can, with -ECANCELED; submitted again, after the next start,
 * it goes on where it was. So a stop need not wait for more than a few calls to the host. In the
 * loop's thread. Harmless on a queue that is stopped. */
void disk_queue_cancel(struct disk_queue *queue);
/* Returns when everything that was submitted to this queue is done. Not from inside a `done`.
 * Harmless on a queue that is stopped. */
void disk_queue_stop(struct disk_queue *queue);
/* At most DISK_MAX_IN_FLIGHT at a time. */
void disk_submit(struct disk_queue *queue, struct disk_request *req);
/* After a batch of disk_submit(), unless that was inside of a `done`: hands it to the host. */
void disk_commit(struct disk_queue *queue);

#endif
