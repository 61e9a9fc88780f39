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
    int eventfd;  /* -1: not made; raising does nothing */
    uint32_t gsi; /* the number that the architecture's interrupt controller knows it by */
};

/* Makes the eventfd. 0, or -1 with `err`. */
int irq_line_init(struct irq_line *line, uint32_t gsi, struct error *err);
void irq_line_close(struct irq_line *line);
/* From any thread. */
void irq_line_raise(const struct irq_line *line);

#define IRQ_MAX_LINES 64

/* All lines of a machine. kvm_wire_lines() gives them to KVM each time the VM is made. Devices may
 * share one: it is then one eventfd, raised by all of them, and one irqfd, for KVM raises and
 * lowers a pin in two steps, and two irqfds on one pin could fall between each other's steps, where
 * an edge is lost. */
struct irq_lines {
    struct irq_line lines[IRQ_MAX_LINES];
    unsigned count;
};

/* The line of that number, made when it is first asked for. It stays where it is until
 * irq_lines_close(). NULL with `err`. */
struct irq_line *irq_lines_get(struct irq_lines *all, uint32_t gsi, struct error *err);
void irq_lines_close(struct irq_lines *all);

#endif
