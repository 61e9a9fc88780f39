/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arm's UART (PrimeCell UART PL011, Arm DDI 0183): 16-byte FIFOs, interrupt driven both ways. Its
 * bytes go to and come from a chardev. No DMA, no loopback, no infrared, and its line knows no
 * errors.
 */
#ifndef VOLE_DEVICES_PL011_H
#define VOLE_DEVICES_PL011_H

#include "vmm/backend/chardev.h"
#include "vmm/bus.h"
#include "vmm/irq.h"

struct pl011;

enum pl011_register {
    PL011_DR = 0x00,
    PL011_RSR = 0x04,
    PL011_FR = 0x18,
    PL011_ILPR = 0x20,
    PL011_IBRD = 0x24,
    PL011_FBRD = 0x28,
    PL011_LCR_H = 0x2c,
    PL011_CR = 0x30,
    PL011_IFLS = 0x34,
    PL011_IMSC = 0x38,
    PL011_RIS = 0x3c,
    PL011_MIS = 0x40,
    PL011_ICR = 0x44,
    PL011_DMACR = 0x48,
};

/* FR */
#define PL011_FR_CTS  0x01
#define PL011_FR_DSR  0x02
#define PL011_FR_DCD  0x04
#define PL011_FR_RXFE 0x10 /* nothing received */
#define PL011_FR_TXFF 0x20 /* no room to send */
#define PL011_FR_RXFF 0x40
#define PL011_FR_TXFE 0x80

#define PL011_LCR_FEN 0x10 /* FIFOs, or registers of one byte each */

/* IMSC, RIS, MIS, ICR */
#define PL011_INT_RX 0x10 /* as many bytes as IFLS says */
#define PL011_INT_TX 0x20
#define PL011_INT_RT 0x40 /* bytes, but fewer */

/* Both stay the caller's and must live longer. */
struct pl011 *pl011_new(struct chardev *chr, struct irq_line *irq);
void pl011_free(struct pl011 *uart);
struct bus_device *pl011_bus_device(struct pl011 *uart);
/* As after power-on: registers, FIFOs. No vCPU runs meanwhile. */
void pl011_reset(struct pl011 *uart);

#endif
