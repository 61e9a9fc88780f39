/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line of `vole run`. */
#include "tests/unit/config-case.h"

static void test_defaults(void)
{
    check_int(parse_args("--kernel vmlinuz"), 0);
    check_str(config.name, "vole");
    check_str(config.kernel, "vmlinuz");
    check_int(config.cpus, 1);
    check_int(config.memory, 256 * MiB);
    check_str(config.serial, "stdio");
    check(config.rng_source == NULL);
    check(config.uuid == NULL);
    check(!config.paused);
    check_int(config.on_reboot, ON_REBOOT_RESTART);
    check_int(config.debug_port, -1);
    check_int(config.disk_count + config.net_count + config.console_count + config.qmp_count, 0);
    check_int(config.topology.sockets * config.topology.cores * config.topology.threads, 1);
    check(config.memory_backing.thp);
    check(!config.memory_backing.shared && !config.memory_backing.hugepages);
    check_int(config.port_count, 0);
    check(!config.balloon.present);
    check_int(config.vsock.cid, 0);
    check(!config.rtc.absent && !config.rtc.localtime);
    check(config.pvpanic);
    check_int(config.on_panic, ON_PANIC_EXIT);
}

static void test_every_flag(void)
{
    check_int(parse_args("--kernel k --initrd=i --append a=b\ac --cpus 3 --memory 1G "
                         "--disk d0 --disk d1,readonly=on,serial=S1,id=data "
                         "--net tap=t0,mac=52:54:00:AB:cd:ef,id=lan --net tap=fd:7 "
                         "--serial file:s.log --console pty --console null --rng=/dev/hwrng "
                         "--qmp unix:q --qmp fd:9 --paused --no-reboot --name web "
                         "--uuid 6F1C3AD2-5b5e-4a55-9e0c-0d9f3b6b8f11 --debug-port 0xf1"),
              0);
    check_str(err.msg, "");
    check_str(config.initrd, "i");
    check_str(config.cmdline, "a=b c");
    check_int(config.cpus, 3);
    check_int(config.memory, GiB);
    check_int(config.disk_count, 2);
    check_str(config.disks[0].id, "disk0");
    check(!config.disks[0].readonly);
    check(config.disks[0].serial == NULL);
    check_str(config.disks[1].source, "d1");
    check_str(config.disks[1].id, "data");
    check_str(config.disks[1].serial, "S1");
    check(config.disks[1].readonly);
    check_int(config.net_count, 2);
    check_str(config.nets[0].id, "lan");
    check(memcmp(config.nets[0].mac, "\x52\x54\x00\xab\xcd\xef", 6) == 0);
    check_str(config.nets[1].id, "net1");
    check_str(config.nets[1].tap, "fd:7");
    check_str(config.serial, "file:s.log");
    check_str(config.consoles[1].chardev, "null");
    check_str(config.consoles[1].id, "console1");
    check_str(config.rng_source, "/dev/hwrng");
    check_str(config.qmp[1], "fd:9");
    check(config.paused);
    check_int(config.on_reboot, ON_REBOOT_EXIT);
    check_str(config.name, "web");
    check_str(config.uuid, "6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11");
    check_int(config.debug_port, 0xf1);
}

static void test_machine_parts(void)
{
    check_int(parse_args("--kernel k --cpus 12,sockets=2,threads=2 "
                         "--memory 4G,hugepages=2M,thp=off,prealloc=on,lock=on,shared=on "
                         "--rtc localtime,offset=-3600 --pvpanic off --on-panic pause"),
              0);
    check_str(err.msg, "");
    check_int(config.cpus, 12);
    check_int(config.topology.sockets, 2);
    check_int(config.topology.cores, 3);
    check_int(config.topology.threads, 2);
    check_int(config.memory, 4 * GiB);
    check_int(config.memory_backing.hugepages, 2 * MiB);
    check(!config.memory_backing.thp);
    check(config.memory_backing.prealloc && config.memory_backing.lock);
    check(config.memory_backing.shared);
    check(config.rtc.localtime && !config.rtc.absent);
    check_int(config.rtc.offset, -3600);
    check(!config.pvpanic);
    check_int(config.on_panic, ON_PANIC_PAUSE);

    check_int(parse_args("--kernel k --cpus 8,cores=2 --rtc off"), 0);
    check_int(config.topology.sockets, 4);
    check_int(config.topology.threads, 1);
    check(config.rtc.absent);
    check_int(parse_args("--kernel k --cpus 8"), 0);
    check_int(config.topology.sockets, 1);
    check_int(config.topology.cores, 8);
}

static void test_disk_parts(void)
{
    const struct config_disk *disk = &config.disks[0];

    check_int(parse_args("--kernel k --disk d"), 0);
    check(disk->discard && !disk->direct);
    check_int(disk->queues, 1);
    check_int(disk->engine, DISK_ENGINE_AUTO);
    check_int(parse_args("--kernel k "
                         "--disk d,direct=on,discard=off,queues=4,engine=threads,bps=10M,"
                         "bps_max=20M,bps_max_length=5,iops_rd=100,iops_wr=200,iops_size=4K"),
              0);
    check_str(err.msg, "");
    check(disk->direct && !disk->discard);
    check_int(disk->queues, 4);
    check_int(disk->engine, DISK_ENGINE_THREADS);
    check_int(disk->limits.bucket[THROTTLE_BPS_TOTAL].avg, 10 * MiB);
    check_int(disk->limits.bucket[THROTTLE_BPS_TOTAL].max, 20 * MiB);
    check_int(disk->limits.bucket[THROTTLE_BPS_TOTAL].max_length, 5);
    check_int(disk->limits.bucket[THROTTLE_OPS_READ].avg, 100);
    check_int(disk->limits.bucket[THROTTLE_OPS_WRITE].avg, 200);
    check_int(disk->limits.iops_size, 4096);
}

/* Each bucket has a part of its own, named as QMP names it. */
static void test_limits_are_named_as_in_qmp(void)
{
    for (enum throttle_bucket i = 0; i < THROTTLE_BUCKETS; i++) {
        const char *name = throttle_bucket_name(i);
        cleanup_free char *line =
            xasprintf("--kernel k --disk d,%s=20,%s_max=30,%s_max_length=2", name, name, name);

        check_int(parse_args(line), 0);
        for (enum throttle_bucket j = 0; j < THROTTLE_BUCKETS; j++) {
            const struct throttle_limit *limit = &config.disks[0].limits.bucket[j];

            check_int(limit->avg, i == j ? 20 : 0);
            check_int(limit->max, i == j ? 30 : 0);
            check_int(limit->max_length, i == j ? 2 : 0);
        }
    }
}

static void test_net_parts(void)
{
    const struct config_net *net = &config.nets[0];

    check_int(parse_args("--kernel k --net tap=t"), 0);
    check_int(net->queues, 1);
    check_int(net->vhost, VHOST_AUTO);
    check(!net->link_down);
    check_int(net->mtu, 0);
    check_int(parse_args("--kernel k --net tap=fd:5:6,queues=2,vhost_fds=fd:7:8,vhost=on,mtu=9000,"
                         "link=off"),
              0);
    check_str(err.msg, "");
    check_str(net->tap, "fd:5:6");
    check_str(net->vhost_fds, "fd:7:8");
    check_int(net->queues, 2);
    check_int(net->vhost, VHOST_ON);
    check_int(net->mtu, 9000);
    check(net->link_down);
    check_int(parse_args("--kernel k --net tap=t,rx_bps=1M,rx_pps=100,tx_bps=2M,tx_pps=200,"
                         "tx_pps_max=300,tx_pps_max_length=3"),
              0);
    check_str(err.msg, "");
    check_int(net->rx_limits.bucket[THROTTLE_BPS_TOTAL].avg, MiB);
    check_int(net->rx_limits.bucket[THROTTLE_OPS_TOTAL].avg, 100);
    check_int(net->tx_limits.bucket[THROTTLE_BPS_TOTAL].avg, 2 * MiB);
    check_int(net->tx_limits.bucket[THROTTLE_OPS_TOTAL].avg, 200);
    check_int(net->tx_limits.bucket[THROTTLE_OPS_TOTAL].max, 300);
    check_int(net->tx_limits.bucket[THROTTLE_OPS_TOTAL].max_length, 3);
}

static void test_ports_balloon_vsock(void)
{
    check_int(parse_args("--kernel k --port name=org.qemu.guest_agent.0,chardev=unix:/a,,b "
                         "--port chardev=null,name=log,id=p1 --balloon --vsock cid=3"),
              0);
    check_str(err.msg, "");
    check_int(config.port_count, 2);
    check_str(config.ports[0].name, "org.qemu.guest_agent.0");
    check_str(config.ports[0].chardev, "unix:/a,b");
    check_str(config.ports[0].id, "port0");
    check_str(config.ports[1].id, "p1");
    check(config.balloon.present && config.balloon.deflate_on_oom);
    check(config.balloon.free_page_reporting);
    check_int(config.vsock.cid, 3);
    check(config.vsock.vhost == NULL);
    check_int(parse_args("--kernel k --balloon=free_page_reporting=off,deflate_on_oom=off "
                         "--vsock cid=4294967294,vhost=fd:4"),
              0);
    check(config.balloon.present && !config.balloon.deflate_on_oom);
    check(!config.balloon.free_page_reporting);
    check_int(config.vsock.cid, 4294967294);
    check_str(config.vsock.vhost, "fd:4");
}

static void test_flag_details(void)
{
    check_int(parse_args("--kernel k --rng"), 0);
    check_str(config.rng_source, CONFIG_RNG_SOURCE);
    check_int(parse_args("--kernel k --disk a,,b,,.img,readonly=off,serial=x,,y"), 0);
    check_str(config.disks[0].source, "a,b,.img");
    check_str(config.disks[0].serial, "x,y");
    check(!config.disks[0].readonly);
    /* The terminal is the serial port's, unless a console has taken it. */
    check_int(parse_args("--kernel k --console stdio"), 0);
    check_str(config.serial, "none");
    check_int(parse_args("--append --help --kernel k"), 0);
    check_str(config.cmdline, "--help");
    check_int(parse_args("--kernel k --help"), 1);
    check_int(parse_args("--flat f --memory 1M --debug-port 233"), 0);
    check_int(config.debug_port, 233);
}

static void test_flags_refused(void)
{
    static const struct {
        const char *line;
        const char *message;
    } cases[] = {
        {"kernel", "\"kernel\" is not understood: an option begins with --"},
        {"-k", "\"-k\" is not understood: an option begins with --"},
        {"--", "\"--\" is not understood: an option begins with --"},
        {"--kernels k", "there is no option --kernels; see vole --help"},
        {"--kern k", "there is no option --kern; see vole --help"},
        {"--kernel", "--kernel needs a value: PATH"},
        {"--kernel=", "--kernel : the value is empty"},
        {"--kernel k --kernel l", "--kernel is given twice"},
        {"--kernel k --kernel k", "--kernel is given twice"},
        {"--kernel k --paused=1", "--paused takes no value"},
        {"--cpus 0", "--cpus 0: \"0\" is no number from 1 to 512"},
        {"--cpus 513", "--cpus 513: \"513\" is no number from 1 to 512"},
        {"--memory 1Q", "--memory 1Q: \"1Q\" is no size like 256M"},
        {"--disk d,ro=on", "--disk d,ro=on: there is no \"ro\""},
        {"--disk d,readonly=yes", "--disk d,readonly=yes: readonly: \"yes\" is neither on nor off"},
        {"--disk d,id=a,id=b", "--disk d,id=a,id=b: id is given twice"},
        {"--disk d,e", "--disk d,e: \"e\" is not KEY=VALUE (write a comma inside a name twice)"},
        {"--net tap=t,mac=52:54:00:12:34",
         "--net tap=t,mac=52:54:00:12:34: mac: \"52:54:00:12:34\" is no MAC address like "
         "52:54:00:12:34:56"},
        {"--net tap=t,mac=01:54:00:12:34:56",
         "--net tap=t,mac=01:54:00:12:34:56: mac: 01:54:00:12:34:56 is a multicast address, a "
         "network device needs a unicast one"},
        {"--disk d,source=e", "--disk d,source=e: source is given twice"},
        {"--disk d,limits=1", "--disk d,limits=1: there is no \"limits\""},
        {"--disk d,=1", "--disk d,=1: there is no \"\""},
        {"--disk d,", "--disk d,: \"\" is not KEY=VALUE (write a comma inside a name twice)"},
        {"--disk ,readonly=on", "--disk ,readonly=on: the value is empty"},
        {"--disk d,bps=1,bps=2", "--disk d,bps=1,bps=2: bps is given twice"},
        {"--disk d,bps=fast", "--disk d,bps=fast: bps: \"fast\" is no size like 256M"},
        {"--disk d,iops=1K",
         "--disk d,iops=1K: iops: \"1K\" is no number from 0 to 9223372036854775807"},
        {"--disk d,queues=0", "--disk d,queues=0: queues: \"0\" is no number from 1 to 16"},
        {"--disk d,queues=17", "--disk d,queues=17: queues: \"17\" is no number from 1 to 16"},
        {"--disk d,engine=aio",
         "--disk d,engine=aio: engine: \"aio\" is none of auto, io_uring, threads"},
        {"--net tap=t,mtu=67", "--net tap=t,mtu=67: mtu: \"67\" is no number from 68 to 65535"},
        {"--net tap=t,bps=1", "--net tap=t,bps=1: there is no \"bps\""},
        {"--net tap=t,rx_=1", "--net tap=t,rx_=1: there is no \"rx_\""},
        {"--net tap=t,rx_bps=1,tx_bps=1,rx_bps=2",
         "--net tap=t,rx_bps=1,tx_bps=1,rx_bps=2: rx_bps is given twice"},
        {"--cpus 2,cores=0", "--cpus 2,cores=0: cores: \"0\" is no number from 1 to 512"},
        {"--cpus 2,dies=1", "--cpus 2,dies=1: there is no \"dies\""},
        {"--memory 1G,thp=1", "--memory 1G,thp=1: thp: \"1\" is neither on nor off"},
        {"--port chardev=pty", "--port chardev=pty: name is missing"},
        {"--port name=a", "--port name=a: chardev is missing"},
        {"--balloon=stats=on", "--balloon stats=on: there is no \"stats\""},
        {"--balloon --balloon", "--balloon is given twice"},
        {"--vsock vhost=fd:3", "--vsock vhost=fd:3: cid is missing"},
        {"--vsock cid=2", "--vsock cid=2: cid: \"2\" is no number from 3 to 4294967294"},
        {"--vsock cid=4294967295",
         "--vsock cid=4294967295: cid: \"4294967295\" is no number from 3 to 4294967294"},
        {"--rtc gmt", "--rtc gmt: \"gmt\" is none of utc, localtime, off"},
        {"--rtc utc,offset=1h", "--rtc utc,offset=1h: offset: \"1h\" is no number of seconds "
                                "from -3155760000 to 3155760000"},
        {"--rtc utc,offset=--1", "--rtc utc,offset=--1: offset: \"--1\" is no number of seconds "
                                 "from -3155760000 to 3155760000"},
        {"--pvpanic maybe", "--pvpanic maybe: \"maybe\" is neither on nor off"},
        {"--on-panic reboot",
         "--on-panic reboot: \"reboot\" is none of exit, pause, restart, ignore"},
        {"--debug-port 0x10000", "--debug-port 0x10000: \"0x10000\" is no port number like 0xf1"},
        {"--uuid 1", "--uuid 1: \"1\" is no UUID like 6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11"},
        {"--kernel \xff\xfe", "--kernel: \"\xff\xfe\" is not UTF-8"},
        {"--config /nonexistent/x",
         "--config /nonexistent/x: /nonexistent/x: No such file or directory"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_refused(parse_args(cases[i].line), cases[i].message);
}

static void test_too_many(void)
{
    char line[1024];
    size_t start = (size_t)snprintf(line, sizeof(line), "--kernel k");
    size_t len = start;

    for (unsigned i = 0; i < CONFIG_MAX_QMP; i++)
        len += (size_t)snprintf(line + len, sizeof(line) - len, " --qmp unix:%u", i);
    check_int(parse_args(line), 0);
    snprintf(line + len, sizeof(line) - len, " --qmp unix:x");
    check_refused(parse_args(line), "--qmp unix:x: 4 are there already, no more are possible");
    len = start;
    for (unsigned i = 0; i <= CONFIG_MAX_DISKS; i++)
        len += (size_t)snprintf(line + len, sizeof(line) - len, " --disk d");
    check_refused(parse_args(line), "--disk d: 16 are there already, no more are possible");
    len = start;
    for (unsigned i = 0; i <= CONFIG_MAX_PORTS; i++)
        len += (size_t)snprintf(line + len, sizeof(line) - len, " --port name=%u,chardev=null", i);
    check_refused(parse_args(line),
                  "--port name=16,chardev=null: 16 are there already, no more are possible");
}

/* In roff a hyphen that is typed has a backslash in front. */
static void roff_word(char *out, const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (word[i] == '-')
            *out++ = '\\';
        *out++ = word[i];
    }
    *out = '\0';
}

/* Whether the page has the word, and not just the beginning of a longer one. */
static bool has_word(const char *page, const char *word)
{
    for (const char *at = page; (at = strstr(at, word)) != NULL; at++) {
        if (!strchr("abcdefghijklmnopqrstuvwxyz\\", at[strlen(word)]))
            return true;
    }
    return false;
}

/* What the help lists is what there is: both are one table. */
static void test_the_man_page_has_every_option_of_the_help(void)
{
    static char man[65536];
    unsigned options = 0;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    FILE *man_file = fopen(TOP_SRCDIR "/docs/man/vole.1", "r");

    config_print_help(out);
    fclose(out);
    if (check(man_file != NULL)) {
        man[fread(man, 1, sizeof(man) - 1, man_file)] = '\0';
        fclose(man_file);
    }
    for (const char *line = text, *end; *line; line = end + 1) {
        char word[64];

        end = strchrnul(line, '\n');
        if (!check(end - line <= 90))
            printf("# too long: %.*s\n", (int)(end - line), line);
        if (end - line < 5 || strncmp(line + 2, "--", 2) != 0)
            continue;
        roff_word(word, line + 2, MIN(strspn(line + 2, "-abcdefghijklmnopqrstuvwxyz"), 20));
        if (!check(has_word(man, word)))
            printf("# %s is missing in the man page\n", word);
        options++;
    }
    check(options >= 27);
    free(text);
}

int main(void)
{
    int rc = tap_run((struct tap_test[]){
        TAP(test_defaults),
        TAP(test_every_flag),
        TAP(test_machine_parts),
        TAP(test_disk_parts),
        TAP(test_limits_are_named_as_in_qmp),
        TAP(test_net_parts),
        TAP(test_ports_balloon_vsock),
        TAP(test_flag_details),
        TAP(test_flags_refused),
        TAP(test_too_many),
        TAP(test_the_man_page_has_every_option_of_the_help),
        {},
    });

    config_clear(&config);
    return rc;
}
