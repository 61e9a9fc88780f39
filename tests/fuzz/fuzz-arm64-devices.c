/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any accesses of a guest to Arm's UART, clock and GPIO controller, mixed with bytes from the host,
 * the power button and resets. Four bytes are one step: what is done and how wide, the device, the
 * register, the value. What must hold after each: masked interrupts are those that are raw and
 * enabled, the UART's flags fit its interrupts, and no interrupt appears without an edge.
 */
#include <stdint.h>

#include "tests/fuzz/terminal.h"
#include "vmm/devices/pl011.h"
#include "vmm/devices/pl031.h"
#include "vmm/devices/pl061.h"
#include "vmm/devices/primecell.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { UART, CLOCK, GPIO, DEVICES };

static const struct {
    uint64_t first; /* of 32, among which all are that do something */
    uint64_t imsc;
    uint64_t ris;
    uint64_t mis;
} registers[DEVICES] = {
    [UART] = {PL011_DR, PL011_IMSC, PL011_RIS, PL011_MIS},
    [CLOCK] = {PL031_DR, PL031_IMSC, PL031_RIS, PL031_MIS},
    [GPIO] = {PL061_DIR - 0x40, PL061_IE, PL061_RIS, PL061_MIS},
};

struct bench {
    struct terminal terminal;
    struct pl011 *uart;
    struct pl031 *clock;
    struct pl061 *gpio;
    struct irq_line irq[DEVICES];
    uint64_t shown[DEVICES]; /* MIS after the last step */
    struct bus bus;
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void connect_device(struct bench *b, unsigned device, struct bus_device *dev)
{
    struct error err;

    require(bus_add(&b->bus, device * PRIMECELL_SIZE, PRIMECELL_SIZE, 0, dev, &err) == 0);
}

static void bench_open(struct bench *b)
{
    struct error err;

    *b = (struct bench){0};
    terminal_open(&b->terminal);
    for (unsigned i = 0; i < DEVICES; i++)
        require(irq_line_init(&b->irq[i], i, &err) == 0);
    b->uart = pl011_new(b->terminal.chr, &b->irq[UART]);
    b->clock = pl031_new(&b->irq[CLOCK], b->terminal.round.loop, false, 0, &err);
    b->gpio = pl061_new(&b->irq[GPIO], b->terminal.round.loop, &err);
    require(b->clock && b->gpio);
    connect_device(b, UART, pl011_bus_device(b->uart));
    connect_device(b, CLOCK, pl031_bus_device(b->clock));
    connect_device(b, GPIO, pl061_bus_device(b->gpio));
}

static void bench_close(struct bench *b)
{
    pl011_free(b->uart);
    pl031_free(b->clock);
    pl061_free(b->gpio);
    terminal_close(&b->terminal);
    for (unsigned i = 0; i < DEVICES; i++)
        irq_line_close(&b->irq[i]);
}

static uint64_t get(const struct bench *b, unsigned device, uint64_t reg)
{
    return bus_read(&b->bus, device * PRIMECELL_SIZE + reg, 4);
}

static void check_interrupts(struct bench *b, unsigned device)
{
    uint64_t raw = get(b, device, registers[device].ris);
    uint64_t mis = get(b, device, registers[device].mis);
    eventfd_t count;
    bool edge = eventfd_read(b->irq[device].eventfd, &count) == 0;

    require(mis == (raw & get(b, device, registers[device].imsc)));
    require(edge || !(mis & ~b->shown[device]));
    b->shown[device] = mis;
}

static void check_uart(const struct bench *b)
{
    uint64_t flags = get(b, UART, PL011_FR);
    uint64_t raw = get(b, UART, PL011_RIS);

    require(!(raw & PL011_INT_RT) == !!(flags & PL011_FR_RXFE));
    require(!(raw & PL011_INT_RX) || !(flags & PL011_FR_RXFE));
    require(!(raw & PL011_INT_TX) || (flags & PL011_FR_TXFE));
    require(!(flags & PL011_FR_TXFF) || !(flags & PL011_FR_TXFE));
}

static void reset(struct bench *b)
{
    pl011_reset(b->uart);
    pl031_reset(b->clock);
    pl061_reset(b->gpio);
}

/* Mostly one of the registers that do something. */
static uint64_t address_of(const uint8_t bytes[4])
{
    unsigned device = bytes[1] & 3;

    if (device >= DEVICES)
        return ((uint64_t)bytes[1] << 6 | bytes[2]) % (DEVICES * PRIMECELL_SIZE);
    return device * PRIMECELL_SIZE + registers[device].first + bytes[2] % 32 * 4;
}

static void step(struct bench *b, const uint8_t bytes[4])
{
    static const unsigned widths[] = {1, 2, 4, 8};
    unsigned width = widths[bytes[0] >> 6];
    uint64_t address = address_of(bytes);

    switch (bytes[0] & 7) {
    case 0:
    case 1:
    case 2:
        bus_write(&b->bus, address, bytes[3] * UINT64_C(0x0101010101010101), width);
        break;
    case 3:
        bus_read(&b->bus, address, width);
        break;
    case 4:
        pl061_press_button(b->gpio);
        break;
    case 5:
        terminal_type(&b->terminal, bytes, 4);
        break;
    case 6:
        terminal_drain(&b->terminal);
        break;
    default:
        reset(b);
        break;
    }
    for (unsigned i = 0; i < DEVICES; i++)
        check_interrupts(b, i);
    check_uart(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bench b;

    bench_open(&b);
    for (size_t i = 0; i + 4 <= size; i += 4)
        step(&b, data + i);
    bench_close(&b);
    return 0;
}
