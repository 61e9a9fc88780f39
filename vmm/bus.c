/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/bus.h"

#include <inttypes.h>

static uint64_t all_ones(unsigned len)
{
    return len >= 8 ? UINT64_MAX : ((uint64_t)1 << 8 * len) - 1;
}

void bus_device_init(struct bus_device *dev, const struct bus_ops *ops)
{
    dev->ops = ops;
    pthread_mutex_init(&dev->lock, NULL);
}

/* The index of the first range that ends behind `addr`; `count` when there is none. */
static unsigned first_ending_after(const struct bus *bus, uint64_t addr)
{
    unsigned low = 0;
    unsigned high = bus->count;

    while (low < high) {
        unsigned mid = (low + high) / 2;
        const struct bus_range *range = &bus->ranges[mid];

        /* The last byte, since the end of a range may be 2^64. */
        if (range->base + (range->size - 1) < addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

int bus_add(struct bus *bus, uint64_t base, uint64_t size, uint64_t offset, struct bus_device *dev,
            struct error *err)
{
    uint64_t last;
    unsigned at;

    if (size == 0 || __builtin_add_overflow(base, size - 1, &last))
        return error_set(err, "bus range 0x%" PRIx64 "+0x%" PRIx64 " is not valid", base, size);
    if (bus->count == BUS_MAX_RANGES)
        return error_set(err, "no room for bus range 0x%" PRIx64 ": %u are in use", base,
                         bus->count);
    at = first_ending_after(bus, base);
    if (at < bus->count && bus->ranges[at].base <= last)
        return error_set(err,
                         "bus range 0x%" PRIx64 "+0x%" PRIx64 " overlaps 0x%" PRIx64 "+0x%" PRIx64,
                         base, size, bus->ranges[at].base, bus->ranges[at].size);
    memmove(&bus->ranges[at + 1], &bus->ranges[at], (bus->count - at) * sizeof(bus->ranges[0]));
    bus->ranges[at] = (struct bus_range){.base = base, .size = size, .offset = offset, .dev = dev};
    bus->count++;
    return 0;
}

int bus_add_all(struct bus *bus, const struct bus_range *ranges, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct bus_range *r = &ranges[i];

        if (r->dev && bus_add(bus, r->base, r->size, r->offset, r->dev, err) < 0)
            return -1;
    }
    return 0;
}

/* The range that holds the whole access, or NULL. */
static const struct bus_range *bus_find(const struct bus *bus, uint64_t addr, unsigned len)
{
    unsigned at = first_ending_after(bus, addr);
    const struct bus_range *range = &bus->ranges[at];

    if (at == bus->count || addr < range->base || len > range->size - (addr - range->base))
        return NULL;
    return range;
}

uint64_t bus_read(const struct bus *bus, uint64_t addr, unsigned len)
{
    const struct bus_range *range = bus_find(bus, addr, len);
    uint64_t value;

    if (!range || !range->dev->ops->read)
        return all_ones(len);
    pthread_mutex_lock(&range->dev->lock);
    value = range->dev->ops->read(range->dev, range->offset + (addr - range->base), len);
    pthread_mutex_unlock(&range->dev->lock);
    return value & all_ones(len);
}

void bus_write(const struct bus *bus, uint64_t addr, uint64_t value, unsigned len)
{
    const struct bus_range *range = bus_find(bus, addr, len);

    if (!range || !range->dev->ops->write)
        return;
    pthread_mutex_lock(&range->dev->lock);
    range->dev->ops->write(range->dev, range->offset + (addr - range->base), value & all_ones(len),
                           len);
    pthread_mutex_unlock(&range->dev->lock);
}
