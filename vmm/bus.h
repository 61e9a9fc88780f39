/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Port and MMIO dispatch. A vCPU thread that leaves the guest on an access finds the device here
 * and calls it under that device's own lock; two devices never wait for each other. The table is
 * built while the machine is put together and does not change while a vCPU runs, so looking up
 * needs no lock.
 */
#ifndef VOLE_BUS_H
#define VOLE_BUS_H

#include <pthread.h>
#include <stdint.h>

#include "vmm/util.h"

struct bus_device;

/*
 * `offset` is relative to the range's start; `len` is 1, 2, 4 or 8 and the access does not leave
 * the range. The values are the guest's: any of them may come. Values are in host byte order.
 * A missing slot reads as all ones, or swallows the write.
 */
struct bus_ops {
    uint64_t (*read)(struct bus_device *dev, uint64_t offset, unsigned len);
    void (*write)(struct bus_device *dev, uint64_t offset, uint64_t value, unsigned len);
};

/* Embedded in each device. The lock is held around every call of `ops`. */
struct bus_device {
    const struct bus_ops *ops;
    pthread_mutex_t lock;
};

/* In bytes, or in ports. */
struct bus_range {
    uint64_t base;
    uint64_t size;
    uint64_t offset; /* added to what the device sees: one device may have several ranges */
    struct bus_device *dev;
};

#define BUS_MAX_RANGES 64

struct bus {
    struct bus_range ranges[BUS_MAX_RANGES]; /* sorted by base, not overlapping */
    unsigned count;
};

void bus_device_init(struct bus_device *dev, const struct bus_ops *ops);

/* Not while a vCPU runs. -1 with `err` set when the range overlaps another or the table is full. */
int bus_add(struct bus *bus, uint64_t base, uint64_t size, uint64_t offset, struct bus_device *dev,
            struct error *err);
/* The same for a table of ranges, of which those without a device are left out. */
int bus_add_all(struct bus *bus, const struct bus_range *ranges, size_t count, struct error *err);

/*
 * From vCPU threads. An address that no device claims reads as all ones and swallows writes, as on
 * a PC's bus; so does an access that crosses the end of a range.
 */
uint64_t bus_read(const struct bus *bus, uint64_t addr, unsigned len);
void bus_write(const struct bus *bus, uint64_t addr, uint64_t value, unsigned len);

#endif
