/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asking polkit whether a client may use a socket: org.libvirt.unix.manage for the read-write one,
 * org.libvirt.unix.monitor for the read-only one, which are libvirt's own actions. The answer may
 * take as long as a user needs to type a password, and nobody waits for it: it comes by the main
 * loop.
 */
#ifndef VOLE_POLKIT_H
#define VOLE_POLKIT_H

#include <gio/gio.h>

#include "libvirt-driver/client.h"

/* Main thread. NULL: the client may. Otherwise the error, which is borrowed, is
 * VIR_ERR_AUTH_UNAVAILABLE when a password is needed and nobody is there to ask for it, and else
 * VIR_ERR_AUTH_FAILED. */
typedef void (*polkit_answer_fn)(gpointer opaque, const GError *error);

/* Main thread. Calls answer(opaque) once, later; when `cancel`, which is referenced meanwhile, is
 * cancelled, soon, and the user is asked no more. */
void polkit_ask(const struct client_peer *peer, const char *action, GCancellable *cancel,
                polkit_answer_fn answer, gpointer opaque);

#endif
