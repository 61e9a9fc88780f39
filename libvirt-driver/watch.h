/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors of which the main loop watches many: two a running domain. GLib's loop hands each of
 * its own to poll() every time round, so that with hundreds of domains every call of every client
 * would pay for all of them; behind these stands one epoll descriptor, and what is silent costs
 * nothing.
 *
 * Watches may be begun and ended in any thread; what they call runs in the main thread.
 */
#ifndef VOLE_WATCH_H
#define VOLE_WATCH_H

#include <glib.h>
#include <stdbool.h>

struct watches;

/* Something can be read from the descriptor, or its other end is gone. False ends the watch. */
typedef bool (*watch_fn)(gpointer data);

struct watches *watches_new(GError **error);
/* Ends those that are left. */
void watches_free(struct watches *watches);

/*
 * Calls fn(data) in the main thread as long as there is something to be read. `fd` stays the
 * caller's, and open until the watch has ended. release(data) is called once, when the watch has
 * ended and fn() does not run any more; if it fails, at once. 0 with `error` set, or the number
 * that ends it.
 */
guint64 watch_begin(struct watches *watches, int fd, watch_fn fn, gpointer data,
                    GDestroyNotify release, GError **error);
/* It may have ended by itself, or `id` be 0. In another thread than the main one fn() may be
 * running at that moment, or about to. */
void watch_end(struct watches *watches, guint64 id);

#endif
