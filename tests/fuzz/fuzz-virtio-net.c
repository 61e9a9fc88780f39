/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any driver of the network device, with two pairs of queues: chains of all shapes, commands of all
 * kinds, bytes written anywhere into the rings, frames of all sizes from the tap (a pair of sockets
 * that keep messages apart), doorbells, resets, pauses, limits, and a cable that comes and goes.
 * What must hold: whenever the device stands still, each chain that it took has been given back,
 * unless it says that it needs a reset; and after a reset it moves frames both ways.
 *
 * Bytes are read off the input one after the other: first an action, then what it needs.
 */
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>

#include "tests/fuzz/input.h"
#include "tests/unit/virtio-driver.h"
#include "vmm/backend/tap.h"
#include "vmm/config.h"
#include "vmm/virtio/net.h"

#define PAIRS   2
#define PARTS   (3 * UINT64_C(4096)) /* of memory that a ring's three parts are in */
#define QUEUES  (2 * PAIRS + 1)
#define CONTROL (2 * PAIRS)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One device for all inputs: what it keeps from one to the next is part of the test. */
struct bench {
    struct driver driver;
    struct netdev tap;
    int wires[PAIRS];
};

static struct bench *get_bench(void)
{
    static struct bench bench;
    static char id[] = "net0";
    static const struct config_net config = {
        .id = id, .mac = {2}, .queues = PAIRS, .mtu = 1500, .vhost = VHOST_OFF};
    struct bench *b = &bench;
    struct virtio_device *dev;
    struct error err;

    if (b->tap.queue_count)
        return b;
    b->tap.ops = &tap_ops;
    b->tap.queue_count = PAIRS;
    for (unsigned i = 0; i < PAIRS; i++) {
        int pair[2];

        require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        b->tap.fds[i] = pair[0];
        b->tap.enabled[i] = true;
        b->wires[i] = pair[1];
    }
    driver_init(&b->driver);
    dev = virtio_net_new(&config, &b->driver.mem, &b->tap, &err);
    require(dev != NULL);
    driver_attach(&b->driver, dev);
    /* What a guest may provoke in the log is not of interest here. */
    dev->complaints = UINT32_MAX / 2;
    return b;
}

/* ---- what a driver does ---- */

static void start(struct bench *b, struct input *in)
{
    uint64_t features = (uint64_t)next16(in) | (uint64_t)next16(in) << 16;

    driver_reset(&b->driver);
    driver_start(&b->driver, features, QUEUES);
}

static void add_chain(struct bench *b, struct input *in)
{
    struct driver_buffer buffers[8];
    unsigned queue = next8(in) % QUEUES;
    unsigned count = 1 + next8(in) % 8;
    uint8_t honest = next8(in);

    for (unsigned i = 0; i < count; i++) {
        uint8_t kind = next8(in);
        uint32_t len = kind & 1 ? next8(in) : 512u * (next8(in) % 8);

        /* As it should be: receive buffers to write, others to read. */
        buffers[i] = (struct driver_buffer){DRIVER_DATA + UINT64_C(64) * next16(in), len,
                                            honest < 200 ? queue % 2 == 0 : kind & 2};
    }
    driver_add(&b->driver, queue, buffers, count);
}

/* A command, well formed but for its class, number and data. */
static void add_command(struct bench *b, struct input *in)
{
    struct driver *d = &b->driver;
    /* Without pairs the control queue is the third. */
    unsigned queue = d->dev->acked & VIRTIO_FEATURE(VIRTIO_NET_F_MQ) ? CONTROL : 2;
    uint64_t at = DRIVER_DATA + next16(in);
    uint32_t len = next8(in) % 64;
    uint8_t bytes[66] = {next8(in) % 8, next8(in) % 6};
    const struct driver_buffer buffers[] = {{at, 2 + len, false}, {at + 4096, 1, true}};

    for (uint32_t i = 0; i < len; i++)
        bytes[2 + i] = next8(in);
    memory_write(&d->mem, at, bytes, sizeof(bytes));
    driver_add(d, queue, buffers, ARRAY_SIZE(buffers));
    driver_kick(d, queue);
}

static void poke(struct bench *b, struct input *in)
{
    uint64_t at = next16(in) % (QUEUES * PARTS);
    uint8_t bytes[16];
    size_t len = 1 + next8(in) % sizeof(bytes);

    /* Into the rings: each has its parts in the first pages of its own place. */
    at = DRIVER_RING_SIZE * (1 + at / PARTS) + at % PARTS;
    for (size_t i = 0; i < len; i++)
        bytes[i] = next8(in);
    memory_write(&b->driver.mem, at, bytes, len);
}

static void drain(int wire)
{
    char byte;

    while (recv(wire, &byte, 1, MSG_DONTWAIT) >= 0)
        ;
}

static void send_frame(struct bench *b, struct input *in)
{
    static const uint8_t zeroes[70000];
    unsigned wire = next8(in) % PAIRS;

    drain(b->wires[wire]);
    /* A tap that is full drops, and so may this. */
    (void)send(b->wires[wire], zeroes, next16(in), MSG_DONTWAIT);
}

static void stand_still(struct bench *b)
{
    const struct virtio_device *dev = b->driver.dev;

    virtio_device_pause(b->driver.dev);
    if (!(virtio_device_status(dev) & VIRTIO_CONFIG_S_NEEDS_RESET))
        for (unsigned i = 0; i < QUEUES; i++)
            require(dev->queues[i].next_avail == dev->queues[i].next_used);
    virtio_device_resume(b->driver.dev);
}

static void set_limits(struct bench *b, struct input *in)
{
    static const enum throttle_bucket kinds[] = {THROTTLE_BPS_TOTAL, THROTTLE_OPS_TOTAL};
    struct throttle_limits limits[2] = {{.iops_size = 0}};
    struct error err;

    for (unsigned i = 0; i < 2; i++)
        limits[i].bucket[kinds[next8(in) % 2]].avg = next8(in) % 4 ? 0 : next16(in);
    require(virtio_net_set_limits(b->driver.dev, &limits[0], &limits[1], &err) == 0);
}

static void ask(struct bench *b)
{
    struct virtio_net_rx_filter filter;
    struct virtio_net_stats stats;

    virtio_net_get_rx_filter(b->driver.dev, &filter);
    require(filter.unicast_count + filter.multicast_count <= VIRTIO_NET_MAX_MACS);
    virtio_net_get_stats(b->driver.dev, &stats);
    virtio_net_announce(b->driver.dev);
}

static void step(struct bench *b, struct input *in)
{
    switch (next8(in) % 20) {
    case 0:
        start(b, in);
        break;
    case 1:
        poke(b, in);
        break;
    case 2:
        stand_still(b);
        break;
    case 3:
        set_limits(b, in);
        break;
    case 4:
        virtio_net_set_link(b->driver.dev, next8(in) % 4);
        break;
    case 5:
        ask(b);
        break;
    case 6:
    case 7:
        add_command(b, in);
        break;
    case 8:
    case 9:
    case 10:
        send_frame(b, in);
        break;
    case 11:
    case 12:
    case 13:
        driver_kick(&b->driver, next8(in) % QUEUES);
        break;
    default:
        add_chain(b, in);
        break;
    }
}

/* Whatever was before. */
static void check_that_it_serves(struct bench *b)
{
    static const uint8_t frame[NETDEV_HEADER_SIZE + 60];
    static const struct throttle_limits none;
    struct driver *d = &b->driver;
    const struct driver_buffer out = {DRIVER_DATA, sizeof(frame), false};
    const struct driver_buffer in = {DRIVER_DATA + 4096, 2048, true};
    struct pollfd poll_wire = {.fd = b->wires[0], .events = POLLIN};
    uint8_t got[128];
    struct error err;

    driver_reset(d);
    require(virtio_net_set_limits(d->dev, &none, &none, &err) == 0);
    virtio_net_set_link(d->dev, true);
    for (unsigned i = 0; i < PAIRS; i++) {
        drain(b->wires[i]);
        drain(b->tap.fds[i]);
    }
    driver_start(d, 0, QUEUES);
    memory_write(&d->mem, DRIVER_DATA, frame, sizeof(frame));
    driver_add(d, 1, &out, 1);
    driver_kick(d, 1);
    require(driver_wait_used(d, 1, 1));
    require(poll(&poll_wire, 1, 0) == 1);
    require(recv(b->wires[0], got, sizeof(got), 0) == sizeof(frame));
    driver_add(d, 0, &in, 1);
    driver_kick(d, 0);
    require(send(b->wires[0], frame, sizeof(frame), 0) == sizeof(frame));
    require(driver_wait_used(d, 0, 1));
    driver_reset(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bench *b = get_bench();
    struct input in = {data, size};

    start(b, &in);
    while (in.left > 0)
        step(b, &in);
    stand_still(b);
    check_that_it_serves(b);
    return 0;
}
