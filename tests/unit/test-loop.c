/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "tests/unit/tap.h"

struct source {
    struct loop *loop;
    struct loop_watch watch;
    int fd;
    int calls;
    struct source *victim; /* taken out by this one's callback */
    bool quits;
};

static void source_ready(void *opaque, uint32_t events)
{
    struct source *s = opaque;
    uint64_t count;

    check(events & EPOLLIN);
    check_int(read(s->fd, &count, sizeof(count)), sizeof(count));
    s->calls++;
    if (s->victim)
        loop_remove(s->loop, &s->victim->watch);
    if (s->quits)
        loop_quit(s->loop);
}

static void source_open(struct source *s, struct loop *loop)
{
    struct error err;

    *s = (struct source){.loop = loop, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    check(s->fd >= 0);
    check_int(loop_add(loop, &s->watch, s->fd, EPOLLIN, source_ready, s, &err), 0);
}

static void source_fire(struct source *s)
{
    uint64_t one = 1;

    check_int(write(s->fd, &one, sizeof(one)), sizeof(one));
}

static void source_close(struct source *s)
{
    loop_remove(s->loop, &s->watch);
    close(s->fd);
}

static void test_dispatch_and_quit(void)
{
    struct error err;
    struct loop *loop = loop_new(&err);
    struct source a;

    source_open(&a, loop);
    a.quits = true;
    source_fire(&a);
    loop_run(loop);
    check_int(a.calls, 1);
    source_close(&a);
    check_int(a.watch.fd, -1);
    loop_remove(loop, &a.watch); /* harmless */
    loop_free(loop);
}

static void test_quit_before_run(void)
{
    struct error err;
    struct loop *loop = loop_new(&err);
    struct source a;

    source_open(&a, loop);
    a.quits = true;
    source_fire(&a);
    loop_quit(loop);
    loop_run(loop);
    check_int(a.calls, 0);
    loop_run(loop); /* the quit has been spent */
    check_int(a.calls, 1);
    source_close(&a);
    loop_free(loop);
}

/* Both are ready in the same round; whichever comes first takes the other out. */
static void test_remove_in_the_same_round(void)
{
    struct error err;
    struct loop *loop = loop_new(&err);
    struct source a;
    struct source b;

    source_open(&a, loop);
    source_open(&b, loop);
    a.victim = &b;
    b.victim = &a;
    a.quits = b.quits = true;
    source_fire(&a);
    source_fire(&b);
    loop_run(loop);
    check_int(a.calls + b.calls, 1);
    source_close(&a);
    source_close(&b);
    loop_free(loop);
}

static void test_modify(void)
{
    struct error err;
    struct loop *loop = loop_new(&err);
    struct source muted;
    struct source last;

    source_open(&muted, loop);
    source_open(&last, loop);
    loop_modify(loop, &muted.watch, 0);
    source_fire(&muted);
    source_fire(&last);
    last.quits = true;
    loop_run(loop);
    check_int(muted.calls, 0);
    check_int(last.calls, 1);
    loop_modify(loop, &muted.watch, EPOLLIN);
    muted.quits = true;
    loop_run(loop);
    check_int(muted.calls, 1);
    source_close(&muted);
    source_close(&last);
    loop_free(loop);
}

static void test_add_refuses(void)
{
    struct error err = {""};
    struct loop *loop = loop_new(&err);
    struct loop_watch watch;

    check_int(loop_add(loop, &watch, 9999, EPOLLIN, source_ready, NULL, &err), -EBADF);
    check_str(err.msg, "wait for descriptor 9999: Bad file descriptor");
    check_int(watch.fd, -1);
    loop_free(loop);
}

struct caller {
    struct loop *loop;
    pthread_t ran_in;
    int *counter;
    int nested;
};

static void count_call(void *opaque)
{
    struct caller *c = opaque;

    c->ran_in = pthread_self();
    ++*c->counter;
}

static void call_again(void *opaque)
{
    struct caller *c = opaque;

    count_call(c);
    loop_call(c->loop, count_call, c); /* in the loop's own thread: a plain call */
    c->nested++;
}

static void test_call_without_thread(void)
{
    struct error err;
    struct loop *loop = loop_new(&err);
    int counter = 0;
    struct caller c = {.loop = loop, .counter = &counter};

    loop_call(loop, count_call, &c);
    check_int(counter, 1);
    check(pthread_equal(c.ran_in, pthread_self()));
    loop_free(loop);
}

static void test_call_into_thread(void)
{
    struct error err;
    struct loop *loop = loop_thread_start("a-name-longer-than-15", &err);
    int counter = 0;
    struct caller c = {.loop = loop, .counter = &counter};
    char name[16];

    check(loop != NULL);
    loop_call(loop, call_again, &c);
    check_int(counter, 2);
    check_int(c.nested, 1);
    check(!pthread_equal(c.ran_in, pthread_self()));
    check_int(pthread_getname_np(c.ran_in, name, sizeof(name)), 0);
    check_str(name, "a-name-longer-t");
    loop_thread_stop(loop);
}

#define CALLS 500

static void *call_many(void *opaque)
{
    struct caller *c = opaque;

    for (int i = 0; i < CALLS; i++)
        loop_call(c->loop, count_call, c);
    return NULL;
}

static void test_calls_from_many_threads(void)
{
    struct error err;
    struct loop *loop = loop_thread_start("many", &err);
    int counter = 0; /* not atomic: only the loop's thread may touch it */
    struct caller callers[4];
    pthread_t threads[4];

    for (int i = 0; i < 4; i++) {
        callers[i] = (struct caller){.loop = loop, .counter = &counter};
        check_int(pthread_create(&threads[i], NULL, call_many, &callers[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    check_int(counter, 4 * CALLS);
    loop_thread_stop(loop);
}

static void read_mask(void *opaque)
{
    pthread_sigmask(SIG_SETMASK, NULL, opaque);
}

static void test_thread_leaves_signals_to_main(void)
{
    struct error err;
    struct loop *loop = loop_thread_start("mask", &err);
    sigset_t mask;

    loop_call(loop, read_mask, &mask);
    check(sigismember(&mask, SIGTERM));
    check(sigismember(&mask, SIGINT));
    check(!sigismember(&mask, SIGSEGV));
    loop_thread_stop(loop);
}

struct ticks {
    struct loop *loop;
    unsigned count;
    unsigned last; /* the loop ends with this one */
};

static void tick(void *opaque)
{
    struct ticks *t = opaque;

    if (++t->count == t->last)
        loop_quit(t->loop);
}

#define MS UINT64_C(1000000)

/* Once, then again and again; out of the loop nothing comes, and it may go in again. */
static void test_timer(void)
{
    struct error err;
    struct ticks t = {.loop = loop_new(&err), .last = 1};
    struct ticks other = {.loop = t.loop, .last = 1};
    struct loop_timer timer = LOOP_TIMER_CLOSED;
    struct loop_timer end = LOOP_TIMER_CLOSED;

    check_int(loop_timer_open(&timer, &err), 0);
    check_int(loop_timer_open(&timer, &err), 0);
    check_int(loop_timer_open(&end, &err), 0);
    check_int(loop_timer_add(t.loop, &timer, tick, &t, &err), 0);
    check_int(loop_timer_set(&timer, MS, 0), 0);
    loop_run(t.loop);
    check_int(t.count, 1);

    t.last = 4;
    check_int(loop_timer_set(&timer, MS, MS), 0);
    loop_run(t.loop);
    check_int(t.count, 4);

    loop_timer_remove(t.loop, &timer);
    check_int(loop_timer_add(t.loop, &end, tick, &other, &err), 0);
    check_int(loop_timer_set(&end, 5 * MS, 0), 0);
    loop_run(t.loop);
    check_int(t.count, 4);

    /* Taken back, though it had expired long ago. */
    check_int(loop_timer_set(&timer, 0, 0), 0);
    check_int(loop_timer_add(t.loop, &timer, tick, &t, &err), 0);
    other = (struct ticks){.loop = t.loop, .last = 1};
    check_int(loop_timer_set(&end, 5 * MS, 0), 0);
    loop_run(t.loop);
    check_int(t.count, 4);

    loop_timer_remove(t.loop, &timer);
    loop_timer_remove(t.loop, &end);
    loop_timer_close(&timer);
    loop_timer_close(&timer);
    loop_timer_close(&end);
    loop_free(t.loop);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_timer),
        TAP(test_dispatch_and_quit),
        TAP(test_quit_before_run),
        TAP(test_remove_in_the_same_round),
        TAP(test_modify),
        TAP(test_add_refuses),
        TAP(test_call_without_thread),
        TAP(test_call_into_thread),
        TAP(test_calls_from_many_threads),
        TAP(test_thread_leaves_signals_to_main),
        {},
    });
}
