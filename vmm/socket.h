/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listening Unix sockets, for consoles and for the monitor. */
#ifndef VOLE_SOCKET_H
#define VOLE_SOCKET_H

#include <sys/types.h>

#include "vmm/util.h"

struct unix_listener {
    int fd;     /* non-blocking; -1 when closed */
    char *path; /* removed at the end; NULL for an inherited socket, whose path is not ours */
    dev_t dev;
    ino_t ino;
};

#define UNIX_LISTENER_CLOSED ((struct unix_listener){.fd = -1})

/* Makes the socket, for its owner only (mode 0600). A socket that nobody listens on any more is
 * replaced; anything else at `path` is an error. 0, or -1 with `err` set. */
int unix_listener_open(struct unix_listener *listener, const char *path, struct error *err);
/* Takes over an inherited listening socket. */
void unix_listener_adopt(struct unix_listener *listener, int fd);
/* Removes the path as well, unless somebody else's socket stands there by now. Harmless when
 * closed. */
void unix_listener_close(struct unix_listener *listener);
/* The next client that waits, close-on-exec and non-blocking; -1 when there is none. */
int unix_listener_accept(struct unix_listener *listener);

enum socket_role {
    SOCKET_NONE,      /* no socket at all */
    SOCKET_OTHER,     /* a socket, but neither of the two below */
    SOCKET_LISTENING, /* stream */
    SOCKET_CONNECTED, /* stream */
};
enum socket_role socket_role(int fd);

void set_nonblocking(int fd);

#endif
