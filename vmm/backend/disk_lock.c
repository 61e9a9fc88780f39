/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image is locked with an open file description lock over the whole of it: such a lock belongs
 * to the open file, so it works between processes, follows an inherited descriptor, and meets the
 * locks that QEMU takes. Readers share, a writer is alone.
 *
 * The kernel does not say who holds such a lock; it is told in /proc/PID/fdinfo, to those who may
 * look there. That touches no file, so that storage that hangs elsewhere does not hold up a start.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "vmm/backend/disk_priv.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define WAIT_SECONDS 1

/* A line of fdinfo: "lock:\t1: OFDLCK  ADVISORY  WRITE -1 08:01:1234 0 EOF". */
static bool is_lock_of(const char *line, ino_t inode)
{
    char kind[16];
    uint64_t number;

    return sscanf(line, "lock: %*u: %15s %*s %*s %*d %*x:%*x:%" SCNu64, kind, &number) == 2 &&
           number == inode && (strcmp(kind, "OFDLCK") == 0 || strcmp(kind, "POSIX") == 0);
}

static bool fdinfo_has_lock(const char *pid, const char *fd, ino_t inode)
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
        found = is_lock_of(line, inode);
    (void)fclose(file);
    return found;
}

/* The device in a line of fdinfo is not always the one that stat() tells; so the file itself has to
 * be looked at, but only with what is known of it already. */
static bool is_same_file(const char *pid, const char *fd, const struct stat *image)
{
    char path[64];
    struct statx stx;

    snprintf(path, sizeof(path), "/proc/%.16s/fd/%.16s", pid, fd);
    return statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &stx) == 0 &&
           stx.stx_ino == image->st_ino &&
           makedev(stx.stx_dev_major, stx.stx_dev_minor) == image->st_dev;
}

static bool process_has_lock(const char *pid, const struct stat *image)
{
    char path[64];
    bool found = false;
    struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%.16s/fdinfo", pid);
    dir = opendir(path);
    if (!dir)
        return false;
    while (!found && (entry = readdir(dir)))
        found = fdinfo_has_lock(pid, entry->d_name, image->st_ino) &&
                is_same_file(pid, entry->d_name, image);
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

/* Fills `err` with who it is. False when nobody can be seen. */
static bool find_holder(int fd, const char *source, struct error *err)
{
    struct stat image;
    char name[32];
    bool found = false;
    struct dirent *entry;
    DIR *proc = fstat(fd, &image) == 0 ? opendir("/proc") : NULL;

    while (proc && !found && (entry = readdir(proc))) {
        if (!isdigit((unsigned char)entry->d_name[0]) || !process_has_lock(entry->d_name, &image))
            continue;
        found = true;
        if (strtoul(entry->d_name, NULL, 10) == (unsigned long)getpid()) {
            error_set(err, "disk `%s` is in use by another disk of this machine", source);
        } else {
            read_process_name(entry->d_name, name, sizeof(name));
            error_set(err, "disk `%s` is in use by another process: %s, pid %s", source, name,
                      entry->d_name);
        }
    }
    if (proc)
        closedir(proc);
    return found;
}

static void on_alarm(int signal)
{
    (void)signal; /* there to end a system call */
}

/* Whether the lock was to be had in a short time. */
static bool wait_for_lock(int fd, struct flock *lock)
{
    struct sigaction action = {.sa_handler = on_alarm}; /* not SA_RESTART */
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
    /* Again and again, in case that the first one comes just before we wait. */
    struct itimerspec when = {.it_value.tv_sec = WAIT_SECONDS, .it_interval.tv_nsec = 50000000};
    struct sigaction old_action;
    sigset_t alarm;
    sigset_t old_mask;
    timer_t timer;
    bool locked = false;

    event.sigev_notify_thread_id = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
        return false;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigaction(SIGALRM, &action, &old_action);
    pthread_sigmask(SIG_UNBLOCK, &alarm, &old_mask);
    if (timer_settime(timer, 0, &when, NULL) == 0)
        locked = fcntl(fd, F_OFD_SETLKW, lock) == 0;
    timer_delete(timer);
    pthread_sigmask(SIG_SETMASK, &old_mask, NULL);
    sigaction(SIGALRM, &old_action, NULL);
    return locked;
}

int disk_lock_image(int fd, bool readonly, const char *source, struct error *err)
{
    struct flock lock = {
        .l_type = readonly ? F_RDLCK : F_WRLCK,
        .l_whence = SEEK_SET,
    };

    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno != EAGAIN && errno != EACCES)
        return error_set_errno(err, errno, "lock disk `%s`", source);
    if (find_holder(fd, source, err))
        return -1;
    if (wait_for_lock(fd, &lock))
        return 0;
    return error_set(err, "disk `%s` is in use by another process", source);
}
