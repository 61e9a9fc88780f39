/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/watch.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "libvirt-driver/util.h"
#include "xml/error.h"

/* More that are ready at a time get their turn the next time round. */
#define BATCH 32

struct watch {
    gatomicrefcount refs;
    guint64 id;
    int fd;
    watch_fn fn;
    gpointer data;
    GDestroyNotify release;
};

struct watches {
    int epoll_fd; /* its events carry a watch's id: a number of one that has ended means nothing */
    GSource *source;
    GMutex lock;       /* for what follows */
    GHashTable *by_id; /* holds a reference */
    guint64 last_id;
};

struct watches_source {
    GSource source;
    struct watches *watches;
};

static void watch_unref(gpointer data)
{
    struct watch *watch = data;

    if (!g_atomic_ref_count_dec(&watch->refs))
        return;
    watch->release(watch->data);
    g_free(watch);
}

/* A reference, or NULL when it has ended meanwhile. */
static struct watch *find(struct watches *watches, guint64 id)
{
    hold_lock(&watches->lock);
    struct watch *watch = g_hash_table_lookup(watches->by_id, &id);

    if (watch)
        g_atomic_ref_count_inc(&watch->refs);
    return watch;
}

static gboolean source_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    struct watches *watches = ((struct watches_source *)source)->watches;
    struct epoll_event events[BATCH];
    int count = epoll_wait(watches->epoll_fd, events, BATCH, 0);

    for (int i = 0; i < count; i++) {
        struct watch *watch = find(watches, events[i].data.u64);

        if (!watch)
            continue;
        if (!watch->fn(watch->data))
            watch_end(watches, watch->id);
        watch_unref(watch);
    }
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {.dispatch = source_dispatch};

struct watches *watches_new(GError **error)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    struct watches *watches;

    if (fd < 0) {
        libvirt_error_set_errno(error, errno, "cannot watch descriptors");
        return NULL;
    }
    watches = g_new0(struct watches, 1);
    watches->epoll_fd = fd;
    g_mutex_init(&watches->lock);
    watches->by_id = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, watch_unref);
    watches->source = g_source_new(&source_funcs, sizeof(struct watches_source));
    ((struct watches_source *)watches->source)->watches = watches;
    /* Nothing runs the main loop within itself, and to prevent it costs GLib two wakes a dispatch.
     */
    g_source_set_can_recurse(watches->source, TRUE);
    g_source_add_unix_fd(watches->source, watches->epoll_fd, G_IO_IN);
    g_source_attach(watches->source, NULL);
    return watches;
}

guint64 watch_begin(struct watches *watches, int fd, watch_fn fn, gpointer data,
                    GDestroyNotify release, GError **error)
{
    struct watch *watch = g_new(struct watch, 1);
    struct epoll_event event = {.events = EPOLLIN};
    guint64 id; /* by now it may have ended already */
    int failed;

    *watch = (struct watch){.fd = fd, .fn = fn, .data = data, .release = release};
    g_atomic_ref_count_init(&watch->refs);
    g_mutex_lock(&watches->lock);
    event.data.u64 = watch->id = id = ++watches->last_id;
    failed = epoll_ctl(watches->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? errno : 0;
    /* The main thread, should it be called at once, finds it when the lock is free. */
    if (!failed)
        g_hash_table_insert(watches->by_id, &watch->id, watch);
    g_mutex_unlock(&watches->lock);
    if (!failed)
        return id;
    libvirt_error_set_errno(error, failed, "cannot watch a descriptor");
    watch_unref(watch);
    return 0;
}

void watch_end(struct watches *watches, guint64 id)
{
    struct watch *watch;

    g_mutex_lock(&watches->lock);
    watch = g_hash_table_lookup(watches->by_id, &id);
    if (watch) {
        g_hash_table_steal(watches->by_id, &id);
        epoll_ctl(watches->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    }
    g_mutex_unlock(&watches->lock);
    /* Not under the lock: what is released may end watches of its own. */
    if (watch)
        watch_unref(watch);
}

static guint64 any(struct watches *watches)
{
    hold_lock(&watches->lock);
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, watches->by_id);
    return g_hash_table_iter_next(&iter, &key, NULL) ? *(guint64 *)key : 0;
}

void watches_free(struct watches *watches)
{
    guint64 id;

    while ((id = any(watches)))
        watch_end(watches, id);
    g_source_destroy(watches->source);
    g_source_unref(watches->source);
    g_hash_table_unref(watches->by_id);
    g_mutex_clear(&watches->lock);
    close(watches->epoll_fd);
    g_free(watches);
}
