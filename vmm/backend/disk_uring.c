/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The io_uring engine. A request is one entry of the submission ring at a time; a transfer that
 * came back short goes around again with what is left. The ring's own descriptor is readable while
 * there are completions, so it stands in the loop as it is. What the page cache can answer at once
 * is complete when the submission returns, and is given back right there.
 */
#include <errno.h>
#include <liburing.h>
#include <limits.h>

#include "vmm/backend/disk_priv.h"

struct uring {
    struct io_uring ring;
    struct loop *loop;
    struct loop_watch watch;
    unsigned in_flight;
};

static int uring_open(struct disk *disk, struct error *err)
{
    struct uring *uring = xcalloc(1, sizeof(*uring));
    int r = io_uring_queue_init(DISK_MAX_IN_FLIGHT, &uring->ring, 0);

    if (r < 0) {
        free(uring);
        return error_set_errno(err, -r, "set up io_uring");
    }
    uring->watch.fd = -1;
    disk->engine_state = uring;
    return 0;
}

static void uring_close(struct disk *disk)
{
    struct uring *uring = disk->engine_state;

    io_uring_queue_exit(&uring->ring);
    free(uring);
}

/*
 * Hands over what was prepared. What the kernel has no room for now goes when something that it has
 * completes; so it has to have something, and until it does we insist.
 */
static void hand_over(struct uring *uring)
{
    while (io_uring_sq_ready(&uring->ring) > 0) {
        int r = io_uring_submit(&uring->ring);
        bool has_some = uring->in_flight > io_uring_sq_ready(&uring->ring);

        if (r <= 0 && r != -EINTR && has_some)
            return;
    }
}

static struct io_uring_sqe *next_sqe(struct uring *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

    if (sqe)
        return sqe;
    /* The ring is as large as what may be in flight, so this is only ever a matter of handing over
     * what was prepared. */
    hand_over(uring);
    return io_uring_get_sqe(&uring->ring);
}

static void prepare(struct disk *disk, struct disk_request *req)
{
    struct uring *uring = disk->engine_state;
    struct io_uring_sqe *sqe = next_sqe(uring);
    unsigned n = MIN(req->iov_count, (unsigned)IOV_MAX);

    if (!sqe) {
        req->done(req, -EAGAIN);
        return;
    }
    switch (req->op) {
    case DISK_READ:
        io_uring_prep_readv(sqe, disk->fd, req->iov, n, req->offset);
        break;
    case DISK_WRITE:
        io_uring_prep_writev(sqe, disk->fd, req->iov, n, req->offset);
        break;
    case DISK_FLUSH:
        io_uring_prep_fsync(sqe, disk->fd, IORING_FSYNC_DATASYNC);
        break;
    }
    io_uring_sqe_set_data(sqe, req);
    uring->in_flight++;
}

static void complete(struct disk *disk, struct disk_request *req, int res)
{
    ((struct uring *)disk->engine_state)->in_flight--;
    if (res == -EINTR || res == -EAGAIN) {
        prepare(disk, req);
    } else if (res < 0 || req->op == DISK_FLUSH) {
        req->done(req, res);
    } else if (res == 0) {
        req->done(req, -EIO); /* somebody made the file shorter */
    } else if (disk_request_advance(req, (size_t)res)) {
        prepare(disk, req);
    } else {
        req->done(req, 0);
    }
}

/* Gives back everything that is complete. */
static void reap(struct disk *disk)
{
    struct uring *uring = disk->engine_state;
    struct io_uring_cqe *cqe;
    bool any = false;

    while (io_uring_peek_cqe(&uring->ring, &cqe) == 0) {
        struct disk_request *req = io_uring_cqe_get_data(cqe);
        int res = cqe->res;

        io_uring_cqe_seen(&uring->ring, cqe);
        complete(disk, req, res);
        any = true;
    }
    hand_over(uring); /* what went around again, or found no room before */
    if (any)
        disk->batch_done(disk->opaque);
}

static void on_ring_ready(void *opaque, uint32_t events)
{
    (void)events;
    reap(opaque);
}

static int uring_start(struct disk *disk, struct loop *loop, struct error *err)
{
    struct uring *uring = disk->engine_state;

    uring->loop = loop;
    return loop_add(loop, &uring->watch, uring->ring.ring_fd, EPOLLIN, on_ring_ready, disk, err);
}

static void uring_stop(struct disk *disk)
{
    struct uring *uring = disk->engine_state;

    /* Whatever happens, buffers that the kernel still writes to are not given away. */
    while (uring->in_flight > 0) {
        struct io_uring_cqe *cqe;

        hand_over(uring);
        (void)io_uring_wait_cqe(&uring->ring, &cqe);
        reap(disk);
    }
    loop_remove(uring->loop, &uring->watch);
}

static void uring_submit(struct disk *disk, struct disk_request *req)
{
    /* Empty buffers in front would look like the end of the file. */
    if (req->op != DISK_FLUSH && !disk_request_advance(req, 0))
        req->done(req, 0);
    else
        prepare(disk, req);
}

static void uring_commit(struct disk *disk)
{
    hand_over(disk->engine_state);
    reap(disk);
}

const struct disk_engine disk_engine_uring = {
    .name = "io_uring",
    .open = uring_open,
    .close = uring_close,
    .start = uring_start,
    .stop = uring_stop,
    .submit = uring_submit,
    .commit = uring_commit,
};
