/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rate limits, by a clock that the tests move. */
#include "tests/unit/tap.h"
#include "vmm/throttle.h"
#include "vmm/util.h"

#define SECOND UINT64_C(1000000000)

/*
 * Somebody who always has more to do: operations of `bytes` until the clock has gone `ns` on.
 * Returns how many began.
 */
static uint64_t run_for(struct throttle *t, bool is_write, uint64_t bytes, uint64_t *clock,
                        uint64_t ns)
{
    uint64_t end = *clock + ns;
    uint64_t begun = 0;

    while (begun < 100000000) {
        uint64_t wait = throttle_wait(t, is_write, *clock);

        if (wait >= end - *clock)
            break;
        *clock += wait;
        check_int(throttle_wait(t, is_write, *clock), 0);
        throttle_account(t, is_write, bytes, *clock);
        begun++;
    }
    *clock = end;
    return begun;
}

static struct throttle make(enum throttle_bucket bucket, uint64_t avg, uint64_t max,
                            uint64_t max_length, uint64_t now)
{
    struct throttle_limits limits = {0};
    struct throttle t;

    limits.bucket[bucket] = (struct throttle_limit){avg, max, max_length};
    check_str(throttle_check(&limits), NULL);
    throttle_init(&t, &limits, now);
    return t;
}

static bool about(uint64_t got, uint64_t want, uint64_t slack)
{
    bool ok = got + slack >= want && got <= want + slack;

    if (!ok)
        printf("# got %llu, not about %llu\n", (unsigned long long)got, (unsigned long long)want);
    return ok;
}

static void test_no_limit(void)
{
    struct throttle_limits none = {0};
    struct throttle t;

    check_str(throttle_check(&none), NULL);
    throttle_init(&t, &none, 5 * SECOND);
    check(!t.active);
    throttle_account(&t, true, UINT64_MAX, 6 * SECOND);
    check_int(throttle_wait(&t, true, 6 * SECOND), 0);
    check_int(throttle_wait(&t, false, 0), 0);
}

static void test_steady_bytes(void)
{
    uint64_t clock = 77 * SECOND;
    struct throttle t = make(THROTTLE_BPS_TOTAL, MiB, 0, 0, clock);

    /* 4 KiB at a time: 256 a second, and a tenth of a second more at the beginning */
    check(about(run_for(&t, false, 4096, &clock, SECOND), 256 + 26, 2));
    check(about(run_for(&t, true, 4096, &clock, 100 * SECOND), 25600, 2));
    /* A long quiet time earns a tenth of a second, no more. */
    clock += 1000 * SECOND;
    check(about(run_for(&t, false, 4096, &clock, SECOND), 256 + 26, 2));
}

static void test_one_operation_a_second(void)
{
    uint64_t clock = 0;
    struct throttle t = make(THROTTLE_OPS_TOTAL, 1, 0, 0, clock);

    check_int(throttle_wait(&t, false, clock), 0);
    throttle_account(&t, false, 512, clock);
    check(about(throttle_wait(&t, false, clock), SECOND * 9 / 10, 10));
    check(about(run_for(&t, false, 512, &clock, 100 * SECOND), 100, 1));
}

static void test_directions(void)
{
    uint64_t clock = SECOND;
    struct throttle t = make(THROTTLE_OPS_WRITE, 10, 0, 0, clock);

    for (unsigned i = 0; i < 1000; i++)
        throttle_account(&t, false, 512, clock);
    check_int(throttle_wait(&t, false, clock), 0);
    check_int(throttle_wait(&t, true, clock), 0);
    throttle_account(&t, true, 512, clock);
    throttle_account(&t, true, 512, clock);
    check(about(throttle_wait(&t, true, clock), SECOND / 10, 10));
    check_int(throttle_wait(&t, false, clock), 0);
}

/* A burst of one second at the maximum is let through at once, and then the average holds. */
static void test_burst(void)
{
    uint64_t clock = SECOND;
    struct throttle t = make(THROTTLE_OPS_TOTAL, 100, 1000, 1, clock);
    unsigned begun = 0;

    while (throttle_wait(&t, false, clock) == 0 && begun < 5000) {
        throttle_account(&t, false, 0, clock);
        begun++;
    }
    check_int(begun, 1001);
    check(about(run_for(&t, false, 0, &clock, 10 * SECOND), 1000, 1));
}

/* A long burst runs at the maximum, not faster, until its length is used up. */
static void test_long_burst(void)
{
    uint64_t clock = SECOND;
    struct throttle t = make(THROTTLE_OPS_TOTAL, 100, 1000, 10, clock);

    check(about(run_for(&t, false, 0, &clock, SECOND), 1000 + 100, 2));
    check(about(run_for(&t, false, 0, &clock, SECOND), 1000, 2));
    /* The bucket of 10000 fills at 900 a second: it is full after 11 seconds. */
    check(about(run_for(&t, false, 0, &clock, 9 * SECOND), 9000, 100));
    check(about(run_for(&t, false, 0, &clock, 10 * SECOND), 1000, 150));
    check(about(run_for(&t, false, 0, &clock, 10 * SECOND), 1000, 2));
}

static void test_larger_than_the_bucket(void)
{
    uint64_t clock = 0;
    struct throttle t = make(THROTTLE_BPS_READ, 1000, 0, 0, clock);

    check_int(throttle_wait(&t, false, clock), 0);
    throttle_account(&t, false, 100000, clock);
    check(about(throttle_wait(&t, false, clock), 100 * SECOND - SECOND / 10, 10));
    check(about(throttle_wait(&t, false, 99 * SECOND), SECOND * 9 / 10, 10));
    check_int(throttle_wait(&t, false, 100 * SECOND), 0);
}

static void test_size_of_an_operation(void)
{
    struct throttle_limits limits = {.bucket[THROTTLE_OPS_TOTAL] = {.avg = 100}, .iops_size = 4096};
    uint64_t clock = 0;
    struct throttle t;

    check_str(throttle_check(&limits), NULL);
    throttle_init(&t, &limits, clock);
    run_for(&t, false, 512, &clock, SECOND);
    check(about(run_for(&t, false, 512, &clock, 10 * SECOND), 1000, 1));
    check(about(run_for(&t, false, 4096, &clock, 10 * SECOND), 1000, 1));
    check(about(run_for(&t, false, 40960, &clock, 10 * SECOND), 100, 1));
}

static void test_clock_stands_still_or_goes_back(void)
{
    struct throttle t = make(THROTTLE_OPS_TOTAL, 10, 0, 0, 100 * SECOND);

    throttle_account(&t, false, 0, 100 * SECOND);
    throttle_account(&t, false, 0, 100 * SECOND);
    for (unsigned i = 0; i < 1000; i++)
        check(about(throttle_wait(&t, false, 100 * SECOND), SECOND / 10, 10));
    check(about(throttle_wait(&t, false, 0), SECOND / 10, 10));
    throttle_account(&t, false, 0, 50 * SECOND); /* must not earn anything later */
    check(about(throttle_wait(&t, false, 100 * SECOND), SECOND / 5, 10));
}

/* Looking every nanosecond does not stop the leak. */
static void test_looking_often(void)
{
    uint64_t clock = SECOND;
    struct throttle t = make(THROTTLE_BPS_TOTAL, 1, 0, 0, clock);

    throttle_account(&t, false, 1000000000000000, clock);
    for (unsigned i = 0; i < 1000; i++)
        (void)throttle_wait(&t, false, ++clock);
    /* 10^15 seconds are more than the clock has: the wait is long, and defined. */
    check(throttle_wait(&t, false, clock) >= UINT64_C(1) << 61);

    t = make(THROTTLE_BPS_TOTAL, 1000, 0, 0, clock);
    throttle_account(&t, false, 1000, clock);
    for (unsigned i = 0; i < 100000; i++)
        (void)throttle_wait(&t, false, clock + i * (SECOND / 100000));
    check_int(throttle_wait(&t, false, clock + SECOND), 0);
}

static void test_huge_values(void)
{
    struct throttle t = make(THROTTLE_BPS_TOTAL, 1000000000000000, 1000000000000000, 1, 0);

    for (unsigned i = 0; i < 100; i++)
        throttle_account(&t, true, UINT64_MAX, 0);
    check(throttle_wait(&t, true, 0) > 0);
    check_int(throttle_wait(&t, true, UINT64_MAX), 0);
    throttle_account(&t, true, 1, UINT64_MAX);
    check_int(throttle_wait(&t, true, UINT64_MAX), 0);
}

static void test_refused(void)
{
    static const struct {
        struct throttle_limits limits;
        const char *why; /* part of the message */
    } cases[] = {
        {{.bucket[THROTTLE_BPS_READ] = {.max = 5}}, "needs an average"},
        {{.bucket[THROTTLE_BPS_READ] = {.avg = 6, .max = 5}}, "lower than the average"},
        {{.bucket[THROTTLE_BPS_READ] = {.avg = 6, .max_length = 2}}, "needs a burst rate"},
        {{.bucket[THROTTLE_BPS_READ] = {.avg = 1000000000000001}}, "too high"},
        {{.bucket[THROTTLE_BPS_READ] = {.avg = 1, .max = UINT64_MAX}}, "too high"},
        {{.bucket[THROTTLE_OPS_READ] = {.avg = 1, .max = 10, .max_length = UINT64_MAX}},
         "too long"},
        {{.bucket[THROTTLE_BPS_TOTAL] = {.avg = 1}, .bucket[THROTTLE_BPS_WRITE] = {.avg = 1}},
         "both directions"},
        {{.bucket[THROTTLE_OPS_TOTAL] = {.avg = 1}, .bucket[THROTTLE_OPS_READ] = {.avg = 1}},
         "both directions"},
        {{.iops_size = 4096}, "needs a limit of operations"},
        {{.bucket[THROTTLE_OPS_READ] = {.avg = 1}, .iops_size = UINT64_MAX}, "too large"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *why = throttle_check(&cases[i].limits);

        if (!check(why && strstr(why, cases[i].why)))
            printf("# case %zu: %s\n", i, why ? why : "(null)");
    }
}

static void test_names(void)
{
    check_str(throttle_bucket_name(THROTTLE_BPS_TOTAL), "bps");
    check_str(throttle_bucket_name(THROTTLE_BPS_WRITE), "bps_wr");
    check_str(throttle_bucket_name(THROTTLE_OPS_READ), "iops_rd");
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_no_limit),
        TAP(test_steady_bytes),
        TAP(test_one_operation_a_second),
        TAP(test_directions),
        TAP(test_burst),
        TAP(test_long_burst),
        TAP(test_larger_than_the_bucket),
        TAP(test_size_of_an_operation),
        TAP(test_clock_stands_still_or_goes_back),
        TAP(test_looking_often),
        TAP(test_huge_values),
        TAP(test_refused),
        TAP(test_names),
        {0},
    });
}
