/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whom VMMs run as. The daemon opens everything for them, so that this user needs no right to
 * anything but to run the program.
 */
#ifndef VOLE_DRIVER_VMM_IDENTITY_H
#define VOLE_DRIVER_VMM_IDENTITY_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

struct identity {
    bool other; /* false: as the daemon itself, and what follows says nothing */
    uid_t uid;
    gid_t gid;
};

/* From names or numbers ("107", "+107"); NULL for both means the daemon's own. False with `error`
 * set: there is no such user or group, or the daemon may not become one. */
bool identity_find(struct identity *identity, const char *user, const char *group, GError **error);

#endif
