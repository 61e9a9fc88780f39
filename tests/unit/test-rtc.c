/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The clock as a guest's driver uses it. The host's time cannot be stopped, so what is read back
 * may be some seconds later than what was set, and tests of interrupts wait for the real ones.
 */
#include "tests/unit/tap.h"
#include "vmm/devices/rtc.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>

#define PATIENCE_MS 60000
#define SLACK       100 /* seconds that a test may take between two looks at the clock */

struct bench {
    struct loop *loop;
    struct irq_line irq;
    struct rtc *rtc;
    struct bus bus;
};

static void set_up(struct bench *b, bool localtime, int64_t offset)
{
    struct error err;

    memset(b, 0, sizeof(*b));
    b->loop = loop_thread_start("test", &err);
    check(b->loop != NULL);
    check_int(irq_line_init(&b->irq, 8, &err), 0);
    b->rtc = rtc_new(&b->irq, b->loop, localtime, offset, &err);
    check(b->rtc != NULL);
    check_int(bus_add(&b->bus, 0x70, RTC_PORTS, 0, rtc_bus_device(b->rtc), &err), 0);
}

static void free_rtc(void *opaque)
{
    rtc_free(opaque);
}

static void tear_down(struct bench *b)
{
    loop_call(b->loop, free_rtc, b->rtc);
    loop_thread_stop(b->loop);
    irq_line_close(&b->irq);
}

static uint8_t rd(struct bench *b, uint8_t reg)
{
    bus_write(&b->bus, 0x70, reg, 1);
    return (uint8_t)bus_read(&b->bus, 0x71, 1);
}

static void wr(struct bench *b, uint8_t reg, uint8_t value)
{
    bus_write(&b->bus, 0x70, reg, 1);
    bus_write(&b->bus, 0x71, value, 1);
}

static int bcd(uint8_t byte)
{
    return (byte >> 4) * 10 + (byte & 0xf);
}

static uint8_t to_bcd(int value)
{
    return (uint8_t)(value / 10 << 4 | value % 10);
}

/* The clock in BCD and 24 hours, as seconds since the epoch. */
static int64_t read_clock(struct bench *b)
{
    struct tm tm = {0};

    check(!(rd(b, RTC_REG_A) & RTC_UIP));
    tm.tm_sec = bcd(rd(b, RTC_SECONDS));
    tm.tm_min = bcd(rd(b, RTC_MINUTES));
    tm.tm_hour = bcd(rd(b, RTC_HOURS));
    tm.tm_mday = bcd(rd(b, RTC_DAY_OF_MONTH));
    tm.tm_mon = bcd(rd(b, RTC_MONTH)) - 1;
    tm.tm_year = bcd(rd(b, RTC_CENTURY)) * 100 + bcd(rd(b, RTC_YEAR)) - 1900;
    return timegm(&tm);
}

/* As Linux does it. */
static void set_clock(struct bench *b, int64_t to)
{
    time_t seconds = (time_t)to;
    struct tm tm;
    uint8_t control = rd(b, RTC_REG_B);
    uint8_t select = rd(b, RTC_REG_A);

    gmtime_r(&seconds, &tm);
    wr(b, RTC_REG_B, control | RTC_SET);
    wr(b, RTC_REG_A, select | 0x70);
    wr(b, RTC_YEAR, to_bcd(tm.tm_year % 100));
    wr(b, RTC_MONTH, to_bcd(tm.tm_mon + 1));
    wr(b, RTC_DAY_OF_MONTH, to_bcd(tm.tm_mday));
    wr(b, RTC_HOURS, to_bcd(tm.tm_hour));
    wr(b, RTC_MINUTES, to_bcd(tm.tm_min));
    wr(b, RTC_SECONDS, to_bcd(tm.tm_sec));
    wr(b, RTC_CENTURY, to_bcd(tm.tm_year / 100 + 19));
    wr(b, RTC_REG_B, control);
    wr(b, RTC_REG_A, select);
}

static void check_near(int64_t got, int64_t want)
{
    if (!check(got >= want && got <= want + SLACK))
        printf("# %lld, not %lld\n", (long long)got, (long long)want);
}

static void test_shows_the_hosts_time(void)
{
    struct bench b;
    int64_t before;

    set_up(&b, false, 0);
    before = time(NULL);
    check_near(read_clock(&b), before);
    check_int(rd(&b, RTC_REG_D), RTC_VRT);
    check_int(rd(&b, RTC_REG_B), RTC_24H);
    tear_down(&b);
}

static void test_offset_and_localtime(void)
{
    struct bench b;
    int64_t before;

    set_up(&b, false, -86400);
    before = time(NULL);
    check_near(read_clock(&b), before - 86400);
    tear_down(&b);
    setenv("TZ", "TEST-05:30", 1);
    set_up(&b, true, 3600);
    before = time(NULL);
    check_near(read_clock(&b), before + 3600 + 19800);
    tear_down(&b);
    unsetenv("TZ");
    /* More than there are digits for. */
    set_up(&b, false, INT64_MAX);
    check_int(rd(&b, RTC_CENTURY), 0x99);
    tear_down(&b);
    set_up(&b, false, INT64_MIN);
    rd(&b, RTC_REG_A);
    tear_down(&b);
}

static void test_guest_sets_the_time(void)
{
    static const int64_t times[] = {946684799, 951782400, 1700000000, 4102444800};
    struct bench b;

    set_up(&b, false, 0);
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        set_clock(&b, times[i]);
        check_near(read_clock(&b), times[i]);
        /* The machine's reset does not take it away. */
        rtc_reset(b.rtc);
        check_near(read_clock(&b), times[i]);
    }
    tear_down(&b);
}

/* While SET is up nothing moves; a single register can be written without it. */
static void test_held_and_running_writes(void)
{
    struct bench b;

    set_up(&b, false, 0);
    set_clock(&b, 1700000000);
    wr(&b, RTC_REG_B, RTC_SET | RTC_24H);
    wr(&b, RTC_MINUTES, 0x77); /* no minute at all */
    check_int(rd(&b, RTC_MINUTES), 0x77);
    wr(&b, RTC_MINUTES, 0x10);
    wr(&b, RTC_SECONDS, 0x05);
    check_int(rd(&b, RTC_SECONDS), 0x05);
    wr(&b, RTC_REG_B, RTC_24H);
    check_int(rd(&b, RTC_MINUTES), 0x10);
    wr(&b, RTC_MINUTES, 0x42);
    check_int(rd(&b, RTC_MINUTES), 0x42);
    wr(&b, RTC_YEAR, 0x30);
    check_int(rd(&b, RTC_YEAR), 0x30);
    tear_down(&b);
}

static void test_formats(void)
{
    static const struct {
        uint8_t mode;
        uint8_t hour, want; /* of 24; as the register shows it */
    } cases[] = {
        {RTC_24H, 23, 0x23},    {RTC_24H | RTC_BINARY, 23, 23},
        {0, 0, 0x12},           {0, 11, 0x11},
        {0, 12, 0x92},          {0, 23, 0x91},
        {RTC_BINARY, 0, 12},    {RTC_BINARY, 12, 0x8c},
        {RTC_BINARY, 22, 0x8a}, {RTC_24H | RTC_BINARY, 0, 0},
    };
    struct bench b;

    set_up(&b, false, 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        wr(&b, RTC_REG_B, RTC_24H);
        set_clock(&b, 1700006400 + cases[i].hour * 3600); /* a midnight and so many hours */
        wr(&b, RTC_REG_B, cases[i].mode);
        if (!check_int(rd(&b, RTC_HOURS), cases[i].want))
            printf("# case %zu\n", i);
        /* And the other way round. */
        wr(&b, RTC_HOURS, cases[i].want);
        wr(&b, RTC_REG_B, RTC_24H);
        check_int(rd(&b, RTC_HOURS), to_bcd(cases[i].hour));
    }
    tear_down(&b);
}

static bool wait_irq(struct bench *b)
{
    struct pollfd p = {.fd = b->irq.eventfd, .events = POLLIN};
    eventfd_t count;

    return poll(&p, 1, PATIENCE_MS) == 1 && eventfd_read(b->irq.eventfd, &count) == 0;
}

static bool irq_is_raised(struct bench *b)
{
    eventfd_t count;

    return eventfd_read(b->irq.eventfd, &count) == 0;
}

static void test_alarm(void)
{
    struct bench b;

    set_up(&b, false, 0);
    wr(&b, RTC_HOURS_ALARM, 0x00);
    wr(&b, RTC_MINUTES_ALARM, 0x00);
    wr(&b, RTC_SECONDS_ALARM, 0x00);
    rd(&b, RTC_REG_C);
    wr(&b, RTC_REG_B, RTC_24H | RTC_AI);
    set_clock(&b, 1700006400 - 2); /* two seconds to midnight, and all is ready for it */
    check(wait_irq(&b));
    check_near(read_clock(&b), 1700006400);
    check_int(rd(&b, RTC_REG_C) & (RTC_IRQF | RTC_AI), RTC_IRQF | RTC_AI);
    check_int(rd(&b, RTC_REG_C) & (RTC_IRQF | RTC_AI), 0);
    check(!irq_is_raised(&b));
    tear_down(&b);
}

static void test_alarm_of_any_minute(void)
{
    struct bench b;

    set_up(&b, false, 0);
    wr(&b, RTC_HOURS_ALARM, 0xff);
    wr(&b, RTC_MINUTES_ALARM, 0xc0);
    wr(&b, RTC_SECONDS_ALARM, 0x00);
    rd(&b, RTC_REG_C);
    wr(&b, RTC_REG_B, RTC_24H | RTC_AI);
    set_clock(&b, 1700006400 + 12 * 3600 + 58);
    check(wait_irq(&b));
    check_near(read_clock(&b), 1700006400 + 12 * 3600 + 60);
    tear_down(&b);
}

/* Each interrupt only after the one before was seen, and none once they are not wanted. */
static void test_updates_and_periods(void)
{
    static const uint8_t kinds[] = {RTC_UI, RTC_PI};
    struct bench b;

    set_up(&b, false, 0);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        rd(&b, RTC_REG_C);
        wr(&b, RTC_REG_B, RTC_24H | kinds[i]);
        for (int n = 0; n < 3; n++) {
            check(wait_irq(&b));
            check(rd(&b, RTC_REG_C) & kinds[i]);
        }
        wr(&b, RTC_REG_B, RTC_24H);
        rd(&b, RTC_REG_C);
        irq_is_raised(&b);
        /* A callback that ran beside us is over after this. */
        loop_call(b.loop, (void (*)(void *))rtc_reset, b.rtc);
        irq_is_raised(&b);
        check_int(rd(&b, RTC_REG_C) & RTC_IRQF, 0);
        check(!irq_is_raised(&b));
    }
    tear_down(&b);
}

/* Behind the last second that it can show nothing happens any more: a timer would go off at once,
 * and again each time that it is set. */
static void test_end_of_time(void)
{
    struct bench b = {0};
    struct pollfd timer = {.events = POLLIN};
    struct error err;

    b.loop = loop_new(&err); /* nobody runs it, so that a timer that goes off is seen */
    check_int(irq_line_init(&b.irq, 8, &err), 0);
    timer.fd = dup(b.irq.eventfd); /* the number that the clock's timer is going to have */
    close(timer.fd);
    b.rtc = rtc_new(&b.irq, b.loop, false, INT64_MAX, &err);
    check_int(bus_add(&b.bus, 0x70, RTC_PORTS, 0, rtc_bus_device(b.rtc), &err), 0);
    wr(&b, RTC_REG_B, RTC_24H | RTC_UI);
    check_int(poll(&timer, 1, 100), 0);
    wr(&b, RTC_REG_B, RTC_24H | RTC_PI);
    check_int(poll(&timer, 1, 100), 0);
    set_clock(&b, 1700000000);
    check_int(poll(&timer, 1, PATIENCE_MS), 1);
    rtc_free(b.rtc);
    loop_free(b.loop);
    irq_line_close(&b.irq);
}

static void test_alarm_that_never_comes(void)
{
    static const uint8_t alarms[][3] = {
        {0x25, 0xff, 0xff}, {0xff, 0x60, 0xff}, {0xff, 0xff, 0x60}, {0xff, 0xff, 0x99}};
    struct bench b;

    set_up(&b, false, 0);
    for (size_t i = 0; i < ARRAY_SIZE(alarms); i++) {
        wr(&b, RTC_HOURS_ALARM, alarms[i][0]);
        wr(&b, RTC_MINUTES_ALARM, alarms[i][1]);
        wr(&b, RTC_SECONDS_ALARM, alarms[i][2]);
        rd(&b, RTC_REG_C);
        wr(&b, RTC_REG_B, RTC_24H | RTC_AI);
        set_clock(&b, 1700006400 - 1);
        set_clock(&b, 1700006400 + 1);
        check_int(rd(&b, RTC_REG_C) & RTC_AI, 0);
    }
    tear_down(&b);
}

static void test_memory(void)
{
    struct bench b;

    set_up(&b, false, 0);
    for (unsigned reg = RTC_REG_D + 1; reg < 128; reg++) {
        if (reg != RTC_CENTURY)
            wr(&b, (uint8_t)reg, (uint8_t)(reg ^ 0x5a));
    }
    rtc_reset(b.rtc);
    for (unsigned reg = RTC_REG_D + 1; reg < 128; reg++) {
        if (reg != RTC_CENTURY)
            check_int(rd(&b, (uint8_t)reg), reg ^ 0x5a);
        /* The highest bit of the index is another thing's. */
        if (reg != RTC_CENTURY)
            check_int(rd(&b, (uint8_t)(reg | 0x80)), reg ^ 0x5a);
    }
    check_int(bus_read(&b.bus, 0x70, 1), 0xff);
    check_int(bus_read(&b.bus, 0x70, 2), 0xffff);
    tear_down(&b);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_shows_the_hosts_time),
        TAP(test_offset_and_localtime),
        TAP(test_guest_sets_the_time),
        TAP(test_held_and_running_writes),
        TAP(test_formats),
        TAP(test_alarm),
        TAP(test_alarm_of_any_minute),
        TAP(test_updates_and_periods),
        TAP(test_alarm_that_never_comes),
        TAP(test_end_of_time),
        TAP(test_memory),
        {0},
    });
}
