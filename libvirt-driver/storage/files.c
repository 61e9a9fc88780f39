/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/storage/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "libvirt-driver/util.h"

/* libvirt's, of a pool's directory that it makes. */
#define DEFAULT_DIR_MODE 0711
/* More than a client would take. */
#define VOLUMES_MAX 16384

static const char config_header[] =
    "<!--\n"
    "  Kept by virtvoled, which reads it when it starts and overwrites it when the pool is "
    "defined\n"
    "  again. To change the pool use \"virsh pool-edit\" or another client of libvirt.\n"
    "-->\n";

/* ---- definitions ---- */

static bool make_dirs(struct storage *storage, GError **error)
{
    const char *const dirs[] = {storage->config, storage->autostart, storage->run};

    for (gsize i = 0; i < G_N_ELEMENTS(dirs); i++) {
        if (g_mkdir_with_parents(dirs[i], 0700) < 0) {
            libvirt_error_set_errno(error, errno, "cannot create directory '%s'", dirs[i]);
            return false;
        }
    }
    return true;
}

bool pool_files_save(struct storage *storage, const struct storage_pool_def *def, GError **error)
{
    g_autofree char *path = paths_file(storage->config, def->name, ".xml");
    g_autofree char *xml = storage_pool_def_format(def, &(struct storage_space){0});
    g_autofree char *text = g_strconcat(config_header, xml, NULL);

    return make_dirs(storage, error) && write_file_atomically(path, text, true, error);
}

static bool remove_file(const char *dir, const char *name, GError **error)
{
    g_autofree char *path = paths_file(dir, name, ".xml");

    if (unlink(path) == 0 || errno == ENOENT)
        return true;
    libvirt_error_set_errno(error, errno, "cannot remove '%s'", path);
    return false;
}

bool pool_files_remove(struct storage *storage, const char *name, GError **error)
{
    return remove_file(storage->autostart, name, error) &&
           remove_file(storage->config, name, error);
}

bool pool_files_set_autostart(struct storage *storage, const char *name, bool autostart,
                              GError **error)
{
    g_autofree char *link = paths_file(storage->autostart, name, ".xml");
    g_autofree char *config = paths_file(storage->config, name, ".xml");

    if (!autostart)
        return remove_file(storage->autostart, name, error);
    if (symlink(config, link) == 0 || errno == EEXIST)
        return true;
    libvirt_error_set_errno(error, errno, "Failed to create symlink '%s' to '%s'", link, config);
    return false;
}

bool pool_files_get_autostart(struct storage *storage, const char *name)
{
    g_autofree char *link = paths_file(storage->autostart, name, ".xml");

    return g_file_test(link, G_FILE_TEST_IS_SYMLINK);
}

void pool_files_save_active(struct storage *storage, const struct pool *pool)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = paths_file(storage->run, pool->def->name, ".xml");
    g_autofree char *text = storage_pool_def_format(pool->def, &pool->space);

    /* The pool serves all the same; only a later daemon does not know of it. */
    if (!make_dirs(storage, &error) || !write_file_atomically(path, text, false, &error))
        g_warning("%s", error->message);
}

void pool_files_forget_active(struct storage *storage, const char *name)
{
    g_autoptr(GError) error = NULL;

    if (!remove_file(storage->run, name, &error))
        g_warning("%s", error->message);
}

static struct storage_pool_def *load(const char *dir, const char *file)
{
    g_autofree char *path = g_build_filename(dir, file, NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    g_autoptr(storage_pool_def) def = NULL;

    if (!g_file_get_contents(path, &text, NULL, &error) ||
        !(def = storage_pool_def_parse(text, &error))) {
        g_warning("'%s': %s", path, error->message);
        return NULL;
    }
    if (strncmp(def->name, file, strlen(def->name)) != 0 ||
        strcmp(file + strlen(def->name), ".xml") != 0) {
        g_warning("'%s' holds a pool named '%s'", path, def->name);
        return NULL;
    }
    return g_steal_pointer(&def);
}

void pool_files_load(struct storage *storage, const char *dir,
                     void (*found)(struct storage *storage, struct storage_pool_def *def))
{
    g_autoptr(GDir) handle = g_dir_open(dir, 0, NULL);
    const char *file;

    while (handle && (file = g_dir_read_name(handle))) {
        struct storage_pool_def *def = g_str_has_suffix(file, ".xml") ? load(dir, file) : NULL;

        if (def)
            found(storage, def);
    }
}

/* ---- the directory ---- */

int pool_dir_open(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        libvirt_error_set_errno(error, errno, "cannot open directory '%s'", path);
    return fd;
}

static bool measure(int dir, const char *path, struct pool_contents *contents, GError **error)
{
    struct storage_space *space = &contents->space;
    struct statvfs stat;
    struct stat info;

    if (fstatvfs(dir, &stat) < 0 || fstat(dir, &info) < 0) {
        libvirt_error_set_errno(error, errno, "cannot statvfs path '%s'", path);
        return false;
    }
    space->capacity = (uint64_t)stat.f_frsize * stat.f_blocks;
    space->available = (uint64_t)stat.f_frsize * stat.f_bfree;
    space->allocation = space->capacity - space->available;
    contents->permissions = (struct storage_permissions){
        .mode = info.st_mode & 07777, .owner = info.st_uid, .group = info.st_gid};
    return true;
}

static void add_entry(GPtrArray *volumes, int fd, const char *dir, const char *name)
{
    g_autoptr(GError) error = NULL;
    struct image image;
    struct volume *volume;

    if (!storage_volume_name_valid(name))
        return;
    switch (image_probe(fd, name, &image, &error)) {
    case 1:
        volume = volume_new(dir, name);
        volume->image = image;
        g_ptr_array_add(volumes, volume);
        break;
    case 0:
        break;
    default:
        /* One file that cannot be read must not hide the others. */
        g_info("'%s': %s", dir, error->message);
        break;
    }
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DIR, closedir)

bool pool_dir_scan(const char *path, struct pool_contents *contents, GError **error)
{
    g_autoptr(GPtrArray) volumes = g_ptr_array_new_with_free_func(volume_free);
    auto_close int fd = pool_dir_open(path, error);
    g_autoptr(DIR) dir = NULL;
    const struct dirent *entry;

    if (fd < 0 || !measure(fd, path, contents, error))
        return false;
    dir = fdopendir(fd);
    if (!dir) {
        libvirt_error_set_errno(error, errno, "cannot read directory '%s'", path);
        return false;
    }
    (void)steal_fd(&fd); /* it is the directory's from now on */
    while ((entry = readdir(dir)) && volumes->len < VOLUMES_MAX)
        add_entry(volumes, dirfd(dir), path, entry->d_name);
    if (entry)
        g_warning("'%s' holds more than %d volumes; the others are left out", path, VOLUMES_MAX);
    g_ptr_array_sort(volumes, volume_compare);
    contents->volumes = g_steal_pointer(&volumes);
    return true;
}

bool pool_dir_build(const char *path, const struct storage_permissions *permissions, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);
    bool is_new = g_mkdir_with_parents(parent, 0755) == 0 && mkdir(path, 0700) == 0;
    mode_t mode = permissions->mode >= 0 ? (mode_t)permissions->mode : DEFAULT_DIR_MODE;
    auto_close int fd = -1;

    if (!is_new && errno != EEXIST) {
        libvirt_error_set_errno(error, errno, "cannot create path '%s'", path);
        return false;
    }
    fd = pool_dir_open(path, error);
    if (fd < 0)
        return false;
    if ((permissions->owner >= 0 || permissions->group >= 0) && geteuid() == 0 &&
        fchown(fd, (uid_t)permissions->owner, (gid_t)permissions->group) < 0) {
        libvirt_error_set_errno(error, errno, "cannot chown '%s'", path);
        return false;
    }
    /* One that is there already, /tmp perhaps, keeps what nobody asked to change. */
    if ((is_new || permissions->mode >= 0) && fchmod(fd, mode) < 0) {
        libvirt_error_set_errno(error, errno, "cannot set mode of '%s' to 0%o", path,
                                (unsigned)mode);
        return false;
    }
    return true;
}
