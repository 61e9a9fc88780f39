/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The clock is the host's with a difference, so it is right whatever the guest was kept from doing.
 * The alarm is a timer that is set for the seconds that are left. It may expire a little late, when
 * the second is over already: a moment that was ahead and is not any more has come. Only when it is
 * ahead still, because a clock was set back meanwhile, the timer is set anew.
 */
#include "vmm/devices/pl031.h"

#include <time.h>

#include "vmm/devices/primecell.h"

#define PART     0x031
#define REVISION 0
#define SECOND   UINT64_C(1000000000)

struct pl031 {
    struct bus_device bus; /* its lock is over all below */
    struct irq_line *irq;
    struct loop *loop;
    struct loop_timer timer;

    bool localtime;
    uint32_t difference; /* to the host's seconds; both wrap */
    uint32_t match;
    uint32_t load;
    bool armed;   /* the moment of the match is ahead, and the timer is set for it */
    bool enabled; /* IMSC: the alarm may interrupt */
    bool raw;     /* RIS: it was time */
};

static uint32_t host_seconds(const struct pl031 *s)
{
    time_t now = time(NULL);
    struct tm local;

    if (s->localtime && localtime_r(&now, &local))
        now += local.tm_gmtoff;
    return (uint32_t)now;
}

static uint32_t seconds(const struct pl031 *s)
{
    return host_seconds(s) + s->difference;
}

static void ring(struct pl031 *s)
{
    if (!s->raw && s->enabled)
        irq_line_raise(s->irq);
    s->raw = true;
}

static void set_alarm(struct pl031 *s)
{
    uint32_t left = s->match - seconds(s);

    s->armed = left > 0 && left <= INT32_MAX; /* half of the circle is the past */
    (void)loop_timer_set(&s->timer, s->armed ? left * SECOND : 0, 0);
    if (left == 0)
        ring(s);
}

static void on_alarm(void *opaque)
{
    struct pl031 *s = opaque;

    pthread_mutex_lock(&s->bus.lock);
    /* The guest may have given it up while this waited for the lock. */
    if (s->armed) {
        set_alarm(s);
        if (!s->armed)
            ring(s);
    }
    pthread_mutex_unlock(&s->bus.lock);
}

static uint64_t pl031_read(struct bus_device *dev, uint64_t offset, unsigned len)
{
    const struct pl031 *s = container_of(dev, struct pl031, bus);

    (void)len;
    switch (offset) {
    case PL031_DR:
        return seconds(s);
    case PL031_MR:
        return s->match;
    case PL031_LR:
        return s->load;
    case PL031_CR:
        return 1; /* it always runs */
    case PL031_IMSC:
        return s->enabled;
    case PL031_RIS:
        return s->raw;
    case PL031_MIS:
        return s->raw && s->enabled;
    default:
        return primecell_id(PART, REVISION, offset);
    }
}

static void pl031_write(struct bus_device *dev, uint64_t offset, uint64_t value, unsigned len)
{
    struct pl031 *s = container_of(dev, struct pl031, bus);
    bool was_enabled = s->enabled;

    (void)len;
    switch (offset) {
    case PL031_MR:
        s->match = (uint32_t)value;
        set_alarm(s);
        break;
    case PL031_LR:
        s->load = (uint32_t)value;
        s->difference = s->load - host_seconds(s);
        set_alarm(s);
        break;
    case PL031_IMSC:
        s->enabled = value & 1;
        if (s->enabled && !was_enabled && s->raw)
            irq_line_raise(s->irq);
        break;
    case PL031_ICR:
        if (value & 1)
            s->raw = false;
        break;
    default:
        break; /* read-only, or nothing */
    }
}

static const struct bus_ops pl031_ops = {
    .read = pl031_read,
    .write = pl031_write,
};

void pl031_reset(struct pl031 *s)
{
    pthread_mutex_lock(&s->bus.lock);
    s->armed = s->enabled = s->raw = false;
    s->match = s->load = 0;
    (void)loop_timer_set(&s->timer, 0, 0);
    pthread_mutex_unlock(&s->bus.lock);
}

struct pl031 *pl031_new(struct irq_line *irq, struct loop *loop, bool localtime, int64_t offset,
                        struct error *err)
{
    struct pl031 *s = xcalloc(1, sizeof(*s));

    bus_device_init(&s->bus, &pl031_ops);
    s->irq = irq;
    s->loop = loop;
    s->timer = LOOP_TIMER_CLOSED;
    s->localtime = localtime;
    /* The file that it is read from may be out of reach later. */
    if (localtime)
        tzset();
    s->difference = (uint32_t)offset;
    if (loop_timer_attach(loop, &s->timer, on_alarm, s, err) == 0)
        return s;
    pl031_free(s);
    return NULL;
}

void pl031_free(struct pl031 *s)
{
    if (!s)
        return;
    loop_timer_detach(s->loop, &s->timer);
    pthread_mutex_destroy(&s->bus.lock);
    free(s);
}

struct bus_device *pl031_bus_device(struct pl031 *s)
{
    return &s->bus;
}
