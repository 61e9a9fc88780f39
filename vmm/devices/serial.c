/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The port is as fast as its chardev. A byte that is written is gone at once, so that the
 * transmitter is nearly always empty; when the chardev's buffer is full, bytes wait in the transmit
 * FIFO, THRE goes down, and the guest's own flow control does the rest. Bytes that come in stay
 * with the chardev until the receive FIFO has room, so that there are no overruns.
 *
 * Interrupts. On a PC the port's line is the OR of its enabled causes and the interrupt controller
 * sees its rising edge. Ours is finer: an edge is sent whenever a cause appears that was not there
 * before, even beside another one. A guest that serves causes until IIR names none loses nothing;
 * one that is served twice finds nothing to do. The transmitter's cause is not taken back for the
 * moment in which a byte is in it, or a guest that writes sixteen of them would be sent sixteen
 * edges.
 *
 * The character timeout (bytes in the FIFO, but fewer than the trigger level, for four character
 * times) counts as over as soon as it begins: a host's bytes come in bursts, and nothing is won by
 * waiting for more.
 *
 * The modem's lines are those of a cable that is always plugged in (DCD, DSR, CTS), whether or not
 * somebody is connected: a guest whose login died with each closed console would please nobody.
 */
#include "vmm/devices/serial.h"

#include <linux/serial_reg.h>

#include "vmm/devices/uart.h"

/* Why an interrupt is wanted, as a set. */
enum cause {
    CAUSE_LINE_STATUS = 1 << 0,
    CAUSE_RECEIVE = 1 << 1,
    CAUSE_TRANSMIT = 1 << 2,
    CAUSE_MODEM_STATUS = 1 << 3,
};

struct serial {
    struct bus_device bus; /* its lock is over all below, and is taken by the chardev's callbacks */
    struct chardev *chr;
    struct irq_line *irq;

    uint8_t ier;
    uint8_t fcr; /* enable and trigger bits */
    uint8_t lcr;
    uint8_t mcr;
    uint8_t line_errors;  /* of LSR: those that reading it clears */
    uint8_t modem_deltas; /* of MSR: the low half */
    uint8_t modem_lines;  /* the high half, as of the last look */
    uint8_t scratch;
    uint8_t divisor[2];
    struct uart_fifo rx;
    struct uart_fifo tx; /* empty unless the chardev is full */
    bool tx_done;        /* the transmitter became empty, and IIR has not said so yet */
    unsigned causes;     /* at the last look */
};

static bool fifos_enabled(const struct serial *s)
{
    return s->fcr & UART_FCR_ENABLE_FIFO;
}

/* Without FIFOs there are the holding registers, of one byte each. */
static unsigned fifo_capacity(const struct serial *s)
{
    return fifos_enabled(s) ? UART_FIFO_SIZE : 1;
}

static unsigned rx_trigger(const struct serial *s)
{
    static const uint8_t levels[] = {1, 4, 8, 14};

    return fifos_enabled(s) ? levels[s->fcr >> 6] : 1;
}

/* ---- interrupts ---- */

static unsigned pending_causes(const struct serial *s)
{
    unsigned causes = 0;

    if ((s->ier & UART_IER_RLSI) && s->line_errors)
        causes |= CAUSE_LINE_STATUS;
    if ((s->ier & UART_IER_RDI) && s->rx.count > 0)
        causes |= CAUSE_RECEIVE;
    if ((s->ier & UART_IER_THRI) && s->tx_done)
        causes |= CAUSE_TRANSMIT;
    if ((s->ier & UART_IER_MSI) && s->modem_deltas)
        causes |= CAUSE_MODEM_STATUS;
    return causes;
}

/* After each change of what pending_causes() looks at. */
static void update_irq(struct serial *s)
{
    unsigned causes = pending_causes(s);

    if (causes & ~s->causes)
        irq_line_raise(s->irq);
    s->causes = causes;
}

static uint8_t read_iir(struct serial *s)
{
    uint8_t iir = fifos_enabled(s) ? 0xc0 : 0;
    unsigned causes = pending_causes(s);

    if (causes & CAUSE_LINE_STATUS)
        return iir | UART_IIR_RLSI;
    if (causes & CAUSE_RECEIVE)
        return iir | (s->rx.count >= rx_trigger(s) ? UART_IIR_RDI : UART_IIR_RX_TIMEOUT);
    if (causes & CAUSE_TRANSMIT) {
        s->tx_done = false; /* naming it is what acknowledges it */
        return iir | UART_IIR_THRI;
    }
    if (causes & CAUSE_MODEM_STATUS)
        return iir | UART_IIR_MSI;
    return iir | UART_IIR_NO_INT;
}

/* ---- modem lines ---- */

static uint8_t modem_lines(const struct serial *s)
{
    if (!(s->mcr & UART_MCR_LOOP))
        return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
    /* In loopback the outputs are wired to the inputs. */
    return (s->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) | (s->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
           (s->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) | (s->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0);
}

static void update_modem_lines(struct serial *s)
{
    uint8_t now = modem_lines(s);
    uint8_t changed = now ^ s->modem_lines;

    if (changed & UART_MSR_CTS)
        s->modem_deltas |= UART_MSR_DCTS;
    if (changed & UART_MSR_DSR)
        s->modem_deltas |= UART_MSR_DDSR;
    if (changed & ~now & UART_MSR_RI)
        s->modem_deltas |= UART_MSR_TERI;
    if (changed & UART_MSR_DCD)
        s->modem_deltas |= UART_MSR_DDCD;
    s->modem_lines = now;
}

static uint8_t read_msr(struct serial *s)
{
    uint8_t msr = s->modem_lines | s->modem_deltas;

    s->modem_deltas = 0;
    return msr;
}

/* ---- bytes ---- */

static void loop_back(struct serial *s, uint8_t byte)
{
    if (s->rx.count < fifo_capacity(s))
        uart_fifo_push(&s->rx, byte);
    else
        s->line_errors |= UART_LSR_OE;
}

static void write_thr(struct serial *s, uint8_t byte)
{
    if (s->mcr & UART_MCR_LOOP) {
        loop_back(s, byte);
        s->tx_done = true;
        return;
    }
    if (s->tx.count == 0 && (!s->chr || chardev_write(s->chr, &byte, 1) == 1)) {
        s->tx_done = true;
        return;
    }
    /* From here on serial_writable() is what empties it. A guest that writes in spite of THRE
     * loses the byte, as on the chip. */
    s->tx_done = false;
    if (s->tx.count < fifo_capacity(s))
        uart_fifo_push(&s->tx, byte);
}

static uint8_t read_rbr(struct serial *s)
{
    uint8_t byte = 0;

    if (s->rx.count > 0)
        byte = uart_fifo_pop(&s->rx);
    /* Asked for when the FIFO is empty, so that the next bytes come sixteen at a time. */
    if (s->rx.count == 0 && s->chr)
        chardev_accept_input(s->chr);
    return byte;
}

static uint8_t read_lsr(struct serial *s)
{
    uint8_t lsr = s->line_errors;

    if (s->rx.count > 0)
        lsr |= UART_LSR_DR;
    if (s->tx.count == 0)
        lsr |= UART_LSR_THRE | UART_LSR_TEMT;
    s->line_errors = 0;
    return lsr;
}

/* ---- the chardev's side, in its loop's thread ---- */

static size_t serial_input(void *opaque, const uint8_t *data, size_t len)
{
    struct serial *s = opaque;
    size_t taken = 0;

    pthread_mutex_lock(&s->bus.lock);
    /* In loopback the input pin is disconnected: what comes waits for the guest to leave it. */
    if (!(s->mcr & UART_MCR_LOOP))
        taken = uart_fifo_fill(&s->rx, fifo_capacity(s), data, len);
    update_irq(s);
    pthread_mutex_unlock(&s->bus.lock);
    return taken;
}

static void serial_writable(void *opaque)
{
    struct serial *s = opaque;

    pthread_mutex_lock(&s->bus.lock);
    if (uart_fifo_send(&s->tx, s->chr))
        s->tx_done = s->tx.count == 0;
    update_irq(s);
    pthread_mutex_unlock(&s->bus.lock);
}

static const struct chardev_events serial_events = {
    .input = serial_input,
    .writable = serial_writable,
};

/* ---- registers ---- */

static void write_ier(struct serial *s, uint8_t value)
{
    uint8_t enabled = value & ~s->ier;

    s->ier = value & 0x0f;
    /* Enabling it while the transmitter is empty is a cause by itself; drivers start so. */
    if ((enabled & UART_IER_THRI) && s->tx.count == 0)
        s->tx_done = true;
}

static void write_fcr(struct serial *s, uint8_t value)
{
    bool toggled = (value ^ s->fcr) & UART_FCR_ENABLE_FIFO;

    s->fcr = value & (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK);
    if (!(value & UART_FCR_ENABLE_FIFO)) {
        s->fcr = 0;
        value = 0; /* the other bits count only together with it */
    }
    if (toggled || (value & UART_FCR_CLEAR_RCVR)) {
        uart_fifo_clear(&s->rx);
        if (s->chr)
            chardev_accept_input(s->chr);
    }
    /* The transmitter has nothing to clear: on a line this fast all was sent at once. What waits
     * for the chardev is not thrown away because a driver starts by clearing the FIFOs. */
}

static void write_mcr(struct serial *s, uint8_t value)
{
    bool left_loopback = (s->mcr & UART_MCR_LOOP) && !(value & UART_MCR_LOOP);

    s->mcr = value & 0x1f;
    update_modem_lines(s);
    if (left_loopback && s->chr)
        chardev_accept_input(s->chr);
}

static uint8_t read_register(struct serial *s, uint64_t offset)
{
    bool dlab = s->lcr & UART_LCR_DLAB;

    switch (offset) {
    case UART_RX:
        return dlab ? s->divisor[0] : read_rbr(s);
    case UART_IER:
        return dlab ? s->divisor[1] : s->ier;
    case UART_IIR:
        return read_iir(s);
    case UART_LCR:
        return s->lcr;
    case UART_MCR:
        return s->mcr;
    case UART_LSR:
        return read_lsr(s);
    case UART_MSR:
        return read_msr(s);
    case UART_SCR:
        return s->scratch;
    default:
        return 0xff;
    }
}

static void write_register(struct serial *s, uint64_t offset, uint8_t value)
{
    bool dlab = s->lcr & UART_LCR_DLAB;

    switch (offset) {
    case UART_TX:
        if (dlab)
            s->divisor[0] = value;
        else
            write_thr(s, value);
        break;
    case UART_IER:
        if (dlab)
            s->divisor[1] = value;
        else
            write_ier(s, value);
        break;
    case UART_FCR:
        write_fcr(s, value);
        break;
    case UART_LCR:
        s->lcr = value;
        break;
    case UART_MCR:
        write_mcr(s, value);
        break;
    case UART_SCR:
        s->scratch = value;
        break;
    default:
        break; /* LSR and MSR are read-only */
    }
}

/* A wider access is as many single ones, as on the ISA bus. */
static uint64_t serial_read(struct bus_device *dev, uint64_t offset, unsigned len)
{
    struct serial *s = container_of(dev, struct serial, bus);
    uint64_t value = 0;

    for (unsigned i = 0; i < len; i++)
        value |= (uint64_t)read_register(s, offset + i) << 8 * i;
    update_irq(s);
    return value;
}

static void serial_write(struct bus_device *dev, uint64_t offset, uint64_t value, unsigned len)
{
    struct serial *s = container_of(dev, struct serial, bus);

    for (unsigned i = 0; i < len; i++)
        write_register(s, offset + i, (uint8_t)(value >> 8 * i));
    update_irq(s);
}

static const struct bus_ops serial_ops = {
    .read = serial_read,
    .write = serial_write,
};

/* ---- life ---- */

void serial_reset(struct serial *s)
{
    pthread_mutex_lock(&s->bus.lock);
    s->ier = s->fcr = s->lcr = s->mcr = s->scratch = 0;
    s->line_errors = s->modem_deltas = 0;
    s->modem_lines = modem_lines(s);
    s->divisor[0] = s->divisor[1] = 0;
    uart_fifo_clear(&s->rx);
    /* What waits to be sent is what the guest said before it was reset, and goes out all the same.
     */
    s->tx_done = false;
    s->causes = 0;
    if (s->chr)
        chardev_accept_input(s->chr);
    pthread_mutex_unlock(&s->bus.lock);
}

struct serial *serial_new(struct chardev *chr, struct irq_line *irq)
{
    struct serial *s = xcalloc(1, sizeof(*s));

    bus_device_init(&s->bus, &serial_ops);
    s->chr = chr;
    s->irq = irq;
    s->modem_lines = modem_lines(s);
    if (chr)
        chardev_attach(chr, &serial_events, s);
    return s;
}

void serial_free(struct serial *s)
{
    if (!s)
        return;
    if (s->chr) {
        chardev_attach(s->chr, NULL, NULL);
        uart_fifo_send_last(&s->tx, s->chr);
    }
    pthread_mutex_destroy(&s->bus.lock);
    free(s);
}

struct bus_device *serial_bus_device(struct serial *s)
{
    return &s->bus;
}
