/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/config.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/unit/tap.h"

static struct config config;
static struct error err;

/* Words of one line; '\a' stands for a space inside a word. */
static int parse_args(const char *line)
{
    char *words[64];
    char *copy = xstrdup(line);
    char *rest = copy;
    int count = 0;
    int rc;

    config_clear(&config);
    config_init(&config);
    err.msg[0] = '\0';
    for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
        for (char *p = word; *p; p++)
            *p = *p == '\a' ? ' ' : *p;
        words[count++] = word;
    }
    rc = config_parse_args(&config, count, words, &err);
    if (rc == 0)
        rc = config_validate(&config, &err);
    free(copy);
    return rc;
}

static int parse_json(const char *text)
{
    config_clear(&config);
    config_init(&config);
    err.msg[0] = '\0';
    if (config_parse_json(&config, text, strlen(text), &err) < 0)
        return -1;
    return config_validate(&config, &err);
}

static void check_refused(int rc, const char *message)
{
    check_int(rc, -1);
    check_str(err.msg, message);
}

/* ---- flags ---- */

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
        {"--cpus 0", "--cpus 0: \"0\" is no number from 1 to 254"},
        {"--cpus 255", "--cpus 255: \"255\" is no number from 1 to 254"},
        {"--memory 1Q", "--memory 1Q: \"1Q\" is no size like 256M"},
        {"--disk d,ro=on", "--disk d,ro=on: there is no \"ro\""},
        {"--disk d,readonly=yes", "--disk d,readonly=yes: readonly: \"yes\" is neither on nor off"},
        {"--disk d,id=a,id=b", "--disk d,id=a,id=b: id is given twice"},
        {"--disk d,e", "--disk d,e: \"e\" is not KEY=VALUE (write a comma inside a name twice)"},
        {"--net mac=52:54:00:12:34:56", "--net mac=52:54:00:12:34:56: tap=NAME is missing"},
        {"--net tap=t,mac=52:54:00:12:34",
         "--net tap=t,mac=52:54:00:12:34: mac: \"52:54:00:12:34\" is no MAC address like "
         "52:54:00:12:34:56"},
        {"--net tap=t,mac=01:54:00:12:34:56",
         "--net tap=t,mac=01:54:00:12:34:56: mac: 01:54:00:12:34:56 is a multicast address, a "
         "network device needs a unicast one"},
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
}

/* ---- the whole ---- */

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
        {"--kernel k --memory 15M", "memory of 15728640 bytes is too little, 16M are needed"},
        {"--flat f --memory 4K", "memory of 4096 bytes is too little, 1M are needed"},
        {"--kernel k --memory 17T", "memory of 18691697672192 bytes is too much, 16T are possible"},
        {"--kernel k --memory 33554433",
         "memory of 33554433 bytes is not a whole number of 4 KiB pages"},
        {"--kernel k --disk d --disk e,id=disk0", "two devices have the id \"disk0\""},
        {"--kernel k --disk d --net tap=t,id=disk0", "two devices have the id \"disk0\""},
        {"--kernel k --rng --console null --disk d,id=rng0", "two devices have the id \"rng0\""},
        {"--kernel k --disk d,id=a/b", "\"a/b\" cannot be a device's id: up to 63 letters, digits, "
                                       "'-', '_' and '.' can"},
        {"--kernel k --disk d,serial=123456789012345678901",
         "disk \"disk0\": serial \"123456789012345678901\" is longer than 20 bytes"},
        {"--kernel k --net tap=a/b", "net \"net0\": \"a/b\" is no name of a network interface"},
        {"--kernel k --serial tcp:x",
         "serial: \"tcp:x\" is none of stdio, pty, unix:PATH, file:PATH, fd:N, null, none"},
        {"--kernel k --serial unix:",
         "serial: \"unix:\" is none of stdio, pty, unix:PATH, file:PATH, fd:N, null, none"},
        {"--kernel k --console stdio:x", "console \"console0\": \"stdio:x\" is none of stdio, pty, "
                                         "unix:PATH, file:PATH, fd:N, null, none"},
        {"--kernel k --qmp q", "qmp: \"q\" is neither unix:PATH nor fd:N"},
        {"--kernel k --serial stdio --console stdio", "stdio is given to two users"},
        {"--kernel fd:5 --initrd fd:5", "fd:5 is given to two users"},
        {"--kernel k --qmp unix:a --serial unix:a", "unix:a is given to two users"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_refused(parse_args(cases[i].line), cases[i].message);
    check_int(parse_args("--kernel k --serial null --console null --console none"), 0);
    check_int(parse_args("--kernel k --disk d,id=rng0"), 0); /* where there is no other */
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

/* ---- documents ---- */

static const char whole_document[] =
    "{\"version\": 1, \"name\": \"web1\", \"uuid\": \"6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11\","
    " \"cpus\": 2, \"memory\": 268435456,"
    " \"boot\": {\"kernel\": \"/boot/vmlinuz\", \"initrd\": \"/boot/initrd.img\","
    " \"cmdline\": \"console=ttyS0 root=/dev/vda1\"},"
    " \"disks\": [{\"id\": \"disk0\", \"source\": \"/images/web1.img\", \"readonly\": false,"
    " \"serial\": \"WEB1\"}],"
    " \"nets\": [{\"id\": \"net0\", \"tap\": \"tap0\", \"mac\": \"52:54:00:12:34:56\"}],"
    " \"serial\": \"unix:/run/web1.serial\","
    " \"consoles\": [{\"id\": \"console0\", \"chardev\": \"pty\"}],"
    " \"rng\": {\"source\": \"/dev/urandom\"}, \"qmp\": [\"unix:/run/web1.qmp\"],"
    " \"paused\": false, \"on_reboot\": \"restart\"}";

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

static void test_document_defaults(void)
{
    json_t *document;
    char *text;

    check_int(parse_json("{\"version\": 1, \"boot\": {\"flat\": \"f\"}, \"rng\": {},"
                         " \"memory\": \"64M\", \"debug_port\": 241, \"on_reboot\": \"exit\","
                         " \"disks\": [{\"source\": \"d\"}]}"),
              0);
    check_str(config.serial, "none");
    check_str(config.rng_source, "/dev/urandom");
    document = config_to_json(&config);
    text = json_dumps(document, 0);
    check_str(text, "{\"version\": 1, \"name\": \"vole\", \"cpus\": 1, \"memory\": 67108864,"
                    " \"boot\": {\"flat\": \"f\"},"
                    " \"disks\": [{\"id\": \"disk0\", \"source\": \"d\", \"readonly\": false}],"
                    " \"nets\": [], \"serial\": \"none\", \"consoles\": [],"
                    " \"rng\": {\"source\": \"/dev/urandom\"}, \"qmp\": [],"
                    " \"paused\": false, \"on_reboot\": \"exit\", \"debug_port\": 241}");
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
        {"{\"version\": 1, \"cpu\": 1}", "cpu is no key of the machine document"},
        {"{\"version\": 1, \"boot\": {\"kernal\": \"k\"}}",
         "boot.kernal is no key of the machine document"},
        {"{\"version\": 1, \"disks\": [{\"source\": \"a\"}, {\"sorce\": \"b\"}]}",
         "disks[1].sorce is no key of the machine document"},
        {"{\"version\": 1, \"disks\": [{\"id\": \"a\"}]}", "disks[0].source is missing"},
        {"{\"version\": 1, \"disks\": [7]}", "disks[0] is not an object"},
        {"{\"version\": 1, \"disks\": {}}", "disks is not an array"},
        {"{\"version\": 1, \"cpus\": 0}", "cpus is 0, which is not within 1 and 254"},
        {"{\"version\": 1, \"cpus\": 255}", "cpus is 255, which is not within 1 and 254"},
        {"{\"version\": 1, \"cpus\": -1}", "cpus is -1, which is not within 1 and 254"},
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
    check_int(config.cpus, 2);
    check_int(config.disk_count, 2);
    check_str(config.disks[0].source, "/images/web1.img");
    check_str(config.disks[1].source, "more");
    check_str(config.disks[1].id, "disk1");

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

static void test_help_and_man_page_name_every_option(void)
{
    static const char *const options[] = {
        "kernel", "initrd",    "append",     "flat",    "cpus", "memory",
        "disk",   "net",       "serial",     "console", "rng",  "qmp",
        "paused", "no-reboot", "debug-port", "name",    "uuid", "config",
    };
    static char man[32768];
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
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        char word[32];

        snprintf(word, sizeof(word), "--%s", options[i]);
        if (!check(strstr(text, word) != NULL))
            printf("# --%s is missing in the help\n", options[i]);
        /* In roff a hyphen that is typed has a backslash in front. */
        snprintf(word, sizeof(word), "\\-\\-%s", options[i]);
        for (char *hyphen = word + 4; (hyphen = strchr(hyphen, '-')) != NULL; hyphen += 2) {
            memmove(hyphen + 1, hyphen, strlen(hyphen) + 1);
            *hyphen = '\\';
        }
        if (!check(strstr(man, word) != NULL))
            printf("# --%s is missing in the man page\n", options[i]);
    }
    for (const char *line = text, *end; *line; line = end + 1) {
        end = strchrnul(line, '\n');
        if (!check(end - line <= 90))
            printf("# too long: %.*s\n", (int)(end - line), line);
    }
    free(text);
}

int main(void)
{
    int rc = tap_run((struct tap_test[]){
        TAP(test_defaults),
        TAP(test_every_flag),
        TAP(test_flag_details),
        TAP(test_flags_refused),
        TAP(test_too_many),
        TAP(test_validate),
        TAP(test_mac_is_stable),
        TAP(test_round_trip),
        TAP(test_document_defaults),
        TAP(test_documents_refused),
        TAP(test_document_too_large),
        TAP(test_flags_over_document),
        TAP(test_document_from_descriptor),
        TAP(test_document_from_fifo),
        TAP(test_help_and_man_page_name_every_option),
        {},
    });

    config_clear(&config);
    return rc;
}
