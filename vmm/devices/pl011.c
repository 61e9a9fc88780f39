/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The port is as fast as its chardev: what is written is gone at once, and only when the chardev's
 * buffer is full bytes wait in the transmit FIFO, until TXFF stops the guest. What comes in stays
 * with the chardev until the receive FIFO is empty. As with the PC's port (serial.c), the receive
 * timeout counts as over as soon as it begins.
 *
 * Interrupts. The chip holds its line up as long as an enabled cause is there. Ours is sent as an
 * edge, and one is sent whenever a cause appears and whenever one happens anew: bytes that come
 * while the guest is serving the last ones are told of again. So a driver that gives up before the
 * FIFO is empty, as Linux does after some turns, is called once more.
 */
#include "vmm/devices/pl011.h"

#include "vmm/devices/primecell.h"
#include "vmm/devices/uart.h"

#define PART     0x011
#define REVISION 3

#define CR_RESET   0x0300 /* both directions on, the UART off */
#define IFLS_RESET 0x12   /* both FIFOs at half */
#define INT_ALL    0x07ff

struct pl011 {
    struct bus_device bus; /* its lock is over all below, and is taken by the chardev's callbacks */
    struct chardev *chr;
    struct irq_line *irq;

    uint16_t ilpr;
    uint16_t ibrd;
    uint16_t fbrd;
    uint16_t lcr;
    uint16_t cr;
    uint16_t ifls;
    uint16_t imsc;
    uint16_t dmacr;
    bool tx_done; /* the transmitter came to be empty, and ICR has not taken note */
    struct uart_fifo rx;
    struct uart_fifo tx; /* empty unless the chardev is full */
    unsigned shown;      /* of MIS, at the last look */
};

/* Without FIFOs there are the holding registers, of one byte each. */
static unsigned fifo_capacity(const struct pl011 *s)
{
    return s->lcr & PL011_LCR_FEN ? UART_FIFO_SIZE : 1;
}

static unsigned rx_trigger(const struct pl011 *s)
{
    static const uint8_t eighths[8] = {1, 2, 4, 6, 7, 7, 7, 7};

    return s->lcr & PL011_LCR_FEN ? UART_FIFO_SIZE / 8 * eighths[s->ifls >> 3 & 7] : 1;
}

/* ---- interrupts ---- */

static unsigned raw_interrupts(const struct pl011 *s)
{
    return (s->rx.count >= rx_trigger(s) ? PL011_INT_RX : 0) |
           (s->rx.count > 0 ? PL011_INT_RT : 0) | (s->tx_done ? PL011_INT_TX : 0);
}

/* After each change of what raw_interrupts() looks at. `happened` are those that did so anew. */
static void update_irq(struct pl011 *s, unsigned happened)
{
    unsigned now = raw_interrupts(s) & s->imsc;

    if (now & (happened | ~s->shown))
        irq_line_raise(s->irq);
    s->shown = now;
}

/* ---- bytes ---- */

static void write_dr(struct pl011 *s, uint8_t byte)
{
    if (s->tx.count == 0 && chardev_write(s->chr, &byte, 1) == 1) {
        s->tx_done = true;
        return;
    }
    /* From here on pl011_writable() is what empties it. A guest that writes in spite of TXFF loses
     * the byte, as on the chip. */
    s->tx_done = false;
    if (s->tx.count < fifo_capacity(s))
        uart_fifo_push(&s->tx, byte);
}

static uint8_t read_dr(struct pl011 *s)
{
    uint8_t byte = 0;

    if (s->rx.count > 0)
        byte = uart_fifo_pop(&s->rx);
    /* Asked for when the FIFO is empty, so that the next bytes come sixteen at a time. */
    if (s->rx.count == 0)
        chardev_accept_input(s->chr);
    return byte;
}

static uint32_t read_fr(const struct pl011 *s)
{
    return PL011_FR_CTS | PL011_FR_DSR | PL011_FR_DCD | (s->rx.count == 0 ? PL011_FR_RXFE : 0) |
           (s->rx.count >= fifo_capacity(s) ? PL011_FR_RXFF : 0) |
           (s->tx.count >= fifo_capacity(s) ? PL011_FR_TXFF : 0) |
           (s->tx.count == 0 ? PL011_FR_TXFE : 0);
}

/* ---- the chardev's side, in its loop's thread ---- */

static size_t pl011_input(void *opaque, const uint8_t *data, size_t len)
{
    struct pl011 *s = opaque;
    size_t taken;

    pthread_mutex_lock(&s->bus.lock);
    taken = uart_fifo_fill(&s->rx, fifo_capacity(s), data, len);
    update_irq(s, taken ? PL011_INT_RX | PL011_INT_RT : 0);
    pthread_mutex_unlock(&s->bus.lock);
    return taken;
}

static void pl011_writable(void *opaque)
{
    struct pl011 *s = opaque;

    pthread_mutex_lock(&s->bus.lock);
    if (uart_fifo_send(&s->tx, s->chr))
        s->tx_done = s->tx.count == 0;
    update_irq(s, PL011_INT_TX);
    pthread_mutex_unlock(&s->bus.lock);
}

static const struct chardev_events pl011_events = {
    .input = pl011_input,
    .writable = pl011_writable,
};

/* ---- registers ---- */

static uint64_t pl011_read(struct bus_device *dev, uint64_t offset, unsigned len)
{
    struct pl011 *s = container_of(dev, struct pl011, bus);
    uint32_t value;

    (void)len;
    switch (offset) {
    case PL011_DR:
        value = read_dr(s);
        update_irq(s, 0);
        return value;
    case PL011_FR:
        return read_fr(s);
    case PL011_ILPR:
        return s->ilpr;
    case PL011_IBRD:
        return s->ibrd;
    case PL011_FBRD:
        return s->fbrd;
    case PL011_LCR_H:
        return s->lcr;
    case PL011_CR:
        return s->cr;
    case PL011_IFLS:
        return s->ifls;
    case PL011_IMSC:
        return s->imsc;
    case PL011_RIS:
        return raw_interrupts(s);
    case PL011_MIS:
        return raw_interrupts(s) & s->imsc;
    case PL011_DMACR:
        return s->dmacr;
    default:
        return primecell_id(PART, REVISION, offset);
    }
}

/* Turning the FIFOs on or off empties them; what waits to be sent is not thrown away because a
 * driver starts. */
static void write_lcr(struct pl011 *s, uint16_t value)
{
    if ((value ^ s->lcr) & PL011_LCR_FEN) {
        uart_fifo_clear(&s->rx);
        chardev_accept_input(s->chr);
    }
    s->lcr = value & 0xff;
}

static void write_register(struct pl011 *s, uint64_t offset, uint16_t value)
{
    switch (offset) {
    case PL011_DR:
        write_dr(s, (uint8_t)value);
        break;
    case PL011_ILPR:
        s->ilpr = value & 0xff;
        break;
    case PL011_IBRD:
        s->ibrd = value;
        break;
    case PL011_FBRD:
        s->fbrd = value & 0x3f;
        break;
    case PL011_LCR_H:
        write_lcr(s, value);
        break;
    case PL011_CR:
        s->cr = value;
        break;
    case PL011_IFLS:
        s->ifls = value & 0x3f;
        break;
    case PL011_IMSC:
        s->imsc = value & INT_ALL;
        break;
    case PL011_ICR:
        if (value & PL011_INT_TX)
            s->tx_done = false;
        break;
    case PL011_DMACR:
        s->dmacr = value & 7;
        break;
    default:
        break; /* read-only, or nothing */
    }
}

static void pl011_write(struct bus_device *dev, uint64_t offset, uint64_t value, unsigned len)
{
    struct pl011 *s = container_of(dev, struct pl011, bus);

    (void)len;
    write_register(s, offset, (uint16_t)value);
    update_irq(s, 0);
}

static const struct bus_ops pl011_ops = {
    .read = pl011_read,
    .write = pl011_write,
};

/* ---- life ---- */

static void reset_registers(struct pl011 *s)
{
    s->ilpr = s->ibrd = s->fbrd = s->lcr = s->imsc = s->dmacr = 0;
    s->cr = CR_RESET;
    s->ifls = IFLS_RESET;
    s->tx_done = false;
    uart_fifo_clear(&s->rx);
    s->shown = 0;
}

/* What waits to be sent is what the guest said before it was reset, and goes out all the same. */
void pl011_reset(struct pl011 *s)
{
    pthread_mutex_lock(&s->bus.lock);
    reset_registers(s);
    chardev_accept_input(s->chr);
    pthread_mutex_unlock(&s->bus.lock);
}

struct pl011 *pl011_new(struct chardev *chr, struct irq_line *irq)
{
    struct pl011 *s = xcalloc(1, sizeof(*s));

    bus_device_init(&s->bus, &pl011_ops);
    s->chr = chr;
    s->irq = irq;
    reset_registers(s);
    chardev_attach(chr, &pl011_events, s);
    return s;
}

void pl011_free(struct pl011 *s)
{
    if (!s)
        return;
    chardev_attach(s->chr, NULL, NULL);
    uart_fifo_send_last(&s->tx, s->chr);
    pthread_mutex_destroy(&s->bus.lock);
    free(s);
}

struct bus_device *pl011_bus_device(struct pl011 *s)
{
    return &s->bus;
}
