/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rate limits, as token buckets in the manner of QEMU's block_set_io_throttle. A bucket has an
 * average rate; where a maximum is given, a burst may run at that rate for `max_length` seconds
 * after a time of quiet. An operation is let through while no bucket that it falls into is over
 * full, and is then poured into all of them: what is larger than a bucket passes too, and is paid
 * for by those that come after it.
 *
 * Pure arithmetic on the caller's clock; it belongs to one thread.
 */
#ifndef VOLE_THROTTLE_H
#define VOLE_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

enum throttle_bucket {
    THROTTLE_BPS_TOTAL, /* bytes a second */
    THROTTLE_BPS_READ,
    THROTTLE_BPS_WRITE,
    THROTTLE_OPS_TOTAL, /* operations (or packets) a second */
    THROTTLE_OPS_READ,
    THROTTLE_OPS_WRITE,
    THROTTLE_BUCKETS,
};

struct throttle_limit {
    uint64_t avg;        /* a second; 0: no limit */
    uint64_t max;        /* a second, in a burst; 0: none beyond a tenth of a second's average */
    uint64_t max_length; /* seconds that a burst may last; 0 means 1 */
};

struct throttle_limits {
    struct throttle_limit bucket[THROTTLE_BUCKETS];
    uint64_t iops_size; /* bytes that count as one operation; 0: each counts as one */
};

struct throttle {
    struct throttle_limits limits;
    bool active; /* there is a limit at all */
    uint64_t last_ns;
    double level[THROTTLE_BUCKETS];
    double burst_level[THROTTLE_BUCKETS];
};

/* "bps_total", "iops_rd_max": the names of QEMU's arguments, for configuration and QMP, are made of
 * these: "bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr". */
const char *throttle_bucket_name(enum throttle_bucket bucket);

/* Begins with empty buckets. `now_ns` is any monotonic clock, the same in all calls. */
void throttle_init(struct throttle *t, const struct throttle_limits *limits, uint64_t now_ns);
/* Whether limits make sense; if not, why not (a constant text). */
const char *throttle_check(const struct throttle_limits *limits);

/* Nanoseconds to wait before an operation of that kind may begin; 0: now. */
uint64_t throttle_wait(struct throttle *t, bool is_write, uint64_t now_ns);
/* Accounts for an operation that begins now. */
void throttle_account(struct throttle *t, bool is_write, uint64_t bytes, uint64_t now_ns);

#endif
