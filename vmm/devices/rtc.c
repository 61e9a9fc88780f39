/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The clock does not tick: its time is the host's plus a difference, and registers are made from
 * it when they are read. What the chip would have noted meanwhile (a second went by, the alarm, a
 * period) is found by comparing the present time with that of the last look. Only where such a
 * thing shall interrupt the guest there is a timer, set for the moment of the next one; none is set
 * while an interrupt waits to be seen, because the line would not rise again.
 *
 * While the guest sets the time (SET in register B, or the dividers in reset) the registers are
 * plain bytes. When it lets go they become the new difference. A clock whose dividers come out of
 * reset counts its first second in half the time; guests rely on it to set the time to a fraction.
 *
 * The chip warns of the update that is about to change its registers (UIP in register A), and a
 * guest that sees the warning waits. Ours never warns. Instead, asking for it takes a picture of
 * the time, and the reads that follow are answered from that: no guest waits, and no guest reads
 * half of an old minute and half of a new one.
 */
#include "vmm/devices/rtc.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>

#define CMOS_SIZE  128
#define PORT_INDEX 0
#define PORT_DATA  1
#define FLAGS      (RTC_PI | RTC_AI | RTC_UI)
#define HOUR_PM    0x80
#define ALARM_ANY  0xc0 /* these bits in an alarm register: any value */

#define SECOND     INT64_C(1000000) /* all times are in microseconds */
#define DAY        INT64_C(86400)   /* in seconds */
#define NEVER      INT64_MAX
#define CRYSTAL    32768 /* Hz */
#define PICTURE_US 2000  /* for how long the guest is answered from a picture */

/* The years 0 to 9999, as much as there are digits for. */
#define EARLIEST (INT64_C(-62167219200) * SECOND)
#define LATEST   (INT64_C(253402300799) * SECOND)

struct rtc {
    struct bus_device bus; /* its lock is over all below */
    struct irq_line *irq;
    struct loop *loop;
    struct loop_watch watch;
    int timer;
    bool armed;

    bool localtime;
    int64_t difference; /* to the host's time */
    uint8_t index;
    uint8_t cmos[CMOS_SIZE]; /* of the time's registers only while the clock is held */
    int64_t seen;            /* the flags in register C are those of what was until then */

    bool has_picture;
    int64_t picture;    /* the time that it shows */
    int64_t picture_at; /* and the host's when it was taken */
};

/* ---- time ---- */

static int64_t host_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec * SECOND + ts.tv_nsec / 1000;
}

/* What is to be added to the host's time. */
static int64_t host_to_clock(const struct rtc *s, int64_t host)
{
    time_t seconds = (time_t)(host / SECOND);
    struct tm tm;

    if (!s->localtime || !localtime_r(&seconds, &tm))
        return s->difference;
    return s->difference + tm.tm_gmtoff * SECOND;
}

static int64_t clamp_time(int64_t t)
{
    return t < EARLIEST ? EARLIEST : MIN(t, LATEST);
}

static int64_t clock_now(const struct rtc *s)
{
    int64_t host = host_now();

    return clamp_time(host + host_to_clock(s, host));
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static void set_clock(struct rtc *s, int64_t t)
{
    int64_t host = host_now();

    s->difference += clamp_time(t) - (host + host_to_clock(s, host));
    s->seen = clamp_time(t);
    s->has_picture = false;
}

static bool dividers_reset(const struct rtc *s)
{
    return (s->cmos[RTC_REG_A] & RTC_DIVIDER_RESET) == RTC_DIVIDER_RESET;
}

/* Whether the time stands still and its registers are the guest's to write. */
static bool is_held(const struct rtc *s)
{
    return (s->cmos[RTC_REG_B] & RTC_SET) || dividers_reset(s);
}

/* ---- registers and what they mean ---- */

static uint8_t encode(const struct rtc *s, int value)
{
    if (s->cmos[RTC_REG_B] & RTC_BINARY)
        return (uint8_t)value;
    return (uint8_t)(value / 10 << 4 | value % 10);
}

static int decode(const struct rtc *s, uint8_t byte)
{
    return s->cmos[RTC_REG_B] & RTC_BINARY ? byte : (byte >> 4) * 10 + (byte & 0xf);
}

static uint8_t encode_hour(const struct rtc *s, int hour)
{
    if (s->cmos[RTC_REG_B] & RTC_24H)
        return encode(s, hour);
    return encode(s, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static int decode_hour(const struct rtc *s, uint8_t byte)
{
    if (s->cmos[RTC_REG_B] & RTC_24H)
        return decode(s, byte);
    return decode(s, (uint8_t)(byte & ~HOUR_PM)) % 12 + (byte & HOUR_PM ? 12 : 0);
}

/* All registers of the time, from the time. */
static void fill_registers(struct rtc *s, int64_t t)
{
    time_t seconds = (time_t)floor_div(t, SECOND);
    struct tm tm = {0};

    gmtime_r(&seconds, &tm);
    s->cmos[RTC_SECONDS] = encode(s, tm.tm_sec);
    s->cmos[RTC_MINUTES] = encode(s, tm.tm_min);
    s->cmos[RTC_HOURS] = encode_hour(s, tm.tm_hour);
    s->cmos[RTC_DAY_OF_WEEK] = encode(s, tm.tm_wday + 1);
    s->cmos[RTC_DAY_OF_MONTH] = encode(s, tm.tm_mday);
    s->cmos[RTC_MONTH] = encode(s, tm.tm_mon + 1);
    s->cmos[RTC_YEAR] = encode(s, (tm.tm_year + 1900) % 100);
    s->cmos[RTC_CENTURY] = encode(s, (tm.tm_year + 1900) / 100);
}

/* And back, in seconds. Any bytes have a meaning: a 13th month is next year's first. */
static int64_t read_registers(const struct rtc *s)
{
    struct tm tm = {
        .tm_sec = decode(s, s->cmos[RTC_SECONDS]),
        .tm_min = decode(s, s->cmos[RTC_MINUTES]),
        .tm_hour = decode_hour(s, s->cmos[RTC_HOURS]),
        .tm_mday = decode(s, s->cmos[RTC_DAY_OF_MONTH]),
        .tm_mon = decode(s, s->cmos[RTC_MONTH]) - 1,
        .tm_year = decode(s, s->cmos[RTC_CENTURY]) * 100 + decode(s, s->cmos[RTC_YEAR]) - 1900,
    };

    return timegm(&tm);
}

static bool is_time_register(uint8_t index)
{
    switch (index) {
    case RTC_SECONDS:
    case RTC_MINUTES:
    case RTC_HOURS:
    case RTC_DAY_OF_WEEK:
    case RTC_DAY_OF_MONTH:
    case RTC_MONTH:
    case RTC_YEAR:
    case RTC_CENTURY:
        return true;
    default:
        return false;
    }
}

/* ---- what happens in the course of time ---- */

static bool alarm_field_matches(const struct rtc *s, uint8_t index, int now)
{
    uint8_t byte = s->cmos[index];

    if ((byte & ALARM_ANY) == ALARM_ANY)
        return true;
    return (index == RTC_HOURS_ALARM ? decode_hour(s, byte) : decode(s, byte)) == now;
}

/* An alarm at 25:00 never comes. */
static bool alarm_can_come(const struct rtc *s)
{
    static const uint8_t sixtieths[] = {RTC_MINUTES_ALARM, RTC_SECONDS_ALARM};
    uint8_t hour = s->cmos[RTC_HOURS_ALARM];
    bool can = (hour & ALARM_ANY) == ALARM_ANY || decode_hour(s, hour) < 24;

    for (size_t i = 0; i < ARRAY_SIZE(sixtieths); i++) {
        uint8_t byte = s->cmos[sixtieths[i]];

        can &= (byte & ALARM_ANY) == ALARM_ANY || decode(s, byte) < 60;
    }
    return can;
}

/* The alarm's next moment behind `t`, found in at most a few hundred steps: a field that does not
 * match skips all that is below it. */
static int64_t next_alarm(const struct rtc *s, int64_t t)
{
    int64_t first = floor_div(t, SECOND) + 1;
    int64_t second = first;

    while (alarm_can_come(s) && second - first <= DAY) {
        int64_t of_day = second - floor_div(second, DAY) * DAY;

        if (!alarm_field_matches(s, RTC_HOURS_ALARM, (int)(of_day / 3600)))
            second += 3600 - of_day % 3600;
        else if (!alarm_field_matches(s, RTC_MINUTES_ALARM, (int)(of_day / 60 % 60)))
            second += 60 - of_day % 60;
        else if (!alarm_field_matches(s, RTC_SECONDS_ALARM, (int)(of_day % 60)))
            second++;
        else
            return second * SECOND;
    }
    return NEVER;
}

static int64_t next_update(const struct rtc *s, int64_t t)
{
    (void)s;
    return (floor_div(t, SECOND) + 1) * SECOND;
}

/* A period is a power of two in units of 1/32768 s, half a second at most. */
static int64_t next_period(const struct rtc *s, int64_t t)
{
    unsigned rate = s->cmos[RTC_REG_A] & RTC_RATE;
    int64_t second = floor_div(t, SECOND) * SECOND;
    int64_t ticks;
    int64_t next;

    if (rate == 0)
        return NEVER;
    ticks = INT64_C(1) << (rate <= 2 ? rate + 6 : rate - 1); /* the first two are as 8 and 9 */
    next = ((t - second) * CRYSTAL / SECOND / ticks + 1) * ticks;
    return second + (next * SECOND + CRYSTAL - 1) / CRYSTAL;
}

/* In the bits that registers B (enabled) and C (happened) have for it. */
static const struct {
    uint8_t bit;
    int64_t (*next)(const struct rtc *s, int64_t t);
} happenings[] = {
    {RTC_PI, next_period},
    {RTC_AI, next_alarm},
    {RTC_UI, next_update},
};

/* Notes in register C what has happened since the last look. */
static void look(struct rtc *s)
{
    int64_t now = clock_now(s);

    if (is_held(s))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(happenings); i++) {
        if (happenings[i].next(s, s->seen) <= now)
            s->cmos[RTC_REG_C] |= happenings[i].bit;
    }
    s->seen = now; /* earlier than before when the host's clock was put back */
}

static bool wants_interrupt(const struct rtc *s)
{
    return s->cmos[RTC_REG_B] & s->cmos[RTC_REG_C] & FLAGS;
}

/* A time of zero takes the timer back. */
static void set_timer(struct rtc *s, int64_t host)
{
    struct itimerspec when = {
        .it_value = {.tv_sec = host / SECOND, .tv_nsec = host % SECOND * 1000},
    };

    if (host == 0 && !s->armed)
        return;
    s->armed = host != 0;
    timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* After each change of what is enabled, of what has happened, and of the time. */
static void update_irq(struct rtc *s)
{
    int64_t next = NEVER;
    int64_t host;

    if (wants_interrupt(s) && !(s->cmos[RTC_REG_C] & RTC_IRQF)) {
        s->cmos[RTC_REG_C] |= RTC_IRQF;
        s->has_picture = false; /* older than what the guest is told */
        irq_line_raise(s->irq);
    }
    if (!is_held(s) && !(s->cmos[RTC_REG_C] & RTC_IRQF)) {
        for (size_t i = 0; i < ARRAY_SIZE(happenings); i++) {
            if (s->cmos[RTC_REG_B] & happenings[i].bit)
                next = MIN(next, happenings[i].next(s, s->seen));
        }
    }
    /* At the end of its years the clock stands still: a timer for what comes after would find that
     * nothing has happened, again and again. */
    if (next > LATEST) {
        set_timer(s, 0);
        return;
    }
    host = next - host_to_clock(s, host_now());
    set_timer(s, MAX(host, 1));
}

static void on_timer(void *opaque, uint32_t events)
{
    struct rtc *s = opaque;
    uint64_t count;
    ssize_t n = read(s->timer, &count, sizeof(count));

    (void)events;
    (void)n; /* a timer that was set anew meanwhile has nothing to read */
    pthread_mutex_lock(&s->bus.lock);
    look(s);
    update_irq(s);
    pthread_mutex_unlock(&s->bus.lock);
}

/* ---- the guest's accesses ---- */

static void take_picture(struct rtc *s)
{
    s->picture_at = host_now();
    s->picture = clamp_time(s->picture_at + host_to_clock(s, s->picture_at));
    s->has_picture = true;
}

static uint8_t read_time(struct rtc *s)
{
    int64_t age = host_now() - s->picture_at;

    if (!is_held(s)) {
        if (!s->has_picture || age < 0 || age > PICTURE_US)
            take_picture(s);
        fill_registers(s, s->picture);
    }
    return s->cmos[s->index];
}

static uint8_t read_flags(struct rtc *s)
{
    uint8_t flags;

    look(s);
    flags = s->cmos[RTC_REG_C] | (wants_interrupt(s) ? RTC_IRQF : 0);
    s->cmos[RTC_REG_C] = 0;
    update_irq(s);
    return flags;
}

static uint8_t read_data(struct rtc *s)
{
    if (is_time_register(s->index))
        return read_time(s);
    switch (s->index) {
    case RTC_REG_A:
        take_picture(s);
        return s->cmos[RTC_REG_A];
    case RTC_REG_C:
        return read_flags(s);
    case RTC_REG_D:
        return RTC_VRT;
    default:
        return s->cmos[s->index];
    }
}

static void write_time(struct rtc *s, uint8_t value)
{
    int64_t now = clock_now(s);

    if (is_held(s)) {
        s->cmos[s->index] = value;
        return;
    }
    fill_registers(s, now);
    s->cmos[s->index] = value;
    set_clock(s, read_registers(s) * SECOND + (now - floor_div(now, SECOND) * SECOND));
}

/* Registers A and B: both can hold the clock. */
static void write_control(struct rtc *s, uint8_t value)
{
    bool was_held = is_held(s);
    bool was_reset = dividers_reset(s);
    int64_t now = clock_now(s);

    if (s->index == RTC_REG_A)
        value &= (uint8_t)~RTC_UIP;
    else if (value & RTC_SET)
        value &= (uint8_t)~RTC_UI;
    look(s);
    s->cmos[s->index] = value;
    if (!was_held && is_held(s))
        fill_registers(s, now);
    else if (was_held && !is_held(s))
        set_clock(s, read_registers(s) * SECOND +
                         (was_reset ? SECOND / 2 : now - floor_div(now, SECOND) * SECOND));
}

static void write_data(struct rtc *s, uint8_t value)
{
    if (is_time_register(s->index)) {
        write_time(s, value);
    } else if (s->index == RTC_REG_A || s->index == RTC_REG_B) {
        write_control(s, value);
    } else if (s->index != RTC_REG_C && s->index != RTC_REG_D) {
        /* What the alarm was is looked at before it changes. */
        look(s);
        s->cmos[s->index] = value;
    }
    update_irq(s);
}

static uint64_t rtc_read(struct bus_device *dev, uint64_t offset, unsigned len)
{
    struct rtc *s = container_of(dev, struct rtc, bus);

    return len == 1 && offset == PORT_DATA ? read_data(s) : UINT64_MAX;
}

static void rtc_write(struct bus_device *dev, uint64_t offset, uint64_t value, unsigned len)
{
    struct rtc *s = container_of(dev, struct rtc, bus);

    if (len != 1)
        return;
    if (offset == PORT_INDEX)
        s->index =
            value & (CMOS_SIZE - 1); /* the highest bit masks NMIs, of which there are none */
    else
        write_data(s, (uint8_t)value);
}

static const struct bus_ops rtc_ops = {
    .read = rtc_read,
    .write = rtc_write,
};

/* ---- life ---- */

void rtc_reset(struct rtc *s)
{
    pthread_mutex_lock(&s->bus.lock);
    s->index = 0;
    s->cmos[RTC_REG_B] &= (uint8_t) ~(RTC_PI | RTC_AI | RTC_UI | RTC_SQWE);
    s->cmos[RTC_REG_C] = 0;
    update_irq(s);
    pthread_mutex_unlock(&s->bus.lock);
}

struct rtc *rtc_new(struct irq_line *irq, struct loop *loop, bool localtime, int64_t offset,
                    struct error *err)
{
    struct rtc *s = xcalloc(1, sizeof(*s));

    bus_device_init(&s->bus, &rtc_ops);
    s->irq = irq;
    s->loop = loop;
    s->localtime = localtime;
    /* The file that it is read from may be out of reach later. */
    if (localtime)
        tzset();
    s->difference = clamp_time(MAX(MIN(offset, LATEST / SECOND), EARLIEST / SECOND) * SECOND);
    s->cmos[RTC_REG_A] = RTC_DIVIDER_32KHZ | 0x6; /* 1024 Hz */
    s->cmos[RTC_REG_B] = RTC_24H;
    s->seen = clock_now(s);

    s->watch.fd = -1;
    s->timer = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (s->timer < 0)
        error_set_errno(err, errno, "make the clock's timer");
    else if (loop_add(loop, &s->watch, s->timer, EPOLLIN, on_timer, s, err) == 0)
        return s;
    rtc_free(s);
    return NULL;
}

void rtc_free(struct rtc *s)
{
    if (!s)
        return;
    loop_remove(s->loop, &s->watch);
    if (s->timer >= 0)
        close(s->timer);
    pthread_mutex_destroy(&s->bus.lock);
    free(s);
}

struct bus_device *rtc_bus_device(struct rtc *s)
{
    return &s->bus;
}
