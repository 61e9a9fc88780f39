/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands about disks. */
#include "vmm/backend/disk.h"
#include "vmm/qmp/handlers.h"

/* BlockDeviceInfo; what vole has no notion of yet is as QEMU has it by default. */
static json_t *block_inserted(const struct config_disk *disk, uint64_t size)
{
    json_t *inserted =
        json_pack("{s:s, s:s, s:b, s:s, s:i, s:b, s:s, s:i}", "file", disk->source, "node-name",
                  disk->id, "ro", disk->readonly, "drv", "raw", "backing_file_depth", 0,
                  "encrypted", 0, "detect_zeroes", "off", "write_threshold", 0);
    static const char *const limits[] = {"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"};

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        json_object_set_new(inserted, limits[i], json_integer(0));
    json_object_set_new(inserted, "cache",
                        json_pack("{s:b, s:b, s:b}", "writeback", 1, "direct", 0, "no-flush", 0));
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
