/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How it works: one GSource with the socket in it; each time it is dispatched what waits is
 * written, a chunk is read, and the packets that are whole are handled. Functions that find the
 * connection at its end return false with an error, and upstream_io() alone ends it then.
 *
 * Nothing is read from the daemon while the client has not taken what came before, and nothing from
 * the client while the daemon has not (upstream_is_full()), so that neither fills our memory.
 */
#include "libvirt-driver/proxy/upstream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "libvirt-driver/proxy/connect.h"
#include "libvirt-driver/rpc/error.h"
#include "libvirt-driver/rpc/writer.h"
#include "libvirt-driver/util.h"

#define READ_CHUNK 65536
/* The client waits while this many bytes wait for the daemon. */
#define BACKLOG_FULL ((gsize)1024 * 1024)

/* What we ask by ourselves. */
enum {
    PROCEDURE_OPEN = 1,
    PROCEDURE_AUTH_LIST = 66,
    PROCEDURE_AUTH_POLKIT = 70,
    PROCEDURE_SET_IDENTITY = 419,
};

enum state { CONNECTING, ASKING, AUTHENTICATING, OPENING, IDENTIFYING, REGISTERING, READY };

struct upstream_source {
    GSource source;
    struct upstream *upstream;
};

struct upstream {
    struct proxy *proxy;
    const struct upstream_ops *ops;
    struct daemon *daemon;
    struct client *client;
    enum proxy_driver driver;
    struct registrations *registrations;
    enum state state;
    int asked; /* the procedure of the question of our own */
    char *path;
    struct connecting *connecting;

    int fd;
    struct upstream_source *source;
    gpointer tag; /* NULL while nothing is wanted of the socket */
    struct rpc_reader reader;
    struct rpc_writer tx;

    GQueue waiting;      /* of GBytes: calls for the time when it is ready */
    GHashTable *calls;   /* serial -> struct rpc_header */
    GHashTable *streams; /* the same, of the call that opened it */
    GBytes *refusal;     /* the daemon's own error, as it sent it */

    GSource *timer;
    gint64 last_heard; /* monotonic microseconds */
    guint pings_unanswered;
};

static void upstream_io(struct upstream *upstream, GIOCondition had);

static gboolean source_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    struct upstream *upstream = ((struct upstream_source *)source)->upstream;

    upstream_io(upstream, upstream->tag ? g_source_query_unix_fd(source, upstream->tag) : 0);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {.dispatch = source_dispatch};

struct upstream *upstream_new(struct proxy *proxy, const struct upstream_ops *ops,
                              struct daemon *daemon, struct client *client,
                              enum proxy_driver driver, struct registrations *registrations)
{
    struct upstream *upstream = g_new0(struct upstream, 1);

    upstream->proxy = proxy;
    upstream->ops = ops;
    upstream->daemon = daemon;
    upstream->client = client;
    upstream->driver = driver;
    upstream->registrations = registrations;
    upstream->fd = -1;
    g_queue_init(&upstream->waiting);
    upstream->calls = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    upstream->streams = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    return upstream;
}

static void clear_timer(struct upstream *upstream)
{
    if (upstream->timer) {
        g_source_destroy(upstream->timer);
        g_clear_pointer(&upstream->timer, g_source_unref);
    }
}

void upstream_free(struct upstream *upstream)
{
    registrations_lost(upstream->registrations);
    if (upstream->connecting)
        connect_cancel(upstream->connecting);
    clear_timer(upstream);
    if (upstream->source) {
        g_source_destroy(&upstream->source->source);
        g_source_unref(&upstream->source->source);
    }
    close_fdp(&upstream->fd);
    rpc_reader_clear(&upstream->reader);
    rpc_writer_clear(&upstream->tx);
    g_queue_clear_full(&upstream->waiting, (GDestroyNotify)g_bytes_unref);
    g_hash_table_unref(upstream->calls);
    g_hash_table_unref(upstream->streams);
    g_clear_pointer(&upstream->refusal, g_bytes_unref);
    g_free(upstream->path);
    g_free(upstream);
}

/* ---- the end ---- */

/* The error for one call or stream: the daemon's own words if it had any. */
static void answer_error(struct upstream *upstream, struct rpc_header header, const GError *error)
{
    gsize len;
    const guint8 *refusal;

    header.status = RPC_ERROR;
    if (!upstream->refusal) {
        client_send(upstream->client, rpc_error_packet(&header, error));
        return;
    }
    refusal = g_bytes_get_data(upstream->refusal, &len);
    client_send(upstream->client,
                rpc_packet_new_raw(&header, refusal + RPC_PACKET_MIN, len - RPC_PACKET_MIN));
}

static void upstream_end(struct upstream *upstream, const GError *error)
{
    GHashTableIter iter;
    gpointer header;
    GBytes *packet;

    g_info("%s for client %d: %s", upstream->path ? upstream->path : "a daemon",
           (int)client_peer(upstream->client)->pid, error ? error->message : "refused");
    upstream->ops->ended(upstream->proxy, upstream->driver);
    while ((packet = g_queue_pop_head(&upstream->waiting))) {
        struct rpc_header call;

        rpc_header_decode(packet, &call);
        g_bytes_unref(packet);
        answer_error(upstream, rpc_reply_header(&call, RPC_ERROR), error);
        client_call_done(upstream->client);
    }
    g_hash_table_iter_init(&iter, upstream->calls);
    while (g_hash_table_iter_next(&iter, NULL, &header)) {
        answer_error(upstream, rpc_reply_header(header, RPC_ERROR), error);
        client_call_done(upstream->client);
    }
    g_hash_table_iter_init(&iter, upstream->streams);
    while (g_hash_table_iter_next(&iter, NULL, &header)) {
        struct rpc_header stream = *(const struct rpc_header *)header;

        stream.type = RPC_STREAM;
        answer_error(upstream, stream, error);
    }
    /* The client may have waited for us to take more. */
    client_wake_up(upstream->client);
    upstream_free(upstream);
}

static void upstream_absent(struct upstream *upstream, bool daemon_says_so)
{
    GQueue waiting = upstream->waiting;
    struct proxy *proxy = upstream->proxy;
    const struct upstream_ops *ops = upstream->ops;
    enum proxy_driver driver = upstream->driver;

    g_queue_init(&upstream->waiting);
    upstream_free(upstream);
    ops->absent(proxy, driver, &waiting, daemon_says_so);
}

/* ---- sending ---- */

static void want(struct upstream *upstream, GIOCondition condition)
{
    GSource *source = &upstream->source->source;

    /* A hang-up cannot be masked; a socket that is not polled does not wake us for one. */
    if (!condition && upstream->tag) {
        g_source_remove_unix_fd(source, upstream->tag);
        upstream->tag = NULL;
    } else if (condition && !upstream->tag) {
        upstream->tag = g_source_add_unix_fd(source, upstream->fd, condition);
    } else if (condition) {
        g_source_modify_unix_fd(source, upstream->tag, condition);
    }
}

void upstream_update(struct upstream *upstream)
{
    GIOCondition condition = 0;

    if (!upstream->source)
        return;
    if (upstream->tx.bytes)
        condition |= G_IO_OUT;
    if (client_wants_stream_data(upstream->client))
        condition |= G_IO_IN;
    want(upstream, condition);
}

static void upstream_send(struct upstream *upstream, GBytes *packet)
{
    rpc_writer_add(&upstream->tx, packet);
    upstream_update(upstream);
}

static bool flush(struct upstream *upstream, GError **error)
{
    bool was_full = upstream_is_full(upstream);
    gsize sent;

    if (!rpc_writer_send(&upstream->tx, upstream->fd, &sent)) {
        libvirt_error_set_errno(error, errno, "Cannot write data");
        return false;
    }
    if (sent) /* what it takes is a sign of life too */
        upstream->last_heard = g_get_monotonic_time();
    if (was_full && !upstream_is_full(upstream))
        client_wake_up(upstream->client);
    return true;
}

bool upstream_is_full(struct upstream *upstream)
{
    return upstream->tx.bytes > BACKLOG_FULL;
}

/* The header of a question of our own; before it is ready no serial is in use. */
static struct rpc_header question(struct upstream *upstream, enum state state, int procedure)
{
    upstream->state = state;
    upstream->asked = procedure;
    return (struct rpc_header){
        .program = RPC_PROGRAM_REMOTE,
        .version = RPC_PROGRAM_VERSION,
        .procedure = procedure,
        .type = RPC_CALL,
        .serial = (uint32_t)state,
        .status = RPC_OK,
    };
}

static void ask(struct upstream *upstream, enum state state, int procedure,
                const struct rpc_shape *shape, const void *value)
{
    struct rpc_header header = question(upstream, state, procedure);

    upstream_send(upstream, rpc_packet_new(&header, shape, value));
}

/* ---- calls and streams of the client ---- */

static void note(GHashTable *table, const struct rpc_header *header)
{
    g_hash_table_insert(table, GUINT_TO_POINTER(header->serial),
                        g_memdup2(header, sizeof(*header)));
}

void upstream_call(struct upstream *upstream, const struct rpc_header *header, GBytes *packet)
{
    g_autoptr(GError) error = NULL;
    GBytes *handed_on;

    if (upstream->state != READY) {
        g_queue_push_tail(&upstream->waiting, g_bytes_ref(packet));
        return;
    }
    handed_on = registrations_call(upstream->registrations, header, packet, &error);
    if (!handed_on) {
        answer_error(upstream, rpc_reply_header(header, RPC_ERROR), error);
        client_call_done(upstream->client);
        return;
    }
    if (!g_hash_table_size(upstream->calls) && !g_hash_table_size(upstream->streams)) {
        upstream->last_heard = g_get_monotonic_time(); /* nothing was to be heard before */
        upstream->pings_unanswered = 0;
    }
    note(upstream->calls, header);
    upstream_send(upstream, handed_on);
}

bool upstream_has_serial(struct upstream *upstream, uint32_t serial)
{
    gpointer key = GUINT_TO_POINTER(serial);

    for (const GList *link = upstream->waiting.head; link; link = link->next) {
        struct rpc_header header;

        rpc_header_decode(link->data, &header);
        if (header.serial == serial)
            return true;
    }
    return g_hash_table_contains(upstream->calls, key) ||
           g_hash_table_contains(upstream->streams, key);
}

/* Whether the packet is of a stream that is open here. */
static bool is_of_stream(struct upstream *upstream, const struct rpc_header *header)
{
    const struct rpc_header *call =
        g_hash_table_lookup(upstream->streams, GUINT_TO_POINTER(header->serial));

    return call && call->procedure == header->procedure && header->program == call->program &&
           header->version == call->version;
}

bool upstream_stream_packet(struct upstream *upstream, const struct rpc_header *header,
                            GBytes *packet)
{
    if (!is_of_stream(upstream, header))
        return false;
    upstream_send(upstream, g_bytes_ref(packet));
    return true;
}

/* ---- the daemon's packets ---- */

static bool broke(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static bool broke(GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    libvirt_error_set(error, VIR_ERR_RPC, "%s", text);
    return false;
}

static gboolean keepalive_tick(gpointer data);

static void start_timer(struct upstream *upstream, guint seconds, GSourceFunc tick)
{
    clear_timer(upstream);
    if (!seconds)
        return;
    upstream->timer = g_timeout_source_new_seconds(seconds);
    g_source_set_callback(upstream->timer, tick, upstream, NULL);
    g_source_attach(upstream->timer, NULL);
}

static void become_ready(struct upstream *upstream)
{
    GBytes *packet;

    upstream->state = READY;
    start_timer(upstream, upstream->daemon->settings.keepalive_interval, keepalive_tick);
    while ((packet = g_queue_pop_head(&upstream->waiting))) {
        struct rpc_header header;

        rpc_header_decode(packet, &header);
        upstream_call(upstream, &header, packet);
        g_bytes_unref(packet);
    }
}

/* One after the other: what an earlier daemon had promised this client. */
static void register_or_become_ready(struct upstream *upstream)
{
    int procedure;
    GBytes *payload = registrations_next(upstream->registrations, &procedure);
    struct rpc_header header;
    const guint8 *data;
    gsize len;

    if (!payload) {
        become_ready(upstream);
        return;
    }
    header = question(upstream, REGISTERING, procedure);
    data = g_bytes_get_data(payload, &len);
    upstream_send(upstream, rpc_packet_new_raw(&header, data, len));
}

static void ask_open(struct upstream *upstream)
{
    g_autofree char *uri = g_strdup_printf("%s:///%s", proxy_driver_name(upstream->driver),
                                           upstream->daemon->paths.session ? "session" : "system");
    wire_opt_str_flags args = {
        .value = &uri,
        .flags = client_is_readonly(upstream->client) ? VIR_CONNECT_RO : 0,
    };

    ask(upstream, OPENING, PROCEDURE_OPEN, &rpc_shape_opt_str_flags, &args);
}

/* Which proof it wants of the client: the first of the list holds. */
static bool got_auth_list(struct upstream *upstream, GBytes *packet, GError **error)
{
    wire_auth_types types;
    int type;

    if (!rpc_payload_decode(packet, &rpc_shape_auth_types, &types))
        return broke(error, "Unable to decode message payload");
    type = types.types.types_len ? types.types.types_val[0] : AUTH_NONE;
    rpc_value_clear(&rpc_shape_auth_types, &types);
    switch (type) {
    case AUTH_NONE:
        ask_open(upstream);
        return true;
    case AUTH_POLKIT:
        ask(upstream, AUTHENTICATING, PROCEDURE_AUTH_POLKIT, &rpc_shape_none, NULL);
        return true;
    default:
        libvirt_error_set(error, VIR_ERR_AUTH_FAILED, "unsupported authentication type %d", type);
        return false;
    }
}

static void got_open(struct upstream *upstream)
{
    g_autoptr(GBytes) identity = client_identity(upstream->client);
    struct rpc_header header;
    const guint8 *payload;
    gsize len;

    if (!identity) {
        register_or_become_ready(upstream);
        return;
    }
    /* For whom a gateway speaks, as it told us. */
    header = question(upstream, IDENTIFYING, PROCEDURE_SET_IDENTITY);
    payload = g_bytes_get_data(identity, &len);
    upstream_send(upstream, rpc_packet_new_raw(&header, payload, len));
}

/* An error in answer to a question of ours is the end; `*absent`: because there is no such driver.
 */
static bool got_refusal(struct upstream *upstream, GBytes *packet, bool *absent, GError **error)
{
    wire_error refusal;

    if (!rpc_payload_decode(packet, &rpc_shape_error, &refusal))
        return broke(error, "Unable to decode message payload");
    *absent = upstream->state == OPENING && refusal.code == VIR_ERR_NO_CONNECT;
    rpc_value_clear(&rpc_shape_error, &refusal);
    upstream->refusal = g_bytes_ref(packet);
    return false;
}

static bool got_answer(struct upstream *upstream, const struct rpc_header *header, GBytes *packet,
                       bool *absent, GError **error)
{
    if (header->type != RPC_REPLY || header->serial != (uint32_t)upstream->state ||
        header->procedure != upstream->asked)
        return broke(error, "no call waiting for reply with prog %u vers %u serial %u",
                     header->program, header->version, header->serial);
    if (header->status == RPC_ERROR && upstream->state != REGISTERING)
        return got_refusal(upstream, packet, absent, error);
    switch (upstream->state) {
    case ASKING:
        return got_auth_list(upstream, packet, error);
    case AUTHENTICATING:
        ask_open(upstream);
        return true;
    case OPENING:
        got_open(upstream);
        return true;
    case REGISTERING:
        registrations_made(upstream->registrations, header, packet);
        break;
    default:
        break;
    }
    register_or_become_ready(upstream);
    return true;
}

static bool got_reply(struct upstream *upstream, const struct rpc_header *header, GBytes *packet,
                      GError **error)
{
    gpointer key = GUINT_TO_POINTER(header->serial);
    const struct rpc_header *call = g_hash_table_lookup(upstream->calls, key);
    const struct proxy_procedure *procedure;

    if (!call || header->type != RPC_REPLY)
        return broke(error, "no call waiting for reply with prog %u vers %u serial %u",
                     header->program, header->version, header->serial);
    if (header->procedure != call->procedure)
        return broke(error, "Unexpected message proc %d != %d", header->procedure, call->procedure);
    if (header->status != RPC_OK && header->status != RPC_ERROR)
        return broke(error, "Unexpected message status %d", header->status);
    procedure = proxy_procedure_find(header->procedure);
    if (header->status == RPC_OK && procedure && procedure->kind == PROXY_STREAM)
        note(upstream->streams, call);
    g_hash_table_remove(upstream->calls, key);
    client_send(upstream->client, registrations_reply(upstream->registrations, header, packet));
    client_call_done(upstream->client);
    return true;
}

static void got_stream_packet(struct upstream *upstream, const struct rpc_header *header,
                              GBytes *packet)
{
    /* One of a stream that the client has ended may have been on its way still. */
    if (!is_of_stream(upstream, header))
        return;
    client_send(upstream->client, g_bytes_ref(packet));
    if (header->status == RPC_OK || header->status == RPC_ERROR)
        g_hash_table_remove(upstream->streams, GUINT_TO_POINTER(header->serial));
}

static void got_event(struct upstream *upstream, const struct rpc_header *header, GBytes *packet)
{
    GBytes *handed_on;

    if (!proxy_event_allowed(upstream->driver, header->procedure))
        return;
    handed_on = registrations_event(upstream->registrations, header, packet);
    if (handed_on)
        client_send(upstream->client, handed_on);
}

static bool got_packet(struct upstream *upstream, GBytes *packet, bool *absent, GError **error)
{
    struct rpc_header header;

    rpc_header_decode(packet, &header);
    if (rpc_is_keepalive(&header)) {
        if (header.procedure == RPC_PING)
            upstream_send(upstream, rpc_pong_new(&header));
        return true; /* of a pong it is noted already that the daemon was heard */
    }
    if (header.program != RPC_PROGRAM_REMOTE || header.version != RPC_PROGRAM_VERSION)
        return broke(error, "Cannot find program %u version %u", header.program, header.version);
    if (upstream->state == REGISTERING && header.type == RPC_MESSAGE) {
        got_event(upstream, &header, packet);
        return true;
    }
    if (upstream->state != READY)
        return got_answer(upstream, &header, packet, absent, error);
    switch (header.type) {
    case RPC_REPLY:
        return got_reply(upstream, &header, packet, error);
    case RPC_STREAM:
    case RPC_STREAM_HOLE:
        got_stream_packet(upstream, &header, packet);
        return true;
    case RPC_MESSAGE:
        got_event(upstream, &header, packet);
        return true;
    default:
        /* Descriptors do not come: no procedure of these drivers has any. */
        return broke(error, "Unexpected message type %d", header.type);
    }
}

static bool read_packets(struct upstream *upstream, bool *absent, GError **error)
{
    for (;;) {
        g_autoptr(GBytes) packet = NULL;

        switch (rpc_reader_next(&upstream->reader, &packet)) {
        case 1:
            if (!got_packet(upstream, packet, absent, error))
                return false;
            break;
        case 0:
            return true;
        default:
            return broke(error, "a packet of an impossible length came from '%s'", upstream->path);
        }
    }
}

static void set_end_of_file(GError **error)
{
    libvirt_error_set_errno(error, EIO, "End of file while reading data"); /* libvirt's words */
}

static bool fill(struct upstream *upstream, bool *absent, GError **error)
{
    guint8 chunk[READ_CHUNK];
    ssize_t n = recv(upstream->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0) {
        if (n < 0)
            libvirt_error_set_errno(error, errno, "Cannot recv data");
        else
            set_end_of_file(error);
        return false;
    }
    upstream->last_heard = g_get_monotonic_time();
    upstream->pings_unanswered = 0;
    rpc_reader_add(&upstream->reader, chunk, (gsize)n);
    return read_packets(upstream, absent, error);
}

static void upstream_io(struct upstream *upstream, GIOCondition had)
{
    g_autoptr(GError) error = NULL;
    bool absent = false;
    /* At a hang-up there may be something left to read, and reading tells when there is none. */
    bool readable = had & (G_IO_IN | G_IO_HUP | G_IO_ERR);

    if ((!readable || fill(upstream, &absent, &error)) && flush(upstream, &error))
        upstream_update(upstream);
    else if (absent)
        upstream_absent(upstream, true);
    else
        upstream_end(upstream, error);
}

bool upstream_has_ended(struct upstream *upstream)
{
    g_autoptr(GError) error = NULL;
    char byte;

    if (upstream->state != READY ||
        recv(upstream->fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) != 0)
        return false;
    set_end_of_file(&error);
    upstream_end(upstream, error);
    return true;
}

/* ---- time ---- */

static gboolean handshake_timeout(gpointer data)
{
    struct upstream *upstream = data;
    g_autoptr(GError) error = NULL;

    libvirt_error_set(&error, VIR_ERR_OPERATION_TIMEOUT, "no answer from '%s' within %u seconds",
                      upstream->path, upstream->daemon->settings.host_daemon_timeout);
    upstream_end(upstream, error);
    return G_SOURCE_REMOVE;
}

static gboolean keepalive_tick(gpointer data)
{
    struct upstream *upstream = data;
    const struct settings *settings = &upstream->daemon->settings;
    gint64 silent = g_get_monotonic_time() - upstream->last_heard;
    g_autoptr(GError) error = NULL;

    /* Who owes no answer may be silent, and whom we do not read cannot be heard. */
    if (silent < (gint64)settings->keepalive_interval * G_USEC_PER_SEC ||
        (!g_hash_table_size(upstream->calls) && !g_hash_table_size(upstream->streams)) ||
        !client_wants_stream_data(upstream->client))
        return G_SOURCE_CONTINUE;
    if (upstream->pings_unanswered++ < settings->keepalive_count) {
        upstream_send(upstream, rpc_ping_new());
        return G_SOURCE_CONTINUE;
    }
    libvirt_error_set(&error, VIR_ERR_INTERNAL_ERROR, "connection closed due to keepalive timeout");
    upstream_end(upstream, error);
    return G_SOURCE_REMOVE;
}

/* ---- the beginning ---- */

static void connected(gpointer opaque, int fd, const char *path, const GError *error)
{
    struct upstream *upstream = opaque;

    upstream->connecting = NULL;
    if (fd < 0 && !error) {
        upstream_absent(upstream, false);
        return;
    }
    if (fd < 0) {
        upstream_end(upstream, error);
        return;
    }
    upstream->fd = fd;
    upstream->path = g_strdup(path);
    upstream->source =
        (struct upstream_source *)g_source_new(&source_funcs, sizeof(struct upstream_source));
    upstream->source->upstream = upstream;
    g_source_attach(&upstream->source->source, NULL);
    start_timer(upstream, upstream->daemon->settings.host_daemon_timeout, handshake_timeout);
    ask(upstream, ASKING, PROCEDURE_AUTH_LIST, &rpc_shape_none, NULL);
}

/* The modular daemon's socket and the monolithic one's. A session has none for readers alone. */
static GStrv socket_paths(struct upstream *upstream)
{
    const struct paths *paths = &upstream->daemon->paths;
    const char *suffix = !paths->session && client_is_readonly(upstream->client) ? "-ro" : "";
    GStrv list = g_new0(char *, 3);

    list[0] = g_strdup_printf("%s/virt%sd-sock%s", paths->socket_dir,
                              proxy_driver_name(upstream->driver), suffix);
    list[1] = g_strdup_printf("%s/libvirt-sock%s", paths->socket_dir, suffix);
    return list;
}

void upstream_start(struct upstream *upstream)
{
    g_auto(GStrv) paths = socket_paths(upstream);
    g_autoptr(GArray) groups = client_groups(upstream->client);
    const struct client_peer *peer = client_peer(upstream->client);
    struct connect_as as = {peer->uid, peer->gid, groups};
    struct connecting *connecting =
        connect_start((const char *const *)paths, &as, connected, upstream);

    if (connecting)
        upstream->connecting = connecting;
}
