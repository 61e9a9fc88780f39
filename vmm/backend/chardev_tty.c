/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Terminals: the one vole was started from, pseudo-terminals of our own, inherited ones.
 *
 * A pty's master reports a hang-up for as long as nobody has the slave open, and nothing at all
 * when somebody opens it. So whether a writer has a reader is asked with poll() before a byte is
 * written to a terminal that had none so far; the end of a connection comes as an edge.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <sys/stat.h>
#include <termios.h>

#include "vmm/backend/chardev_priv.h"

/* ---- what is not ours alone, and has to be put back ---- */

/*
 * A fatal signal must find it, so this is the one table of the process. An entry is complete before
 * it is marked as changed.
 */
static struct shared_file {
    atomic_int state; /* SHARED_* */
    int fd;
    int flags;              /* of the open file, or -1: not changed */
    bool raw;               /* the terminal's settings were changed */
    struct termios termios; /* what they were */
} shared_files[8];

enum {
    SHARED_FREE,
    SHARED_CLAIMED,
    SHARED_CHANGED,
};

static struct shared_file *claim_entry(int fd, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(shared_files); i++) {
        struct shared_file *s = &shared_files[i];
        int expected = SHARED_FREE;

        if (atomic_compare_exchange_strong(&s->state, &expected, SHARED_CLAIMED)) {
            s->fd = fd;
            s->flags = -1;
            s->raw = false;
            return s;
        }
    }
    error_set(err, "more than %zu terminals", ARRAY_SIZE(shared_files));
    return NULL;
}

static void restore(struct shared_file *s)
{
    int expected = SHARED_CHANGED;

    if (!atomic_compare_exchange_strong(&s->state, &expected, SHARED_CLAIMED))
        return;
    if (s->raw)
        tcsetattr(s->fd, TCSANOW, &s->termios);
    if (s->flags >= 0)
        fcntl(s->fd, F_SETFL, s->flags);
    atomic_store(&s->state, SHARED_FREE);
}

/* Before `fd` is closed. */
static void restore_fd(int fd)
{
    for (size_t i = 0; i < ARRAY_SIZE(shared_files); i++)
        if (shared_files[i].fd == fd)
            restore(&shared_files[i]);
}

void chardev_restore_terminals(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(shared_files); i++)
        restore(&shared_files[i]);
}

static int make_raw(int fd, struct error *err)
{
    struct shared_file *s = claim_entry(fd, err);
    struct termios raw;

    if (!s)
        return -1;
    if (tcgetattr(fd, &s->termios) < 0) {
        atomic_store(&s->state, SHARED_FREE);
        return error_set_errno(err, errno, "read the terminal's settings");
    }
    raw = s->termios;
    s->raw = true;
    atomic_store(&s->state, SHARED_CHANGED);
    cfmakeraw(&raw);
    raw.c_oflag |= OPOST; /* our own lines of text still begin at the left */
    if (tcsetattr(fd, TCSANOW, &raw) < 0)
        return error_set_errno(err, errno, "set the terminal to raw mode");
    return 0;
}

static int make_nonblocking(int fd, struct error *err)
{
    struct shared_file *s = claim_entry(fd, err);

    if (!s)
        return -1;
    s->flags = fcntl(fd, F_GETFL);
    atomic_store(&s->state, SHARED_CHANGED);
    set_nonblocking(fd);
    return 0;
}

/* ---- standard input and output ---- */

/*
 * A descriptor of our own for what `fd` is open on, non-blocking. O_NONBLOCK belongs to the open
 * file, which we share with the shell and everything else on the terminal, so a terminal or a pipe
 * is opened anew. Where that is refused (another user's terminal) or cannot be done (a socket), the
 * mode is shared until we end. Returns -1 with `err` set.
 */
static int private_copy(int fd, int mode, struct error *err)
{
    cleanup_close int copy = -1;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_set_errno(err, errno, "descriptor %d", fd);
    copy = reopen_nonblocking(fd, mode);
    if (copy >= 0)
        return steal_fd(&copy);
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return error_set_errno(err, errno, "descriptor %d", fd);
    if (!S_ISREG(st.st_mode) && make_nonblocking(copy, err) < 0)
        return -1;
    return steal_fd(&copy);
}

/* The end of standard input: nothing more comes, and that is all. */
static void input_ended(struct chardev *chr)
{
    loop_remove(chr->loop, &chr->in_watch);
    restore_fd(chr->in_fd);
    close(chr->in_fd);
    chr->in_fd = -1;
}

static void tty_close(struct chardev *chr)
{
    restore_fd(chr->in_fd);
    restore_fd(chr->out_fd);
}

static const struct chardev_ops stdio_ops = {
    .read = chardev_plain_read,
    .write = chardev_plain_write,
    .hung_up = input_ended,
    .close = tty_close,
};

int chardev_open_stdio(struct chardev *chr, const char *arg, struct error *err)
{
    chr->ops = &stdio_ops;
    chr->filename = xstrdup("stdio");
    chr->connected = true;
    chr->out_fd = private_copy(STDOUT_FILENO, O_WRONLY, err);
    if (chr->out_fd < 0)
        return error_prefix(err, "standard output");
    /* Started without standard input there is no input, which is no reason not to run. */
    if (fcntl(STDIN_FILENO, F_GETFD) < 0)
        return 0;
    chr->in_fd = private_copy(STDIN_FILENO, O_RDONLY, err);
    if (chr->in_fd < 0)
        return error_prefix(err, "standard input");
    if (!isatty(chr->in_fd))
        return 0;
    chr->escapes = true;
    return make_raw(chr->in_fd, err);
}

/* An inherited terminal that is no pty's master. */
int chardev_adopt_tty(struct chardev *chr, int fd, struct error *err)
{
    chr->ops = &stdio_ops;
    chr->connected = true;
    chr->in_fd = fd;
    chr->out_fd = private_copy(fd, O_WRONLY, err);
    if (chr->out_fd < 0 || make_nonblocking(fd, err) < 0 || make_raw(chr->out_fd, err) < 0)
        return -1;
    return 0;
}

/* ---- pseudo-terminals ---- */

static bool pty_probe(struct chardev *chr)
{
    struct pollfd p = {.fd = chr->out_fd};

    return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

/* EIO is a master without a slave; it may come back. */
static ssize_t pty_read(struct chardev *chr, void *buf, size_t len)
{
    ssize_t n = chardev_plain_read(chr, buf, len);

    return n == -EIO || n == 0 ? -EAGAIN : n;
}

static const struct chardev_ops pty_ops = {
    .read = pty_read,
    .write = chardev_plain_write,
    .probe = pty_probe,
};

int chardev_adopt_pty(struct chardev *chr, int fd, struct error *err)
{
    struct termios raw;
    char path[64];

    chr->ops = &pty_ops;
    chr->in_fd = chr->out_fd = fd;
    set_nonblocking(fd);
    if (ptsname_r(fd, path, sizeof(path)) != 0)
        return error_set_errno(err, errno, "find the pty's name");
    /* Of the slave, which shares them: bytes go through as they are, and no echo of ours comes back
     * as input. */
    if (tcgetattr(fd, &raw) < 0)
        return error_set_errno(err, errno, "%s", path);
    cfmakeraw(&raw);
    if (tcsetattr(fd, TCSANOW, &raw) < 0)
        return error_set_errno(err, errno, "%s", path);
    chr->path = xstrdup(path);
    chr->filename = xasprintf("pty:%s", path);
    return 0;
}

int chardev_open_pty(struct chardev *chr, const char *arg, struct error *err)
{
    int master;
    int slave;

    if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
        return error_set_errno(err, errno, "make a pty");
    /* Open once and closed again: from now on the master knows that nobody is there. */
    close(slave);
    fcntl(master, F_SETFD, FD_CLOEXEC);
    return chardev_adopt_pty(chr, master, err);
}
