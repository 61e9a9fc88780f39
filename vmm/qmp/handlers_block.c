/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands about disks. */
#include <stdio.h>

#include "vmm/backend/disk.h"
#include "vmm/qmp/handlers.h"
#include "vmm/throttle.h"

/* A bucket's parts are named "iops_rd", "iops_rd_max" and "iops_rd_max_length". */
static void part_name(char *out, size_t size, enum throttle_bucket bucket, const char *part)
{
    snprintf(out, size, "%s%s", throttle_bucket_name(bucket), part);
}

/* ---- questions ---- */

static void add_limits(json_t *object, const struct throttle_limits *limits)
{
    char name[32];

    for (unsigned i = 0; i < THROTTLE_BUCKETS; i++) {
        const struct throttle_limit *limit = &limits->bucket[i];

        part_name(name, sizeof(name), i, "");
        json_object_set_new(object, name, json_integer((json_int_t)limit->avg));
        if (!limit->max)
            continue;
        part_name(name, sizeof(name), i, "_max");
        json_object_set_new(object, name, json_integer((json_int_t)limit->max));
        part_name(name, sizeof(name), i, "_max_length");
        json_object_set_new(object, name, json_integer((json_int_t)MAX(limit->max_length, 1u)));
    }
    if (limits->iops_size)
        json_object_set_new(object, "iops_size", json_integer((json_int_t)limits->iops_size));
}

/* BlockDeviceInfo; what vole has no notion of is as QEMU has it by default. */
static json_t *block_inserted(const struct config_disk *disk, uint64_t size)
{
    json_t *inserted =
        json_pack("{s:s, s:s, s:b, s:s, s:i, s:b, s:s, s:i}", "file", disk->source, "node-name",
                  disk->id, "ro", disk->readonly, "drv", "raw", "backing_file_depth", 0,
                  "encrypted", 0, "detect_zeroes", "off", "write_threshold", 0);

    add_limits(inserted, &disk->limits);
    json_object_set_new(
        inserted, "cache",
        json_pack("{s:b, s:b, s:b}", "writeback", 1, "direct", disk->direct, "no-flush", 0));
    json_object_set_new(inserted, "image",
                        json_pack("{s:s, s:s, s:I, s:b}", "filename", disk->source, "format", "raw",
                                  "virtual-size", (json_int_t)size, "dirty-flag", 0));
    return inserted;
}

QMP_HANDLER(query_block)
{
    const struct config *config = machine_config(m);
    json_t *blocks = json_array();

    for (unsigned i = 0; i < config->disk_count; i++) {
        const struct config_disk *disk = &config->disks[i];

        json_array_append_new(blocks,
                              json_pack("{s:s, s:s, s:b, s:b, s:o}", "device", disk->id, "type",
                                        "unknown", "locked", 0, "removable", 0, "inserted",
                                        block_inserted(disk, disk_size(machine_disk(m, i)))));
    }
    return blocks;
}

/* BlockDeviceStats. */
static json_t *block_stats(struct disk *disk)
{
    static const struct {
        const char *prefix;
        const char *failed;
        enum disk_op op;
    } ops[] = {
        {"rd", "failed_rd_operations", DISK_READ},
        {"wr", "failed_wr_operations", DISK_WRITE},
        {"flush", "failed_flush_operations", DISK_FLUSH},
        {"unmap", "failed_unmap_operations", DISK_DISCARD},
        {"write_zeroes", "failed_write_zeroes_operations", DISK_WRITE_ZEROES},
    };
    struct disk_stats stats;
    json_t *object = json_object();
    char name[40];

    disk_get_stats(disk, &stats);
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        const struct disk_op_stats *op = &stats.op[ops[i].op];
        const char *prefix = ops[i].prefix;

        snprintf(name, sizeof(name), "%s_operations", prefix);
        json_object_set_new(object, name, json_integer((json_int_t)op->operations));
        snprintf(name, sizeof(name), "%s_total_time_ns", prefix);
        json_object_set_new(object, name, json_integer((json_int_t)op->total_time_ns));
        json_object_set_new(object, ops[i].failed, json_integer((json_int_t)op->failed));
        if (ops[i].op == DISK_FLUSH)
            continue;
        snprintf(name, sizeof(name), "%s_bytes", prefix);
        json_object_set_new(object, name, json_integer((json_int_t)op->bytes));
    }
    json_object_set_new(object, "wr_highest_offset",
                        json_integer((json_int_t)stats.write_highest_offset));
    return object;
}

QMP_HANDLER(query_blockstats)
{
    const struct config *config = machine_config(m);
    json_t *list = json_array();

    for (unsigned i = 0; i < config->disk_count; i++) {
        const char *id = config->disks[i].id;

        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:o}", "device", id, "node-name", id,
                                        "qdev", id, "stats", block_stats(machine_disk(m, i))));
    }
    return list;
}

/* ---- changes ---- */

/* The disk that one of the arguments (NULL ends the list) names: its index, or -1 with `err`. */
static int find_disk(struct machine *m, const json_t *arguments, const char *const *keys,
                     struct error *err)
{
    const struct config *config = machine_config(m);
    const char *name = NULL;

    for (; *keys && !name; keys++)
        name = json_string_value(json_object_get(arguments, *keys));
    if (!name)
        return error_set(err, "Parameter 'device' is missing");
    for (unsigned i = 0; i < config->disk_count; i++) {
        if (strcmp(config->disks[i].id, name) == 0)
            return (int)i;
    }
    return error_set(err, "Device '%s' not found", name);
}

QMP_HANDLER(block_resize)
{
    static const char *const keys[] = {"device", "node-name", NULL};
    json_int_t size = json_integer_value(json_object_get(arguments, "size"));
    int index = find_disk(m, arguments, keys, err);

    if (index < 0)
        return NULL;
    if (size <= 0) {
        error_set(err, "Parameter 'size' expects a size above 0");
        return NULL;
    }
    return qmp_done(machine_resize_disk(m, (unsigned)index, (uint64_t)size, err));
}

static int read_part(const json_t *arguments, const char *name, const char *part, uint64_t *out,
                     struct error *err)
{
    char key[40];
    json_int_t value;

    snprintf(key, sizeof(key), "%s%s", name, part);
    value = json_integer_value(json_object_get(arguments, key));
    if (value < 0)
        return error_set(err, "Parameter '%s' is below 0", key);
    *out = (uint64_t)value;
    return 0;
}

int qmp_read_limit(const json_t *arguments, const char *name, struct throttle_limit *limit,
                   struct error *err)
{
    if (read_part(arguments, name, "", &limit->avg, err) < 0 ||
        read_part(arguments, name, "_max", &limit->max, err) < 0 ||
        read_part(arguments, name, "_max_length", &limit->max_length, err) < 0)
        return -1;
    return 0;
}

static int parse_limits(const json_t *arguments, struct throttle_limits *limits, struct error *err)
{
    json_int_t iops_size = json_integer_value(json_object_get(arguments, "iops_size"));
    const char *wrong;

    *limits = (struct throttle_limits){.iops_size = (uint64_t)MAX(iops_size, 0)};
    for (unsigned i = 0; i < THROTTLE_BUCKETS; i++) {
        if (qmp_read_limit(arguments, throttle_bucket_name(i), &limits->bucket[i], err) < 0)
            return -1;
    }
    wrong = throttle_check(limits);
    return wrong ? error_set(err, "%s", wrong) : 0;
}

QMP_HANDLER(block_set_io_throttle)
{
    static const char *const keys[] = {"id", "device", NULL};
    int index = find_disk(m, arguments, keys, err);
    struct throttle_limits limits;

    if (index < 0 || parse_limits(arguments, &limits, err) < 0)
        return NULL;
    machine_set_disk_limits(m, (unsigned)index, &limits);
    return json_object();
}
