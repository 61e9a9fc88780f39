/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files, pipes, nothing; and inherited descriptors, which may be any of the kinds. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "vmm/backend/chardev_priv.h"

static void input_ended(struct chardev *chr)
{
    loop_remove(chr->loop, &chr->in_watch);
    close(chr->in_fd);
    chr->in_fd = -1;
}

static const struct chardev_ops input_ops = {
    .read = chardev_plain_read,
    .hung_up = input_ended,
};

static const struct chardev_ops output_ops = {
    .write = chardev_plain_write,
};

static const struct chardev_ops null_ops = {NULL};

int chardev_open_null(struct chardev *chr, const char *arg, struct error *err)
{
    chr->ops = &null_ops;
    chr->filename = xstrdup("null");
    return 0;
}

int chardev_open_file(struct chardev *chr, const char *arg, struct error *err)
{
    /* O_NONBLOCK for a path that is no file but a pipe or a terminal. */
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

    chr->ops = &output_ops;
    chr->out_fd = open(arg, flags, 0600);
    if (chr->out_fd < 0)
        return error_set_errno(err, errno, "%s", arg);
    chr->filename = xasprintf("file:%s", arg);
    chr->connected = true;
    return 0;
}

/* A pipe, a file, or a device that is no terminal: one direction. */
static int adopt_stream(struct chardev *chr, int fd, struct error *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return error_set_errno(err, errno, "read the descriptor's mode");
    set_nonblocking(fd);
    if ((flags & O_ACCMODE) == O_RDONLY) {
        chr->ops = &input_ops;
        chr->in_fd = fd;
    } else {
        chr->ops = &output_ops;
        chr->out_fd = fd;
        chr->connected = true;
    }
    return 0;
}

static int adopt(struct chardev *chr, int fd, struct error *err)
{
    unsigned pty_number;
    struct stat st;

    switch (socket_role(fd)) {
    case SOCKET_LISTENING:
        return chardev_adopt_listener(chr, fd, err);
    case SOCKET_CONNECTED:
        return chardev_adopt_socket(chr, fd, err);
    case SOCKET_OTHER:
        return error_set(err, "is a socket, but neither a listening nor a connected stream");
    case SOCKET_NONE:
        break;
    }
    if (ioctl(fd, TIOCGPTN, &pty_number) == 0)
        return chardev_adopt_pty(chr, fd, err);
    if (isatty(fd))
        return chardev_adopt_tty(chr, fd, err);
    if (fstat(fd, &st) < 0)
        return error_set_errno(err, errno, "find out what it is");
    if (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode) || S_ISCHR(st.st_mode))
        return adopt_stream(chr, fd, err);
    return error_set(err, "is neither a terminal, nor a socket, a pipe or a file");
}

int chardev_open_fd(struct chardev *chr, const char *arg, struct error *err)
{
    cleanup_free char *spec = xasprintf("fd:%s", arg);
    int fd = inherit_fd(spec, err);

    if (fd < 0)
        return -1;
    if (adopt(chr, fd, err) < 0)
        return error_prefix(err, "%s", spec);
    if (!chr->filename)
        chr->filename = xstrdup(spec);
    return 0;
}
