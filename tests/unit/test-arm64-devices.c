/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Arm's peripherals between a guest that is played here and, for the UART, a real chardev. */
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/unit/tap.h"
#include "vmm/devices/pl011.h"
#include "vmm/devices/pl031.h"
#include "vmm/devices/pl061.h"
#include "vmm/devices/primecell.h"

#define BASE    UINT64_C(0x9000000)
#define SECONDS 60000 /* ms: more than anything here takes */

static time_t host_is_ahead;

/* The host's clock, as the devices see it. */
time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += __atomic_load_n(&host_is_ahead, __ATOMIC_RELAXED);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

struct board {
    struct bus bus;
    struct loop *loop; /* a thread, or here: then it runs in edge_comes() alone */
    bool here;
    struct irq_line irq;
    struct error err;
};

static void board_open(struct board *b)
{
    *b = (struct board){.bus.count = 0};
    b->loop = loop_thread_start("io", &b->err);
    check_int(irq_line_init(&b->irq, 1, &b->err), 0);
}

/* A clock and a button do nothing by themselves meanwhile, however slow we are. */
static void board_open_here(struct board *b)
{
    *b = (struct board){.here = true};
    b->loop = loop_new(&b->err);
    check_int(irq_line_init(&b->irq, 1, &b->err), 0);
}

static void board_close(struct board *b)
{
    if (b->here)
        loop_free(b->loop);
    else
        loop_thread_stop(b->loop);
    irq_line_close(&b->irq);
}

static void connect_device(struct board *b, struct bus_device *dev)
{
    check_int(bus_add(&b->bus, BASE, PRIMECELL_SIZE, 0, dev, &b->err), 0);
}

static uint32_t in(struct board *b, uint64_t reg)
{
    return (uint32_t)bus_read(&b->bus, BASE + reg, 4);
}

static void out(struct board *b, uint64_t reg, uint32_t value)
{
    bus_write(&b->bus, BASE + reg, value, 4);
}

/* Whether there was an edge since the last look, and one that comes within `ms`. */
static bool edge(struct board *b, int ms)
{
    struct pollfd p = {.fd = b->irq.eventfd, .events = POLLIN};
    eventfd_t count;

    return poll(&p, 1, ms) == 1 && eventfd_read(b->irq.eventfd, &count) == 0;
}

static void end_loop(void *opaque)
{
    loop_quit(opaque);
}

static void on_edge(void *opaque, uint32_t events)
{
    (void)events;
    loop_quit(opaque);
}

/* Runs the loop until there is an edge. */
static bool edge_comes(struct board *b)
{
    struct loop_timer patience = LOOP_TIMER_CLOSED;
    struct loop_watch watch;

    check_int(loop_timer_attach(b->loop, &patience, end_loop, b->loop, &b->err), 0);
    check_int(loop_timer_set(&patience, SECONDS * UINT64_C(1000000), 0), 0);
    check_int(loop_add(b->loop, &watch, b->irq.eventfd, EPOLLIN, on_edge, b->loop, &b->err), 0);
    loop_run(b->loop);
    loop_remove(b->loop, &watch);
    loop_timer_detach(b->loop, &patience);
    return edge(b, 0);
}

static void check_id(struct board *b, const uint8_t id[8])
{
    for (unsigned i = 0; i < 8; i++)
        check_int(in(b, PRIMECELL_ID + 4 * i), id[i]);
}

/* ---- the UART ---- */

struct port {
    struct board board;
    struct chardev *chr;
    struct pl011 *uart;
    int host; /* our end */
};

static void port_open(struct port *p)
{
    int pair[2];
    char spec[32];

    board_open(&p->board);
    check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    p->host = pair[0];
    snprintf(spec, sizeof(spec), "fd:%d", pair[1]);
    p->chr = chardev_open(spec, "serial0", p->board.loop, &p->board.err);
    p->uart = pl011_new(p->chr, &p->board.irq);
    connect_device(&p->board, pl011_bus_device(p->uart));
}

static void port_close(struct port *p)
{
    pl011_free(p->uart);
    chardev_close(p->chr);
    board_close(&p->board);
    close(p->host);
}

static void test_uart_is_found(void)
{
    struct port p;

    port_open(&p);
    check_id(&p.board, (const uint8_t[]){0x11, 0x10, 0x34, 0, 0x0d, 0xf0, 0x05, 0xb1});
    check_int(in(&p.board, PL011_FR),
              PL011_FR_TXFE | PL011_FR_RXFE | PL011_FR_CTS | PL011_FR_DSR | PL011_FR_DCD);
    check_int(in(&p.board, PL011_CR), 0x300);
    check_int(in(&p.board, PL011_IFLS), 0x12);
    check_int(in(&p.board, 0xf00), 0);
    port_close(&p);
}

static void test_uart_sends(void)
{
    struct port p;
    char text[8] = "";

    port_open(&p);
    out(&p.board, PL011_DR, 'o');
    check_int(in(&p.board, PL011_RIS), PL011_INT_TX);
    check(!edge(&p.board, 0)); /* nobody wants to hear of it */
    out(&p.board, PL011_IMSC, PL011_INT_TX);
    check(edge(&p.board, 0));
    check_int(in(&p.board, PL011_MIS), PL011_INT_TX);
    out(&p.board, PL011_ICR, PL011_INT_TX);
    check_int(in(&p.board, PL011_MIS), 0);
    out(&p.board, PL011_DR, 'k');
    check(edge(&p.board, 0));
    check_int(recv(p.host, text, 2, MSG_WAITALL), 2);
    check_str(text, "ok");
    port_close(&p);
}

static void test_uart_receives(void)
{
    struct port p;

    port_open(&p);
    out(&p.board, PL011_LCR_H, PL011_LCR_FEN);
    out(&p.board, PL011_IMSC, PL011_INT_RX | PL011_INT_RT);
    check_int(write(p.host, "hello", 5), 5);
    check(edge(&p.board, SECONDS));
    check_int(in(&p.board, PL011_MIS), PL011_INT_RT); /* less than half of the FIFO */
    for (const char *c = "hello"; *c; c++)
        check_int(in(&p.board, PL011_DR), *c);
    check_int(in(&p.board, PL011_MIS), 0);
    check(in(&p.board, PL011_FR) & PL011_FR_RXFE);
    check_int(write(p.host, "0123456789abcdefXYZ", 19), 19);
    check(edge(&p.board, SECONDS));
    while (!(in(&p.board, PL011_FR) & PL011_FR_RXFF))
        poll(NULL, 0, 1);
    check_int(in(&p.board, PL011_MIS), PL011_INT_RX | PL011_INT_RT);
    (void)edge(&p.board, 0);
    for (const char *c = "0123456789abcdef"; *c; c++)
        check_int(in(&p.board, PL011_DR), *c);
    check(edge(&p.board, SECONDS)); /* the rest, told of anew */
    check_int(in(&p.board, PL011_DR), 'X');
    port_close(&p);
}

/* Nobody reads: bytes wait in the FIFO, and then the guest has to. */
static void test_uart_waits_for_its_reader(void)
{
    struct port p;
    size_t sent = 0;
    size_t got = 0;
    char text[4096];

    port_open(&p);
    out(&p.board, PL011_LCR_H, PL011_LCR_FEN);
    out(&p.board, PL011_IMSC, PL011_INT_TX);
    while (!(in(&p.board, PL011_FR) & PL011_FR_TXFF)) {
        out(&p.board, PL011_DR, 'a' + sent % 26);
        sent++;
    }
    check_int(in(&p.board, PL011_RIS) & PL011_INT_TX, 0);
    (void)edge(&p.board, 0);
    while (got < sent) {
        ssize_t n = read(p.host, text, sizeof(text));

        for (ssize_t i = 0; i < n; i++)
            if (text[i] != (char)('a' + (got + (size_t)i) % 26))
                check_int(text[i], 'a' + (got + (size_t)i) % 26);
        got += n > 0 ? (size_t)n : sent;
    }
    check_int(got, sent);
    check(edge(&p.board, SECONDS));
    check(in(&p.board, PL011_FR) & PL011_FR_TXFE);
    port_close(&p);
}

static void test_uart_reset(void)
{
    struct port p;

    port_open(&p);
    out(&p.board, PL011_IMSC, 0x7ff);
    out(&p.board, PL011_IBRD, 13);
    out(&p.board, PL011_DR, 'x');
    pl011_reset(p.uart);
    check_int(in(&p.board, PL011_IMSC), 0);
    check_int(in(&p.board, PL011_IBRD), 0);
    check_int(in(&p.board, PL011_RIS), 0);
    port_close(&p);
}

/* ---- the clock ---- */

static void test_clock(void)
{
    struct board b;
    struct pl031 *rtc;
    uint32_t before;

    board_open_here(&b);
    rtc = pl031_new(&b.irq, b.loop, false, 1000, &b.err);
    connect_device(&b, pl031_bus_device(rtc));
    check_id(&b, (const uint8_t[]){0x31, 0x10, 0x04, 0, 0x0d, 0xf0, 0x05, 0xb1});
    before = (uint32_t)time(NULL);
    check(in(&b, PL031_DR) - before - 1000 <= 100);
    out(&b, PL031_LR, 77);
    check(in(&b, PL031_DR) - 77 <= 100);
    check_int(in(&b, PL031_CR), 1);
    pl031_reset(rtc);
    check(in(&b, PL031_DR) - 77 <= 100);
    pl031_free(rtc);
    board_close(&b);
}

static void test_alarm(void)
{
    struct board b;
    struct pl031 *rtc;

    board_open_here(&b);
    rtc = pl031_new(&b.irq, b.loop, false, 0, &b.err);
    connect_device(&b, pl031_bus_device(rtc));
    out(&b, PL031_IMSC, 1);
    out(&b, PL031_MR, 0);
    out(&b, PL031_LR, 0xfffffffe); /* the counter wraps on the way */
    check(edge_comes(&b));
    check_int(in(&b, PL031_MIS), 1);
    check(in(&b, PL031_DR) < 100);
    out(&b, PL031_ICR, 1);
    check_int(in(&b, PL031_RIS), 0);
    out(&b, PL031_MR, in(&b, PL031_DR) - 50); /* past: it never comes */
    check(!edge(&b, 0));
    pl031_free(rtc);
    board_close(&b);
}

/* The timer expires when the second of the match is over: an alarm is late then, and not lost. */
static void test_late_alarm(void)
{
    struct board b;
    struct pl031 *rtc;

    board_open_here(&b);
    rtc = pl031_new(&b.irq, b.loop, false, 0, &b.err);
    connect_device(&b, pl031_bus_device(rtc));
    out(&b, PL031_IMSC, 1);
    out(&b, PL031_MR, in(&b, PL031_DR) + 2);
    __atomic_store_n(&host_is_ahead, 7, __ATOMIC_RELAXED);
    check(edge_comes(&b));
    check_int(in(&b, PL031_MIS), 1);
    /* A clock that was set past it by the guest is no alarm. */
    out(&b, PL031_ICR, 1);
    out(&b, PL031_MR, in(&b, PL031_DR) + 1000);
    out(&b, PL031_LR, in(&b, PL031_DR) + 2000);
    check(!edge(&b, 0));
    check_int(in(&b, PL031_RIS), 0);
    pl031_free(rtc);
    board_close(&b);
    __atomic_store_n(&host_is_ahead, 0, __ATOMIC_RELAXED);
}

/* ---- the button ---- */

static void test_button(void)
{
    struct board b;
    struct pl061 *gpio;

    board_open_here(&b);
    gpio = pl061_new(&b.irq, b.loop, &b.err);
    connect_device(&b, pl061_bus_device(gpio));
    check_id(&b, (const uint8_t[]){0x61, 0x10, 0x04, 0, 0x0d, 0xf0, 0x05, 0xb1});
    pl061_press_button(gpio); /* nobody listens */
    check(!edge(&b, 0));
    check_int(in(&b, PL061_DATA + (8 << 2)), 8);
    check_int(in(&b, PL061_DATA + (4 << 2)), 0); /* another line */
    pl061_reset(gpio);

    out(&b, PL061_IBE, 8);
    out(&b, PL061_IE, 8);
    pl061_press_button(gpio);
    check(edge(&b, 0));
    check_int(in(&b, PL061_MIS), 8);
    out(&b, PL061_IC, 8);
    check_int(in(&b, PL061_MIS), 0);
    check(edge_comes(&b)); /* let go */
    check_int(in(&b, PL061_MIS), 8);
    check_int(in(&b, PL061_DATA + (0xff << 2)), 0);
    pl061_free(gpio);
    board_close(&b);
}

static void test_gpio_lines(void)
{
    struct board b;
    struct pl061 *gpio;

    board_open_here(&b);
    gpio = pl061_new(&b.irq, b.loop, &b.err);
    connect_device(&b, pl061_bus_device(gpio));
    out(&b, PL061_DIR, 0x0f);
    out(&b, PL061_DATA + (0x05 << 2), 0xff);
    check_int(in(&b, PL061_DATA + (0xff << 2)), 0x05);
    out(&b, PL061_DATA + (0x04 << 2), 0);
    check_int(in(&b, PL061_DATA + (0xff << 2)), 0x01);
    pl061_press_button(gpio); /* drives an output, in vain */
    check_int(in(&b, PL061_DATA + (0xff << 2)), 0x01);

    pl061_reset(gpio);
    out(&b, PL061_IS, 8); /* by level, which is low */
    check_int(in(&b, PL061_RIS), 8);
    out(&b, PL061_IEV, 8);
    check_int(in(&b, PL061_RIS), 0);
    out(&b, PL061_IE, 8);
    pl061_press_button(gpio);
    check(edge(&b, 0));
    out(&b, PL061_IC, 8); /* a level is not cleared */
    check_int(in(&b, PL061_MIS), 8);
    pl061_free(gpio);
    board_close(&b);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_uart_is_found),
        TAP(test_uart_sends),
        TAP(test_uart_receives),
        TAP(test_uart_waits_for_its_reader),
        TAP(test_uart_reset),
        TAP(test_clock),
        TAP(test_alarm),
        TAP(test_late_alarm),
        TAP(test_button),
        TAP(test_gpio_lines),
        {},
    });
}
