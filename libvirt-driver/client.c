/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/client.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libvirt-driver/api/events.h"
#include "libvirt-driver/domain/process.h"
#include "libvirt-driver/proxy/proxy.h"
#include "libvirt-driver/rpc/dispatch.h"
#include "libvirt-driver/rpc/error.h"
#include "libvirt-driver/rpc/stream.h"
#include "libvirt-driver/rpc/writer.h"
#include "libvirt-driver/server.h"
#include "libvirt-driver/storage/events.h"
#include "libvirt-driver/storage/storage.h"
#include "libvirt-driver/util.h"

#define READ_CHUNK 65536
/* The longest packets of those who are nobody yet, and of those who may only look. */
#define PACKET_MAX_STRANGER (64 * 1024)
#define PACKET_MAX_READONLY (4 * 1024 * 1024)
/* Nothing is read from a client that leaves this many bytes of replies lying. */
#define BACKLOG_STOP_READING ((gsize)1024 * 1024)
/* A client with this many unread bytes gets no further event. */
#define BACKLOG_DROP ((gsize)16 * 1024 * 1024)
/* Consoles pause at this many bytes, so that one busy guest does not delay replies. */
#define BACKLOG_STOP_STREAMS ((gsize)2 * RPC_STREAM_DATA_MAX)

struct client_source {
    GSource source;
    gpointer tag;
    struct client *client;
};

struct client {
    gatomicrefcount refs;
    struct daemon *daemon;
    struct client_peer peer;
    _Atomic gssize held; /* bytes, as client_held() tells */

    /* The main thread's. */
    int fd;
    struct client_source *source;
    GIOCondition polled; /* what the source waits for on the socket */
    struct rpc_reader reader;
    bool reader_full;             /* a packet may be waiting in the reader */
    GHashTable *streams;          /* by serial */
    struct proxy *proxy;          /* NULL until it is needed */
    GCancellable *authentication; /* NULL: none is under way */
    GSource *keepalive_timer;
    gint64 last_heard; /* monotonic microseconds */
    guint pings_unanswered;

    GMutex lock; /* for what follows */
    bool gone;
    GThread *at_work; /* in client_io(), which looks at all that waits before it is done */
    const char *drop_reason;
    guint auth; /* enum auth; AUTH_NONE once it is passed */
    bool open;
    bool readonly;
    char *uri;
    GBytes *identity;
    bool close_callback;
    guint calls; /* under way */
    struct rpc_writer tx;
};

static void client_io(struct client *client);

/* The source is dispatched for I/O on its socket, and when client_wake() set its ready time. */
static gboolean source_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    g_autoptr(held_client) client = client_ref(((struct client_source *)source)->client);

    g_source_set_ready_time(source, -1);
    client_io(client);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {.dispatch = source_dispatch};

/* Every call would wake the main loop once or twice more: what it is at already needs no wake. */
static void client_wake(struct client *client)
{
    if (!client->gone && client->at_work != g_thread_self())
        g_source_set_ready_time(&client->source->source, 0);
}

struct client *client_new(struct daemon *daemon, int fd, const struct client_peer *peer,
                          bool readonly, guint auth)
{
    struct client *client = g_new0(struct client, 1);

    g_atomic_ref_count_init(&client->refs);
    client->daemon = daemon;
    client->peer = *peer;
    client->fd = fd;
    client->readonly = readonly;
    client->auth = auth;
    client->streams = g_hash_table_new(NULL, NULL);
    g_mutex_init(&client->lock);
    client->source =
        (struct client_source *)g_source_new(&source_funcs, sizeof(struct client_source));
    client->source->client = client;
    /* Nothing runs the main loop within itself, and to prevent it costs GLib two wakes a dispatch.
     */
    g_source_set_can_recurse(&client->source->source, TRUE);
    client->polled = G_IO_IN;
    client->source->tag = g_source_add_unix_fd(&client->source->source, fd, client->polled);
    g_source_attach(&client->source->source, NULL);
    return client;
}

struct client *client_ref(struct client *client)
{
    g_atomic_ref_count_inc(&client->refs);
    return client;
}

void client_unref(struct client *client)
{
    if (!g_atomic_ref_count_dec(&client->refs))
        return;
    g_source_unref(&client->source->source);
    g_mutex_clear(&client->lock);
    g_clear_pointer(&client->identity, g_bytes_unref);
    g_free(client->uri);
    g_free(client);
}

static void hold(struct client *client, gssize bytes)
{
    atomic_fetch_add(&client->held, bytes);
    server_hold(client->daemon->server, bytes);
}

gsize client_held(struct client *client)
{
    return (gsize)client->held;
}

/* A packet that came, which counts as long as somebody needs it. */
struct held_packet {
    struct client *client;
    GBytes *bytes;
};

static void held_packet_free(gpointer data)
{
    struct held_packet *packet = data;

    hold(packet->client, -(gssize)g_bytes_get_size(packet->bytes));
    g_bytes_unref(packet->bytes);
    client_unref(packet->client);
    g_free(packet);
}

/* Takes over the bytes, which have been counted when they came. */
static GBytes *hold_packet(struct client *client, GBytes *bytes)
{
    struct held_packet *packet = g_new(struct held_packet, 1);
    gsize len;
    gconstpointer data = g_bytes_get_data(bytes, &len);

    *packet = (struct held_packet){client_ref(client), bytes};
    return g_bytes_new_with_free_func(data, len, held_packet_free, packet);
}

/* Writes what waits, as much as the socket takes; false when the connection is broken. Locked. */
static bool flush_locked(struct client *client)
{
    gsize sent;
    bool ok = rpc_writer_send(&client->tx, client->fd, &sent);

    hold(client, -(gssize)sent);
    return ok;
}

void client_send(struct client *client, GBytes *packet)
{
    hold_lock(&client->lock);

    if (client->gone) {
        g_bytes_unref(packet);
        return;
    }
    hold(client, (gssize)g_bytes_get_size(packet));
    rpc_writer_add(&client->tx, packet);
    /* Mostly it fits into the socket, and nobody else has to be woken to put it there. */
    if (g_queue_get_length(&client->tx.packets) > 1 || !flush_locked(client) || client->tx.bytes)
        client_wake(client);
}

void client_send_event(struct client *client, GBytes *packet)
{
    bool full;

    g_mutex_lock(&client->lock);
    full = client->tx.bytes > BACKLOG_DROP;
    g_mutex_unlock(&client->lock);
    if (full) {
        g_bytes_unref(packet);
        client_drop(client, "it does not read its events");
        return;
    }
    client_send(client, packet);
}

void client_drop(struct client *client, const char *why)
{
    hold_lock(&client->lock);

    if (client->gone || client->drop_reason)
        return;
    client->drop_reason = why;
    g_source_set_ready_time(&client->source->source, 0);
}

bool client_is_gone(struct client *client)
{
    hold_lock(&client->lock);

    return client->gone;
}

void client_close(struct client *client)
{
    GHashTableIter iter;
    gpointer stream;

    g_mutex_lock(&client->lock);
    if (client->gone) {
        g_mutex_unlock(&client->lock);
        return;
    }
    client->gone = true;
    hold(client, -(gssize)client->tx.bytes);
    rpc_writer_clear(&client->tx);
    g_mutex_unlock(&client->lock);

    g_source_destroy(&client->source->source);
    close(client->fd);
    client->fd = -1;
    if (client->keepalive_timer) {
        g_source_destroy(client->keepalive_timer);
        g_clear_pointer(&client->keepalive_timer, g_source_unref);
    }
    g_hash_table_iter_init(&iter, client->streams);
    while (g_hash_table_iter_next(&iter, NULL, &stream)) {
        g_hash_table_iter_remove(&iter);
        stream_close(stream);
    }
    g_clear_pointer(&client->streams, g_hash_table_unref);
    g_clear_pointer(&client->proxy, proxy_free);
    if (client->authentication)
        g_cancellable_cancel(client->authentication);
    hold(client, -(gssize)rpc_reader_bytes(&client->reader));
    rpc_reader_clear(&client->reader);
    events_forget_client(client->daemon->events, client);
    pool_events_forget_client(client->daemon->storage->events, client);
    domain_autodestroy(client->daemon, client);
    server_remove_client(client->daemon->server, client);
}

static bool client_flush(struct client *client)
{
    hold_lock(&client->lock);

    return flush_locked(client);
}

/* Reads what the socket holds, at most one chunk; false when the connection has ended. */
static bool client_fill(struct client *client)
{
    guint8 chunk[READ_CHUNK];
    ssize_t n = recv(client->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    rpc_reader_add(&client->reader, chunk, (gsize)n);
    hold(client, n);
    client->reader_full = true;
    client->last_heard = g_get_monotonic_time();
    client->pings_unanswered = 0;
    return true;
}

static gboolean find_full_stream(gpointer serial, gpointer stream, gpointer opaque)
{
    return stream_is_full(stream);
}

static bool client_is_busy(struct client *client)
{
    hold_lock(&client->lock);

    if (client->proxy && proxy_is_full(client->proxy))
        return true;
    if (client->streams && g_hash_table_find(client->streams, find_full_stream, NULL))
        return true;

    return client->calls >= client->daemon->settings.max_client_requests ||
           client->tx.bytes > BACKLOG_STOP_READING;
}

static void begin_call(struct client *client, const struct rpc_header *header, GBytes *packet)
{
    g_mutex_lock(&client->lock);
    client->calls++;
    g_mutex_unlock(&client->lock);
    rpc_dispatch(client->daemon, client, header, packet);
}

static bool client_packet(struct client *client, GBytes *packet)
{
    struct rpc_header header;
    struct stream *stream;

    rpc_header_decode(packet, &header);
    if (rpc_is_keepalive(&header)) {
        if (header.procedure == RPC_PING)
            client_send(client, rpc_pong_new(&header));
        return true; /* of a pong it is noted already that the client was heard */
    }
    switch (header.type) {
    case RPC_CALL:
        begin_call(client, &header, packet);
        return true;
    case RPC_STREAM:
    case RPC_STREAM_HOLE:
        stream = g_hash_table_lookup(client->streams, GUINT_TO_POINTER(header.serial));
        /* A packet for a stream that ended here while it was on its way is no error. */
        if (stream)
            stream_packet(stream, &header, packet);
        else if (client->proxy)
            proxy_stream_packet(client->proxy, &header, packet);
        return true;
    default:
        /* Descriptors cannot come: the feature that allows them is never granted. */
        g_info("client %d sent a packet of type %d", (int)client->peer.pid, header.type);
        return false;
    }
}

static guint32 packet_max(struct client *client)
{
    hold_lock(&client->lock);

    if (client->auth != AUTH_NONE)
        return PACKET_MAX_STRANGER;
    return client->readonly ? PACKET_MAX_READONLY : RPC_PACKET_MAX;
}

/* Handles the packets that are complete; false when the connection has to end. */
static bool client_packets(struct client *client)
{
    while (client->reader_full && !client_is_busy(client)) {
        g_autoptr(GBytes) packet = NULL;

        client->reader.max = packet_max(client);
        switch (rpc_reader_next(&client->reader, &packet)) {
        case 1:
            packet = hold_packet(client, packet);
            if (!client_packet(client, packet))
                return false;
            break;
        case 0:
            client->reader_full = false;
            break;
        default:
            g_info("client %d sent a packet of an impossible length", (int)client->peer.pid);
            return false;
        }
    }
    return true;
}

static void update_streams(struct client *client)
{
    GHashTableIter iter;
    gpointer stream;

    g_hash_table_iter_init(&iter, client->streams);
    while (g_hash_table_iter_next(&iter, NULL, &stream))
        stream_update(stream);
}

/* What to wait for on the socket; from here on, whatever changes has to wake. */
static void client_poll(struct client *client)
{
    bool reads = !client->reader_full && !client_is_busy(client);
    GIOCondition want;

    g_mutex_lock(&client->lock);
    want = (reads ? G_IO_IN : 0) | (client->tx.bytes ? G_IO_OUT : 0);
    client->at_work = NULL;
    g_mutex_unlock(&client->lock);
    if (want != client->polled)
        g_source_modify_unix_fd(&client->source->source, client->source->tag, want);
    client->polled = want;
}

static void client_io(struct client *client)
{
    GIOCondition had = g_source_query_unix_fd(&client->source->source, client->source->tag);
    const char *drop_reason;

    if (client->fd < 0)
        return;
    g_mutex_lock(&client->lock);
    drop_reason = client->drop_reason;
    client->at_work = g_thread_self();
    g_mutex_unlock(&client->lock);
    if (drop_reason) {
        g_warning("dropping client %d: %s", (int)client->peer.pid, drop_reason);
        client_close(client);
        return;
    }
    /* A connection that is gone stays readable: it must not wake us while we do not read. */
    if ((had & (G_IO_HUP | G_IO_ERR)) && client_is_busy(client)) {
        client_close(client);
        return;
    }
    if (!client_flush(client) || !client_packets(client) ||
        ((had & (G_IO_IN | G_IO_HUP | G_IO_ERR)) && !client->reader_full &&
         (!client_fill(client) || !client_packets(client))) ||
        !client_flush(client)) {
        client_close(client);
        return;
    }
    update_streams(client);
    if (client->proxy)
        proxy_update(client->proxy);
    client_poll(client);
}

void client_call_done(struct client *client)
{
    hold_lock(&client->lock);

    /* Only of a client that had too many under way is nothing read until one is done. */
    if (client->calls-- >= client->daemon->settings.max_client_requests)
        client_wake(client);
}

guint client_auth(struct client *client)
{
    hold_lock(&client->lock);

    return client->auth;
}

bool client_is_authenticated(struct client *client)
{
    return client_auth(client) == AUTH_NONE;
}

static gboolean tell_server(gpointer data)
{
    struct client *client = data;

    server_client_authenticated(client->daemon->server, client);
    return G_SOURCE_REMOVE;
}

void client_set_authenticated(struct client *client)
{
    g_mutex_lock(&client->lock);
    client->auth = AUTH_NONE;
    g_mutex_unlock(&client->lock);
    main_invoke(tell_server, client_ref(client), (GDestroyNotify)client_unref);
}

GCancellable *client_begin_authentication(struct client *client)
{
    if (client->authentication)
        return NULL;
    client->authentication = g_cancellable_new();
    return client->authentication;
}

void client_end_authentication(struct client *client)
{
    g_clear_object(&client->authentication);
}

bool client_open(struct client *client, const char *uri, bool readonly)
{
    hold_lock(&client->lock);

    if (client->open)
        return false;
    client->open = true;
    client->uri = g_strdup(uri);
    client->readonly |= readonly;
    return true;
}

bool client_is_open(struct client *client)
{
    hold_lock(&client->lock);

    return client->open;
}

bool client_is_readonly(struct client *client)
{
    hold_lock(&client->lock);

    return client->readonly;
}

char *client_uri(struct client *client)
{
    hold_lock(&client->lock);

    return g_strdup(client->uri);
}

const struct client_peer *client_peer(const struct client *client)
{
    return &client->peer;
}

GArray *client_groups(struct client *client)
{
    GArray *groups = g_array_new(FALSE, FALSE, sizeof(gid_t));
    socklen_t len = 0;

    /* The first call tells how many there are. */
    if (getsockopt(client->fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE)
        return groups;
    g_array_set_size(groups, len / sizeof(gid_t));
    if (getsockopt(client->fd, SOL_SOCKET, SO_PEERGROUPS, groups->data, &len) < 0)
        g_array_set_size(groups, 0);
    return groups;
}

void client_set_identity(struct client *client, GBytes *payload)
{
    hold_lock(&client->lock);

    g_clear_pointer(&client->identity, g_bytes_unref);
    client->identity = g_bytes_ref(payload);
}

GBytes *client_identity(struct client *client)
{
    hold_lock(&client->lock);

    return client->identity ? g_bytes_ref(client->identity) : NULL;
}

struct proxy *client_proxy(struct client *client)
{
    if (!client->proxy)
        client->proxy = proxy_new(client->daemon, client);
    return client->proxy;
}

void client_wake_up(struct client *client)
{
    hold_lock(&client->lock);

    client_wake(client);
}

bool client_set_close_callback(struct client *client, bool registered)
{
    hold_lock(&client->lock);

    if (client->close_callback == registered)
        return false;
    client->close_callback = registered;
    return true;
}

/* Asks a silent client whether it is still there; drops one that does not answer in time. */
static gboolean keepalive_tick(gpointer data)
{
    struct client *client = data;
    const struct settings *settings = &client->daemon->settings;
    gint64 silent = g_get_monotonic_time() - client->last_heard;

    /* Who is not read from cannot be heard: a client with many calls under way is not silent. */
    if (silent < (gint64)settings->keepalive_interval * G_USEC_PER_SEC || client_is_busy(client))
        return G_SOURCE_CONTINUE;
    if (client->pings_unanswered++ >= settings->keepalive_count)
        client_drop(client, "it does not answer keepalive messages");
    else
        client_send(client, rpc_ping_new());
    return G_SOURCE_CONTINUE;
}

static gboolean enable_keepalive(gpointer data)
{
    struct client *client = data;

    if (client->fd >= 0 && !client->keepalive_timer) {
        client->keepalive_timer =
            g_timeout_source_new_seconds(client->daemon->settings.keepalive_interval);
        g_source_set_callback(client->keepalive_timer, keepalive_tick, client, NULL);
        g_source_attach(client->keepalive_timer, NULL);
    }
    return G_SOURCE_REMOVE;
}

void client_enable_keepalive(struct client *client)
{
    if (client->daemon->settings.keepalive_interval > 0) {
        main_invoke(enable_keepalive, client_ref(client), (GDestroyNotify)client_unref);
    }
}

struct stream_start {
    struct client *client;
    struct stream *stream;
    GBytes *reply;
};

/* A stream is known by its call's serial: two with the same one could not be told apart. */
static GBytes *serial_taken(const GBytes *reply)
{
    g_autoptr(GError) error = NULL;
    struct rpc_header header;

    rpc_header_decode(reply, &header);
    libvirt_error_set(&error, VIR_ERR_RPC, "there is a stream with the serial %u already",
                      header.serial);
    return rpc_error_packet(&header, error);
}

/* In the main thread, so that the reply is queued before the stream's first bytes. */
static gboolean start_stream(gpointer data)
{
    struct stream_start *start = data;
    struct client *client = start->client;
    gpointer serial = GUINT_TO_POINTER(stream_serial(start->stream));

    if (client->fd < 0 || g_hash_table_contains(client->streams, serial)) {
        client_send(client, serial_taken(start->reply));
        g_bytes_unref(start->reply);
        stream_close(start->stream);
    } else {
        client_send(client, start->reply);
        g_hash_table_insert(client->streams, serial, start->stream);
        stream_start(start->stream);
    }
    client_unref(client);
    g_free(start);
    return G_SOURCE_REMOVE;
}

void client_start_stream(struct client *client, struct stream *stream, GBytes *reply)
{
    struct stream_start *start = g_new(struct stream_start, 1);

    *start = (struct stream_start){client_ref(client), stream, reply};
    main_invoke(start_stream, start, NULL);
}

void client_forget_stream(struct client *client, struct stream *stream)
{
    if (client->streams)
        g_hash_table_remove(client->streams, GUINT_TO_POINTER(stream_serial(stream)));
}

bool client_wants_stream_data(struct client *client)
{
    hold_lock(&client->lock);

    return client->tx.bytes < BACKLOG_STOP_STREAMS;
}
