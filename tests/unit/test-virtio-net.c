/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The network device's frames, both ways, in this process: buffers of all shapes, pauses, resets,
 * the cable, rate limits. */
#include "tests/unit/net-case.h"

#include <fcntl.h>

#define WHOLE_SEGMENTS \
    (MERGEABLE | VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO4))

static void nothing(void *opaque)
{
    (void)opaque;
}

/* Afterwards the device has seen all that was rung or put on the wire before. Twice: the first
 * doorbell may be what makes it look at the wire. */
static void settle(void)
{
    virtio_device_call(driver.dev, 0, nothing, NULL);
    virtio_device_call(driver.dev, 0, nothing, NULL);
}

static bool tap_is_quiet(void)
{
    struct pollfd poll_tap = {.fd = tap.fds[0], .events = POLLIN};

    return poll(&poll_tap, 1, 0) == 0;
}

/* Whether the frame came in buffers that were given, and given back, from `first` on. */
static bool came_in(unsigned first, unsigned buffers, size_t payload, uint8_t seed)
{
    uint8_t frame[70000];
    size_t at = 0;

    for (unsigned i = first; i < first + buffers; i++) {
        memcpy(frame + at, slot(i), used_element(RX, i)->len);
        at += used_element(RX, i)->len;
    }
    return ((struct virtio_net_hdr_v1 *)(void *)slot(first))->num_buffers == buffers &&
           at == HEADER + payload && is_frame(frame, payload, seed);
}

/* ---- frames ---- */

static void test_transmits(void)
{
    uint8_t frame[2048];

    set_up(0);
    transmit(0, 60, 1);
    transmit(1, 1514, 2);
    check_int(take_from_wire(frame, sizeof(frame)), HEADER + 60);
    check(is_frame(frame, 60, 1));
    check_int(take_from_wire(frame, sizeof(frame)), HEADER + 1514);
    check(is_frame(frame, 1514, 2));
    check(driver_wait_used(&driver, TX, 2));
    check_int(stats().tx_packets, 2);
    check_int(stats().tx_bytes, 60 + 1514);
    tear_down();
}

static void test_a_runt_is_dropped(void)
{
    set_up(0);
    driver_add(&driver, TX, &(struct driver_buffer){DRIVER_DATA, HEADER, false}, 1);
    driver_add(&driver, TX, &(struct driver_buffer){DRIVER_DATA, 3, false}, 1);
    driver_kick(&driver, TX);
    check(driver_wait_used(&driver, TX, 2));
    check_int(stats().tx_drops, 2);
    tear_down();
}

static void test_receives_in_single_buffers(void)
{
    set_up(0);
    give_rx_buffers(0, 2, 1530);
    put_on_wire(60, 1);
    put_on_wire(1514, 2);
    check(driver_wait_used(&driver, RX, 2));
    check_int(used_element(RX, 0)->len, HEADER + 60);
    check(is_frame(slot(0), 60, 1));
    check_int(((struct virtio_net_hdr_v1 *)(void *)slot(0))->num_buffers, 1);
    check_int(used_element(RX, 1)->len, HEADER + 1514);
    check(is_frame(slot(1), 1514, 2));
    check_int(stats().rx_bytes, 60 + 1514);
    tear_down();
}

static void test_receives_across_buffers(void)
{
    set_up(WHOLE_SEGMENTS);
    give_rx_buffers(0, 64, 2048);
    put_on_wire(60000, 9);
    put_on_wire(60, 1);
    check(driver_wait_used(&driver, RX, 31));
    check(came_in(0, 30, 60000, 9));
    /* The buffers behind it were lined up already. */
    check(came_in(30, 1, 60, 1));
    tear_down();
}

/* Fewer buffers than the largest frame needs, and no more to come: those that fit arrive. */
static void test_a_short_line_of_buffers(void)
{
    set_up(MERGEABLE);
    give_rx_buffers(0, 1, 2048);
    put_on_wire(1000, 1);
    check(driver_wait_used(&driver, RX, 1));
    check(is_frame(slot(0), 1000, 1));
    tear_down();
}

static void test_a_short_line_for_segments(void)
{
    set_up(WHOLE_SEGMENTS);
    give_rx_buffers(0, 16, 1600);
    put_on_wire(1000, 1);
    check(driver_wait_used(&driver, RX, 1));
    check(came_in(0, 1, 1000, 1));
    put_on_wire(15 * 1600 - HEADER, 2); /* to the end of the last one */
    check(driver_wait_used(&driver, RX, 15));
    check(came_in(1, 15, 15 * 1600 - HEADER, 2));
    check_int(stats().rx_drops, 0);
    tear_down();
}

/* ---- a frame that is kept ---- */

/* The device has 16 buffers, and a frame that needs 19. */
static void keep_a_frame(void)
{
    set_up(WHOLE_SEGMENTS);
    give_rx_buffers(0, 16, 1600);
    put_on_wire(30000, 1);
    settle();
    check(tap_is_quiet());
    check_int(driver_used(&driver, RX), 0);
    check_int(stats().rx_drops, 0);
}

static void test_a_kept_frame_comes_when_it_fits(void)
{
    keep_a_frame();
    give_rx_buffers(16, 2, 1600);
    settle();
    check_int(driver_used(&driver, RX), 0);
    give_rx_buffers(18, 2, 1600);
    put_on_wire(60, 2);
    check(driver_wait_used(&driver, RX, 20));
    check(came_in(0, 19, 30000, 1));
    check(came_in(19, 1, 60, 2));
    check_int(stats().rx_drops, 0);
    check_int(stats().rx_packets, 2);
    check_int(stats().rx_bytes, 30000 + 60);
    tear_down();
}

/* A driver that had more buffers here is going to give more: nothing overtakes, nothing is lost. */
static void test_a_kept_frame_goes_first(void)
{
    set_up(WHOLE_SEGMENTS);
    give_rx_buffers(0, 64, 2048);
    put_on_wire(60000, 1);
    put_on_wire(60000, 2);
    check(driver_wait_used(&driver, RX, 60));
    put_on_wire(20000, 3);
    put_on_wire(60, 4);
    settle();
    check_int(driver_used(&driver, RX), 60);
    check(!tap_is_quiet());
    give_rx_buffers(64, 8, 2048);
    check(driver_wait_used(&driver, RX, 11));
    check(came_in(60, 10, 20000, 3));
    check(came_in(70, 1, 60, 4));
    check_int(stats().rx_drops, 0);
    tear_down();
}

/* One that never gave more may never do, and is to have what fits. */
static void test_a_kept_frame_gives_way(void)
{
    keep_a_frame();
    put_on_wire(60, 2);
    check(driver_wait_used(&driver, RX, 1));
    check(came_in(0, 1, 60, 2));
    check_int(stats().rx_drops, 1);
    put_on_wire(30000, 3); /* it is kept as well */
    settle();
    give_rx_buffers(16, 4, 1600);
    check(driver_wait_used(&driver, RX, 19));
    check(came_in(1, 19, 30000, 3));
    check_int(stats().rx_drops, 1);
    tear_down();
}

/* More buffers than a frame may have do not hold it: it does not wait for ever. */
static void test_a_kept_frame_never_fits(void)
{
    set_up(WHOLE_SEGMENTS);
    give_rx_buffers(0, 16, 1000);
    put_on_wire(65000, 1);
    settle();
    check_int(stats().rx_drops, 0);
    give_rx_buffers(16, 60, 1000);
    settle();
    check_int(stats().rx_drops, 1);
    put_on_wire(60, 2);
    check(driver_wait_used(&driver, RX, 1));
    check(came_in(0, 1, 60, 2));
    tear_down();
}

/* Larger than any tap's frame: the spill has an end as well. */
static void test_a_kept_frame_is_never_cut(void)
{
    set_up(WHOLE_SEGMENTS);
    give_rx_buffers(0, 16, 1600);
    put_on_wire(69000, 1);
    put_on_wire(60, 2);
    check(driver_wait_used(&driver, RX, 1));
    check(came_in(0, 1, 60, 2));
    check_int(stats().rx_drops, 1);
    tear_down();
}

/* It is whole although the guest's buffers were the guest's meanwhile. */
static void test_a_pause_with_a_kept_frame(void)
{
    keep_a_frame();
    virtio_device_pause(driver.dev);
    for (unsigned i = 0; i < 16; i++)
        memset(slot(i), 0xee, SLOT);
    give_rx_buffers(16, 16, 1600);
    check_int(driver_used(&driver, RX), 0);
    virtio_device_resume(driver.dev);
    check(driver_wait_used(&driver, RX, 19));
    check(came_in(0, 19, 30000, 1));
    check_int(stats().rx_drops, 0);
    tear_down();
}

static void test_a_reset_with_a_kept_frame(void)
{
    keep_a_frame();
    driver_reset(&driver);
    check_int(stats().rx_drops, 1);
    driver_start(&driver, WHOLE_SEGMENTS, 3);
    give_rx_buffers(0, 32, 1600);
    put_on_wire(60, 2);
    check(driver_wait_used(&driver, RX, 1));
    check(came_in(0, 1, 60, 2));
    check_int(stats().rx_drops, 1);
    tear_down();
}

static void link_goes_and_comes(bool paused)
{
    keep_a_frame();
    if (paused)
        virtio_device_pause(driver.dev);
    virtio_net_set_link(driver.dev, false);
    check_int(stats().rx_drops, 1);
    virtio_net_set_link(driver.dev, true);
    if (paused)
        virtio_device_resume(driver.dev);
    give_rx_buffers(16, 16, 1600);
    put_on_wire(60, 2);
    check(driver_wait_used(&driver, RX, 1));
    check(came_in(0, 1, 60, 2));
    check_int(stats().rx_drops, 1);
    tear_down();
}

static void test_the_link_with_a_kept_frame(void)
{
    link_goes_and_comes(false);
    link_goes_and_comes(true);
}

/* The interface's MTU is larger than the driver was told, and its line shorter than that. */
static void test_a_kept_frame_without_segments(void)
{
    set_up(MERGEABLE);
    give_rx_buffers(0, 1, 1000);
    put_on_wire(4000, 1);
    settle();
    give_rx_buffers(1, 4, 1000);
    check(driver_wait_used(&driver, RX, 5));
    check(came_in(0, 5, 4000, 1));
    tear_down();
}

/* A frame has one buffer; one that is too small for it is no reason to wait. */
static void test_one_buffer_for_segments(void)
{
    set_up(WHOLE_SEGMENTS & ~MERGEABLE);
    give_rx_buffers(0, 2, 1600);
    put_on_wire(30000, 1);
    put_on_wire(1000, 2);
    check(driver_wait_used(&driver, RX, 1));
    check(came_in(0, 1, 1000, 2));
    check_int(stats().rx_drops, 1);
    tear_down();
}

/* ---- buffers that are none, or too few ---- */

static void test_frames_wait_for_buffers(void)
{
    set_up(MERGEABLE);
    put_on_wire(60, 1);
    put_on_wire(60, 2);
    give_rx_buffers(0, 1, 1600);
    check(driver_wait_used(&driver, RX, 1));
    check(is_frame(slot(0), 60, 1));
    give_rx_buffers(1, 1, 1600);
    check(driver_wait_used(&driver, RX, 1));
    check(is_frame(slot(1), 60, 2));
    tear_down();
}

static void test_a_frame_is_never_cut(void)
{
    set_up(0);
    give_rx_buffers(0, 2, 1530);
    put_on_wire(3000, 1);
    put_on_wire(1518, 2); /* fills the buffer to its end */
    check(driver_wait_used(&driver, RX, 1));
    check_int(used_element(RX, 0)->len, HEADER + 1518);
    check(is_frame(slot(0), 1518, 2));
    check_int(stats().rx_drops, 1);
    tear_down();
}

/* The interface's MTU grew: what is too large is lost until the line of buffers has grown too. */
static void test_the_line_grows(void)
{
    set_up(MERGEABLE);
    give_rx_buffers(0, 64, 1600);
    for (uint8_t i = 0; i < 4; i++)
        put_on_wire(9000, i);
    check(driver_wait_used(&driver, RX, 6));
    check_int(((struct virtio_net_hdr_v1 *)(void *)slot(0))->num_buffers, 6);
    tear_down();
}

static void test_bad_receive_buffers(void)
{
    set_up(0);
    give_rx_buffers(0, 1, HEADER - 1);
    put_on_wire(60, 1);
    check(driver_wait_failed(&driver));
    driver_reset(&driver);
    driver_start(&driver, 0, 3);
    check(tap_is_quiet()); /* what waited was for the other driver */
    driver_add(&driver, RX, &(struct driver_buffer){DRIVER_DATA, 2048, false}, 1);
    driver_kick(&driver, RX);
    put_on_wire(60, 1);
    check(driver_wait_failed(&driver));
    tear_down();
}

static void test_the_wire_goes(void)
{
    set_up(0);
    give_rx_buffers(0, 1, 1530);
    close(wire);
    /* Nothing spins, and nothing else is lost. */
    transmit(1, 60, 1);
    check(driver_wait_used(&driver, TX, 1));
    check_int(stats().tx_drops, 1);
    wire = open("/dev/null", O_RDONLY | O_CLOEXEC);
    tear_down();
}

/* As a queue of a tap that was switched off and on again before the device saw that it was off. */
static void test_the_wire_comes_back(void)
{
    int pair[2];

    set_up(0);
    close(wire);
    settle();
    check_int(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    check(dup2(pair[1], tap.fds[0]) >= 0);
    close(pair[1]);
    wire = pair[0];
    give_rx_buffers(0, 1, 1530);
    put_on_wire(60, 1);
    check(driver_wait_used(&driver, RX, 1));
    tear_down();
}

/* ---- standing still ---- */

static void test_pause_and_resume(void)
{
    set_up(MERGEABLE);
    give_rx_buffers(0, 8, 1600);
    put_on_wire(60, 0);
    check(driver_wait_used(&driver, RX, 1));
    for (uint8_t i = 1; i < 8; i++) {
        virtio_device_pause(driver.dev);
        put_on_wire(60, i);
        transmit(8, 60, i);
        check_int(driver_used(&driver, RX), i);
        check_int(driver_used(&driver, TX), i - 1);
        virtio_device_resume(driver.dev);
        check(driver_wait_used(&driver, RX, 1));
        check(driver_wait_used(&driver, TX, 1));
        check(is_frame(slot(i), 60, i));
    }
    tear_down();
}

static void test_reset_under_load(void)
{
    set_up(MERGEABLE);
    for (unsigned i = 0; i < 50; i++) {
        give_rx_buffers(0, 64, 2048);
        for (uint8_t k = 0; k < 20; k++)
            put_on_wire(500, k);
        transmit(65, 60, 1);
        driver_reset(&driver);
        driver_start(&driver, MERGEABLE, 3);
        while (recv(wire, (uint8_t[2048]){0}, 2048, MSG_DONTWAIT) > 0)
            ;
    }
    give_rx_buffers(0, 2, 2048);
    put_on_wire(60, 77);
    check(driver_wait_used(&driver, RX, 1));
    check(is_frame(slot(0), 60, 77));
    tear_down();
}

/* ---- link ---- */

static void test_link(void)
{
    uint8_t frame[2048];
    unsigned changes;

    set_up(VIRTIO_FEATURE(VIRTIO_NET_F_STATUS));
    check_int(link_status(), VIRTIO_NET_S_LINK_UP);
    give_rx_buffers(0, 2, 1530);
    changes = driver.config_changes;
    virtio_net_set_link(driver.dev, false);
    check_int(link_status(), 0);
    check_int(driver.config_changes, changes + 1);
    virtio_net_set_link(driver.dev, false);
    check_int(driver.config_changes, changes + 1);
    put_on_wire(60, 1);
    transmit(2, 60, 1);
    check(driver_wait_used(&driver, TX, 1));
    check_int(stats().tx_drops, 1);
    virtio_net_set_link(driver.dev, true);
    check_int(link_status(), VIRTIO_NET_S_LINK_UP);
    put_on_wire(60, 2);
    transmit(2, 60, 2);
    check(driver_wait_used(&driver, RX, 1));
    check(is_frame(slot(0), 60, 2)); /* not the first */
    check_int(take_from_wire(frame, sizeof(frame)), HEADER + 60);
    check(is_frame(frame, 60, 2));
    tear_down();
}

static void test_link_down_at_start_and_mtu(void)
{
    struct config_net how = ordinary();

    how.link_down = true;
    how.mtu = 9000;
    set_up_with(&how, VIRTIO_FEATURE(VIRTIO_NET_F_STATUS) | VIRTIO_FEATURE(VIRTIO_NET_F_MTU));
    check(driver.dev->offered & VIRTIO_FEATURE(VIRTIO_NET_F_MTU));
    check_int(virtio_device_read_config(driver.dev, offsetof(struct virtio_net_config, mtu), 2),
              9000);
    check_int(link_status(), 0);
    check(!virtio_net_link_is_up(driver.dev));
    give_rx_buffers(0, 1, 1530);
    virtio_net_set_link(driver.dev, true);
    put_on_wire(60, 1);
    check(driver_wait_used(&driver, RX, 1));
    tear_down();
}

/* ---- limits ---- */

static struct throttle_limits bytes_per_second(uint64_t avg)
{
    struct throttle_limits limits = {0};

    limits.bucket[THROTTLE_BPS_TOTAL].avg = avg;
    return limits;
}

/* At a byte a second the second frame would take a minute; that the limit goes lets it pass. */
static void test_limits(void)
{
    struct throttle_limits none = {0};
    struct throttle_limits slow = bytes_per_second(1);
    struct throttle_limits rx;
    struct throttle_limits tx;

    set_up(0);
    check(virtio_net_set_limits(driver.dev, &slow, &slow, &err) == 0);
    virtio_net_get_limits(driver.dev, &rx, &tx);
    check_int(rx.bucket[THROTTLE_BPS_TOTAL].avg, 1);
    give_rx_buffers(0, 4, 1530);
    for (uint8_t i = 0; i < 2; i++) {
        put_on_wire(1000, i);
        transmit(8 + i, 1000, i);
    }
    check(driver_wait_used(&driver, RX, 1));
    check(driver_wait_used(&driver, TX, 1));
    virtio_device_pause(driver.dev);
    check_int(driver_used(&driver, RX), 1);
    check_int(driver_used(&driver, TX), 1);
    virtio_device_resume(driver.dev);
    check(virtio_net_set_limits(driver.dev, &none, &none, &err) == 0);
    check(driver_wait_used(&driver, RX, 1));
    check(driver_wait_used(&driver, TX, 1));
    tear_down();
}

/* The timer alone wakes it: at 10 kB/s a tenth of a second's worth goes at once. */
static void test_limited_frames_come_later(void)
{
    struct config_net how = ordinary();

    how.rx_limits = how.tx_limits = bytes_per_second(10000);
    set_up_with(&how, 0);
    give_rx_buffers(0, 4, 1530);
    for (uint8_t i = 0; i < 4; i++) {
        put_on_wire(700, i);
        transmit(8 + i, 700, i);
    }
    check(driver_wait_used(&driver, RX, 4));
    check(driver_wait_used(&driver, TX, 4));
    tear_down();
}

static void test_senseless_limits(void)
{
    struct throttle_limits none = {0};
    struct throttle_limits bad = {0};

    bad.bucket[THROTTLE_BPS_TOTAL].max = 5;
    set_up(0);
    check(virtio_net_set_limits(driver.dev, &bad, &none, &err) < 0);
    check_str(err.msg, "net `net0`: a burst rate needs an average rate");
    tear_down();
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_transmits),
        TAP(test_a_runt_is_dropped),
        TAP(test_receives_in_single_buffers),
        TAP(test_receives_across_buffers),
        TAP(test_a_short_line_of_buffers),
        TAP(test_a_short_line_for_segments),
        TAP(test_a_kept_frame_comes_when_it_fits),
        TAP(test_a_kept_frame_goes_first),
        TAP(test_a_kept_frame_gives_way),
        TAP(test_a_kept_frame_never_fits),
        TAP(test_a_kept_frame_is_never_cut),
        TAP(test_a_pause_with_a_kept_frame),
        TAP(test_a_reset_with_a_kept_frame),
        TAP(test_the_link_with_a_kept_frame),
        TAP(test_a_kept_frame_without_segments),
        TAP(test_one_buffer_for_segments),
        TAP(test_frames_wait_for_buffers),
        TAP(test_a_frame_is_never_cut),
        TAP(test_the_line_grows),
        TAP(test_bad_receive_buffers),
        TAP(test_the_wire_goes),
        TAP(test_the_wire_comes_back),
        TAP(test_pause_and_resume),
        TAP(test_reset_under_load),
        TAP(test_link),
        TAP(test_link_down_at_start_and_mtu),
        TAP(test_limits),
        TAP(test_limited_frames_come_later),
        TAP(test_senseless_limits),
        {0},
    });
}
