/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The io_uring engine. A request is one entry of the submission ring at a time; a transfer that
 * came back short goes around again with what is left. The ring's own descriptor is readable while
 * there are completions, so it stands in the loop as it is. What the page cache can answer at once
 * is complete when the submission returns, and is given back right there.
 *
 * Plain transfers and flushes go through the ring. Discards and zeroes, transfers that direct I/O
 * does not take as they are, and what the ring refuses to do without waiting go to the pool; and so
 * does what comes after all was canceled, which the pool gives back.
 *
 * A ring lives from start to stop, because the kernel ties it to the thread that made it. No file
 * is registered with it: the kernel lets go of a registered file, and of the image's lock, some
 * time after the process has ended.
 */
#include <errno.h>
#include <liburing.h>

#include "vmm/backend/disk_priv.h"

struct uring {
    struct io_uring ring;
    struct loop_watch watch;
    unsigned in_flight;
};

/*
 * One thread uses the ring, and enters the kernel often enough for completions to wait until it
 * does. They must not wait until they are asked for (IORING_SETUP_DEFER_TASKRUN): that does not
 * make the ring readable for epoll. Older kernels know less of these flags.
 */
static int init_ring(struct io_uring *ring, unsigned entries, struct error *err)
{
    static const unsigned flags[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        0,
    };
    int r = -EINVAL;

    for (size_t i = 0; r == -EINVAL && i < ARRAY_SIZE(flags); i++)
        r = io_uring_queue_init(entries, ring, flags[i]);
    return r < 0 ? error_set_errno(err, -r, "set up io_uring") : 0;
}

int disk_uring_probe(struct error *err)
{
    struct io_uring ring;

    if (init_ring(&ring, 1, err) < 0)
        return -1;
    io_uring_queue_exit(&ring);
    return 0;
}

/* A call on the ring that failed may be made again, or we have broken the rules of the ring. */
static void check_ring_error(const struct disk_queue *queue, int r)
{
    if (r >= 0 || r == -EINTR || r == -EAGAIN || r == -EBUSY || r == -ENOMEM)
        return;
    log_warn("disk `%s`: io_uring: %s", queue->disk->name, strerror(-r));
    abort(); /* buffers that the kernel still writes to cannot be given away */
}

/*
 * What was prepared and the kernel does not take goes to the pool instead. We are the only one who
 * adds to the ring, and the kernel looks at it only in a call, so that what it has not consumed can
 * be taken out again.
 */
static void take_back(struct disk_queue *queue)
{
    struct uring *uring = queue->engine_state;
    struct io_uring_sq *sq = &uring->ring.sq;
    unsigned head = *sq->khead;
    unsigned count = io_uring_sq_ready(&uring->ring);

    for (unsigned i = 0; i < count; i++) {
        const struct io_uring_sqe *sqe = &sq->sqes[(head + i) & sq->ring_mask];

        uring->in_flight--;
        disk_pool_submit(queue, (struct disk_request *)(uintptr_t)sqe->user_data);
    }
    sq->sqe_head = sq->sqe_tail = head;
    io_uring_smp_store_release(sq->ktail, head);
}

/*
 * Hands over what was prepared. What the kernel has no room for now goes when something that it has
 * completes; if it has nothing, nobody would come back to it.
 */
static void hand_over(struct disk_queue *queue)
{
    struct uring *uring = queue->engine_state;

    while (io_uring_sq_ready(&uring->ring) > 0) {
        int r = io_uring_submit(&uring->ring);
        bool has_some = uring->in_flight > io_uring_sq_ready(&uring->ring);

        check_ring_error(queue, r);
        if (r > 0 || r == -EINTR)
            continue;
        if (!has_some)
            take_back(queue);
        return;
    }
}

static struct io_uring_sqe *next_sqe(struct disk_queue *queue)
{
    struct uring *uring = queue->engine_state;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

    if (sqe)
        return sqe;
    /* The ring is as large as what may be in flight, so this is only ever a matter of handing over
     * what was prepared. */
    hand_over(queue);
    return io_uring_get_sqe(&uring->ring);
}

static bool fits_the_ring(const struct disk *disk, const struct disk_request *req)
{
    if (req->op == DISK_FLUSH)
        return true;
    if (req->op != DISK_READ && req->op != DISK_WRITE)
        return false;
    /* An empty buffer in front would look like the end of the file. */
    return req->iov_count > 0 && req->iov->iov_len > 0 && disk_transfer_is_straight(disk, req);
}

static void prep_transfer(struct io_uring_sqe *sqe, int fd, const struct disk_request *req)
{
    uint64_t offset = req->offset + req->progress;
    unsigned count = disk_request_piece(req);
    unsigned len = (unsigned)MIN(req->iov->iov_len, DISK_PIECE);

    if (count == 1 && req->op == DISK_READ)
        io_uring_prep_read(sqe, fd, req->iov->iov_base, len, offset);
    else if (count == 1)
        io_uring_prep_write(sqe, fd, req->iov->iov_base, len, offset);
    else if (req->op == DISK_READ)
        io_uring_prep_readv(sqe, fd, req->iov, count, offset);
    else
        io_uring_prep_writev(sqe, fd, req->iov, count, offset);
}

static void uring_submit(struct disk_queue *queue, struct disk_request *req)
{
    struct uring *uring = queue->engine_state;
    int fd = queue->disk->fd;
    bool fits = !disk_queue_is_canceled(queue) && fits_the_ring(queue->disk, req);
    struct io_uring_sqe *sqe = fits ? next_sqe(queue) : NULL;

    if (!sqe) {
        disk_pool_submit(queue, req);
        return;
    }
    if (req->op == DISK_FLUSH)
        io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
    else
        prep_transfer(sqe, fd, req);
    io_uring_sqe_set_data(sqe, req);
    uring->in_flight++;
}

static void complete(struct disk_queue *queue, struct disk_request *req, int res)
{
    ((struct uring *)queue->engine_state)->in_flight--;
    if (res == -EINTR)
        uring_submit(queue, req);
    else if (res == -EAGAIN)
        disk_pool_submit(queue, req); /* which may wait */
    else if (res < 0 || req->op == DISK_FLUSH)
        disk_request_done(req, res);
    else if (res == 0)
        disk_request_done(req, -EIO); /* somebody made the file shorter */
    else if (disk_request_advance(req, (uint64_t)res))
        uring_submit(queue, req);
    else
        disk_request_done(req, req->progress == req->length ? 0 : -EINVAL);
}

/* Gives back everything that is complete. */
static void reap(struct disk_queue *queue)
{
    struct uring *uring = queue->engine_state;
    struct io_uring_cqe *cqe;
    bool any = false;

    while (io_uring_peek_cqe(&uring->ring, &cqe) == 0) {
        struct disk_request *req = io_uring_cqe_get_data(cqe);
        int res = cqe->res;

        io_uring_cqe_seen(&uring->ring, cqe);
        complete(queue, req, res);
        any = true;
    }
    hand_over(queue); /* what went around again, or found no room before */
    disk_pool_commit(queue);
    if (any)
        disk_batch_end(queue);
}

static void on_ring_ready(void *opaque, uint32_t events)
{
    (void)events;
    reap(opaque);
}

static int uring_start(struct disk_queue *queue, struct error *err)
{
    struct uring *uring = xcalloc(1, sizeof(*uring));

    if (init_ring(&uring->ring, DISK_MAX_IN_FLIGHT, err) < 0) {
        free(uring);
        return -1;
    }
    if (loop_add(queue->loop, &uring->watch, uring->ring.ring_fd, EPOLLIN, on_ring_ready, queue,
                 err) < 0) {
        io_uring_queue_exit(&uring->ring);
        free(uring);
        return -1;
    }
    /* Saves a look at the descriptor with each call; where the kernel knows that. */
    (void)io_uring_register_ring_fd(&uring->ring);
    queue->engine_state = uring;
    return 0;
}

static void uring_stop(struct disk_queue *queue)
{
    struct uring *uring = queue->engine_state;

    loop_remove(queue->loop, &uring->watch);
    io_uring_queue_exit(&uring->ring);
    free(uring);
    queue->engine_state = NULL;
}

static void uring_commit(struct disk_queue *queue)
{
    hand_over(queue);
    reap(queue); /* the pool's too */
}

static void uring_drain(struct disk_queue *queue)
{
    struct uring *uring = queue->engine_state;

    while (uring->in_flight > 0) {
        struct io_uring_cqe *cqe;

        hand_over(queue);
        if (uring->in_flight == 0)
            break; /* the pool has it all */
        check_ring_error(queue, io_uring_wait_cqe(&uring->ring, &cqe));
        reap(queue);
    }
}

const struct disk_engine disk_engine_uring = {
    .name = "io_uring",
    .start = uring_start,
    .stop = uring_stop,
    .submit = uring_submit,
    .commit = uring_commit,
    .drain = uring_drain,
};
