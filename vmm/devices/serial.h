/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A 16550A UART (National Semiconductor PC16550D data sheet): 8 registers, 16-byte FIFOs,
 * interrupt driven both ways. Its bytes go to and come from a chardev.
 */
#ifndef VOLE_DEVICES_SERIAL_H
#define VOLE_DEVICES_SERIAL_H

#include "vmm/backend/chardev.h"
#include "vmm/bus.h"
#include "vmm/irq.h"

struct serial;

#define SERIAL_REGISTERS 8 /* size of the range, in ports or bytes */

/* Both stay the caller's and must live longer. `chr` may be NULL: then nothing is connected. */
struct serial *serial_new(struct chardev *chr, struct irq_line *irq);
void serial_free(struct serial *serial);
struct bus_device *serial_bus_device(struct serial *serial);
/* As after power-on: registers, FIFOs. No vCPU runs meanwhile. */
void serial_reset(struct serial *serial);

#endif
