/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A stream joins a descriptor to a client's call: what is read from one is sent to the other, in
 * packets that carry the serial of the call that opened the stream.
 *
 *                  client sends OK: answered OK, over        (virStreamFinish)
 *     open --+---- client sends ERROR: answered OK, over     (virStreamAbort)
 *            +---- we fail, or are pushed aside: ERROR with an error, over
 *            `---- end of file: an empty packet; then as above, for the client to say
 *
 * Everything happens in the main thread, but for stream_new().
 */
#ifndef VOLE_RPC_STREAM_H
#define VOLE_RPC_STREAM_H

#include <glib.h>
#include <stdint.h>

#include "libvirt-driver/client.h"
#include "libvirt-driver/rpc/packet.h"

struct stream;

/* Takes over `fd`, which is read and written without blocking. `ended(opaque, stream)` is called
 * once, when the stream is over for whatever reason; the stream is freed behind it. */
struct stream *stream_new(struct client *client, const struct rpc_header *call, int fd,
                          void (*ended)(gpointer opaque, struct stream *stream), gpointer opaque);
uint32_t stream_serial(const struct stream *stream);

/* The call has been answered: bytes may flow. It may end at once. */
void stream_start(struct stream *stream);
/* A packet from the client. */
void stream_packet(struct stream *stream, const struct rpc_header *header, GBytes *packet);
/* Room for the client's packets has come or gone. Never ends the stream. */
void stream_update(struct stream *stream);
/* Ends it with an error for the client; when it has not started yet, as soon as it does. */
void stream_fail(struct stream *stream, const GError *error);
/* Ends it without a word: the client is gone, or never learned of it. */
void stream_close(struct stream *stream);

#endif
