/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The network device on a stream socket: frames behind their lengths, in whatever pieces they come;
 * a peer that does not read, leaves, or lies about lengths. */
#include "tests/unit/net-case.h"

#include <arpa/inet.h>

#include "vmm/backend/stream.h"

#define FRAMES 64
#define LENGTH sizeof(uint32_t)

/* ---- set up ---- */

/* driver_wait() looks again. */
static void on_notice(void *opaque)
{
    driver_interrupt_(opaque, VIRTIO_CONFIG_CHANGED);
}

static void set_up_stream(uint64_t features)
{
    char spec[32];
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    wire = pair[0];
    snprintf(spec, sizeof(spec), "fd:%d", pair[1]);
    check_int(stream_open(&tap, spec, &err), 0);
    config = ordinary();
    make_device(&config);
    driver.dev->notify = on_notice;
    driver.dev->notify_opaque = &driver;
    driver_start(&driver, features, 3);
}

/* What the peer sends, at once or byte by byte. */
static void say(const void *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len; at += piece)
        check_int(send(wire, (const uint8_t *)data + at, MIN(piece, len - at), MSG_NOSIGNAL),
                  MIN(piece, len - at));
}

static void say_frame(size_t payload, uint8_t seed, size_t piece)
{
    uint8_t frame[70000];
    uint32_t length = htonl((uint32_t)payload);
    size_t len = make_frame(frame, payload, seed);

    memcpy(frame + HEADER - LENGTH, &length, LENGTH);
    say(frame + HEADER - LENGTH, len - HEADER + LENGTH, piece);
}

static bool read_all(void *data, size_t len)
{
    struct pollfd p = {.fd = wire, .events = POLLIN};

    for (size_t at = 0; at < len;) {
        ssize_t n = poll(&p, 1, PATIENCE) == 1 ? recv(wire, (uint8_t *)data + at, len - at, 0) : 0;

        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* The frame that the peer got next. */
static bool heard_frame(size_t payload, uint8_t seed)
{
    uint8_t frame[70000];
    uint32_t length;

    return read_all(&length, sizeof(length)) && ntohl(length) == payload &&
           read_all(frame + HEADER, payload) && is_frame(frame, payload, seed);
}

static bool is_lost(struct driver *d, unsigned arg)
{
    (void)arg;
    return virtio_net_broken(d->dev) != NULL &&
           (virtio_device_take_notices(d->dev) & VIRTIO_NOTICE_LINK_LOST);
}

/* The device gave up its peer, and nothing else is wrong with it. */
static void check_lost(const char *why)
{
    check(driver_wait(&driver, is_lost, 0));
    check_str(virtio_net_broken(driver.dev), why);
    check(!(driver.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET));
    /* As whoever was told does. */
    virtio_net_set_link(driver.dev, false);
    check_int(link_status(), 0);
    transmit(1, 60, 1);
    check(driver_wait_used(&driver, TX, 1));
}

/* ---- frames ---- */

static void test_offers_no_offloads(void)
{
    set_up_stream(0);
    check((driver.dev->offered & VIRTIO_FEATURE(VIRTIO_NET_F_CSUM)) == 0);
    check((driver.dev->offered & VIRTIO_FEATURE(VIRTIO_NET_F_HOST_TSO4)) == 0);
    check((driver.dev->offered & VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO6)) == 0);
    check((driver.dev->offered & MERGEABLE) != 0);
    tear_down();
}

static void test_transmits(void)
{
    set_up_stream(0);
    transmit(0, 60, 1);
    transmit(1, 1514, 2);
    check(heard_frame(60, 1));
    check(heard_frame(1514, 2));
    check(driver_wait_used(&driver, TX, 2));
    check_int(stats().tx_bytes, 60 + 1514);
    tear_down();
}

static void test_receives(void)
{
    set_up_stream(MERGEABLE);
    give_rx_buffers(0, 64, 2048);
    say_frame(60, 1, SIZE_MAX);
    say_frame(1514, 2, SIZE_MAX);
    check(driver_wait_used(&driver, RX, 2));
    check(is_frame(slot(0), 60, 1));
    check_int(used_element(RX, 1)->len, HEADER + 1514);
    check(is_frame(slot(1), 1514, 2));
    tear_down();
}

static void test_receives_in_pieces(void)
{
    set_up_stream(MERGEABLE);
    give_rx_buffers(0, 64, 2048);
    say_frame(200, 3, 1);
    say_frame(300, 4, 7);
    check(driver_wait_used(&driver, RX, 2));
    check(is_frame(slot(0), 200, 3));
    check(is_frame(slot(1), 300, 4));
    tear_down();
}

static void test_receives_the_largest(void)
{
    set_up_stream(MERGEABLE);
    give_rx_buffers(0, 64, 2048);
    say_frame(NETDEV_MAX_FRAME, 5, SIZE_MAX);
    check(driver_wait_used(&driver, RX, (HEADER + NETDEV_MAX_FRAME + 2047) / 2048));
    check_int(stats().rx_bytes, NETDEV_MAX_FRAME);
    tear_down();
}

/* More than one turn of the loop takes, all of it out of the socket after the first read. */
static void test_many_small_ones(void)
{
    const unsigned many = 240;

    set_up_stream(MERGEABLE);
    give_rx_buffers(0, many, 128);
    for (unsigned i = 0; i < many; i++)
        say_frame(60, (uint8_t)i, SIZE_MAX);
    check(driver_wait_used(&driver, RX, (uint16_t)many));
    for (unsigned i = 0; i < many; i++)
        check(is_frame(slot(i), 60, (uint8_t)i));
    tear_down();
}

/* Those that waited for buffers, for the most part in this process. */
static void test_waits_for_buffers(void)
{
    set_up_stream(MERGEABLE);
    for (unsigned i = 0; i < FRAMES; i++)
        say_frame(100, (uint8_t)i, SIZE_MAX);
    give_rx_buffers(0, 1, 2048);
    check(driver_wait_used(&driver, RX, 1));
    give_rx_buffers(1, FRAMES - 1, 2048);
    check(driver_wait_used(&driver, RX, FRAMES - 1));
    check(is_frame(slot(FRAMES - 1), 100, FRAMES - 1));
    check_int(stats().rx_drops, 0);
    tear_down();
}

/* Less than a header of Ethernet's is dropped, and what follows is found. */
static void test_a_runt(void)
{
    set_up_stream(MERGEABLE);
    give_rx_buffers(0, 2, 2048);
    say_frame(3, 1, SIZE_MAX);
    say_frame(60, 2, SIZE_MAX);
    check(driver_wait_used(&driver, RX, 1));
    check(is_frame(slot(0), 60, 2));
    tear_down();
}

/* ---- a peer that does not read ---- */

static void test_a_full_peer(void)
{
    int small = 1;

    set_up_stream(0);
    check_int(setsockopt(tap.fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    for (unsigned i = 0; i < FRAMES; i++)
        transmit(i, 3000, (uint8_t)i);
    /* It cannot take all of them, and the guest has to wait. */
    check(driver_wait_used(&driver, TX, 1));
    for (unsigned i = 0; i < FRAMES; i++)
        check(heard_frame(3000, (uint8_t)i));
    check(driver_wait_used(&driver, TX, FRAMES - 1));
    check_int(stats().tx_drops, 0);
    check_int(stats().tx_packets, FRAMES);
    tear_down();
}

/* It never reads again; a reset of the device comes through. */
static void test_a_full_peer_and_a_reset(void)
{
    int small = 1;

    set_up_stream(0);
    check_int(setsockopt(tap.fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    for (unsigned i = 0; i < FRAMES; i++)
        transmit(i, 3000, (uint8_t)i);
    check(driver_wait_used(&driver, TX, 1));
    driver_reset(&driver);
    check(heard_frame(3000, 0));
    tear_down();
}

/* ---- a peer that is gone, or lies ---- */

static void test_a_peer_that_leaves(void)
{
    set_up_stream(MERGEABLE);
    give_rx_buffers(0, 2, 2048);
    say_frame(60, 1, SIZE_MAX);
    check(driver_wait_used(&driver, RX, 1));
    close(wire);
    check_lost("its peer is gone");
    wire = -1;
    tear_down();
}

static void test_a_frame_that_is_cut(void)
{
    uint8_t part[] = {0, 0, 0, 100, 1, 2, 3};

    set_up_stream(MERGEABLE);
    give_rx_buffers(0, 2, 2048);
    say(part, sizeof(part), SIZE_MAX);
    check_int(shutdown(wire, SHUT_WR), 0);
    check_lost("its peer is gone");
    check_int(driver_used(&driver, RX), 0);
    tear_down();
}

static void test_lengths_that_lie(void)
{
    const uint32_t lengths[] = {0, (uint32_t)NETDEV_MAX_FRAME + 1, UINT32_MAX};

    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        uint32_t length = htonl(lengths[i]);

        set_up_stream(MERGEABLE);
        give_rx_buffers(0, 2, 2048);
        say(&length, sizeof(length), SIZE_MAX);
        check_lost("its peer sent a length that no frame has");
        tear_down();
    }
}

/* A new driver comes to a device that has lost its peer. */
static void test_lost_before_a_driver(void)
{
    set_up_stream(MERGEABLE);
    driver_reset(&driver);
    close(wire);
    wire = -1;
    driver_start(&driver, MERGEABLE, 3);
    check(driver_wait(&driver, is_lost, 0));
    tear_down();
}

static void test_sources_that_are_none(void)
{
    struct netdev dev;
    char spec[32];

    check_int(stream_open(&dev, "unix:/nonexistent/socket", &err), -1);
    check_str(err.msg, "connect to `/nonexistent/socket`: No such file or directory");
    snprintf(spec, sizeof(spec), "fd:%d", dup(0));
    check_int(stream_open(&dev, spec, &err), -1);
    check(strstr(err.msg, "is no stream socket that is connected") != NULL);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_offers_no_offloads),
        TAP(test_transmits),
        TAP(test_receives),
        TAP(test_receives_in_pieces),
        TAP(test_receives_the_largest),
        TAP(test_many_small_ones),
        TAP(test_waits_for_buffers),
        TAP(test_a_runt),
        TAP(test_a_full_peer),
        TAP(test_a_full_peer_and_a_reset),
        TAP(test_a_peer_that_leaves),
        TAP(test_a_frame_that_is_cut),
        TAP(test_lengths_that_lie),
        TAP(test_lost_before_a_driver),
        TAP(test_sources_that_are_none),
        {},
    });
}
