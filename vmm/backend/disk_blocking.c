/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests done by calls that wait; the threads of the pool come here. All that is not a plain
 * transfer ends here with every engine: transfers that direct I/O does not take as they are, which
 * go through an aligned buffer; and ranges to discard or to zero, of which a file system or device
 * may do less than we ask, so that in the end zeroes are written.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "vmm/backend/disk_priv.h"

#define BOUNCE_SIZE (1 * MiB)
#define ZERO_PIECE  (64 * KiB)
#define ZERO_PIECES 16

/* ---- transfers, as they are ---- */

static uint64_t left_of(const struct disk_request *req)
{
    return req->length - req->progress;
}

/* Between two calls that may take their time. The pieces that we make ourselves have no queue. */
static bool is_canceled(const struct disk_request *req)
{
    return req->queue && disk_queue_is_canceled(req->queue);
}

bool disk_transfer_is_straight(const struct disk *disk, const struct disk_request *req)
{
    if (!disk->direct)
        return true;
    if ((req->offset + req->progress) % disk->alignment != 0 || left_of(req) % disk->alignment != 0)
        return false;
    for (unsigned i = 0; i < req->iov_count; i++)
        if ((uintptr_t)req->iov[i].iov_base % disk->mem_alignment != 0 ||
            req->iov[i].iov_len % disk->alignment != 0)
            return false;
    return true;
}

static int transfer_straight(const struct disk *disk, struct disk_request *req)
{
    int count = (int)disk_request_piece(req);
    off_t offset = (off_t)(req->offset + req->progress);
    struct iovec part = {req->iov->iov_base, MIN(req->iov->iov_len, DISK_PIECE)};
    const struct iovec *iov = count == 1 ? &part : req->iov;
    ssize_t n;

    do
        n = req->op == DISK_READ ? preadv(disk->fd, iov, count, offset)
                                 : pwritev(disk->fd, iov, count, offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == 0)
        return -EIO; /* somebody made the file shorter */
    disk_request_advance(req, (uint64_t)n);
    return 0;
}

/* ---- transfers, through an aligned buffer ---- */

static int pwrite_full(int fd, const uint8_t *buf, size_t len, uint64_t offset)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, buf, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        buf += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

/* A part of the image in whole blocks, and what the request wants of it. */
struct window {
    uint8_t *buf;
    uint64_t start; /* bytes, of the image */
    uint64_t len;
    uint64_t skip; /* from the start to the first byte that is wanted */
    uint64_t want;
};

static struct window next_window(const struct disk *disk, const struct disk_request *req,
                                 uint8_t *buf)
{
    uint64_t at = req->offset + req->progress;
    struct window w = {.buf = buf, .start = ALIGN_DOWN(at, disk->alignment)};

    w.skip = at - w.start;
    w.len = MIN(ALIGN_UP(w.skip + left_of(req), disk->alignment), BOUNCE_SIZE);
    w.want = MIN(w.len - w.skip, left_of(req));
    return w;
}

/* Between the request's buffers and the window. */
static void copy(struct disk_request *req, const struct window *w)
{
    uint8_t *p = w->buf + w->skip;
    uint64_t left = w->want;

    for (unsigned i = 0; left > 0 && i < req->iov_count; i++) {
        size_t n = MIN(req->iov[i].iov_len, left);

        if (req->op == DISK_READ)
            memcpy(req->iov[i].iov_base, p, n);
        else
            memcpy(p, req->iov[i].iov_base, n);
        p += n;
        left -= n;
    }
    disk_request_advance(req, w->want);
}

static int read_window(const struct disk *disk, const struct window *w)
{
    int r = pread_full(disk->fd, w->buf, w->len, w->start);

    return r == -ENODATA ? -EIO : r;
}

/*
 * A window that is not wholly wanted keeps the rest of its blocks. Only another one like it can
 * change that rest meanwhile: what is written as it is has whole blocks, and would be at odds with
 * this very request.
 */
static int write_window(struct disk *disk, struct disk_request *req, const struct window *w)
{
    bool partial = w->want != w->len;
    int r = 0;

    if (partial) {
        pthread_mutex_lock(&disk->rmw_lock);
        r = read_window(disk, w);
    }
    if (r == 0) {
        copy(req, w);
        r = pwrite_full(disk->fd, w->buf, w->len, w->start);
    }
    if (partial)
        pthread_mutex_unlock(&disk->rmw_lock);
    return r;
}

static int transfer_bounced(struct disk *disk, struct disk_request *req)
{
    size_t size = MIN(ALIGN_UP(left_of(req), disk->alignment) + disk->alignment, BOUNCE_SIZE);
    size_t alignment = MAX(MAX(disk->alignment, disk->mem_alignment), 4096u);
    cleanup_free void *buf = NULL;
    int r = 0;

    if (posix_memalign(&buf, alignment, size) != 0)
        return -ENOMEM;
    while (r == 0 && left_of(req) > 0 && !is_canceled(req)) {
        struct window w = next_window(disk, req, buf);

        if (req->op == DISK_WRITE) {
            r = write_window(disk, req, &w);
        } else {
            r = read_window(disk, &w);
            if (r == 0)
                copy(req, &w);
        }
    }
    return r;
}

static int transfer(struct disk *disk, struct disk_request *req)
{
    int r = 0;

    disk_request_advance(req, 0); /* empty buffers in front would look like the file's end */
    while (r == 0 && left_of(req) > 0) {
        if (req->iov_count == 0)
            return -EINVAL; /* the buffers have less than the length says */
        if (is_canceled(req))
            return -ECANCELED;
        r = disk_transfer_is_straight(disk, req) ? transfer_straight(disk, req)
                                                 : transfer_bounced(disk, req);
    }
    return r;
}

/* ---- discard and zeroes ---- */

/* What a file system or a device answers that cannot do it here, or not in this way. */
static bool is_refusal(int r)
{
    return r == -EOPNOTSUPP || r == -ENOSYS || r == -ENOTTY || r == -EINVAL || r == -ENODEV;
}

static int allocate(struct disk *disk, int mode, const struct disk_request *req)
{
    /* Such a range ends in a block of which write_window() may have read another part. */
    bool partial = disk->direct && (req->offset | req->length) % disk->alignment != 0;
    int r;

    if (partial)
        pthread_mutex_lock(&disk->rmw_lock);
    do
        r = fallocate(disk->fd, mode, (off_t)req->offset, (off_t)req->length) < 0 ? -errno : 0;
    while (r == -EINTR);
    if (partial)
        pthread_mutex_unlock(&disk->rmw_lock);
    return r;
}

static int device_range(const struct disk *disk, unsigned long request, uint64_t start,
                        uint64_t len)
{
    uint64_t range[2] = {start, len};
    int r;

    do
        r = ioctl(disk->fd, request, range);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/* A hint: what cannot be done is not done. */
static int discard(struct disk *disk, const struct disk_request *req)
{
    uint64_t start = ALIGN_UP(req->offset, disk->geometry.logical_block);
    uint64_t end = ALIGN_DOWN(req->offset + req->length, disk->geometry.logical_block);
    int r;

    if (!disk->discard || start >= end)
        return 0;
    if (disk->is_device)
        r = device_range(disk, BLKDISCARD, start, end - start);
    else
        r = allocate(disk, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, req);
    return is_refusal(r) ? 0 : r;
}

/* In pieces, so that a large range takes no memory. */
static int write_zeroes_by_hand(struct disk *disk, struct disk_request *req)
{
    static uint8_t zeroes[ZERO_PIECE] __attribute__((aligned(4096))); /* never written */

    while (left_of(req) > 0) {
        struct iovec iov[ZERO_PIECES];
        struct disk_request piece = {
            .op = DISK_WRITE, .offset = req->offset + req->progress, .iov = iov};
        int r;

        if (is_canceled(req))
            return -ECANCELED;
        while (piece.iov_count < ZERO_PIECES && piece.length < left_of(req)) {
            size_t n = MIN(left_of(req) - piece.length, ZERO_PIECE);

            iov[piece.iov_count++] = (struct iovec){zeroes, n};
            piece.length += n;
        }
        r = transfer(disk, &piece);
        if (r < 0)
            return r;
        req->progress += piece.progress;
    }
    return 0;
}

static int write_zeroes(struct disk *disk, struct disk_request *req)
{
    int r = -EOPNOTSUPP;

    /* A hole reads as zeroes, of a file and of a device that takes it. */
    if (req->unmap && disk->discard)
        r = allocate(disk, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, req);
    if (is_refusal(r))
        r = disk->is_device ? device_range(disk, BLKZEROOUT, req->offset, req->length)
                            : allocate(disk, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, req);
    return is_refusal(r) ? write_zeroes_by_hand(disk, req) : r;
}

/* ---- all of them ---- */

int disk_do_blocking(struct disk *disk, struct disk_request *req)
{
    if (is_canceled(req))
        return -ECANCELED;
    switch (req->op) {
    case DISK_READ:
    case DISK_WRITE:
        return transfer(disk, req);
    case DISK_FLUSH:
        return fdatasync(disk->fd) < 0 ? -errno : 0;
    case DISK_DISCARD:
        return req->length > 0 ? discard(disk, req) : 0;
    case DISK_WRITE_ZEROES:
        return req->length > 0 ? write_zeroes(disk, req) : 0;
    default:
        return -EINVAL;
    }
}
