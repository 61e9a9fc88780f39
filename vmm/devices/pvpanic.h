/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A port by which a guest tells that it panicked (QEMU's docs/specs/pvpanic): reading says which
 * events are understood, writing tells one.
 */
#ifndef VOLE_DEVICES_PVPANIC_H
#define VOLE_DEVICES_PVPANIC_H

#include "vmm/bus.h"

struct pvpanic;

#define PVPANIC_REGISTERS    1
#define PVPANIC_PANICKED     0x01
#define PVPANIC_CRASH_LOADED 0x02 /* and a crash kernel takes over */

/* `tell(opaque, events)` is called in the vCPU's thread, with events from the above, at least one.
 */
struct pvpanic *pvpanic_new(void (*tell)(void *opaque, unsigned events), void *opaque);
void pvpanic_free(struct pvpanic *pvpanic);
struct bus_device *pvpanic_bus_device(struct pvpanic *pvpanic);

#endif
