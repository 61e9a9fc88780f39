/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An interrupt line as a device sees it: something to raise. Behind it is an eventfd that KVM
 * holds as irqfd, so that raising is one write from any thread and no vCPU is disturbed.
 * All lines are edge triggered.
 */
#ifndef VOLE_IRQ_H
#define VOLE_IRQ_H

#include <stdint.h>

#include "vmm/util.h"

struct irq_line {
    int eventfd; /* -1: not wired; raising does nothing */
    uint32_t gsi;
};

/* Makes the eventfd; machine.c gives it to KVM each time the VM is made. 0, or -1 with `err`. */
int irq_line_init(struct irq_line *line, uint32_t gsi, struct error *err);
void irq_line_close(struct irq_line *line);
/* From any thread. */
void irq_line_raise(const struct irq_line *line);

#endif
