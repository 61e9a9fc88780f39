/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line of `vole run`. One table of options stands behind the parser and the help; the
 * parts of a value (--disk, --net) are the keys that the machine document has (config_fields.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "vmm/arch/arch.h"
#include "vmm/config_priv.h"

struct option {
    const char *name;
    const char *arg; /* as the help shows it; NULL: takes none; "[=...]": may have one */
    int (*set)(struct config *config, const char *value,
               struct error *err); /* NULL: asks for help */
    bool repeatable;
    const char *help;
};

/* ---- one function an option ---- */

static int check_room(unsigned count, unsigned max, struct error *err)
{
    if (count < max)
        return 0;
    return error_set(err, "%u are there already, no more are possible", max);
}

static int set_kernel(struct config *config, const char *value, struct error *err)
{
    return config_parse_text(&config->kernel, value, err);
}

static int set_initrd(struct config *config, const char *value, struct error *err)
{
    return config_parse_text(&config->initrd, value, err);
}

static int set_append(struct config *config, const char *value, struct error *err)
{
    free(config->cmdline);
    config->cmdline = xstrdup(value);
    return 0;
}

static int set_flat(struct config *config, const char *value, struct error *err)
{
    return config_parse_text(&config->flat, value, err);
}

/* Another number of processors makes the document's topology meaningless; another clock its
 * offset. */
static int set_cpus(struct config *config, const char *value, struct error *err)
{
    config->topology = (struct config_topology){0};
    if (config_parse_parts(config, &config_cpus_fields, "cpus", value, err) < 0)
        return -1;
    if (config->cpus > arch_traits.max_cpus)
        return error_set(err, "%u are not possible, 1 to %u are", config->cpus,
                         arch_traits.max_cpus);
    return 0;
}

/* Added to the document's. */
static int set_cpu(struct config *config, const char *value, struct error *err)
{
    const struct field *features = &config_cpu_fields.list[0];

    return features->type->parse(&config->cpu, features, value, err);
}

static int set_memory(struct config *config, const char *value, struct error *err)
{
    return config_parse_parts(config, &config_memory_fields, "memory", value, err);
}

static int set_disk(struct config *config, const char *value, struct error *err)
{
    struct config_disk *disk = &config->disks[config->disk_count];

    if (check_room(config->disk_count, CONFIG_MAX_DISKS, err) < 0)
        return -1;
    config->disk_count++;
    config_disk_fields.init(disk);
    return config_parse_parts(disk, &config_disk_fields, "source", value, err);
}

static int set_net(struct config *config, const char *value, struct error *err)
{
    struct config_net *net = &config->nets[config->net_count];

    if (check_room(config->net_count, CONFIG_MAX_NETS, err) < 0)
        return -1;
    config->net_count++;
    config_net_fields.init(net);
    if (config_parse_parts(net, &config_net_fields, NULL, value, err) < 0)
        return -1;
    return net->tap || net->socket ? 0 : error_set(err, "neither a tap nor a socket is given");
}

static int set_serial(struct config *config, const char *value, struct error *err)
{
    return config_parse_text(&config->serial, value, err);
}

static int set_console(struct config *config, const char *value, struct error *err)
{
    if (check_room(config->console_count, CONFIG_MAX_CONSOLES, err) < 0)
        return -1;
    return config_parse_text(&config->consoles[config->console_count++].chardev, value, err);
}

static int set_port(struct config *config, const char *value, struct error *err)
{
    if (check_room(config->port_count, CONFIG_MAX_PORTS, err) < 0)
        return -1;
    return config_parse_parts(&config->ports[config->port_count++], &config_port_fields, NULL,
                              value, err);
}

static int set_rng(struct config *config, const char *value, struct error *err)
{
    return config_parse_text(&config->rng_source, value ? value : CONFIG_RNG_SOURCE, err);
}

static int set_balloon(struct config *config, const char *value, struct error *err)
{
    config->balloon.present = true;
    return config_parse_parts(&config->balloon, &config_balloon_fields, NULL, value, err);
}

static int set_vsock(struct config *config, const char *value, struct error *err)
{
    return config_parse_parts(&config->vsock, &config_vsock_fields, NULL, value, err);
}

static int set_rtc(struct config *config, const char *value, struct error *err)
{
    config->rtc = (struct config_rtc){0};
    return config_parse_parts(&config->rtc, &config_rtc_fields, "base", value, err);
}

/* An option whose value is a key's of the document, and has no parts. */
static int set_document_key(struct config *config, const char *key, const char *value,
                            struct error *err)
{
    for (size_t i = 0; i < config_document_fields.count; i++) {
        const struct field *f = &config_document_fields.list[i];

        if (strcmp(f->name, key) == 0)
            return f->type->parse(config, f, value, err);
    }
    return error_set(err, "there is no \"%s\"", key);
}

static int set_pvpanic(struct config *config, const char *value, struct error *err)
{
    return set_document_key(config, "pvpanic", value, err);
}

static int set_on_panic(struct config *config, const char *value, struct error *err)
{
    return set_document_key(config, "on_panic", value, err);
}

static int set_qmp(struct config *config, const char *value, struct error *err)
{
    if (check_room(config->qmp_count, CONFIG_MAX_QMP, err) < 0)
        return -1;
    return config_parse_text(&config->qmp[config->qmp_count++], value, err);
}

static int set_paused(struct config *config, const char *value, struct error *err)
{
    config->paused = true;
    return 0;
}

static int set_no_reboot(struct config *config, const char *value, struct error *err)
{
    config->on_reboot = ON_REBOOT_EXIT;
    return 0;
}

static int set_debug_port(struct config *config, const char *value, struct error *err)
{
    return config_parse_port_number(value, &config->debug_port, err);
}

static int set_name(struct config *config, const char *value, struct error *err)
{
    return config_parse_text(&config->name, value, err);
}

static int set_genid(struct config *config, const char *value, struct error *err)
{
    return config_parse_uuid(value, &config->genid, err);
}

static int set_kvm(struct config *config, const char *value, struct error *err)
{
    return config_parse_text(&config->kvm, value, err);
}

static int set_uuid(struct config *config, const char *value, struct error *err)
{
    return config_parse_uuid(value, &config->uuid, err);
}

static char *read_document(const char *spec, size_t *len, struct error *err)
{
    cleanup_close int fd = open_path_or_fd(spec, O_RDONLY, err);
    struct pollfd writer = {.fd = fd, .events = POLLIN};
    cleanup_free char *text = NULL;
    ssize_t n;

    if (fd < 0)
        return NULL;
    /* A FIFO that nobody has opened yet reads as one that has ended. */
    while (poll(&writer, 1, -1) < 0 && errno == EINTR)
        ;
    /* One byte more than may be, so that too long a document is seen to be so. */
    text = xcalloc(1, CONFIG_DOCUMENT_MAX + 1);
    for (*len = 0; *len <= CONFIG_DOCUMENT_MAX; *len += (size_t)n) {
        do
            n = read(fd, text + *len, CONFIG_DOCUMENT_MAX + 1 - *len);
        while (n < 0 && errno == EINTR);
        if (n == 0)
            break;
        if (n < 0) {
            error_set_errno(err, errno, "%s", spec);
            return NULL;
        }
    }
    return steal_ptr(&text);
}

static int set_config(struct config *config, const char *value, struct error *err)
{
    cleanup_free char *text = NULL;
    size_t len;

    text = read_document(value, &len, err);
    if (!text)
        return -1;
    if (config_parse_json(config, text, len, err) < 0)
        return error_prefix(err, "%s", value);
    return 0;
}

/* ---- the table ---- */

static const struct option options[] = {
    {"kernel", "PATH", set_kernel, false,
     "a Linux kernel: a bzImage or an ELF file; on aarch64 an Image"},
    {"initrd", "PATH", set_initrd, false, "initial RAM disk"},
    {"append", "TEXT", set_append, false, "the kernel's command line"},
    {"flat", "PATH", set_flat, false,
     "a real-mode binary instead of a kernel: loaded at 0x1000,\n"
     "entered at 0000:1000, ends at hlt"},
    {"cpus", "N[,KEY=N]...", set_cpus, false,
     "virtual processors (default 1); KEY is sockets, cores, threads"},
    {"cpu", "FEATURE=on|off[,...]", set_cpu, false,
     "the host's processor, but without some features (avx2=off);\n"
     "on: the machine does not start where the host lacks it"},
    {"memory", "SIZE[,KEY=VALUE]...", set_memory, false,
     "RAM, in bytes or with K, M, G, T (default 256M);\n"
     "hugepages=2M|1G, thp=off, prealloc=on, lock=on, shared=on"},
    {"disk", "PATH[,KEY=VALUE]...", set_disk, true,
     "a raw image or a block device, as a virtio disk;\n"
     "readonly=on, direct=on, discard=off, queues=N, serial=TEXT,\n"
     "engine=auto|io_uring|threads, id=NAME; limits a second:\n"
     "bps=, bps_rd=, bps_wr=, iops=, iops_rd=, iops_wr=, each of\n"
     "them with _max= and _max_length= for bursts; iops_size="},
    {"net", "tap=NAME|socket=unix:PATH[,KEY=VALUE]...", set_net, true,
     "a virtio network device on a tap interface, or on a socket\n"
     "of passt or another process that speaks its framing;\n"
     "mac=ADDRESS, queues=N, mtu=N, link=off, vhost=auto|on|off,\n"
     "vhost_fds=fd:N:M, id=NAME; limits a second: rx_bps=, rx_pps=,\n"
     "tx_bps=, tx_pps=, with _max= and _max_length= for bursts"},
    {"serial", "CHARDEV", set_serial, false,
     "the first serial port, ttyS0 or (aarch64) ttyAMA0 (default\n"
     "stdio; with --config what the document says, or none)"},
    {"console", "CHARDEV", set_console, true, "a virtio console: hvc0, and so on"},
    {"port", "name=NAME,chardev=CHARDEV[,id=NAME]", set_port, true,
     "a port of the virtio console: /dev/virtio-ports/NAME"},
    {"rng", "[=PATH]", set_rng, false,
     "a virtio entropy device that reads PATH (" CONFIG_RNG_SOURCE ")"},
    {"balloon", "[=KEY=on|off,...]", set_balloon, false,
     "a virtio memory balloon; KEY is deflate_on_oom,\n"
     "free_page_reporting (both on)"},
    {"vsock", "cid=N[,vhost=PATH]", set_vsock, false,
     "a virtio socket device; the guest's address is N, from 3 on"},
    {"rtc", "utc|localtime|off[,offset=SECONDS]", set_rtc, false,
     "what the clock shows (default utc)"},
    {"pvpanic", "on|off", set_pvpanic, false,
     "whether the guest can tell that it panicked (default on)"},
    {"on-panic", "exit|pause|restart|ignore", set_on_panic, false,
     "what happens then (default exit, with status 4)"},
    {"qmp", "unix:PATH|fd:N", set_qmp, true, "a control socket that speaks QMP"},
    {"paused", NULL, set_paused, false, "wait for QMP's cont before the first instruction"},
    {"no-reboot", NULL, set_no_reboot, false,
     "end when the guest reboots, instead of starting it again"},
    {"debug-port", "PORT", set_debug_port, false, "an I/O port whose bytes go to standard output"},
    {"kvm", "PATH|fd:N", set_kvm, false, "KVM's device (default " CONFIG_KVM ")"},
    {"name", "TEXT", set_name, false, "a name for people, logs and QMP"},
    {"uuid", "UUID", set_uuid, false, "the machine's UUID"},
    {"genid", "UUID", set_genid, false, "a generation id that the guest is told"},
    {"config", "PATH", set_config, false,
     "a machine document (JSON); the other options add to it\nand override it"},
    {"help", NULL, NULL, false, "this text"},
};

static const char help_head[] =
    "Usage: vole run [OPTION]...\n"
    "       vole check-host [--json]\n"
    "       vole --help | --version\n"
    "\n"
    "run starts one microVM on KVM in this process, and ends when the guest powers off.\n"
    "check-host says what this host can do, and what to do about what is missing.\n"
    "\n"
    "A Linux guest on this terminal (Ctrl-A x ends it):\n"
    "\n"
    "  vole run --kernel vmlinuz --initrd initrd.img --disk root.img \\\n"
    "           --append \"console=ttyS0 root=/dev/vda\"\n"
    "\n"
    "Two processors, a network, entropy, a control socket, nothing on the terminal:\n"
    "\n"
    "  vole run --kernel vmlinuz --cpus 2 --memory 1G --disk root.img --net tap=tap0 \\\n"
    "           --rng --serial file:web1.log --qmp unix:web1.qmp --append \"root=/dev/vda\"\n"
    "\n"
    "A fast disk of at most 200 MiB/s, a guest agent's port, memory that comes back:\n"
    "\n"
    "  vole run --kernel vmlinuz --disk /dev/vg/web,direct=on,queues=4,bps=200M \\\n"
    "           --port name=org.qemu.guest_agent.0,chardev=unix:web1.agent --balloon \\\n"
    "           --append \"console=ttyS0 root=/dev/vda\"\n"
    "\n"
    "A machine that a document describes, but waiting for QMP's cont:\n"
    "\n"
    "  vole run --config web1.json --paused\n"
    "\n"
    "Sixteen bits that write to a port:\n"
    "\n"
    "  vole run --flat hello.bin --debug-port 0xf1\n"
    "\n"
    "Options (* may be given more than once):\n"
    "\n";

static const char help_tail[] =
    "\n"
    "CHARDEV is stdio, pty, unix:PATH (listens), file:PATH, fd:N, null or none. Where a PATH\n"
    "stands, and for a tap's name, fd:N means a descriptor that vole inherits (a tap of two\n"
    "queues: fd:N:M). In values with KEY=VALUE parts a comma is written twice. See vole(1).\n";

#define HELP_COLUMN 22

void config_print_help(FILE *out)
{
    fputs(help_head, out);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const struct option *o = &options[i];
        const char *help = o->help;
        const char *space = o->arg && o->arg[0] != '[' ? " " : "";
        int width = fprintf(out, " %c--%s%s%s", o->repeatable ? '*' : ' ', o->name, space,
                            o->arg ? o->arg : "");

        if (width > HELP_COLUMN - 2) {
            fputc('\n', out);
            width = 0;
        }
        for (; help; width = 0) {
            const char *end = strchrnul(help, '\n');

            fprintf(out, "%*s%.*s\n", HELP_COLUMN - width, "", (int)(end - help), help);
            help = *end ? end + 1 : NULL;
        }
    }
    fputs(help_tail, out);
}

/* ---- the words ---- */

/* One option as it stands on the command line. */
struct word {
    const struct option *option;
    const char *value; /* NULL where there is none */
};

static const struct option *find_option(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (strlen(options[i].name) == len && strncmp(options[i].name, name, len) == 0)
            return &options[i];
    return NULL;
}

/* What is kept is told again as JSON, which has no other encoding. */
static bool is_utf8(const char *text)
{
    json_t *string = json_string(text);
    bool valid = string != NULL;

    json_decref(string);
    return valid;
}

/* Reads the option at argv[*i], moves *i behind it and its value. */
static int next_word(struct word *word, int argc, char **argv, int *i, struct error *err)
{
    const char *text = argv[(*i)++];
    const char *name;
    size_t len;

    if (strncmp(text, "--", 2) != 0 || text[2] == '\0') {
        error_set(err, "\"%s\" is not understood: an option begins with --", text);
        return -1;
    }
    name = text + 2;
    len = strcspn(name, "=");
    if (!is_utf8(text))
        return error_set(err, "\"%s\" is not UTF-8", text);
    *word = (struct word){
        .option = find_option(name, len),
        .value = name[len] ? name + len + 1 : NULL,
    };
    if (!word->option) {
        error_set(err, "there is no option --%.*s; see vole --help", (int)MIN(len, 64), name);
        return -1;
    }
    if (word->value && !word->option->arg)
        return error_set(err, "--%s takes no value", word->option->name);
    if (word->value || !word->option->arg || word->option->arg[0] == '[')
        return 0;
    if (*i == argc)
        return error_set(err, "--%s needs a value: %s", word->option->name, word->option->arg);
    word->value = argv[(*i)++];
    if (!is_utf8(word->value))
        return error_set(err, "--%s: \"%s\" is not UTF-8", word->option->name, word->value);
    return 0;
}

static int apply(struct config *config, const struct word *word, struct error *err)
{
    if (word->option->set(config, word->value, err) < 0)
        return error_prefix(err, "--%s%s%s", word->option->name, word->value ? " " : "",
                            word->value ? word->value : "");
    return 0;
}

/* The terminal is the serial port's, unless a console has taken it. */
static void default_serial(struct config *config)
{
    bool taken = false;

    for (unsigned i = 0; i < config->console_count; i++)
        taken |= strcmp(config->consoles[i].chardev, "stdio") == 0;
    if (!config->serial)
        config->serial = xstrdup(taken ? "none" : "stdio");
}

/* Goes through all words, and applies those that are --config, or those that are not. 1 when one of
 * them asks for help. */
static int walk(struct config *config, int argc, char **argv, bool documents, struct error *err)
{
    bool seen[ARRAY_SIZE(options)] = {false};

    for (int i = 0; i < argc;) {
        struct word word = {NULL};
        size_t index;

        if (next_word(&word, argc, argv, &i, err) < 0)
            return -1;
        if (!word.option->set)
            return 1;
        index = (size_t)(word.option - options);
        if (seen[index] && !word.option->repeatable)
            return error_set(err, "--%s is given twice", word.option->name);
        seen[index] = true;
        if ((word.option->set == set_config) == documents && apply(config, &word, err) < 0)
            return -1;
    }
    return 0;
}

int config_parse_args(struct config *config, int argc, char **argv, struct error *err)
{
    int rc = walk(config, argc, argv, true, err);

    if (rc == 0)
        rc = walk(config, argc, argv, false, err);
    if (rc != 0)
        return rc;
    default_serial(config);
    config_fill_defaults(config);
    return 0;
}
