/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is read out of a VMM's replies to queries of statistics. */
#include "libvirt-driver/api/block.h"
#include "libvirt-driver/api/interface.h"
#include "libvirt-driver/util.h"
#include "tests/unit/tap.h"

static const char nets[] =
    "[{\"device\": \"net0\", \"in-kernel\": false, \"stats\": {\"rx_bytes\": 99}},"
    " {\"device\": \"net1\", \"in-kernel\": false, \"stats\": {\"rx_bytes\": 1, \"rx_packets\": 2,"
    "  \"rx_dropped\": 3, \"tx_bytes\": 4, \"tx_packets\": 5, \"tx_dropped\": 6}}, 7]";

/* What the guest receives is what a tap sends. */
static void test_interface(void)
{
    g_autoptr(json_ref) reply = json_loads(nets, 0, NULL);
    struct tap_stats stats;

    if (!check(net_stats_read(reply, "net1", &stats)))
        return;
    check_int(stats.tx.bytes, 1);
    check_int(stats.tx.packets, 2);
    check_int(stats.tx.dropped, 3);
    check_int(stats.rx.bytes, 4);
    check_int(stats.rx.packets, 5);
    check_int(stats.rx.dropped, 6);
    check_int(stats.rx.errors | stats.tx.errors, 0);
}

static void test_disk(void)
{
    g_autoptr(json_ref) reply = json_loads(
        "[{\"device\": \"virtio-disk1\", \"stats\": {\"rd_operations\": 1, \"rd_bytes\": 2,"
        " \"rd_total_time_ns\": 3, \"wr_operations\": 4, \"wr_bytes\": 5, \"wr_total_time_ns\": 6,"
        " \"flush_operations\": 7, \"flush_total_time_ns\": 8}}]",
        0, NULL);
    struct block_stats stats = {.rd_req = 100};

    if (!check(block_stats_read(reply, "virtio-disk1", &stats)))
        return;
    check_int(stats.rd_req, 101); /* of several disks it is the sum */
    check_int(stats.rd_bytes, 2);
    check_int(stats.rd_times, 3);
    check_int(stats.wr_req, 4);
    check_int(stats.wr_bytes, 5);
    check_int(stats.wr_times, 6);
    check_int(stats.flush_req, 7);
    check_int(stats.flush_times, 8);
}

static void test_what_is_not_there(void)
{
    g_autoptr(json_ref) reply = json_loads(nets, 0, NULL);
    g_autoptr(json_ref) other = json_loads("{\"device\": \"net0\"}", 0, NULL);
    struct tap_stats net;
    struct block_stats disk = {0};

    check(!net_stats_read(reply, "net2", &net));
    check(!net_stats_read(other, "net0", &net));
    check(!net_stats_read(NULL, "net0", &net));
    check(!block_stats_read(reply, "virtio-disk0", &disk));
    check_int(disk.rd_req, 0);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_interface),
        TAP(test_disk),
        TAP(test_what_is_not_there),
        {},
    });
}
