/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int unix_address(struct sockaddr_un *un, const char *path, struct error *err)
{
    size_t len = strlen(path);

    *un = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (len == 0 || len >= sizeof(un->sun_path))
        return error_set(err, "\"%s\" cannot be a socket's path: 1 to %zu bytes can", path,
                         sizeof(un->sun_path) - 1);
    memcpy(un->sun_path, path, len + 1);
    return 0;
}

/* A process that died left its socket behind: connecting to it is refused. */
static int remove_dead_socket(const struct sockaddr_un *un, struct error *err)
{
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const char *path = un->sun_path;
    struct stat st;

    if (fd < 0)
        return error_set_errno(err, errno, "%s", path);
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "%s", path);
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, "%s: exists, and is no socket", path);
    if (connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0 || errno == EAGAIN)
        return error_set(err, "%s: another process listens there", path);
    if (errno != ECONNREFUSED)
        return error_set_errno(err, errno, "%s", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set_errno(err, errno, "remove %s", path);
    return 0;
}

int unix_listener_open(struct unix_listener *listener, const char *path, struct error *err)
{
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un un;
    struct stat st;

    *listener = UNIX_LISTENER_CLOSED;
    if (fd < 0)
        return error_set_errno(err, errno, "%s", path);
    if (unix_address(&un, path, err) < 0 || remove_dead_socket(&un, err) < 0)
        return -1;
    /* Before bind(), which gives the file the socket's mode: there is no moment in which it is
     * open to others, and no umask to change under other threads. */
    if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)&un, sizeof(un)) < 0)
        return error_set_errno(err, errno, "%s", path);
    if (listen(fd, 8) < 0 || lstat(path, &st) < 0) {
        error_set_errno(err, errno, "%s", path);
        unlink(path);
        return -1;
    }
    *listener = (struct unix_listener){
        .fd = steal_fd(&fd),
        .path = xstrdup(path),
        .dev = st.st_dev,
        .ino = st.st_ino,
    };
    return 0;
}

void unix_listener_adopt(struct unix_listener *listener, int fd)
{
    set_nonblocking(fd);
    *listener = (struct unix_listener){.fd = fd};
}

void unix_listener_close(struct unix_listener *listener)
{
    struct stat st;

    if (listener->fd >= 0)
        close(listener->fd);
    if (listener->path && lstat(listener->path, &st) == 0 && st.st_dev == listener->dev &&
        st.st_ino == listener->ino)
        unlink(listener->path);
    free(listener->path);
    *listener = UNIX_LISTENER_CLOSED;
}

int unix_listener_accept(struct unix_listener *listener)
{
    int fd;

    do
        fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0 && errno != EAGAIN)
        log_warn("accept%s%s: %s", listener->path ? " on " : "",
                 listener->path ? listener->path : "", strerror(errno));
    return fd;
}

enum socket_role socket_role(int fd)
{
    socklen_t len = sizeof(int);
    int type;
    int listening = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
        return errno == ENOTSOCK ? SOCKET_NONE : SOCKET_OTHER;
    if (type != SOCK_STREAM)
        return SOCKET_OTHER;
    len = sizeof(int);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0)
        return SOCKET_OTHER;
    if (listening)
        return SOCKET_LISTENING;
    len = 0;
    return getpeername(fd, NULL, &len) == 0 ? SOCKET_CONNECTED : SOCKET_OTHER;
}

void set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0)
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}
