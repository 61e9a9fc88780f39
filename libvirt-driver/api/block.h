/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What several families need to know of a domain's disks. */
#ifndef VOLE_API_BLOCK_H
#define VOLE_API_BLOCK_H

#include <glib.h>
#include <jansson.h>
#include <stdint.h>

#include "xml/domain.h"

struct block_stats {
    int64_t rd_req;
    int64_t rd_bytes;
    int64_t rd_times; /* nanoseconds */
    int64_t wr_req;
    int64_t wr_bytes;
    int64_t wr_times;
    int64_t flush_req;
    int64_t flush_times;
};

/* Those of the disk with this alias in the reply to query-blockstats; false when it is not there.
 * They are added to what `*stats` holds. */
bool block_stats_read(const json_t *reply, const char *alias, struct block_stats *stats);

struct block_size {
    uint64_t capacity;
    uint64_t allocation;
    uint64_t physical;
};

/* By looking at the file or block device, in bytes. False with `error` set. */
bool block_size_read(const struct domain_disk *disk, struct block_size *size, GError **error);

#endif
