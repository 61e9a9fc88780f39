/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/storage/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvirt-driver/util.h"
#include "xml/writer.h"

#define HEAD_BYTES   512
#define BACKING_MAX  1023
#define SECTOR_BYTES 512
#define ISO_OFFSET   32769

/* QEMU's docs/interop/qcow2.txt. */
#define QCOW2_HEADER_2       72  /* bytes of a header of version 2 */
#define QCOW2_LENGTH_AT      100 /* where one of version 3 says how many it has */
#define QCOW2_END            0
#define QCOW2_BACKING_FORMAT 0xe2792aca

enum number_kind { NO_NUMBER, BIG_ENDIAN_64, LITTLE_ENDIAN_64 };

/* Image formats by what they begin with, and where they say how large the disk is. */
static const struct format {
    const char *name;
    gsize offset;
    const char *magic;
    gsize magic_bytes;
    enum number_kind kind;
    gsize capacity_at;
    guint64 capacity_unit;
} formats[] = {
    {"qcow2", 0, "QFI\xfb\0\0\0\2", 8, BIG_ENDIAN_64, 24, 1},
    {"qcow2", 0, "QFI\xfb\0\0\0\3", 8, BIG_ENDIAN_64, 24, 1},
    {"qcow", 0, "QFI\xfb\0\0\0\1", 8, BIG_ENDIAN_64, 24, 1},
    {"qed", 0, "QED\0", 4, LITTLE_ENDIAN_64, 48, 1},
    {"vmdk", 0, "KDMV", 4, LITTLE_ENDIAN_64, 12, SECTOR_BYTES},
    {"vdi", 64, "\x7f\x10\xda\xbe", 4, LITTLE_ENDIAN_64, 0x170, 1},
    {"vpc", 0, "conectix", 8, BIG_ENDIAN_64, 40, 1},
    {"bochs", 0, "Bochs Virtual HD Image", 22, NO_NUMBER, 0, 0},
};

void image_clear(struct image *image)
{
    g_clear_pointer(&image->backing, g_free);
    g_clear_pointer(&image->backing_format, g_free);
    image->info.backing = NULL;
    image->info.backing_format = NULL;
}

static guint64 get_number(const guint8 *at, enum number_kind kind)
{
    guint64 number;

    memcpy(&number, at, sizeof(number));
    return kind == BIG_ENDIAN_64 ? GUINT64_FROM_BE(number) : GUINT64_FROM_LE(number);
}

static const struct format *find_format(const guint8 *head, gsize len)
{
    for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
        const struct format *format = &formats[i];

        if (format->offset + format->magic_bytes <= len &&
            memcmp(head + format->offset, format->magic, format->magic_bytes) == 0)
            return format;
    }
    return NULL;
}

static bool is_iso(int fd)
{
    char mark[5];

    return pread(fd, mark, sizeof(mark), ISO_OFFSET) == sizeof(mark) &&
           memcmp(mark, "CD001", sizeof(mark)) == 0;
}

/* The name of the image below a qcow or qcow2 one, or NULL. */
static char *read_backing(int fd, const guint8 *head)
{
    guint64 offset = get_number(head + 8, BIG_ENDIAN_64);
    guint32 size;
    char name[BACKING_MAX + 1] = "";

    memcpy(&size, head + 16, sizeof(size));
    size = GUINT32_FROM_BE(size);
    if (!offset || !size || size > BACKING_MAX || offset > (guint64)G_MAXINT64 - size ||
        pread(fd, name, size, (off_t)offset) != (ssize_t)size || !xml_can_hold(name))
        return NULL;
    return g_strdup(name);
}

static guint32 get_number32(const guint8 *at)
{
    guint32 number;

    memcpy(&number, at, sizeof(number));
    return GUINT32_FROM_BE(number);
}

/* The format of the image below a qcow2 one, which says it in an extension of its header; or NULL.
 */
static char *read_backing_format(const guint8 head[HEAD_BYTES])
{
    gsize at = get_number32(head + 4) < 3 ? QCOW2_HEADER_2 : get_number32(head + QCOW2_LENGTH_AT);

    while (at <= HEAD_BYTES - 8) {
        guint32 kind = get_number32(head + at);
        gsize size = get_number32(head + at + 4);
        const char *text = (const char *)head + at + 8;

        if (kind == QCOW2_END || size > HEAD_BYTES - 8 - at)
            return NULL;
        if (kind == QCOW2_BACKING_FORMAT) {
            g_autofree char *format = g_strndup(text, size);

            return xml_can_hold(format) ? g_steal_pointer(&format) : NULL;
        }
        at += 8 + (size + 7) / 8 * 8;
    }
    return NULL;
}

static bool probe_format(int fd, struct image *image)
{
    guint8 head[HEAD_BYTES] = {0};
    ssize_t len = pread(fd, head, sizeof(head), 0);
    const struct format *format;

    if (len < 0)
        return false;
    format = find_format(head, (gsize)len);
    if (!format) {
        image->info.format = is_iso(fd) ? "iso" : "raw";
        return true;
    }
    image->info.format = format->name;
    if (format->kind != NO_NUMBER && format->capacity_at + sizeof(guint64) <= (gsize)len) {
        guint64 number = get_number(head + format->capacity_at, format->kind);

        /* A number that makes no sense is no reason to hide the file. */
        if (number <= G_MAXINT64 / format->capacity_unit)
            image->info.capacity = number * format->capacity_unit;
    }
    if (g_str_has_prefix(format->name, "qcow")) {
        image->backing = read_backing(fd, head);
        image->info.backing = image->backing;
    }
    if (image->backing && strcmp(format->name, "qcow2") == 0) {
        image->backing_format = read_backing_format(head);
        image->info.backing_format = image->backing_format;
    }
    return true;
}

static struct timespec time_of(const struct statx_timestamp *stamp)
{
    return (struct timespec){.tv_sec = stamp->tv_sec, .tv_nsec = stamp->tv_nsec};
}

static void fill_info(const struct statx *stat, struct storage_volume_info *info)
{
    info->directory = S_ISDIR(stat->stx_mode);
    info->permissions = (struct storage_permissions){
        .mode = stat->stx_mode & 07777, .owner = stat->stx_uid, .group = stat->stx_gid};
    info->accessed = time_of(&stat->stx_atime);
    info->modified = time_of(&stat->stx_mtime);
    info->changed = time_of(&stat->stx_ctime);
    if (stat->stx_mask & STATX_BTIME)
        info->born = time_of(&stat->stx_btime);
    info->format = "dir";
    if (info->directory)
        return;
    info->capacity = stat->stx_size;
    info->physical = stat->stx_size;
    info->allocation = stat->stx_blocks * SECTOR_BYTES;
}

static int refuse(GError **error, int why, const char *name)
{
    libvirt_error_set_errno(error, why, "cannot open volume '%s'", name);
    return -1;
}

static int why_no_file(mode_t mode)
{
    if (S_ISLNK(mode))
        return ELOOP;
    return S_ISDIR(mode) ? EISDIR : ENOTSUP;
}

/* `directories`: those are let through as well. */
static int open_entry(int dir, const char *name, int flags, bool directories, GError **error)
{
    struct stat stat;
    auto_close int fd = -1;

    /* What is no file is not even opened: that of a device may do something. */
    if (fstatat(dir, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
        return refuse(error, errno, name);
    if (!S_ISREG(stat.st_mode) && !(directories && S_ISDIR(stat.st_mode)))
        return refuse(error, why_no_file(stat.st_mode), name);
    fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) < 0)
        return refuse(error, errno, name);
    if (!S_ISREG(stat.st_mode) && !(directories && S_ISDIR(stat.st_mode)))
        return refuse(error, why_no_file(stat.st_mode), name);
    return steal_fd(&fd);
}

int image_open(int dir, const char *name, int flags, GError **error)
{
    return open_entry(dir, name, flags, false, error);
}

int image_probe(int dir, const char *name, struct image *image, GError **error)
{
    struct stat link;
    struct statx stat;
    auto_close int fd = -1;

    *image = (struct image){0};
    if (fstatat(dir, name, &link, AT_SYMLINK_NOFOLLOW) < 0 ||
        (!S_ISREG(link.st_mode) && !S_ISDIR(link.st_mode)))
        return 0;
    fd = open_entry(dir, name, O_RDONLY, true, error);
    if (fd < 0)
        return -1;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &stat) < 0)
        return refuse(error, errno, name);
    fill_info(&stat, &image->info);
    if (!image->info.directory && !probe_format(fd, image))
        return refuse(error, errno, name);
    return 1;
}
