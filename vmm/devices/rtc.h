/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The PC's real-time clock (Motorola MC146818A data sheet) with its 128 bytes of CMOS memory: an
 * index port and a data port, and one interrupt line. The century stands in byte 0x32, as ACPI is
 * told.
 */
#ifndef VOLE_DEVICES_RTC_H
#define VOLE_DEVICES_RTC_H

#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/loop.h"

struct rtc;

#define RTC_PORTS 2 /* index, data */

enum rtc_register {
    RTC_SECONDS,
    RTC_SECONDS_ALARM,
    RTC_MINUTES,
    RTC_MINUTES_ALARM,
    RTC_HOURS,
    RTC_HOURS_ALARM,
    RTC_DAY_OF_WEEK, /* Sunday is 1 */
    RTC_DAY_OF_MONTH,
    RTC_MONTH, /* from 1 */
    RTC_YEAR,
    RTC_REG_A,
    RTC_REG_B,
    RTC_REG_C,
    RTC_REG_D,
    RTC_CENTURY = 0x32,
};

/* Register A: update in progress, dividers, rate. */
#define RTC_UIP           0x80
#define RTC_DIVIDER_32KHZ 0x20
#define RTC_DIVIDER_RESET 0x60 /* and 0x70 */
#define RTC_RATE          0x0f

/* Register B. The interrupts' bits are the same in register C, where they mean "it happened". */
#define RTC_SET    0x80 /* the time stands still, to be set */
#define RTC_PI     0x40 /* periodic */
#define RTC_AI     0x20 /* alarm */
#define RTC_UI     0x10 /* update ended */
#define RTC_SQWE   0x08 /* square wave, on a pin that leads nowhere */
#define RTC_BINARY 0x04 /* or BCD */
#define RTC_24H    0x02 /* or 12 hours, with bit 7 for p.m. */

#define RTC_IRQF 0x80 /* register C: one that is enabled happened */
#define RTC_VRT  0x80 /* register D: the battery is good */

/*
 * Shows the host's time (its local time with `localtime`) and `offset` seconds more. A guest that
 * sets the clock changes that difference, for as long as this device lives. `irq` and `loop`, in
 * whose thread its interrupts come about, stay the caller's. NULL with `err` set.
 */
struct rtc *rtc_new(struct irq_line *irq, struct loop *loop, bool localtime, int64_t offset,
                    struct error *err);
void rtc_free(struct rtc *rtc);
struct bus_device *rtc_bus_device(struct rtc *rtc);
/* The machine's reset: no interrupt is enabled or pending. Time, alarm and memory have a battery.
 * No vCPU runs meanwhile. */
void rtc_reset(struct rtc *rtc);

#endif
