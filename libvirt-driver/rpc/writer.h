/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packets that wait until a socket takes them. No function blocks. A writer has no lock of its own.
 */
#ifndef VOLE_RPC_WRITER_H
#define VOLE_RPC_WRITER_H

#include <glib.h>
#include <stdbool.h>

/* All zero is a new writer. */
struct rpc_writer {
    GQueue packets; /* of GBytes */
    gsize offset;   /* how much of the first has gone */
    gsize bytes;    /* that wait, in all */
};

/* Takes over the packet. */
void rpc_writer_add(struct rpc_writer *writer, GBytes *packet);
/* Sends what the socket takes at once; `*sent` is how many bytes that was. False with errno when
 * the connection is broken, which may be after some bytes. */
bool rpc_writer_send(struct rpc_writer *writer, int fd, gsize *sent);
void rpc_writer_clear(struct rpc_writer *writer);

#endif
