/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's listening sockets: those that systemd passed (sd_listen_fds(3)), or its own. libvirt
 * clients make a socket's name from the URI's scheme: vole:///system is virtvoled-sock, qemuvole
 * (whose name makes some tools choose virtio devices) is virtqemuvoled-sock. The system daemon has
 * each a second time with "-ro" behind it, for clients that may only look.
 *
 * A lock on virtvoled.pid in the same directory makes sure that only one daemon serves it, so what
 * lies there under a socket's name is a dead daemon's and may be replaced. A session's sockets are
 * left behind at the end: that a file is there is what makes libvirt's clients start a session
 * daemon again.
 */
#ifndef VOLE_SOCKETS_H
#define VOLE_SOCKETS_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/paths.h"
#include "libvirt-driver/settings.h"

struct sockets;

/* Call before there are threads (it sets the umask for a moment). */
struct sockets *sockets_open(const struct paths *paths, const struct settings *settings,
                             GError **error);
/* Removes the system's own sockets, releases the lock. NULL is harmless. */
void sockets_free(struct sockets *sockets);

guint sockets_count(const struct sockets *sockets);
/* The i-th listening descriptor; the caller's from then on. */
int sockets_take(struct sockets *sockets, guint i, bool *readonly);

#endif
