/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands about devices that are no disks. */
#include <assert.h>
#include <linux/virtio_ids.h>

#include "vmm/backend/chardev.h"
#include "vmm/qmp/handlers.h"
#include "vmm/virtio/devices.h"

QMP_HANDLER(query_chardev)
{
    json_t *chardevs = json_array();
    struct chardev *chr;

    for (unsigned i = 0; (chr = machine_chardev(m, i)) != NULL; i++)
        json_array_append_new(chardevs, json_pack("{s:s, s:s, s:b}", "label", chardev_label(chr),
                                                  "filename", chardev_filename(chr),
                                                  "frontend-open", machine_chardev_is_open(m, i)));
    return chardevs;
}

/* ---- balloon ---- */

static struct virtio_device *find_balloon(struct machine *m, struct error *err)
{
    struct virtio_device *dev = machine_device(m, VIRTIO_ID_BALLOON, CONFIG_BALLOON_ID);

    if (!dev)
        error_set(err, "the machine has no balloon");
    return dev;
}

QMP_HANDLER(query_balloon)
{
    struct virtio_device *dev = find_balloon(m, err);

    return dev ? json_pack("{s:I}", "actual", (json_int_t)virtio_balloon_actual(dev)) : NULL;
}

QMP_HANDLER(balloon)
{
    json_int_t value = json_integer_value(json_object_get(arguments, "value"));
    struct virtio_device *dev = find_balloon(m, err);

    if (!dev)
        return NULL;
    if (value <= 0) {
        error_set(err, "Parameter 'value' expects a size above 0");
        return NULL;
    }
    virtio_balloon_set_target(dev, (uint64_t)value);
    return json_object();
}

static const char *const stat_names[] = {
    [BALLOON_STAT_SWAP_IN] = "stat-swap-in",
    [BALLOON_STAT_SWAP_OUT] = "stat-swap-out",
    [BALLOON_STAT_MAJOR_FAULTS] = "stat-major-faults",
    [BALLOON_STAT_MINOR_FAULTS] = "stat-minor-faults",
    [BALLOON_STAT_FREE_MEMORY] = "stat-free-memory",
    [BALLOON_STAT_TOTAL_MEMORY] = "stat-total-memory",
    [BALLOON_STAT_AVAILABLE_MEMORY] = "stat-available-memory",
    [BALLOON_STAT_DISK_CACHES] = "stat-disk-caches",
    [BALLOON_STAT_HTLB_PGALLOC] = "stat-htlb-pgalloc",
    [BALLOON_STAT_HTLB_PGFAIL] = "stat-htlb-pgfail",
    [BALLOON_STAT_OOM_KILLS] = "stat-oom-kills",
    [BALLOON_STAT_ALLOC_STALLS] = "stat-alloc-stalls",
    [BALLOON_STAT_ASYNC_SCANS] = "stat-async-scans",
    [BALLOON_STAT_DIRECT_SCANS] = "stat-direct-scans",
    [BALLOON_STAT_ASYNC_RECLAIMS] = "stat-async-reclaims",
    [BALLOON_STAT_DIRECT_RECLAIMS] = "stat-direct-reclaims",
};
static_assert(ARRAY_SIZE(stat_names) == VIRTIO_BALLOON_STATS, "each statistic has QEMU's name");

static json_t *balloon_stats(struct virtio_device *dev)
{
    struct virtio_balloon_stats stats;
    json_t *values = json_object();

    virtio_balloon_stats(dev, &stats);
    /* What is not known is all ones, which JSON's integers have as -1. */
    for (size_t i = 0; i < ARRAY_SIZE(stat_names); i++)
        json_object_set_new(values, stat_names[i], json_integer((json_int_t)stats.values[i]));
    return json_pack("{s:o, s:I}", "stats", values, "last-update", (json_int_t)stats.updated);
}

#define BALLOON_PATH "/machine/peripheral/" CONFIG_BALLOON_ID
#define INTERVAL     "guest-stats-polling-interval"
#define INTERVAL_MAX 86400 /* seconds: a day */

/* The balloon, if it is what `path` names. */
static struct virtio_device *find_path(struct machine *m, const json_t *arguments,
                                       struct error *err)
{
    const char *path = json_string_value(json_object_get(arguments, "path"));

    if (strcmp(path, BALLOON_PATH) == 0)
        return find_balloon(m, err);
    error_set(err, "Device '%s' not found", path);
    return NULL;
}

static json_t *no_property(const char *property, struct error *err)
{
    error_set(err, "Property '" BALLOON_PATH ".%s' not found", property);
    return NULL;
}

QMP_HANDLER(qom_get)
{
    const char *property = json_string_value(json_object_get(arguments, "property"));
    struct virtio_device *dev = find_path(m, arguments, err);

    if (!dev)
        return NULL;
    if (strcmp(property, "guest-stats") == 0)
        return balloon_stats(dev);
    if (strcmp(property, INTERVAL) == 0)
        return json_integer(virtio_balloon_stats_interval(dev));
    return no_property(property, err);
}

QMP_HANDLER(qom_set)
{
    const char *property = json_string_value(json_object_get(arguments, "property"));
    json_int_t value = json_integer_value(json_object_get(arguments, "value"));
    struct virtio_device *dev = find_path(m, arguments, err);

    if (!dev)
        return NULL;
    if (strcmp(property, INTERVAL) != 0)
        return no_property(property, err);
    if (value < 0 || value > INTERVAL_MAX) {
        error_set(err, "Parameter 'value' is not within 0 and %d seconds", INTERVAL_MAX);
        return NULL;
    }
    virtio_balloon_set_stats_interval(dev, (unsigned)value);
    return json_object();
}
