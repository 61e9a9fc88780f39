/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls on the volumes of the built-in storage driver's pools. */
#include <libvirt/libvirt.h>
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/storage/storage.h"
#include "libvirt-driver/storage/transfer.h"
#include "libvirt-driver/util.h"

static void fill_volume(wire_volume *wire, const struct pool *pool, const struct volume *volume)
{
    wire->pool = g_strdup(pool->def->name);
    wire->name = g_strdup(volume->name);
    wire->key = g_strdup(volume->path);
}

static struct volume_key key_of(const wire_volume *wire)
{
    return (struct volume_key){wire->pool, wire->name};
}

/* ---- listing and finding ---- */

bool api_storage_pool_num_of_volumes(struct call *call, const wire_pool_args *in, wire_int *out,
                                     GError **error)
{
    struct storage *storage = call->daemon->storage;
    hold_lock(&storage->lock);
    const struct pool *pool = pool_wait(storage, (const uint8_t *)in->pool.uuid, error);

    if (!pool || !pool_check_active(pool, error))
        return false;
    out->value = (int)pool->volumes->len;
    return true;
}

bool api_storage_pool_list_volumes(struct call *call, const wire_pool_int *in, wire_names *out,
                                   GError **error)
{
    struct storage *storage = call->daemon->storage;
    hold_lock(&storage->lock);
    const struct pool *pool = pool_wait(storage, (const uint8_t *)in->pool.uuid, error);

    if (!pool || !pool_check_active(pool, error))
        return false;
    out->names.names_val = g_new0(char *, pool->volumes->len + 1);
    for (guint i = 0; i < pool->volumes->len && (int)i < in->value; i++) {
        const struct volume *volume = g_ptr_array_index(pool->volumes, i);

        out->names.names_val[out->names.names_len++] = g_strdup(volume->name);
    }
    return true;
}

bool api_storage_pool_list_all_volumes(struct call *call, const wire_pool_list_args *in,
                                       wire_volumes *out, GError **error)
{
    struct storage *storage = call->daemon->storage;
    hold_lock(&storage->lock);
    const struct pool *pool;

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    pool = pool_wait(storage, (const uint8_t *)in->pool.uuid, error);
    if (!pool || !pool_check_active(pool, error))
        return false;
    out->count = pool->volumes->len;
    if (!in->need_results)
        return true;
    out->volumes.volumes_val = g_new0(wire_volume, pool->volumes->len + 1);
    for (guint i = 0; i < pool->volumes->len; i++)
        fill_volume(&out->volumes.volumes_val[out->volumes.volumes_len++], pool,
                    g_ptr_array_index(pool->volumes, i));
    return true;
}

bool api_storage_vol_lookup_by_name(struct call *call, const wire_pool_str *in,
                                    wire_volume_args *out, GError **error)
{
    struct storage *storage = call->daemon->storage;
    hold_lock(&storage->lock);
    const struct pool *pool = pool_wait(storage, (const uint8_t *)in->pool.uuid, error);
    const struct volume *volume;

    if (!pool || !pool_check_active(pool, error))
        return false;
    volume = volume_find(pool, in->value, error);
    if (volume)
        fill_volume(&out->volume, pool, volume);
    return volume != NULL;
}

/* A key is a path. */
static bool lookup(struct call *call, const char *path, const char *what, wire_volume *out,
                   GError **error)
{
    struct storage *storage = call->daemon->storage;
    hold_lock(&storage->lock);
    struct pool *pool;
    const struct volume *volume = volume_by_path(storage, path, &pool);

    if (volume)
        fill_volume(out, pool, volume);
    else
        libvirt_error_set(error, VIR_ERR_NO_STORAGE_VOL, "no storage vol with matching %s '%s'",
                          what, path);
    return volume != NULL;
}

bool api_storage_vol_lookup_by_key(struct call *call, const wire_str *in, wire_volume_args *out,
                                   GError **error)
{
    return lookup(call, in->value, "key", &out->volume, error);
}

bool api_storage_vol_lookup_by_path(struct call *call, const wire_str *in, wire_volume_args *out,
                                    GError **error)
{
    return lookup(call, in->value, "path", &out->volume, error);
}

bool api_storage_vol_get_path(struct call *call, const wire_volume_args *in, wire_str *out,
                              GError **error)
{
    struct storage *storage = call->daemon->storage;
    const struct volume_key key = key_of(&in->volume);
    hold_lock(&storage->lock);
    struct pool *pool;
    const struct volume *volume = volume_by_key(storage, &key, &pool, error);

    if (volume)
        out->value = g_strdup(volume->path);
    return volume != NULL;
}

/* ---- state ---- */

/* A copy of what is known of the volume, with the lock held. */
static const struct storage_volume_info *info_of(struct volume *volume)
{
    volume->image.info.name = volume->name;
    volume->image.info.path = volume->path;
    return &volume->image.info;
}

/* What the file is now; of one that is just being made, what is known. */
static struct volume *look(struct storage *storage, const struct volume_key *key, GError **error)
{
    struct pool *pool;
    struct volume *volume = volume_by_key(storage, key, &pool, error);

    if (!volume || volume->building)
        return volume;
    g_mutex_unlock(&storage->lock);
    if (!volume_update(storage, key, error)) {
        g_mutex_lock(&storage->lock);
        return NULL;
    }
    g_mutex_lock(&storage->lock);
    return volume_by_key(storage, key, &pool, error);
}

static bool get_info(struct call *call, const wire_volume *wire, unsigned flags,
                     wire_volume_info *out, GError **error)
{
    struct storage *storage = call->daemon->storage;
    const struct volume_key key = key_of(wire);
    hold_lock(&storage->lock);
    struct volume *volume = look(storage, &key, error);
    const struct storage_volume_info *info;

    if (!volume)
        return false;
    info = info_of(volume);
    out->type = info->directory ? VIR_STORAGE_VOL_DIR : VIR_STORAGE_VOL_FILE;
    out->capacity = info->capacity;
    out->allocation = flags & VIR_STORAGE_VOL_GET_PHYSICAL ? info->physical : info->allocation;
    return true;
}

bool api_storage_vol_get_info(struct call *call, const wire_volume_args *in, wire_volume_info *out,
                              GError **error)
{
    return get_info(call, &in->volume, 0, out, error);
}

bool api_storage_vol_get_info_flags(struct call *call, const wire_volume_flags *in,
                                    wire_volume_info *out, GError **error)
{
    return api_check_flags(call, in->flags, VIR_STORAGE_VOL_GET_PHYSICAL, error) &&
           get_info(call, &in->volume, in->flags, out, error);
}

bool api_storage_vol_get_xml_desc(struct call *call, const wire_volume_flags *in, wire_str *out,
                                  GError **error)
{
    struct storage *storage = call->daemon->storage;
    const struct volume_key key = key_of(&in->volume);
    hold_lock(&storage->lock);
    struct volume *volume;

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    volume = look(storage, &key, error);
    if (volume)
        out->value = storage_volume_format(info_of(volume));
    return volume != NULL;
}

/* ---- making and changing ---- */

/* Tells of a volume that was just made. */
static bool give_new(struct call *call, const uint8_t *uuid, const char *name, wire_volume *out,
                     GError **error)
{
    struct storage *storage = call->daemon->storage;
    hold_lock(&storage->lock);
    const struct pool *pool = pool_by_uuid(storage, uuid, error);
    const struct volume *volume = pool ? volume_find(pool, name, error) : NULL;

    if (volume)
        fill_volume(out, pool, volume);
    return volume != NULL;
}

bool api_storage_vol_create_xml(struct call *call, const wire_pool_str_flags *in,
                                wire_volume_args *out, GError **error)
{
    const uint8_t *uuid = (const uint8_t *)in->pool.uuid;
    g_autofree char *name = NULL;

    if (!api_check_flags(call, in->flags,
                         VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA | VIR_STORAGE_VOL_CREATE_VALIDATE,
                         error))
        return false;
    name = volume_create(call->daemon->storage, uuid, in->value, error);
    return name && give_new(call, uuid, name, &out->volume, error);
}

bool api_storage_vol_create_xml_from(struct call *call, const wire_volume_clone_args *in,
                                     wire_volume_args *out, GError **error)
{
    const uint8_t *uuid = (const uint8_t *)in->pool.uuid;
    const struct volume_key source = key_of(&in->source);
    g_autofree char *name = NULL;

    if (!api_check_flags(call, in->flags,
                         VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA | VIR_STORAGE_VOL_CREATE_REFLINK |
                             VIR_STORAGE_VOL_CREATE_VALIDATE,
                         error))
        return false;
    name = volume_clone(call->daemon->storage, uuid, in->xml, &source,
                        in->flags & VIR_STORAGE_VOL_CREATE_REFLINK, error);
    return name && give_new(call, uuid, name, &out->volume, error);
}

bool api_storage_vol_delete(struct call *call, const wire_volume_flags *in, wire_none *out,
                            GError **error)
{
    const struct volume_key key = key_of(&in->volume);

    /* A file has no snapshots that could be in the way. */
    return api_check_flags(call, in->flags, VIR_STORAGE_VOL_DELETE_WITH_SNAPSHOTS, error) &&
           volume_delete(call->daemon->storage, &key, error);
}

bool api_storage_vol_resize(struct call *call, const wire_volume_resize_args *in, wire_none *out,
                            GError **error)
{
    const struct volume_key key = key_of(&in->volume);

    return api_check_flags(call, in->flags,
                           VIR_STORAGE_VOL_RESIZE_ALLOCATE | VIR_STORAGE_VOL_RESIZE_DELTA |
                               VIR_STORAGE_VOL_RESIZE_SHRINK,
                           error) &&
           volume_resize(call->daemon->storage, &key, in->capacity, in->flags, error);
}

bool api_storage_vol_wipe(struct call *call, const wire_volume_flags *in, wire_none *out,
                          GError **error)
{
    const struct volume_key key = key_of(&in->volume);

    return api_check_flags(call, in->flags, 0, error) &&
           volume_wipe(call->daemon->storage, &key, error);
}

bool api_storage_vol_wipe_pattern(struct call *call, const wire_volume_wipe_args *in,
                                  wire_none *out, GError **error)
{
    const struct volume_key key = key_of(&in->volume);

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    if (in->algorithm != VIR_STORAGE_VOL_WIPE_ALG_ZERO) {
        libvirt_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                          "volumes are wiped with zeroes only, not by algorithm %u", in->algorithm);
        return false;
    }
    return volume_wipe(call->daemon->storage, &key, error);
}

/* ---- contents ---- */

static bool start_transfer(struct call *call, const wire_volume_transfer_args *in, bool upload,
                           unsigned sparse, GError **error)
{
    const struct volume_key key = key_of(&in->volume);
    const struct transfer_args args = {upload, in->flags & sparse, in->offset, in->length};

    if (!api_check_flags(call, in->flags, sparse, error))
        return false;
    call->stream = transfer_new(call, &key, &args, error);
    return call->stream != NULL;
}

bool api_storage_vol_upload(struct call *call, const wire_volume_transfer_args *in, wire_none *out,
                            GError **error)
{
    return start_transfer(call, in, true, VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM, error);
}

bool api_storage_vol_download(struct call *call, const wire_volume_transfer_args *in,
                              wire_none *out, GError **error)
{
    return start_transfer(call, in, false, VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM, error);
}
