/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/devices/pvpanic.h"

#define EVENTS (PVPANIC_PANICKED | PVPANIC_CRASH_LOADED)

struct pvpanic {
    struct bus_device bus;
    void (*tell)(void *opaque, unsigned events);
    void *opaque;
};

static uint64_t pvpanic_read(struct bus_device *dev, uint64_t offset, unsigned len)
{
    (void)dev;
    (void)offset;
    (void)len;
    return EVENTS;
}

static void pvpanic_write(struct bus_device *dev, uint64_t offset, uint64_t value, unsigned len)
{
    struct pvpanic *pvpanic = container_of(dev, struct pvpanic, bus);
    unsigned events = (unsigned)value & EVENTS;

    (void)offset;
    (void)len;
    if (events)
        pvpanic->tell(pvpanic->opaque, events);
}

static const struct bus_ops pvpanic_ops = {
    .read = pvpanic_read,
    .write = pvpanic_write,
};

struct pvpanic *pvpanic_new(void (*tell)(void *opaque, unsigned events), void *opaque)
{
    struct pvpanic *pvpanic = xcalloc(1, sizeof(*pvpanic));

    bus_device_init(&pvpanic->bus, &pvpanic_ops);
    pvpanic->tell = tell;
    pvpanic->opaque = opaque;
    return pvpanic;
}

void pvpanic_free(struct pvpanic *pvpanic)
{
    if (!pvpanic)
        return;
    pthread_mutex_destroy(&pvpanic->bus.lock);
    free(pvpanic);
}

struct bus_device *pvpanic_bus_device(struct pvpanic *pvpanic)
{
    return &pvpanic->bus;
}
