/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/proxy/connect.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "libvirt-driver/util.h"
#include "xml/error.h"

struct connecting {
    connect_done done; /* the main thread's; NULL: nobody wants to know any more */
    gpointer opaque;
    GStrv paths;
    struct connect_as as;

    /* The outcome. */
    int fd;
    const char *path;
    GError *error;
};

/* 0, or what connect() says. */
static int try_one(const char *path, int *fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    auto_close int sock = -1;

    if (strlen(path) >= sizeof(address.sun_path))
        return ENAMETOOLONG;
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0)
        return errno;
    /* A UNIX socket connects at once, or says EAGAIN when its daemon takes nobody in. */
    if (connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0)
        return errno;
    *fd = steal_fd(&sock);
    return 0;
}

static void try_all(struct connecting *connecting)
{
    for (guint i = 0; connecting->paths[i]; i++) {
        int why = try_one(connecting->paths[i], &connecting->fd);

        if (why == 0) {
            connecting->path = connecting->paths[i];
            g_clear_error(&connecting->error);
            return;
        }
        if (why == ENOENT || why == ENOTDIR || connecting->error)
            continue;
        libvirt_error_set_errno(&connecting->error, why, "Failed to connect socket to '%s'",
                                connecting->paths[i]);
        /* Nobody listens: perhaps somebody does on the next. All else has to be known. */
        if (why != ECONNREFUSED)
            return;
    }
}

static void connecting_free(struct connecting *connecting)
{
    close_fdp(&connecting->fd);
    g_strfreev(connecting->paths);
    if (connecting->as.groups)
        g_array_unref(connecting->as.groups);
    g_clear_error(&connecting->error);
    g_free(connecting);
}

static gboolean tell(gpointer data)
{
    struct connecting *connecting = data;

    if (connecting->done)
        connecting->done(connecting->opaque, steal_fd(&connecting->fd), connecting->path,
                         connecting->error);
    connecting_free(connecting);
    return G_SOURCE_REMOVE;
}

/* Of this thread alone: libc's functions would change the whole process. */
static bool become(const struct connect_as *as)
{
    return syscall(SYS_setgroups, (size_t)as->groups->len, as->groups->data) == 0 &&
           syscall(SYS_setresgid, (gid_t)-1, as->gid, (gid_t)-1) == 0 &&
           syscall(SYS_setresuid, (uid_t)-1, as->uid, (uid_t)-1) == 0;
}

static gpointer run(gpointer data)
{
    struct connecting *connecting = data;

    if (become(&connecting->as))
        try_all(connecting);
    else
        libvirt_error_set_errno(&connecting->error, errno, "cannot act for user %u",
                                (unsigned)connecting->as.uid);
    main_invoke(tell, connecting, NULL);
    return NULL;
}

struct connecting *connect_start(const char *const *paths, const struct connect_as *as,
                                 connect_done done, gpointer opaque)
{
    struct connecting *connecting = g_new0(struct connecting, 1);
    g_autoptr(GError) failed = NULL;
    GThread *thread;

    connecting->fd = -1;
    connecting->done = done;
    connecting->opaque = opaque;
    connecting->paths = g_strdupv((GStrv)(uintptr_t)paths);
    connecting->as = *as;
    connecting->as.groups = g_array_copy(as->groups);
    if (as->uid == geteuid()) {
        try_all(connecting);
        tell(connecting);
        return NULL;
    }
    thread = g_thread_try_new("connect", run, connecting, &failed);
    if (!thread) {
        libvirt_error_set(&connecting->error, VIR_ERR_INTERNAL_ERROR, "cannot make a thread: %s",
                          failed->message);
        tell(connecting);
        return NULL;
    }
    g_thread_unref(thread);
    return connecting;
}

void connect_cancel(struct connecting *connecting)
{
    connecting->done = NULL;
}
