/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/domain/borrow.h"

#include <jansson.h>
#include <string.h>

#include "libvirt-driver/host_libvirt.h"
#include "libvirt-driver/storage/storage.h"
#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/macvtap.h"
#include "libvirt-driver/vmm/passt.h"
#include "xml/network_port.h"
#include "xml/storage.h"

static bool has_macvtap(const struct domain_net *net)
{
    return net->type == DOMAIN_NET_DIRECT || (net->type == DOMAIN_NET_NETWORK && net->dev);
}

bool borrow_is_needed(const domain_def *def)
{
    for (guint i = 0; i < def->nets->len; i++) {
        const struct domain_net *net = domain_net_at(def, i);

        if (net->type == DOMAIN_NET_NETWORK || net->type == DOMAIN_NET_DIRECT)
            return true;
    }
    return false;
}

void borrow_name(domain_def *def)
{
    for (guint i = 0; i < def->nets->len; i++) {
        struct domain_net *net = domain_net_at(def, i);

        if (net->type == DOMAIN_NET_NETWORK && !net->port_id)
            net->port_id = g_uuid_string_random();
    }
}

/* ---- asking ---- */

static json_t *port_step(const domain_def *def, const struct domain_net *net, bool reclaim)
{
    g_autofree char *xml = network_port_format(def, net);

    return json_pack("{s:s, s:s, s:s, s:s, s:b}", "do", "port", "network", net->network, "id",
                     net->port_id, "xml", xml, "reclaim", reclaim);
}

static bool take_port(struct domain_net *net, const json_t *result, GError **error)
{
    const char *xml = json_string_value(json_object_get(result, "xml"));
    const char *bridge = json_string_value(json_object_get(result, "bridge"));

    if (xml)
        return network_port_apply(xml, net, error);
    /* A network that knows no ports: there is nothing to give back. */
    g_clear_pointer(&net->port_id, g_free);
    g_free(net->bridge);
    net->bridge = g_strdup(bridge);
    if (bridge)
        return true;
    libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "network '%s' has no bridge", net->network);
    return false;
}

static bool check_format(const struct domain_disk *disk, const char *format, GError **error)
{
    if (!format || storage_format_is_raw(format))
        return true;
    libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                      "disk '%s': volume '%s' is a %s image, and only raw images are supported",
                      disk->target, disk->volume, format);
    return false;
}

static bool take_volume(struct domain_disk *disk, const json_t *result, GError **error)
{
    const char *path = json_string_value(json_object_get(result, "path"));
    const char *xml = json_string_value(json_object_get(result, "xml"));
    int type = (int)json_integer_value(json_object_get(result, "type"));
    /* What cannot be read is left to a look at the image. */
    g_autoptr(storage_volume_def) known = xml ? storage_volume_def_parse(xml, NULL) : NULL;

    if (!path || (type != VIR_STORAGE_VOL_FILE && type != VIR_STORAGE_VOL_BLOCK)) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "disk '%s': volume '%s' is neither a file nor a block device",
                          disk->target, disk->volume);
        return false;
    }
    if (!check_format(disk, known ? known->format : NULL, error))
        return false;
    g_free(disk->source);
    disk->source = g_strdup(path);
    disk->is_block = type == VIR_STORAGE_VOL_BLOCK;
    return true;
}

/* ---- the storage of this connection ---- */

static const struct volume *find_in_pool(const struct pool *pool, const char *name)
{
    for (guint i = 0; i < pool->volumes->len; i++) {
        const struct volume *volume = g_ptr_array_index(pool->volumes, i);

        if (strcmp(volume->name, name) == 0)
            return volume;
    }
    return NULL;
}

/* Whether the daemon's own storage driver has the pool; then the disk has its path, or there is an
 * error. */
static bool find_own_volume(const struct daemon *daemon, struct domain_disk *disk, GError **error)
{
    struct storage *storage = daemon->storage;
    hold_lock(&storage->lock);
    const struct pool *pool = pool_by_name(storage, disk->pool, NULL);
    const struct volume *volume;

    if (!pool)
        return false;
    /* After a boot it may be about to start. */
    pool = pool_wait(storage, pool->def->uuid, error);
    if (!pool)
        return true;
    volume = pool->active ? find_in_pool(pool, disk->volume) : NULL;
    if (!pool->active) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "storage pool '%s' containing volume '%s' is not active", disk->pool,
                          disk->volume);
    } else if (!volume) {
        libvirt_error_set(error, VIR_ERR_NO_STORAGE_VOL, "no storage vol with matching name '%s'",
                          disk->volume);
    } else if (check_format(disk, volume->image.info.format, error)) {
        g_free(disk->source);
        disk->source = g_strdup(volume->path);
        disk->is_block = false;
    }
    return true;
}

/* ---- getting ---- */

/* Which interface or disk a step is for: steps are few, and in the order of these. */
static json_t *make_steps(const struct daemon *daemon, domain_def *def, GError **error)
{
    g_autoptr(json_ref) steps = json_array();

    for (guint i = 0; i < def->nets->len; i++) {
        struct domain_net *net = domain_net_at(def, i);

        if (net->type == DOMAIN_NET_NETWORK)
            json_array_append_new(steps, port_step(def, net, false));
    }
    for (guint i = 0; i < def->disks->len; i++) {
        struct domain_disk *disk = domain_disk_at(def, i);
        GError *failed = NULL;

        if (disk->type != DOMAIN_DISK_VOLUME)
            continue;
        g_clear_pointer(&disk->source, g_free);
        if (!find_own_volume(daemon, disk, &failed))
            json_array_append_new(steps, json_pack("{s:s, s:s, s:s}", "do", "volume", "pool",
                                                   disk->pool, "volume", disk->volume));
        if (failed) {
            g_propagate_error(error, failed);
            return NULL;
        }
    }
    return g_steal_pointer(&steps);
}

static bool take_results(domain_def *def, const json_t *results, GError **error)
{
    size_t at = 0;

    for (guint i = 0; i < def->nets->len; i++) {
        struct domain_net *net = domain_net_at(def, i);

        if (net->type == DOMAIN_NET_NETWORK &&
            !take_port(net, json_array_get(results, at++), error))
            return false;
    }
    for (guint i = 0; i < def->disks->len; i++) {
        struct domain_disk *disk = domain_disk_at(def, i);

        if (disk->type == DOMAIN_DISK_VOLUME && !disk->source &&
            !take_volume(disk, json_array_get(results, at++), error))
            return false;
    }
    return true;
}

bool borrow_get(const struct daemon *daemon, domain_def *def, GError **error)
{
    json_t *steps;
    g_autoptr(json_ref) results = NULL;

    borrow_name(def);
    steps = make_steps(daemon, def, error);
    if (!steps)
        return false;
    if (json_array_size(steps) == 0) {
        json_decref(steps);
        return true;
    }
    results = host_libvirt_ask(daemon, steps, error);
    return results && take_results(def, results, error);
}

/* ---- giving back ---- */

/* A step for each port that the domain has; a failure leaves no more than a warning. */
static void for_all_ports(const struct daemon *daemon, const domain_def *def,
                          json_t *(*step)(const domain_def *def, const struct domain_net *net),
                          const char *failure)
{
    g_autoptr(json_ref) steps = json_array();
    g_autoptr(json_ref) results = NULL;
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < def->nets->len; i++) {
        const struct domain_net *net = domain_net_at(def, i);

        if (net->type == DOMAIN_NET_NETWORK && net->port_id)
            json_array_append_new(steps, step(def, net));
    }
    if (json_array_size(steps) == 0)
        return;
    results = host_libvirt_ask(daemon, json_incref(steps), &error);
    if (!results)
        g_warning("domain '%s': its network ports %s: %s", def->name, failure, error->message);
}

static json_t *unport_step(const domain_def *def, const struct domain_net *net)
{
    return json_pack("{s:s, s:s, s:s}", "do", "unport", "network", net->network, "id",
                     net->port_id);
}

static json_t *renew_step(const domain_def *def, const struct domain_net *net)
{
    return port_step(def, net, true);
}

void borrow_return(const struct daemon *daemon, const domain_def *def, const GArray *companions)
{
    for (guint i = 0; i < companions->len; i++)
        companion_end(&g_array_index(companions, struct companion, i));
    for (guint i = 0; i < def->nets->len; i++)
        if (has_macvtap(domain_net_at(def, i)))
            macvtap_delete(domain_net_at(def, i));
    for_all_ports(daemon, def, unport_step, "stay");
}

void borrow_renew(const struct daemon *daemon, domain_def *def)
{
    for_all_ports(daemon, def, renew_step, "could not be found again");
}
