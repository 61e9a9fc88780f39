/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * epoll hands back pointers to watches, a batch a round. A callback may take any watch out, also
 * one that is further down in the same batch and whose owner frees it at once; so the batch lies in
 * the loop, and loop_remove() blanks what it finds there.
 *
 * Requests from other threads (loop_call) are a queue of records on the callers' stacks; an eventfd
 * wakes the loop, and a condition variable wakes the callers.
 */
#include "vmm/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#define BATCH 32

struct call {
    void (*fn)(void *opaque);
    void *opaque;
    bool done;
    struct call *next;
};

struct loop {
    int epoll_fd;
    int wake_fd;
    struct loop_watch wake;
    atomic_bool quit;

    /* The present round; the loop's thread only. */
    struct epoll_event batch[BATCH];
    int batch_next;
    int batch_count;

    pthread_mutex_t lock; /* over all below */
    pthread_cond_t call_done;
    struct call *calls; /* in order of arrival */
    struct call **calls_tail;
    bool running;
    pthread_t thread; /* valid while running */
};

static void loop_wake_up(struct loop *loop)
{
    (void)eventfd_write(loop->wake_fd, 1); /* EAGAIN: full, so the loop is awake already */
}

/* With the lock held, which is let go while a call runs. */
static void loop_run_calls_locked(struct loop *loop)
{
    while (loop->calls) {
        struct call *call = loop->calls;

        loop->calls = call->next;
        if (!loop->calls)
            loop->calls_tail = &loop->calls;
        pthread_mutex_unlock(&loop->lock);
        call->fn(call->opaque);
        pthread_mutex_lock(&loop->lock);
        call->done = true;
        pthread_cond_broadcast(&loop->call_done);
    }
}

static void loop_woken(void *opaque, uint32_t events)
{
    struct loop *loop = opaque;
    eventfd_t count;

    (void)eventfd_read(loop->wake_fd, &count);
    pthread_mutex_lock(&loop->lock);
    loop_run_calls_locked(loop);
    pthread_mutex_unlock(&loop->lock);
}

struct loop *loop_new(struct error *err)
{
    struct loop *loop = xcalloc(1, sizeof(*loop));

    pthread_mutex_init(&loop->lock, NULL);
    pthread_cond_init(&loop->call_done, NULL);
    loop->calls_tail = &loop->calls;
    loop->wake.fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll_fd < 0 || loop->wake_fd < 0) {
        error_set_errno(err, errno, "make an event loop");
        loop_free(loop);
        return NULL;
    }
    if (loop_add(loop, &loop->wake, loop->wake_fd, EPOLLIN, loop_woken, loop, err) < 0) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    pthread_cond_destroy(&loop->call_done);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

static void loop_dispatch_round(struct loop *loop)
{
    loop->batch_count = epoll_wait(loop->epoll_fd, loop->batch, BATCH, -1);
    if (loop->batch_count < 0) {
        if (errno == EINTR)
            return;
        log_warn("epoll_wait: %s", strerror(errno));
        abort();
    }
    for (loop->batch_next = 0; loop->batch_next < loop->batch_count;) {
        const struct epoll_event *event = &loop->batch[loop->batch_next++];
        const struct loop_watch *watch = event->data.ptr;

        if (watch)
            watch->ready(watch->opaque, event->events);
    }
    loop->batch_count = 0;
}

/* `running` and `thread` are set already. */
static void loop_dispatch(struct loop *loop)
{
    while (!atomic_load(&loop->quit))
        loop_dispatch_round(loop);

    /* Nobody may wait for a loop that does not run any more. */
    pthread_mutex_lock(&loop->lock);
    loop_run_calls_locked(loop);
    loop->running = false;
    pthread_mutex_unlock(&loop->lock);
    atomic_store(&loop->quit, false);
}

void loop_run(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->running = true;
    loop->thread = pthread_self();
    pthread_mutex_unlock(&loop->lock);
    loop_dispatch(loop);
}

void loop_quit(struct loop *loop)
{
    atomic_store(&loop->quit, true);
    loop_wake_up(loop);
}

int loop_add(struct loop *loop, struct loop_watch *watch, int fd, uint32_t events,
             void (*ready)(void *opaque, uint32_t events), void *opaque, struct error *err)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    /* Before the kernel knows it: the callback may run in the loop's thread at once. */
    *watch = (struct loop_watch){.fd = fd, .ready = ready, .opaque = opaque};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        int errnum = errno;

        watch->fd = -1;
        error_set_errno(err, errnum, "wait for descriptor %d", fd);
        return -errnum;
    }
    return 0;
}

void loop_modify(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
        log_warn("cannot change what descriptor %d is watched for: %s", watch->fd, strerror(errno));
}

void loop_remove(struct loop *loop, struct loop_watch *watch)
{
    if (watch->fd < 0)
        return;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->fd = -1;
    for (int i = loop->batch_next; i < loop->batch_count; i++)
        if (loop->batch[i].data.ptr == watch)
            loop->batch[i].data.ptr = NULL;
}

/* ---- timers ---- */

int loop_timer_open(struct loop_timer *timer, struct error *err)
{
    if (timer->fd < 0)
        timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return timer->fd < 0 ? error_set_errno(err, errno, "make a timer") : 0;
}

void loop_timer_close(struct loop_timer *timer)
{
    if (timer->fd >= 0)
        close(timer->fd);
    timer->fd = -1;
}

static void timer_ready(void *opaque, uint32_t events)
{
    struct loop_timer *timer = opaque;
    uint64_t count;

    (void)events;
    /* One that was set anew meanwhile has nothing to read. */
    if (read(timer->fd, &count, sizeof(count)) == sizeof(count))
        timer->expired(timer->opaque);
}

int loop_timer_add(struct loop *loop, struct loop_timer *timer, void (*expired)(void *opaque),
                   void *opaque, struct error *err)
{
    timer->expired = expired;
    timer->opaque = opaque;
    return loop_add(loop, &timer->watch, timer->fd, EPOLLIN, timer_ready, timer, err);
}

void loop_timer_remove(struct loop *loop, struct loop_timer *timer)
{
    loop_remove(loop, &timer->watch);
}

int loop_timer_attach(struct loop *loop, struct loop_timer *timer, void (*expired)(void *opaque),
                      void *opaque, struct error *err)
{
    if (loop_timer_open(timer, err) < 0)
        return -1;
    if (loop_timer_add(loop, timer, expired, opaque, err) == 0)
        return 0;
    loop_timer_close(timer);
    return -1;
}

void loop_timer_detach(struct loop *loop, struct loop_timer *timer)
{
    loop_timer_remove(loop, timer);
    loop_timer_close(timer);
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000),
                             .tv_nsec = (long)(ns % 1000000000)};
}

int loop_timer_set(struct loop_timer *timer, uint64_t ns, uint64_t interval_ns)
{
    const struct itimerspec when = {.it_value = timespec_of(ns),
                                    .it_interval = timespec_of(interval_ns)};

    return timerfd_settime(timer->fd, 0, &when, NULL) < 0 ? -errno : 0;
}

/* ---- calls from other threads ---- */

bool loop_is_here(struct loop *loop)
{
    bool here;

    pthread_mutex_lock(&loop->lock);
    here = !loop->running || pthread_equal(loop->thread, pthread_self());
    pthread_mutex_unlock(&loop->lock);
    return here;
}

void loop_call(struct loop *loop, void (*fn)(void *opaque), void *opaque)
{
    struct call call = {.fn = fn, .opaque = opaque};

    pthread_mutex_lock(&loop->lock);
    if (!loop->running || pthread_equal(loop->thread, pthread_self())) {
        pthread_mutex_unlock(&loop->lock);
        fn(opaque);
        return;
    }
    *loop->calls_tail = &call;
    /* cppcheck-suppress autoVariables ; it is off the list when we return */
    loop->calls_tail = &call.next;
    loop_wake_up(loop);
    while (!call.done)
        pthread_cond_wait(&loop->call_done, &loop->lock);
    pthread_mutex_unlock(&loop->lock);
}

static void *loop_thread_main(void *opaque)
{
    struct loop *loop = opaque;

    /* Until loop_thread_start() has written down which thread this is. */
    pthread_mutex_lock(&loop->lock);
    pthread_mutex_unlock(&loop->lock);
    loop_dispatch(loop);
    return NULL;
}

/* Signals are the main thread's; but for those that mean a crash of the thread itself. */
static int create_thread_without_signals(pthread_t *thread, void *(*fn)(void *), void *opaque)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t block;
    sigset_t saved;
    int rc;

    sigfillset(&block);
    for (size_t i = 0; i < ARRAY_SIZE(crashes); i++)
        sigdelset(&block, crashes[i]);
    pthread_sigmask(SIG_SETMASK, &block, &saved);
    rc = pthread_create(thread, NULL, fn, opaque);
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    return rc;
}

struct loop *loop_thread_start(const char *name, struct error *err)
{
    struct loop *loop = loop_new(err);
    char short_name[16];
    int rc;

    if (!loop)
        return NULL;
    pthread_mutex_lock(&loop->lock);
    loop->running = true;
    rc = create_thread_without_signals(&loop->thread, loop_thread_main, loop);
    if (rc == 0) {
        snprintf(short_name, sizeof(short_name), "%s", name);
        pthread_setname_np(loop->thread, short_name);
    }
    pthread_mutex_unlock(&loop->lock);
    if (rc != 0) {
        error_set_errno(err, rc, "start thread %s", name);
        loop_free(loop);
        return NULL;
    }
    return loop;
}

void loop_thread_stop(struct loop *loop)
{
    pthread_t thread;

    if (!loop)
        return;
    thread = loop->thread;
    loop_quit(loop);
    pthread_join(thread, NULL);
    loop_free(loop);
}
