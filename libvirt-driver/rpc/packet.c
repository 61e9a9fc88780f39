/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/rpc/packet.h"

#include <string.h>

/* The first attempt at encoding; most replies fit. */
#define ENCODE_FIRST 1024

static uint32_t get_word(const guint8 *at)
{
    guint32 word;

    memcpy(&word, at, sizeof(word));
    return GUINT32_FROM_BE(word);
}

static void put_word(guint8 *at, uint32_t value)
{
    guint32 word = GUINT32_TO_BE(value);

    memcpy(at, &word, sizeof(word));
}

void rpc_reader_add(struct rpc_reader *reader, const void *data, gsize len)
{
    if (!reader->bytes)
        reader->bytes = g_byte_array_new();
    g_byte_array_append(reader->bytes, data, (guint)len);
}

int rpc_reader_next(struct rpc_reader *reader, GBytes **packet)
{
    GByteArray *bytes = reader->bytes;
    uint32_t length;

    if (!bytes || bytes->len < RPC_LENGTH_BYTES)
        return 0;
    length = get_word(bytes->data);
    if (length < RPC_PACKET_MIN || length > (reader->max ? reader->max : RPC_PACKET_MAX))
        return -1;
    if (bytes->len < length)
        return 0;
    if (bytes->len == length) {
        *packet = g_byte_array_free_to_bytes(g_steal_pointer(&reader->bytes));
    } else {
        *packet = g_bytes_new(bytes->data, length);
        g_byte_array_remove_range(bytes, 0, length);
    }
    return 1;
}

gsize rpc_reader_bytes(const struct rpc_reader *reader)
{
    return reader->bytes ? reader->bytes->len : 0;
}

void rpc_reader_clear(struct rpc_reader *reader)
{
    g_clear_pointer(&reader->bytes, g_byte_array_unref);
}

void rpc_header_decode(const GBytes *packet, struct rpc_header *header)
{
    const guint8 *at = g_bytes_get_data((GBytes *)packet, NULL);

    header->program = get_word(at + 4);
    header->version = get_word(at + 8);
    header->procedure = (int32_t)get_word(at + 12);
    header->type = (int32_t)get_word(at + 16);
    header->serial = get_word(at + 20);
    header->status = (int32_t)get_word(at + 24);
}

static void header_encode(guint8 *at, gsize length, const struct rpc_header *header)
{
    put_word(at, (uint32_t)length);
    put_word(at + 4, header->program);
    put_word(at + 8, header->version);
    put_word(at + 12, (uint32_t)header->procedure);
    put_word(at + 16, (uint32_t)header->type);
    put_word(at + 20, header->serial);
    put_word(at + 24, (uint32_t)header->status);
}

bool rpc_payload_decode(GBytes *packet, const struct rpc_shape *shape, void *value)
{
    gsize len;
    const char *data = g_bytes_get_data(packet, &len);
    XDR xdr;
    bool ok;

    if (!shape->size)
        return true;
    memset(value, 0, shape->size);
    /* A decoding XDR stream only reads, though its interface takes a char pointer. */
    xdrmem_create(&xdr, (char *)(uintptr_t)(data + RPC_PACKET_MIN), (u_int)(len - RPC_PACKET_MIN),
                  XDR_DECODE);
    ok = shape->filter(&xdr, value);
    xdr_destroy(&xdr);
    if (!ok)
        rpc_value_clear(shape, value);
    return ok;
}

GBytes *rpc_packet_new(const struct rpc_header *header, const struct rpc_shape *shape,
                       const void *value)
{
    gsize room = ENCODE_FIRST;

    for (;;) {
        g_autofree guint8 *data = g_malloc(room);
        gsize used = RPC_PACKET_MIN;
        XDR xdr;
        bool ok;

        xdrmem_create(&xdr, (char *)data + RPC_PACKET_MIN, (u_int)(room - RPC_PACKET_MIN),
                      XDR_ENCODE);
        /* An encoding XDR stream only reads the value. */
        ok = shape->filter(&xdr, (void *)(uintptr_t)value);
        used += xdr_getpos(&xdr);
        xdr_destroy(&xdr);
        if (ok) {
            header_encode(data, used, header);
            return g_bytes_new_take(g_steal_pointer(&data), used);
        }
        if (room == RPC_PACKET_MAX)
            return NULL;
        room = MIN(room * 8, RPC_PACKET_MAX);
    }
}

GBytes *rpc_packet_new_raw(const struct rpc_header *header, const void *data, gsize len)
{
    guint8 *packet = g_malloc(RPC_PACKET_MIN + len);

    header_encode(packet, RPC_PACKET_MIN + len, header);
    if (len)
        memcpy(packet + RPC_PACKET_MIN, data, len);
    return g_bytes_new_take(packet, RPC_PACKET_MIN + len);
}

bool rpc_is_keepalive(const struct rpc_header *header)
{
    return header->program == RPC_PROGRAM_KEEPALIVE && header->version == RPC_PROGRAM_VERSION &&
           header->type == RPC_MESSAGE;
}

GBytes *rpc_ping_new(void)
{
    static const struct rpc_header ping = {
        .program = RPC_PROGRAM_KEEPALIVE,
        .version = RPC_PROGRAM_VERSION,
        .procedure = RPC_PING,
        .type = RPC_MESSAGE,
        .status = RPC_OK,
    };

    return rpc_packet_new_raw(&ping, NULL, 0);
}

GBytes *rpc_pong_new(const struct rpc_header *ping)
{
    struct rpc_header pong = *ping;

    pong.procedure = RPC_PONG;
    return rpc_packet_new_raw(&pong, NULL, 0);
}

struct rpc_header rpc_reply_header(const struct rpc_header *call, enum rpc_status status)
{
    return (struct rpc_header){
        .program = call->program,
        .version = call->version,
        .procedure = call->procedure,
        .type = RPC_REPLY,
        .serial = call->serial,
        .status = status,
    };
}
