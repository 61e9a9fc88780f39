/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arm's real-time clock (PrimeCell RTC PL031, Arm DDI 0224): a counter of seconds since 1970, and
 * an alarm.
 */
#ifndef VOLE_DEVICES_PL031_H
#define VOLE_DEVICES_PL031_H

#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/loop.h"

struct pl031;

enum pl031_register {
    PL031_DR = 0x00, /* the time */
    PL031_MR = 0x04, /* the alarm's */
    PL031_LR = 0x08, /* sets the time */
    PL031_CR = 0x0c,
    PL031_IMSC = 0x10,
    PL031_RIS = 0x14,
    PL031_MIS = 0x18,
    PL031_ICR = 0x1c,
};

/*
 * Shows the host's time (its local time with `localtime`) and `offset` seconds more. A guest that
 * sets the clock changes that difference, for as long as this device lives. `irq` and `loop`, in
 * whose thread the alarm comes, stay the caller's. NULL with `err` set.
 */
struct pl031 *pl031_new(struct irq_line *irq, struct loop *loop, bool localtime, int64_t offset,
                        struct error *err);
void pl031_free(struct pl031 *rtc);
struct bus_device *pl031_bus_device(struct pl031 *rtc);
/* The machine's reset: no alarm is enabled. The time goes on. No vCPU runs meanwhile. */
void pl031_reset(struct pl031 *rtc);

#endif
