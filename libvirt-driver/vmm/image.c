/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "libvirt-driver/util.h"

/*
 * QEMU's image locking. What a user of an image does to it is a set of permissions, and what it
 * cannot bear others to do is a set too. For each permission p that is used, byte USED + p is
 * locked for reading; for each that is forbidden to others, byte FORBIDDEN + p. Read locks never
 * clash: having taken its own, a user looks whether anybody holds a lock that contradicts them.
 */
#define LOCK_USED      100
#define LOCK_FORBIDDEN 200

enum permission { PERMISSION_READ = 0, PERMISSION_WRITE = 1, PERMISSION_RESIZE = 3 };
#define PERMISSIONS 4
#define BIT(p)      (1u << (p))

static struct flock byte_lock(short type, off_t at)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
}

static int lock_byte(int fd, off_t at)
{
    struct flock lock = byte_lock(F_RDLCK, at);

    return fcntl(fd, F_OFD_SETLK, &lock);
}

/* 1 when somebody else holds a lock there. */
static int byte_is_locked(int fd, off_t at)
{
    struct flock lock = byte_lock(F_WRLCK, at);

    if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
        return -1;
    return lock.l_type != F_UNLCK;
}

/* 0, 1 when somebody else uses the image in a way that does not go together, or -1 with errno. */
static int lock_image(int fd, unsigned used, unsigned forbidden)
{
    for (int p = 0; p < PERMISSIONS; p++) {
        if (((used & BIT(p)) && lock_byte(fd, LOCK_USED + p) < 0) ||
            ((forbidden & BIT(p)) && lock_byte(fd, LOCK_FORBIDDEN + p) < 0))
            return errno == EAGAIN || errno == EACCES ? 1 : -1;
    }
    for (int p = 0; p < PERMISSIONS; p++) {
        int taken = 0;

        if (used & BIT(p))
            taken = byte_is_locked(fd, LOCK_FORBIDDEN + p);
        if (taken == 0 && (forbidden & BIT(p)))
            taken = byte_is_locked(fd, LOCK_USED + p);
        if (taken)
            return taken;
    }
    return 0;
}

static bool lock_disk(int fd, const struct domain_disk *disk, GError **error)
{
    unsigned used = BIT(PERMISSION_READ);
    unsigned forbidden = BIT(PERMISSION_RESIZE);

    if (!disk->readonly)
        used |= BIT(PERMISSION_WRITE);
    if (!disk->shareable)
        forbidden |= BIT(PERMISSION_WRITE);
    switch (lock_image(fd, used, forbidden)) {
    case 0:
        return true;
    case 1:
        libvirt_error_set(error, VIR_ERR_RESOURCE_BUSY,
                          "disk '%s': '%s' is in use by another domain or program", disk->target,
                          disk->source);
        return false;
    default:
        if (errno != EINVAL && errno != ENOLCK && errno != EOPNOTSUPP && errno != ENOSYS) {
            libvirt_error_set_errno(error, errno, "cannot lock '%s'", disk->source);
            return false;
        }
        g_warning("'%s' lies where files cannot be locked: nothing keeps others from it",
                  disk->source);
        return true;
    }
}

/* Opens without waiting (for the other end of a FIFO, say), and says what was found. */
static int open_file(const char *path, int flags, struct stat *st, GError **error)
{
    auto_close int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0 || fstat(fd, st) < 0) {
        libvirt_error_set_errno(error, errno, "Cannot access file '%s'", path);
        return -1;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return steal_fd(&fd);
}

int image_open_plain(const char *path, const char *what, GError **error)
{
    struct stat st;
    auto_close int fd = open_file(path, O_RDONLY, &st, error);

    if (fd < 0)
        return -1;
    if (!S_ISREG(st.st_mode)) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s '%s' is not a regular file", what,
                          path);
        return -1;
    }
    return steal_fd(&fd);
}

/* A guest that is given a qcow2 file as a raw disk sees garbage, and destroys it. */
static bool check_raw(int fd, const struct domain_disk *disk, GError **error)
{
    static const char qcow_magic[] = {'Q', 'F', 'I', '\xfb'};
    char start[sizeof(qcow_magic)];

    if (pread(fd, start, sizeof(start), 0) != sizeof(start) ||
        memcmp(start, qcow_magic, sizeof(start)) != 0)
        return true;
    libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                      "disk '%s': '%s' is a qcow2 image, and only raw images are supported",
                      disk->target, disk->source);
    return false;
}

int image_open_disk(const struct domain_disk *disk, GError **error)
{
    bool want_block =
        disk->type == DOMAIN_DISK_VOLUME ? disk->is_block : disk->type == DOMAIN_DISK_BLOCK;
    struct stat st;
    auto_close int fd = open_file(disk->source, disk->readonly ? O_RDONLY : O_RDWR, &st, error);

    if (fd < 0)
        return -1;
    if (want_block ? !S_ISBLK(st.st_mode) : !S_ISREG(st.st_mode)) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "disk '%s': '%s' is not a %s",
                          disk->target, disk->source, want_block ? "block device" : "regular file");
        return -1;
    }
    if (!lock_disk(fd, disk, error) || !check_raw(fd, disk, error))
        return -1;
    return steal_fd(&fd);
}
