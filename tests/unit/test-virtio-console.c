/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The console: bytes both ways through pauses, resets and full buffers, and the talk about ports
 * with a driver that knows of them, one that says nonsense, and one that says nothing.
 */
#include "tests/unit/tap.h"
#include "tests/unit/virtio-loop-driver.h"
#include "vmm/backend/chardev.h"
#include "vmm/virtio/devices.h"

#include <linux/virtio_console.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MAX_PORTS   4
#define CONTROL_RX  2
#define CONTROL_TX  3
#define F_MULTIPORT VIRTIO_FEATURE(VIRTIO_CONSOLE_F_MULTIPORT)
#define F_EVENT     VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)

/* Where the driver's messages and the device's lie, and the ports' data. */
#define OUT  DRIVER_DATA
#define IN   (DRIVER_DATA + 0x10000)
#define TEXT (DRIVER_DATA + 0x20000)

struct bench {
    struct driver d;
    struct chardev *chr[MAX_PORTS];
    int host[MAX_PORTS]; /* the chardevs' other ends */
    unsigned count;
    char folder[32]; /* of listening sockets */
};

static void add_chardev(struct bench *b, const char *spec)
{
    struct error err;

    b->chr[b->count] = chardev_open(spec, "test", b->d.round.loop, &err);
    driver_need(b->chr[b->count] != NULL, "a chardev");
    b->count++;
}

/* A chardev with somebody at the other end all the time. */
static void add_connected(struct bench *b)
{
    char spec[32];
    int pair[2];

    driver_need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0,
                "a socket pair");
    b->host[b->count] = pair[0];
    snprintf(spec, sizeof(spec), "fd:%d", pair[1]);
    add_chardev(b, spec);
}

static void socket_path(const struct bench *b, unsigned i, char *path, size_t size)
{
    snprintf(path, size, "%s/%u", b->folder, i);
}

static void add_listening(struct bench *b)
{
    char path[48];
    char spec[64];

    if (!b->folder[0]) {
        snprintf(b->folder, sizeof(b->folder), "/tmp/vole-console-XXXXXX");
        driver_need(mkdtemp(b->folder) != NULL, "a folder");
    }
    socket_path(b, b->count, path, sizeof(path));
    snprintf(spec, sizeof(spec), "unix:%s", path);
    b->host[b->count] = -1;
    add_chardev(b, spec);
}

static void come(struct bench *b, unsigned i)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    socket_path(b, i, un.sun_path, sizeof(un.sun_path));
    b->host[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    check_int(connect(b->host[i], (struct sockaddr *)&un, sizeof(un)), 0);
    driver_run(&b->d);
}

static void go(struct bench *b, unsigned i)
{
    close(b->host[i]);
    b->host[i] = -1;
    driver_run(&b->d);
}

/* Names of NULL are consoles; the chardevs were added before. */
static void make_device(struct bench *b, const char *const *names)
{
    struct virtio_console_port ports[MAX_PORTS];
    struct error err;

    for (unsigned i = 0; i < b->count; i++)
        ports[i] = (struct virtio_console_port){"port", names[i], b->chr[i]};
    driver_bind(&b->d,
                virtio_console_new("console0", &b->d.mem, b->d.round.loop, ports, b->count, &err));
}

static void set_up(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    driver_open(&b->d);
}

static void set_up_one(struct bench *b)
{
    static const char *const names[] = {NULL};

    set_up(b);
    add_connected(b);
    make_device(b, names);
}

static void tear_down(struct bench *b)
{
    char path[48];

    /* Whoever does not read any more is not waited for. */
    for (unsigned i = 0; i < b->count; i++) {
        if (b->host[i] >= 0)
            close(b->host[i]);
    }
    virtio_device_free(b->d.dev);
    b->d.dev = NULL;
    for (unsigned i = 0; i < b->count; i++)
        chardev_close(b->chr[i]);
    driver_close(&b->d);
    for (unsigned i = 0; i < b->count && b->folder[0]; i++) {
        socket_path(b, i, path, sizeof(path));
        unlink(path);
    }
    if (b->folder[0])
        rmdir(b->folder);
}

/* ---- data ---- */

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

/* Reads what is there; returns whether it goes on with the pattern from `*at` on. */
static bool host_reads(struct bench *b, unsigned i, size_t *at)
{
    uint8_t buf[4096];
    ssize_t n;
    bool ok = true;

    while ((n = recv(b->host[i], buf, sizeof(buf), 0)) > 0) {
        for (ssize_t k = 0; k < n; k++, (*at)++)
            ok = ok && buf[k] == pattern(*at);
    }
    return check(ok);
}

static void test_shape_of_one_console(void)
{
    struct bench b;

    set_up_one(&b);
    check_int(b.d.dev->queue_count, 2);
    check(!(b.d.dev->offered & F_MULTIPORT));
    driver_start(&b.d, F_EVENT);
    check(virtio_console_port_open(b.d.dev, 0));
    check(!virtio_console_port_open(b.d.dev, 1));
    virtio_device_set_status(b.d.dev, 0);
    check(!virtio_console_port_open(b.d.dev, 0));
    tear_down(&b);
}

/* Far more than all buffers on the way hold, with pauses wherever it stands. */
static void test_output_waits_for_its_reader(void)
{
    enum { TOTAL = 1 << 20, PIECE = 3000 };
    struct bench b;
    size_t given = 0;
    size_t seen = 0;
    unsigned with_device = 0;
    bool stuck = false;
    uint32_t head = 0;
    uint32_t len = 0;

    set_up_one(&b);
    driver_start(&b.d, F_EVENT);
    while (seen < TOTAL && !tap_failed_) {
        size_t before = seen;

        while (given < TOTAL && with_device < 8) {
            uint32_t n = (uint32_t)MIN((size_t)PIECE, TOTAL - given);
            uint64_t at = TEXT + given % ((size_t)16 * PIECE);
            const struct driver_buffer parts[] = {{at, n / 3, false},
                                                  {at + n / 3, n - n / 3, false}};

            for (uint32_t i = 0; i < n; i++)
                b.d.ram[at + i] = pattern(given + i);
            driver_give_chain(&b.d, 1, parts, n > 2 ? 2 : 1);
            given += n;
            with_device++;
        }
        driver_kick(&b.d, 1);
        driver_run(&b.d);
        virtio_device_pause(b.d.dev);
        driver_run(&b.d);
        while (driver_take(&b.d, 1, &head, &len))
            with_device--;
        virtio_device_resume(b.d.dev);
        if (with_device == 8 || given == TOTAL) {
            stuck = stuck || with_device == 8;
            host_reads(&b, 0, &seen);
            driver_run(&b.d);
            host_reads(&b, 0, &seen);
            while (driver_take(&b.d, 1, &head, &len))
                with_device--;
            check(seen > before);
        }
    }
    check(stuck);
    check_int(seen, TOTAL);
    check_int(with_device, 0);
    tear_down(&b);
}

/* A chain without end keeps nobody from its turn, and goes out whole. */
static void test_output_in_one_long_chain(void)
{
    struct driver_buffer parts[DRIVER_MAX_CHAIN];
    struct bench b;
    uint32_t head = 0;
    uint32_t len = 0;

    set_up(&b);
    b.host[0] = -1;
    add_chardev(&b, "null");
    make_device(&b, (const char *const[]){NULL});
    driver_start(&b.d, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
        parts[i] = (struct driver_buffer){TEXT, 64 * KiB, false};
    driver_give_chain(&b.d, 1, parts, ARRAY_SIZE(parts));
    driver_kick(&b.d, 1);
    driver_round(&b.d);
    check(!driver_take(&b.d, 1, &head, &len));
    driver_run(&b.d);
    check(driver_take(&b.d, 1, &head, &len));
    tear_down(&b);
}

static void test_input_waits_for_buffers(void)
{
    enum { TOTAL = 300000 };
    uint8_t piece[5000];
    struct bench b;
    size_t sent = 0;
    size_t seen = 0;
    unsigned idle = 0;

    set_up_one(&b);
    driver_start(&b.d, F_EVENT);
    while (seen < TOTAL && idle < 4 && !tap_failed_) {
        size_t want = MIN(sizeof(piece), TOTAL - sent);
        uint32_t head = 0;
        uint32_t len = 0;
        ssize_t n;

        for (size_t i = 0; i < want; i++)
            piece[i] = pattern(sent + i);
        n = want > 0 ? send(b.host[0], piece, want, MSG_NOSIGNAL) : 0;
        sent += n > 0 ? (size_t)n : 0;
        driver_run(&b.d);
        /* One buffer of an odd size, and one without any. */
        driver_give(&b.d, 0, IN, 0, true);
        driver_give(&b.d, 0, IN, 777 + (uint32_t)(seen % 1000), true);
        driver_kick(&b.d, 0);
        driver_run(&b.d);
        if (seen % 3 == 0) {
            virtio_device_pause(b.d.dev);
            driver_run(&b.d);
            virtio_device_resume(b.d.dev);
            driver_run(&b.d);
        }
        idle++;
        while (driver_take(&b.d, 0, &head, &len)) {
            for (uint32_t i = 0; i < len && len <= 1776; i++, seen++)
                if (!check(b.d.ram[IN + i] == pattern(seen)))
                    break;
            idle = 0;
        }
    }
    check_int(seen, TOTAL);
    tear_down(&b);
}

/* What the old driver had half sent, or not read, does not confuse the new one. */
static void test_reset_in_the_middle(void)
{
    struct bench b;
    uint8_t buf[65536];
    uint32_t head = 0;
    uint32_t len = 0;

    set_up_one(&b);
    driver_start(&b.d, F_EVENT);
    memset(b.d.ram + TEXT, 'x', 512 * KiB);
    driver_give(&b.d, 1, TEXT, 512 * KiB, false);
    driver_kick(&b.d, 1);
    driver_run(&b.d);
    check(!driver_take(&b.d, 1, &head, &len));
    driver_start(&b.d, 0);
    memcpy(b.d.ram + TEXT, "anew", 4);
    driver_give(&b.d, 1, TEXT, 4, false);
    driver_kick(&b.d, 1);
    memset(buf, 0, sizeof(buf));
    for (;;) {
        ssize_t n = recv(b.host[0], buf, sizeof(buf), 0);

        driver_run(&b.d);
        if (n > 4 && memcmp(buf + n - 4, "anew", 4) == 0)
            break;
        if (!check(n > 0))
            break;
    }
    check(driver_take(&b.d, 1, &head, &len));
    check_int(recv(b.host[0], buf, sizeof(buf), 0), -1);
    tear_down(&b);
}

static void test_emergency_write(void)
{
    char buf[8] = "";
    struct bench b;

    set_up_one(&b);
    virtio_device_write_config(b.d.dev, offsetof(struct virtio_console_config, emerg_wr), 'h', 4);
    virtio_device_write_config(b.d.dev, offsetof(struct virtio_console_config, emerg_wr), 'i', 1);
    virtio_device_write_config(b.d.dev, 0, 'x', 2);
    check_int(recv(b.host[0], buf, sizeof(buf), 0), 2);
    check_str(buf, "hi");
    tear_down(&b);
}

/* ---- ports ---- */

static const char *const one_of_each[] = {NULL, "org.test.agent", "second"};

static void set_up_ports(struct bench *b)
{
    set_up(b);
    add_connected(b);
    add_listening(b);
    add_connected(b);
    make_device(b, one_of_each);
}

static void say(struct bench *b, uint32_t port, uint16_t event, uint16_t value)
{
    const struct virtio_console_control control = {port, event, value};
    uint32_t head = 0;
    uint32_t len = 0;

    memcpy(b->d.ram + OUT, &control, sizeof(control));
    driver_give(&b->d, CONTROL_TX, OUT, sizeof(control), false);
    driver_kick(&b->d, CONTROL_TX);
    driver_run(&b->d);
    check(driver_take(&b->d, CONTROL_TX, &head, &len));
}

/* Gives buffers for `count` messages. */
static void listen_for(struct bench *b, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        driver_give(&b->d, CONTROL_RX,
                    IN + UINT64_C(256) * (b->d.queues[CONTROL_RX].avail_idx % 64), 256, true);
    driver_kick(&b->d, CONTROL_RX);
    driver_run(&b->d);
}

/* The next message, as text: "port event value name"; "" when there is none. */
static const char *heard(struct bench *b)
{
    static char text[320];
    struct virtio_console_control control;
    uint64_t at = IN + UINT64_C(256) * (b->d.queues[CONTROL_RX].used_seen % 64);
    uint32_t head = 0;
    uint32_t len = 0;

    if (!driver_take(&b->d, CONTROL_RX, &head, &len))
        return "";
    memcpy(&control, b->d.ram + at, sizeof(control));
    snprintf(text, sizeof(text), "%u %u %u%s%.*s", control.id, control.event, control.value,
             len > sizeof(control) ? " " : "", (int)(len - sizeof(control)),
             (const char *)b->d.ram + at + sizeof(control));
    return text;
}

static void test_driver_meets_the_ports(void)
{
    struct bench b;

    set_up_ports(&b);
    check_int(b.d.dev->queue_count, 8);
    check_int(virtio_device_read_config(b.d.dev, 4, 4), 3);
    driver_start(&b.d, F_MULTIPORT | F_EVENT);
    listen_for(&b, 32);
    check_str(heard(&b), "");
    say(&b, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
    check_str(heard(&b), "0 1 1");
    check_str(heard(&b), "1 1 1");
    check_str(heard(&b), "2 1 1");
    check_str(heard(&b), "");
    say(&b, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    check_str(heard(&b), "1 7 1 org.test.agent");
    check_str(heard(&b), "");
    say(&b, 0, VIRTIO_CONSOLE_PORT_READY, 1);
    check_str(heard(&b), "0 4 1");
    check_str(heard(&b), "0 6 1");
    say(&b, 2, VIRTIO_CONSOLE_PORT_READY, 1);
    check_str(heard(&b), "2 7 1 second");
    check_str(heard(&b), "2 6 1");
    check_str(heard(&b), "");

    come(&b, 1);
    check_str(heard(&b), "1 6 1");
    go(&b, 1);
    check_str(heard(&b), "1 6 0");
    check_str(heard(&b), "");
    tear_down(&b);
}

/* A driver that gives no buffers for messages is told how things stand when it does. */
static void test_driver_that_does_not_listen(void)
{
    struct bench b;

    set_up_ports(&b);
    driver_start(&b.d, F_MULTIPORT | F_EVENT);
    for (int i = 0; i < 200; i++)
        say(&b, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    for (int i = 0; i < 200; i++)
        say(&b, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    come(&b, 1);
    listen_for(&b, 5);
    check_str(heard(&b), "0 1 1");
    check_str(heard(&b), "1 1 1");
    check_str(heard(&b), "1 7 1 org.test.agent");
    check_str(heard(&b), "1 6 1");
    check_str(heard(&b), "2 1 1");
    check_str(heard(&b), "");
    /* One went and the next came: that is more than nothing. */
    go(&b, 1);
    come(&b, 1);
    go(&b, 1);
    come(&b, 1);
    listen_for(&b, 5);
    check_str(heard(&b), "1 6 0");
    check_str(heard(&b), "1 6 1");
    check_str(heard(&b), "");
    tear_down(&b);
}

static void test_guest_opens_and_closes(void)
{
    struct bench b;
    uint32_t head = 0;
    uint32_t len = 0;

    set_up_ports(&b);
    driver_start(&b.d, F_MULTIPORT | F_EVENT);
    check(!virtio_console_port_open(b.d.dev, 2));
    driver_give(&b.d, 6, TEXT, 64, true);
    driver_kick(&b.d, 6);
    check_int(send(b.host[2], "hello", 5, 0), 5);
    driver_run(&b.d);
    /* Nobody has it open in the guest: the bytes stay here. */
    check(!driver_take(&b.d, 6, &head, &len));
    say(&b, 2, VIRTIO_CONSOLE_PORT_OPEN, 1);
    check(virtio_console_port_open(b.d.dev, 2));
    check_int(virtio_device_take_notices(b.d.dev), VIRTIO_NOTICE_PORT);
    driver_run(&b.d);
    check(driver_take(&b.d, 6, &head, &len));
    check_int(len, 5);
    check(memcmp(b.d.ram + TEXT, "hello", 5) == 0);
    say(&b, 2, VIRTIO_CONSOLE_PORT_OPEN, 1);
    check_int(virtio_device_take_notices(b.d.dev), 0);
    say(&b, 2, VIRTIO_CONSOLE_PORT_OPEN, 0);
    check_int(virtio_device_take_notices(b.d.dev), VIRTIO_NOTICE_PORT);
    check(!virtio_console_port_open(b.d.dev, 2));
    /* A console's is nobody's news. */
    say(&b, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
    check(virtio_console_port_open(b.d.dev, 0));
    check_int(virtio_device_take_notices(b.d.dev), 0);
    /* With the driver goes what it had open. */
    say(&b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    virtio_device_take_notices(b.d.dev);
    virtio_device_set_status(b.d.dev, 0);
    check_int(virtio_device_take_notices(b.d.dev), VIRTIO_NOTICE_PORT);
    check(!virtio_console_port_open(b.d.dev, 1));
    tear_down(&b);
}

/* Output to a port that nobody is connected to is gone, and does not hold the guest up. */
static void test_output_to_nobody(void)
{
    char buf[16] = "";
    struct bench b;
    uint32_t head = 0;
    uint32_t len = 0;

    set_up_ports(&b);
    driver_start(&b.d, F_MULTIPORT);
    memcpy(b.d.ram + TEXT, "lost", 4);
    driver_give(&b.d, 5, TEXT, 4, false);
    driver_kick(&b.d, 5);
    driver_run(&b.d);
    check(driver_take(&b.d, 5, &head, &len));
    come(&b, 1);
    memcpy(b.d.ram + TEXT, "kept", 4);
    driver_give(&b.d, 5, TEXT, 4, false);
    driver_kick(&b.d, 5);
    driver_run(&b.d);
    check_int(recv(b.host[1], buf, sizeof(buf) - 1, 0), 4);
    check_str(buf, "kept");
    tear_down(&b);
}

static void test_nonsense_about_ports(void)
{
    static const struct virtio_console_control bad[] = {
        {3, VIRTIO_CONSOLE_PORT_READY, 1},   {UINT32_MAX, VIRTIO_CONSOLE_PORT_OPEN, 1},
        {1, VIRTIO_CONSOLE_PORT_READY, 0},   {1, VIRTIO_CONSOLE_PORT_ADD, 1},
        {1, VIRTIO_CONSOLE_RESIZE, 1},       {1, 0xffff, 1},
        {1, VIRTIO_CONSOLE_DEVICE_READY, 0},
    };
    struct bench b;
    uint32_t head = 0;
    uint32_t len = 0;

    set_up_ports(&b);
    driver_start(&b.d, F_MULTIPORT | F_EVENT);
    listen_for(&b, 8);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        say(&b, bad[i].id, bad[i].event, bad[i].value);
    driver_give(&b.d, CONTROL_TX, OUT, 7, false);
    driver_give(&b.d, CONTROL_TX, OUT, 8, true);
    driver_kick(&b.d, CONTROL_TX);
    driver_run(&b.d);
    check(driver_take(&b.d, CONTROL_TX, &head, &len));
    check(driver_take(&b.d, CONTROL_TX, &head, &len));
    check_str(heard(&b), "");
    check(!driver_failed(&b.d));
    tear_down(&b);
}

static void test_control_buffer_that_is_too_small(void)
{
    struct bench b;

    set_up_ports(&b);
    driver_start(&b.d, F_MULTIPORT | F_EVENT);
    say(&b, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    driver_give(&b.d, CONTROL_RX, IN, 10, true);
    driver_kick(&b.d, CONTROL_RX);
    driver_run(&b.d);
    check(driver_failed(&b.d));
    come(&b, 1);
    tear_down(&b);
}

/* Of a device with ports a driver that knows only the first: a console, as ever. */
static void test_driver_without_multiport(void)
{
    char buf[8] = "";
    struct bench b;

    set_up_ports(&b);
    driver_start_some(&b.d, 0, 3);
    memcpy(b.d.ram + TEXT, "plain", 5);
    driver_give(&b.d, 1, TEXT, 5, false);
    driver_kick(&b.d, 1);
    driver_run(&b.d);
    check_int(recv(b.host[0], buf, sizeof(buf) - 1, 0), 5);
    check_str(buf, "plain");
    come(&b, 1);
    check_int(send(b.host[1], "x", 1, 0), 1);
    check_int(send(b.host[2], "x", 1, 0), 1);
    driver_run(&b.d);
    check(!driver_failed(&b.d));
    tear_down(&b);
}

/* The number 0 is a console's, also where there is none. */
static void test_named_port_alone(void)
{
    struct bench b;

    set_up(&b);
    add_connected(&b);
    make_device(&b, (const char *const[]){"alone"});
    check_int(b.d.dev->queue_count, 6);
    check(!(b.d.dev->offered & VIRTIO_FEATURE(VIRTIO_CONSOLE_F_EMERG_WRITE)));
    virtio_device_write_config(b.d.dev, offsetof(struct virtio_console_config, emerg_wr), 'h', 4);
    driver_start(&b.d, F_MULTIPORT);
    listen_for(&b, 8);
    say(&b, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    check_str(heard(&b), "1 1 1");
    check_str(heard(&b), "");
    driver_give(&b.d, 1, TEXT, 5, false);
    driver_kick(&b.d, 1);
    driver_give(&b.d, 0, TEXT, 5, true);
    driver_kick(&b.d, 0);
    say(&b, 0, VIRTIO_CONSOLE_PORT_READY, 1);
    say(&b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    check(virtio_console_port_open(b.d.dev, 0));
    tear_down(&b);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_shape_of_one_console),
        TAP(test_output_waits_for_its_reader),
        TAP(test_output_in_one_long_chain),
        TAP(test_input_waits_for_buffers),
        TAP(test_reset_in_the_middle),
        TAP(test_emergency_write),
        TAP(test_driver_meets_the_ports),
        TAP(test_driver_that_does_not_listen),
        TAP(test_guest_opens_and_closes),
        TAP(test_output_to_nobody),
        TAP(test_nonsense_about_ports),
        TAP(test_control_buffer_that_is_too_small),
        TAP(test_driver_without_multiport),
        TAP(test_named_port_alone),
        {0},
    });
}
