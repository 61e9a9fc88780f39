/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The monitor over real sockets, before a machine that only remembers what it was told. */
#include "vmm/qmp/qmp.h"

#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "tests/unit/fake-machine.h"
#include "tests/unit/tap.h"
#include "vmm/backend/chardev.h"
#include "vmm/qmp/client.h"

/* ---- a monitor and its clients ---- */

static char folder[] = "/tmp/vole-test-XXXXXX";

struct bench {
    struct machine m;
    struct loop *loop; /* a thread */
    char *spec;
    struct qmp *qmp;
};

struct call {
    struct bench *b;
    struct machine_event ev;
};

static void bench_open(struct bench *b, const char *const *words)
{
    struct error err = {""};
    int count = 0;

    *b = (struct bench){.m.state = MACHINE_CREATED};
    while (words[count])
        count++;
    config_init(&b->m.config);
    check_int(config_parse_args(&b->m.config, count, (char **)words, &err), 0);
    check_int(config_validate(&b->m.config, &err), 0);
    check_str(err.msg, "");
    b->loop = loop_thread_start("main", &err);
    b->spec = xasprintf("unix:%s/qmp", folder);
    b->qmp = b->m.qmp = qmp_new(&b->m, b->loop, &b->spec, 1, &err);
    check(b->qmp != NULL);
}

static void free_in_loop(void *opaque)
{
    qmp_free(((struct bench *)opaque)->qmp);
}

static void bench_close(struct bench *b)
{
    loop_call(b->loop, free_in_loop, b);
    loop_thread_stop(b->loop);
    config_clear(&b->m.config);
    free(b->spec);
}

static void event_in_loop(void *opaque)
{
    const struct call *call = opaque;

    qmp_machine_event(call->b->qmp, &call->ev);
}

static void bench_event(struct bench *b, enum machine_event_kind kind, enum machine_cause cause)
{
    struct call call = {b, {kind, cause}};

    loop_call(b->loop, event_in_loop, &call);
}

static int bench_connect(struct bench *b)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", b->spec + 5);
    check_int(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    return fd;
}

/* One line without its end; "" when the connection ends or nothing comes for a minute. */
static const char *get_line(int fd)
{
    static char line[300000];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t len = 0;

    while (len + 1 < sizeof(line)) {
        if (poll(&p, 1, 60000) != 1 || read(fd, line + len, 1) != 1) {
            len = 0;
            break;
        }
        if (line[len] == '\n')
            break;
        len++;
    }
    check(len == 0 || line[len - 1] == '\r');
    line[len > 0 ? len - 1 : 0] = '\0';
    return line;
}

static void put(int fd, const char *text)
{
    check_int(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void check_answer(int fd, const char *request, const char *answer)
{
    put(fd, request);
    check_str(get_line(fd), answer);
}

static const char greeting[] = "{\"QMP\": {\"version\": {\"qemu\": {\"major\": ";

static int ready_client(struct bench *b)
{
    int fd = bench_connect(b);

    check(strncmp(get_line(fd), greeting, strlen(greeting)) == 0);
    check_answer(fd, "{\"execute\": \"qmp_capabilities\"}", "{\"return\": {}}");
    return fd;
}

/* An event, whose time is not known. */
static void check_event(int fd, const char *rest)
{
    const char *line = get_line(fd);
    const char *event = strstr(line, "\"event\"");

    check(strncmp(line, "{\"timestamp\": {\"seconds\": ", 26) == 0);
    check_str(event, rest);
}

static const char *const plain_machine[] = {
    "--kernel", "k",      "--cpus", "2",
    "--name",   "web",    "--disk", "/a.img,readonly=on",
    "--net",    "tap=t0", "--uuid", "6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11",
    "--serial", "none",   NULL,
};

static void test_negotiation(void)
{
    struct bench b;
    int fd;

    bench_open(&b, plain_machine);
    fd = bench_connect(&b);
    check(strncmp(get_line(fd), greeting, strlen(greeting)) == 0);
    bench_event(&b, MACHINE_EVENT_STOP, CAUSE_NONE); /* not for us yet */
    check_answer(fd, "{\"execute\": \"query-status\", \"id\": 1}",
                 "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"Expecting capabilities "
                 "negotiation with 'qmp_capabilities'\"}, \"id\": 1}");
    check_answer(fd, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"oob\"]}}",
                 "{\"error\": {\"class\": \"GenericError\", \"desc\": \"there are no capabilities "
                 "to enable\"}}");
    check_answer(fd, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": []}}",
                 "{\"return\": {}}");
    check_answer(
        fd, "{\"execute\": \"qmp_capabilities\"}",
        "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"Capabilities negotiation "
        "is already complete, command ignored\"}}");
    bench_event(&b, MACHINE_EVENT_STOP, CAUSE_NONE);
    check_event(fd, "\"event\": \"STOP\"}");
    close(fd);
    bench_close(&b);
}

static void test_queries(void)
{
    struct bench b;
    struct error err;
    int fd;

    bench_open(&b, plain_machine);
    b.m.chardevs[0] = chardev_open("file:/dev/null", "serial0", b.loop, &err);
    b.m.chardevs[1] = chardev_open("null", "port0", b.loop, &err);
    fd = ready_client(&b);
    check_answer(fd, "{\"execute\": \"query-status\"}",
                 "{\"return\": {\"running\": false, \"singlestep\": false, \"status\": "
                 "\"prelaunch\"}}");
    check_answer(fd, "{\"execute\": \"query-name\"}", "{\"return\": {\"name\": \"web\"}}");
    check_answer(fd, "{\"execute\": \"query-uuid\"}",
                 "{\"return\": {\"UUID\": \"6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11\"}}");
    check_answer(fd, "{\"execute\": \"query-chardev\"}",
                 "{\"return\": [{\"label\": \"serial0\", \"filename\": \"file:/dev/null\", "
                 "\"frontend-open\": true}, {\"label\": \"port0\", \"filename\": \"null\", "
                 "\"frontend-open\": false}]}");
    put(fd, "{\"execute\": \"query-machine\"}"); /* test-config has the whole document */
    check(strstr(get_line(fd), "{\"return\": {\"version\": 1, \"name\": \"web\", \"uuid\": "
                               "\"6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11\", \"cpus\": 2, ") != NULL);
    put(fd, "{\"execute\": \"query-cpus-fast\"}");
    check(strstr(get_line(fd), "{\"cpu-index\": 1, \"thread-id\": 1001, ") != NULL);
    put(fd, "{\"execute\": \"query-block\"}");
    check(strstr(get_line(fd), "\"virtual-size\": 10737418240") != NULL);
    put(fd, "{\"execute\": \"query-block\"}");
    check(strstr(get_line(fd), "{\"return\": [{\"device\": \"disk0\", \"type\": \"unknown\", "
                               "\"locked\": false, \"removable\": false, \"inserted\": {\"file\": "
                               "\"/a.img\", \"node-name\": \"disk0\", \"ro\": true, \"drv\": "
                               "\"raw\"") != NULL);
    put(fd, "{\"execute\": \"query-commands\"}");
    check(strstr(get_line(fd), "{\"name\": \"system_powerdown\"}") != NULL);
    close(fd);
    chardev_close(b.m.chardevs[0]);
    chardev_close(b.m.chardevs[1]);
    bench_close(&b);
}

static void test_lifecycle(void)
{
    struct bench b;
    int fd;

    bench_open(&b, plain_machine);
    fd = ready_client(&b);
    put(fd, "{\"execute\": \"cont\", \"id\": \"c\"}");
    check_event(fd, "\"event\": \"RESUME\"}");
    check_str(get_line(fd), "{\"return\": {}, \"id\": \"c\"}");
    check_answer(fd, "{\"execute\": \"query-status\"}",
                 "{\"return\": {\"running\": true, \"singlestep\": false, \"status\": "
                 "\"running\"}}");
    put(fd, "{\"execute\": \"stop\"}");
    check_event(fd, "\"event\": \"STOP\"}");
    check_str(get_line(fd), "{\"return\": {}}");
    check_answer(fd, "{\"execute\": \"system_reset\"}", "{\"return\": {}}");
    check_int(b.m.reset_cause, CAUSE_HOST_QMP_RESET);
    b.m.resets_fail = true;
    check_answer(fd, "{\"execute\": \"system_reset\"}",
                 "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no?reset\"}}");
    check_answer(fd, "{\"execute\": \"system_powerdown\"}", "{\"return\": {}}");
    check_int(b.m.powerdowns, 1);
    bench_event(&b, MACHINE_EVENT_RESET, CAUSE_GUEST_PANIC);
    check_event(fd, "\"event\": \"RESET\", \"data\": {\"guest\": true, \"reason\": "
                    "\"guest-panic\"}}");

    /* The reply to quit comes before the end. */
    check_answer(fd, "{\"execute\": \"quit\", \"id\": {\"a\": [1]}}",
                 "{\"return\": {}, \"id\": {\"a\": [1]}}");
    check_event(fd, "\"event\": \"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": "
                    "\"host-qmp-quit\"}}");
    check_int(b.m.quit_cause, CAUSE_HOST_QMP_QUIT);
    check_answer(fd, "{\"execute\": \"cont\"}",
                 "{\"error\": {\"class\": \"GenericError\", \"desc\": \"cont is not possible in "
                 "state shutdown\"}}");
    check_answer(fd, "{\"execute\": \"query-status\"}",
                 "{\"return\": {\"running\": false, \"singlestep\": false, \"status\": "
                 "\"shutdown\"}}");
    close(fd);
    bench_close(&b);
}

#define GENERIC(desc) "{\"error\": {\"class\": \"GenericError\", \"desc\": \"" desc "\"}}"

#define THROTTLE(device, bps)                                                           \
    "{\"execute\": \"block_set_io_throttle\", \"arguments\": {\"device\": \"" device    \
    "\", \"bps\": " bps ", \"bps_rd\": 0, \"bps_wr\": 0, \"iops\": 0, \"iops_rd\": 7, " \
    "\"iops_wr\": 0, \"iops_rd_max\": 70}}"

static void test_disks(void)
{
    struct bench b;
    int fd;

    bench_open(&b, plain_machine);
    fd = ready_client(&b);
    put(fd, "{\"execute\": \"query-blockstats\"}");
    check(strstr(get_line(fd), "\"stats\": {\"rd_operations\": 0, \"rd_total_time_ns\": 0, ") !=
          NULL);
    check_answer(fd,
                 "{\"execute\": \"block_resize\", \"arguments\": {\"device\": \"disk0\", "
                 "\"size\": 1024}}",
                 "{\"return\": {}}");
    check_int(b.m.resized, 1024);
    check_answer(fd,
                 "{\"execute\": \"block_resize\", \"arguments\": {\"node-name\": \"disk0\", "
                 "\"size\": 1000}}",
                 GENERIC("half a sector"));
    check_answer(fd,
                 "{\"execute\": \"block_resize\", \"arguments\": {\"device\": \"disk0\", "
                 "\"size\": -512}}",
                 GENERIC("Parameter 'size' expects a size above 0"));
    check_answer(fd, "{\"execute\": \"block_resize\", \"arguments\": {\"size\": 512}}",
                 GENERIC("Parameter 'device' is missing"));
    check_answer(fd, "{\"execute\": \"balloon\", \"arguments\": {\"value\": 1}}",
                 GENERIC("the machine has no balloon"));
    check_answer(fd,
                 "{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"/machine\", "
                 "\"property\": \"type\"}}",
                 GENERIC("Device '/machine' not found"));
    check_answer(fd, THROTTLE("disk7", "5"), GENERIC("Device 'disk7' not found"));
    check_answer(fd, THROTTLE("disk0", "-5"), GENERIC("Parameter 'bps' is below 0"));
    check_int(b.m.config.disks[0].limits.bucket[THROTTLE_OPS_READ].avg, 0);
    check_answer(fd, THROTTLE("disk0", "4096"), "{\"return\": {}}");
    check_int(b.m.config.disks[0].limits.bucket[THROTTLE_BPS_TOTAL].avg, 4096);
    check_int(b.m.config.disks[0].limits.bucket[THROTTLE_OPS_READ].max, 70);
    put(fd, "{\"execute\": \"query-block\"}");
    check(strstr(get_line(fd), "\"bps\": 4096, \"bps_rd\": 0, \"bps_wr\": 0, \"iops\": 0, "
                               "\"iops_rd\": 7, \"iops_rd_max\": 70, \"iops_rd_max_length\": 1, "
                               "\"iops_wr\": 0") != NULL);
    close(fd);
    bench_close(&b);
}

static void test_nets(void)
{
    struct bench b;
    int fd;

    bench_open(&b, plain_machine);
    fd = ready_client(&b);
    check_answer(fd,
                 "{\"execute\": \"set_link\", \"arguments\": {\"name\": \"net0\", \"up\": "
                 "false}}",
                 "{\"return\": {}}");
    check(b.m.config.nets[0].link_down);
    check_answer(fd,
                 "{\"execute\": \"set_link\", \"arguments\": {\"name\": \"net1\", \"up\": "
                 "true}}",
                 GENERIC("Device 'net1' not found"));
    check_answer(fd,
                 "{\"execute\": \"net_set_throttle\", \"arguments\": {\"device\": \"net0\", "
                 "\"tx_pps\": 10, \"rx_bps\": 1000}}",
                 "{\"return\": {}}");
    check_int(b.m.config.nets[0].rx_limits.bucket[THROTTLE_BPS_TOTAL].avg, 1000);
    check_int(b.m.config.nets[0].tx_limits.bucket[THROTTLE_OPS_TOTAL].avg, 10);
    check_answer(fd,
                 "{\"execute\": \"net_set_throttle\", \"arguments\": {\"device\": \"net0\", "
                 "\"tx_pps_max\": -1}}",
                 GENERIC("Parameter 'tx_pps_max' is below 0"));
    check_int(b.m.config.nets[0].rx_limits.bucket[THROTTLE_BPS_TOTAL].avg, 1000);
    check_answer(fd, "{\"execute\": \"query-rx-filter\", \"arguments\": {\"name\": \"x\"}}",
                 GENERIC("Device 'x' not found"));
    close(fd);
    bench_close(&b);
}

static void test_bad_requests(void)
{
    static const struct {
        const char *request;
        const char *answer;
    } cases[] = {
        {"[]", GENERIC("QMP input must be a JSON object")},
        {"{}", GENERIC("QMP input lacks member 'execute'")},
        {"{\"execute\": 1}", GENERIC("QMP input member 'execute' must be a string")},
        {"{\"execute\": \"stop\", \"arguments\": []}",
         GENERIC("QMP input member 'arguments' must be an object")},
        {"{\"execute\": \"stop\", \"now\": 1}", GENERIC("QMP input member 'now' is unexpected")},
        {"{\"execute\": \"stop\", \"arguments\": {\"x\": 1}}",
         GENERIC("Parameter 'x' is unexpected")},
        {"{\"execute\": \"frob\"}", "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The "
                                    "command frob has not been found\"}}"},
        {"{\"execute\": \"stop\"]", GENERIC("JSON parse error: '}' expected near ']'")},
        {"{\"id\": 7}", "{\"error\": {\"class\": \"GenericError\", \"desc\": \"QMP input lacks "
                        "member 'execute'\"}, \"id\": 7}"},
        {"{\"execute\": \"stop\", \"execute\": \"cont\"}",
         GENERIC("JSON parse error: duplicate object key near '\\\"execute\\\"'")},
        {"{\"execute\": \"\\u0000\"}",
         GENERIC("JSON parse error: \\\\u0000 is not allowed without JSON_ALLOW_NUL near "
                 "'\\\"\\\\u0000\\\"'")},
        {"garbage {\"execute\": \"stop\"}\n", GENERIC("JSON parse error: a request is an object")},
        {"}\n", GENERIC("JSON parse error: a request is an object")},
        {"\"execute\"\n", GENERIC("JSON parse error: a request is an object")},
    };
    struct bench b;
    int fd;

    bench_open(&b, plain_machine);
    fd = ready_client(&b);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_answer(fd, cases[i].request, cases[i].answer);
    check_int(b.m.state, MACHINE_CREATED); /* nothing of it was carried out */
    check_answer(fd, "{\"execute\": \"query-name\"}", "{\"return\": {\"name\": \"web\"}}");
    close(fd);
    bench_close(&b);
}

static void nothing(void *opaque)
{
}

/* Requests are a stream: in pieces, several at once, brackets and quotes inside strings. */
static void test_framing(void)
{
    static const char request[] = " \r\n{\"execute\": \"query-name\", \"id\": \"}]\\\"{[\\\\\"}\t";
    static const char answer[] = "{\"return\": {\"name\": \"web\"}, \"id\": \"}]\\\"{[\\\\\"}";
    struct bench b;
    int fd;

    bench_open(&b, plain_machine);
    fd = ready_client(&b);
    for (const char *c = request; *c; c++) {
        put(fd, (char[]){*c, '\0'});
        loop_call(b.loop, nothing, NULL); /* as many rounds as bytes */
    }
    check_str(get_line(fd), answer);
    put(fd, "{\"execute\":\"query-name\",\"id\":1}{\"execute\":\"query-name\",\"id\":2}"
            "\n\n{\"execute\":\"query-name\",\"id\":3}");
    check_str(get_line(fd), "{\"return\": {\"name\": \"web\"}, \"id\": 1}");
    check_str(get_line(fd), "{\"return\": {\"name\": \"web\"}, \"id\": 2}");
    check_str(get_line(fd), "{\"return\": {\"name\": \"web\"}, \"id\": 3}");
    close(fd);
    bench_close(&b);
}

static void test_too_long_too_deep(void)
{
    struct bench b;
    char *text = xcalloc(1, QMP_MESSAGE_MAX + 2);
    int fd;

    bench_open(&b, plain_machine);
    fd = ready_client(&b);
    memset(text, ' ', QMP_MESSAGE_MAX + 1);
    put(fd, text); /* space between requests is no request */
    memcpy(text, "{\"execute\": \"query-name\"", 24);
    text[QMP_MESSAGE_MAX - 1] = '}';
    text[QMP_MESSAGE_MAX] = '\0';
    check_answer(fd, text, "{\"return\": {\"name\": \"web\"}}"); /* just fits */
    text[QMP_MESSAGE_MAX - 1] = ' ';
    text[QMP_MESSAGE_MAX] = '}';
    check_answer(fd, text, GENERIC("the request is too long"));
    check_str(get_line(fd), "");
    close(fd);

    fd = ready_client(&b);
    memset(text, '[', QMP_DEPTH_MAX + 1);
    text[QMP_DEPTH_MAX + 1] = '\0';
    check_answer(fd, text, GENERIC("the request is nested too deeply"));
    check_str(get_line(fd), "");
    close(fd);
    free(text);
    bench_close(&b);
}

static void test_several_clients(void)
{
    struct bench b;
    int first;
    int second;

    bench_open(&b, plain_machine);
    first = ready_client(&b);
    second = ready_client(&b);
    check_answer(first, "{\"execute\": \"query-name\", \"id\": 1}",
                 "{\"return\": {\"name\": \"web\"}, \"id\": 1}");
    put(second, "{\"execute\": \"cont\"}");
    check_event(first, "\"event\": \"RESUME\"}");
    check_event(second, "\"event\": \"RESUME\"}");
    check_str(get_line(second), "{\"return\": {}}");
    close(first);
    bench_event(&b, MACHINE_EVENT_POWERDOWN, CAUSE_NONE);
    check_event(second, "\"event\": \"POWERDOWN\"}");
    close(second);
    for (int i = 0; i < 40; i++) /* places become free again */
        close(ready_client(&b));
    bench_close(&b);
}

#define PLACES 16

struct crowd {
    struct bench *b;
    int clients[PLACES];
    int next;
    int fd; /* eventfd: something happens in the machine */
    struct loop_watch watch;
};

static void on_happening(void *opaque, uint32_t events)
{
    struct crowd *crowd = opaque;

    (void)events;
    loop_remove(crowd->b->loop, &crowd->watch);
    qmp_machine_event(crowd->b->qmp, &(struct machine_event){.kind = MACHINE_EVENT_POWERDOWN});
}

/* What the loop then meets in this order: one comes, an event is sent to all, two others went. */
static void change_places(void *opaque)
{
    struct crowd *crowd = opaque;
    struct error err;

    crowd->next = bench_connect(crowd->b);
    check_int(
        loop_add(crowd->b->loop, &crowd->watch, crowd->fd, EPOLLIN, on_happening, crowd, &err), 0);
    close(crowd->clients[3]);
    close(crowd->clients[4]);
}

/* Who comes when all places are taken is sent away, but not for the sake of those that left. */
static void test_places(void)
{
    struct bench b;
    struct crowd crowd = {.b = &b, .fd = eventfd(1, EFD_CLOEXEC)};
    int refused;

    bench_open(&b, plain_machine);
    for (unsigned i = 0; i < PLACES; i++)
        crowd.clients[i] = ready_client(&b);
    refused = bench_connect(&b);
    check_str(get_line(refused), "");
    close(refused);
    loop_call(b.loop, change_places, &crowd);
    check(strncmp(get_line(crowd.next), greeting, strlen(greeting)) == 0);
    check_answer(crowd.next, "{\"execute\": \"qmp_capabilities\"}", "{\"return\": {}}");
    check_event(crowd.clients[0], "\"event\": \"POWERDOWN\"}");
    check_answer(crowd.clients[0], "{\"execute\": \"query-name\"}",
                 "{\"return\": {\"name\": \"web\"}}");
    close(crowd.next);
    close(crowd.fd);
    for (unsigned i = 0; i < PLACES; i++)
        if (i != 3 && i != 4)
            close(crowd.clients[i]);
    bench_close(&b);
}

static void say_and_go(void *opaque)
{
    int fd = bench_connect(opaque);

    put(fd, "{\"execute\": \"qmp_capabilities\"} {\"execute\": \"system_powerdown\"}");
    close(fd);
}

/* It has hung up before the greeting can be sent; what it said counts all the same. */
static void test_client_that_waits_for_no_answer(void)
{
    struct bench b;
    int fd;

    bench_open(&b, plain_machine);
    loop_call(b.loop, say_and_go, &b);
    fd = ready_client(&b); /* came later */
    check_int(b.m.powerdowns, 1);
    close(fd);
    bench_close(&b);
}

/* Nobody waits for a client that does not read: it is dropped, and only it. */
static void test_slow_client(void)
{
    struct bench b;
    int slow;
    int good;
    char *text = xcalloc(1, 60001);
    char *request;
    struct pollfd p;
    bool dropped = false;

    memset(text, 'x', 60000);
    request = xasprintf("{\"execute\": \"query-name\", \"id\": \"%s\"}", text);
    bench_open(&b, plain_machine);
    slow = ready_client(&b);
    good = ready_client(&b);
    for (int i = 0; i < 1000 && !dropped; i++) {
        p = (struct pollfd){.fd = slow, .events = POLLOUT};
        dropped = poll(&p, 1, 60000) != 1 || send(slow, request, strlen(request), MSG_NOSIGNAL) < 0;
    }
    check(dropped);
    check_answer(good, "{\"execute\": \"query-name\"}", "{\"return\": {\"name\": \"web\"}}");
    close(slow);
    close(good);
    free(request);
    free(text);
    bench_close(&b);
}

static void test_sockets(void)
{
    struct error err = {""};
    struct machine m = {.state = MACHINE_RUNNING};
    struct loop *loop = loop_new(&err);
    cleanup_free char *path = xasprintf("%s/qmp", folder);
    cleanup_free char *spec = xasprintf("unix:%s", path);
    char fd_spec[32];
    struct qmp *qmp;
    struct stat st;
    int pair[2];

    check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    snprintf(fd_spec, sizeof(fd_spec), "fd:%d", pair[1]);
    qmp = qmp_new(&m, loop, (char *[]){spec, fd_spec}, 2, &err);
    check_str(err.msg, "");
    check(strncmp(get_line(pair[0]), greeting, strlen(greeting)) == 0);
    check_int(stat(path, &st), 0);
    check_int(st.st_mode & 0777, 0600);
    check(qmp_new(&m, loop, &(char *){spec}, 1, &err) == NULL);
    check(strstr(err.msg, "another process listens there") != NULL);
    qmp_free(qmp);
    check_int(stat(path, &st), -1);
    close(pair[0]);

    check(qmp_new(&m, loop, (char *[]){fd_spec}, 1, &err) == NULL);
    check(strstr(err.msg, "vole was started without such an open descriptor") != NULL);
    check(qmp_new(&m, loop, (char *[]){(char *)"fd:0"}, 1, &err) == NULL);
    check_str(err.msg, "qmp: fd:0: is neither a listening nor a connected stream socket");
    loop_free(loop);
}

/*
 * docs/qmp.md ends with the reference that the tables give. VOLE_REGENERATE=1 writes it anew.
 */
static void test_docs_are_the_tables(void)
{
    static const char path[] = TOP_SRCDIR "/docs/qmp.md";
    FILE *file = fopen(path, "r+");
    char text[65536];
    char *reference = NULL;
    char *start;
    size_t len;
    FILE *out = open_memstream(&reference, &len);

    qmp_print_reference(out);
    fclose(out);
    if (!file) /* a read-only source tree */
        file = fopen(path, "r");
    if (check(file != NULL)) {
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        start = strstr(text, "## Commands\n");
        if (check(start != NULL) && getenv("VOLE_REGENERATE")) {
            check_int(fseek(file, start - text, SEEK_SET), 0);
            check_int(ftruncate(fileno(file), start - text), 0);
            fputs(reference, file);
        } else {
            check_str(start, reference);
        }
        fclose(file);
    }
    free(reference);
}

int main(void)
{
    int rc;

    alarm(300);
    if (!mkdtemp(folder))
        return 1;
    rc = tap_run((struct tap_test[]){
        TAP(test_negotiation),
        TAP(test_queries),
        TAP(test_lifecycle),
        TAP(test_disks),
        TAP(test_nets),
        TAP(test_bad_requests),
        TAP(test_framing),
        TAP(test_too_long_too_deep),
        TAP(test_several_clients),
        TAP(test_places),
        TAP(test_client_that_waits_for_no_answer),
        TAP(test_slow_client),
        TAP(test_sockets),
        TAP(test_docs_are_the_tables),
        {},
    });
    rmdir(folder);
    return rc;
}
