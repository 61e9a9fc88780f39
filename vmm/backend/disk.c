/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/backend/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "vmm/backend/disk_priv.h"

/* The engines in the order in which they are tried; the last one works everywhere. */
static const struct disk_engine *const engines[] = {
    &disk_engine_uring,
    &disk_engine_sync,
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
    if (disk->engine)
        disk->engine->close(disk);
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

/* ---- serving ---- */

static int pick_engine(struct disk *disk, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(engines) && !disk->engine; i++) {
        if (engines[i]->open(disk, err) == 0)
            disk->engine = engines[i];
    }
    return disk->engine ? 0 : -1;
}

int disk_start(struct disk *disk, struct loop *loop, void (*batch_done)(void *opaque), void *opaque,
               struct error *err)
{
    /* Found out once, when a driver first wants the disk: not on the machine's start path. */
    if (!disk->engine && pick_engine(disk, err) < 0)
        return -1;
    disk->batch_done = batch_done;
    disk->opaque = opaque;
    return disk->engine->start(disk, loop, err);
}

bool disk_request_advance(struct disk_request *req, size_t len)
{
    req->offset += len;
    while (req->iov_count > 0 && len >= req->iov->iov_len) {
        len -= req->iov->iov_len;
        req->iov++;
        req->iov_count--;
    }
    if (req->iov_count == 0)
        return false;
    req->iov->iov_base = (uint8_t *)req->iov->iov_base + len;
    req->iov->iov_len -= len;
    return true;
}
