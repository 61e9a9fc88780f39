/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What several of the daemon's files use: descriptors and locks that end with the scope, work for
 * the main thread, waiting with a limit, and writing a file so that it is never seen half written.
 */
#ifndef VOLE_DRIVER_UTIL_H
#define VOLE_DRIVER_UTIL_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <unistd.h>

static inline void close_fdp(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
/* Hand the descriptor over with steal_fd(). */
#define auto_close __attribute__((cleanup(close_fdp)))

static inline int steal_fd(int *fd)
{
    int out = *fd;

    *fd = -1;
    return out;
}

typedef json_t json_ref; /* released at the end of the scope */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(json_ref, json_decref)

/* Locks a GMutex until the end of the scope. */
#define hold_lock(mutex) G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(mutex)

/* Runs fn(data) in the main thread, later and in the order of the calls; then destroy(data). */
void main_invoke(GSourceFunc fn, gpointer data, GDestroyNotify destroy);

/* Waits until the descriptor has one of the events of poll(2), for at most so long, whatever
 * signals come meanwhile. False when the time is up, or it cannot be waited for. Not in the main
 * thread. */
bool wait_for_fd(int fd, short events, gint64 timeout_ms);

/*
 * Writes beside the file and renames over it, so that nobody sees half of it. `durable`: it
 * survives a power failure from the moment of return, which takes waiting for the disk. False with
 * `error` set; the file is then as it was.
 */
bool write_file_atomically(const char *path, const char *text, bool durable, GError **error);

#endif
