/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is slow, on either side, holds up the other and loses nothing. */
#include "tests/unit/chardev-case.h"

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

int main(void)
{
    return run_in_folder((struct tap_test[]){
        TAP(test_full_buffer_loses_nothing),
        TAP(test_close_waits_for_a_slow_reader),
        TAP(test_close_gives_up),
        TAP(test_disconnect_unblocks),
        TAP(test_input_waits),
        TAP(test_hang_up_while_input_waits),
        TAP(test_hang_up_with_the_next_one_waiting),
        TAP(test_input_outlives_its_writer),
        {},
    });
}
