/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/server.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libvirt-driver/client.h"
#include "libvirt-driver/domain/list.h"
#include "libvirt-driver/sockets.h"
#include "libvirt-driver/util.h"

/* So many workers that wait are made up for. */
#define WAITING_MAX 1000
/* Bytes that are kept for all clients together. */
#define HELD_MAX ((gssize)128 * 1024 * 1024)

struct listener {
    struct server *server;
    int fd;
    bool readonly;
    GSource *source;
};

struct server {
    struct daemon *daemon;
    GPtrArray *listeners;
    GPtrArray *clients;
    GHashTable *anonymous; /* those that have to authenticate themselves still */
    GMutex lock;           /* for the pools */
    GThreadPool *workers;  /* NULL once stopped */
    GThreadPool *quick_workers;
    guint waiting;         /* workers, for somebody else */
    _Atomic guint at_work; /* what was given to workers and is not done */
    _Atomic gssize held;
    atomic_bool shedding;
    struct sockets *sockets;
    _Atomic guint idle_timeout; /* seconds; 0: never */
    GSource *idle_timer;
    GSource *retry_timer; /* after descriptors ran out */
    bool drained;         /* no worker is left; the main thread's */
};

struct work {
    void (*fn)(gpointer data, struct daemon *daemon);
    gpointer data;
};

static void run_work(gpointer data, gpointer daemon)
{
    g_autofree struct work *work = data;

    work->fn(work->data, daemon);
    ((struct daemon *)daemon)->server->at_work--;
}

static void listener_free(gpointer data)
{
    struct listener *listener = data;

    if (listener->source) {
        g_source_destroy(listener->source);
        g_source_unref(listener->source);
    }
    close(listener->fd);
    g_free(listener);
}

struct server *server_new(struct daemon *daemon)
{
    struct server *server = g_new0(struct server, 1);
    const struct settings *settings = &daemon->settings;

    server->daemon = daemon;
    g_mutex_init(&server->lock);
    server->listeners = g_ptr_array_new_with_free_func(listener_free);
    server->clients = g_ptr_array_new();
    server->anonymous = g_hash_table_new(NULL, NULL);
    /* Not exclusive: threads come when there is work and go when there is none. */
    server->workers = g_thread_pool_new(run_work, daemon, (gint)settings->max_workers, FALSE, NULL);
    server->quick_workers =
        g_thread_pool_new(run_work, daemon, (gint)settings->prio_workers, FALSE, NULL);
    return server;
}

static void clear_timer(GSource **timer)
{
    if (*timer) {
        g_source_destroy(*timer);
        g_clear_pointer(timer, g_source_unref);
    }
}

static gboolean on_drained(gpointer data)
{
    struct server *server = data;

    server->drained = true;
    g_main_loop_quit(server->daemon->loop);
    return G_SOURCE_REMOVE;
}

/* A thread of its own: waits for the workers, which may wait for the main loop. */
static gpointer drain(gpointer data)
{
    struct server *server = data;
    GThreadPool *workers;
    GThreadPool *quick_workers;

    g_mutex_lock(&server->lock);
    workers = g_steal_pointer(&server->workers);
    quick_workers = g_steal_pointer(&server->quick_workers);
    g_mutex_unlock(&server->lock);
    g_thread_pool_free(workers, FALSE, TRUE);
    g_thread_pool_free(quick_workers, FALSE, TRUE);
    main_invoke(on_drained, server, NULL);
    return NULL;
}

static void drop_everybody(struct server *server)
{
    clear_timer(&server->idle_timer);
    clear_timer(&server->retry_timer);
    g_ptr_array_set_size(server->listeners, 0);
    while (server->clients->len)
        client_close(g_ptr_array_index(server->clients, server->clients->len - 1));
}

void server_stop(struct server *server)
{
    GThread *thread;

    drop_everybody(server);
    server->idle_timeout = 0;
    thread = g_thread_new("drain", drain, server);
    while (!server->drained) /* another signal to end ends the loop, too */
        g_main_loop_run(server->daemon->loop);
    g_thread_join(thread);
}

void server_free(struct server *server)
{
    if (server->workers)
        drain(server);
    g_ptr_array_unref(server->listeners);
    g_ptr_array_unref(server->clients);
    g_hash_table_unref(server->anonymous);
    sockets_free(server->sockets);
    g_mutex_clear(&server->lock);
    g_free(server);
}

bool server_run(struct server *server, void (*fn)(gpointer data, struct daemon *daemon),
                gpointer data, bool quick)
{
    hold_lock(&server->lock);
    GThreadPool *pool = quick ? server->quick_workers : server->workers;
    struct work *work;

    if (!pool)
        return false; /* what is left undone, the next daemon finds */
    work = g_new(struct work, 1);
    *work = (struct work){fn, data};
    server->at_work++;
    g_thread_pool_push(pool, work, NULL);
    return true;
}

void server_worker_waits(struct server *server, bool waits)
{
    hold_lock(&server->lock);
    guint more;

    server->waiting += waits ? 1 : -1;
    more = MIN(server->waiting, WAITING_MAX);
    if (server->workers)
        g_thread_pool_set_max_threads(server->workers,
                                      (gint)(server->daemon->settings.max_workers + more), NULL);
}

static bool is_unused(const struct server *server)
{
    return !server->clients->len && domain_list_count_active(server->daemon->domains) == 0;
}

static gboolean idle_for_long(gpointer data)
{
    struct server *server = data;

    /* A client may have left a start behind; or that has come to its end this moment. */
    if (server->at_work || !is_unused(server))
        return G_SOURCE_CONTINUE;
    g_message("no client and no running domain for %u seconds; ending", server->idle_timeout);
    clear_timer(&server->idle_timer);
    /* Who comes now is not let in and then dropped: systemd keeps him for the next daemon. */
    g_ptr_array_set_size(server->listeners, 0);
    g_main_loop_quit(server->daemon->loop);
    return G_SOURCE_REMOVE;
}

static gboolean idle_check(gpointer data)
{
    struct server *server = data;

    if (!server->idle_timeout || !is_unused(server)) {
        clear_timer(&server->idle_timer);
    } else if (!server->idle_timer) {
        server->idle_timer = g_timeout_source_new_seconds(server->idle_timeout);
        g_source_set_callback(server->idle_timer, idle_for_long, server, NULL);
        g_source_attach(server->idle_timer, NULL);
    }
    return G_SOURCE_REMOVE;
}

void server_activity_changed(struct server *server)
{
    if (server->idle_timeout)
        main_invoke(idle_check, server, NULL);
}

static gboolean listener_ready(gint fd, GIOCondition condition, gpointer data);

/* Starts or stops taking connections: nothing is accepted that could not be served. */
static void server_update_listeners(struct server *server)
{
    const struct settings *settings = &server->daemon->settings;
    bool accepting = server->clients->len < settings->max_clients &&
                     g_hash_table_size(server->anonymous) < settings->max_anonymous_clients &&
                     !server->retry_timer;

    for (guint i = 0; i < server->listeners->len; i++) {
        struct listener *listener = g_ptr_array_index(server->listeners, i);

        if (accepting && !listener->source) {
            listener->source = g_unix_fd_source_new(listener->fd, G_IO_IN);
            g_source_set_callback(listener->source, G_SOURCE_FUNC(listener_ready), listener, NULL);
            g_source_attach(listener->source, NULL);
        } else if (!accepting && listener->source) {
            clear_timer(&listener->source);
        }
    }
}

static gboolean retry_accepting(gpointer data)
{
    struct server *server = data;

    clear_timer(&server->retry_timer);
    server_update_listeners(server);
    return G_SOURCE_REMOVE;
}

static void pause_accepting(struct server *server)
{
    if (!server->retry_timer) {
        server->retry_timer = g_timeout_source_new_seconds(1);
        g_source_set_callback(server->retry_timer, retry_accepting, server, NULL);
        g_source_attach(server->retry_timer, NULL);
    }
    server_update_listeners(server);
}

/* The system's sockets are guarded by their file modes; a session is its user's alone. */
static bool peer_allowed(const struct server *server, const struct client_peer *peer)
{
    return !server->daemon->paths.session || peer->uid == 0 || peer->uid == geteuid();
}

/* Root may do as it likes anyway, and has nobody who would type a password. */
static guint auth_for(const struct server *server, const struct client_peer *peer, bool readonly)
{
    const struct settings *settings = &server->daemon->settings;

    if (server->daemon->paths.session || peer->uid == 0)
        return AUTH_NONE;
    return readonly ? settings->auth_unix_ro : settings->auth_unix_rw;
}

static gboolean listener_ready(gint fd, GIOCondition condition, gpointer data)
{
    struct listener *listener = data;
    struct server *server = listener->server;
    auto_close int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred cred = {0};
    socklen_t len = sizeof(cred);
    struct client_peer peer;
    struct client *client;
    guint auth;

    if (conn < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            g_warning("cannot accept a connection: %s", g_strerror(errno));
            pause_accepting(server);
        }
        return G_SOURCE_CONTINUE;
    }
    if (getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
        g_warning("cannot tell who connected: %s", g_strerror(errno));
        return G_SOURCE_CONTINUE;
    }
    peer = (struct client_peer){cred.pid, cred.uid, cred.gid};
    if (!peer_allowed(server, &peer)) {
        g_warning("refusing user %u on a session's socket", (unsigned)peer.uid);
        return G_SOURCE_CONTINUE;
    }
    auth = auth_for(server, &peer, listener->readonly);
    client = client_new(server->daemon, steal_fd(&conn), &peer, listener->readonly, auth);
    g_ptr_array_add(server->clients, client);
    if (auth != AUTH_NONE)
        g_hash_table_add(server->anonymous, client);
    server_update_listeners(server);
    idle_check(server);
    return G_SOURCE_CONTINUE;
}

bool server_listen(struct server *server, GError **error)
{
    server->sockets = sockets_open(&server->daemon->paths, &server->daemon->settings, error);
    if (!server->sockets)
        return false;
    for (guint i = 0; i < sockets_count(server->sockets); i++) {
        struct listener *listener = g_new0(struct listener, 1);

        listener->server = server;
        listener->fd = sockets_take(server->sockets, i, &listener->readonly);
        g_ptr_array_add(server->listeners, listener);
    }
    return true;
}

void server_start(struct server *server, guint idle_timeout)
{
    server->idle_timeout = idle_timeout;
    server_update_listeners(server);
    server_activity_changed(server);
}

static bool holds_more(struct client *one, struct client *other)
{
    bool readonly = client_is_readonly(one);

    if (readonly != client_is_readonly(other))
        return readonly;
    return client_held(one) > client_held(other);
}

static struct client *find_largest(const struct server *server)
{
    struct client *largest = NULL;

    for (guint i = 0; i < server->clients->len; i++) {
        struct client *client = g_ptr_array_index(server->clients, i);

        if (client_held(client) && (!largest || holds_more(client, largest)))
            largest = client;
    }
    return largest;
}

static gboolean shed(gpointer data)
{
    struct server *server = data;
    gssize excess = server->held - HELD_MAX;
    struct client *client;

    server->shedding = false;
    while (excess > 0 && (client = find_largest(server))) {
        gsize held = client_held(client);

        /* What its calls need still goes when they are done. */
        excess -= (gssize)held;
        g_warning("dropping client %d: of %" G_GSSIZE_FORMAT " bytes that clients leave unread or "
                  "incomplete %" G_GSIZE_FORMAT " are its",
                  (int)client_peer(client)->pid, server->held, held);
        client_close(client);
    }
    return G_SOURCE_REMOVE;
}

void server_hold(struct server *server, gssize bytes)
{
    gssize held = atomic_fetch_add(&server->held, bytes) + bytes;

    if (bytes > 0 && held > HELD_MAX && !atomic_exchange(&server->shedding, true))
        main_invoke(shed, server, NULL);
}

void server_client_authenticated(struct server *server, struct client *client)
{
    g_hash_table_remove(server->anonymous, client);
    server_update_listeners(server);
}

void server_remove_client(struct server *server, struct client *client)
{
    g_hash_table_remove(server->anonymous, client);
    if (g_ptr_array_remove_fast(server->clients, client))
        client_unref(client);
    server_update_listeners(server);
    idle_check(server);
}
