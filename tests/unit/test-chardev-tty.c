/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Terminals: ptys, and the one that vole was started from. */
#include "tests/unit/chardev-case.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>

/* ---- ptys ---- */

static void test_pty(void)
{
    struct front *f = front_new("pty");
    cleanup_free char *filename = NULL;
    char buf[16];
    int slave;

    check(chardev_path(f->chr) != NULL);
    filename = xasprintf("pty:%s", chardev_path(f->chr));
    check_str(chardev_filename(f->chr), filename);
    check(!chardev_is_connected(f->chr));
    for (int i = 0; i < 100; i++) /* more than a pty holds: nobody is there, nothing is kept */
        check_int(chardev_write(f->chr, f->got, 4096), 4096);

    slave = open(chardev_path(f->chr), O_RDWR | O_NOCTTY);
    check(slave >= 0);
    check_int(fcntl(slave, F_SETFL, O_NONBLOCK), 0);
    check_int(read(slave, buf, sizeof(buf)) == -1 ? errno : 0, EAGAIN);
    check_int(fcntl(slave, F_SETFL, 0), 0);
    check_int(chardev_write(f->chr, "a\nb\r\x04", 5), 5);
    check_wait(f, connects, 1);
    check_reads(slave, "a\nb\r\x04"); /* raw both ways, no echo */
    write_text(slave, "c\nd\x03");
    check_got(f, "c\nd\x03");

    close(slave);
    check_wait(f, disconnects, 1);
    check_int(chardev_write(f->chr, "lost", 4), 4);
    check(!chardev_is_connected(f->chr));
    slave = open(chardev_path(f->chr), O_RDWR | O_NOCTTY);
    check_int(chardev_write(f->chr, "again", 5), 5);
    check_wait(f, connects, 2);
    check_reads(slave, "again");
    close(slave);
    front_free(f);
}

/* Input alone tells that somebody has come. */
static void test_inherited_pty(void)
{
    int master;
    int slave;
    char spec[32];
    struct front *f;

    check_int(openpty(&master, &slave, NULL, NULL, NULL), 0);
    snprintf(spec, sizeof(spec), "fd:%d", master);
    f = front_new(spec);
    check(chardev_path(f->chr) && strncmp(chardev_path(f->chr), "/dev/pts/", 9) == 0);
    write_text(slave, "in\n");
    check_got(f, "in\n");
    check_wait(f, connects, 1);
    check_int(chardev_write(f->chr, "out\n", 4), 4);
    check_reads(slave, "out\n");
    close(slave);
    check_wait(f, disconnects, 1);
    front_free(f);
}

static void test_pty_back_pressure(void)
{
    struct front *f = front_new("pty");
    int slave = open(chardev_path(f->chr), O_RDWR | O_NOCTTY);
    static char data[8192];
    size_t sent = 0;
    size_t got = 0;
    size_t n;

    memset(data, 'p', sizeof(data));
    while ((n = chardev_write(f->chr, data, sizeof(data))) == sizeof(data))
        sent += n;
    sent += n;
    check(sent > CHARDEV_BUFFER);
    while (got < sent) {
        struct pollfd p = {.fd = slave, .events = POLLIN};
        ssize_t r;

        if (!check(poll(&p, 1, 60000) == 1))
            break;
        r = read(slave, data, sizeof(data));
        got += r > 0 ? (size_t)r : 0;
    }
    check_int(got, sent);
    check_wait(f, writables, 1);
    close(slave);
    front_free(f);
}

/* ---- the terminal vole was started from ---- */

/* In a child whose standard input and output are `fd`: echoes what comes in, in brackets, until
 * "q" or the end of it all. */
struct echo {
    struct loop *loop;
    struct chardev *chr;
};

static size_t echo_input(void *opaque, const uint8_t *data, size_t len)
{
    struct echo *e = opaque;

    chardev_write(e->chr, "[", 1);
    chardev_write(e->chr, data, len);
    chardev_write(e->chr, "]", 1);
    if (memchr(data, 'q', len))
        loop_quit(e->loop);
    return len;
}

static const struct chardev_events echo_events = {.input = echo_input};

static void echo_child(int in, int out)
{
    struct error err;
    struct echo e = {.loop = loop_new(&err)};

    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    e.chr = chardev_open("stdio", "serial0", e.loop, &err);
    if (!e.chr)
        _exit(9);
    chardev_attach(e.chr, &echo_events, &e);
    chardev_write(e.chr, "ready\n", 6);
    loop_run(e.loop);
    chardev_close(e.chr);
    loop_free(e.loop);
    _exit(0);
}

static int wait_child(pid_t pid)
{
    int status = -1;

    check_int(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_stdio_terminal(void)
{
    struct termios before;
    struct termios during;
    struct termios after;
    int master;
    int slave;
    pid_t pid;

    check_int(openpty(&master, &slave, NULL, NULL, NULL), 0);
    tcgetattr(slave, &before);
    check(before.c_lflag & ICANON);
    fflush(stdout);
    pid = fork();
    if (pid == 0)
        echo_child(slave, slave);
    check_reads(master, "ready\r\n"); /* output is still processed */
    tcgetattr(slave, &during);
    check(!(during.c_lflag & (ICANON | ECHO | ISIG)));
    check_int(fcntl(slave, F_GETFL) & O_NONBLOCK, 0); /* the shell's own file is left alone */
    write_text(master, "\x03");
    check_reads(master, "[\x03]"); /* to the guest, not a signal */
    write_text(master, "a\x01\x01");
    check_reads(master, "[a\x01]");
    write_text(master, "\x01");
    write_text(master, "bq"); /* no command: the key goes on */
    check_reads(master, "[bq]");
    check_int(wait_child(pid), 0);
    tcgetattr(slave, &after);
    check_int(after.c_lflag, before.c_lflag);
    check_int(after.c_iflag, before.c_iflag);
    close(master);
    close(slave);
}

static void test_stdio_escape_ends(void)
{
    int master;
    int slave;
    pid_t pid;
    int status;

    check_int(openpty(&master, &slave, NULL, NULL, NULL), 0);
    fflush(stdout);
    pid = fork();
    if (pid == 0)
        echo_child(slave, slave);
    check_reads(master, "ready\r\n");
    write_text(master, "\x01x");
    status = wait_child(pid);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    close(master);
    close(slave);
}

static void restore_and_exit(int sig)
{
    /* Documented as safe here. NOLINTNEXTLINE(bugprone-signal-handler) */
    chardev_restore_terminals();
    _exit(7);
}

static void test_restore_from_a_signal(void)
{
    struct termios before;
    struct termios after;
    int master;
    int slave;
    pid_t pid;

    check_int(openpty(&master, &slave, NULL, NULL, NULL), 0);
    tcgetattr(slave, &before);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        signal(SIGTERM, restore_and_exit);
        echo_child(slave, slave);
    }
    check_reads(master, "ready\r\n");
    write_text(master, "\x01x");
    check_int(WEXITSTATUS(wait_child(pid)), 7);
    tcgetattr(slave, &after);
    check_int(after.c_lflag, before.c_lflag);
    close(master);
    close(slave);
}

/* Standard input that is no terminal: no escapes, and its end is not the machine's. */
static void test_stdio_pipes(void)
{
    int to[2];
    int from[2];
    char buf[8];
    pid_t pid;

    check_int(pipe(to), 0);
    check_int(pipe(from), 0);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        close(to[1]);
        close(from[0]);
        echo_child(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    check_reads(from[0], "ready\n");
    write_text(to[1], "\x01x");
    check_reads(from[0], "[\x01x]");
    close(to[1]);
    check_int(waitpid(pid, NULL, WNOHANG), 0);
    kill(pid, SIGTERM);
    check(WIFSIGNALED(wait_child(pid)));
    check_int(read(from[0], buf, sizeof(buf)), 0);
    close(from[0]);
}

/* A file cannot be waited for, and is read all the same. */
static void test_stdio_from_file(void)
{
    cleanup_free char *path = in_folder("", "input");
    int from[2];
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    pid_t pid;

    write_text(fd, "script q");
    check_int(lseek(fd, 0, SEEK_SET), 0);
    check_int(pipe(from), 0);
    fflush(stdout);
    pid = fork();
    if (pid == 0)
        echo_child(fd, from[1]);
    check_reads(from[0], "ready\n[script q]");
    check_int(wait_child(pid), 0);
    close(fd);
    close(from[0]);
    close(from[1]);
    unlink(path);
}

int main(void)
{
    return run_in_folder((struct tap_test[]){
        TAP(test_pty),
        TAP(test_inherited_pty),
        TAP(test_pty_back_pressure),
        TAP(test_stdio_terminal),
        TAP(test_stdio_escape_ends),
        TAP(test_restore_from_a_signal),
        TAP(test_stdio_pipes),
        TAP(test_stdio_from_file),
        {},
    });
}
