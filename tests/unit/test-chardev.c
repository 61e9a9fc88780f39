/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A front end that takes what it is told to take, and the host's end of each kind. */
#include "vmm/backend/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#include "tests/unit/tap.h"

struct front {
    struct loop *loop; /* a thread */
    struct chardev *chr;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t room; /* what input() may still take */
    char got[200000];
    size_t len;
    unsigned writables;
    unsigned connects;
    unsigned disconnects;
};

static size_t on_input(void *opaque, const uint8_t *data, size_t len)
{
    struct front *f = opaque;
    size_t n;

    pthread_mutex_lock(&f->lock);
    n = MIN(len, MIN(f->room, sizeof(f->got) - f->len));
    memcpy(f->got + f->len, data, n);
    f->len += n;
    f->room -= n;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    return n;
}

static void on_writable(void *opaque)
{
    struct front *f = opaque;

    pthread_mutex_lock(&f->lock);
    f->writables++;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void on_connected(void *opaque, bool is_connected)
{
    struct front *f = opaque;

    pthread_mutex_lock(&f->lock);
    *(is_connected ? &f->connects : &f->disconnects) += 1;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static const struct chardev_events events = {
    .input = on_input,
    .writable = on_writable,
    .connected = on_connected,
};

/* Waits until `*counter` is at least `wanted`; fails after ten seconds. */
static bool wait_for(struct front *f, const void *counter, size_t size, size_t wanted)
{
    struct timespec deadline;
    bool reached;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 10;
    pthread_mutex_lock(&f->lock);
    for (int rc = 0;;) {
        reached = (size == sizeof(size_t) ? *(const size_t *)counter
                                          : *(const unsigned *)counter) >= wanted;
        if (reached || rc != 0)
            break;
        rc = pthread_cond_timedwait(&f->changed, &f->lock, &deadline);
    }
    pthread_mutex_unlock(&f->lock);
    return reached;
}

#define check_wait(f, member, wanted) \
    check(wait_for((f), &(f)->member, sizeof((f)->member), (wanted)))

static void check_got(struct front *f, const char *text)
{
    check_wait(f, len, strlen(text));
    pthread_mutex_lock(&f->lock);
    f->got[f->len] = '\0';
    check_str(f->got, text);
    f->len = 0;
    pthread_mutex_unlock(&f->lock);
}

static struct front *front_new(const char *spec)
{
    struct front *f = xcalloc(1, sizeof(*f));
    struct error err = {""};

    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    f->room = SIZE_MAX;
    f->loop = loop_thread_start("io", &err);
    f->chr = chardev_open(spec, "con0", f->loop, &err);
    check_str(err.msg, "");
    if (f->chr)
        chardev_attach(f->chr, &events, f);
    return f;
}

static void front_free(struct front *f)
{
    chardev_close(f->chr);
    loop_thread_stop(f->loop);
    free(f);
}

static void write_text(int fd, const char *text)
{
    check_int(write(fd, text, strlen(text)), strlen(text));
}

/* Reads exactly that much, waiting at most ten seconds. */
static void check_reads(int fd, const char *text)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char got[256];
    size_t len = 0;

    while (len < strlen(text) && poll(&p, 1, 10000) == 1) {
        ssize_t n = read(fd, got + len, strlen(text) - len);

        if (n <= 0)
            break;
        len += (size_t)n;
    }
    got[len] = '\0';
    check_str(got, text);
}

static int unix_connect(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    check_int(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    return fd;
}

static char folder[] = "/tmp/vole-test-XXXXXX";

static char *in_folder(const char *prefix, const char *name)
{
    return xasprintf("%s%s/%s", prefix, folder, name);
}

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

/* ---- back pressure ---- */

struct reader {
    int fd;
    size_t total;
    size_t len;
    bool intact;
};

static void *read_all(void *opaque)
{
    struct reader *r = opaque;
    uint8_t buf[5000];
    ssize_t n;

    r->intact = true;
    while (r->len < r->total && (n = read(r->fd, buf, sizeof(buf))) > 0)
        for (ssize_t i = 0; i < n; i++, r->len++)
            r->intact &= buf[i] == r->len % 251;
    return NULL;
}

static void test_full_buffer_loses_nothing(void)
{
    const size_t total = 3 * MiB;
    struct reader reader;
    pthread_t thread;
    uint8_t data[777];
    int pair[2];
    char spec[32];
    struct front *f;
    size_t sent = 0;
    unsigned seen = 0;

    check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    snprintf(spec, sizeof(spec), "fd:%d", pair[1]);
    f = front_new(spec);
    reader = (struct reader){.fd = pair[0], .total = total};
    while (sent < total) {
        size_t len = MIN(sizeof(data), total - sent);
        size_t n;

        for (size_t i = 0; i < len; i++)
            data[i] = (uint8_t)((sent + i) % 251);
        n = chardev_write(f->chr, data, len);
        sent += n;
        if (n < len) {
            if (seen == 0) { /* full; only now does anybody read */
                check(!chardev_can_write(f->chr));
                check_int(pthread_create(&thread, NULL, read_all, &reader), 0);
            }
            if (!check_wait(f, writables, seen + 1))
                break;
            seen = f->writables;
        }
    }
    check(seen > 0);
    pthread_join(thread, NULL);
    front_free(f);
    check(reader.intact);
    check_int(reader.len, total);
    close(pair[0]);
}

/* The last of it is written when the chardev is closed already, to a reader that comes late. */
static void *read_late(void *opaque)
{
    struct reader *r = opaque;
    struct timespec late = {.tv_nsec = 200000000L};

    nanosleep(&late, NULL); /* the close below is to meet a full pipe; it passes either way */
    return read_all(r);
}

static void test_close_waits_for_a_slow_reader(void)
{
    static uint8_t data[100000];
    int ends[2];
    char spec[32];
    struct reader reader;
    pthread_t thread;
    struct front *f;

    check_int(pipe(ends), 0);
    snprintf(spec, sizeof(spec), "fd:%d", ends[1]);
    f = front_new(spec);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i % 251);
    check_int(chardev_write(f->chr, data, sizeof(data)), sizeof(data));
    reader = (struct reader){.fd = ends[0], .total = sizeof(data)};
    check_int(pthread_create(&thread, NULL, read_late, &reader), 0);
    front_free(f);
    pthread_join(thread, NULL);
    check_int(reader.len, sizeof(data));
    check(reader.intact);
    close(ends[0]);
}

/* One that reads nothing at all does not keep us for ever; alarm() tells. */
static void test_close_gives_up(void)
{
    static uint8_t data[100000];
    int ends[2];
    char spec[32];
    struct front *f;

    check_int(pipe(ends), 0);
    snprintf(spec, sizeof(spec), "fd:%d", ends[1]);
    f = front_new(spec);
    check_int(chardev_write(f->chr, data, sizeof(data)), sizeof(data));
    front_free(f);
    close(ends[0]);
}

static void test_disconnect_unblocks(void)
{
    cleanup_free char *spec = in_folder("unix:", "s");
    cleanup_free char *path = in_folder("", "s");
    struct front *f = front_new(spec);
    static const char data[4096];
    int client = unix_connect(path);

    check_wait(f, connects, 1);
    while (chardev_write(f->chr, data, sizeof(data)) == sizeof(data))
        ;
    close(client);
    check_wait(f, writables, 1);
    check_wait(f, disconnects, 1);
    check_int(chardev_write(f->chr, data, sizeof(data)), sizeof(data));

    /* The next client does not get what was meant for the last one. */
    client = unix_connect(path);
    check_wait(f, connects, 2);
    check_int(chardev_write(f->chr, "fresh", 5), 5);
    check_reads(client, "fresh");
    close(client);
    front_free(f);
}

static void test_input_waits(void)
{
    int pair[2];
    char spec[32];
    struct front *f;

    check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    snprintf(spec, sizeof(spec), "fd:%d", pair[1]);
    f = front_new(spec);
    pthread_mutex_lock(&f->lock);
    f->room = 3;
    pthread_mutex_unlock(&f->lock);
    write_text(pair[0], "abcdefgh");
    check_got(f, "abc");
    for (const char *rest = "defgh"; *rest; rest++) {
        char one[2] = {*rest, '\0'};

        pthread_mutex_lock(&f->lock);
        f->room = 1;
        pthread_mutex_unlock(&f->lock);
        chardev_accept_input(f->chr);
        check_got(f, one);
    }
    chardev_accept_input(f->chr); /* nothing is held: harmless */
    front_free(f);
    close(pair[0]);
}

/* More than is read in one go, from a writer that has long ended when the guest gets to it. */
static void check_all_arrives(struct front *f, int writer)
{
    static char data[30000];

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i % 251);
    pthread_mutex_lock(&f->lock);
    f->room = 16;
    pthread_mutex_unlock(&f->lock);
    check_int(write(writer, data, sizeof(data)), sizeof(data));
    close(writer);
    for (size_t want = 16; want < sizeof(data); want += 16) {
        if (!check_wait(f, len, want))
            return;
        pthread_mutex_lock(&f->lock);
        f->room = 16;
        pthread_mutex_unlock(&f->lock);
        chardev_accept_input(f->chr);
    }
    check_wait(f, len, sizeof(data));
    check(memcmp(f->got, data, sizeof(data)) == 0);
}

static void test_input_outlives_its_writer(void)
{
    cleanup_free char *spec = in_folder("unix:", "s");
    cleanup_free char *path = in_folder("", "s");
    char fd_spec[32];
    int ends[2];
    struct front *f = front_new(spec);

    check_all_arrives(f, unix_connect(path));
    pthread_mutex_lock(&f->lock);
    f->room = SIZE_MAX;
    pthread_mutex_unlock(&f->lock);
    chardev_accept_input(f->chr);
    check_wait(f, disconnects, 1);
    front_free(f);

    check_int(pipe(ends), 0);
    snprintf(fd_spec, sizeof(fd_spec), "fd:%d", ends[0]);
    f = front_new(fd_spec);
    check_all_arrives(f, ends[1]);
    front_free(f);

    check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    snprintf(fd_spec, sizeof(fd_spec), "fd:%d", ends[0]);
    f = front_new(fd_spec);
    check_all_arrives(f, ends[1]);
    front_free(f);
}

/* The same, but the next one waited already when the first hung up. */
static void test_hang_up_with_the_next_one_waiting(void)
{
    cleanup_free char *spec = in_folder("unix:", "s");
    cleanup_free char *path = in_folder("", "s");
    struct front *f = front_new(spec);
    int first = unix_connect(path);
    int second;

    check_wait(f, connects, 1);
    pthread_mutex_lock(&f->lock);
    f->room = 0;
    pthread_mutex_unlock(&f->lock);
    write_text(first, "never read");
    second = unix_connect(path);
    check_int(f->connects, 1);
    close(first);
    check_wait(f, connects, 2);
    check_int(chardev_write(f->chr, "hello", 5), 5);
    check_reads(second, "hello");
    close(second);
    front_free(f);
}

/* A guest that reads nothing must not keep the next client out. */
static void test_hang_up_while_input_waits(void)
{
    cleanup_free char *spec = in_folder("unix:", "s");
    cleanup_free char *path = in_folder("", "s");
    struct front *f = front_new(spec);
    int client = unix_connect(path);

    check_wait(f, connects, 1);
    pthread_mutex_lock(&f->lock);
    f->room = 1;
    pthread_mutex_unlock(&f->lock);
    write_text(client, "typed ahead");
    check_got(f, "t");
    close(client);
    client = unix_connect(path);
    check_wait(f, connects, 2);
    pthread_mutex_lock(&f->lock);
    f->room = SIZE_MAX;
    pthread_mutex_unlock(&f->lock);
    chardev_accept_input(f->chr);
    check_got(f, "yped ahead");
    write_text(client, "next");
    check_got(f, "next");
    close(client);
    front_free(f);
}

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

        if (!check(poll(&p, 1, 10000) == 1))
            break;
        r = read(slave, data, sizeof(data));
        got += r > 0 ? (size_t)r : 0;
    }
    check_int(got, sent);
    check_wait(f, writables, 1);
    close(slave);
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
    int rc;

    alarm(120);
    if (!mkdtemp(folder))
        return 1;
    rc = tap_run((struct tap_test[]){
        TAP(test_specs),
        TAP(test_refused),
        TAP(test_unix_one_at_a_time),
        TAP(test_unix_replaces_only_the_dead),
        TAP(test_inherited_sockets),
        TAP(test_full_buffer_loses_nothing),
        TAP(test_close_waits_for_a_slow_reader),
        TAP(test_close_gives_up),
        TAP(test_disconnect_unblocks),
        TAP(test_input_waits),
        TAP(test_hang_up_while_input_waits),
        TAP(test_hang_up_with_the_next_one_waiting),
        TAP(test_input_outlives_its_writer),
        TAP(test_pty),
        TAP(test_inherited_pty),
        TAP(test_pty_back_pressure),
        TAP(test_file),
        TAP(test_pipes),
        TAP(test_null),
        TAP(test_detach),
        TAP(test_stdio_terminal),
        TAP(test_stdio_escape_ends),
        TAP(test_restore_from_a_signal),
        TAP(test_stdio_pipes),
        TAP(test_stdio_from_file),
        {},
    });
    rmdir(folder);
    return rc;
}
