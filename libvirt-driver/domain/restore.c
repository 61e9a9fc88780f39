/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/domain/restore.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libvirt-driver/domain/domain.h"
#include "libvirt-driver/domain/list.h"
#include "libvirt-driver/domain/process.h"
#include "libvirt-driver/domain/store.h"
#include "libvirt-driver/server.h"
#include "libvirt-driver/vmm/cgroup.h"
#include "libvirt-driver/vmm/monitor.h"
#include "xml/error.h"

/* One start of the daemon: autostart waits until every old domain is known to run or not. */
struct restore {
    gatomicrefcount refs;
    struct daemon *daemon;
    GHashTable *monitors; /* paths that belong to a known domain */
    GHashTable *cgroups;  /* the same */
};

struct rejoin {
    struct restore *restore;
    struct domain *domain;
    struct status status;
};

static void found_config(gpointer opaque, domain_def *def, bool autostart)
{
    struct daemon *daemon = opaque;
    g_autoptr(GError) error = NULL;
    g_autoptr(locked_domain) domain = domain_list_add(daemon, def, &error);

    if (!domain) {
        g_warning("%s", error->message);
        domain_def_free(def);
        return;
    }
    if (domain->config) {
        domain_def_free(def); /* known already */
        return;
    }
    domain->config = def;
    domain->autostart = autostart;
}

/* What starts with the host: a few at a time, each by whoever is done with the one before. */
struct autostart {
    gatomicrefcount refs;
    GPtrArray *domains;
    gint next; /* atomic */
};

static void autostart_unref(struct autostart *autostart)
{
    if (!g_atomic_ref_count_dec(&autostart->refs))
        return;
    g_ptr_array_unref(autostart->domains);
    g_free(autostart);
}

static void start_automatically(struct domain *domain)
{
    g_autoptr(GError) error = NULL;

    domain_lock(domain);
    if (domain_begin_job(domain, "autostart", &error)) {
        if (domain->config && !domain_runs(domain))
            domain_start(domain, domain_def_copy(domain->config), false, &error);
        domain_end_job(domain);
    }
    if (error)
        g_warning("Failed to autostart VM '%s': %s", domain->name, error->message);
    domain_unlock(domain);
}

static void start_one_after_another(gpointer data, struct daemon *daemon)
{
    struct autostart *autostart = data;
    guint i;

    while ((i = (guint)g_atomic_int_add(&autostart->next, 1)) < autostart->domains->len)
        start_automatically(g_ptr_array_index(autostart->domains, i));
    autostart_unref(autostart);
}

static gboolean is_to_start(struct domain *domain)
{
    gboolean autostart;

    domain_lock(domain);
    autostart = domain->autostart && !domain_runs(domain);
    domain_unlock(domain);
    return autostart;
}

static void autostart_domains(struct daemon *daemon)
{
    g_autoptr(GPtrArray) all = domain_list_all(daemon->domains);
    struct autostart *autostart;

    if (!paths_is_first_time(&daemon->paths, "autostarted"))
        return;
    autostart = g_new0(struct autostart, 1);
    g_atomic_ref_count_init(&autostart->refs);
    autostart->domains = g_ptr_array_new_with_free_func((GDestroyNotify)domain_unref);
    for (guint i = 0; i < all->len; i++) {
        struct domain *domain = g_ptr_array_index(all, i);

        if (is_to_start(domain))
            g_ptr_array_add(autostart->domains, domain_ref(domain));
    }
    for (guint i = 0; i < MIN(autostart->domains->len, daemon->settings.max_workers); i++) {
        g_atomic_ref_count_inc(&autostart->refs);
        if (!server_run(daemon->server, start_one_after_another, autostart, false))
            autostart_unref(autostart);
    }
    autostart_unref(autostart);
}

static void restore_unref(struct restore *restore)
{
    if (!g_atomic_ref_count_dec(&restore->refs))
        return;
    autostart_domains(restore->daemon);
    g_hash_table_unref(restore->monitors);
    g_hash_table_unref(restore->cgroups);
    g_free(restore);
}

static void rejoin(gpointer data, struct daemon *daemon)
{
    struct rejoin *rejoin = data;
    struct domain *domain = rejoin->domain;

    domain_lock(domain);
    domain_rejoin(domain, rejoin->status.pid, rejoin->status.start_time,
                  rejoin->status.monitor_path);
    domain_end_job(domain);
    domain_unlock(domain);
    domain_unref(domain);
    status_clear(&rejoin->status);
    restore_unref(rejoin->restore);
    g_free(rejoin);
}

static void found_status(gpointer opaque, struct status *status)
{
    struct restore *restore = opaque;
    struct daemon *daemon = restore->daemon;
    g_autoptr(GError) error = NULL;
    g_autoptr(locked_domain) domain = domain_list_add(daemon, status->live, &error);
    struct rejoin *task;

    g_hash_table_add(restore->monitors, g_strdup(status->monitor_path));
    if (status->cgroup)
        g_hash_table_add(restore->cgroups, g_strdup(status->cgroup));
    if (!domain || domain_runs(domain)) {
        g_warning("domain '%s', found at '%s': %s", status->live->name, status->monitor_path,
                  error ? error->message : "the same domain runs twice");
        status_clear(status);
        return;
    }
    domain->live = g_steal_pointer(&status->live);
    g_atomic_int_set(&domain->id, domain->live->id);
    domain_list_reserve_id(daemon->domains, domain->live->id);
    domain->state = status->state;
    domain->reason = status->reason;
    domain->reboot_asked = status->reboot_asked;
    domain->cgroup = g_steal_pointer(&status->cgroup);
    g_array_append_vals(domain->companions, status->companions->data, status->companions->len);
    domain->job = "reconnect"; /* there is nobody yet who could have it */
    task = g_new(struct rejoin, 1);
    *task = (struct rejoin){restore, domain_ref(domain), *status};
    g_atomic_ref_count_inc(&restore->refs);
    server_run(daemon->server, rejoin, task, false);
}

/* A monitor's owner: the worker that uses it, and the main thread that reads from it. */
struct stray {
    gatomicrefcount refs;
    struct monitor *monitor;
};

static void stray_unref(gpointer data)
{
    struct stray *stray = data;

    if (!g_atomic_ref_count_dec(&stray->refs))
        return;
    g_clear_pointer(&stray->monitor, monitor_free);
    g_free(stray);
}

static void ignore_event(gpointer opaque, const char *event, json_t *data)
{
}

/* A daemon that was killed between starting a VMM and writing that down left one that no domain
 * knows: it has not run yet, and never will. */
static void end_stray(gpointer data, struct daemon *daemon)
{
    g_autofree char *path = data;
    g_autoptr(GError) error = NULL;
    struct stray *stray = g_new0(struct stray, 1);
    guint timeout_ms = daemon->settings.start_timeout * 1000;

    g_atomic_ref_count_init(&stray->refs);
    g_atomic_ref_count_inc(&stray->refs);
    server_worker_waits(daemon->server, true);
    stray->monitor =
        monitor_connect(daemon->watches, path, ignore_event, stray, stray_unref, &error);
    if (stray->monitor) {
        g_message("ending a VMM without a domain, found at '%s'", path);
        if (!monitor_wait_ready(stray->monitor, timeout_ms, &error) ||
            !monitor_execute(stray->monitor, "quit", NULL, timeout_ms, NULL, &error))
            g_warning("'%s': %s", path, error->message);
        monitor_close(stray->monitor);
    }
    /* What did not answer yet is left to the next daemon. */
    if (!g_error_matches(error, LIBVIRT_ERROR, VIR_ERR_OPERATION_TIMEOUT))
        unlink(path);
    stray_unref(stray);
    server_worker_waits(daemon->server, false);
}

/* The same of the control group that it was started in: nobody in it belongs to a domain. */
static void clear_cgroups(struct restore *restore)
{
    g_autoptr(GPtrArray) paths = cgroups_list(restore->daemon->cgroups);

    for (guint i = 0; i < paths->len; i++) {
        const char *path = g_ptr_array_index(paths, i);

        if (g_hash_table_contains(restore->cgroups, path))
            continue;
        /* A worker ends whoever is in it: no domain that starts meanwhile may come to have it. */
        domain_list_reserve_id(restore->daemon->domains, cgroup_domain_id(path));
        cgroup_clear_detached(restore->daemon, g_strdup(path));
    }
}

static void end_strays(struct restore *restore)
{
    const char *run = restore->daemon->paths.run;
    g_autoptr(GDir) dir = g_dir_open(run, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        char *path = g_build_filename(run, name, NULL);

        if (g_str_has_suffix(name, ".qmp") && !g_hash_table_contains(restore->monitors, path)) {
            /* No domain that starts meanwhile may come to have its path. */
            domain_list_reserve_id(restore->daemon->domains, atoi(name));
            server_run(restore->daemon->server, end_stray, path, false);
        } else {
            g_free(path);
        }
    }
}

void restore_domains(struct daemon *daemon)
{
    struct restore *restore = g_new0(struct restore, 1);

    g_atomic_ref_count_init(&restore->refs);
    restore->daemon = daemon;
    restore->monitors = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    restore->cgroups = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    store_load_configs(&daemon->paths, found_config, daemon);
    store_load_statuses(&daemon->paths, found_status, restore);
    end_strays(restore);
    clear_cgroups(restore);
    restore_unref(restore);
}

/* A worker. */
static void found_new_config(gpointer opaque, domain_def *found, bool autostart)
{
    struct daemon *daemon = opaque;
    g_autoptr(domain_def) def = found;
    g_autoptr(GError) error = NULL;
    g_autoptr(locked_domain) domain = domain_list_add(daemon, def, &error);

    if (!domain) {
        g_warning("%s", error->message);
        return;
    }
    if (domain->config || !domain_begin_job_patiently(domain, "reload"))
        return; /* known already, or just gone */
    /* A client may have undefined it since its file was read. */
    if (!domain->config && store_has_config(&daemon->paths, domain->name)) {
        domain->config = g_steal_pointer(&def);
        domain->autostart = autostart;
    }
    domain_list_remove_void(daemon->domains, domain);
    domain_end_job(domain);
}

static void read_new_configs(gpointer unused, struct daemon *daemon)
{
    server_worker_waits(daemon->server, true);
    store_load_configs(&daemon->paths, found_new_config, daemon);
    server_worker_waits(daemon->server, false);
}

void restore_new_configs(struct daemon *daemon)
{
    server_run(daemon->server, read_new_configs, NULL, false);
}
