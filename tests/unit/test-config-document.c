/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Machine documents: reading, writing, and what is refused of them. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "tests/unit/config-case.h"

static const char whole_document[] =
    "{\"version\": 1, \"name\": \"web1\", \"uuid\": \"6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11\","
    " \"genid\": \"6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f12\","
    " \"cpus\": 4, \"topology\": {\"sockets\": 1, \"cores\": 2, \"threads\": 2},"
    " \"cpu\": {\"features\": {\"avx2\": false, \"popcnt\": true}},"
    " \"memory\": 268435456, \"memory_backing\": {\"shared\": true, \"hugepages\": 2097152,"
    " \"thp\": false, \"prealloc\": true, \"lock\": true},"
    " \"boot\": {\"kernel\": \"/boot/vmlinuz\", \"initrd\": \"/boot/initrd.img\","
    " \"cmdline\": \"console=ttyS0 root=/dev/vda1\"},"
    " \"disks\": [{\"id\": \"disk0\", \"source\": \"/images/web1.img\", \"readonly\": false,"
    " \"direct\": true, \"discard\": false, \"queues\": 4, \"engine\": \"io_uring\","
    " \"serial\": \"WEB1\", \"limits\": {\"bps\": 1000000, \"bps_max\": 2000000,"
    " \"bps_max_length\": 3, \"iops_rd\": 100, \"iops_wr\": 200, \"iops_size\": 4096}}],"
    " \"nets\": [{\"id\": \"net0\", \"tap\": \"fd:5:6\", \"mac\": \"52:54:00:12:34:56\","
    " \"queues\": 2, \"mtu\": 1500, \"link\": false, \"vhost\": \"auto\","
    " \"vhost_fds\": \"fd:7:8\", \"rx_limits\": {\"bps\": 1000000},"
    " \"tx_limits\": {\"pps\": 1000, \"pps_max\": 2000, \"pps_max_length\": 2}}],"
    " \"serial\": \"unix:/run/web1.serial\","
    " \"consoles\": [{\"id\": \"console0\", \"chardev\": \"pty\"}],"
    " \"ports\": [{\"id\": \"port0\", \"name\": \"org.qemu.guest_agent.0\","
    " \"chardev\": \"unix:/run/web1.agent\"}],"
    " \"rng\": {\"source\": \"/dev/urandom\"},"
    " \"balloon\": {\"deflate_on_oom\": true, \"free_page_reporting\": false},"
    " \"vsock\": {\"cid\": 42, \"vhost\": \"fd:9\"},"
    " \"rtc\": {\"base\": \"localtime\", \"offset\": -3600}, \"pvpanic\": false,"
    " \"kvm\": \"fd:10\", \"qmp\": [\"unix:/run/web1.qmp\"],"
    " \"paused\": false, \"on_reboot\": \"restart\", \"on_panic\": \"ignore\"}";

/* What is read is what is written, key for key. */
static void test_round_trip(void)
{
    json_t *document;
    char *text;

    check_int(parse_json(whole_document), 0);
    check_str(err.msg, "");
    check_str(config.disks[0].serial, "WEB1");
    check(config.nets[0].has_mac);
    document = config_to_json(&config);
    text = json_dumps(document, 0);
    check_str(text, whole_document);
    free(text);
    json_decref(document);
}

/* The example in the documentation is a machine document as query-machine shows it. */
static void test_documented_example(void)
{
    static char page[65536];
    FILE *file = fopen(TOP_SRCDIR "/docs/machine-config.md", "r");
    json_t *want;
    json_t *got;
    char *start;
    char *end;

    check(file != NULL);
    if (!file)
        return;
    page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
    fclose(file);
    start = strstr(page, "```json\n");
    end = start ? strstr(start, "\n```\n") : NULL;
    if (!check(end != NULL))
        return;
    *end = '\0';
    start += strlen("```json\n");
    check_int(parse_json(start), 0);
    check_str(err.msg, "");
    want = json_loads(start, 0, NULL);
    got = config_to_json(&config);
    check(json_equal(want, got));
    json_decref(want);
    json_decref(got);
}

static void test_document_defaults(void)
{
    json_t *document;
    char *text;

    check_int(
        parse_json("{\"version\": 1, \"boot\": {\"kernel\": \"f\"}, \"rng\": {}, \"balloon\": {},"
                   " \"memory\": \"64M\", \"debug_port\": 241, \"on_reboot\": \"exit\","
                   " \"disks\": [{\"source\": \"d\"}]}"),
        0);
    check_str(config.serial, "none");
    check_str(config.rng_source, "/dev/urandom");
    document = config_to_json(&config);
    text = json_dumps(document, 0);
    check_str(text, "{\"version\": 1, \"name\": \"vole\", \"cpus\": 1,"
                    " \"topology\": {\"sockets\": 1, \"cores\": 1, \"threads\": 1},"
                    " \"memory\": 67108864, \"memory_backing\": {\"shared\": false, \"thp\": true,"
                    " \"prealloc\": false, \"lock\": false}, \"boot\": {\"kernel\": \"f\"},"
                    " \"disks\": [{\"id\": \"disk0\", \"source\": \"d\", \"readonly\": false,"
                    " \"direct\": false, \"discard\": true, \"queues\": 1, \"engine\": \"auto\"}],"
                    " \"nets\": [], \"serial\": \"none\", \"consoles\": [], \"ports\": [],"
                    " \"rng\": {\"source\": \"/dev/urandom\"},"
                    " \"balloon\": {\"deflate_on_oom\": true, \"free_page_reporting\": true},"
                    " \"rtc\": {\"base\": \"utc\", \"offset\": 0}, \"pvpanic\": true, \"qmp\": [],"
                    " \"paused\": false, \"on_reboot\": \"exit\", \"on_panic\": \"exit\","
                    " \"debug_port\": 241}");
    free(text);
    json_decref(document);
}

static void test_documents_refused(void)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"", "line 1, column 0: '[' or '{' expected near end of file"},
        {"[]", "the document is not an object"},
        {"{\"version\": 1,}", "line 1, column 15: string or '}' expected near '}'"},
        {"{}", "version is missing"},
        {"{\"version\": 2}", "version is 2, which is not within 1 and 1"},
        {"{\"version\": \"1\"}", "version is not an integer"},
        {"{\"version\": 1, \"processors\": 1}", "processors is no key of the machine document"},
        {"{\"version\": 1, \"boot\": {\"kernal\": \"k\"}}",
         "boot.kernal is no key of the machine document"},
        {"{\"version\": 1, \"disks\": [{\"source\": \"a\"}, {\"sorce\": \"b\"}]}",
         "disks[1].sorce is no key of the machine document"},
        {"{\"version\": 1, \"disks\": [{\"id\": \"a\"}]}", "disks[0].source is missing"},
        {"{\"version\": 1, \"disks\": [7]}", "disks[0] is not an object"},
        {"{\"version\": 1, \"disks\": {}}", "disks is not an array"},
        {"{\"version\": 1, \"cpus\": 0}", "cpus is 0, which is not within 1 and 512"},
        {"{\"version\": 1, \"cpus\": 513}", "cpus is 513, which is not within 1 and 512"},
        {"{\"version\": 1, \"cpus\": -1}", "cpus is -1, which is not within 1 and 512"},
        {"{\"version\": 1, \"cpus\": 1.5}", "cpus is not an integer"},
        {"{\"version\": 1, \"memory\": true}",
         "memory is not an integer or a string like \"256M\""},
        {"{\"version\": 1, \"memory\": \"1X\"}", "memory is \"1X\", which is no size like 256M"},
        {"{\"version\": 1, \"paused\": 1}", "paused is not true or false"},
        {"{\"version\": 1, \"name\": null}", "name is not a string"},
        {"{\"version\": 1, \"on_reboot\": \"never\"}",
         "on_reboot: \"never\" is neither restart nor exit"},
        {"{\"version\": 1, \"nets\": [{\"tap\": \"t\", \"mac\": \"x\"}]}",
         "nets[0].mac: \"x\" is no MAC address like 52:54:00:12:34:56"},
        {"{\"version\": 1, \"qmp\": [\"unix:a\", 3]}", "qmp[1] is not a string"},
        {"{\"version\": 1, \"qmp\": [\"a\",\"b\",\"c\",\"d\",\"e\"]}",
         "qmp has 5 elements, 4 are possible"},
        {"{\"version\": 1, \"debug_port\": 65536}",
         "debug_port is 65536, which is not within 0 and 65535"},
        {"{\"version\": 1, \"topology\": {\"cores\": 0}}",
         "topology.cores is 0, which is not within 1 and 512"},
        {"{\"version\": 1, \"cpu\": {\"features\": [\"avx2\"]}}", "cpu.features is not an object"},
        {"{\"version\": 1, \"cpu\": {\"features\": {\"avx2\": 0}}}",
         "cpu.features.avx2 is not true or false"},
        {"{\"version\": 1, \"topology\": {\"dies\": 1}}",
         "topology.dies is no key of the machine document"},
        {"{\"version\": 1, \"memory_backing\": {\"hugepages\": true}}",
         "memory_backing.hugepages is not an integer or a string like \"256M\""},
        {"{\"version\": 1, \"memory_backing\": true}", "memory_backing is not an object"},
        {"{\"version\": 1, \"disks\": [{\"source\": \"a\", \"engine\": \"aio\"}]}",
         "disks[0].engine: \"aio\" is none of auto, io_uring, threads"},
        {"{\"version\": 1, \"disks\": [{\"source\": \"a\", \"limits\": {\"pps\": 1}}]}",
         "disks[0].limits.pps is no key of the machine document"},
        {"{\"version\": 1, \"disks\": [{\"source\": \"a\", \"limits\": {\"bps\": -1}}]}",
         "disks[0].limits.bps is -1, which is not within 0 and 9223372036854775807"},
        {"{\"version\": 1, \"nets\": [{\"tap\": \"a\", \"link\": 1}]}",
         "nets[0].link is not true or false"},
        {"{\"version\": 1, \"nets\": [{\"tap\": \"a\", \"vhost\": true}]}",
         "nets[0].vhost is not a string"},
        {"{\"version\": 1, \"nets\": [{\"tap\": \"a\", \"mtu\": 0}]}",
         "nets[0].mtu is 0, which is not within 68 and 65535"},
        {"{\"version\": 1, \"ports\": [{\"chardev\": \"pty\"}]}", "ports[0].name is missing"},
        {"{\"version\": 1, \"balloon\": true}", "balloon is not an object"},
        {"{\"version\": 1, \"vsock\": {}}", "vsock.cid is missing"},
        {"{\"version\": 1, \"vsock\": {\"cid\": 4294967295}}",
         "vsock.cid is 4294967295, which is not within 3 and 4294967294"},
        {"{\"version\": 1, \"vsock\": {\"cid\": 3, \"vhost\": \"\"},"
         " \"boot\": {\"kernel\": \"k\"}}",
         "vsock: the path of vhost is empty"},
        {"{\"version\": 1, \"rtc\": {\"base\": \"gmt\"}}",
         "rtc.base: \"gmt\" is none of utc, localtime, off"},
        {"{\"version\": 1, \"rtc\": {\"offset\": 3155760001}}",
         "rtc.offset is 3155760001, which is not within -3155760000 and 3155760000"},
        {"{\"version\": 1, \"on_panic\": \"reboot\"}",
         "on_panic: \"reboot\" is none of exit, pause, restart, ignore"},
        {"{\"version\": 1, \"a\\nb\": 1}", "a?b is no key of the machine document"},
        {"{\"version\": 1, \"name\": \"a\", \"name\": \"b\"}",
         "line 1, column 34: duplicate object key near '\"name\"'"},
        {"{\"version\": 1, \"name\": \"\", \"boot\": {\"kernel\": \"k\"}}",
         "the machine's name is empty"},
        {"{\"version\": 1, \"boot\": {\"kernel\": \"k\"}, \"disks\": [{\"source\": \"\"}]}",
         "disk \"disk0\": the source is empty"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_refused(parse_json(cases[i].text), cases[i].message);
}

static void test_document_too_large(void)
{
    size_t len = 1024 * 1024 + 1;
    char *text = xcalloc(1, len + 1);

    memset(text, ' ', len);
    config_clear(&config);
    config_init(&config);
    check_refused(config_parse_json(&config, text, len, &err),
                  "the document is larger than 1024 KiB");
    free(text);
}

/* --config is read first, wherever it stands; flags override and add. */
static void test_flags_over_document(void)
{
    char path[] = "/tmp/vole-test-XXXXXX";
    cleanup_close int fd = mkstemp(path);
    char line[256];

    check_int(write_full(fd, whole_document, strlen(whole_document)), 0);
    snprintf(line, sizeof(line), "--name over --disk more --config %s --memory 1G --paused", path);
    check_int(parse_args(line), 0);
    check_str(config.name, "over");
    check_int(config.memory, GiB);
    check(config.paused);
    check_str(config.serial, "unix:/run/web1.serial");
    check_int(config.cpus, 4);
    check_int(config.topology.threads, 2);
    check_int(config.disk_count, 2);
    check_str(config.disks[0].source, "/images/web1.img");
    check_str(config.disks[1].source, "more");
    check_str(config.disks[1].id, "disk1");

    /* Other processors are no longer those of the document's topology. */
    snprintf(line, sizeof(line), "--cpus 6 --config %s --memory 1G,lock=off --rtc off", path);
    check_int(parse_args(line), 0);
    check_int(config.topology.cores, 6);
    check_int(config.topology.threads, 1);
    check_int(config.memory_backing.hugepages, 2 * MiB);
    check(!config.memory_backing.lock);
    check(config.rtc.absent && config.rtc.offset == 0);

    check_int(ftruncate(fd, 10), 0);
    check_int(parse_args(line), -1);
    check(strstr(err.msg, path) != NULL);
    check(strstr(err.msg, "line 1, column 10") != NULL);
    unlink(path);
}

static void test_document_from_descriptor(void)
{
    int pipes[2];
    char line[64];

    check_int(pipe(pipes), 0);
    check_int(write_full(pipes[1], whole_document, strlen(whole_document)), 0);
    close(pipes[1]);
    snprintf(line, sizeof(line), "--config fd:%d", pipes[0]);
    check_int(parse_args(line), 0);
    check_str(config.name, "web1");
    check_int(fcntl(pipes[0], F_GETFD), -1); /* taken over, and used up */
}

static void *write_document(void *path)
{
    cleanup_close int fd = open(path, O_WRONLY);

    check_int(write_full(fd, whole_document, strlen(whole_document)), 0);
    return NULL;
}

/* The writer may come later than we. */
static void test_document_from_fifo(void)
{
    char folder[] = "/tmp/vole-test-XXXXXX";
    cleanup_free char *path = NULL;
    cleanup_free char *line = NULL;
    pthread_t writer;

    check(mkdtemp(folder) != NULL);
    path = xasprintf("%s/fifo", folder);
    line = xasprintf("--config %s", path);
    check_int(mkfifo(path, 0600), 0);
    check_int(pthread_create(&writer, NULL, write_document, path), 0);
    check_int(parse_args(line), 0);
    check_str(config.name, "web1");
    pthread_join(writer, NULL);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    int rc = tap_run((struct tap_test[]){
        TAP(test_round_trip),
        TAP(test_documented_example),
        TAP(test_document_defaults),
        TAP(test_documents_refused),
        TAP(test_document_too_large),
        TAP(test_flags_over_document),
        TAP(test_document_from_descriptor),
        TAP(test_document_from_fifo),
        {},
    });

    config_clear(&config);
    return rc;
}
