/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Status reads as "output buffer full, input buffer empty", for ever, and the output buffer as
 * zeroes. A driver that probes empties the buffer first, sees within a few reads that it never
 * gets empty, and knows that there is no controller; one that only wants to pull the reset line
 * waits for the input buffer to be empty, and need not wait.
 */
#include "vmm/devices/i8042.h"

#define STATUS_OUTPUT_FULL 0x01
#define STATUS_SELF_TESTED 0x04
#define STATUS_COMMAND     0x08 /* the last write was a command */
#define STATUS_UNLOCKED    0x10

#define COMMAND_WRITE_OUTPUT_PORT 0xd1
#define COMMAND_PULSE             0xf0 /* and up: the bits that are 0 in the low half are pulsed */
#define OUTPUT_PORT_RESET         0x01 /* active low */

struct i8042 {
    struct bus_device bus;
    void (*reset)(void *opaque);
    void *opaque;
    bool writes_output_port; /* the next data byte does */
};

static uint64_t i8042_read(struct bus_device *dev, uint64_t offset, unsigned len)
{
    if (offset == I8042_COMMAND)
        return STATUS_OUTPUT_FULL | STATUS_SELF_TESTED | STATUS_COMMAND | STATUS_UNLOCKED;
    return 0;
}

static void i8042_write(struct bus_device *dev, uint64_t offset, uint64_t value, unsigned len)
{
    struct i8042 *kbc = container_of(dev, struct i8042, bus);
    uint8_t byte = (uint8_t)value;
    bool resets;

    if (offset == I8042_COMMAND) {
        kbc->writes_output_port = byte == COMMAND_WRITE_OUTPUT_PORT;
        resets = byte >= COMMAND_PULSE && !(byte & OUTPUT_PORT_RESET);
    } else {
        resets = kbc->writes_output_port && !(byte & OUTPUT_PORT_RESET);
        kbc->writes_output_port = false;
    }
    if (resets)
        kbc->reset(kbc->opaque);
}

static const struct bus_ops i8042_ops = {
    .read = i8042_read,
    .write = i8042_write,
};

struct i8042 *i8042_new(void (*reset)(void *opaque), void *opaque)
{
    struct i8042 *kbc = xcalloc(1, sizeof(*kbc));

    bus_device_init(&kbc->bus, &i8042_ops);
    kbc->reset = reset;
    kbc->opaque = opaque;
    return kbc;
}

void i8042_free(struct i8042 *kbc)
{
    if (!kbc)
        return;
    pthread_mutex_destroy(&kbc->bus.lock);
    free(kbc);
}

struct bus_device *i8042_bus_device(struct i8042 *kbc)
{
    return &kbc->bus;
}

void i8042_reset(struct i8042 *kbc)
{
    kbc->writes_output_port = false;
}
