/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/rpc/stream.h"

#include <errno.h>
#include <unistd.h>

#include "libvirt-driver/rpc/error.h"

/* What a client may send before the other side has taken it: a guest that does not read its console
 * must cost the daemon no more than this. */
#define STREAM_INPUT_MAX ((gsize)1024 * 1024)

struct fd_stream {
    struct stream base;
    int fd;
    GSource *source;
    gpointer tag;
    GByteArray *input; /* from the client, not written yet */
    bool started;
    bool at_eof;
    GError *early_error; /* it failed before it started */
    void (*ended)(gpointer opaque, struct stream *stream);
    gpointer opaque;
};

/* ---- what all kinds have ---- */

void stream_init(struct stream *stream, const struct stream_kind *kind, struct client *client,
                 const struct rpc_header *call)
{
    stream->kind = kind;
    stream->client = client_ref(client);
    stream->header = *call;
    stream->header.type = RPC_STREAM;
}

uint32_t stream_serial(const struct stream *stream)
{
    return stream->header.serial;
}

void stream_start(struct stream *stream)
{
    stream->kind->start(stream);
}

void stream_packet(struct stream *stream, const struct rpc_header *header, GBytes *packet)
{
    stream->kind->packet(stream, header, packet);
}

void stream_update(struct stream *stream)
{
    stream->kind->update(stream);
}

bool stream_is_full(const struct stream *stream)
{
    return stream->kind->is_full && stream->kind->is_full(stream);
}

void stream_close(struct stream *stream)
{
    stream->kind->close(stream);
}

void stream_send(struct stream *stream, enum rpc_status status, const void *data, gsize len)
{
    struct rpc_header header = stream->header;

    header.status = status;
    client_send(stream->client, rpc_packet_new_raw(&header, data, len));
}

void stream_send_error(struct stream *stream, const GError *error)
{
    struct rpc_header header = stream->header;

    header.status = RPC_ERROR;
    client_send(stream->client, rpc_error_packet(&header, error));
}

void stream_end(struct stream *stream)
{
    client_forget_stream(stream->client, stream);
    stream_close(stream);
}

/* ---- a descriptor ---- */

struct stream_source {
    GSource source;
    struct fd_stream *stream;
};

static void stream_io(struct fd_stream *stream, GIOCondition condition);

static gboolean source_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    struct fd_stream *stream = ((struct stream_source *)source)->stream;

    stream_io(stream, g_source_query_unix_fd(source, stream->tag));
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {.dispatch = source_dispatch};

static const struct stream_kind fd_kind;

struct stream *stream_new(struct client *client, const struct rpc_header *call, int fd,
                          void (*ended)(gpointer opaque, struct stream *stream), gpointer opaque)
{
    struct fd_stream *stream = g_new0(struct fd_stream, 1);

    stream_init(&stream->base, &fd_kind, client, call);
    stream->fd = fd;
    stream->input = g_byte_array_new();
    stream->ended = ended;
    stream->opaque = opaque;
    return &stream->base;
}

static void detach(struct fd_stream *stream)
{
    if (stream->source) {
        g_source_destroy(stream->source);
        g_clear_pointer(&stream->source, g_source_unref);
    }
}

static struct fd_stream *of(struct stream *stream)
{
    return (struct fd_stream *)(void *)stream; /* which is its first member */
}

static void fd_close(struct stream *base)
{
    struct fd_stream *stream = of(base);

    stream->ended(stream->opaque, base);
    detach(stream);
    close(stream->fd);
    g_byte_array_unref(stream->input);
    g_clear_error(&stream->early_error);
    client_unref(base->client);
    g_free(stream);
}

void stream_fail(struct stream *base, const GError *error)
{
    struct fd_stream *stream = of(base);

    if (!stream->started) {
        if (!stream->early_error)
            stream->early_error = g_error_copy(error);
        return;
    }
    stream_send_error(base, error);
    stream_end(base);
}

static void fd_start(struct stream *base)
{
    struct fd_stream *stream = of(base);

    stream->started = true;
    if (stream->early_error)
        stream_fail(base, stream->early_error);
    else
        stream_update(base);
}

static void stream_broke(struct fd_stream *stream, const char *what)
{
    g_autoptr(GError) error = NULL;

    libvirt_error_set(&error, VIR_ERR_RPC, "%s", what);
    stream_fail(&stream->base, error);
}

static void stream_eof(struct fd_stream *stream)
{
    stream->at_eof = true;
    g_byte_array_set_size(stream->input, 0);
    detach(stream);
    stream_send(&stream->base, RPC_CONTINUE, NULL, 0);
}

/* Writes what the client sent, as far as it is taken. False when that failed for good. */
static bool write_input(struct fd_stream *stream)
{
    while (stream->input->len) {
        ssize_t n = write(stream->fd, stream->input->data, stream->input->len);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        g_byte_array_remove_range(stream->input, 0, (guint)n);
    }
    return true;
}

static void read_output(struct fd_stream *stream)
{
    /* A terminal gives at most 4 KiB at once, so one small buffer serves. */
    guint8 data[16384];
    ssize_t n = read(stream->fd, data, sizeof(data));

    if (n > 0)
        stream_send(&stream->base, RPC_CONTINUE, data, (gsize)n);
    else if (n == 0 || (n < 0 && errno == EIO)) /* EIO: nobody holds the pty's other end */
        stream_eof(stream);
    else if (errno != EAGAIN && errno != EINTR)
        stream_broke(stream, "stream had I/O failure");
}

static void stream_io(struct fd_stream *stream, GIOCondition condition)
{
    if ((condition & G_IO_OUT) && !write_input(stream)) {
        stream_broke(stream, "stream had I/O failure");
        return;
    }
    if (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR)) {
        /* At a hang-up there may be output left to read, and reading tells when there is none. */
        read_output(stream);
        return; /* the stream may be gone; it is updated when the client takes the data */
    }
    stream_update(&stream->base);
}

static void fd_update(struct stream *base)
{
    struct fd_stream *stream = of(base);
    GIOCondition want = 0;

    if (stream->at_eof)
        return;
    if (client_wants_stream_data(base->client))
        want |= G_IO_IN;
    if (stream->input->len)
        want |= G_IO_OUT;
    if (!want) {
        /* A hang-up cannot be masked; without a source it waits for us. */
        detach(stream);
        return;
    }
    if (!stream->source) {
        stream->source = g_source_new(&source_funcs, sizeof(struct stream_source));
        ((struct stream_source *)stream->source)->stream = stream;
        stream->tag = g_source_add_unix_fd(stream->source, stream->fd, want);
        g_source_attach(stream->source, NULL);
    } else {
        g_source_modify_unix_fd(stream->source, stream->tag, want);
    }
}

static void take_data(struct fd_stream *stream, const guint8 *data, gsize len)
{
    if (stream->at_eof)
        return;
    if (stream->input->len + len > STREAM_INPUT_MAX) {
        stream_broke(stream, "the guest does not read its console; too much input waits for it");
        return;
    }
    g_byte_array_append(stream->input, data, (guint)len);
    if (!write_input(stream))
        stream_broke(stream, "stream had I/O failure");
    else
        stream_update(&stream->base);
}

static void fd_packet(struct stream *base, const struct rpc_header *header, GBytes *packet)
{
    struct fd_stream *stream = of(base);
    gsize len;
    const guint8 *data = g_bytes_get_data(packet, &len);

    if (header->type == RPC_STREAM_HOLE) {
        stream_broke(stream, "this stream has no holes");
        return;
    }
    switch (header->status) {
    case RPC_CONTINUE:
        take_data(stream, data + RPC_PACKET_MIN, len - RPC_PACKET_MIN);
        break;
    case RPC_OK:
    case RPC_ERROR:
        stream_send(&stream->base, RPC_OK, NULL, 0);
        stream_end(base);
        break;
    default:
        stream_broke(stream, "stream packet with an unknown status");
        break;
    }
}

static const struct stream_kind fd_kind = {
    .start = fd_start,
    .packet = fd_packet,
    .update = fd_update,
    .close = fd_close,
};
