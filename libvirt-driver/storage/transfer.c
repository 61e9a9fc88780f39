/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/storage/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "libvirt-driver/rpc/stream.h"
#include "libvirt-driver/server.h"
#include "libvirt-driver/util.h"

/* Of an upload, this much waits for the disk before the client has to. */
#define QUEUE_FULL ((gsize)1024 * 1024)
#define HOLE_BYTES 12

struct transfer {
    struct stream base;
    struct daemon *daemon;
    struct volume_key key;
    int fd;
    bool upload;
    bool sparse;
    bool started;

    /* A worker's while one is at work, else the main thread's. */
    guint64 offset;
    guint64 end;      /* G_MAXINT64: where the file ends */
    GPtrArray *batch; /* of GBytes: an upload's packets that are being written */
    GBytes *data;     /* what was read */
    guint64 hole;     /* or this many bytes of nothing */
    GError *error;

    /* The main thread's. */
    bool working;
    bool at_end;    /* a download has sent all */
    bool finished;  /* the client has said that it is done */
    bool closed;    /* the stream is over */
    bool answers;   /* ... and the client is told how, once the volume is free: */
    GError *answer; /* NULL: well */
    GQueue queue;   /* of GBytes: an upload's packets */
    gsize queued;
};

static struct transfer *of(const struct stream *stream)
{
    return (struct transfer *)(uintptr_t)stream; /* which is its first member */
}

/* ---- a worker ---- */

static bool io_failed(struct transfer *transfer, const char *what)
{
    libvirt_error_set_errno(&transfer->error, errno, "Unable to %s volume '%s'", what,
                            transfer->key.name);
    return false;
}

/* The hole at the offset, or where the data that is there ends. */
static bool find_hole(struct transfer *transfer, guint64 *end)
{
    off_t data = lseek(transfer->fd, (off_t)transfer->offset, SEEK_DATA);
    off_t hole;

    if (data < 0 && errno != ENXIO)
        return io_failed(transfer, "seek in");
    transfer->hole = (data < 0 ? *end : MIN((guint64)data, *end)) - transfer->offset;
    if (transfer->hole)
        return true;
    hole = lseek(transfer->fd, data, SEEK_HOLE);
    if (hole < 0)
        return io_failed(transfer, "seek in");
    *end = MIN(*end, (guint64)hole);
    return true;
}

static bool read_piece(struct transfer *transfer)
{
    g_autofree guint8 *buffer = NULL;
    guint64 end = transfer->end;
    struct stat stat;
    ssize_t n;

    if (fstat(transfer->fd, &stat) < 0)
        return io_failed(transfer, "stat");
    end = MIN(end, (guint64)stat.st_size);
    if (transfer->offset >= end)
        return true; /* neither data nor a hole: the end */
    if (transfer->sparse && !find_hole(transfer, &end))
        return false;
    if (transfer->hole) {
        transfer->offset += transfer->hole;
        return true;
    }
    buffer = g_malloc(RPC_STREAM_DATA_MAX);
    n = pread(transfer->fd, buffer, MIN(RPC_STREAM_DATA_MAX, end - transfer->offset),
              (off_t)transfer->offset);
    if (n < 0)
        return io_failed(transfer, "read");
    transfer->offset += (guint64)n;
    if (n > 0)
        transfer->data = g_bytes_new_take(g_steal_pointer(&buffer), (gsize)n);
    return true;
}

/* The stretch that is to be written, no further than the client said. */
static bool claim(struct transfer *transfer, guint64 bytes)
{
    if (bytes <= transfer->end - transfer->offset)
        return true;
    errno = ENOSPC;
    return io_failed(transfer, "write to");
}

static bool write_data(struct transfer *transfer, const guint8 *data, gsize len)
{
    if (!claim(transfer, len))
        return false;
    while (len) {
        ssize_t n = pwrite(transfer->fd, data, len, (off_t)transfer->offset);

        if (n < 0)
            return io_failed(transfer, "write to");
        transfer->offset += (guint64)n;
        data += n;
        len -= (gsize)n;
    }
    return true;
}

static bool write_zeroes(struct transfer *transfer, guint64 bytes)
{
    static const guint8 zeroes[65536];

    for (; bytes; bytes -= MIN(bytes, sizeof(zeroes))) {
        if (!write_data(transfer, zeroes, MIN(bytes, sizeof(zeroes))))
            return false;
    }
    return true;
}

/* What was there is gone afterwards; the file grows when the hole is at its end. */
static bool write_hole(struct transfer *transfer, guint64 bytes)
{
    struct stat stat;
    off_t at = (off_t)transfer->offset;

    if (!bytes)
        return true;
    if (!claim(transfer, bytes))
        return false;
    if (fstat(transfer->fd, &stat) < 0)
        return io_failed(transfer, "stat");
    if (fallocate(transfer->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, (off_t)bytes) < 0)
        return errno == EOPNOTSUPP ? write_zeroes(transfer, bytes)
                                   : io_failed(transfer, "make a hole in");
    if (at + (off_t)bytes > stat.st_size && ftruncate(transfer->fd, at + (off_t)bytes) < 0)
        return io_failed(transfer, "extend");
    transfer->offset += bytes;
    return true;
}

static bool write_packet(struct transfer *transfer, GBytes *packet)
{
    struct rpc_header header;
    gsize len;
    const guint8 *data = g_bytes_get_data(packet, &len);
    guint64 bytes;

    data += RPC_PACKET_MIN;
    len -= RPC_PACKET_MIN;
    rpc_header_decode(packet, &header);
    if (header.type == RPC_STREAM)
        return write_data(transfer, data, len);
    memcpy(&bytes, data, sizeof(bytes));
    return write_hole(transfer, GUINT64_FROM_BE(bytes));
}

static gboolean worked(gpointer data);

static void work(gpointer data, struct daemon *daemon)
{
    struct transfer *transfer = data;

    if (!transfer->upload) {
        read_piece(transfer);
    } else {
        for (guint i = 0; i < transfer->batch->len && !transfer->error; i++)
            write_packet(transfer, g_ptr_array_index(transfer->batch, i));
        g_ptr_array_set_size(transfer->batch, 0);
    }
    main_invoke(worked, transfer, NULL);
}

static void transfer_free(struct transfer *transfer)
{
    close_fdp(&transfer->fd);
    g_queue_clear_full(&transfer->queue, (GDestroyNotify)g_bytes_unref);
    g_ptr_array_unref(transfer->batch);
    g_clear_pointer(&transfer->data, g_bytes_unref);
    g_clear_error(&transfer->error);
    g_clear_error(&transfer->answer);
    g_free(transfer->key.pool);
    g_free(transfer->key.name);
    client_unref(transfer->base.client);
    g_free(transfer);
}

static gboolean released(gpointer data);

static void release(gpointer data, struct daemon *daemon)
{
    struct transfer *transfer = data;

    volume_release(daemon->storage, &transfer->key);
    main_invoke(released, transfer, NULL);
}

/* ---- the main thread ---- */

/* The volume's file is looked at once more, which a worker has to do. */
static void give_up_volume(struct transfer *transfer)
{
    if (!server_run(transfer->daemon->server, release, transfer, false))
        transfer_free(transfer);
}

static void begin_work(struct transfer *transfer)
{
    /* When the daemon ends nothing is run any more, and the client is dropped. */
    transfer->working = server_run(transfer->daemon->server, work, transfer, false);
}

/* Not before: who hears of the end may want to do something else with the volume at once. */
static gboolean released(gpointer data)
{
    struct transfer *transfer = data;

    if (transfer->answer)
        stream_send_error(&transfer->base, transfer->answer);
    else if (transfer->answers)
        stream_send(&transfer->base, RPC_OK, NULL, 0);
    transfer_free(transfer);
    return G_SOURCE_REMOVE;
}

/* `error` is taken over; NULL: all is done, and the client wants to know. */
static void end(struct transfer *transfer, GError *error)
{
    transfer->answers = true;
    transfer->answer = error;
    stream_end(&transfer->base);
}

static void send_hole(struct transfer *transfer)
{
    struct rpc_header header = transfer->base.header;
    guint64 payload[2] = {GUINT64_TO_BE(transfer->hole), 0}; /* and no flags */

    header.type = RPC_STREAM_HOLE;
    header.status = RPC_CONTINUE;
    client_send(transfer->base.client, rpc_packet_new_raw(&header, payload, HOLE_BYTES));
    transfer->hole = 0;
}

static void send_piece(struct transfer *transfer)
{
    g_autoptr(GBytes) data = g_steal_pointer(&transfer->data);
    gsize len = 0;
    const void *bytes = data ? g_bytes_get_data(data, &len) : NULL;

    if (transfer->hole) {
        send_hole(transfer);
        return;
    }
    stream_send(&transfer->base, RPC_CONTINUE, bytes, len);
    transfer->at_end = len == 0;
}

static void next_step(struct transfer *transfer)
{
    if (transfer->working || !transfer->started)
        return;
    if (transfer->upload && !g_queue_is_empty(&transfer->queue)) {
        GBytes *packet;

        while ((packet = g_queue_pop_head(&transfer->queue)))
            g_ptr_array_add(transfer->batch, packet);
        transfer->queued = 0;
        begin_work(transfer);
        client_wake_up(transfer->base.client);
    } else if (!transfer->upload && !transfer->at_end &&
               client_wants_stream_data(transfer->base.client)) {
        begin_work(transfer);
    }
}

static gboolean worked(gpointer data)
{
    struct transfer *transfer = data;

    transfer->working = false;
    if (transfer->closed) {
        give_up_volume(transfer);
        return G_SOURCE_REMOVE;
    }
    if (transfer->error) {
        end(transfer, g_steal_pointer(&transfer->error));
        return G_SOURCE_REMOVE;
    }
    if (!transfer->upload)
        send_piece(transfer);
    else if (transfer->finished && g_queue_is_empty(&transfer->queue)) {
        end(transfer, NULL);
        return G_SOURCE_REMOVE;
    }
    next_step(transfer);
    return G_SOURCE_REMOVE;
}

static void transfer_start(struct stream *stream)
{
    of(stream)->started = true;
    next_step(of(stream));
}

static void transfer_update(struct stream *stream)
{
    next_step(of(stream));
}

static bool transfer_is_full(const struct stream *stream)
{
    return of(stream)->queued > QUEUE_FULL;
}

static void transfer_close(struct stream *stream)
{
    struct transfer *transfer = of(stream);

    transfer->closed = true;
    if (!transfer->working)
        give_up_volume(transfer);
}

static void refuse(struct transfer *transfer, const char *why)
{
    GError *error = NULL;

    libvirt_error_set(&error, VIR_ERR_RPC, "%s", why);
    end(transfer, error);
}

static void take(struct transfer *transfer, const struct rpc_header *header, GBytes *packet)
{
    gsize payload = g_bytes_get_size(packet) - RPC_PACKET_MIN;

    if (!transfer->upload || transfer->finished) {
        refuse(transfer, "nothing can be sent to this stream");
    } else if (header->type == RPC_STREAM_HOLE && (!transfer->sparse || payload < HOLE_BYTES)) {
        refuse(transfer, "this stream has no holes");
    } else {
        g_queue_push_tail(&transfer->queue, g_bytes_ref(packet));
        transfer->queued += payload;
        next_step(transfer);
    }
}

static void transfer_packet(struct stream *stream, const struct rpc_header *header, GBytes *packet)
{
    struct transfer *transfer = of(stream);

    if (header->type == RPC_STREAM_HOLE || header->status == RPC_CONTINUE) {
        take(transfer, header, packet);
    } else if (header->status == RPC_OK && transfer->upload &&
               (transfer->working || !g_queue_is_empty(&transfer->queue))) {
        transfer->finished = true; /* answered when all is written */
    } else if (header->status == RPC_OK || header->status == RPC_ERROR) {
        end(transfer, NULL);
    } else {
        refuse(transfer, "stream packet with an unknown status");
    }
}

static const struct stream_kind transfer_kind = {
    .start = transfer_start,
    .packet = transfer_packet,
    .update = transfer_update,
    .is_full = transfer_is_full,
    .close = transfer_close,
};

struct stream *transfer_new(struct call *call, const struct volume_key *key,
                            const struct transfer_args *args, GError **error)
{
    struct transfer *transfer;
    int fd;

    if (args->offset > G_MAXINT64 || args->length > G_MAXINT64 - args->offset) {
        libvirt_error_set(error, VIR_ERR_OVERFLOW,
                          "offset %" G_GUINT64_FORMAT " and length %" G_GUINT64_FORMAT,
                          args->offset, args->length);
        return NULL;
    }
    fd = volume_acquire(call->daemon->storage, key, args->upload ? O_WRONLY : O_RDONLY, error);
    if (fd < 0)
        return NULL;
    transfer = g_new0(struct transfer, 1);
    stream_init(&transfer->base, &transfer_kind, call->client, &call->header);
    transfer->daemon = call->daemon;
    transfer->key = (struct volume_key){g_strdup(key->pool), g_strdup(key->name)};
    transfer->fd = fd;
    transfer->upload = args->upload;
    transfer->sparse = args->sparse;
    transfer->offset = args->offset;
    transfer->end = args->length ? args->offset + args->length : G_MAXINT64;
    transfer->batch = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_queue_init(&transfer->queue);
    return &transfer->base;
}
