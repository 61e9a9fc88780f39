/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/domain/log_watch.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/inotify.h>

#include "libvirt-driver/domain/list.h"
#include "libvirt-driver/server.h"
#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/log_file.h"

#define SUFFIX ".log"

struct log_watch {
    struct daemon *daemon;
    int fd;
    GSource *source;
    GHashTable *cutting; /* struct cut, by its path: those that a worker is at */
};

struct cut {
    struct log_watch *watch;
    char *file; /* its name in the folder */
    char *path;
    bool written; /* since the worker was sent: it may have been done by then. Main thread */
};

static void look_at(struct log_watch *watch, const char *file);

static void cut_free(gpointer data)
{
    struct cut *cut = data;

    g_free(cut->file);
    g_free(cut->path);
    g_free(cut);
}

static gboolean cut_done(gpointer data)
{
    struct cut *cut = data;

    g_hash_table_remove(cut->watch->cutting, cut->path);
    if (cut->written)
        look_at(cut->watch, cut->file);
    return G_SOURCE_REMOVE;
}

/* A worker. */
static void cut_log(gpointer data, struct daemon *daemon)
{
    struct cut *cut = data;
    g_autoptr(GError) error = NULL;

    if (log_file_is_long(cut->path, &daemon->settings) &&
        !log_file_cut(cut->path, &daemon->settings, &error))
        g_warning("%s", error->message);
    main_invoke(cut_done, cut, cut_free);
}

static bool is_running_domain(struct daemon *daemon, const char *name)
{
    g_autoptr(held_domain) domain = domain_list_by_name(daemon->domains, name);

    return domain && g_atomic_int_get(&domain->id) >= 0;
}

/* A file in the folder has been written to; not all of them are logs of domains. */
static void look_at(struct log_watch *watch, const char *file)
{
    g_autofree char *path = g_build_filename(watch->daemon->paths.log, file, NULL);
    g_autofree char *name = NULL;
    struct cut *cut = g_hash_table_lookup(watch->cutting, path);

    if (cut) {
        cut->written = true;
        return;
    }
    if (!g_str_has_suffix(file, SUFFIX) || !log_file_is_long(path, &watch->daemon->settings))
        return;
    name = g_strndup(file, strlen(file) - strlen(SUFFIX));
    if (!is_running_domain(watch->daemon, name))
        return;
    cut = g_new(struct cut, 1);
    *cut = (struct cut){.watch = watch, .file = g_strdup(file), .path = g_steal_pointer(&path)};
    if (server_run(watch->daemon->server, cut_log, cut, false))
        g_hash_table_insert(watch->cutting, cut->path, cut);
    else
        cut_free(cut);
}

/* More was written than the kernel keeps for us to read. */
static void look_at_all(struct log_watch *watch)
{
    g_autoptr(GPtrArray) all = domain_list_all(watch->daemon->domains);

    for (guint i = 0; i < all->len; i++) {
        const struct domain *domain = g_ptr_array_index(all, i);
        g_autofree char *file = g_strconcat(domain->name, SUFFIX, NULL);

        look_at(watch, file);
    }
}

static gboolean on_written(gint fd, GIOCondition condition, gpointer data)
{
    struct log_watch *watch = data;
    _Alignas(struct inotify_event) char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof(buffer));

    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *event = (const void *)(buffer + at);

        if (event->mask & IN_Q_OVERFLOW)
            look_at_all(watch);
        else if (event->len)
            look_at(watch, event->name);
        at += (ssize_t)(sizeof(*event) + event->len);
    }
    return G_SOURCE_CONTINUE;
}

struct log_watch *log_watch_new(struct daemon *daemon)
{
    auto_close int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    struct log_watch *watch;

    if (!daemon->settings.max_log_size)
        return NULL;
    if (fd < 0 || inotify_add_watch(fd, daemon->paths.log, IN_MODIFY) < 0) {
        g_warning("cannot watch '%s': %s", daemon->paths.log, g_strerror(errno));
        return NULL;
    }
    watch = g_new0(struct log_watch, 1);
    watch->daemon = daemon;
    watch->cutting = g_hash_table_new(g_str_hash, g_str_equal);
    watch->fd = steal_fd(&fd);
    watch->source = g_unix_fd_source_new(watch->fd, G_IO_IN);
    g_source_set_callback(watch->source, G_SOURCE_FUNC(on_written), watch, NULL);
    g_source_attach(watch->source, NULL);
    return watch;
}

void log_watch_free(struct log_watch *watch)
{
    if (!watch)
        return;
    g_source_destroy(watch->source);
    g_source_unref(watch->source);
    close(watch->fd);
    g_hash_table_unref(watch->cutting);
    g_free(watch);
}
