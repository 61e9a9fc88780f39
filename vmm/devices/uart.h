/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the UARTs have in common: a FIFO of sixteen bytes for each direction, and how one is filled
 * from and emptied into a chardev. Nothing here takes a lock: the FIFOs are under their device's.
 */
#ifndef VOLE_DEVICES_UART_H
#define VOLE_DEVICES_UART_H

#include "vmm/backend/chardev.h"

#define UART_FIFO_SIZE 16
_Static_assert((UART_FIFO_SIZE & (UART_FIFO_SIZE - 1)) == 0, "indices wrap by masking");

struct uart_fifo {
    uint8_t bytes[UART_FIFO_SIZE];
    unsigned start;
    unsigned count;
};

void uart_fifo_clear(struct uart_fifo *f);
/* There is room, and there is something, respectively. */
void uart_fifo_push(struct uart_fifo *f, uint8_t byte);
uint8_t uart_fifo_pop(struct uart_fifo *f);
/* Takes what fits until there are `capacity` bytes in it; how many of `data` that was. */
size_t uart_fifo_fill(struct uart_fifo *f, unsigned capacity, const uint8_t *data, size_t len);
/* Gives the chardev what it takes; whether that was anything. */
bool uart_fifo_send(struct uart_fifo *f, struct chardev *chr);
/* Before the device goes, its callbacks being out of the chardev: a guest that is faster than its
 * reader may power off while the FIFO waits for the chardev, whose own close sees only to what the
 * chardev has. */
void uart_fifo_send_last(struct uart_fifo *f, struct chardev *chr);

#endif
