/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For the tests of chardevs: a front end that takes what it is told to take, the host's end of each
 * kind, and a main() of tests with a folder of their own.
 */
#ifndef VOLE_TESTS_CHARDEV_CASE_H
#define VOLE_TESTS_CHARDEV_CASE_H

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "tests/unit/tap.h"
#include "vmm/backend/chardev.h"

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

static inline size_t on_input(void *opaque, const uint8_t *data, size_t len)
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

static inline void on_writable(void *opaque)
{
    struct front *f = opaque;

    pthread_mutex_lock(&f->lock);
    f->writables++;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static inline void on_connected(void *opaque, bool is_connected)
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

/* Waits until `*counter` is at least `wanted`; fails after a minute. */
static inline bool wait_for(struct front *f, const void *counter, size_t size, size_t wanted)
{
    struct timespec deadline;
    bool reached;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 60;
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

static inline void check_got(struct front *f, const char *text)
{
    check_wait(f, len, strlen(text));
    pthread_mutex_lock(&f->lock);
    f->got[f->len] = '\0';
    check_str(f->got, text);
    f->len = 0;
    pthread_mutex_unlock(&f->lock);
}

static inline struct front *front_new(const char *spec)
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

static inline void front_free(struct front *f)
{
    chardev_close(f->chr);
    loop_thread_stop(f->loop);
    free(f);
}

static inline void write_text(int fd, const char *text)
{
    check_int(write(fd, text, strlen(text)), strlen(text));
}

/* Reads exactly that much, waiting at most a minute. */
static inline void check_reads(int fd, const char *text)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char got[256];
    size_t len = 0;

    while (len < strlen(text) && poll(&p, 1, 60000) == 1) {
        ssize_t n = read(fd, got + len, strlen(text) - len);

        if (n <= 0)
            break;
        len += (size_t)n;
    }
    got[len] = '\0';
    check_str(got, text);
}

static inline int unix_connect(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    check_int(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    return fd;
}

static char folder[] = "/tmp/vole-test-XXXXXX";

static inline char *in_folder(const char *prefix, const char *name)
{
    return xasprintf("%s%s/%s", prefix, folder, name);
}

static inline int run_in_folder(struct tap_test *tests)
{
    int rc;

    alarm(300);
    if (!mkdtemp(folder))
        return 1;
    rc = tap_run(tests);
    rmdir(folder);
    return rc;
}

#endif
