/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arm's GPIO controller (PrimeCell GPIO PL061, Arm DDI 0190) with one thing connected to its eight
 * lines: the power button, on line PL061_BUTTON.
 */
#ifndef VOLE_DEVICES_PL061_H
#define VOLE_DEVICES_PL061_H

#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/loop.h"

struct pl061;

#define PL061_BUTTON 3 /* the line; high while the button is held */

enum pl061_register {
    PL061_DATA = 0x000, /* to 0x3fc: bits 9 to 2 of the address are a mask of lines */
    PL061_DIR = 0x400,  /* outputs */
    PL061_IS = 0x404,   /* interrupts by level, not edge */
    PL061_IBE = 0x408,  /* on both edges */
    PL061_IEV = 0x40c,  /* on the rising one, or the high level */
    PL061_IE = 0x410,   /* enabled */
    PL061_RIS = 0x414,
    PL061_MIS = 0x418,
    PL061_IC = 0x41c,
    PL061_AFSEL = 0x420,
};

/* `irq` and `loop`, in whose thread the button is let go, stay the caller's. NULL with `err`. */
struct pl061 *pl061_new(struct irq_line *irq, struct loop *loop, struct error *err);
void pl061_free(struct pl061 *gpio);
struct bus_device *pl061_bus_device(struct pl061 *gpio);
/* As after power-on. No vCPU runs meanwhile. */
void pl061_reset(struct pl061 *gpio);
/* Presses the button, and lets go of it after a moment. From any thread. */
void pl061_press_button(struct pl061 *gpio);

#endif
