/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The port between a guest that is played here and a real chardev: one end of a socket pair. */
#include "vmm/devices/serial.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "tests/unit/tap.h"

struct port {
    struct bus bus;
    struct loop *loop; /* a thread */
    struct chardev *chr;
    struct irq_line irq;
    struct serial *serial;
    int host; /* our end */
};

static void port_open(struct port *p)
{
    struct error err;
    int pair[2];
    char spec[32];

    *p = (struct port){.loop = loop_thread_start("io", &err)};
    check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    p->host = pair[0];
    snprintf(spec, sizeof(spec), "fd:%d", pair[1]);
    p->chr = chardev_open(spec, "serial0", p->loop, &err);
    check(p->chr != NULL);
    check_int(irq_line_init(&p->irq, 4, &err), 0);
    p->serial = serial_new(p->chr, &p->irq);
    check_int(bus_add(&p->bus, 0x3f8, SERIAL_REGISTERS, 0, serial_bus_device(p->serial), &err), 0);
}

static void port_close(struct port *p)
{
    serial_free(p->serial);
    chardev_close(p->chr);
    loop_thread_stop(p->loop);
    irq_line_close(&p->irq);
    close(p->host);
}

static uint8_t in(struct port *p, unsigned reg)
{
    return (uint8_t)bus_read(&p->bus, 0x3f8 + reg, 1);
}

static void out(struct port *p, unsigned reg, uint8_t value)
{
    bus_write(&p->bus, 0x3f8 + reg, value, 1);
}

/* How many edges there were since the last look. */
static unsigned edges(struct port *p)
{
    eventfd_t count = 0;

    return eventfd_read(p->irq.eventfd, &count) == 0 ? (unsigned)count : 0;
}

/* Waits for an edge, as the guest's processor would; false after a minute. */
static bool wait_edge(struct port *p)
{
    struct pollfd fd = {.fd = p->irq.eventfd, .events = POLLIN};

    return check(poll(&fd, 1, 60000) == 1) && edges(p) > 0;
}

static void nothing(void *opaque)
{
}

/* When this returns, the loop's thread has done what it was going to do. */
static void settle(struct port *p)
{
    loop_call(p->loop, nothing, NULL);
    loop_call(p->loop, nothing, NULL);
}

static void host_write(struct port *p, const char *text)
{
    check_int(write(p->host, text, strlen(text)), strlen(text));
}

static void check_host_reads(struct port *p, const char *text)
{
    char got[64] = "";
    size_t len = strlen(text);

    check_int(recv(p->host, got, len, MSG_WAITALL), len);
    check_str(got, text);
}

static void test_after_reset(void)
{
    struct port p;

    port_open(&p);
    for (int i = 0; i < 2; i++) {
        check_int(in(&p, UART_IER), 0);
        check_int(in(&p, UART_IIR), UART_IIR_NO_INT);
        check_int(in(&p, UART_LCR), 0);
        check_int(in(&p, UART_MCR), 0);
        check_int(in(&p, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
        check_int(in(&p, UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
        check_int(in(&p, UART_RX), 0);
        out(&p, UART_IER, 0x0f);
        out(&p, UART_FCR, UART_FCR_ENABLE_FIFO | 0xc0);
        out(&p, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
        out(&p, UART_LCR, UART_LCR_WLEN8);
        out(&p, UART_TX, 'x');
        serial_reset(p.serial);
    }
    port_close(&p);
}

/* The steps of Linux's autoconfig() and autoconfig_16550a(). */
static void test_linux_autoconfig(void)
{
    struct port p;

    port_open(&p);
    out(&p, UART_IER, 0);
    check_int(in(&p, UART_IER), 0);
    out(&p, UART_IER, 0x0f);
    check_int(in(&p, UART_IER), 0x0f);
    out(&p, UART_IER, 0);

    out(&p, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
    check_int(in(&p, UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_CTS);
    out(&p, UART_MCR, 0);

    out(&p, UART_LCR, UART_LCR_CONF_MODE_B); /* no EFR behind it */
    out(&p, UART_EFR, 0);
    out(&p, UART_LCR, 0);
    check_int(in(&p, UART_IIR) >> 6, 0);
    out(&p, UART_FCR, UART_FCR_ENABLE_FIFO);
    check_int(in(&p, UART_IIR) >> 6, 3); /* a 16550A */
    out(&p, UART_LCR, UART_LCR_CONF_MODE_A);
    check(in(&p, UART_EFR) != 0); /* no 16650 */
    out(&p, UART_LCR, 0);

    out(&p, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
    check_int(in(&p, UART_IIR) >> 5, 6); /* no 16750 */
    out(&p, UART_FCR, UART_FCR_ENABLE_FIFO);
    out(&p, UART_IER, UART_IER_UUE);
    check_int(in(&p, UART_IER), 0); /* no XScale */

    out(&p, UART_SCR, 0xa5);
    check_int(in(&p, UART_SCR), 0xa5);
    out(&p, UART_LCR, UART_LCR_DLAB);
    out(&p, UART_DLL, 0x34);
    out(&p, UART_DLM, 0x12);
    check_int(bus_read(&p.bus, 0x3f8, 2), 0x1234);
    out(&p, UART_LCR, UART_LCR_WLEN8);
    check_int(in(&p, UART_IER), 0);
    port_close(&p);
}

/* Linux's test for UARTs that do not say again that they are empty (UART_BUG_THRE, _TXEN). */
static void test_linux_thre_test(void)
{
    struct port p;

    port_open(&p);
    out(&p, UART_IER, UART_IER_THRI);
    check_int(in(&p, UART_IIR), UART_IIR_THRI);
    check_int(in(&p, UART_IIR), UART_IIR_NO_INT); /* reading it has acknowledged it */
    out(&p, UART_IER, 0);
    out(&p, UART_IER, UART_IER_THRI);
    check_int(in(&p, UART_IIR), UART_IIR_THRI);
    check_int(edges(&p), 2);
    out(&p, UART_IER, UART_IER_THRI); /* enabled already: nothing new */
    check_int(edges(&p), 0);
    port_close(&p);
}

static void test_transmit(void)
{
    struct port p;

    port_open(&p);
    out(&p, UART_FCR, UART_FCR_ENABLE_FIFO);
    out(&p, UART_IER, UART_IER_THRI);
    check_int(edges(&p), 1);
    check_int(in(&p, UART_IIR), 0xc0 | UART_IIR_THRI);
    for (const char *c = "sixteen bytes!!\n"; *c; c++)
        out(&p, UART_TX, (uint8_t)*c);
    check_int(edges(&p), 1); /* not one for each */
    check_int(in(&p, UART_IIR), 0xc0 | UART_IIR_THRI);
    check_int(in(&p, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    check_host_reads(&p, "sixteen bytes!!\n");
    bus_write(&p.bus, 0x3f8, 'w' | UART_IER_THRI << 8, 2); /* a wide write reaches two registers */
    check_host_reads(&p, "w");
    check_int(in(&p, UART_IER), UART_IER_THRI);
    port_close(&p);
}

static void test_receive_one_by_one(void)
{
    struct port p;

    port_open(&p);
    out(&p, UART_IER, UART_IER_RDI);
    host_write(&p, "abc");
    for (const char *c = "abc"; *c; c++) {
        check(wait_edge(&p)); /* without FIFOs each byte rings */
        check_int(in(&p, UART_IIR), UART_IIR_RDI);
        check(in(&p, UART_LSR) & UART_LSR_DR);
        check_int(in(&p, UART_RX), *c);
    }
    settle(&p);
    check_int(edges(&p), 0);
    check_int(in(&p, UART_LSR) & UART_LSR_DR, 0);
    check_int(in(&p, UART_IIR), UART_IIR_NO_INT);
    port_close(&p);
}

/* An interrupt handler as Linux has it: until IIR names nothing, read while there is data. */
static size_t serve(struct port *p, char *buf)
{
    size_t n = 0;

    while (!(in(p, UART_IIR) & UART_IIR_NO_INT))
        while (in(p, UART_LSR) & UART_LSR_DR)
            buf[n++] = (char)in(p, UART_RX);
    return n;
}

static void test_receive_much(void)
{
    struct port p;
    static char sent[20000];
    static char got[sizeof(sent) + 16];
    size_t n = 0;
    size_t written = 0;

    port_open(&p);
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (char)(i * 7 + i / 256);
    out(&p, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
    out(&p, UART_IER, UART_IER_RDI);
    while (n < sizeof(sent)) {
        ssize_t w = send(p.host, sent + written, sizeof(sent) - written, MSG_DONTWAIT);

        written += w > 0 ? (size_t)w : 0;
        if (!wait_edge(&p))
            break;
        n += serve(&p, got + n);
    }
    check_int(n, sizeof(sent));
    check(memcmp(sent, got, sizeof(sent)) == 0);
    check_int(in(&p, UART_LSR) & UART_LSR_OE, 0);
    port_close(&p);
}

static void test_trigger_and_timeout(void)
{
    struct port p;

    port_open(&p);
    out(&p, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
    out(&p, UART_IER, UART_IER_RDI);
    host_write(&p, "12345678");
    check(wait_edge(&p));
    settle(&p);
    check_int(in(&p, UART_IIR), 0xc0 | UART_IIR_RDI);
    check_int(in(&p, UART_RX), '1');
    check_int(in(&p, UART_IIR), 0xc0 | UART_IIR_RX_TIMEOUT); /* fewer than eight are left */
    for (int i = 0; i < 7; i++)
        in(&p, UART_RX);
    check_int(in(&p, UART_IIR), 0xc0 | UART_IIR_NO_INT);
    port_close(&p);
}

static void test_priorities(void)
{
    struct port p;

    port_open(&p);
    out(&p, UART_MCR, UART_MCR_LOOP);
    in(&p, UART_MSR);
    out(&p, UART_TX, 'a');
    out(&p, UART_TX, 'b'); /* no room: overrun */
    out(&p, UART_MCR, UART_MCR_LOOP | UART_MCR_DTR);
    check_int(edges(&p), 0); /* nothing is enabled */
    out(&p, UART_IER, 0x0f);
    check(edges(&p) > 0);
    check_int(in(&p, UART_IIR), UART_IIR_RLSI);
    check_int(in(&p, UART_LSR), UART_LSR_OE | UART_LSR_DR | UART_LSR_THRE | UART_LSR_TEMT);
    check_int(in(&p, UART_LSR), UART_LSR_DR | UART_LSR_THRE | UART_LSR_TEMT);
    check_int(in(&p, UART_IIR), UART_IIR_RDI);
    check_int(in(&p, UART_RX), 'a');
    check_int(in(&p, UART_IIR), UART_IIR_THRI);
    check_int(in(&p, UART_IIR), UART_IIR_MSI);
    check_int(in(&p, UART_MSR), UART_MSR_DSR | UART_MSR_DDSR);
    check_int(in(&p, UART_IIR), UART_IIR_NO_INT);
    port_close(&p);
}

static void test_loopback(void)
{
    struct port p;
    char byte;

    port_open(&p);
    out(&p, UART_FCR, UART_FCR_ENABLE_FIFO);
    out(&p, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
    check_int(in(&p, UART_MSR) & 0xf0, UART_MSR_RI);
    out(&p, UART_MCR, UART_MCR_LOOP);
    check_int(in(&p, UART_MSR), UART_MSR_TERI);
    out(&p, UART_TX, 'L');
    host_write(&p, "later");
    settle(&p);
    check_int(in(&p, UART_RX), 'L');
    check_int(in(&p, UART_LSR) & UART_LSR_DR, 0);                              /* the pin is off */
    check_int(recv(p.host, &byte, 1, MSG_DONTWAIT) == -1 ? errno : 0, EAGAIN); /* both ways */
    out(&p, UART_IER, UART_IER_RDI);
    out(&p, UART_MCR, 0);
    check(wait_edge(&p)); /* nothing of what came meanwhile is lost */
    check_int(in(&p, UART_RX), 'l');
    port_close(&p);
}

static void test_fifo_clear(void)
{
    struct port p;

    port_open(&p);
    out(&p, UART_FCR, UART_FCR_ENABLE_FIFO);
    out(&p, UART_IER, UART_IER_RDI);
    host_write(&p, "gone");
    check(wait_edge(&p));
    settle(&p);
    out(&p, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
    check_int(in(&p, UART_LSR) & UART_LSR_DR, 0);
    check_int(in(&p, UART_IIR), 0xc0 | UART_IIR_NO_INT);
    host_write(&p, "kept");
    check(wait_edge(&p));
    check_int(in(&p, UART_RX), 'k');
    port_close(&p);
}

/*
 * The host does not read: the guest is slowed down by THRE, and loses nothing. Then it reads.
 */
static void test_slow_host(void)
{
    struct port p;
    size_t written = 0;
    size_t got = 0;
    uint8_t byte;
    bool intact = true;

    port_open(&p);
    out(&p, UART_FCR, UART_FCR_ENABLE_FIFO);
    out(&p, UART_IER, UART_IER_THRI);
    while (in(&p, UART_LSR) & UART_LSR_THRE) {
        out(&p, UART_TX, (uint8_t)(written++ % 251));
        if (!check(written < 16 * MiB))
            break;
    }
    check(written > CHARDEV_BUFFER);
    check_int(in(&p, UART_LSR), 0);
    for (int i = 0; i < 15; i++) /* the rest of the FIFO */
        out(&p, UART_TX, (uint8_t)(written++ % 251));
    edges(&p);
    in(&p, UART_IIR);
    check_int(in(&p, UART_IIR), 0xc0 | UART_IIR_NO_INT);

    while (got < written && recv(p.host, &byte, 1, 0) == 1)
        intact &= byte == got++ % 251;
    check_int(got, written);
    check(intact);
    check(wait_edge(&p)); /* empty again */
    check_int(in(&p, UART_IIR), 0xc0 | UART_IIR_THRI);
    check_int(in(&p, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    port_close(&p);
}

struct reader {
    int fd;
    size_t got;
    bool intact;
};

static void *read_all(void *opaque)
{
    struct reader *r = opaque;
    uint8_t byte;

    while (recv(r->fd, &byte, 1, 0) == 1)
        r->intact &= byte == r->got++ % 251;
    return NULL;
}

/* Neither a reset, nor a driver that clears the FIFOs, nor the end of the machine takes back what
 * the guest wrote before. */
static void test_last_words(void)
{
    struct port p;
    struct reader r = {.intact = true};
    pthread_t thread;
    size_t written = 0;

    port_open(&p);
    r.fd = dup(p.host);
    for (int round = 0; round < 3; round++) {
        out(&p, UART_FCR, UART_FCR_ENABLE_FIFO);
        while (in(&p, UART_LSR) & UART_LSR_THRE)
            for (int i = 0; i < 16; i++)
                out(&p, UART_TX, (uint8_t)(written++ % 251));
        if (round == 0)
            serial_reset(p.serial);
        else if (round == 1)
            out(&p, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_XMIT);
    }
    check_int(pthread_create(&thread, NULL, read_all, &r), 0);
    port_close(&p);
    check_int(pthread_join(thread, NULL), 0);
    check_int(r.got, written);
    check(r.intact);
    close(r.fd);
}

static void test_nobody_connected(void)
{
    struct port p;
    struct serial *bare;
    struct error err;

    port_open(&p);
    close(p.host);
    p.host = -1;
    for (unsigned i = 0; i < 3 * CHARDEV_BUFFER; i++)
        out(&p, UART_TX, 'x');
    check_int(in(&p, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);

    bare = serial_new(NULL, &p.irq);
    check_int(bus_add(&p.bus, 0x2f8, 8, 0, serial_bus_device(bare), &err), 0);
    bus_write(&p.bus, 0x2f8, 'x', 1);
    check_int(bus_read(&p.bus, 0x2f8 + UART_LSR, 1), UART_LSR_THRE | UART_LSR_TEMT);
    serial_reset(bare);
    serial_free(bare);
    port_close(&p);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_after_reset),
        TAP(test_linux_autoconfig),
        TAP(test_linux_thre_test),
        TAP(test_transmit),
        TAP(test_receive_one_by_one),
        TAP(test_receive_much),
        TAP(test_trigger_and_timeout),
        TAP(test_priorities),
        TAP(test_loopback),
        TAP(test_fifo_clear),
        TAP(test_slow_host),
        TAP(test_last_words),
        TAP(test_nobody_connected),
        {},
    });
}
