/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a domain's consoles and channels: a terminal or socket of the VMM as a stream. */
#include "libvirt-driver/api/console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/rpc/stream.h"
#include "libvirt-driver/util.h"

struct consoles {
    GMutex lock;
    GHashTable *sessions; /* by the path of the terminal or socket; borrowed */
};

/* One client on one terminal. */
struct session {
    gatomicrefcount refs; /* the stream's, and that of an eviction under way */
    struct consoles *consoles;
    char *path;
    struct stream *stream; /* the main thread's; NULL when it has ended */
};

struct consoles *consoles_new(void)
{
    struct consoles *consoles = g_new(struct consoles, 1);

    g_mutex_init(&consoles->lock);
    consoles->sessions = g_hash_table_new(g_str_hash, g_str_equal);
    return consoles;
}

void consoles_free(struct consoles *consoles)
{
    g_hash_table_unref(consoles->sessions);
    g_mutex_clear(&consoles->lock);
    g_free(consoles);
}

static void session_unref(gpointer data)
{
    struct session *session = data;

    if (!g_atomic_ref_count_dec(&session->refs))
        return;
    g_free(session->path);
    g_free(session);
}

static void session_ended(gpointer opaque, struct stream *stream)
{
    struct session *session = opaque;
    struct consoles *consoles = session->consoles;

    g_mutex_lock(&consoles->lock);
    /* Who was pushed aside has lost its place already. */
    if (g_hash_table_lookup(consoles->sessions, session->path) == session)
        g_hash_table_remove(consoles->sessions, session->path);
    g_mutex_unlock(&consoles->lock);
    session->stream = NULL;
    session_unref(session);
}

/* Main thread: the terminal has been given to somebody else. */
static gboolean evict(gpointer data)
{
    struct session *session = data;
    g_autoptr(GError) error = NULL;

    libvirt_error_set(&error, VIR_ERR_RPC, "stream had I/O failure");
    if (session->stream)
        stream_fail(session->stream, error);
    return G_SOURCE_REMOVE;
}

/* Makes a session the terminal's only one; false when there is another and `force` is not given. */
static bool take_place(struct session *session, bool force, GError **error)
{
    struct consoles *consoles = session->consoles;
    hold_lock(&consoles->lock);
    struct session *other = g_hash_table_lookup(consoles->sessions, session->path);

    if (other && !force) {
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED,
                          "Active console session exists for this domain");
        return false;
    }
    if (other) {
        /* Its path is the table's key: the entry goes first. */
        g_hash_table_remove(consoles->sessions, session->path);
        g_atomic_ref_count_inc(&other->refs);
        main_invoke(evict, other, session_unref);
    }
    g_hash_table_insert(consoles->sessions, session->path, session);
    return true;
}

/* The far end of a file cannot be read, and one of nothing says nothing. */
static const struct domain_chardev *check_source(const struct domain_chardev *source,
                                                 const char *name, GError **error)
{
    if (source->type == DOMAIN_CHARDEV_PTY || source->type == DOMAIN_CHARDEV_UNIX)
        return source;
    libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR,
                      "character device %s is not using a PTY or UNIX socket", name);
    return NULL;
}

/* The terminal that a client means: by alias, or the domain's first. */
static const struct domain_chardev *find_terminal(const domain_def *def, const char *alias,
                                                  GError **error)
{
    const struct domain_chardev *found = NULL;
    const char *name = alias;

    for (guint i = 0; i < def->serials->len && !found; i++) {
        const struct domain_serial *serial = domain_serial_at(def, i);

        name = name ? name : serial->info.alias;
        if (g_strcmp0(name, serial->info.alias) == 0)
            found = &serial->source;
    }
    for (guint i = 0; i < def->consoles->len && !found; i++) {
        const struct domain_console *console = domain_console_at(def, i);

        name = name ? name : console->info.alias;
        if (g_strcmp0(name, console->info.alias) == 0)
            found = &console->source;
    }
    if (!found) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot find character device %s",
                          alias ? alias : "<null>");
        return NULL;
    }
    return check_source(found, name, error);
}

/* By the name that the guest knows, by alias, or the domain's first. */
static const struct domain_chardev *find_channel(const domain_def *def, const char *name,
                                                 GError **error)
{
    for (guint i = 0; i < def->channels->len; i++) {
        const struct domain_channel *channel = domain_channel_at(def, i);

        if (!name || strcmp(name, channel->name) == 0 || g_strcmp0(name, channel->info.alias) == 0)
            return check_source(&channel->source, channel->name, error);
    }
    libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot find channel %s",
                      name ? name : "<null>");
    return NULL;
}

/* A VMM that listens answers at once: it has room for the connection, or it has not. */
static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : steal_fd(&fd);
}

static bool open_source(struct call *call, const struct domain_chardev *source, bool force,
                        GError **error)
{
    const char *path = source->path;
    bool is_socket = source->type == DOMAIN_CHARDEV_UNIX;
    auto_close int fd =
        is_socket ? connect_to(path) : open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    struct session *session;

    if (fd < 0) {
        libvirt_error_set_errno(error, errno, "unable to open %s %s", is_socket ? "socket" : "tty",
                                path);
        return false;
    }
    session = g_new0(struct session, 1);
    g_atomic_ref_count_init(&session->refs);
    session->consoles = call->daemon->consoles;
    session->path = g_strdup(path);
    session->stream =
        stream_new(call->client, &call->header, steal_fd(&fd), session_ended, session);
    if (!take_place(session, force, error)) {
        stream_close(session->stream);
        return false;
    }
    call->stream = session->stream;
    return true;
}

/* Opens what `find` finds in the running domain. */
static bool open_stream(struct call *call, const wire_console_args *in, bool force,
                        const struct domain_chardev *(*find)(const domain_def *def,
                                                             const char *name, GError **error),
                        GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);
    const struct domain_chardev *source;

    if (!domain || !domain_check_runs(domain, error))
        return false;
    source = find(domain->live, in->device ? *in->device : NULL, error);
    return source && open_source(call, source, force, error);
}

/* VIR_DOMAIN_CONSOLE_SAFE asks that nobody else can have the console: that is so in any case. */
bool api_domain_open_console(struct call *call, const wire_console_args *in, wire_none *out,
                             GError **error)
{
    return api_check_flags(call, in->flags, VIR_DOMAIN_CONSOLE_FORCE | VIR_DOMAIN_CONSOLE_SAFE,
                           error) &&
           open_stream(call, in, in->flags & VIR_DOMAIN_CONSOLE_FORCE, find_terminal, error);
}

bool api_domain_open_channel(struct call *call, const wire_console_args *in, wire_none *out,
                             GError **error)
{
    return api_check_flags(call, in->flags, VIR_DOMAIN_CHANNEL_FORCE, error) &&
           open_stream(call, in, in->flags & VIR_DOMAIN_CHANNEL_FORCE, find_channel, error);
}
