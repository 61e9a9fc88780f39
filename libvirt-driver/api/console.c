/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a domain's console: its terminal as a stream. */
#include "libvirt-driver/api/console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/rpc/stream.h"
#include "libvirt-driver/util.h"

struct consoles {
    GMutex lock;
    GHashTable *sessions; /* by the terminal's path; borrowed */
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
    if (found->type != DOMAIN_CHARDEV_PTY) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "character device %s is not using a PTY",
                          name);
        return NULL;
    }
    return found;
}

static bool open_terminal(struct call *call, const char *path, bool force, GError **error)
{
    auto_close int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    struct session *session;

    if (fd < 0) {
        libvirt_error_set_errno(error, errno, "unable to open tty %s", path);
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

/* VIR_DOMAIN_CONSOLE_SAFE asks that nobody else can have the console: that is so in any case. */
bool api_domain_open_console(struct call *call, const wire_console_args *in, wire_none *out,
                             GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    const struct domain_chardev *terminal;

    if (!api_check_flags(call, in->flags, VIR_DOMAIN_CONSOLE_FORCE | VIR_DOMAIN_CONSOLE_SAFE,
                         error))
        return false;
    domain = api_domain(call, &in->dom, error);
    if (!domain || !domain_check_runs(domain, error))
        return false;
    terminal = find_terminal(domain->live, in->device ? *in->device : NULL, error);
    return terminal &&
           open_terminal(call, terminal->path, in->flags & VIR_DOMAIN_CONSOLE_FORCE, error);
}
