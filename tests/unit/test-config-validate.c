/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold of a machine description as a whole. */
#include "tests/unit/config-case.h"

static void test_validate(void)
{
    static const struct {
        const char *line;
        const char *message;
    } cases[] = {
        {"--cpus 1", "there is nothing to boot: give a kernel (--kernel, boot.kernel) or a "
                     "real-mode binary (--flat, boot.flat)"},
        {"--kernel k --flat f", "a kernel and a flat binary are given: only one can be booted"},
        {"--flat f --initrd i", "a flat binary takes no initrd"},
        {"--flat f --append x", "a flat binary takes no command line"},
        {"--flat f --disk d", "a flat binary takes no virtio devices (disks)"},
        {"--flat f --net tap=t", "a flat binary takes no virtio devices (network devices)"},
        {"--flat f --console null", "a flat binary takes no virtio devices (consoles)"},
        {"--flat f --balloon", "a flat binary takes no virtio devices (balloon)"},
        {"--kernel k --memory 15M", "memory of 15728640 bytes is too little, 16M are needed"},
        {"--flat f --memory 4K", "memory of 4096 bytes is too little, 1M are needed"},
        {"--kernel k --memory 17T", "memory of 18691697672192 bytes is too much, 16T are possible"},
        {"--kernel k --memory 33554433",
         "memory of 33554433 bytes is not a whole number of 4 KiB pages"},
        {"--kernel k --cpus 4,sockets=3",
         "topology: 3 sockets of 1 cores with 1 threads are not 4 cpus"},
        {"--kernel k --cpus 4,sockets=254,cores=254,threads=254",
         "topology: 254 sockets of 254 cores with 254 threads are not 4 cpus"},
        {"--kernel k --memory 64M,hugepages=4M",
         "hugepages of 4194304 bytes are not possible, 2M and 1G are"},
        {"--kernel k --memory 65M,hugepages=2M",
         "memory of 68157440 bytes is not a whole number of 2M huge pages"},
        {"--kernel k --memory 1G,hugepages=8388608T",
         "hugepages of 9223372036854775808 bytes are not possible, 2M and 1G are"},
        {"--kernel k --rtc off,offset=1", "rtc: a clock that is off has no offset"},
        {"--kernel k --disk d --disk e,id=disk0", "two devices have the id \"disk0\""},
        {"--kernel k --disk d --net tap=t,id=disk0", "two devices have the id \"disk0\""},
        {"--kernel k --rng --console null --disk d,id=rng0", "two devices have the id \"rng0\""},
        {"--kernel k --disk d,id=a/b", "\"a/b\" cannot be a device's id: up to 63 letters, digits, "
                                       "'-', '_' and '.' can"},
        {"--kernel k --disk d,serial=123456789012345678901",
         "disk \"disk0\": serial \"123456789012345678901\" is longer than 20 bytes"},
        {"--kernel k --net tap=a/b", "net \"net0\": \"a/b\" is no name of a network interface"},
        {"--kernel k --net tap=fd:3:4",
         "net \"net0\": tap fd:3:4: 2 descriptors are not one for each of 1 queues"},
        {"--kernel k --net tap=fd:3,queues=2",
         "net \"net0\": tap fd:3: 1 descriptors are not one for each of 2 queues"},
        {"--kernel k --net tap=fd:3:,queues=2",
         "net \"net0\": \"fd:3:\" is not fd:N, the number of a descriptor"},
        {"--kernel k --net tap=fd:3:04,queues=2",
         "net \"net0\": \"fd:3:04\" is not fd:N, the number of a descriptor"},
        {"--kernel k --net tap=fd:1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17",
         "net \"net0\": \"fd:1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17\" has more than 16 "
         "descriptors"},
        {"--kernel k --net mac=52:54:00:12:34:56",
         "--net mac=52:54:00:12:34:56: neither a tap nor a socket is given"},
        {"--kernel k --net tap=t,socket=fd:3",
         "net \"net0\": a tap and a socket are given, and one of them is needed"},
        {"--kernel k --net socket=/run/passt.socket",
         "net \"net0\": socket: \"/run/passt.socket\" is neither unix:PATH nor fd:N"},
        {"--kernel k --net socket=fd:3:4", "net \"net0\": a socket serves one pair of queues"},
        {"--kernel k --net socket=unix:/s,queues=2",
         "net \"net0\": a socket serves one pair of queues"},
        {"--kernel k --net socket=unix:/s,vhost=on",
         "net \"net0\": vhost takes frames from a tap, not from a socket"},
        {"--kernel k --net socket=fd:5 --serial fd:5", "fd:5 is given to two users"},
        {"--kernel k --net tap=t,vhost_fds=/dev/vhost-net",
         "net \"net0\": vhost_fds: \"/dev/vhost-net\" is not fd:N"},
        {"--kernel k --net tap=t,vhost_fds=fd:1:2",
         "net \"net0\": vhost_fds fd:1:2: 2 descriptors are not one for each of 1 queues"},
        {"--kernel k --net tap=t,vhost_fds=fd:1,vhost=off",
         "net \"net0\": vhost is off, but vhost_fds are given"},
        {"--kernel k --net tap=t,vhost=on,rx_bps=1M",
         "net \"net0\": vhost=on and rate limits go not together: vhost has no limits"},
        {"--kernel k --net tap=t,vhost=on,tx_pps=1",
         "net \"net0\": vhost=on and rate limits go not together: vhost has no limits"},
        {"--kernel k --net tap=t,rx_bps=2,rx_bps_max=1",
         "net \"net0\": rx_limits: a burst rate is lower than the average rate"},
        {"--kernel k --net tap=t,tx_pps_max=1",
         "net \"net0\": tx_limits: a burst rate needs an average rate"},
        {"--kernel k --disk d,iops_size=1",
         "disk \"disk0\": limits: the size of an operation needs a limit of operations a second"},
        {"--kernel k --port name=a/b,chardev=pty",
         "port \"port0\": the name \"a/b\" has other than ASCII letters, digits and signs without "
         "'/' in it"},
        {"--kernel k --port name=..,chardev=pty",
         "port \"port0\": \"..\" cannot be a port's name of 1 to 63 bytes"},
        {"--kernel k --port "
         "name=1234567890123456789012345678901234567890123456789012345678901234,chardev=pty",
         "port \"port0\": \"1234567890123456789012345678901234567890123456789012345678901234\" "
         "cannot be a port's name of 1 to 63 bytes"},
        {"--kernel k --port name=a,chardev=pty --port name=a,chardev=null",
         "two ports have the name \"a\""},
        {"--kernel k --port name=a,chardev=tcp:x",
         "port \"port0\": \"tcp:x\" is none of stdio, pty, unix:PATH, file:PATH, fd:N, null, none"},
        {"--kernel k --balloon --disk d,id=balloon0", "two devices have the id \"balloon0\""},
        {"--kernel k --vsock cid=3 --disk d,id=vsock0", "two devices have the id \"vsock0\""},
        {"--kernel k --port name=a,chardev=null,id=net0 --net tap=t",
         "two devices have the id \"net0\""},
        {"--kernel k --serial tcp:x",
         "serial: \"tcp:x\" is none of stdio, pty, unix:PATH, file:PATH, fd:N, null, none"},
        {"--kernel k --serial unix:",
         "serial: \"unix:\" is none of stdio, pty, unix:PATH, file:PATH, fd:N, null, none"},
        {"--kernel k --console stdio:x", "console \"console0\": \"stdio:x\" is none of stdio, pty, "
                                         "unix:PATH, file:PATH, fd:N, null, none"},
        {"--kernel k --qmp q", "qmp: \"q\" is neither unix:PATH nor fd:N"},
        {"--kernel k --serial stdio --console stdio", "stdio is given to two users"},
        {"--kernel fd:5 --initrd fd:5", "fd:5 is given to two users"},
        {"--kernel k --serial fd:05", "\"fd:05\" is not fd:N, the number of a descriptor"},
        {"--kernel k --serial fd:6 --net tap=fd:5:6,queues=2", "fd:6 is given to two users"},
        {"--kernel k --net tap=fd:5:5,queues=2", "fd:5 is given to two users"},
        {"--kernel k --net tap=fd:5,vhost_fds=fd:5", "fd:5 is given to two users"},
        {"--kernel k --vsock cid=3,vhost=fd:7 --qmp fd:7", "fd:7 is given to two users"},
        {"--kernel k --serial unix:p --port name=a,chardev=unix:p", "unix:p is given to two users"},
        {"--kernel k --qmp unix:a --serial unix:a", "unix:a is given to two users"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_refused(parse_args(cases[i].line), cases[i].message);
    check_int(parse_args("--kernel k --serial null --console null --console none"), 0);
    check_int(parse_args("--kernel k --disk d,id=rng0"), 0); /* where there is no other */
    check_int(parse_args("--kernel k --memory 3G,hugepages=1G"), 0);
    check_int(parse_args("--kernel k --net tap=t,vhost=off,rx_bps=1M"), 0);
    check_int(parse_args("--kernel k --net tap=t,vhost_fds=fd:9,rx_bps=1M"), 0);
    check_int(parse_args("--kernel k --net tap=t,queues=16"), 0);
}

static void test_mac_is_stable(void)
{
    uint8_t first[6];
    uint8_t second[6];

    check_int(parse_args("--kernel k --net tap=a --net tap=b --name one"), 0);
    memcpy(first, config.nets[0].mac, 6);
    memcpy(second, config.nets[1].mac, 6);
    check(memcmp(first, second, 6) != 0);
    check_int(first[0], 0x02); /* local, unicast */
    check_int(parse_args("--kernel k --net tap=other --name one"), 0);
    check(memcmp(first, config.nets[0].mac, 6) == 0);
    check(!config.nets[0].has_mac);
    check_int(parse_args("--kernel k --net tap=a --name two"), 0);
    check(memcmp(first, config.nets[0].mac, 6) != 0);
}

int main(void)
{
    int rc = tap_run((struct tap_test[]){
        TAP(test_validate),
        TAP(test_mac_is_stable),
        {},
    });

    config_clear(&config);
    return rc;
}
