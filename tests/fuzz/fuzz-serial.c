/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any accesses of a guest to the serial port, mixed with bytes from the host. Three bytes are one
 * step: what is done and how wide, the register, the value. What must hold after each: IIR and LSR
 * have no impossible bits, and a cause that IIR names is one that is enabled.
 */
#include <linux/serial_reg.h>
#include <stdint.h>

#include "tests/fuzz/terminal.h"
#include "vmm/devices/serial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bench {
    struct terminal terminal;
    struct irq_line irq;
    struct serial *serial;
    struct bus bus;
};

static void bench_open(struct bench *b)
{
    struct error err;

    *b = (struct bench){0};
    terminal_open(&b->terminal);
    if (irq_line_init(&b->irq, 4, &err) < 0)
        abort();
    b->serial = serial_new(b->terminal.chr, &b->irq);
    if (bus_add(&b->bus, 0, SERIAL_REGISTERS, 0, serial_bus_device(b->serial), &err) < 0)
        abort();
}

static void bench_close(struct bench *b)
{
    serial_free(b->serial);
    terminal_close(&b->terminal);
    irq_line_close(&b->irq);
}

static void check_registers(struct bench *b)
{
    uint64_t lcr = bus_read(&b->bus, UART_LCR, 1);
    uint64_t lsr;
    uint64_t iir;
    uint64_t ier;

    bus_write(&b->bus, UART_LCR, lcr & ~(uint64_t)UART_LCR_DLAB, 1);
    ier = bus_read(&b->bus, UART_IER, 1);
    iir = bus_read(&b->bus, UART_IIR, 1);
    lsr = bus_read(&b->bus, UART_LSR, 1);
    bus_write(&b->bus, UART_LCR, lcr, 1);
    if ((ier & 0xf0) || (iir & 0x30) || (lsr & ~(uint64_t)0x63))
        abort();
    switch (iir & 0x0f) {
    case UART_IIR_NO_INT:
        break;
    case UART_IIR_RLSI:
        if (!(ier & UART_IER_RLSI))
            abort();
        break;
    case UART_IIR_RDI:
    case UART_IIR_RX_TIMEOUT:
        if (!(ier & UART_IER_RDI) || !(lsr & UART_LSR_DR))
            abort();
        break;
    case UART_IIR_THRI:
        if (!(ier & UART_IER_THRI) || !(lsr & UART_LSR_THRE))
            abort();
        break;
    case UART_IIR_MSI:
        if (!(ier & UART_IER_MSI))
            abort();
        break;
    default:
        abort();
    }
}

static void step(struct bench *b, const uint8_t bytes[3])
{
    static const unsigned widths[] = {1, 2, 4, 8};
    unsigned width = widths[bytes[0] >> 6];

    switch (bytes[0] & 7) {
    case 0:
    case 1:
    case 2:
        bus_write(&b->bus, bytes[1] & 7, bytes[2] * UINT64_C(0x0101010101010101), width);
        break;
    case 3:
    case 4:
        bus_read(&b->bus, bytes[1] & 7, width);
        break;
    case 5:
        terminal_type(&b->terminal, bytes, 3);
        break;
    case 6:
        terminal_drain(&b->terminal);
        break;
    default:
        serial_reset(b->serial);
        break;
    }
    check_registers(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bench b;

    bench_open(&b);
    for (size_t i = 0; i + 3 <= size; i += 3)
        step(&b, data + i);
    bench_close(&b);
    return 0;
}
