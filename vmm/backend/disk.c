/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/backend/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

struct disk {
    int fd;
    uint64_t size;
    bool readonly;
};

/*
 * Open file description locks: they belong to this open file, so they work between processes and
 * follow an inherited descriptor. Readers share, a writer is alone.
 */
static int lock_image(int fd, bool readonly, const char *source, struct error *err)
{
    struct flock lock = {
        .l_type = readonly ? F_RDLCK : F_WRLCK,
        .l_whence = SEEK_SET,
    };

    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return error_set(err, "disk `%s` is in use by another process", source);
    return error_set_errno(err, errno, "lock disk `%s`", source);
}

static int look_at_image(int fd, bool readonly, const char *source, uint64_t *size,
                         struct error *err)
{
    struct stat st;
    int mode;
    off_t end;

    if (fstat(fd, &st) < 0)
        return error_set_errno(err, errno, "look at disk `%s`", source);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return error_set(err, "disk `%s` is neither a file nor a block device", source);
    /* An inherited descriptor may be open for less than we want. */
    mode = fcntl(fd, F_GETFL) & O_ACCMODE;
    if (mode == O_WRONLY || (!readonly && mode != O_RDWR))
        return error_set(err, "disk `%s` is not open for %s", source,
                         readonly ? "reading" : "reading and writing");
    end = lseek(fd, 0, SEEK_END);
    if (end < 0)
        return error_set_errno(err, errno, "find the size of disk `%s`", source);
    if ((uint64_t)end < DISK_SECTOR)
        return error_set(err, "disk `%s` is empty", source);
    *size = ALIGN_DOWN((uint64_t)end, DISK_SECTOR);
    return 0;
}

struct disk *disk_open(const char *source, bool readonly, struct error *err)
{
    cleanup_close int fd = open_path_or_fd(source, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC, err);
    struct disk *disk;
    uint64_t size = 0;

    if (fd < 0) {
        error_prefix(err, "disk");
        return NULL;
    }
    if (look_at_image(fd, readonly, source, &size, err) < 0 ||
        lock_image(fd, readonly, source, err) < 0)
        return NULL;

    disk = xcalloc(1, sizeof(*disk));
    *disk = (struct disk){.fd = steal_fd(&fd), .size = size, .readonly = readonly};
    return disk;
}

void disk_close(struct disk *disk)
{
    if (!disk)
        return;
    close(disk->fd);
    free(disk);
}

uint64_t disk_size(const struct disk *disk)
{
    return disk->size;
}

bool disk_readonly(const struct disk *disk)
{
    return disk->readonly;
}

static ssize_t transfer(const struct disk *disk, enum disk_op op, struct iovec *iov, unsigned count,
                        uint64_t offset)
{
    int n = (int)MIN(count, (unsigned)IOV_MAX);

    return op == DISK_READ ? preadv(disk->fd, iov, n, (off_t)offset)
                           : pwritev(disk->fd, iov, n, (off_t)offset);
}

/* Drops the first `len` bytes of an iov. */
static void advance(struct iovec **iov, unsigned *count, size_t len)
{
    while (*count > 0 && len >= (*iov)->iov_len) {
        len -= (*iov)->iov_len;
        (*iov)++;
        (*count)--;
    }
    if (*count > 0) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + len;
        (*iov)->iov_len -= len;
    }
}

static int transfer_all(const struct disk *disk, struct disk_request *req)
{
    struct iovec *iov = req->iov;
    unsigned count = req->iov_count;
    uint64_t offset = req->offset;

    advance(&iov, &count, 0); /* empty buffers in front */
    while (count > 0) {
        ssize_t n = transfer(disk, req->op, iov, count, offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO; /* somebody made the file shorter */
        offset += (uint64_t)n;
        advance(&iov, &count, (size_t)n);
    }
    return 0;
}

void disk_submit(struct disk *disk, struct disk_request *req)
{
    int result;

    if (req->op == DISK_FLUSH)
        result = fdatasync(disk->fd) < 0 ? -errno : 0;
    else
        result = transfer_all(disk, req);
    req->done(req, result);
}
