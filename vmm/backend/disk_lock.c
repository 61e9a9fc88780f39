/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image is locked with an open file description lock over the whole of it:
 * such a lock belongs to the open file, so it works between processes, follows
 * an inherited descriptor, and meets the locks that QEMU takes. Readers share,
 * a writer is alone.
 *
 * The kernel does not say who holds such a lock; it is told in
 * /proc/PID/fdinfo, to those who may look there.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "vmm/backend/disk_priv.h"

static bool fdinfo_has_lock(const char *pid, const char *fd)
{
    char path[64];
    char line[256];
    bool found = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%.16s", pid, fd);
    file = fopen(path, "re");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof(line), file))
        found = strncmp(line, "lock:", 5) == 0;
    (void)fclose(file);
    return found;
}

static bool process_has_lock(const char *pid, const struct stat *image)
{
    char path[64];
    bool found = false;
    struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
    dir = opendir(path);
    if (!dir)
        return false;
    while (!found && (entry = readdir(dir))) {
        struct stat st;

        if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && st.st_ino == image->st_ino &&
            st.st_dev == image->st_dev)
            found = fdinfo_has_lock(pid, entry->d_name);
    }
    closedir(dir);
    return found;
}

static void read_process_name(const char *pid, char *name, size_t size)
{
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
    file = fopen(path, "re");
    if (!file || !fgets(name, (int)size, file))
        snprintf(name, size, "?");
    if (file)
        (void)fclose(file);
    name[strcspn(name, "\n")] = '\0';
}

static int tell_holder(int fd, const char *source, struct error *err)
{
    struct stat image;
    char name[32];
    struct dirent *entry;
    DIR *proc = fstat(fd, &image) == 0 ? opendir("/proc") : NULL;

    error_set(err, "disk `%s` is in use by another process", source);
    while (proc && (entry = readdir(proc))) {
        if (!isdigit((unsigned char)entry->d_name[0]) || !process_has_lock(entry->d_name, &image))
            continue;
        if (strtoul(entry->d_name, NULL, 10) == (unsigned long)getpid()) {
            error_set(err, "disk `%s` is in use by another disk of this machine", source);
        } else {
            read_process_name(entry->d_name, name, sizeof(name));
            error_set(err, "disk `%s` is in use by another process: %s, pid %s", source, name,
                      entry->d_name);
        }
        break;
    }
    if (proc)
        closedir(proc);
    return -1;
}

int disk_lock_image(int fd, bool readonly, const char *source, struct error *err)
{
    struct flock lock = {
        .l_type = readonly ? F_RDLCK : F_WRLCK,
        .l_whence = SEEK_SET,
    };

    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return tell_holder(fd, source, err);
    return error_set_errno(err, errno, "lock disk `%s`", source);
}
