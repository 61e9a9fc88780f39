/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asking polkit whether a client may use a socket: org.libvirt.unix.manage for the read-write one,
 * org.libvirt.unix.monitor for the read-only one, which are libvirt's own actions.
 */
#ifndef VOLE_POLKIT_H
#define VOLE_POLKIT_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/client.h"

/* Waits for the answer, which may take as long as the user needs to type a password. False with
 * VIR_ERR_AUTH_FAILED; VIR_ERR_AUTH_UNAVAILABLE when a password is needed and nobody is there to
 * ask for it. */
bool polkit_check(const struct client_peer *peer, const char *action, GError **error);

#endif
