/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Volumes: finding them, and making, copying, changing and removing their files. What takes time
 * happens without the lock, under a job of the pool and a mark on the volume. A file is only ever
 * reached by its name in the pool's directory, which is opened first: no name leads out of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "libvirt-driver/storage/files.h"
#include "libvirt-driver/storage/storage.h"
#include "libvirt-driver/util.h"
#include "xml/reader.h"

#define COPY_CHUNK        ((size_t)128 * 1024)
#define DEFAULT_FILE_MODE 0600

struct volume *volume_new(const char *dir, const char *name)
{
    struct volume *volume = g_new0(struct volume, 1);

    volume->name = g_strdup(name);
    volume->path = g_build_filename(dir, name, NULL);
    return volume;
}

void volume_free(gpointer data)
{
    struct volume *volume = data;

    image_clear(&volume->image);
    g_free(volume->name);
    g_free(volume->path);
    g_free(volume);
}

gint volume_compare(gconstpointer a, gconstpointer b)
{
    const struct volume *const *left = a;
    const struct volume *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

/* ---- finding; the lock is held ---- */

static struct volume *find(const struct pool *pool, const char *name)
{
    for (guint i = 0; i < pool->volumes->len; i++) {
        struct volume *volume = g_ptr_array_index(pool->volumes, i);

        if (strcmp(volume->name, name) == 0)
            return volume;
    }
    return NULL;
}

static void set_no_volume(const char *name, GError **error)
{
    libvirt_error_set(error, VIR_ERR_NO_STORAGE_VOL, "no storage vol with matching name '%s'",
                      name);
}

struct volume *volume_find(const struct pool *pool, const char *name, GError **error)
{
    struct volume *volume = find(pool, name);

    if (!volume)
        set_no_volume(name, error);
    return volume;
}

struct volume *volume_by_path(struct storage *storage, const char *path, struct pool **pool)
{
    g_autofree char *clean = g_canonicalize_filename(path, "/");

    for (guint i = 0; i < storage->pools->len; i++) {
        *pool = g_ptr_array_index(storage->pools, i);
        for (guint j = 0; (*pool)->active && j < (*pool)->volumes->len; j++) {
            struct volume *volume = g_ptr_array_index((*pool)->volumes, j);

            if (strcmp(volume->path, clean) == 0)
                return volume;
        }
    }
    return NULL;
}

struct volume *volume_by_key(struct storage *storage, const struct volume_key *key,
                             struct pool **pool, GError **error)
{
    *pool = pool_by_name(storage, key->pool, error);
    if (*pool)
        *pool = pool_wait(storage, (*pool)->def->uuid, error);
    if (!*pool || !pool_check_active(*pool, error))
        return NULL;
    return volume_find(*pool, key->name, error);
}

/* ---- work on one volume ---- */

/* A volume that is there, with a job on its pool. */
struct work {
    struct storage *storage;
    struct pool *pool;
    struct volume *volume;
    char *dir; /* copies, for the time without the lock */
    char *name;
};

static bool check_free(const struct volume *volume, bool shared, GError **error)
{
    if (volume->building) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "volume '%s' is still being allocated.",
                          volume->name);
        return false;
    }
    if (volume->in_use && !shared) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "volume '%s' is still in use.",
                          volume->name);
        return false;
    }
    return true;
}

/* Takes the lock and leaves it; between begin and end the volume is marked as in use. `shared`:
 * others may use it as well. */
static bool begin(struct work *work, struct storage *storage, const struct volume_key *key,
                  bool shared, GError **error)
{
    hold_lock(&storage->lock);
    struct pool *pool;
    struct volume *volume = volume_by_key(storage, key, &pool, error);

    if (!volume || !check_free(volume, shared, error))
        return false;
    pool->jobs++;
    volume->in_use++;
    *work = (struct work){storage, pool, volume, g_strdup(pool->def->path), g_strdup(volume->name)};
    return true;
}

/* The lock is held; takes over what the image holds. */
static void set_image(struct storage *storage, struct volume *volume, const struct image *image)
{
    image_clear(&volume->image);
    volume->image = *image;
    volume->seen = ++storage->looks;
}

/* Takes the lock. `image` is what the file is now, or NULL when it is gone. */
static void end(struct work *work, struct image *image)
{
    hold_lock(&work->storage->lock);

    work->volume->in_use--;
    if (image) {
        set_image(work->storage, work->volume, image);
    } else {
        g_ptr_array_remove(work->pool->volumes, work->volume);
    }
    work->pool->jobs--;
    g_free(work->dir);
    g_free(work->name);
}

/* The same when the file could not be looked at: nothing is said of it. */
static void end_unchanged(struct work *work)
{
    hold_lock(&work->storage->lock);

    work->volume->in_use--;
    work->pool->jobs--;
    g_free(work->dir);
    g_free(work->name);
}

/* Looks at the file and ends the work. */
static bool end_probing(struct work *work, int dir, GError **error)
{
    struct image image;
    int found = dir < 0 ? -1 : image_probe(dir, work->name, &image, error);

    if (found > 0) {
        end(work, &image);
        return true;
    }
    if (found == 0)
        set_no_volume(work->name, error);
    end_unchanged(work);
    return false;
}

/* Who only looks marks nothing, and so is in nobody's way: the volume may change meanwhile, or go.
 */
bool volume_update(struct storage *storage, const struct volume_key *key, GError **error)
{
    g_autofree char *path = NULL;
    auto_close int dir = -1;
    struct image image;
    struct volume *volume;
    struct pool *pool;
    guint64 since = 0;
    int found;

    g_mutex_lock(&storage->lock);
    volume = volume_by_key(storage, key, &pool, error);
    if (volume && check_free(volume, true, error)) {
        path = g_strdup(pool->def->path);
        since = storage->looks;
    }
    g_mutex_unlock(&storage->lock);
    dir = path ? pool_dir_open(path, error) : -1;
    found = dir < 0 ? -1 : image_probe(dir, key->name, &image, error);
    if (found < 0)
        return false;

    hold_lock(&storage->lock);
    volume = found ? volume_by_key(storage, key, &pool, error) : NULL;
    if (volume && volume->seen <= since)
        set_image(storage, volume, &image);
    else
        image_clear(&image); /* somebody has looked since, and what he saw is newer */
    if (!found)
        set_no_volume(key->name, error);
    return volume != NULL;
}

bool volume_delete(struct storage *storage, const struct volume_key *key, GError **error)
{
    struct work work;
    auto_close int dir = -1;
    int flags;

    if (!begin(&work, storage, key, false, error))
        return false;
    flags = work.volume->image.info.directory ? AT_REMOVEDIR : 0;
    dir = pool_dir_open(work.dir, error);
    if (dir >= 0 && (unlinkat(dir, work.name, flags) == 0 || errno == ENOENT)) {
        end(&work, NULL);
        return true;
    }
    if (dir >= 0)
        libvirt_error_set_errno(error, errno, "cannot unlink file '%s'", work.volume->path);
    end_unchanged(&work);
    return false;
}

/* ---- contents ---- */

static bool allocate(int fd, guint64 bytes, const char *name, GError **error)
{
    int why = bytes ? posix_fallocate(fd, 0, (off_t)bytes) : 0;

    if (why)
        libvirt_error_set_errno(
            error, why, "cannot allocate %" G_GUINT64_FORMAT " bytes in file '%s'", bytes, name);
    return why == 0;
}

static bool set_size(int fd, guint64 bytes, const char *name, GError **error)
{
    if (ftruncate(fd, (off_t)bytes) == 0)
        return true;
    libvirt_error_set_errno(error, errno, "cannot extend file '%s'", name);
    return false;
}

static bool copy_failed(GError **error, const char *name)
{
    libvirt_error_set_errno(error, errno, "cannot copy to file '%s'", name);
    return false;
}

/* One stretch of data; the source's holes are left out. */
static bool copy_extent(int from, int to, off_t at, off_t end, const char *name, GError **error)
{
    guint8 buffer[COPY_CHUNK];

    while (at < end) {
        ssize_t n = pread(from, buffer, MIN(COPY_CHUNK, (size_t)(end - at)), at);
        ssize_t written = n > 0 ? pwrite(to, buffer, (size_t)n, at) : n;

        if (written < 0)
            return copy_failed(error, name);
        if (n == 0)
            return true; /* it has become shorter meanwhile */
        at += written;
    }
    return true;
}

static bool copy(int from, int to, bool reflink, const char *name, GError **error)
{
    off_t data = 0;

    if (ioctl(to, FICLONE, from) == 0)
        return true;
    if (reflink)
        return copy_failed(error, name);
    for (;;) {
        off_t hole;

        data = lseek(from, data, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO || copy_failed(error, name);
        hole = lseek(from, data, SEEK_HOLE);
        if (hole < 0)
            return copy_failed(error, name);
        if (!copy_extent(from, to, data, hole, name, error))
            return false;
        data = hole;
    }
}

static bool set_permissions(int fd, const struct storage_permissions *permissions, const char *name,
                            GError **error)
{
    mode_t mode = permissions->mode >= 0 ? (mode_t)permissions->mode : DEFAULT_FILE_MODE;

    if ((permissions->owner >= 0 || permissions->group >= 0) && geteuid() == 0 &&
        fchown(fd, (uid_t)permissions->owner, (gid_t)permissions->group) < 0) {
        libvirt_error_set_errno(error, errno, "cannot chown '%s'", name);
        return false;
    }
    if (fchmod(fd, mode) < 0) {
        libvirt_error_set_errno(error, errno, "cannot set mode of '%s' to 0%o", name,
                                (unsigned)mode);
        return false;
    }
    return true;
}

/* ---- new volumes ---- */

static bool check_wanted(const struct storage_volume_def *def, const char *format, GError **error)
{
    if (def->encrypted) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "volume '%s' cannot be encrypted",
                          def->name);
        return false;
    }
    if (def->format && strcmp(def->format, format) != 0 &&
        !(storage_format_is_raw(def->format) && storage_format_is_raw(format))) {
        g_autofree char *shown = xml_excerpt(def->format);

        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "volume '%s' cannot be made in format '%s', only in '%s'", def->name,
                          shown, format);
        return false;
    }
    return true;
}

/* A volume that is being built, with a job on its pool. */
struct building {
    struct storage *storage;
    struct pool *pool;
    struct volume *volume;
    char *dir_path;
    int dir;
    int fd;
};

static bool begin_building(struct building *b, struct storage *storage, const uint8_t *uuid,
                           const struct storage_volume_def *def, GError **error)
{
    hold_lock(&storage->lock);
    struct pool *pool = pool_wait(storage, uuid, error);

    if (!pool || !pool_check_active(pool, error))
        return false;
    if (find(pool, def->name)) {
        libvirt_error_set(error, VIR_ERR_STORAGE_VOL_EXIST, "'%s'", def->name);
        return false;
    }
    pool->jobs++;
    *b = (struct building){
        storage, pool, volume_new(pool->def->path, def->name), g_strdup(pool->def->path), -1, -1};
    b->volume->building = true;
    b->volume->image.info.format = "raw";
    b->volume->image.info.capacity = def->capacity;
    g_ptr_array_add(pool->volumes, b->volume);
    g_ptr_array_sort(pool->volumes, volume_compare);
    return true;
}

static bool make_file(struct building *b, GError **error)
{
    b->dir = pool_dir_open(b->dir_path, error);
    if (b->dir < 0)
        return false;
    /* O_EXCL follows no link either. */
    b->fd = openat(b->dir, b->volume->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (b->fd >= 0)
        return true;
    if (errno == EEXIST)
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "volume target path '%s' already exists",
                          b->volume->path);
    else
        libvirt_error_set_errno(error, errno, "Failed to create file '%s'", b->volume->path);
    return false;
}

/* Ends the work: the volume is there, or nothing of it. Its name, to be freed, or NULL. */
static char *end_building(struct building *b, bool ok, GError **error)
{
    struct image image;
    char *name = NULL;

    if (ok && image_probe(b->dir, b->volume->name, &image, error) <= 0) {
        ok = false;
        if (error && !*error)
            libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "volume '%s' has vanished",
                              b->volume->name);
    }
    if (!ok && b->fd >= 0)
        unlinkat(b->dir, b->volume->name, 0);
    close_fdp(&b->fd);
    close_fdp(&b->dir);
    g_free(b->dir_path);

    hold_lock(&b->storage->lock);
    if (ok) {
        set_image(b->storage, b->volume, &image);
        b->volume->building = false;
        b->pool->space.allocation += image.info.allocation;
        b->pool->space.available -= MIN(image.info.allocation, b->pool->space.available);
        name = g_strdup(b->volume->name);
    } else {
        g_ptr_array_remove(b->pool->volumes, b->volume);
    }
    b->pool->jobs--;
    return name;
}

char *volume_create(struct storage *storage, const uint8_t *pool, const char *xml, GError **error)
{
    g_autoptr(storage_volume_def) def = storage_volume_def_parse(xml, error);
    struct building b;
    bool ok;

    if (!def || !check_wanted(def, "raw", error))
        return NULL;
    if (def->has_backing) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "volume '%s' cannot have a backing file: it is raw", def->name);
        return NULL;
    }
    if (!def->has_capacity) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "missing capacity element");
        return NULL;
    }
    /* Without a word on it, all of the file is allocated, as libvirt does. */
    def->capacity = MAX(def->capacity, def->allocation);
    if (!begin_building(&b, storage, pool, def, error))
        return NULL;
    ok = make_file(&b, error) && set_size(b.fd, def->capacity, b.volume->path, error) &&
         allocate(b.fd, def->has_allocation ? def->allocation : def->capacity, b.volume->path,
                  error) &&
         set_permissions(b.fd, &def->permissions, b.volume->path, error);
    return end_building(&b, ok, error);
}

/* The copy, with room for more where that was asked for. */
static bool build_copy(struct building *b, const struct storage_volume_def *def,
                       const struct storage_volume_info *info, int from, bool reflink,
                       GError **error)
{
    const char *path = b->volume->path;
    bool raw = storage_format_is_raw(info->format);
    guint64 size = info->physical;

    if (raw && def->has_capacity)
        size = MAX(size, def->capacity);
    return make_file(b, error) && set_size(b->fd, size, path, error) &&
           copy(from, b->fd, reflink, path, error) && set_size(b->fd, size, path, error) &&
           (reflink || (def->has_allocation && def->allocation < size) ||
            allocate(b->fd, size, path, error)) &&
           set_permissions(b->fd, &def->permissions, path, error);
}

char *volume_clone(struct storage *storage, const uint8_t *pool, const char *xml,
                   const struct volume_key *source, bool reflink, GError **error)
{
    g_autoptr(storage_volume_def) def = storage_volume_def_parse(xml, error);
    struct work from;
    struct building b;
    struct image image = {0};
    auto_close int dir = -1;
    auto_close int fd = -1;
    char *name = NULL;

    if (!def || !begin(&from, storage, source, true, error))
        return NULL;
    dir = pool_dir_open(from.dir, error);
    fd = dir < 0 ? -1 : image_open(dir, from.name, O_RDONLY, error);
    if (fd < 0 || image_probe(dir, from.name, &image, error) <= 0) {
        if (error && !*error)
            set_no_volume(from.name, error);
    } else if (check_wanted(def, image.info.format, error) &&
               begin_building(&b, storage, pool, def, error)) {
        name = end_building(&b, build_copy(&b, def, &image.info, fd, reflink, error), error);
    }
    image_clear(&image);
    end_unchanged(&from);
    return name;
}

/* ---- changes of what is there ---- */

static bool check_raw(const struct volume *volume, const char *what, GError **error)
{
    if (storage_format_is_raw(volume->image.info.format))
        return true;
    libvirt_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                      "volume '%s' of format '%s' cannot be %s, only raw ones can", volume->name,
                      volume->image.info.format, what);
    return false;
}

/* The size that was asked for, in bytes. */
static bool wanted_size(guint64 now, guint64 allocated, guint64 capacity, guint flags,
                        guint64 *size, GError **error)
{
    *size = capacity;
    if (flags & VIR_STORAGE_VOL_RESIZE_DELTA)
        *size = flags & VIR_STORAGE_VOL_RESIZE_SHRINK ? now - MIN(capacity, now)
                                                      : now + MIN(capacity, G_MAXINT64 - now);
    if (*size > G_MAXINT64) {
        libvirt_error_set(error, VIR_ERR_OVERFLOW, "capacity %" G_GUINT64_FORMAT, *size);
        return false;
    }
    if (*size < allocated && *size < now) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "can't shrink capacity below existing allocation");
        return false;
    }
    if (*size < now && !(flags & VIR_STORAGE_VOL_RESIZE_SHRINK)) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "Can't shrink capacity below current capacity unless shrink flag "
                          "explicitly specified");
        return false;
    }
    return true;
}

static bool resize(int dir, const struct work *work, guint64 capacity, guint flags, GError **error)
{
    auto_close int fd = image_open(dir, work->name, O_RDWR, error);
    struct stat stat;
    guint64 size;

    if (fd < 0)
        return false;
    if (fstat(fd, &stat) < 0) {
        libvirt_error_set_errno(error, errno, "cannot stat '%s'", work->name);
        return false;
    }
    return wanted_size((guint64)stat.st_size, (guint64)stat.st_blocks * 512, capacity, flags, &size,
                       error) &&
           set_size(fd, size, work->name, error) &&
           (!(flags & VIR_STORAGE_VOL_RESIZE_ALLOCATE) || allocate(fd, size, work->name, error));
}

bool volume_resize(struct storage *storage, const struct volume_key *key, guint64 capacity,
                   guint flags, GError **error)
{
    struct work work;
    auto_close int dir = -1;
    bool ok;

    if (!begin(&work, storage, key, false, error))
        return false;
    ok = check_raw(work.volume, "resized", error) && (dir = pool_dir_open(work.dir, error)) >= 0 &&
         resize(dir, &work, capacity, flags, error);
    if (ok)
        return end_probing(&work, dir, error);
    end_unchanged(&work);
    return false;
}

/* Zeroes over all that is there. */
static bool wipe(int dir, const struct work *work, GError **error)
{
    auto_close int fd = image_open(dir, work->name, O_WRONLY, error);
    static const guint8 zeroes[COPY_CHUNK];
    struct stat stat;
    off_t at = 0;

    if (fd < 0)
        return false;
    if (fstat(fd, &stat) < 0)
        return copy_failed(error, work->name);
    while (at < stat.st_size) {
        ssize_t n = pwrite(fd, zeroes, MIN(COPY_CHUNK, (size_t)(stat.st_size - at)), at);

        if (n < 0)
            return copy_failed(error, work->name);
        at += n;
    }
    return fdatasync(fd) == 0 || copy_failed(error, work->name);
}

bool volume_wipe(struct storage *storage, const struct volume_key *key, GError **error)
{
    struct work work;
    auto_close int dir = -1;

    if (!begin(&work, storage, key, false, error))
        return false;
    dir = pool_dir_open(work.dir, error);
    if (dir >= 0 && wipe(dir, &work, error))
        return end_probing(&work, dir, error);
    end_unchanged(&work);
    return false;
}

/* ---- for streams ---- */

int volume_acquire(struct storage *storage, const struct volume_key *key, int flags, GError **error)
{
    struct work work;
    auto_close int dir = -1;
    int fd;

    if (!begin(&work, storage, key, (flags & O_ACCMODE) == O_RDONLY, error))
        return -1;
    dir = pool_dir_open(work.dir, error);
    fd = dir < 0 ? -1 : image_open(dir, work.name, flags, error);
    if (fd < 0) {
        end_unchanged(&work);
    } else {
        /* The job and the mark stay until it is released. */
        g_free(work.dir);
        g_free(work.name);
    }
    return fd;
}

void volume_release(struct storage *storage, const struct volume_key *key)
{
    struct work work = {.storage = storage};
    auto_close int dir = -1;

    g_mutex_lock(&storage->lock);
    /* Both are there: they were kept. */
    work.pool = pool_by_name(storage, key->pool, NULL);
    work.volume = work.pool ? find(work.pool, key->name) : NULL;
    if (work.volume) {
        work.dir = g_strdup(work.pool->def->path);
        work.name = g_strdup(work.volume->name);
    }
    g_mutex_unlock(&storage->lock);
    g_return_if_fail(work.volume);
    dir = pool_dir_open(work.dir, NULL);
    end_probing(&work, dir, NULL);
}
