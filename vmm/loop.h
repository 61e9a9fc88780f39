/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An event loop over epoll. One thread runs a loop; a process has several (the main one, and one
 * for each virtio device that moves data). Watches belong to the caller and are embedded in its
 * own structs, so that adding one allocates nothing.
 *
 * Only the thread that runs the loop may delete or modify a watch, because only it knows that the
 * callback is not running; another thread asks for that through loop_call(). Adding is allowed
 * from anywhere.
 */
#ifndef VOLE_LOOP_H
#define VOLE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "vmm/util.h"

struct loop;

struct loop_watch {
    int fd; /* -1 while not in a loop */
    void (*ready)(void *opaque, uint32_t events);
    void *opaque;
};

/* Returns NULL with `err` set when the kernel gives no descriptor. */
struct loop *loop_new(struct error *err);
/* Closes the loop's own descriptors. The watches that are left are their owners' business. */
void loop_free(struct loop *loop);

/* Dispatches until loop_quit(). A quit that came before the run ends it at once. */
void loop_run(struct loop *loop);
/* Ends loop_run() after the callbacks of the present round. From any thread, and safe in a signal
 * handler. */
void loop_quit(struct loop *loop);

/*
 * Calls `ready(opaque, events)` in the loop's thread whenever `fd` shows one of `events` (EPOLLIN,
 * EPOLLOUT, EPOLLET, ...; EPOLLERR and EPOLLHUP are always reported). 0, or a negative errno with
 * `err` set: -EPERM is a file, which is always ready and cannot be waited for.
 */
int loop_add(struct loop *loop, struct loop_watch *watch, int fd, uint32_t events,
             void (*ready)(void *opaque, uint32_t events), void *opaque, struct error *err);
/* Changes what is waited for; 0 keeps the watch and waits for errors only (EPOLLERR, EPOLLHUP: on a
 * descriptor that hangs up for good, take the watch out or use EPOLLET, or the loop spins). */
void loop_modify(struct loop *loop, struct loop_watch *watch, uint32_t events);
/* Takes the watch out; its callback will not run again, not even in the present round. Harmless on
 * a watch that is in no loop (fd is -1). Does not close the descriptor. */
void loop_remove(struct loop *loop, struct loop_watch *watch);

/*
 * A timer (timerfd). Its descriptor is opened once, and may go into a loop and out of it as often
 * as needed; `expired(opaque)` is called in the loop's thread. The rules of watches hold for adding
 * and removing; setting is allowed from anywhere.
 */
struct loop_timer {
    int fd; /* -1: not open */
    struct loop_watch watch;
    void (*expired)(void *opaque);
    void *opaque;
};
#define LOOP_TIMER_CLOSED ((struct loop_timer){.fd = -1, .watch.fd = -1})

/* 0, also on one that is open already; or -1 with `err`. */
int loop_timer_open(struct loop_timer *timer, struct error *err);
/* Of one that is in no loop. Harmless on one that is not open. */
void loop_timer_close(struct loop_timer *timer);
/* As loop_add() and loop_remove(). */
int loop_timer_add(struct loop *loop, struct loop_timer *timer, void (*expired)(void *opaque),
                   void *opaque, struct error *err);
void loop_timer_remove(struct loop *loop, struct loop_timer *timer);
/* Both steps at once, for a timer of one loop: opens it and adds it. 0, or -1 with `err` and the
 * timer closed. */
int loop_timer_attach(struct loop *loop, struct loop_timer *timer, void (*expired)(void *opaque),
                      void *opaque, struct error *err);
/* Takes it out and closes it. Harmless on one that is not open. */
void loop_timer_detach(struct loop *loop, struct loop_timer *timer);
/* Expires in `ns`, and then every `interval_ns` unless that is 0; an `ns` of 0 takes it back. 0, or
 * a negative errno. */
int loop_timer_set(struct loop_timer *timer, uint64_t ns, uint64_t interval_ns);

/*
 * Runs `fn(opaque)` in the loop's thread and returns when it is done. Called in that thread, or
 * while no thread runs the loop, it is a plain call. Never call it with a lock held that a callback
 * of that loop takes.
 */
void loop_call(struct loop *loop, void (*fn)(void *opaque), void *opaque);

/* Whether what belongs to the loop may be touched right here: in its thread, or while no thread
 * runs it. */
bool loop_is_here(struct loop *loop);

/* A thread that runs a loop until loop_thread_stop(), which joins it and frees the loop. `name` is
 * what ps and top show (15 characters at most). */
struct loop *loop_thread_start(const char *name, struct error *err);
void loop_thread_stop(struct loop *loop);

#endif
