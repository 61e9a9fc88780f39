/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watches: what calls, what ends them, and when what they hold is released. */
#include "libvirt-driver/watch.h"

#include <unistd.h>

#include "libvirt-driver/util.h"
#include "tests/unit/tap.h"

/* One end of a pipe, watched. */
struct end {
    struct watches *watches;
    int fds[2];
    guint64 id;
    guint64 also; /* ended by the first call; 0: none */
    bool goes_on;
    int calls;
    int released;
};

static bool on_readable(gpointer data)
{
    struct end *end = data;
    char byte;

    end->calls++;
    watch_end(end->watches, end->also);
    if (read(end->fds[0], &byte, 1) <= 0)
        return false;
    return end->goes_on;
}

static void on_release(gpointer data)
{
    ((struct end *)data)->released++;
}

static void end_open(struct end *end, struct watches *watches, bool goes_on)
{
    *end = (struct end){.watches = watches, .goes_on = goes_on};
    check(pipe(end->fds) == 0);
    end->id = watch_begin(watches, end->fds[0], on_readable, end, on_release, NULL);
    check(end->id != 0);
}

static void end_write(const struct end *end)
{
    check(write(end->fds[1], "", 1) == 1);
}

static void end_close(struct end *end)
{
    close(end->fds[0]);
    close_fdp(&end->fds[1]);
}

/* Until there is nothing more to do. */
static void run_loop(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static void test_calls_while_there_is_something(void)
{
    struct watches *watches = watches_new(NULL);
    struct end end;

    end_open(&end, watches, true);
    run_loop();
    check_int(end.calls, 0);
    end_write(&end);
    end_write(&end);
    run_loop();
    check_int(end.calls, 2);
    watch_end(watches, end.id);
    check_int(end.released, 1);
    end_write(&end);
    run_loop();
    check_int(end.calls, 2);
    watch_end(watches, end.id);
    check_int(end.released, 1);
    watches_free(watches);
    end_close(&end);
}

static void test_ends_by_itself(void)
{
    struct watches *watches = watches_new(NULL);
    struct end once;
    struct end gone;

    end_open(&once, watches, false);
    end_open(&gone, watches, true);
    end_write(&once);
    end_write(&once);
    close(gone.fds[1]);
    gone.fds[1] = -1;
    run_loop();
    check_int(once.calls, 1);
    check_int(once.released, 1);
    check_int(gone.calls, 1);
    check_int(gone.released, 1);
    watches_free(watches);
    end_close(&once);
    end_close(&gone);
}

/* Both are ready at the same time: the one that was ended is not called any more. */
static void test_one_ends_another(void)
{
    struct watches *watches = watches_new(NULL);
    struct end first;
    struct end second;

    end_open(&first, watches, true);
    end_open(&second, watches, true);
    first.also = second.id;
    second.also = first.id;
    end_write(&first);
    end_write(&second);
    run_loop();
    check_int(first.calls + second.calls, 1);
    check_int(first.released + second.released, 1);
    watches_free(watches);
    check_int(first.released + second.released, 2);
    end_close(&first);
    end_close(&second);
}

static void test_more_than_a_batch(void)
{
    struct watches *watches = watches_new(NULL);
    struct end ends[100];
    int calls = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(ends); i++) {
        end_open(&ends[i], watches, true);
        end_write(&ends[i]);
    }
    run_loop();
    watches_free(watches);
    for (gsize i = 0; i < G_N_ELEMENTS(ends); i++) {
        calls += ends[i].calls == 1 && ends[i].released == 1;
        end_close(&ends[i]);
    }
    check_int(calls, G_N_ELEMENTS(ends));
}

static void test_a_descriptor_that_cannot_be_watched(void)
{
    struct watches *watches = watches_new(NULL);
    struct end end = {.watches = watches};
    g_autoptr(GError) error = NULL;

    check(watch_begin(watches, -1, on_readable, &end, on_release, &error) == 0);
    check(error != NULL);
    check_int(end.released, 1);
    watches_free(watches);
}

/* Another thread begins and ends watches whose descriptors are always ready. */
static gpointer come_and_go(gpointer data)
{
    struct watches *watches = data;
    struct end *end = g_new(struct end, 1);

    for (int i = 0; i < 500; i++) {
        end_open(end, watches, true);
        end_write(end);
        watch_end(watches, end->id);
        watch_end(watches, end->id);
        /* Until then it may be in use. */
        while (!g_atomic_int_get(&end->released))
            g_thread_yield();
        end_close(end);
    }
    g_free(end);
    g_main_context_wakeup(NULL);
    return NULL;
}

static void test_another_thread(void)
{
    struct watches *watches = watches_new(NULL);
    struct end here;
    GThread *thread;

    end_open(&here, watches, true);
    thread = g_thread_new("other", come_and_go, watches);
    for (int i = 0; i < 500; i++) {
        end_write(&here);
        g_main_context_iteration(NULL, TRUE);
    }
    g_thread_join(thread);
    run_loop();
    check_int(here.calls, 500);
    watches_free(watches);
    check_int(here.released, 1);
    end_close(&here);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_calls_while_there_is_something),
        TAP(test_ends_by_itself),
        TAP(test_one_ends_another),
        TAP(test_more_than_a_batch),
        TAP(test_a_descriptor_that_cannot_be_watched),
        TAP(test_another_thread),
        {},
    });
}
