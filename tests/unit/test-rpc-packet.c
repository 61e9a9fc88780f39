/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Framing and XDR: what clients really send, and what nobody should. */
#include "libvirt-driver/rpc/error.h"
#include "libvirt-driver/rpc/packet.h"
#include "libvirt-driver/rpc/writer.h"
#include "tests/unit/tap.h"

#include <sys/socket.h>

/* Words of a packet, as they go over the wire. */
static GBytes *words(const guint32 *values, gsize count)
{
    g_autofree guint32 *wire = g_new(guint32, count);

    for (gsize i = 0; i < count; i++)
        wire[i] = GUINT32_TO_BE(values[i]);
    return g_bytes_new(wire, count * 4);
}

#define WORDS(...) \
    words((const guint32[]){__VA_ARGS__}, sizeof((const guint32[]){__VA_ARGS__}) / sizeof(guint32))

static guint32 word_at(const GBytes *packet, gsize index)
{
    const guint8 *data = g_bytes_get_data((GBytes *)packet, NULL);
    guint32 value;

    memcpy(&value, data + index * 4, 4);
    return GUINT32_FROM_BE(value);
}

static void add(struct rpc_reader *reader, const GBytes *bytes)
{
    gsize len;
    const void *data = g_bytes_get_data((GBytes *)bytes, &len);

    rpc_reader_add(reader, data, len);
}

/* The first packet of every client: AUTH_LIST, serial 0. */
static void test_reader_takes_bytes_as_they_come(void)
{
    g_autoptr(GBytes) sent = WORDS(0x1c, 0x20008086, 1, 66, 0, 0, 0);
    struct rpc_reader reader = {0};
    g_autoptr(GBytes) got = NULL;
    struct rpc_header header;
    gsize len;
    const guint8 *data = g_bytes_get_data(sent, &len);

    for (gsize i = 0; i + 1 < len; i++) {
        rpc_reader_add(&reader, data + i, 1);
        check_int(rpc_reader_next(&reader, &got), 0);
    }
    rpc_reader_add(&reader, data + len - 1, 1);
    check_int(rpc_reader_next(&reader, &got), 1);
    if (!check(got && g_bytes_equal(got, sent)))
        return;
    rpc_header_decode(got, &header);
    check_int(header.program, RPC_PROGRAM_REMOTE);
    check_int(header.version, 1);
    check_int(header.procedure, 66);
    check_int(header.type, RPC_CALL);
    check_int(header.serial, 0);
    check_int(header.status, RPC_OK);
    check_int(rpc_reader_next(&reader, &got), 0);
    rpc_reader_clear(&reader);
}

static void test_reader_splits_what_came_at_once(void)
{
    g_autoptr(GBytes) sent = WORDS(0x1c, 0x20008086, 1, 1, 0, 7, 0, 0x20, 0x20008086, 1, 2, 0, 8, 0,
                                   0xabcd, 0x1c, 0x20008086);
    struct rpc_reader reader = {0};
    GBytes *got = NULL;

    add(&reader, sent);
    check_int(rpc_reader_next(&reader, &got), 1);
    check_int(word_at(got, 5), 7);
    g_bytes_unref(got);
    check_int(rpc_reader_next(&reader, &got), 1);
    check_int(word_at(got, 5), 8);
    check_int(word_at(got, 7), 0xabcd);
    g_bytes_unref(got);
    check_int(rpc_reader_next(&reader, &got), 0);
    rpc_reader_clear(&reader);
}

static void test_reader_refuses_impossible_lengths(void)
{
    static const guint32 lengths[] = {0, 4, RPC_PACKET_MIN - 1, RPC_PACKET_MAX + 1, 0xffffffff};

    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(GBytes) sent = words(&lengths[i], 1);
        struct rpc_reader reader = {0};
        GBytes *got = NULL;

        add(&reader, sent);
        check_int(rpc_reader_next(&reader, &got), -1);
        rpc_reader_clear(&reader);
    }
}

/* go-libvirt says that the URI is there with a flag of 0x01000000. */
static void test_any_nonzero_flag_means_present(void)
{
    static const guint32 flags[] = {1, 0x01000000, 0xffffffff};

    for (gsize i = 0; i < G_N_ELEMENTS(flags); i++) {
        g_autoptr(GBytes) packet = WORDS(0x38, 0x20008086, 1, 1, 0, 1, 0, flags[i], 14, 0x766f6c65,
                                         0x3a2f2f2f, 0x73797374, 0x656d0000, 1);
        wire_opt_str_flags open;

        if (!check(rpc_payload_decode(packet, &rpc_shape_opt_str_flags, &open)))
            continue;
        check_str(open.value ? *open.value : NULL, "vole:///system");
        check_int(open.flags, 1);
        rpc_value_clear(&rpc_shape_opt_str_flags, &open);
        check(open.value == NULL);
    }
}

static void test_missing_bytes_are_an_error_and_extra_ones_are_not(void)
{
    g_autoptr(GBytes) none = WORDS(0x1c, 0x20008086, 1, 22, 0, 1, 0);
    g_autoptr(GBytes) more = WORDS(0x24, 0x20008086, 1, 22, 0, 1, 0, 5, 6);
    wire_int id;

    check(!rpc_payload_decode(none, &rpc_shape_int, &id));
    check(rpc_payload_decode(more, &rpc_shape_int, &id));
    check_int(id.value, 5);
}

/* Lengths that promise more than came, or than is allowed, in each place that has one. */
static void test_lengths_are_not_believed(void)
{
    g_autoptr(GBytes) string = WORDS(0x24, 0x20008086, 1, 23, 0, 1, 0, 0x7fffffff, 0);
    g_autoptr(GBytes) short_string = WORDS(0x24, 0x20008086, 1, 23, 0, 1, 0, 4194304, 0);
    g_autoptr(GBytes) list = WORDS(0x24, 0x20008086, 1, 344, 0, 1, 0, 0xffffffff, 0);
    g_autoptr(GBytes) short_list = WORDS(0x24, 0x20008086, 1, 344, 0, 1, 0, 16384, 0);
    g_autoptr(GBytes) params = WORDS(0x24, 0x20008086, 1, 419, 0, 1, 0, 21, 0);
    wire_str str;
    wire_stats_args stats;
    wire_identity identity;

    check(!rpc_payload_decode(string, &rpc_shape_str, &str));
    check(!rpc_payload_decode(short_string, &rpc_shape_str, &str));
    check(!rpc_payload_decode(list, &rpc_shape_stats_args, &stats));
    check(!rpc_payload_decode(short_list, &rpc_shape_stats_args, &stats));
    check(!rpc_payload_decode(params, &rpc_shape_identity, &identity));
}

/* AUTH_LIST's answer "no authentication", to the byte. */
static void test_reply_is_what_libvirt_sends(void)
{
    g_autoptr(GBytes) call = WORDS(0x1c, 0x20008086, 1, 66, 0, 0, 0);
    g_autoptr(GBytes) want = WORDS(0x24, 0x20008086, 1, 66, 1, 0, 0, 1, 0);
    int none = 0;
    /* cppcheck-suppress legacyUninitvar ; it is set right here */
    wire_auth_types types = {.types = {.types_len = 1, .types_val = &none}};
    struct rpc_header header;
    g_autoptr(GBytes) got = NULL;

    rpc_header_decode(call, &header);
    header = rpc_reply_header(&header, RPC_OK);
    got = rpc_packet_new(&header, &rpc_shape_auth_types, &types);
    check(got && g_bytes_equal(got, want));
}

static void test_long_replies_and_too_long_ones(void)
{
    struct rpc_header header = {RPC_PROGRAM_REMOTE, 1, 14, RPC_REPLY, 3, RPC_OK};
    g_autofree char *fits = g_strnfill(WIRE_STRING_MAX, 'x');
    g_autofree char *too_long = g_strnfill(WIRE_STRING_MAX + 1, 'x');
    wire_str value = {fits};
    g_autoptr(GBytes) got = rpc_packet_new(&header, &rpc_shape_str, &value);

    if (check(got != NULL)) {
        check_int(g_bytes_get_size(got), RPC_PACKET_MIN + 4 + WIRE_STRING_MAX);
        check_int(word_at(got, 0), g_bytes_get_size(got));
    }
    value.value = too_long;
    check(rpc_packet_new(&header, &rpc_shape_str, &value) == NULL);
}

/* The three texts, and everything that decoders of others take for granted. */
static void test_error_packets(void)
{
    struct rpc_header header = {RPC_PROGRAM_REMOTE, 1, 12, RPC_REPLY, 9, RPC_OK};
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) packet = NULL;
    wire_error wire;

    libvirt_error_set(&error, VIR_ERR_OPERATION_INVALID, "domain is not %s", "running");
    packet = rpc_error_packet(&header, error);
    check_int(word_at(packet, 6), RPC_ERROR);
    if (!check(rpc_payload_decode(packet, &rpc_shape_error, &wire)))
        return;
    check_int(wire.code, VIR_ERR_OPERATION_INVALID);
    check_int(wire.level, VIR_ERR_ERROR);
    check_int(wire.int1, -1);
    check_int(wire.int2, -1);
    check(wire.dom == NULL && wire.net == NULL && wire.str3 == NULL);
    check_str(wire.message ? *wire.message : NULL,
              "Requested operation is not valid: domain is not running");
    check_str(wire.str1 ? *wire.str1 : NULL, "Requested operation is not valid: %s");
    check_str(wire.str2 ? *wire.str2 : NULL, "domain is not running");
    rpc_value_clear(&rpc_shape_error, &wire);
}

static void test_an_error_without_a_reason_is_one(void)
{
    struct rpc_header header = {RPC_PROGRAM_REMOTE, 1, 12, RPC_REPLY, 9, RPC_OK};
    g_autoptr(GBytes) packet = rpc_error_packet(&header, NULL);
    wire_error wire;

    if (!check(rpc_payload_decode(packet, &rpc_shape_error, &wire)))
        return;
    check_int(wire.code, VIR_ERR_INTERNAL_ERROR);
    check(wire.message && **wire.message);
    rpc_value_clear(&rpc_shape_error, &wire);
}

/* More than a socket holds goes out in pieces, in order, as the other side reads. */
static void test_writer_sends_what_the_socket_takes(void)
{
    struct rpc_header header = {RPC_PROGRAM_REMOTE, 1, 12, RPC_STREAM, 9, RPC_CONTINUE};
    g_autofree guint8 *data = g_malloc0(RPC_STREAM_DATA_MAX);
    struct rpc_writer writer = {0};
    struct rpc_reader reader = {0};
    unsigned packets = 0;
    gsize sent = 0;
    gsize all;
    int fds[2];

    check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    check(rpc_writer_send(&writer, fds[0], &sent) && sent == 0);
    for (int i = 0; i < 4; i++) {
        data[0] = (guint8)i;
        rpc_writer_add(&writer, rpc_packet_new_raw(&header, data, RPC_STREAM_DATA_MAX));
    }
    all = writer.bytes;
    check_int(all, 4 * (RPC_PACKET_MIN + RPC_STREAM_DATA_MAX));
    for (gsize done = 0; packets < 4 && rpc_writer_send(&writer, fds[0], &sent);) {
        guint8 chunk[65536];
        ssize_t n = read(fds[1], chunk, sizeof(chunk));
        GBytes *packet;

        done += sent;
        check_int(writer.bytes, all - done);
        if (!check(n > 0))
            break;
        rpc_reader_add(&reader, chunk, (gsize)n);
        while (rpc_reader_next(&reader, &packet) == 1) {
            check_int(((const guint8 *)g_bytes_get_data(packet, NULL))[RPC_PACKET_MIN], packets);
            packets++;
            g_bytes_unref(packet);
        }
    }
    check_int(packets, 4);
    check_int(writer.bytes, 0);
    close(fds[1]);
    rpc_writer_add(&writer, rpc_ping_new());
    check(!rpc_writer_send(&writer, fds[0], &sent));
    rpc_writer_clear(&writer);
    check_int(writer.bytes, 0);
    rpc_reader_clear(&reader);
    close(fds[0]);
}

static void test_a_ping_is_answered_by_a_pong(void)
{
    g_autoptr(GBytes) ping = rpc_ping_new();
    g_autoptr(GBytes) pong = NULL;
    struct rpc_header header;

    rpc_header_decode(ping, &header);
    check(rpc_is_keepalive(&header) && header.procedure == RPC_PING);
    pong = rpc_pong_new(&header);
    rpc_header_decode(pong, &header);
    check(rpc_is_keepalive(&header) && header.procedure == RPC_PONG);
    header.version = 2;
    check(!rpc_is_keepalive(&header));
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_reader_takes_bytes_as_they_come),
        TAP(test_reader_splits_what_came_at_once),
        TAP(test_reader_refuses_impossible_lengths),
        TAP(test_any_nonzero_flag_means_present),
        TAP(test_missing_bytes_are_an_error_and_extra_ones_are_not),
        TAP(test_lengths_are_not_believed),
        TAP(test_reply_is_what_libvirt_sends),
        TAP(test_long_replies_and_too_long_ones),
        TAP(test_error_packets),
        TAP(test_an_error_without_a_reason_is_one),
        TAP(test_writer_sends_what_the_socket_takes),
        TAP(test_a_ping_is_answered_by_a_pong),
        {0},
    });
}
