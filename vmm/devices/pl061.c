/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inputs are what is connected to them; outputs lead nowhere and read as what was written. The
 * controller's line is sent as an edge whenever an enabled interrupt appears that was not there
 * before: a driver serves all that MIS shows.
 */
#include "vmm/devices/pl061.h"

#include "vmm/devices/primecell.h"

#define PART     0x061
#define REVISION 0

/* Longer than a driver needs to be sure that it was no bounce (Linux waits 5 ms and looks again).
 */
#define HOLD_NS 100000000

struct pl061 {
    struct bus_device bus; /* its lock is over all below */
    struct irq_line *irq;
    struct loop *loop;
    struct loop_timer timer; /* until the button is let go */

    uint8_t input; /* what is connected drives these lines high */
    uint8_t output;
    uint8_t dir;
    uint8_t level;
    uint8_t both;
    uint8_t event;
    uint8_t enabled;
    uint8_t edges; /* that happened and were not cleared */
    uint8_t afsel;
    uint8_t shown; /* of MIS, at the last look */
};

static uint8_t lines(const struct pl061 *s)
{
    return (uint8_t)((s->input & ~s->dir) | (s->output & s->dir));
}

static uint8_t raw_interrupts(const struct pl061 *s)
{
    return (uint8_t)((s->edges & ~s->level) | (s->level & ~(lines(s) ^ s->event)));
}

static void update_irq(struct pl061 *s)
{
    uint8_t now = raw_interrupts(s) & s->enabled;

    if (now & ~s->shown)
        irq_line_raise(s->irq);
    s->shown = now;
}

static void set_input(struct pl061 *s, uint8_t input)
{
    uint8_t changed = (s->input ^ input) & (uint8_t)~s->dir;

    s->input = input;
    s->edges |= changed & (uint8_t)(s->both | ~(input ^ s->event));
    update_irq(s);
}

/* ---- registers ---- */

static uint64_t pl061_read(struct bus_device *dev, uint64_t offset, unsigned len)
{
    const struct pl061 *s = container_of(dev, struct pl061, bus);

    (void)len;
    if (offset < PL061_DIR)
        return lines(s) & (offset >> 2);
    switch (offset) {
    case PL061_DIR:
        return s->dir;
    case PL061_IS:
        return s->level;
    case PL061_IBE:
        return s->both;
    case PL061_IEV:
        return s->event;
    case PL061_IE:
        return s->enabled;
    case PL061_RIS:
        return raw_interrupts(s);
    case PL061_MIS:
        return raw_interrupts(s) & s->enabled;
    case PL061_AFSEL:
        return s->afsel;
    default:
        return primecell_id(PART, REVISION, offset);
    }
}

static void write_register(struct pl061 *s, uint64_t offset, uint8_t value)
{
    switch (offset) {
    case PL061_DIR:
        s->dir = value;
        break;
    case PL061_IS:
        s->level = value;
        break;
    case PL061_IBE:
        s->both = value;
        break;
    case PL061_IEV:
        s->event = value;
        break;
    case PL061_IE:
        s->enabled = value;
        break;
    case PL061_IC:
        s->edges &= (uint8_t)~value;
        break;
    case PL061_AFSEL:
        s->afsel = value;
        break;
    default:
        break; /* read-only, or nothing */
    }
}

static void pl061_write(struct bus_device *dev, uint64_t offset, uint64_t value, unsigned len)
{
    struct pl061 *s = container_of(dev, struct pl061, bus);
    uint8_t mask = (uint8_t)(offset >> 2);

    (void)len;
    if (offset < PL061_DIR)
        s->output = (uint8_t)((s->output & ~mask) | ((uint8_t)value & mask));
    else
        write_register(s, offset, (uint8_t)value);
    update_irq(s);
}

static const struct bus_ops pl061_ops = {
    .read = pl061_read,
    .write = pl061_write,
};

/* ---- the button ---- */

void pl061_press_button(struct pl061 *s)
{
    pthread_mutex_lock(&s->bus.lock);
    set_input(s, 1 << PL061_BUTTON);
    (void)loop_timer_set(&s->timer, HOLD_NS, 0);
    pthread_mutex_unlock(&s->bus.lock);
}

static void on_let_go(void *opaque)
{
    struct pl061 *s = opaque;

    pthread_mutex_lock(&s->bus.lock);
    set_input(s, 0);
    pthread_mutex_unlock(&s->bus.lock);
}

/* ---- life ---- */

void pl061_reset(struct pl061 *s)
{
    pthread_mutex_lock(&s->bus.lock);
    s->input = s->output = s->dir = s->level = s->both = s->event = 0;
    s->enabled = s->edges = s->afsel = s->shown = 0;
    (void)loop_timer_set(&s->timer, 0, 0);
    pthread_mutex_unlock(&s->bus.lock);
}

struct pl061 *pl061_new(struct irq_line *irq, struct loop *loop, struct error *err)
{
    struct pl061 *s = xcalloc(1, sizeof(*s));

    bus_device_init(&s->bus, &pl061_ops);
    s->irq = irq;
    s->loop = loop;
    s->timer = LOOP_TIMER_CLOSED;
    if (loop_timer_attach(loop, &s->timer, on_let_go, s, err) == 0)
        return s;
    pl061_free(s);
    return NULL;
}

void pl061_free(struct pl061 *s)
{
    if (!s)
        return;
    loop_timer_detach(s->loop, &s->timer);
    pthread_mutex_destroy(&s->bus.lock);
    free(s);
}

struct bus_device *pl061_bus_device(struct pl061 *s)
{
    return &s->bus;
}
