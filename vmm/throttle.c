/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bucket's level is what was let through and has not leaked out yet; it leaks at the average
 * rate. A bucket with a maximum has a second level that leaks at the maximum, so that a long burst
 * (max_length above one second) is held to that rate and does not go through all at once.
 *
 * Levels are brought up to date only when something is poured in. A look at the clock changes
 * nothing, so that looking often does not round the leak away.
 */
#include "vmm/throttle.h"

#include "vmm/util.h"

#define NS_PER_SECOND 1e9
/* A bucket holds a tenth of a second's worth where nobody asked for more: enough for the wakeups
 * of a timer, too little to be called a burst. */
#define SLACK_SECONDS 0.1
/* Rates beyond this are a mistake, and up to it a double counts every byte. */
#define MAX_VALUE 1000000000000000

static const char *const bucket_names[] = {
    [THROTTLE_BPS_TOTAL] = "bps",    [THROTTLE_BPS_READ] = "bps_rd",
    [THROTTLE_BPS_WRITE] = "bps_wr", [THROTTLE_OPS_TOTAL] = "iops",
    [THROTTLE_OPS_READ] = "iops_rd", [THROTTLE_OPS_WRITE] = "iops_wr",
};
_Static_assert(ARRAY_SIZE(bucket_names) == THROTTLE_BUCKETS, "each bucket has a name");

#define BUCKETS_OF_ONE 4

/* The buckets that a read, or a write, falls into. */
static const enum throttle_bucket buckets_of[2][BUCKETS_OF_ONE] = {
    {THROTTLE_BPS_TOTAL, THROTTLE_OPS_TOTAL, THROTTLE_BPS_READ, THROTTLE_OPS_READ},
    {THROTTLE_BPS_TOTAL, THROTTLE_OPS_TOTAL, THROTTLE_BPS_WRITE, THROTTLE_OPS_WRITE},
};

const char *throttle_bucket_name(enum throttle_bucket bucket)
{
    return bucket_names[bucket];
}

/* ---- whether limits make sense ---- */

static const char *check_limit(const struct throttle_limit *limit)
{
    if (limit->avg > MAX_VALUE || limit->max > MAX_VALUE)
        return "a rate is too high (the most is 1000000000000000 a second)";
    if (limit->max && !limit->avg)
        return "a burst rate needs an average rate";
    if (limit->max && limit->max < limit->avg)
        return "a burst rate is lower than the average rate";
    if (limit->max_length > 1 && !limit->max)
        return "the length of a burst needs a burst rate";
    if (limit->max && limit->max_length > MAX_VALUE / limit->max)
        return "a burst is too long for its rate";
    return NULL;
}

const char *throttle_check(const struct throttle_limits *limits)
{
    const struct throttle_limit *b = limits->bucket;

    for (unsigned i = 0; i < THROTTLE_BUCKETS; i++) {
        const char *why = check_limit(&b[i]);

        if (why)
            return why;
    }
    if ((b[THROTTLE_BPS_TOTAL].avg && (b[THROTTLE_BPS_READ].avg || b[THROTTLE_BPS_WRITE].avg)) ||
        (b[THROTTLE_OPS_TOTAL].avg && (b[THROTTLE_OPS_READ].avg || b[THROTTLE_OPS_WRITE].avg)))
        return "a limit for both directions together goes not with one for reads or writes";
    if (limits->iops_size > MAX_VALUE)
        return "the size of an operation is too large";
    if (limits->iops_size && !b[THROTTLE_OPS_TOTAL].avg && !b[THROTTLE_OPS_READ].avg &&
        !b[THROTTLE_OPS_WRITE].avg)
        return "the size of an operation needs a limit of operations a second";
    return NULL;
}

/* ---- the buckets ---- */

void throttle_init(struct throttle *t, const struct throttle_limits *limits, uint64_t now_ns)
{
    *t = (struct throttle){.limits = *limits, .last_ns = now_ns};
    for (unsigned i = 0; i < THROTTLE_BUCKETS; i++)
        t->active |= limits->bucket[i].avg > 0;
}

/* Seconds since the levels were last right; a clock that goes back stands still. */
static double seconds_since(const struct throttle *t, uint64_t now_ns)
{
    return now_ns > t->last_ns ? (double)(now_ns - t->last_ns) / NS_PER_SECOND : 0;
}

static double leaked(double level, uint64_t rate, double seconds)
{
    double left = level - (double)rate * seconds;

    return left > 0 ? left : 0;
}

static double bucket_size(const struct throttle_limit *limit)
{
    if (!limit->max)
        return (double)limit->avg * SLACK_SECONDS;
    return (double)limit->max * (double)MAX(limit->max_length, UINT64_C(1));
}

/* Until `excess` has leaked: rounded up, so that who waits for it does not wait twice. */
static uint64_t time_to_leak(double excess, uint64_t rate)
{
    double ns = excess / (double)rate * NS_PER_SECOND;

    if (excess <= 0)
        return 0;
    return ns < (double)(INT64_MAX / 2) ? (uint64_t)ns + 1 : INT64_MAX / 2;
}

static uint64_t bucket_wait(const struct throttle *t, enum throttle_bucket i, double seconds)
{
    const struct throttle_limit *limit = &t->limits.bucket[i];
    uint64_t wait;
    uint64_t burst_wait;

    if (!limit->avg)
        return 0;
    wait = time_to_leak(leaked(t->level[i], limit->avg, seconds) - bucket_size(limit), limit->avg);
    if (limit->max_length <= 1)
        return wait;
    burst_wait = time_to_leak(leaked(t->burst_level[i], limit->max, seconds) -
                                  (double)limit->max * SLACK_SECONDS,
                              limit->max);
    return MAX(wait, burst_wait);
}

uint64_t throttle_wait(struct throttle *t, bool is_write, uint64_t now_ns)
{
    double seconds = seconds_since(t, now_ns);
    uint64_t longest = 0;

    if (!t->active)
        return 0;
    for (unsigned k = 0; k < BUCKETS_OF_ONE; k++) {
        uint64_t wait = bucket_wait(t, buckets_of[is_write][k], seconds);

        longest = MAX(longest, wait);
    }
    return longest;
}

static double operations(const struct throttle *t, uint64_t bytes)
{
    uint64_t size = t->limits.iops_size;

    return size && bytes > size ? (double)bytes / (double)size : 1;
}

void throttle_account(struct throttle *t, bool is_write, uint64_t bytes, uint64_t now_ns)
{
    double seconds = seconds_since(t, now_ns);

    if (!t->active)
        return;
    t->last_ns = MAX(t->last_ns, now_ns);
    for (unsigned i = 0; i < THROTTLE_BUCKETS; i++) {
        t->level[i] = leaked(t->level[i], t->limits.bucket[i].avg, seconds);
        t->burst_level[i] = leaked(t->burst_level[i], t->limits.bucket[i].max, seconds);
    }
    for (unsigned k = 0; k < BUCKETS_OF_ONE; k++) {
        enum throttle_bucket i = buckets_of[is_write][k];
        double units = i <= THROTTLE_BPS_WRITE ? (double)bytes : operations(t, bytes);

        if (!t->limits.bucket[i].avg)
            continue;
        t->level[i] += units;
        t->burst_level[i] += units;
    }
}
