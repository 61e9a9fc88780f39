/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packets of libvirt's RPC: a length, a header of six words, a payload (libvirt's
 * docs/internals/rpc). All numbers are big-endian; the length counts itself.
 *
 *     u32 length | u32 program u32 version i32 procedure i32 type u32 serial i32 status | payload
 *
 * Nothing here knows a socket: a reader takes bytes as they come and gives whole packets back.
 * Functions are reentrant; a reader belongs to one thread.
 */
#ifndef VOLE_RPC_PACKET_H
#define VOLE_RPC_PACKET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvirt-driver/rpc/shapes.h"

#define RPC_LENGTH_BYTES 4
#define RPC_HEADER_BYTES 24
#define RPC_PACKET_MIN   (RPC_LENGTH_BYTES + RPC_HEADER_BYTES)
#define RPC_PACKET_MAX   (33554432 + RPC_LENGTH_BYTES)
/* Stream data is sent in pieces of this size, which every client's buffer holds. */
#define RPC_STREAM_DATA_MAX 262120

#define RPC_PROGRAM_REMOTE    0x20008086u
#define RPC_PROGRAM_KEEPALIVE 0x6b656570u
#define RPC_PROGRAM_VERSION   1u

enum rpc_type {
    RPC_CALL = 0,
    RPC_REPLY = 1,
    RPC_MESSAGE = 2,
    RPC_STREAM = 3,
    RPC_CALL_WITH_FDS = 4,
    RPC_REPLY_WITH_FDS = 5,
    RPC_STREAM_HOLE = 6,
};

enum rpc_status {
    RPC_OK = 0,
    RPC_ERROR = 1,
    RPC_CONTINUE = 2,
};

enum rpc_keepalive {
    RPC_PING = 1,
    RPC_PONG = 2,
};

struct rpc_header {
    uint32_t program;
    uint32_t version;
    int32_t procedure;
    int32_t type;
    uint32_t serial;
    int32_t status;
};

/* Collects bytes until they make a packet. All zero is a new reader. */
struct rpc_reader {
    GByteArray *bytes;
    guint32 max; /* the longest packet that is taken; 0: RPC_PACKET_MAX */
};
void rpc_reader_add(struct rpc_reader *reader, const void *data, gsize len);
/* 1 and `*packet` (length word included; the caller's) when one is complete, 0 when more bytes are
 * needed, -1 when the length is not one that a packet can have: the connection is beyond repair. */
int rpc_reader_next(struct rpc_reader *reader, GBytes **packet);
/* How many bytes wait in it. */
gsize rpc_reader_bytes(const struct rpc_reader *reader);
void rpc_reader_clear(struct rpc_reader *reader);

/* `packet` has at least RPC_PACKET_MIN bytes, as all that a reader gives. */
void rpc_header_decode(const GBytes *packet, struct rpc_header *header);

/*
 * The payload as a value of the shape: `*value` is filled (it need not be initialised) and to be
 * released with rpc_value_clear(). Bytes that are left over are ignored, as libvirt does, so that
 * newer clients may send more. False when bytes are missing or a limit is passed; `*value` is then
 * cleared already.
 */
bool rpc_payload_decode(GBytes *packet, const struct rpc_shape *shape, void *value);

/* A whole packet, or NULL when the value does not fit into one (a list that is too long). */
GBytes *rpc_packet_new(const struct rpc_header *header, const struct rpc_shape *shape,
                       const void *value);
/* A packet whose payload is bytes as they are: stream data, or nothing. */
GBytes *rpc_packet_new_raw(const struct rpc_header *header, const void *data, gsize len);

/* Keepalive messages (libvirt's docs/internals/rpc): one asks whether the other side is still
 * there, which answers a ping with a pong. */
bool rpc_is_keepalive(const struct rpc_header *header);
GBytes *rpc_ping_new(void);
GBytes *rpc_pong_new(const struct rpc_header *ping);

/* "unknown procedure" and the like: the header of the reply to `call`. */
struct rpc_header rpc_reply_header(const struct rpc_header *call, enum rpc_status status);

#endif
