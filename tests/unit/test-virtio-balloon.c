/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The balloon with a driver that is honest, one that is greedy, and one that lies. */
#include "tests/unit/tap.h"
#include "tests/unit/virtio-loop-driver.h"
#include "vmm/virtio/devices.h"

#include <linux/virtio_balloon.h>

#define INFLATE  0
#define DEFLATE  1
#define PAGE     UINT64_C(4096)
#define F_STATS  VIRTIO_FEATURE(VIRTIO_BALLOON_F_STATS_VQ)
#define F_REPORT VIRTIO_FEATURE(VIRTIO_BALLOON_F_REPORTING)
#define F_POISON VIRTIO_FEATURE(VIRTIO_BALLOON_F_PAGE_POISON)
#define F_EVENT  VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)

/* Lists of pages lie here; the pages that are given up lie above. */
#define LIST  DRIVER_DATA
#define PAGES UINT64_C(0x180000)

static void set_up(struct driver *d)
{
    struct error err;

    driver_open(d);
    driver_bind(d, virtio_balloon_new("balloon0", &d->mem, d->round.loop, true, true, &err));
}

static void give_list(struct driver *d, unsigned queue, const uint32_t *pfns, unsigned count)
{
    memcpy(d->ram + LIST, pfns, count * sizeof(*pfns));
    driver_give(d, queue, LIST, (uint32_t)(count * sizeof(*pfns)), false);
    driver_kick(d, queue);
    driver_run(d);
}

static bool took(struct driver *d, unsigned queue)
{
    uint32_t head;
    uint32_t len;

    return driver_take(d, queue, &head, &len);
}

static bool is_zero(const struct driver *d, uint64_t gpa)
{
    for (unsigned i = 0; i < PAGE; i++) {
        if (d->ram[gpa + i] != 0)
            return false;
    }
    return true;
}

static void write_config(struct driver *d, size_t offset, uint32_t value)
{
    virtio_device_write_config(d->dev, offset, value, sizeof(value));
}

static void set_actual(struct driver *d, uint32_t pages)
{
    write_config(d, offsetof(struct virtio_balloon_config, actual), pages);
}

static void test_inflated_pages_go_back(void)
{
    struct driver d;
    uint32_t first = PAGES / PAGE;
    const uint32_t pfns[] = {first + 5, first + 1, first + 2, first + 1, first + 7, first + 3};

    set_up(&d);
    driver_start(&d, F_EVENT);
    memset(d.ram + PAGES, 0xaa, 10 * PAGE);
    give_list(&d, INFLATE, pfns, ARRAY_SIZE(pfns));
    check(took(&d, INFLATE));
    for (unsigned i = 0; i < 10; i++)
        check(is_zero(&d, PAGES + i * PAGE) == ((i >= 1 && i <= 3) || i == 5 || i == 7));
    /* Again, what is in the balloon already; and out of it. */
    give_list(&d, INFLATE, pfns, ARRAY_SIZE(pfns));
    check(took(&d, INFLATE));
    give_list(&d, DEFLATE, pfns, ARRAY_SIZE(pfns));
    check(took(&d, DEFLATE));
    d.ram[PAGES + PAGE] = 1;
    check_int(d.ram[PAGES + PAGE], 1);
    check(!driver_failed(&d));
    driver_close(&d);
}

static void test_pages_that_are_none(void)
{
    static const uint32_t bad[] = {DRIVER_RAM / PAGE, 0x100000, UINT32_MAX};
    struct driver d;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        const uint32_t pfns[] = {PAGES / PAGE, bad[i]};

        set_up(&d);
        driver_start(&d, 0);
        give_list(&d, INFLATE, pfns, 2);
        check(driver_failed(&d));
        check(!took(&d, INFLATE));
        check_int(virtio_device_take_notices(d.dev), VIRTIO_NOTICE_FAILED);
        driver_close(&d);
    }
}

/* More than one round's budget, with a pause in between; every page is met. */
static void test_a_long_list(void)
{
    enum { ENTRIES = 64 * 1024 };
    struct driver d;
    uint32_t *list;

    set_up(&d);
    driver_start(&d, F_EVENT);
    list = (uint32_t *)(void *)(d.ram + LIST);
    /* Every second page, so that no two go together. */
    for (unsigned i = 0; i < ENTRIES; i++)
        list[i] = (uint32_t)(PAGES / PAGE) + 2 * (i % 60);
    list[ENTRIES - 1] = (uint32_t)PAGES / PAGE + 125;
    memset(d.ram + PAGES, 0xaa, 128 * PAGE);
    driver_give(&d, INFLATE, LIST, ENTRIES * sizeof(*list), false);
    driver_kick(&d, INFLATE);
    driver_round(&d);
    check(!took(&d, INFLATE));
    virtio_device_pause(d.dev);
    driver_run(&d);
    check(!is_zero(&d, PAGES + 125 * PAGE));
    virtio_device_resume(d.dev);
    driver_run(&d);
    check(took(&d, INFLATE));
    check(is_zero(&d, PAGES + 118 * PAGE));
    check(is_zero(&d, PAGES + 125 * PAGE));
    check(!is_zero(&d, PAGES + 119 * PAGE));
    driver_close(&d);
}

static void test_target_and_actual(void)
{
    struct driver d;

    set_up(&d);
    check_int(virtio_balloon_actual(d.dev), DRIVER_RAM);
    virtio_balloon_set_target(d.dev, DRIVER_RAM - 3 * PAGE);
    check_int(virtio_device_read_config(d.dev, 0, 4), 3);
    check_int(d.config_interrupts, 0);
    driver_start(&d, 0);
    virtio_balloon_set_target(d.dev, DRIVER_RAM - 5 * PAGE);
    check_int(d.config_interrupts, 1);
    check_int(virtio_device_read_config(d.dev, 0, 4), 5);

    set_actual(&d, 5);
    check_int(virtio_balloon_actual(d.dev), DRIVER_RAM - 5 * PAGE);
    check_int(d.notices, 1);
    set_actual(&d, 4);
    check_int(d.notices, 1); /* nobody has heard the first yet */
    check_int(virtio_device_take_notices(d.dev), VIRTIO_NOTICE_BALLOON);
    set_actual(&d, 4);
    check_int(virtio_device_take_notices(d.dev), 0);
    /* A lie. */
    set_actual(&d, UINT32_MAX);
    check_int(virtio_balloon_actual(d.dev), 0);
    /* Nor can the driver say what is wanted of it, or write by halves. */
    write_config(&d, 0, 77);
    virtio_device_write_config(d.dev, 5, 1, 2);
    check_int(virtio_device_read_config(d.dev, 0, 8), (long long)(UINT64_C(0xffffffff00000005)));

    virtio_balloon_set_target(d.dev, UINT64_MAX);
    check_int(virtio_device_read_config(d.dev, 0, 4), 0);
    virtio_balloon_set_target(d.dev, 0);
    check_int(virtio_device_read_config(d.dev, 0, 4), DRIVER_RAM / PAGE);

    virtio_device_take_notices(d.dev);
    virtio_device_set_status(d.dev, 0);
    check_int(virtio_balloon_actual(d.dev), DRIVER_RAM);
    check_int(virtio_device_take_notices(d.dev), VIRTIO_NOTICE_BALLOON);
    check_int(virtio_device_read_config(d.dev, 0, 4), DRIVER_RAM / PAGE); /* as wanted before */
    driver_close(&d);
}

/* ---- free page reporting ---- */

static void report(struct driver *d, unsigned queue)
{
    const struct driver_buffer parts[] = {
        {PAGES, 4 * PAGE, true},
        {PAGES + 6 * PAGE, PAGE, true},
        {PAGES + 9 * PAGE - 10, PAGE, true}, /* no whole page */
    };

    memset(d->ram + PAGES, 0xaa, 11 * PAGE);
    driver_give_chain(d, queue, parts, ARRAY_SIZE(parts));
    driver_kick(d, queue);
    driver_run(d);
    check(took(d, queue));
}

static void test_free_pages(void)
{
    struct driver d;

    set_up(&d);
    driver_start(&d, F_STATS | F_REPORT | F_EVENT);
    report(&d, 3);
    for (unsigned i = 0; i < 11; i++)
        check(is_zero(&d, PAGES + i * PAGE) == (i < 4 || i == 6));
    /* Without the statistics before it, the queue moves up. */
    driver_start(&d, F_REPORT);
    report(&d, 2);
    check(is_zero(&d, PAGES));
    driver_close(&d);
}

static void test_free_pages_with_a_pattern(void)
{
    struct driver d;
    size_t offset = offsetof(struct virtio_balloon_config, poison_val);

    set_up(&d);
    driver_start(&d, F_REPORT | F_POISON);
    write_config(&d, offset, 0xaaaaaaaa);
    report(&d, 2);
    check(!is_zero(&d, PAGES));
    write_config(&d, offset, 0);
    report(&d, 2);
    check(is_zero(&d, PAGES));
    /* Without the feature the field means nothing; and a reset forgets it. */
    write_config(&d, offset, 0xaaaaaaaa);
    driver_start(&d, F_REPORT);
    write_config(&d, offset, 0xaaaaaaaa);
    report(&d, 2);
    check(is_zero(&d, PAGES));
    virtio_device_set_status(d.dev, 0);
    check_int(virtio_device_read_config(d.dev, offset, 4), 0);
    driver_close(&d);
}

static void test_without_reporting(void)
{
    struct driver d;
    struct error err;

    driver_open(&d);
    driver_bind(&d, virtio_balloon_new("balloon0", &d.mem, d.round.loop, false, false, &err));
    check_int(d.dev->queue_count, 3);
    check(!(d.dev->offered &
            (F_REPORT | F_POISON | VIRTIO_FEATURE(VIRTIO_BALLOON_F_DEFLATE_ON_OOM))));
    driver_close(&d);
}

/* ---- statistics ---- */

static void give_stats(struct driver *d, const struct virtio_balloon_stat *stats, unsigned count)
{
    memcpy(d->ram + LIST, stats, count * sizeof(*stats));
    driver_give(d, 2, LIST, (uint32_t)(count * sizeof(*stats)), false);
    driver_kick(d, 2);
    driver_run(d);
}

static void test_statistics(void)
{
    static const struct virtio_balloon_stat first[] = {
        {VIRTIO_BALLOON_S_MEMFREE, 1000}, {VIRTIO_BALLOON_S_MEMTOT, 2000}, {4711, 1}, {15, 9}};
    static const struct virtio_balloon_stat second[] = {{VIRTIO_BALLOON_S_MEMFREE, 3000}};
    struct virtio_balloon_stats stats;
    struct driver d;

    set_up(&d);
    /* So that looking at them asks for nothing; and nobody is there. */
    virtio_balloon_set_stats_interval(d.dev, 86400);
    virtio_balloon_stats(d.dev, &stats);
    check_int(stats.updated, 0);
    driver_start(&d, F_STATS | F_EVENT);
    give_stats(&d, first, ARRAY_SIZE(first));
    check(!took(&d, 2));
    virtio_balloon_stats(d.dev, &stats);
    check(stats.updated > 0);
    check_int(stats.values[BALLOON_STAT_FREE_MEMORY], 1000);
    check_int(stats.values[BALLOON_STAT_TOTAL_MEMORY], 2000);
    check_int(stats.values[BALLOON_STAT_DIRECT_RECLAIMS], 9);
    check(stats.values[BALLOON_STAT_SWAP_IN] == VIRTIO_BALLOON_STAT_UNKNOWN);

    virtio_balloon_request_stats(d.dev);
    check(took(&d, 2));
    virtio_balloon_request_stats(d.dev); /* they are on their way */
    check(!took(&d, 2));
    give_stats(&d, second, 1);
    virtio_balloon_stats(d.dev, &stats);
    check_int(stats.values[BALLOON_STAT_FREE_MEMORY], 3000);
    check(stats.values[BALLOON_STAT_TOTAL_MEMORY] == VIRTIO_BALLOON_STAT_UNKNOWN);

    /* A driver with more than one buffer gets all but the last back. */
    give_stats(&d, first, 1);
    check(took(&d, 2));
    check(!took(&d, 2));

    virtio_device_set_status(d.dev, 0);
    virtio_balloon_stats(d.dev, &stats);
    check_int(stats.updated, 0);
    check(stats.values[BALLOON_STAT_FREE_MEMORY] == VIRTIO_BALLOON_STAT_UNKNOWN);
    driver_close(&d);
}

/* Over a pause the buffer is the ring's; what it says is not taken for news. */
static void test_statistics_and_pause(void)
{
    static const struct virtio_balloon_stat stat[] = {{VIRTIO_BALLOON_S_MEMFREE, 1000}};
    struct virtio_balloon_stats stats;
    struct driver d;

    set_up(&d);
    driver_start(&d, F_STATS | F_EVENT);
    give_stats(&d, stat, 1);
    virtio_device_pause(d.dev);
    check_int(d.dev->queues[2].next_avail, 0);
    virtio_balloon_request_stats(d.dev);
    check(!took(&d, 2));
    memset(d.ram + LIST, 0, sizeof(stat));
    virtio_device_resume(d.dev);
    virtio_balloon_stats(d.dev, &stats);
    check_int(stats.values[BALLOON_STAT_FREE_MEMORY], 1000);
    virtio_balloon_request_stats(d.dev);
    check(took(&d, 2));
    driver_close(&d);
}

static void test_statistics_for_who_looks(void)
{
    static const struct virtio_balloon_stat first[] = {{VIRTIO_BALLOON_S_MEMFREE, 1000}};
    static const struct virtio_balloon_stat second[] = {{VIRTIO_BALLOON_S_MEMFREE, 3000}};
    struct virtio_balloon_stats stats;
    struct driver d;
    uint64_t asked;

    set_up(&d);
    driver_start(&d, F_STATS | F_EVENT);
    give_stats(&d, first, 1);
    check(!took(&d, 2)); /* nobody looks */
    asked = monotonic_ns();
    virtio_balloon_stats(d.dev, &stats);
    check_int(stats.values[BALLOON_STAT_FREE_MEMORY], 1000);
    check(took(&d, 2));
    give_stats(&d, second, 1);
    virtio_balloon_stats(d.dev, &stats);
    check_int(stats.values[BALLOON_STAT_FREE_MEMORY], 3000);
    if (monotonic_ns() - asked < 500000000)
        check(!took(&d, 2)); /* not that often */
    driver_close(&d);
}

static void test_statistics_by_the_clock(void)
{
    static const struct virtio_balloon_stat stat[] = {{VIRTIO_BALLOON_S_MEMFREE, 1000}};
    struct driver d;

    set_up(&d);
    driver_start(&d, F_STATS);
    give_stats(&d, stat, 1);
    virtio_balloon_set_stats_interval(d.dev, 1);
    check_int(virtio_balloon_stats_interval(d.dev), 1);
    check(took(&d, 2)); /* at once, and then every second */
    give_stats(&d, stat, 1);
    check(!took(&d, 2));
    d.quit_on_interrupt = true;
    loop_run(d.round.loop);
    check(took(&d, 2));
    virtio_balloon_set_stats_interval(d.dev, 0);
    check_int(virtio_balloon_stats_interval(d.dev), 0);
    driver_close(&d);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_inflated_pages_go_back),
        TAP(test_pages_that_are_none),
        TAP(test_a_long_list),
        TAP(test_target_and_actual),
        TAP(test_free_pages),
        TAP(test_free_pages_with_a_pattern),
        TAP(test_without_reporting),
        TAP(test_statistics),
        TAP(test_statistics_and_pause),
        TAP(test_statistics_for_who_looks),
        TAP(test_statistics_by_the_clock),
        {0},
    });
}
