/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/devices/power.h"

#define SLP_TYP_SHIFT 2
#define SLP_TYP_MASK  7u
#define SLP_EN        (1u << 5)

struct power {
    struct bus_device bus;
    struct irq_line *button;
    void (*off)(void *opaque);
    void (*reset)(void *opaque);
    void *opaque;
};

static uint64_t power_read(struct bus_device *dev, uint64_t offset, unsigned len)
{
    (void)dev;
    (void)offset;
    (void)len;
    /* No wake status is ever pending. */
    return 0;
}

static void power_write(struct bus_device *dev, uint64_t offset, uint64_t value, unsigned len)
{
    struct power *power = container_of(dev, struct power, bus);

    (void)len;
    switch (offset) {
    case POWER_SLEEP_CONTROL:
        if ((value & SLP_EN) && ((value >> SLP_TYP_SHIFT) & SLP_TYP_MASK) == POWER_S5_TYPE)
            power->off(power->opaque);
        break;
    case POWER_RESET:
        if ((value & 0xff) == POWER_RESET_VALUE)
            power->reset(power->opaque);
        break;
    default:
        break;
    }
}

static const struct bus_ops power_ops = {
    .read = power_read,
    .write = power_write,
};

struct power *power_new(struct irq_line *button, void (*off)(void *opaque),
                        void (*reset)(void *opaque), void *opaque)
{
    struct power *power = xcalloc(1, sizeof(*power));

    bus_device_init(&power->bus, &power_ops);
    power->button = button;
    power->off = off;
    power->reset = reset;
    power->opaque = opaque;
    return power;
}

void power_free(struct power *power)
{
    free(power);
}

struct bus_device *power_bus_device(struct power *power)
{
    return &power->bus;
}

void power_press_button(struct power *power)
{
    irq_line_raise(power->button);
}
