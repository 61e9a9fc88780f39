/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's end of an interface of type user: passt(1), a process that takes the guest's frames
 * out of a socket and makes connections of its own of what is in them. It needs no rights, and ends
 * by itself when the VMM closes its end of the socket.
 */
#ifndef VOLE_DRIVER_VMM_PASST_H
#define VOLE_DRIVER_VMM_PASST_H

#include <glib.h>
#include <sys/types.h>

#include "xml/domain.h"

/* A process that belongs to a domain besides its VMM. */
struct companion {
    pid_t pid;
    guint64 start_time; /* so that the pid means the same process later on */
};

/*
 * Starts one for `net` in a control group (-1: the daemon's own), and waits until it serves. The
 * VMM's end of the socket, or -1 with `error` set in its own last words.
 */
int passt_start(const struct domain_net *net, int cgroup, struct companion *companion,
                GError **error);

/* Waits until it has ended, as it does by itself, or for a moment, and then kills it. */
void companion_end(const struct companion *companion);

#endif
