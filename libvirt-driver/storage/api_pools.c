/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls on the built-in storage driver's pools. */
#include <libvirt/libvirt.h>
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/storage/events.h"
#include "libvirt-driver/storage/storage.h"
#include "libvirt-driver/util.h"
#include "xml/reader.h"

#define LIST_ACTIVE_FLAGS \
    (VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE | VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
#define LIST_PERSISTENT_FLAGS \
    (VIR_CONNECT_LIST_STORAGE_POOLS_PERSISTENT | VIR_CONNECT_LIST_STORAGE_POOLS_TRANSIENT)
#define LIST_AUTOSTART_FLAGS \
    (VIR_CONNECT_LIST_STORAGE_POOLS_AUTOSTART | VIR_CONNECT_LIST_STORAGE_POOLS_NO_AUTOSTART)
/* One bit for each type of pool: from DIR on. */
#define LIST_TYPE_FLAGS \
    ((VIR_CONNECT_LIST_STORAGE_POOLS_ISCSI_DIRECT << 1) - VIR_CONNECT_LIST_STORAGE_POOLS_DIR)
#define CREATE_FLAGS                                                                     \
    (VIR_STORAGE_POOL_CREATE_WITH_BUILD | VIR_STORAGE_POOL_CREATE_WITH_BUILD_OVERWRITE | \
     VIR_STORAGE_POOL_CREATE_WITH_BUILD_NO_OVERWRITE)
/* There is no file system to be made that could be overwritten. */
#define BUILD_FLAGS (VIR_STORAGE_POOL_BUILD_OVERWRITE | VIR_STORAGE_POOL_BUILD_NO_OVERWRITE)

static void fill_pool(wire_pool *wire, const struct pool *pool)
{
    wire->name = g_strdup(pool->def->name);
    memcpy(wire->uuid, pool->def->uuid, DOMAIN_UUID_BYTES);
}

static void give_name(wire_pool *wire, struct pool_name *name)
{
    wire->name = g_steal_pointer(&name->name);
    memcpy(wire->uuid, name->uuid, DOMAIN_UUID_BYTES);
}

static const uint8_t *uuid_of(const wire_pool *wire)
{
    return (const uint8_t *)wire->uuid;
}

/* ---- listing ---- */

static bool either(unsigned flags, unsigned yes, unsigned no, bool is)
{
    return !(flags & (yes | no)) || (flags & (is ? yes : no));
}

static bool matches(const struct pool *pool, unsigned flags)
{
    return either(flags, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE,
                  VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE, pool->active) &&
           either(flags, VIR_CONNECT_LIST_STORAGE_POOLS_PERSISTENT,
                  VIR_CONNECT_LIST_STORAGE_POOLS_TRANSIENT, pool->persistent) &&
           either(flags, VIR_CONNECT_LIST_STORAGE_POOLS_AUTOSTART,
                  VIR_CONNECT_LIST_STORAGE_POOLS_NO_AUTOSTART, pool->autostart) &&
           (!(flags & LIST_TYPE_FLAGS) || (flags & VIR_CONNECT_LIST_STORAGE_POOLS_DIR));
}

static int count_pools(struct storage *storage, unsigned flags)
{
    hold_lock(&storage->lock);
    int count = 0;

    for (guint i = 0; i < storage->pools->len; i++)
        count += matches(g_ptr_array_index(storage->pools, i), flags);
    return count;
}

static bool list_names(struct storage *storage, unsigned flags, int room, wire_names *out)
{
    hold_lock(&storage->lock);

    out->names.names_val = g_new0(char *, storage->pools->len + 1);
    for (guint i = 0; i < storage->pools->len; i++) {
        const struct pool *pool = g_ptr_array_index(storage->pools, i);

        if (matches(pool, flags) && (int)out->names.names_len < room)
            out->names.names_val[out->names.names_len++] = g_strdup(pool->def->name);
    }
    return true;
}

bool api_connect_num_of_storage_pools(struct call *call, const wire_none *in, wire_int *out,
                                      GError **error)
{
    out->value = count_pools(call->daemon->storage, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE);
    return true;
}

bool api_connect_num_of_defined_storage_pools(struct call *call, const wire_none *in, wire_int *out,
                                              GError **error)
{
    out->value = count_pools(call->daemon->storage, VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE);
    return true;
}

bool api_connect_list_storage_pools(struct call *call, const wire_int *in, wire_names *out,
                                    GError **error)
{
    return list_names(call->daemon->storage, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE, in->value, out);
}

bool api_connect_list_defined_storage_pools(struct call *call, const wire_int *in, wire_names *out,
                                            GError **error)
{
    return list_names(call->daemon->storage, VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE, in->value,
                      out);
}

bool api_connect_list_all_storage_pools(struct call *call, const wire_list_args *in,
                                        wire_pools *out, GError **error)
{
    struct storage *storage = call->daemon->storage;
    hold_lock(&storage->lock);

    if (!api_check_flags(call, in->flags,
                         LIST_ACTIVE_FLAGS | LIST_PERSISTENT_FLAGS | LIST_AUTOSTART_FLAGS |
                             LIST_TYPE_FLAGS,
                         error))
        return false;
    out->pools.pools_val = g_new0(wire_pool, storage->pools->len + 1);
    for (guint i = 0; i < storage->pools->len; i++) {
        const struct pool *pool = g_ptr_array_index(storage->pools, i);

        if (!matches(pool, in->flags))
            continue;
        out->count++;
        if (in->need_results)
            fill_pool(&out->pools.pools_val[out->pools.pools_len++], pool);
    }
    return true;
}

/* ---- finding ---- */

bool api_storage_pool_lookup_by_name(struct call *call, const wire_str *in, wire_pool_args *out,
                                     GError **error)
{
    struct storage *storage = call->daemon->storage;
    hold_lock(&storage->lock);
    const struct pool *pool = pool_by_name(storage, in->value, error);

    if (pool)
        fill_pool(&out->pool, pool);
    return pool != NULL;
}

bool api_storage_pool_lookup_by_uuid(struct call *call, const wire_uuid *in, wire_pool_args *out,
                                     GError **error)
{
    struct storage *storage = call->daemon->storage;
    hold_lock(&storage->lock);
    const struct pool *pool = pool_by_uuid(storage, (const uint8_t *)in->uuid, error);

    if (pool)
        fill_pool(&out->pool, pool);
    return pool != NULL;
}

bool api_storage_pool_lookup_by_volume(struct call *call, const wire_volume_args *in,
                                       wire_pool_args *out, GError **error)
{
    struct storage *storage = call->daemon->storage;
    hold_lock(&storage->lock);
    const struct pool *pool = pool_by_name(storage, in->volume.pool, error);

    if (pool)
        fill_pool(&out->pool, pool);
    return pool != NULL;
}

bool api_storage_pool_lookup_by_target_path(struct call *call, const wire_str *in,
                                            wire_pool_args *out, GError **error)
{
    struct storage *storage = call->daemon->storage;
    hold_lock(&storage->lock);
    g_autofree char *clean = g_canonicalize_filename(in->value, "/");

    for (guint i = 0; i < storage->pools->len; i++) {
        const struct pool *pool = g_ptr_array_index(storage->pools, i);

        if (pool->active && strcmp(pool->def->path, clean) == 0) {
            fill_pool(&out->pool, pool);
            return true;
        }
    }
    libvirt_error_set(error, VIR_ERR_NO_STORAGE_POOL,
                      "no storage pool with matching target path '%s'", clean);
    return false;
}

/* ---- life ---- */

bool api_storage_pool_create_xml(struct call *call, const wire_str_flags *in, wire_pool_args *out,
                                 GError **error)
{
    struct pool_name name = {0};

    if (!api_check_flags(call, in->flags, CREATE_FLAGS, error) ||
        !pool_create_transient(call->daemon->storage, in->value, in->flags & CREATE_FLAGS, &name,
                               error))
        return false;
    give_name(&out->pool, &name);
    return true;
}

bool api_storage_pool_define_xml(struct call *call, const wire_str_flags *in, wire_pool_args *out,
                                 GError **error)
{
    struct pool_name name = {0};

    if (!api_check_flags(call, in->flags, VIR_STORAGE_POOL_DEFINE_VALIDATE, error) ||
        !pool_define(call->daemon->storage, in->value, &name, error))
        return false;
    give_name(&out->pool, &name);
    return true;
}

bool api_storage_pool_create(struct call *call, const wire_pool_flags *in, wire_none *out,
                             GError **error)
{
    return api_check_flags(call, in->flags, CREATE_FLAGS, error) &&
           pool_start(call->daemon->storage, uuid_of(&in->pool), in->flags != 0, error);
}

bool api_storage_pool_build(struct call *call, const wire_pool_flags *in, wire_none *out,
                            GError **error)
{
    return api_check_flags(call, in->flags, BUILD_FLAGS, error) &&
           pool_build(call->daemon->storage, uuid_of(&in->pool), error);
}

bool api_storage_pool_destroy(struct call *call, const wire_pool_args *in, wire_none *out,
                              GError **error)
{
    return pool_stop(call->daemon->storage, uuid_of(&in->pool), error);
}

bool api_storage_pool_delete(struct call *call, const wire_pool_flags *in, wire_none *out,
                             GError **error)
{
    return api_check_flags(call, in->flags, 0, error) &&
           pool_delete(call->daemon->storage, uuid_of(&in->pool), error);
}

bool api_storage_pool_undefine(struct call *call, const wire_pool_args *in, wire_none *out,
                               GError **error)
{
    return pool_undefine(call->daemon->storage, uuid_of(&in->pool), error);
}

bool api_storage_pool_refresh(struct call *call, const wire_pool_flags *in, wire_none *out,
                              GError **error)
{
    return api_check_flags(call, in->flags, 0, error) &&
           pool_refresh(call->daemon->storage, uuid_of(&in->pool), error);
}

bool api_storage_pool_set_autostart(struct call *call, const wire_pool_int *in, wire_none *out,
                                    GError **error)
{
    return pool_set_autostart(call->daemon->storage, uuid_of(&in->pool), in->value != 0, error);
}

/* ---- state ---- */

bool api_storage_pool_get_info(struct call *call, const wire_pool_args *in, wire_pool_info *out,
                               GError **error)
{
    struct storage *storage = call->daemon->storage;
    hold_lock(&storage->lock);
    const struct pool *pool = pool_wait(storage, uuid_of(&in->pool), error);

    if (!pool)
        return false;
    out->state = pool->active ? VIR_STORAGE_POOL_RUNNING : VIR_STORAGE_POOL_INACTIVE;
    out->capacity = pool->space.capacity;
    out->allocation = pool->space.allocation;
    out->available = pool->space.available;
    return true;
}

bool api_storage_pool_get_xml_desc(struct call *call, const wire_pool_flags *in, wire_str *out,
                                   GError **error)
{
    struct storage *storage = call->daemon->storage;
    hold_lock(&storage->lock);
    const struct pool *pool;
    const struct storage_pool_def *def;

    if (!api_check_flags(call, in->flags, VIR_STORAGE_XML_INACTIVE, error))
        return false;
    pool = pool_wait(storage, uuid_of(&in->pool), error);
    if (!pool)
        return false;
    def = (in->flags & VIR_STORAGE_XML_INACTIVE) && pool->next ? pool->next : pool->def;
    out->value = storage_pool_def_format(def, &pool->space);
    return true;
}

/* A pool's field that says yes or no. */
static bool get_bool(struct call *call, const wire_pool *wire, gsize offset, wire_int *out,
                     GError **error)
{
    struct storage *storage = call->daemon->storage;
    hold_lock(&storage->lock);
    const struct pool *pool = pool_by_uuid(storage, uuid_of(wire), error);

    if (pool)
        out->value = G_STRUCT_MEMBER(bool, pool, offset);
    return pool != NULL;
}

bool api_storage_pool_get_autostart(struct call *call, const wire_pool_args *in, wire_int *out,
                                    GError **error)
{
    return get_bool(call, &in->pool, G_STRUCT_OFFSET(struct pool, autostart), out, error);
}

bool api_storage_pool_is_active(struct call *call, const wire_pool_args *in, wire_int *out,
                                GError **error)
{
    return get_bool(call, &in->pool, G_STRUCT_OFFSET(struct pool, active), out, error);
}

bool api_storage_pool_is_persistent(struct call *call, const wire_pool_args *in, wire_int *out,
                                    GError **error)
{
    return get_bool(call, &in->pool, G_STRUCT_OFFSET(struct pool, persistent), out, error);
}

/* ---- the driver ---- */

bool api_connect_find_storage_pool_sources(struct call *call, const wire_pool_sources_args *in,
                                           wire_str *out, GError **error)
{
    g_autofree char *type = xml_excerpt(in->type);

    libvirt_error_set(error, VIR_ERR_NO_SUPPORT, "pool type '%s' does not support source discovery",
                      type);
    return false;
}

bool api_connect_get_storage_pool_capabilities(struct call *call, const wire_flags *in,
                                               wire_str *out, GError **error)
{
    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    out->value = storage_capabilities_format();
    return true;
}

bool api_connect_storage_pool_event_register_any(struct call *call, const wire_pool_event_args *in,
                                                 wire_int *out, GError **error)
{
    out->value = pool_events_register(call->daemon->storage->events, call->client, in->event,
                                      in->pool ? uuid_of(in->pool) : NULL, error);
    return out->value >= 0;
}

bool api_connect_storage_pool_event_deregister_any(struct call *call, const wire_int *in,
                                                   wire_none *out, GError **error)
{
    return pool_events_deregister(call->daemon->storage->events, call->client, in->value, error);
}
