/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VMM's control socket, seen from the daemon (docs/qmp.md): one JSON object a line. Replies and
 * events are read in the main thread, in the order in which they come; an event that the VMM sent
 * before a reply has been handled before the reply is given to who waits for it. Commands are
 * written by whichever worker gives them, and waited for with a deadline.
 */
#ifndef VOLE_DRIVER_VMM_MONITOR_H
#define VOLE_DRIVER_VMM_MONITOR_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

struct watches;
struct monitor;

/* An event that no VMM sends: what came makes no sense, and the monitor has been given up. */
#define MONITOR_BROKE ""

/* Main thread; `data` is borrowed, may be NULL. */
typedef void (*monitor_event_fn)(gpointer opaque, const char *event, json_t *data);

/*
 * Connects to the socket at `path`, which listens already; nothing is waited for. The monitor is
 * its owner's, `opaque`, and so is its memory: the owner must live as long as the main thread may
 * come here, so a reference to it is taken over in any case, and release(opaque) is called some
 * time after monitor_close(), or before this returns NULL with `error` set.
 */
struct monitor *monitor_connect(struct watches *watches, const char *path, monitor_event_fn event,
                                gpointer opaque, GDestroyNotify release, GError **error);
/* After monitor_close(). */
void monitor_free(struct monitor *monitor);

/* Waits until the VMM has greeted and commands can be given. */
bool monitor_wait_ready(struct monitor *monitor, guint timeout_ms, GError **error);
/*
 * Gives a command and waits for its reply: `*ret` (which may be NULL) becomes a new reference to
 * what "return" held. Takes over `arguments`, which may be NULL. False with VIR_ERR_INTERNAL_ERROR
 * for an error reply (VIR_ERR_OPERATION_INVALID when a device is not there or not in use),
 * VIR_ERR_OPERATION_TIMEOUT, or VIR_ERR_OPERATION_FAILED when the VMM went away.
 *
 * A VMM that has left a command unanswered is given no other until it answers that one: whoever
 * comes meanwhile is told so at once, and does not wait as well.
 */
bool monitor_execute(struct monitor *monitor, const char *command, json_t *arguments,
                     guint timeout_ms, json_t **ret, GError **error);

/* The same in two halves, so that one thread can wait for several VMMs at once. Lives where the
 * caller wants it until monitor_finish(). */
struct monitor_call {
    const char *command; /* NULL: nothing is under way */
    gint64 id;
    json_t *reply;
};
/* False as above; then there is nothing to finish. `command` is borrowed. */
bool monitor_begin(struct monitor *monitor, struct monitor_call *call, const char *command,
                   json_t *arguments, GError **error);
/* `deadline` is monotonic time. */
bool monitor_finish(struct monitor *monitor, struct monitor_call *call, gint64 deadline,
                    json_t **ret, GError **error);

/* For how many microseconds the oldest command has gone unanswered beyond its deadline; 0: the VMM
 * answers. */
gint64 monitor_overdue(struct monitor *monitor);
/* Main thread: reads and handles what has come already, for when the VMM has ended. */
void monitor_drain(struct monitor *monitor);
/* No event is told any more, and whoever waits is told that the VMM went away. Any thread. */
void monitor_close(struct monitor *monitor);

#endif
