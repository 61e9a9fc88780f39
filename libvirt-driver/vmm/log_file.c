/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libvirt-driver/util.h"
#include "xml/error.h"

#define LOG_FLAGS (O_CREAT | O_CLOEXEC | O_NOFOLLOW)

static char *older(const char *path, guint number)
{
    return g_strdup_printf("%s.%u", path, number);
}

/* Makes room for NAME.log.0, which is returned; NULL when none is to be kept. */
static char *shift(const char *path, const struct settings *settings)
{
    for (guint i = settings->max_log_files; i > 1; i--) {
        g_autofree char *from = older(path, i - 2);
        g_autofree char *to = older(path, i - 1);

        rename(from, to); /* it need not be there */
    }
    return settings->max_log_files ? older(path, 0) : NULL;
}

bool log_file_is_long(const char *path, const struct settings *settings)
{
    struct stat st;

    return settings->max_log_size && lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           st.st_size >= (off_t)settings->max_log_size;
}

int log_file_open(const char *path, const struct settings *settings, GError **error)
{
    int fd;

    if (log_file_is_long(path, settings)) {
        g_autofree char *aside = shift(path, settings);

        if (aside)
            rename(path, aside);
        else
            unlink(path);
    }
    fd = open(path, LOG_FLAGS | O_WRONLY | O_APPEND, 0600);
    if (fd < 0)
        libvirt_error_set_errno(error, errno, "cannot open '%s'", path);
    return fd;
}

static bool copy_all(int from, int to)
{
    ssize_t n;

    do {
        n = copy_file_range(from, NULL, to, NULL, 1 << 20, 0);
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n == 0;
}

bool log_file_cut(const char *path, const struct settings *settings, GError **error)
{
    g_autofree char *aside = shift(path, settings);
    auto_close int from = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    auto_close int to = aside ? open(aside, LOG_FLAGS | O_WRONLY | O_TRUNC, 0600) : -1;

    if (from < 0 || (aside && (to < 0 || !copy_all(from, to)))) {
        libvirt_error_set_errno(error, errno, "cannot copy '%s'", path);
        return false;
    }
    /* The VMM appends: what it writes next is at the beginning. */
    if (ftruncate(from, 0) == 0)
        return true;
    libvirt_error_set_errno(error, errno, "cannot cut '%s'", path);
    return false;
}
