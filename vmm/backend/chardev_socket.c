/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stream sockets: a listening one with one client at a time, or a single connection. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vmm/backend/chardev_priv.h"

/* Inherited sockets may be shared, so that not waiting is asked for with each call. */
static ssize_t socket_read(struct chardev *chr, void *buf, size_t len)
{
    ssize_t n;

    do
        n = recv(chr->in_fd, buf, len, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static ssize_t socket_write(struct chardev *chr, const void *buf, size_t len)
{
    ssize_t n;

    do
        n = send(chr->out_fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void connection_ended(struct chardev *chr)
{
    int fd = chardev_take_client(chr);

    if (fd >= 0)
        close(fd);
}

static const struct chardev_ops connection_ops = {
    .read = socket_read,
    .write = socket_write,
    .hung_up = connection_ended,
};

int chardev_adopt_socket(struct chardev *chr, int fd, struct error *err)
{
    chr->ops = &connection_ops;
    chr->in_fd = chr->out_fd = fd;
    chr->connected = true;
    return 0;
}

/* ---- listening ---- */

/*
 * A client that hung up keeps its place until the guest has read what it sent, as long as nobody
 * else wants it. Then it has to go, unread bytes or not: a guest that reads nothing must not keep
 * everybody out.
 */
static void accept_next(struct chardev *chr)
{
    int fd;

    if (chr->in_fd >= 0 && !chardev_lingers(chr))
        return; /* the next one waits */
    fd = unix_listener_accept(&chr->listener);
    if (fd < 0)
        return;
    if (chr->in_fd >= 0)
        connection_ended(chr);
    chardev_client(chr, fd);
}

static void client_waits(void *opaque, uint32_t events)
{
    accept_next(opaque);
}

static void client_ended(struct chardev *chr)
{
    connection_ended(chr);
    accept_next(chr);
}

/* Edge-triggered as well: those that wait are taken when the one before them goes. */
static void listener_start(struct chardev *chr)
{
    struct error err;

    if (loop_add(chr->loop, &chr->listen_watch, chr->listener.fd, EPOLLIN | EPOLLET, client_waits,
                 chr, &err) < 0)
        log_warn("%s: %s", chr->label, err.msg);
}

static void listener_stop(struct chardev *chr)
{
    loop_remove(chr->loop, &chr->listen_watch);
}

static void listener_close(struct chardev *chr)
{
    unix_listener_close(&chr->listener);
}

static const struct chardev_ops listener_ops = {
    .read = socket_read,
    .write = socket_write,
    .hung_up = client_ended,
    .lingers = accept_next,
    .start = listener_start,
    .stop = listener_stop,
    .close = listener_close,
};

int chardev_open_unix(struct chardev *chr, const char *arg, struct error *err)
{
    chr->ops = &listener_ops;
    chr->filename = xasprintf("unix:%s,server=on", arg);
    return unix_listener_open(&chr->listener, arg, err);
}

int chardev_adopt_listener(struct chardev *chr, int fd, struct error *err)
{
    struct sockaddr_un un = {0};
    socklen_t len = sizeof(un) - 1; /* leaves an end to the path */

    chr->ops = &listener_ops;
    unix_listener_adopt(&chr->listener, fd);
    if (getsockname(fd, (struct sockaddr *)&un, &len) == 0 && un.sun_family == AF_UNIX &&
        un.sun_path[0])
        chr->filename = xasprintf("unix:%s,server=on", un.sun_path);
    return 0;
}
