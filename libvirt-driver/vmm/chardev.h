/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's ends of serial ports, consoles and channels, opened for a VMM that is about to start.
 */
#ifndef VOLE_DRIVER_VMM_CHARDEV_H
#define VOLE_DRIVER_VMM_CHARDEV_H

#include <glib.h>

#include "xml/domain.h"

#define CHARDEV_NEEDS_NONE (-2)

/*
 * A descriptor for the VMM, CHARDEV_NEEDS_NONE, or -1 with `error` set. `*terminal` is the master
 * of a terminal's pair, which is kept here: one that is open already is used again, and its path is
 * filled in.
 */
int chardev_open(struct domain_chardev *chardev, int *terminal, GError **error);
/* A UNIX socket at `path` that listens; a socket that is left there from before goes. */
int chardev_listen(const char *path, GError **error);

#endif
