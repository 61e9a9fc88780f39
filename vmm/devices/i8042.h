/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The PC's keyboard controller, only as far as its reset line: a guest that writes 0xfe to the
 * command port is reset. There is no keyboard and no mouse behind it; it says so in a way that
 * Linux's probe understands at once instead of timing out.
 */
#ifndef VOLE_DEVICES_I8042_H
#define VOLE_DEVICES_I8042_H

#include "vmm/bus.h"

struct i8042;

/* Port offsets within the device: map 0x60 with offset 0 and 0x64 with offset 4. */
#define I8042_DATA    0
#define I8042_COMMAND 4

/* `reset(opaque)` is called in the vCPU's thread when the guest pulls the reset line. */
struct i8042 *i8042_new(void (*reset)(void *opaque), void *opaque);
void i8042_free(struct i8042 *kbc);
struct bus_device *i8042_bus_device(struct i8042 *kbc);
void i8042_reset(struct i8042 *kbc);

#endif
