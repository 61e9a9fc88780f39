/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk image: a raw file or a block device. It has never heard of virtio: requests carry host
 * buffers and a callback.
 *
 * Requests are asynchronous. All calls between disk_start() and disk_stop() are made by the thread
 * that runs the loop given to disk_start(), and all callbacks come from there: some from inside
 * disk_commit() or disk_submit(), the rest from the loop.
 */
#ifndef VOLE_BACKEND_DISK_H
#define VOLE_BACKEND_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/loop.h"
#include "vmm/util.h"

#define DISK_SECTOR UINT64_C(512)

struct disk;
struct disk_engine;

enum disk_op {
    DISK_READ,
    DISK_WRITE,
    DISK_FLUSH, /* all writes that were done are on stable storage */
};

/* The submitter's until it is submitted, the disk's until `done`. */
struct disk_request {
    enum disk_op op;
    uint64_t offset;   /* bytes; a transfer stays inside of the disk, the caller checks that */
    struct iovec *iov; /* changed by the disk */
    unsigned iov_count;
    /* 0, or a negative errno. A transfer is whole or an error. */
    void (*done)(struct disk_request *req, int result);
};

/* `source` is a path or "fd:N". A writable image is locked against a second writer, and a reader's
 * against any writer, for as long as it is open. NULL with `err` set. */
struct disk *disk_open(const char *source, bool readonly, struct error *err);
void disk_close(struct disk *disk);

uint64_t disk_size(const struct disk *disk); /* bytes */
bool disk_readonly(const struct disk *disk);

/*
 * Begins to serve. `batch_done(opaque)` is called after one or more `done`, when no more of them
 * follow at once. Picks io_uring where the host has it, and otherwise does each request in the
 * calling thread. 0, or -1 with `err` set.
 */
int disk_start(struct disk *disk, struct loop *loop, void (*batch_done)(void *opaque), void *opaque,
               struct error *err);
/* Returns when everything that was submitted is done. */
static inline void disk_stop(struct disk *disk);
/* At most DISK_MAX_IN_FLIGHT at a time. */
static inline void disk_submit(struct disk *disk, struct disk_request *req);
/* After a batch of disk_submit(): hands it to the host. */
static inline void disk_commit(struct disk *disk);

#define DISK_MAX_IN_FLIGHT 256

/* ---- for disk*.c, and so that the calls above lead straight into the engine ---- */

/* A way to get requests done. All calls come from the thread of the loop given to start(). */
struct disk_engine {
    const char *name;
    int (*open)(struct disk *disk, struct error *err); /* -1: the host does not have it */
    void (*close)(struct disk *disk);
    int (*start)(struct disk *disk, struct loop *loop, struct error *err);
    void (*stop)(struct disk *disk); /* waits for what is in flight */
    void (*submit)(struct disk *disk, struct disk_request *req);
    void (*commit)(struct disk *disk);
};

struct disk {
    int fd;
    uint64_t size; /* bytes */
    bool readonly;

    const struct disk_engine *engine; /* NULL until the disk is first started */
    void *engine_state;
    void (*batch_done)(void *opaque);
    void *opaque;
};

static inline void disk_stop(struct disk *disk)
{
    disk->engine->stop(disk);
}

static inline void disk_submit(struct disk *disk, struct disk_request *req)
{
    disk->engine->submit(disk, req);
}

static inline void disk_commit(struct disk *disk)
{
    disk->engine->commit(disk);
}

#endif
