/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A stream belongs to the call that opened it: bytes that go either way in packets which carry that
 * call's serial. There are two kinds: one joins a descriptor to the client (stream_new()), the
 * other is a volume's upload or download (storage/transfer.h).
 *
 *                  client sends OK: answered OK, over        (virStreamFinish)
 *     open --+---- client sends ERROR: answered OK, over     (virStreamAbort)
 *            +---- we fail, or are pushed aside: ERROR with an error, over
 *            `---- end of file: an empty packet; then as above, for the client to say
 *
 * Everything happens in the main thread, but for making one.
 */
#ifndef VOLE_RPC_STREAM_H
#define VOLE_RPC_STREAM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvirt-driver/client.h"
#include "libvirt-driver/rpc/packet.h"

/* What every kind of stream begins with. */
struct stream {
    const struct stream_kind *kind;
    struct client *client;    /* a reference */
    struct rpc_header header; /* of our packets */
};

struct stream_kind {
    void (*start)(struct stream *stream);
    void (*packet)(struct stream *stream, const struct rpc_header *header, GBytes *packet);
    void (*update)(struct stream *stream);
    bool (*is_full)(const struct stream *stream); /* NULL: never */
    void (*close)(struct stream *stream);
};

/* Fills the common part. Any thread. */
void stream_init(struct stream *stream, const struct stream_kind *kind, struct client *client,
                 const struct rpc_header *call);

/* Takes over `fd`, which is read and written without blocking. `ended(opaque, stream)` is called
 * once, when the stream is over for whatever reason; the stream is freed behind it. */
struct stream *stream_new(struct client *client, const struct rpc_header *call, int fd,
                          void (*ended)(gpointer opaque, struct stream *stream), gpointer opaque);
/* Ends one of that kind with an error for the client; when it has not started yet, as soon as it
 * does. */
void stream_fail(struct stream *stream, const GError *error);

uint32_t stream_serial(const struct stream *stream);
/* The call has been answered: bytes may flow. It may end at once. */
void stream_start(struct stream *stream);
/* A packet from the client. */
void stream_packet(struct stream *stream, const struct rpc_header *header, GBytes *packet);
/* Room for the client's packets has come or gone. Never ends the stream. */
void stream_update(struct stream *stream);
/* The client must not be read from until it has taken what it has. */
bool stream_is_full(const struct stream *stream);
/* Ends it without a word: the client is gone, or never learned of it. */
void stream_close(struct stream *stream);

/* For the kinds: a packet to the client, its error, and the end of a stream that the client knows
 * of. */
void stream_send(struct stream *stream, enum rpc_status status, const void *data, gsize len);
void stream_send_error(struct stream *stream, const GError *error);
void stream_end(struct stream *stream);

#endif
