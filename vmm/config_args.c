/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line of `vole run`. One table of options stands behind the parser and the help; an
 * option whose value has parts (--disk, --net) has a table of those as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "vmm/config.h"
#include "vmm/config_priv.h"

struct option {
    const char *name;
    const char *arg; /* as the help shows it; NULL: takes none; "[=...]": may have one */
    int (*set)(struct config *config, const char *value,
               struct error *err); /* NULL: asks for help */
    bool repeatable;
    const char *help;
};

/* ---- values with parts: FIRST[,key=value]... ---- */

/*
 * Cuts the first part off `*rest`: up to a comma; a doubled comma is one that belongs to the part.
 * NULL when there is none left. The part is the caller's to free.
 */
static char *next_part(const char **rest)
{
    const char *p = *rest;
    char *part;
    size_t n = 0;

    if (!p)
        return NULL;
    part = xcalloc(1, strlen(p) + 1);
    for (; *p; p++) {
        if (*p == ',') {
            p++;
            if (*p != ',') {
                *rest = p;
                return part;
            }
        }
        part[n++] = *p;
    }
    *rest = NULL;
    return part;
}

struct part {
    const char *key;
    int (*set)(void *object, const char *value, struct error *err);
};

static int set_part(void *object, const struct part *parts, size_t count, char *text,
                    unsigned *seen, struct error *err)
{
    char *equals = strchr(text, '=');

    if (!equals)
        return error_set(err, "\"%s\" is not KEY=VALUE (write a comma inside a name twice)", text);
    *equals = '\0';
    for (size_t i = 0; i < count; i++) {
        if (strcmp(parts[i].key, text) != 0)
            continue;
        if (*seen & 1U << i)
            return error_set(err, "%s is given twice", text);
        *seen |= 1U << i;
        if (parts[i].set(object, equals + 1, err) < 0)
            return error_prefix(err, "%s", text);
        return 0;
    }
    return error_set(err, "there is no \"%s\"", text);
}

static int set_parts(void *object, const struct part *parts, size_t count, const char *rest,
                     struct error *err)
{
    unsigned seen = 0;

    while (rest) {
        cleanup_free char *text = next_part(&rest);

        if (set_part(object, parts, count, text, &seen, err) < 0)
            return -1;
    }
    return 0;
}

static int set_text(char **out, const char *value, struct error *err)
{
    if (value[0] == '\0')
        return error_set(err, "the value is empty");
    free(*out);
    *out = xstrdup(value);
    return 0;
}

static int disk_readonly(void *object, const char *value, struct error *err)
{
    struct config_disk *disk = object;

    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return error_set(err, "\"%s\" is neither on nor off", value);
    disk->readonly = strcmp(value, "on") == 0;
    return 0;
}

static int disk_serial(void *object, const char *value, struct error *err)
{
    return set_text(&((struct config_disk *)object)->serial, value, err);
}

static int disk_id(void *object, const char *value, struct error *err)
{
    return set_text(&((struct config_disk *)object)->id, value, err);
}

static const struct part disk_parts[] = {
    {"readonly", disk_readonly},
    {"serial", disk_serial},
    {"id", disk_id},
};

static int net_tap(void *object, const char *value, struct error *err)
{
    return set_text(&((struct config_net *)object)->tap, value, err);
}

static int net_mac(void *object, const char *value, struct error *err)
{
    struct config_net *net = object;

    if (config_parse_mac(value, net->mac, err) < 0)
        return -1;
    net->has_mac = true;
    return 0;
}

static int net_id(void *object, const char *value, struct error *err)
{
    return set_text(&((struct config_net *)object)->id, value, err);
}

static const struct part net_parts[] = {
    {"tap", net_tap},
    {"mac", net_mac},
    {"id", net_id},
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
    return set_text(&config->kernel, value, err);
}

static int set_initrd(struct config *config, const char *value, struct error *err)
{
    return set_text(&config->initrd, value, err);
}

static int set_append(struct config *config, const char *value, struct error *err)
{
    free(config->cmdline);
    config->cmdline = xstrdup(value);
    return 0;
}

static int set_flat(struct config *config, const char *value, struct error *err)
{
    return set_text(&config->flat, value, err);
}

static int set_cpus(struct config *config, const char *value, struct error *err)
{
    uint64_t n;

    if (parse_number(value, CONFIG_MAX_CPUS, &n) < 0 || n == 0)
        return error_set(err, "\"%s\" is no number from 1 to %d", value, CONFIG_MAX_CPUS);
    config->cpus = (unsigned)n;
    return 0;
}

static int set_memory(struct config *config, const char *value, struct error *err)
{
    if (parse_size(value, &config->memory) < 0)
        return error_set(err, "\"%s\" is no size like 256M", value);
    return 0;
}

static int set_disk(struct config *config, const char *value, struct error *err)
{
    struct config_disk *disk = &config->disks[config->disk_count];
    const char *rest = value;

    if (check_room(config->disk_count, CONFIG_MAX_DISKS, err) < 0)
        return -1;
    config->disk_count++;
    disk->source = next_part(&rest);
    return set_parts(disk, disk_parts, ARRAY_SIZE(disk_parts), rest, err);
}

static int set_net(struct config *config, const char *value, struct error *err)
{
    struct config_net *net = &config->nets[config->net_count];

    if (check_room(config->net_count, CONFIG_MAX_NETS, err) < 0)
        return -1;
    config->net_count++;
    if (set_parts(net, net_parts, ARRAY_SIZE(net_parts), value, err) < 0)
        return -1;
    return net->tap ? 0 : error_set(err, "tap=NAME is missing");
}

static int set_serial(struct config *config, const char *value, struct error *err)
{
    return set_text(&config->serial, value, err);
}

static int set_console(struct config *config, const char *value, struct error *err)
{
    if (check_room(config->console_count, CONFIG_MAX_CONSOLES, err) < 0)
        return -1;
    return set_text(&config->consoles[config->console_count++].chardev, value, err);
}

static int set_rng(struct config *config, const char *value, struct error *err)
{
    return set_text(&config->rng_source, value ? value : CONFIG_RNG_SOURCE, err);
}

static int set_qmp(struct config *config, const char *value, struct error *err)
{
    if (check_room(config->qmp_count, CONFIG_MAX_QMP, err) < 0)
        return -1;
    return set_text(&config->qmp[config->qmp_count++], value, err);
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
    char *end;
    unsigned long port;

    errno = 0;
    port = strtoul(value, &end, 0);
    if (value[0] < '0' || value[0] > '9' || *end || errno || port > UINT16_MAX)
        return error_set(err, "\"%s\" is no port number like 0xf1", value);
    config->debug_port = (int)port;
    return 0;
}

static int set_name(struct config *config, const char *value, struct error *err)
{
    return set_text(&config->name, value, err);
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
    {"kernel", "PATH", set_kernel, false, "a Linux bzImage, or an ELF file with a PVH entry"},
    {"initrd", "PATH", set_initrd, false, "initial RAM disk"},
    {"append", "TEXT", set_append, false, "the kernel's command line"},
    {"flat", "PATH", set_flat, false,
     "a real-mode binary instead of a kernel: loaded at 0x1000,\n"
     "entered at 0000:1000, ends at hlt"},
    {"cpus", "N", set_cpus, false, "virtual processors (default 1)"},
    {"memory", "SIZE", set_memory, false, "RAM, in bytes or with K, M, G, T (default 256M)"},
    {"disk", "PATH[,readonly=on][,serial=TEXT][,id=NAME]", set_disk, true,
     "a raw image or a block device, as a virtio disk"},
    {"net", "tap=NAME[,mac=ADDRESS][,id=NAME]", set_net, true,
     "a virtio network device on a tap interface"},
    {"serial", "CHARDEV", set_serial, false,
     "the first serial port, ttyS0 (default stdio; with --config\n"
     "what the document says, or none)"},
    {"console", "CHARDEV", set_console, true, "a virtio console: hvc0, and so on"},
    {"rng", "[=PATH]", set_rng, false,
     "a virtio entropy device that reads PATH (" CONFIG_RNG_SOURCE ")"},
    {"qmp", "unix:PATH|fd:N", set_qmp, true, "a control socket that speaks QMP"},
    {"paused", NULL, set_paused, false, "wait for QMP's cont before the first instruction"},
    {"no-reboot", NULL, set_no_reboot, false,
     "end when the guest reboots, instead of starting it again"},
    {"debug-port", "PORT", set_debug_port, false, "an I/O port whose bytes go to standard output"},
    {"name", "TEXT", set_name, false, "a name for people, logs and QMP"},
    {"uuid", "UUID", set_uuid, false, "the machine's UUID"},
    {"config", "PATH", set_config, false,
     "a machine document (JSON); the other options add to it\nand override it"},
    {"help", NULL, NULL, false, "this text"},
};

static const char help_head[] =
    "Usage: vole run [OPTION]...\n"
    "       vole --help | --version\n"
    "\n"
    "Runs one microVM on KVM in this process, and ends when the guest powers off.\n"
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
    "stands, and for a tap's name, fd:N means a descriptor that vole inherits. Inside the\n"
    "values of --disk and --net a comma is written twice. See vole(1).\n";

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
