/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of the network device share: the device, a driver, and a pair of sockets that keep
 * messages apart, which stands for a tap with one queue: what the device writes comes out at the
 * other end.
 */
#ifndef VOLE_TESTS_NET_CASE_H
#define VOLE_TESTS_NET_CASE_H

#include <linux/virtio_net.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/unit/tap.h"
#include "tests/unit/virtio-driver.h"
#include "vmm/backend/tap.h"
#include "vmm/config.h"
#include "vmm/virtio/net.h"

#define RX       0
#define TX       1
#define CONTROL  2 /* with one pair */
#define HEADER   NETDEV_HEADER_SIZE
#define SLOT     (4 * KiB) /* of guest memory, for a buffer */
#define ANSWERS  (DRIVER_DATA - 4 * KiB)
#define PATIENCE 60000 /* ms, for what has to come */

#define MERGEABLE VIRTIO_FEATURE(VIRTIO_NET_F_MRG_RXBUF)
#define ALL_CONTROL                                                                        \
    (VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_VQ) | VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_RX) |         \
     VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_RX_EXTRA) | VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_VLAN) | \
     VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR) | VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE))

static struct error err;
static struct driver driver;
static struct netdev tap;
static int wire; /* the other end of the tap */
static const uint8_t own_mac[6] = {0x52, 0x54, 0, 1, 2, 3};

/* ---- set up ---- */

static inline struct config_net ordinary(void)
{
    static char id[] = "net0";
    struct config_net config = {.id = id, .queues = 1, .vhost = VHOST_OFF};

    memcpy(config.mac, own_mac, sizeof(own_mac));
    return config;
}

static inline void make_device(const struct config_net *config)
{
    struct virtio_device *dev;

    driver_init(&driver);
    dev = virtio_net_new(config, &driver.mem, &tap, &err);
    if (!dev) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    driver_attach(&driver, dev);
}

/* The config is kept by reference. */
static struct config_net config;

static inline void set_up_with(const struct config_net *how, uint64_t features)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        abort();
    wire = pair[0];
    tap = (struct netdev){.ops = &tap_ops, .queue_count = 1, .fds = {pair[1]}, .enabled = {true}};
    config = *how;
    make_device(&config);
    driver_start(&driver, features, 3);
}

static inline void set_up(uint64_t features)
{
    struct config_net how = ordinary();

    set_up_with(&how, features);
}

static inline void tear_down(void)
{
    driver_release(&driver);
    netdev_close(&tap);
    close(wire);
}

static inline uint8_t *slot(unsigned i)
{
    return driver_ptr(&driver, DRIVER_DATA + i * SLOT);
}

/* A frame as the tap has it: header, then bytes that depend on `seed`. */
static inline size_t make_frame(uint8_t *frame, size_t payload, uint8_t seed)
{
    memset(frame, 0, HEADER);
    for (size_t i = 0; i < payload; i++)
        frame[HEADER + i] = (uint8_t)(seed + i * 7 + i / 256);
    return HEADER + payload;
}

static inline void give_rx_buffers(unsigned from, unsigned count, uint32_t len)
{
    for (unsigned i = from; i < from + count; i++)
        driver_add(&driver, RX, &(struct driver_buffer){DRIVER_DATA + i * SLOT, len, true}, 1);
    driver_kick(&driver, RX);
}

static inline void put_on_wire(size_t payload, uint8_t seed)
{
    uint8_t frame[70000];
    size_t len = make_frame(frame, payload, seed);

    check_int(send(wire, frame, len, 0), len);
}

static inline void transmit(unsigned i, size_t payload, uint8_t seed)
{
    size_t len = make_frame(slot(i), payload, seed);

    driver_add(&driver, TX,
               (struct driver_buffer[]){
                   {DRIVER_DATA + i * SLOT, HEADER, false},
                   {DRIVER_DATA + i * SLOT + HEADER, (uint32_t)(len - HEADER), false}},
               2);
    driver_kick(&driver, TX);
}

static inline size_t take_from_wire(uint8_t *frame, size_t size)
{
    struct pollfd poll_wire = {.fd = wire, .events = POLLIN};
    ssize_t n;

    if (poll(&poll_wire, 1, PATIENCE) != 1)
        return 0;
    n = recv(wire, frame, size, 0);
    return n > 0 ? (size_t)n : 0;
}

static inline const struct vring_used_elem *used_element(unsigned queue, unsigned i)
{
    const struct driver_queue *q = &driver.queues[queue];

    return &q->vring.used->ring[i % q->vring.num];
}

static inline bool is_frame(const uint8_t *got, size_t payload, uint8_t seed)
{
    uint8_t want[70000];

    make_frame(want, payload, seed);
    return memcmp(got + HEADER, want + HEADER, payload) == 0;
}

static inline struct virtio_net_stats stats(void)
{
    struct virtio_net_stats s;

    virtio_net_get_stats(driver.dev, &s);
    return s;
}

static inline uint16_t link_status(void)
{
    return (uint16_t)virtio_device_read_config(driver.dev,
                                               offsetof(struct virtio_net_config, status), 2);
}

#endif
