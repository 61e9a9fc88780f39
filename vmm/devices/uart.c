/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/devices/uart.h"

void uart_fifo_clear(struct uart_fifo *f)
{
    f->start = f->count = 0;
}

void uart_fifo_push(struct uart_fifo *f, uint8_t byte)
{
    f->bytes[(f->start + f->count++) & (UART_FIFO_SIZE - 1)] = byte;
}

uint8_t uart_fifo_pop(struct uart_fifo *f)
{
    uint8_t byte = f->bytes[f->start];

    f->start = (f->start + 1) & (UART_FIFO_SIZE - 1);
    f->count--;
    return byte;
}

size_t uart_fifo_fill(struct uart_fifo *f, unsigned capacity, const uint8_t *data, size_t len)
{
    size_t taken = 0;

    while (taken < len && f->count < capacity)
        uart_fifo_push(f, data[taken++]);
    return taken;
}

bool uart_fifo_send(struct uart_fifo *f, struct chardev *chr)
{
    bool any = false;

    while (f->count > 0 && chardev_write(chr, &f->bytes[f->start], 1) == 1) {
        uart_fifo_pop(f);
        any = true;
    }
    return any;
}

void uart_fifo_send_last(struct uart_fifo *f, struct chardev *chr)
{
    if (f->count > 0)
        chardev_drain(chr);
    uart_fifo_send(f, chr);
}
