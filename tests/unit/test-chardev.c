/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a chardev can be: sockets, files, pipes, nothing. */
#include "tests/unit/chardev-case.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

/* ---- specs ---- */

static void test_specs(void)
{
    static const char *const good[] = {"stdio",   "pty",    "null", "none",
                                       "unix:/a", "file:b", "fd:3", "file:a:b"};
    static const char *const bad[] = {
        "", "stdi", "stdio:", "pty:x", "unix", "unix:", "file", "fd", "fd:", "tcp:x", ":"};
    struct error err;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        check_int(chardev_check_spec(good[i], &err), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (!check_int(chardev_check_spec(bad[i], &err), -1))
            printf("# \"%s\"\n", bad[i]);
}

static void test_refused(void)
{
    cleanup_free char *file = in_folder("", "plain");
    cleanup_free char *on_file = in_folder("unix:", "plain");
    cleanup_free char *too_long = xasprintf("unix:%0200d", 0);
    struct error err;
    struct loop *loop = loop_new(&err);
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    int dir = open("/", O_RDONLY | O_DIRECTORY);
    char spec[32];

    check(chardev_open("fd:999", "con0", loop, &err) == NULL);
    check_str(err.msg, "con0: fd:999: vole was started without such an open descriptor");
    check(chardev_open("fd:x", "con0", loop, &err) == NULL);
    check_str(err.msg, "con0: \"fd:x\" is not fd:N, the number of a descriptor");
    check(chardev_open("file:/nonexistent/x", "con0", loop, &err) == NULL);
    check_str(err.msg, "con0: /nonexistent/x: No such file or directory");
    check(chardev_open("unix:/nonexistent/x", "con0", loop, &err) == NULL);
    check_str(err.msg, "con0: /nonexistent/x: No such file or directory");
    check(chardev_open(too_long, "con0", loop, &err) == NULL);
    check(strstr(err.msg, "cannot be a socket's path: 1 to 107 bytes can") != NULL);
    close(open(file, O_WRONLY | O_CREAT, 0600));
    check(chardev_open(on_file, "con0", loop, &err) == NULL);
    check(strstr(err.msg, "exists, and is no socket") != NULL);
    unlink(file);
    snprintf(spec, sizeof(spec), "fd:%d", udp);
    check(chardev_open(spec, "con0", loop, &err) == NULL);
    check(strstr(err.msg, "is a socket, but neither a listening nor a connected stream") != NULL);
    snprintf(spec, sizeof(spec), "fd:%d", dir);
    check(chardev_open(spec, "con0", loop, &err) == NULL);
    check(strstr(err.msg, "is neither a terminal, nor a socket, a pipe or a file") != NULL);
    close(udp);
    close(dir);
    loop_free(loop);
}

/* ---- sockets ---- */

static void test_unix_one_at_a_time(void)
{
    cleanup_free char *spec = in_folder("unix:", "s");
    cleanup_free char *path = in_folder("", "s");
    struct front *f = front_new(spec);
    struct stat st;
    int first;
    int second;

    check_int(stat(path, &st), 0);
    check_int(st.st_mode & 0777, 0600);
    check(!chardev_is_connected(f->chr));
    check_int(chardev_write(f->chr, "into the void", 13), 13);

    first = unix_connect(path);
    check_wait(f, connects, 1);
    second = unix_connect(path); /* waits */
    write_text(second, "second");
    check_int(chardev_write(f->chr, "hello", 5), 5);
    check_reads(first, "hello");
    write_text(first, "first");
    check_got(f, "first");

    close(first);
    check_wait(f, connects, 2);
    check_int(f->disconnects, 1);
    check_got(f, "second");
    check_int(chardev_write(f->chr, "you", 3), 3);
    check_reads(second, "you");
    close(second);
    check_wait(f, disconnects, 2);
    check(!chardev_is_connected(f->chr));
    front_free(f);
    check_int(stat(path, &st), -1); /* removed */
}

static void test_unix_replaces_only_the_dead(void)
{
    cleanup_free char *spec = in_folder("unix:", "s");
    cleanup_free char *path = in_folder("", "s");
    struct error err;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    struct front *f;

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    check_int(bind(dead, (struct sockaddr *)&un, sizeof(un)), 0);
    close(dead);
    f = front_new(spec);
    check(chardev_open(spec, "con1", f->loop, &err) == NULL);
    check(strstr(err.msg, "another process listens there") != NULL);
    close(unix_connect(path)); /* the first one still serves */
    /* Somebody else has the path by now: it is not ours to remove. */
    unlink(path);
    dead = socket(AF_UNIX, SOCK_STREAM, 0);
    check_int(bind(dead, (struct sockaddr *)&un, sizeof(un)), 0);
    front_free(f);
    check_int(unlink(path), 0);
    close(dead);
}

static void test_inherited_sockets(void)
{
    cleanup_free char *path = in_folder("", "l");
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    int pair[2];
    char spec[32];
    cleanup_free char *filename = xasprintf("unix:%s,server=on", path);
    struct front *f;
    int client;

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    check_int(bind(listener, (struct sockaddr *)&un, sizeof(un)), 0);
    check_int(listen(listener, 1), 0);
    snprintf(spec, sizeof(spec), "fd:%d", listener);
    f = front_new(spec);
    check_str(chardev_filename(f->chr), filename);
    check_str(chardev_label(f->chr), "con0");
    client = unix_connect(path);
    write_text(client, "x");
    check_got(f, "x");
    close(client);
    front_free(f);
    check_int(unlink(path), 0); /* not ours to remove */

    check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    snprintf(spec, sizeof(spec), "fd:%d", pair[1]);
    f = front_new(spec);
    check(chardev_is_connected(f->chr));
    write_text(pair[0], "in");
    check_got(f, "in");
    check_int(chardev_write(f->chr, "out", 3), 3);
    check_reads(pair[0], "out");
    close(pair[0]);
    check_wait(f, disconnects, 1);
    check_int(chardev_write(f->chr, "gone", 4), 4);
    front_free(f);
}

/* ---- files, pipes, nothing ---- */

static void test_file(void)
{
    cleanup_free char *spec = in_folder("file:", "log");
    cleanup_free char *path = in_folder("", "log");
    struct front *f;
    struct stat st;
    int fd;

    for (int i = 0; i < 2; i++) {
        f = front_new(spec);
        check(chardev_is_connected(f->chr));
        check_int(chardev_write(f->chr, "line\n", 5), 5);
        front_free(f);
    }
    check_int(stat(path, &st), 0);
    check_int(st.st_mode & 0777, 0600);
    fd = open(path, O_RDONLY);
    check_reads(fd, "line\nline\n");
    close(fd);
    unlink(path);
}

static void test_pipes(void)
{
    int pipes[2];
    char spec[32];
    struct front *f;

    check_int(pipe(pipes), 0);
    snprintf(spec, sizeof(spec), "fd:%d", pipes[0]);
    f = front_new(spec);
    write_text(pipes[1], "through a pipe");
    check_got(f, "through a pipe");
    check_int(chardev_write(f->chr, "nowhere", 7), 7);
    close(pipes[1]);
    front_free(f);

    signal(SIGPIPE, SIG_IGN);
    check_int(pipe(pipes), 0);
    snprintf(spec, sizeof(spec), "fd:%d", pipes[1]);
    f = front_new(spec);
    check_int(chardev_write(f->chr, "out", 3), 3);
    check_reads(pipes[0], "out");
    close(pipes[0]);
    check_int(chardev_write(f->chr, "gone", 4), 4);
    front_free(f);
    signal(SIGPIPE, SIG_DFL);
}

static void test_null(void)
{
    struct front *f = front_new("null");

    check_int(chardev_write(f->chr, f->got, sizeof(f->got)), sizeof(f->got));
    check(chardev_can_write(f->chr));
    check(!chardev_is_connected(f->chr));
    check_str(chardev_filename(f->chr), "null");
    front_free(f);
}

/* A chardev that was detached needs its loop no more. */
static void test_detach(void)
{
    cleanup_free char *spec = in_folder("unix:", "s");
    struct front *f = front_new(spec);
    struct loop *loop = f->loop;
    cleanup_free char *path = in_folder("", "s");
    int client = unix_connect(path);

    check_wait(f, connects, 1);
    chardev_attach(f->chr, NULL, NULL);
    loop_thread_stop(loop);
    check_int(chardev_write(f->chr, "bye", 3), 3);
    chardev_accept_input(f->chr);
    chardev_close(f->chr);
    check_reads(client, "bye");
    close(client);
    free(f);
}

int main(void)
{
    return run_in_folder((struct tap_test[]){
        TAP(test_specs),
        TAP(test_refused),
        TAP(test_unix_one_at_a_time),
        TAP(test_unix_replaces_only_the_dead),
        TAP(test_inherited_sockets),
        TAP(test_file),
        TAP(test_pipes),
        TAP(test_null),
        TAP(test_detach),
        {},
    });
}
