/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The network device's control queue, and what only a real tap can do: queue pairs, on one in a
 * network namespace of its own. */
#include "tests/unit/net-case.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_packet.h>
#include <sched.h>
#include <sys/ioctl.h>

/* ---- the control queue ---- */

/* Carries a command out and returns its answer. */
static int command_of(unsigned queue, uint8_t class, uint8_t number, const void *data, uint32_t len)
{
    uint8_t *at = driver_ptr(&driver, ANSWERS);

    at[0] = class;
    at[1] = number;
    memcpy(at + 2, data, len);
    at[2000] = 0xee;
    driver_add(&driver, queue,
               (struct driver_buffer[]){{ANSWERS, 2 + len, false}, {ANSWERS + 2000, 1, true}}, 2);
    driver_kick(&driver, queue);
    check(driver_wait_used(&driver, queue, 1));
    return at[2000];
}

static int command(uint8_t class, uint8_t number, const void *data, uint32_t len)
{
    return command_of(CONTROL, class, number, data, len);
}

static struct virtio_net_rx_filter filter(void)
{
    struct virtio_net_rx_filter f;

    virtio_net_get_rx_filter(driver.dev, &f);
    return f;
}

static void test_receive_modes(void)
{
    set_up(ALL_CONTROL);
    check(filter().promiscuous);
    check(filter().broadcast_allowed);
    check_int(command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1), VIRTIO_NET_OK);
    check_int(command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, "\1", 1), VIRTIO_NET_OK);
    check_int(command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOUNI, "\1", 1), VIRTIO_NET_OK);
    check_int(command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, "\1", 1), VIRTIO_NET_OK);
    check(!filter().promiscuous);
    check(!filter().broadcast_allowed);
    check_int(filter().multicast, VIRTIO_NET_RX_ALL);
    check_int(filter().unicast, VIRTIO_NET_RX_NONE);
    check_int(filter().vlan, VIRTIO_NET_RX_NORMAL);
    check_int(command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST + 1, "\1", 1), VIRTIO_NET_ERR);
    check_int(command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "", 0), VIRTIO_NET_ERR);
    driver_reset(&driver);
    check(filter().promiscuous);
    tear_down();
}

static void test_mac_table(void)
{
    uint8_t table[4 + 2 * 6 + 4 + 6] = {2};
    uint8_t large[4 + 4 + 70 * 6] = {0};
    uint8_t lie[8] = {0xff, 0xff, 0xff, 0xff};

    memset(table + 4, 0x22, 12);
    table[16] = 1;
    memset(table + 20, 0x33, 6);
    large[4] = 70;
    set_up(ALL_CONTROL);
    check_int(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, sizeof(table)),
              VIRTIO_NET_OK);
    check_int(filter().unicast_count, 2);
    check_int(filter().unicast_table[1][5], 0x22);
    check_int(filter().multicast_count, 1);
    check_int(filter().multicast_table[0][0], 0x33);
    /* Half a table, one that is not there at all, and a count that lies: nothing changes. */
    check_int(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, 19),
              VIRTIO_NET_ERR);
    check_int(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, 0),
              VIRTIO_NET_ERR);
    check_int(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, lie, sizeof(lie)),
              VIRTIO_NET_ERR);
    check_int(filter().unicast_count, 2);
    check_int(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, large, sizeof(large)),
              VIRTIO_NET_OK);
    check(filter().multicast_overflow && !filter().unicast_overflow);
    check_int(filter().multicast_count, 0);
    tear_down();
}

static void test_mac_address(void)
{
    uint8_t mac[8] = {0};

    set_up(ALL_CONTROL);
    check_int(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\2abcde", 6),
              VIRTIO_NET_OK);
    check(memcmp(filter().main_mac, "\2abcde", 6) == 0);
    for (unsigned i = 0; i < 6; i++)
        mac[i] = (uint8_t)virtio_device_read_config(driver.dev, i, 1);
    check_str((char *)mac, "\2abcde");
    check_int(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "abcde", 5),
              VIRTIO_NET_ERR);
    driver_reset(&driver);
    check(memcmp(filter().main_mac, own_mac, 6) == 0);
    tear_down();
}

static void test_vlans(void)
{
    set_up(ALL_CONTROL);
    check_int(command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, "\x21\x00", 2),
              VIRTIO_NET_OK);
    check_int(command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, "\xff\x0f", 2),
              VIRTIO_NET_OK);
    check_int(filter().vlans[1], 2);
    check_int(filter().vlans[127], 0x80000000);
    check_int(command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, "\x21\x00", 2),
              VIRTIO_NET_OK);
    check_int(filter().vlans[1], 0);
    check_int(command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, "\x00\x10", 2),
              VIRTIO_NET_ERR);
    tear_down();
}

/* One notice until somebody asks. */
static void test_filter_notices(void)
{
    set_up(ALL_CONTROL);
    check_int(virtio_device_take_notices(driver.dev), 0);
    for (unsigned i = 0; i < 3; i++)
        command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1);
    check_int(virtio_device_take_notices(driver.dev), VIRTIO_NOTICE_RX_FILTER);
    command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\1", 1);
    check_int(virtio_device_take_notices(driver.dev), 0);
    filter();
    command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\1", 1);
    check_int(virtio_device_take_notices(driver.dev), VIRTIO_NOTICE_RX_FILTER);
    tear_down();
}

static void test_announcement(void)
{
    set_up(ALL_CONTROL);
    check_int(command(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, "", 0),
              VIRTIO_NET_ERR);
    virtio_net_announce(driver.dev);
    check_int(link_status(), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
    check_int(command(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, "", 0),
              VIRTIO_NET_OK);
    check_int(link_status(), VIRTIO_NET_S_LINK_UP);
    tear_down();
}

static void test_commands_that_are_not(void)
{
    uint64_t offloads = UINT64_MAX;

    set_up(ALL_CONTROL | VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS));
    check_int(command(77, 0, "", 0), VIRTIO_NET_ERR);
    check_int(command(VIRTIO_NET_CTRL_VLAN, 9, "\1\0", 2), VIRTIO_NET_ERR);
    /* Of a feature that the driver did not accept. */
    check_int(command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, "\1\0", 2),
              VIRTIO_NET_ERR);
    check_int(command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &offloads,
                      sizeof(offloads)),
              VIRTIO_NET_ERR);
    tear_down();
}

static void test_commands_that_cannot_be_answered(void)
{
    set_up(ALL_CONTROL);
    driver_add(&driver, CONTROL, &(struct driver_buffer){ANSWERS, 3, false}, 1);
    driver_kick(&driver, CONTROL);
    check(driver_wait_failed(&driver));
    driver_reset(&driver);
    driver_start(&driver, ALL_CONTROL, 3);
    /* Only an answer, and no command. */
    driver_add(&driver, CONTROL, &(struct driver_buffer){ANSWERS, 1, true}, 1);
    driver_kick(&driver, CONTROL);
    check(driver_wait_used(&driver, CONTROL, 1));
    check_int(*(uint8_t *)driver_ptr(&driver, ANSWERS), VIRTIO_NET_ERR);
    tear_down();
}

/* ---- on a real tap ---- */

#define PAIRS     4
#define TAP_NAME  "volet0"
#define ETHERTYPE 0x88b5 /* for experiments */

static int packet_socket;

static bool set_up_real(void)
{
    struct config_net how = ordinary();
    struct ifreq ifr = {.ifr_name = TAP_NAME, .ifr_flags = IFF_UP};
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE)};

    if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
        tap_skip("needs root and /dev/net/tun");
        return false;
    }
    how.queues = PAIRS;
    config = how;
    if (!check(tap_open(&tap, TAP_NAME, PAIRS, &err) == 0)) {
        printf("# %s\n", err.msg);
        return false;
    }
    packet_socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETHERTYPE));
    check(ioctl(packet_socket, SIOCSIFFLAGS, &ifr) == 0);
    check(ioctl(packet_socket, SIOCGIFINDEX, &ifr) == 0);
    address.sll_ifindex = ifr.ifr_ifindex;
    check(bind(packet_socket, (struct sockaddr *)&address, sizeof(address)) == 0);
    make_device(&config);
    driver_start(&driver, VIRTIO_FEATURE(VIRTIO_NET_F_MQ) | VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_VQ),
                 2 * PAIRS + 1);
    return true;
}

static void tear_down_real(void)
{
    driver_release(&driver);
    netdev_close(&tap);
    close(packet_socket);
}

static int set_pairs(uint16_t pairs)
{
    return command_of(2 * PAIRS, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs,
                      sizeof(pairs));
}

static size_t make_ethernet(uint8_t *frame, uint8_t seed)
{
    size_t len = make_frame(frame, 60, seed);

    memset(frame + HEADER, 0xff, 6);
    frame[HEADER + 12] = ETHERTYPE >> 8;
    frame[HEADER + 13] = ETHERTYPE & 0xff;
    return len;
}

static bool hears(uint8_t seed)
{
    struct pollfd poll_socket = {.fd = packet_socket, .events = POLLIN};
    uint8_t want[128];
    uint8_t got[128];

    make_ethernet(want, seed);
    return poll(&poll_socket, 1, PATIENCE) == 1 && recv(packet_socket, got, sizeof(got), 0) == 60 &&
           memcmp(got, want + HEADER, 60) == 0;
}

static void transmit_by(unsigned pair, uint8_t seed)
{
    size_t len = make_ethernet(slot(200 + pair), seed);

    driver_add(&driver, 2 * pair + 1,
               &(struct driver_buffer){DRIVER_DATA + (200 + pair) * SLOT, (uint32_t)len, false}, 1);
    driver_kick(&driver, 2 * pair + 1);
    check(driver_wait_used(&driver, 2 * pair + 1, 1));
}

static void test_queue_pairs(void)
{
    if (!set_up_real())
        return;
    check_int(virtio_device_read_config(driver.dev,
                                        offsetof(struct virtio_net_config, max_virtqueue_pairs), 2),
              PAIRS);
    transmit_by(0, 10);
    check(hears(10));
    check_int(set_pairs(0), VIRTIO_NET_ERR);
    check_int(set_pairs(PAIRS + 1), VIRTIO_NET_ERR);
    for (unsigned round = 0; round < 3; round++) {
        check_int(set_pairs(PAIRS), VIRTIO_NET_OK);
        for (unsigned i = 0; i < PAIRS; i++) {
            transmit_by(i, (uint8_t)(20 + i));
            check(hears((uint8_t)(20 + i)));
        }
        check_int(set_pairs(2), VIRTIO_NET_OK);
        transmit_by(1, 30);
        check(hears(30));
    }
    check_int(stats().tx_packets, 1 + 3 * (PAIRS + 1));
    tear_down_real();
}

static bool all_received(struct driver *d, unsigned wanted)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < PAIRS; i++)
        sum += driver_used(d, 2 * i);
    return sum >= wanted;
}

static void test_each_pair_receives(void)
{
    uint8_t frame[128];
    size_t len;

    if (!set_up_real())
        return;
    check_int(set_pairs(PAIRS), VIRTIO_NET_OK);
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        for (unsigned i = 0; i < 40; i++)
            driver_add(&driver, 2 * pair,
                       &(struct driver_buffer){DRIVER_DATA + (pair * 40 + i) * SLOT, 2048, true},
                       1);
        driver_kick(&driver, 2 * pair);
    }
    len = make_ethernet(frame, 1);
    for (unsigned i = 0; i < 40; i++)
        check_int(send(packet_socket, frame + HEADER, len - HEADER, 0), len - HEADER);
    check(driver_wait(&driver, all_received, 40));
    /* After a reset there is one pair again, and the others' frames go to it. */
    driver_reset(&driver);
    for (unsigned i = 0; i < PAIRS; i++)
        check_int(tap.enabled[i], i == 0);
    tear_down_real();
}

/* A driver that knows nothing of pairs finds the control queue behind the first. */
static void test_one_pair_of_many(void)
{
    if (!set_up_real())
        return;
    driver_reset(&driver);
    driver_start(&driver, ALL_CONTROL, 3);
    check_int(command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1), VIRTIO_NET_OK);
    check(!filter().promiscuous);
    check_int(command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, "\2\0", 2),
              VIRTIO_NET_ERR);
    transmit_by(0, 1);
    check(hears(1));
    tear_down_real();
}

/* ---- back ends that are not what they should be ---- */

static void test_taps_that_cannot_be(void)
{
    struct netdev t;
    char spec[64];
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    check(tap_open(&t, "a-name-that-is-far-too-long", 1, &err) < 0);
    check_str(err.msg, "`a-name-that-is-far-too-long` cannot be an interface's name");
    check(tap_open(&t, "", 1, &err) < 0);
    check(tap_open(&t, "tap0", NETDEV_MAX_QUEUES + 1, &err) < 0);
    snprintf(spec, sizeof(spec), "fd:%d", null);
    check(tap_open(&t, spec, 1, &err) < 0); /* and closes it */
    check(strstr(err.msg, "is not a tap") != NULL);
    check(fcntl(null, F_GETFD) < 0 && errno == EBADF);
    check_int(t.queue_count, 0);
}

static void test_taps_given(void)
{
    struct netdev first;
    struct netdev t;
    char spec[64];

    if (!set_up_real())
        return;
    check_int(set_pairs(2), VIRTIO_NET_OK);
    snprintf(spec, sizeof(spec), "fd:%d:%d", dup(tap.fds[0]), dup(tap.fds[1]));
    check(tap_open(&t, spec, 2, &err) == 0);
    check_int(t.queue_count, 2);
    check_int(t.mtu, 1500);
    netdev_close(&t);
    snprintf(spec, sizeof(spec), "fd:%d", dup(tap.fds[0]));
    check(tap_open(&t, spec, 2, &err) < 0);
    check(strstr(err.msg, "has fewer than 2 descriptors") != NULL);
    /* An interface of the other kind. */
    check(tap_open(&first, "volet1", 1, &err) == 0);
    check(tap_open(&t, "volet1", 2, &err) < 0);
    check(strstr(err.msg, "multi_queue") != NULL);
    netdev_close(&first);
    tear_down_real();
}

static void test_vhosts_that_cannot_be(void)
{
    static char null_fd[32];
    struct config_net how = ordinary();
    struct memory mem = {.fd = -1};

    tap = (struct netdev){.ops = &tap_ops, .queue_count = 1, .fds = {-1}};
    how.vhost = VHOST_ON;
    how.vhost_fds = null_fd;
    snprintf(null_fd, sizeof(null_fd), "fd:%d", open("/dev/null", O_RDWR | O_CLOEXEC));
    check(virtio_net_new(&how, &mem, &tap, &err) == NULL);
    check(strstr(err.msg, "net `net0`: fd:") == err.msg && strstr(err.msg, "not such a device"));
    /* What was given has to do, whatever is said elsewhere. */
    how.vhost = VHOST_AUTO;
    snprintf(null_fd, sizeof(null_fd), "fd:%d", open("/dev/null", O_RDWR | O_CLOEXEC));
    check(virtio_net_new(&how, &mem, &tap, &err) == NULL);
    /* Too few. */
    tap.queue_count = 2;
    tap.fds[1] = -1;
    snprintf(null_fd, sizeof(null_fd), "something");
    check(virtio_net_new(&how, &mem, &tap, &err) == NULL);
    check_str(err.msg, "net `net0`: vhost_fds: `something` is not fd:N for each of 2 queues");
    tap.queue_count = 0;
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_receive_modes),
        TAP(test_mac_table),
        TAP(test_mac_address),
        TAP(test_vlans),
        TAP(test_filter_notices),
        TAP(test_announcement),
        TAP(test_commands_that_are_not),
        TAP(test_commands_that_cannot_be_answered),
        TAP(test_queue_pairs),
        TAP(test_each_pair_receives),
        TAP(test_one_pair_of_many),
        TAP(test_taps_that_cannot_be),
        TAP(test_taps_given),
        TAP(test_vhosts_that_cannot_be),
        {0},
    });
}
