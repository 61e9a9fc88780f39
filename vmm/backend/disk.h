/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk image: a raw file or a block device. It has never heard of virtio: requests carry host
 * buffers and a callback.
 *
 * A request is finished inside disk_submit(), in the caller's thread, which is why a device that
 * uses a disk has a thread of its own.
 */
#ifndef VOLE_BACKEND_DISK_H
#define VOLE_BACKEND_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/util.h"

#define DISK_SECTOR UINT64_C(512)

struct disk;

enum disk_op {
    DISK_READ,
    DISK_WRITE,
    DISK_FLUSH, /* all writes that were done are on stable storage */
};

struct disk_request {
    enum disk_op op;
    uint64_t offset;   /* bytes */
    struct iovec *iov; /* may be changed */
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

/* Never beyond the disk's end: the caller checks, and a read of what the file lost meanwhile
 * fails. */
void disk_submit(struct disk *disk, struct disk_request *req);

#endif
