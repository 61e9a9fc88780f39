/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engine for hosts without io_uring: each request is done when it is submitted. */
#include <errno.h>
#include <limits.h>

#include "vmm/backend/disk_priv.h"

static int sync_open(struct disk *disk, struct error *err)
{
    (void)disk;
    (void)err;
    return 0;
}

static void sync_close(struct disk *disk)
{
    (void)disk;
}

static int sync_start(struct disk *disk, struct loop *loop, struct error *err)
{
    (void)disk;
    (void)loop;
    (void)err;
    return 0;
}

static void sync_stop(struct disk *disk)
{
    (void)disk;
}

static ssize_t transfer(const struct disk *disk, const struct disk_request *req)
{
    int n = (int)MIN(req->iov_count, (unsigned)IOV_MAX);

    return req->op == DISK_READ ? preadv(disk->fd, req->iov, n, (off_t)req->offset)
                                : pwritev(disk->fd, req->iov, n, (off_t)req->offset);
}

static int transfer_all(const struct disk *disk, struct disk_request *req)
{
    bool more = disk_request_advance(req, 0); /* empty buffers in front */

    while (more) {
        ssize_t n = transfer(disk, req);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO; /* somebody made the file shorter */
        more = disk_request_advance(req, (size_t)n);
    }
    return 0;
}

static void sync_submit(struct disk *disk, struct disk_request *req)
{
    int result;

    if (req->op == DISK_FLUSH)
        result = fdatasync(disk->fd) < 0 ? -errno : 0;
    else
        result = transfer_all(disk, req);
    req->done(req, result);
}

static void sync_commit(struct disk *disk)
{
    disk->batch_done(disk->opaque);
}

const struct disk_engine disk_engine_sync = {
    .name = "sync",
    .open = sync_open,
    .close = sync_close,
    .start = sync_start,
    .stop = sync_stop,
    .submit = sync_submit,
    .commit = sync_commit,
};
