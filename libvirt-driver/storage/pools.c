/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pools: their list, their life, and what of them is on disk. */
#include <errno.h>
#include <libvirt/libvirt.h>
#include <string.h>

#include "libvirt-driver/server.h"
#include "libvirt-driver/storage/events.h"
#include "libvirt-driver/storage/files.h"
#include "libvirt-driver/storage/storage.h"
#include "libvirt-driver/util.h"

/* How long a call waits for another's change of the same pool. */
#define CHANGE_TIMEOUT (30 * (gint64)G_USEC_PER_SEC)
/* More than a client would take. */
#define POOLS_MAX 16384

struct storage *storage_new(const struct paths *paths)
{
    struct storage *storage = g_new0(struct storage, 1);

    g_mutex_init(&storage->lock);
    g_cond_init(&storage->changed);
    storage->config = g_build_filename(paths->config, "storage", NULL);
    storage->autostart = g_build_filename(storage->config, "autostart", NULL);
    storage->run = g_build_filename(paths->run, "storage", NULL);
    storage->pools = g_ptr_array_new();
    storage->events = pool_events_new();
    return storage;
}

static void pool_free(struct pool *pool)
{
    storage_pool_def_free(pool->def);
    storage_pool_def_free(pool->next);
    g_ptr_array_unref(pool->volumes);
    g_free(pool);
}

void storage_free(struct storage *storage)
{
    for (guint i = 0; i < storage->pools->len; i++)
        pool_free(g_ptr_array_index(storage->pools, i));
    g_ptr_array_unref(storage->pools);
    pool_events_free(storage->events);
    g_free(storage->config);
    g_free(storage->autostart);
    g_free(storage->run);
    g_cond_clear(&storage->changed);
    g_mutex_clear(&storage->lock);
    g_free(storage);
}

static struct pool *pool_new(struct storage *storage, struct storage_pool_def *def)
{
    struct pool *pool = g_new0(struct pool, 1);

    pool->def = def;
    pool->volumes = g_ptr_array_new_with_free_func(volume_free);
    g_ptr_array_add(storage->pools, pool);
    return pool;
}

static void pool_remove(struct storage *storage, struct pool *pool)
{
    g_ptr_array_remove(storage->pools, pool);
    pool_free(pool);
}

static struct pool *find_name(struct storage *storage, const char *name)
{
    for (guint i = 0; i < storage->pools->len; i++) {
        struct pool *pool = g_ptr_array_index(storage->pools, i);

        if (strcmp(pool->def->name, name) == 0)
            return pool;
    }
    return NULL;
}

static struct pool *find_uuid(struct storage *storage, const uint8_t *uuid)
{
    for (guint i = 0; i < storage->pools->len; i++) {
        struct pool *pool = g_ptr_array_index(storage->pools, i);

        if (memcmp(pool->def->uuid, uuid, DOMAIN_UUID_BYTES) == 0)
            return pool;
    }
    return NULL;
}

struct pool *pool_by_name(struct storage *storage, const char *name, GError **error)
{
    struct pool *pool = find_name(storage, name);

    if (!pool)
        libvirt_error_set(error, VIR_ERR_NO_STORAGE_POOL, "no storage pool with matching name '%s'",
                          name);
    return pool;
}

struct pool *pool_by_uuid(struct storage *storage, const uint8_t uuid[DOMAIN_UUID_BYTES],
                          GError **error)
{
    struct pool *pool = find_uuid(storage, uuid);
    char text[DOMAIN_UUID_TEXT];

    if (!pool) {
        domain_uuid_format(uuid, text);
        libvirt_error_set(error, VIR_ERR_NO_STORAGE_POOL, "no storage pool with matching uuid '%s'",
                          text);
    }
    return pool;
}

bool pool_check_active(const struct pool *pool, GError **error)
{
    if (!pool->active)
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "storage pool '%s' is not active",
                          pool->def->name);
    return pool->active;
}

/* ---- jobs and changes; the lock is held ---- */

struct pool *pool_wait(struct storage *storage, const uint8_t *uuid, GError **error)
{
    gint64 end = g_get_monotonic_time() + CHANGE_TIMEOUT;
    struct pool *pool = pool_by_uuid(storage, uuid, error);
    bool in_time = true;

    while (pool && pool->changing && in_time) {
        in_time = g_cond_wait_until(&storage->changed, &storage->lock, end);
        pool = pool_by_uuid(storage, uuid, error); /* it may be gone, or another's */
    }
    if (!pool || !pool->changing)
        return pool;
    libvirt_error_set(error, VIR_ERR_OPERATION_TIMEOUT, "storage pool '%s' is busy",
                      pool->def->name);
    return NULL;
}

/* The pool, with nobody else at work on it. */
static struct pool *begin_change(struct storage *storage, const uint8_t *uuid, GError **error)
{
    struct pool *pool = pool_wait(storage, uuid, error);

    if (!pool)
        return NULL;
    if (pool->jobs) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "pool '%s' has asynchronous jobs running.",
                          pool->def->name);
        return NULL;
    }
    pool->changing = true;
    return pool;
}

static void end_change(struct storage *storage, struct pool *pool)
{
    pool->changing = false;
    g_cond_broadcast(&storage->changed);
}

/* The pool is being changed by us, and the lock is held but for the time of the scan. */
static bool rescan(struct storage *storage, struct pool *pool, GError **error)
{
    g_autofree char *path = g_strdup(pool->def->path);
    struct pool_contents contents = {0};
    bool ok;

    g_mutex_unlock(&storage->lock);
    ok = pool_dir_scan(path, &contents, error);
    g_mutex_lock(&storage->lock);
    if (!ok)
        return false;
    g_ptr_array_unref(pool->volumes);
    pool->volumes = contents.volumes;
    storage->looks++;
    for (guint i = 0; i < pool->volumes->len; i++)
        ((struct volume *)g_ptr_array_index(pool->volumes, i))->seen = storage->looks;
    pool->space = contents.space;
    pool->def->permissions = contents.permissions;
    return true;
}

/* The same for a pool that we are changing. */
static bool build_unlocked(struct storage *storage, const struct pool *pool, GError **error)
{
    g_autofree char *path = g_strdup(pool->def->path);
    struct storage_permissions permissions = pool->def->permissions;
    bool ok;

    g_mutex_unlock(&storage->lock);
    ok = pool_dir_build(path, &permissions, error);
    g_mutex_lock(&storage->lock);
    return ok;
}

/* ---- their life ---- */

static bool check_new(struct storage *storage, const struct storage_pool_def *def,
                      struct pool **known, GError **error)
{
    char uuid[DOMAIN_UUID_TEXT];

    *known = find_uuid(storage, def->uuid);
    if (*known && strcmp((*known)->def->name, def->name) != 0) {
        domain_uuid_format(def->uuid, uuid);
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED,
                          "pool '%s' is already defined with uuid %s", (*known)->def->name, uuid);
        return false;
    }
    if (!*known && find_name(storage, def->name)) {
        domain_uuid_format(find_name(storage, def->name)->def->uuid, uuid);
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "pool '%s' already exists with uuid %s",
                          def->name, uuid);
        return false;
    }
    for (guint i = 0; i < storage->pools->len; i++) {
        const struct pool *other = g_ptr_array_index(storage->pools, i);

        if (other != *known && strcmp(other->def->path, def->path) == 0) {
            libvirt_error_set(error, VIR_ERR_OPERATION_FAILED,
                              "Storage source conflict with pool: '%s'", other->def->name);
            return false;
        }
    }
    if (!*known && storage->pools->len >= POOLS_MAX) {
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "too many storage pools");
        return false;
    }
    return true;
}

static void name_pool(struct pool_name *out, const struct pool *pool)
{
    out->name = g_strdup(pool->def->name);
    memcpy(out->uuid, pool->def->uuid, DOMAIN_UUID_BYTES);
}

bool pool_define(struct storage *storage, const char *xml, struct pool_name *out, GError **error)
{
    g_autoptr(storage_pool_def) def = storage_pool_def_parse(xml, error);
    hold_lock(&storage->lock);
    struct pool *pool;

    if (!def || !check_new(storage, def, &pool, error) || !pool_files_save(storage, def, error))
        return false;
    if (!pool) {
        pool = pool_new(storage, g_steal_pointer(&def));
    } else if (pool->active || pool->changing) {
        storage_pool_def_free(pool->next);
        pool->next = g_steal_pointer(&def);
    } else {
        storage_pool_def_free(pool->def);
        pool->def = g_steal_pointer(&def);
    }
    pool->persistent = true;
    name_pool(out, pool);
    pool_events_lifecycle(storage->events, pool->def, VIR_STORAGE_POOL_EVENT_DEFINED);
    return true;
}

bool pool_undefine(struct storage *storage, const uint8_t *uuid, GError **error)
{
    hold_lock(&storage->lock);
    struct pool *pool = pool_wait(storage, uuid, error);

    if (!pool)
        return false;
    if (pool->active) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "storage pool '%s' is still active",
                          pool->def->name);
        return false;
    }
    if (!pool_files_remove(storage, pool->def->name, error))
        return false;
    pool_events_lifecycle(storage->events, pool->def, VIR_STORAGE_POOL_EVENT_UNDEFINED);
    pool_remove(storage, pool);
    return true;
}

/* Leaves the pool inactive when it fails. It is being changed by us. */
static bool start(struct storage *storage, struct pool *pool, bool build, GError **error)
{
    if ((build && !build_unlocked(storage, pool, error)) || !rescan(storage, pool, error))
        return false;
    pool->active = true;
    pool_files_save_active(storage, pool);
    pool_events_lifecycle(storage->events, pool->def, VIR_STORAGE_POOL_EVENT_STARTED);
    return true;
}

/* An inactive pool takes over what was defined meanwhile. */
static void settle(struct pool *pool)
{
    if (pool->next && !pool->active) {
        storage_pool_def_free(pool->def);
        pool->def = g_steal_pointer(&pool->next);
    }
}

bool pool_create_transient(struct storage *storage, const char *xml, bool build,
                           struct pool_name *out, GError **error)
{
    g_autoptr(storage_pool_def) def = storage_pool_def_parse(xml, error);
    hold_lock(&storage->lock);
    struct pool *pool;

    if (!def || !check_new(storage, def, &pool, error))
        return false;
    if (pool && (pool->active || pool->changing)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "pool is already active as '%s'",
                          pool->def->name);
        return false;
    }
    if (pool) {
        /* Until it stops it is what was given now. */
        pool->next = g_steal_pointer(&pool->def);
        pool->def = g_steal_pointer(&def);
    } else {
        pool = pool_new(storage, g_steal_pointer(&def));
    }
    pool->changing = true;
    if (!start(storage, pool, build, error)) {
        end_change(storage, pool);
        settle(pool);
        if (!pool->persistent) /* nobody has defined it meanwhile */
            pool_remove(storage, pool);
        return false;
    }
    end_change(storage, pool);
    name_pool(out, pool);
    return true;
}

bool pool_start(struct storage *storage, const uint8_t *uuid, bool build, GError **error)
{
    hold_lock(&storage->lock);
    struct pool *pool = begin_change(storage, uuid, error);
    bool ok;

    if (!pool)
        return false;
    ok = !pool->active;
    if (!ok)
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "storage pool '%s' is already active",
                          pool->def->name);
    else
        ok = start(storage, pool, build, error);
    settle(pool);
    end_change(storage, pool);
    return ok;
}

/* The lock is held; a transient pool is gone afterwards. */
static void stop(struct storage *storage, struct pool *pool)
{
    pool->active = false;
    g_ptr_array_set_size(pool->volumes, 0);
    pool_files_forget_active(storage, pool->def->name);
    pool_events_lifecycle(storage->events, pool->def, VIR_STORAGE_POOL_EVENT_STOPPED);
    if (pool->persistent)
        settle(pool);
    else
        pool_remove(storage, pool);
}

bool pool_stop(struct storage *storage, const uint8_t *uuid, GError **error)
{
    hold_lock(&storage->lock);
    struct pool *pool = begin_change(storage, uuid, error);

    if (!pool)
        return false;
    end_change(storage, pool);
    if (!pool_check_active(pool, error))
        return false;
    stop(storage, pool);
    return true;
}

/* `word`: "already" or "still", as the pool should not be active. */
static struct pool *begin_change_inactive(struct storage *storage, const uint8_t *uuid,
                                          const char *word, GError **error)
{
    struct pool *pool = begin_change(storage, uuid, error);

    if (!pool || !pool->active)
        return pool;
    libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "storage pool '%s' is %s active",
                      pool->def->name, word);
    end_change(storage, pool);
    return NULL;
}

bool pool_build(struct storage *storage, const uint8_t *uuid, GError **error)
{
    hold_lock(&storage->lock);
    struct pool *pool = begin_change_inactive(storage, uuid, "already", error);
    bool ok;

    if (!pool)
        return false;
    ok = build_unlocked(storage, pool, error);
    settle(pool);
    if (ok)
        pool_events_lifecycle(storage->events, pool->def, VIR_STORAGE_POOL_EVENT_CREATED);
    end_change(storage, pool);
    return ok;
}

bool pool_delete(struct storage *storage, const uint8_t *uuid, GError **error)
{
    hold_lock(&storage->lock);
    struct pool *pool = begin_change_inactive(storage, uuid, "still", error);
    g_autofree char *path = pool ? g_strdup(pool->def->path) : NULL;
    bool ok;

    if (!pool)
        return false;
    g_mutex_unlock(&storage->lock);
    ok = rmdir(path) == 0;
    if (!ok)
        libvirt_error_set_errno(error, errno, "failed to remove pool '%s'", path);
    g_mutex_lock(&storage->lock);
    settle(pool);
    if (ok)
        pool_events_lifecycle(storage->events, pool->def, VIR_STORAGE_POOL_EVENT_DELETED);
    end_change(storage, pool);
    return ok;
}

bool pool_refresh(struct storage *storage, const uint8_t *uuid, GError **error)
{
    hold_lock(&storage->lock);
    struct pool *pool = begin_change(storage, uuid, error);
    bool active;
    bool ok;

    if (!pool)
        return false;
    active = pool_check_active(pool, error);
    ok = active && rescan(storage, pool, error);
    end_change(storage, pool);
    if (ok)
        pool_events_refresh(storage->events, pool->def);
    else if (active)
        stop(storage, pool);
    return ok;
}

bool pool_set_autostart(struct storage *storage, const uint8_t *uuid, bool autostart,
                        GError **error)
{
    hold_lock(&storage->lock);
    struct pool *pool = pool_by_uuid(storage, uuid, error);

    if (!pool)
        return false;
    if (!pool->persistent) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "pool has no config file");
        return false;
    }
    if (!pool_files_set_autostart(storage, pool->def->name, autostart, error))
        return false;
    pool->autostart = autostart;
    return true;
}

/* ---- after a start of the daemon ---- */

static void found_config(struct storage *storage, struct storage_pool_def *def)
{
    g_autoptr(GError) error = NULL;
    struct pool *pool;

    if (!check_new(storage, def, &pool, &error) || pool) {
        g_warning("pool '%s' is left out: %s", def->name,
                  error ? error->message : "there is one of that name and UUID already");
        storage_pool_def_free(def);
        return;
    }
    pool = pool_new(storage, def);
    pool->persistent = true;
    pool->autostart = pool_files_get_autostart(storage, def->name);
}

/* It was active; what it has is looked at by a worker. Who asks before that waits. */
static void found_active(struct storage *storage, struct storage_pool_def *def)
{
    g_autoptr(GError) error = NULL;
    struct pool *pool;

    if (!check_new(storage, def, &pool, &error)) {
        g_warning("%s", error->message);
        storage_pool_def_free(def);
        return;
    }
    if (!pool) {
        pool = pool_new(storage, def);
    } else if (strcmp(pool->def->path, def->path) != 0) {
        pool->next = pool->def;
        pool->def = def;
    } else {
        storage_pool_def_free(def);
    }
    pool->active = true;
}

static void start_one(struct storage *storage, struct pool *pool)
{
    g_autoptr(GError) error = NULL;
    bool was_active = pool->active;

    if (was_active ? rescan(storage, pool, &error) : start(storage, pool, false, &error)) {
        end_change(storage, pool);
        return;
    }
    g_warning("cannot start storage pool '%s': %s", pool->def->name, error->message);
    pool->active = false;
    if (was_active)
        pool_files_forget_active(storage, pool->def->name);
    settle(pool);
    end_change(storage, pool);
    if (!pool->persistent)
        pool_remove(storage, pool);
}

static void run_start(gpointer pool, struct daemon *daemon)
{
    hold_lock(&daemon->storage->lock);

    start_one(daemon->storage, pool);
}

void storage_restore(struct daemon *daemon)
{
    struct storage *storage = daemon->storage;
    bool autostart = paths_is_first_time(&daemon->paths, "pools-autostarted");
    hold_lock(&storage->lock);

    pool_files_load(storage, storage->config, found_config);
    pool_files_load(storage, storage->run, found_active);
    for (guint i = 0; i < storage->pools->len; i++) {
        struct pool *pool = g_ptr_array_index(storage->pools, i);

        if (!pool->active && !(autostart && pool->autostart))
            continue;
        /* Nothing can happen to it until that ends. */
        pool->changing = true;
        server_run(daemon->server, run_start, pool, false);
    }
}
