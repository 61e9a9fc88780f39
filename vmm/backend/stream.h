/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Frames over a stream socket, as passt(1) and QEMU's `-netdev stream` have them: each is preceded
 * by its length, 4 bytes in network byte order. The peer is a process that may do anything: what it
 * sends is bounded, and one that breaks the framing is left for good.
 */
#ifndef VOLE_BACKEND_STREAM_H
#define VOLE_BACKEND_STREAM_H

#include "vmm/backend/netdev.h"

/* `source` is "unix:PATH", to connect to, or "fd:N", a stream socket that is connected. 0, or -1
 * with `err`. */
int stream_open(struct netdev *dev, const char *source, struct error *err);

/* Why no frame will ever pass again; NULL as long as the peer is there. From any thread. */
const char *stream_broken(const struct netdev *dev);
/* The descriptor showed EPOLLERR or EPOLLHUP. */
void stream_hung_up(struct netdev *dev);

#endif
