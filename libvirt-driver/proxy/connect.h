/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connecting to a socket as somebody else. The kernel notes who connects (SO_PEERCRED), and checks
 * whether he may, at connect(): done with a client's own user, groups and no capabilities, the
 * daemon behind the socket sees that client, and decides about him and not about us.
 *
 * Credentials belong to a thread (credentials(7)), so such a connect() has a thread of its own that
 * ends behind it. Only the effective user changes: the client can neither trace nor signal it.
 */
#ifndef VOLE_PROXY_CONNECT_H
#define VOLE_PROXY_CONNECT_H

#include <glib.h>
#include <sys/types.h>

struct connecting;

/* Whom to connect as; `groups` are the supplementary ones. */
struct connect_as {
    uid_t uid;
    gid_t gid;
    GArray *groups; /* of gid_t */
};

/*
 * Takes the first of the sockets that is there and is listened on; never waits for one. Calls
 * `done` in the main thread, now or later: with a descriptor that does not block, which is its to
 * close, and the socket it leads to; or -1 and `error`, which is NULL when none of them exists.
 * NULL when `done` has been called already.
 */
typedef void (*connect_done)(gpointer opaque, int fd, const char *path, const GError *error);
struct connecting *connect_start(const char *const *paths, const struct connect_as *as,
                                 connect_done done, gpointer opaque);
/* `done` will not be called. */
void connect_cancel(struct connecting *connecting);

#endif
