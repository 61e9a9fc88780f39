/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "xml/error.h"

void main_invoke(GSourceFunc fn, gpointer data, GDestroyNotify destroy)
{
    g_autoptr(GSource) source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, fn, data, destroy);
    g_source_attach(source, NULL);
}

bool wait_for_fd(int fd, short events, gint64 timeout_ms)
{
    struct pollfd wanted = {.fd = fd, .events = events};
    gint64 deadline = g_get_monotonic_time() + timeout_ms * 1000;
    gint64 left = timeout_ms;
    int n;

    do {
        n = poll(&wanted, 1, (int)left);
        left = MAX((deadline - g_get_monotonic_time()) / 1000, 0);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

static int write_all(int fd, const char *text, gsize len)
{
    while (len) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            text += n;
            len -= (gsize)n;
        }
    }
    return 0;
}

/* A rename is only on the disk once the directory is. */
static int sync_directory_of(const char *path)
{
    g_autofree char *dir = g_path_get_dirname(path);
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -1 : fsync(fd);
}

bool write_file_atomically(const char *path, const char *text, bool durable, GError **error)
{
    g_autofree char *temporary = g_strdup_printf("%s.new", path);
    auto_close int fd =
        open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int failed;

    if (fd < 0 || write_all(fd, text, strlen(text)) < 0 || (durable && fsync(fd) < 0) ||
        rename(temporary, path) < 0) {
        failed = errno;
        if (fd >= 0)
            unlink(temporary);
        libvirt_error_set_errno(error, failed, "cannot write '%s'", path);
        return false;
    }
    if (durable && sync_directory_of(path) < 0)
        g_warning("cannot flush the directory of '%s': %s", path, g_strerror(errno));
    return true;
}
