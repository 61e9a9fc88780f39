/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine's power registers: ACPI's sleep control, sleep status and reset registers of a
 * hardware-reduced platform (ACPI 6.4, sections 4.8.3.6, 4.8.3.7), and the line of its power
 * button.
 */
#ifndef VOLE_DEVICES_POWER_H
#define VOLE_DEVICES_POWER_H

#include "vmm/bus.h"
#include "vmm/irq.h"

struct power;

#define POWER_SLEEP_CONTROL 0 /* SLP_EN | SLP_TYP: the soft-off state ends the machine */
#define POWER_SLEEP_STATUS  1
#define POWER_RESET         2 /* write POWER_RESET_VALUE */
#define POWER_REGISTERS     3

#define POWER_S5_TYPE     5 /* SLP_TYP of \_S5 */
#define POWER_RESET_VALUE 1

/* `off` and `reset` are called in the vCPU's thread. The line stays the caller's. */
struct power *power_new(struct irq_line *button, void (*off)(void *opaque),
                        void (*reset)(void *opaque), void *opaque);
void power_free(struct power *power);
struct bus_device *power_bus_device(struct power *power);
/* Tells the guest that the button was pressed. From any thread. */
void power_press_button(struct power *power);

#endif
