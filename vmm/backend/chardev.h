/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A character device's host end: where the bytes of a serial port or a console come from and go
 * to. It has never heard of a guest. One front end is attached to it; everything happens in the
 * thread of the loop it was given, but for chardev_write(), which any thread may call.
 *
 * Kinds (the text of --serial and of the machine document):
 *   stdio        the terminal vole was started from, in raw mode while the machine runs and put
 *                back on every way out; Ctrl-A x ends vole (as SIGTERM does), Ctrl-A Ctrl-A sends
 *                Ctrl-A. Where standard input is no terminal it is read as it is, and its end
 *                means only that no more input comes
 *   pty          a new pseudo-terminal; its path is told by chardev_path()
 *   unix:PATH    a listening socket, mode 0600, one client at a time; a further one replaces none,
 *                it waits. Only of a client that hung up before the guest read all that it sent the
 *                rest is dropped when the next one comes
 *   file:PATH    output only, created with mode 0600, appended to
 *   fd:N         an inherited descriptor: a pty's master, a listening or connected stream socket,
 *                a terminal, a pipe or a file; which of them it is, is found out
 *   null, none   output vanishes, input never comes ("none": the port itself is left out where
 *                the machine can do without; the device sees no difference)
 *
 * Output is never waited for. What the host does not take at once is kept, up to
 * CHARDEV_BUFFER bytes; a full buffer is what the front end sees as "not ready", so a guest that is
 * faster than its reader is slowed down and loses nothing. Where nobody is connected (a pty or a
 * socket without a client) output is thrown away, as on a serial port without a cable.
 */
#ifndef VOLE_BACKEND_CHARDEV_H
#define VOLE_BACKEND_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/loop.h"
#include "vmm/util.h"

#define CHARDEV_BUFFER (64 * KiB)

struct chardev;

/* What a front end wants to be told. All are called in the loop's thread, without a lock held. */
struct chardev_events {
    /* `len` bytes came in. Returns how many were taken; the rest is offered again after
     * chardev_accept_input(), and nothing more is read from the host until then. */
    size_t (*input)(void *opaque, const uint8_t *data, size_t len);
    /* The buffer was full and has room again. May be NULL. */
    void (*writable)(void *opaque);
    /* A client came or went. May be NULL. */
    void (*connected)(void *opaque, bool is_connected);
};

/* Whether `spec` is written as one of the above; nothing is opened. 0, or -1 with `err` set. */
int chardev_check_spec(const char *spec, struct error *err);

/* `spec` as above; `label` names it in errors and in query-chardev ("serial0"). */
struct chardev *chardev_open(const char *spec, const char *label, struct loop *loop,
                             struct error *err);
/* Detaches, hands over what is still kept, restores the terminal, closes. Waits for a reader as
 * long as it goes on reading (a second without any progress, five in all, then the rest is lost
 * with a line in the log). NULL is harmless. */
void chardev_close(struct chardev *chr);

/* Hands over what is kept, and waits for a reader as chardev_close() does. For a front end that
 * holds bytes of its own and ends; detached, and not in the loop's thread while that runs. */
void chardev_drain(struct chardev *chr);

/*
 * One front end; before the machine runs. From here on `events` are called. With NULL the front end
 * is taken away again: when this returns none of its callbacks runs or will run, and the loop is
 * not needed any more. So detach before the front end is freed and before the loop ends, and hold
 * no lock that a callback takes.
 */
void chardev_attach(struct chardev *chr, const struct chardev_events *events, void *opaque);

/* Takes up to `len` bytes and returns how many: fewer than `len` when the buffer is full, in which
 * case `writable` will be called. From any thread; never blocks. */
size_t chardev_write(struct chardev *chr, const void *data, size_t len);
/* True when chardev_write() would take a byte; if not, `writable` will be called. From any thread.
 */
bool chardev_can_write(struct chardev *chr);

/* The front end has room again: offers what was held back. From any thread. */
void chardev_accept_input(struct chardev *chr);

/* QEMU's way of writing it: "pty:/dev/pts/3", "unix:/path,server=on", "file:/path", "stdio". */
const char *chardev_filename(const struct chardev *chr);
/* The pty's path, or NULL where there is none. */
const char *chardev_path(const struct chardev *chr);
const char *chardev_label(const struct chardev *chr);
bool chardev_is_connected(struct chardev *chr);
/* Whether `connected` is called for every client that comes and goes. Where it is not (a pty, whose
 * client is found out about by writing; a file, which needs none) output may be tried at any time.
 */
bool chardev_tells_clients(const struct chardev *chr);

/*
 * Puts terminals back into the state they were found in; safe in a signal handler and at exit. For
 * the ways out that do not pass chardev_close().
 */
void chardev_restore_terminals(void);

#endif
