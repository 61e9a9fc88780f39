/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold of a machine description as a whole, before anything is opened or made. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/un.h>

#include "vmm/arch/arch.h"
#include "vmm/backend/chardev.h"
#include "vmm/config_priv.h"

#define PAGE_SIZE         ((uint64_t)4096)
#define MEMORY_MIN        (1 * MiB) /* what a real-mode binary can address */
#define MEMORY_MIN_KERNEL (16 * MiB)
#define TiB               (GiB << 10)
#define MEMORY_MAX        (16 * TiB)
#define DISK_SERIAL_MAX   20 /* VIRTIO_BLK_ID_BYTES */
#define NAME_MAX_LENGTH   255
#define ID_MAX_LENGTH     63
#define PORT_NAME_MAX     63

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

/* ---- the machine ---- */

static int validate_name(const struct config *config, struct error *err)
{
    if (config->name[0] == '\0')
        return error_set(err, "the machine's name is empty");
    if (strlen(config->name) > NAME_MAX_LENGTH)
        return error_set(err, "the machine's name is longer than %d bytes", NAME_MAX_LENGTH);
    if (!is_printable(config->name))
        return error_set(err, "the machine's name has control characters in it");
    return 0;
}

/* A flat guest has no interrupt controller that a virtio device could interrupt it by. */
static int validate_flat_devices(const struct config *config, struct error *err)
{
    const struct {
        const char *name;
        bool given;
    } devices[] = {
        {"disks", config->disk_count > 0},       {"network devices", config->net_count > 0},
        {"consoles", config->console_count > 0}, {"ports", config->port_count > 0},
        {"rng", config->rng_source != NULL},     {"balloon", config->balloon.present},
        {"vsock", config->vsock.cid != 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
        if (devices[i].given)
            return error_set(err, "a flat binary takes no virtio devices (%s)", devices[i].name);
    }
    return 0;
}

static int validate_boot(const struct config *config, struct error *err)
{
    if (!config->kernel && !config->flat)
        return error_set(err, "there is nothing to boot: give a kernel (--kernel, boot.kernel) or "
                              "a real-mode binary (--flat, boot.flat)");
    if (config->kernel && config->flat)
        return error_set(err, "a kernel and a flat binary are given: only one can be booted");
    if (config->flat && config->cpus > 1)
        return error_set(err, "a flat binary has one processor, not %u", config->cpus);
    if (config->flat && (config->initrd || config->cmdline))
        return error_set(err, "a flat binary takes no %s",
                         config->initrd ? "initrd" : "command line");
    return config->flat ? validate_flat_devices(config, err) : 0;
}

static int validate_cpus(const struct config *config, struct error *err)
{
    const struct config_topology *t = &config->topology;

    if (config->cpus < 1 || config->cpus > arch_traits.max_cpus)
        return error_set(err, "%u cpus are not possible, 1 to %u are", config->cpus,
                         arch_traits.max_cpus);
    if ((uint64_t)t->sockets * t->cores * t->threads != config->cpus)
        return error_set(err, "topology: %u sockets of %u cores with %u threads are not %u cpus",
                         t->sockets, t->cores, t->threads, config->cpus);
    return 0;
}

static int validate_memory(const struct config *config, struct error *err)
{
    uint64_t min = config->kernel ? MEMORY_MIN_KERNEL : MEMORY_MIN;
    uint64_t huge = config->memory_backing.hugepages;

    if (config->memory < min)
        return error_set(err, "memory of %" PRIu64 " bytes is too little, %" PRIu64 "M are needed",
                         config->memory, min / MiB);
    if (config->memory > MEMORY_MAX)
        return error_set(err, "memory of %" PRIu64 " bytes is too much, %" PRIu64 "T are possible",
                         config->memory, MEMORY_MAX / TiB);
    if (config->memory % PAGE_SIZE)
        return error_set(err, "memory of %" PRIu64 " bytes is not a whole number of 4 KiB pages",
                         config->memory);
    if (huge && huge != 2 * MiB && huge != GiB)
        return error_set(err, "hugepages of %" PRIu64 " bytes are not possible, 2M and 1G are",
                         huge);
    if (huge && config->memory % huge)
        return error_set(
            err, "memory of %" PRIu64 " bytes is not a whole number of %" PRIu64 "M huge pages",
            config->memory, huge / MiB);
    return 0;
}

static int validate_rtc(const struct config *config, struct error *err)
{
    if (config->rtc.absent && config->rtc.offset)
        return error_set(err, "rtc: a clock that is off has no offset");
    return 0;
}

/* ---- devices ---- */

#define MAX_FDS CONFIG_MAX_QUEUES /* of one thing */

static int validate_limits(const struct throttle_limits *limits, struct error *err)
{
    const char *why = throttle_check(limits);

    return why ? error_set(err, "%s", why) : 0;
}

static bool is_limited(const struct throttle_limits *limits)
{
    return limits->bucket[THROTTLE_BPS_TOTAL].avg || limits->bucket[THROTTLE_OPS_TOTAL].avg;
}

static int validate_disk(const struct config_disk *disk, struct error *err)
{
    if (disk->source[0] == '\0')
        return error_set(err, "disk \"%s\": the source is empty", disk->id);
    if (disk->serial && strlen(disk->serial) > DISK_SERIAL_MAX)
        return error_set(err, "disk \"%s\": serial \"%s\" is longer than %d bytes", disk->id,
                         disk->serial, DISK_SERIAL_MAX);
    if (disk->serial && !is_printable(disk->serial))
        return error_set(err, "disk \"%s\": the serial has control characters in it", disk->id);
    if (validate_limits(&disk->limits, err) < 0)
        return error_prefix(err, "disk \"%s\": limits", disk->id);
    return 0;
}

/* An interface's name as the kernel has it (dev_valid_name), or a descriptor for each queue. */
static int validate_tap(const struct config_net *net, struct error *err)
{
    const char *tap = net->tap;
    int fds[MAX_FDS];
    int count = spec_list_fds(tap, fds, MAX_FDS, err);

    if (count < 0)
        return -1;
    if (count > 0 && (unsigned)count != net->queues)
        return error_set(err, "tap %s: %d descriptors are not one for each of %u queues", tap,
                         count, net->queues);
    if (count == 0 && (tap[0] == '\0' || strlen(tap) > 15 || strpbrk(tap, "/: \t") ||
                       strchr(tap, '%') || strcmp(tap, ".") == 0 || strcmp(tap, "..") == 0))
        return error_set(err, "\"%s\" is no name of a network interface", tap);
    return 0;
}

static int validate_vhost(const struct config_net *net, struct error *err)
{
    int fds[MAX_FDS];
    int count;

    if (net->vhost == VHOST_ON && (is_limited(&net->rx_limits) || is_limited(&net->tx_limits)))
        return error_set(err, "vhost=on and rate limits go not together: vhost has no limits");
    if (!net->vhost_fds)
        return 0;
    if (net->vhost == VHOST_OFF)
        return error_set(err, "vhost is off, but vhost_fds are given");
    count = spec_list_fds(net->vhost_fds, fds, MAX_FDS, err);
    if (count < 0)
        return -1;
    if (count == 0)
        return error_set(err, "vhost_fds: \"%s\" is not fd:N", net->vhost_fds);
    if ((unsigned)count != net->queues)
        return error_set(err, "vhost_fds %s: %d descriptors are not one for each of %u queues",
                         net->vhost_fds, count, net->queues);
    return 0;
}

static int validate_unix_path(const char *what, const char *spec, struct error *err)
{
    const struct sockaddr_un *un = NULL;

    if (spec_is_fd(spec))
        return 0;
    if (strncmp(spec, "unix:", 5) != 0 || spec[5] == '\0')
        return error_set(err, "%s: \"%s\" is neither unix:PATH nor fd:N", what, spec);
    if (strlen(spec + 5) >= sizeof(un->sun_path))
        return error_set(err, "%s: \"%s\" is too long for a socket's path (%zu bytes)", what, spec,
                         sizeof(un->sun_path) - 1);
    return 0;
}

/* A path to connect to, or one descriptor; and all that only the kernel can do is left alone. */
static int validate_socket(const struct config_net *net, struct error *err)
{
    int fds[MAX_FDS];
    int count = spec_list_fds(net->socket, fds, MAX_FDS, err);

    if (count < 0 || (count == 0 && validate_unix_path("socket", net->socket, err) < 0))
        return -1;
    if (net->tap)
        return error_set(err, "a tap and a socket are given, and one of them is needed");
    if (count > 1 || net->queues > 1)
        return error_set(err, "a socket serves one pair of queues");
    if (net->vhost == VHOST_ON || net->vhost_fds)
        return error_set(err, "vhost takes frames from a tap, not from a socket");
    return 0;
}

static int validate_host_end(const struct config_net *net, struct error *err)
{
    if (net->socket)
        return validate_socket(net, err);
    if (!net->tap)
        return error_set(err, "neither a tap nor a socket is given");
    return validate_tap(net, err) < 0 || validate_vhost(net, err) < 0 ? -1 : 0;
}

static int validate_net(const struct config_net *net, struct error *err)
{
    if (validate_host_end(net, err) < 0)
        return error_prefix(err, "net \"%s\"", net->id);
    if (validate_limits(&net->rx_limits, err) < 0)
        return error_prefix(err, "net \"%s\": rx_limits", net->id);
    if (validate_limits(&net->tx_limits, err) < 0)
        return error_prefix(err, "net \"%s\": tx_limits", net->id);
    return 0;
}

/* The name becomes a file's in the guest: /dev/virtio-ports/NAME. */
static int validate_port(const struct config *config, unsigned index, struct error *err)
{
    const struct config_port *port = &config->ports[index];
    const char *name = port->name;
    size_t len = strlen(name);

    if (len == 0 || len > PORT_NAME_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return error_set(err, "port \"%s\": \"%s\" cannot be a port's name of 1 to %d bytes",
                         port->id, name, PORT_NAME_MAX);
    for (const char *p = name; *p; p++)
        if (*p <= ' ' || *p > '~' || *p == '/')
            return error_set(err,
                             "port \"%s\": the name \"%s\" has other than ASCII letters, digits "
                             "and signs without '/' in it",
                             port->id, name);
    for (unsigned i = 0; i < index; i++)
        if (strcmp(config->ports[i].name, name) == 0)
            return error_set(err, "two ports have the name \"%s\"", name);
    if (chardev_check_spec(port->chardev, err) < 0)
        return error_prefix(err, "port \"%s\"", port->id);
    return 0;
}

static int validate_devices(const struct config *config, struct error *err)
{
    for (unsigned i = 0; i < config->disk_count; i++)
        if (validate_disk(&config->disks[i], err) < 0)
            return -1;
    for (unsigned i = 0; i < config->net_count; i++)
        if (validate_net(&config->nets[i], err) < 0)
            return -1;
    if (config->serial && chardev_check_spec(config->serial, err) < 0)
        return error_prefix(err, "serial");
    for (unsigned i = 0; i < config->console_count; i++)
        if (chardev_check_spec(config->consoles[i].chardev, err) < 0)
            return error_prefix(err, "console \"%s\"", config->consoles[i].id);
    for (unsigned i = 0; i < config->port_count; i++)
        if (validate_port(config, i, err) < 0)
            return -1;
    if (config->vsock.vhost && config->vsock.vhost[0] == '\0')
        return error_set(err, "vsock: the path of vhost is empty");
    for (unsigned i = 0; i < config->qmp_count; i++)
        if (validate_unix_path("qmp", config->qmp[i], err) < 0)
            return -1;
    return 0;
}

/* ---- what no two devices can share ---- */

#define MAX_DEVICES                                                                \
    (CONFIG_MAX_DISKS + CONFIG_MAX_NETS + CONFIG_MAX_CONSOLES + CONFIG_MAX_PORTS + \
     3 /* rng, balloon, vsock */)

static unsigned list_ids(const struct config *config, const char *ids[MAX_DEVICES])
{
    unsigned count = 0;

    if (config->rng_source)
        ids[count++] = CONFIG_RNG_ID;
    if (config->balloon.present)
        ids[count++] = CONFIG_BALLOON_ID;
    if (config->vsock.cid)
        ids[count++] = CONFIG_VSOCK_ID;
    for (unsigned i = 0; i < config->disk_count; i++)
        ids[count++] = config->disks[i].id;
    for (unsigned i = 0; i < config->net_count; i++)
        ids[count++] = config->nets[i].id;
    for (unsigned i = 0; i < config->console_count; i++)
        ids[count++] = config->consoles[i].id;
    for (unsigned i = 0; i < config->port_count; i++)
        ids[count++] = config->ports[i].id;
    return count;
}

static int validate_ids(const struct config *config, struct error *err)
{
    const char *ids[MAX_DEVICES];
    unsigned count = list_ids(config, ids);

    for (unsigned i = 0; i < count; i++) {
        size_t len = strlen(ids[i]);

        if (len == 0 || len > ID_MAX_LENGTH ||
            strspn(ids[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
                len)
            return error_set(err,
                             "\"%s\" cannot be a device's id: up to %d letters, digits, '-', "
                             "'_' and '.' can",
                             ids[i], ID_MAX_LENGTH);
        for (unsigned j = 0; j < i; j++)
            if (strcmp(ids[i], ids[j]) == 0)
                return error_set(err, "two devices have the id \"%s\"", ids[i]);
    }
    return 0;
}

#define MAX_SPECS                                                                          \
    (7 + CONFIG_MAX_DISKS + 3 * CONFIG_MAX_NETS + CONFIG_MAX_CONSOLES + CONFIG_MAX_PORTS + \
     CONFIG_MAX_QMP)

/* Everything that is opened; some are NULL. */
static unsigned list_specs(const struct config *config, const char *specs[MAX_SPECS])
{
    unsigned count = 0;

    specs[count++] = config->kernel;
    specs[count++] = config->initrd;
    specs[count++] = config->flat;
    specs[count++] = config->serial;
    specs[count++] = config->rng_source;
    specs[count++] = config->vsock.vhost;
    specs[count++] = config->kvm;
    for (unsigned i = 0; i < config->disk_count; i++)
        specs[count++] = config->disks[i].source;
    for (unsigned i = 0; i < config->net_count; i++) {
        specs[count++] = config->nets[i].tap;
        specs[count++] = config->nets[i].vhost_fds;
        specs[count++] = config->nets[i].socket;
    }
    for (unsigned i = 0; i < config->console_count; i++)
        specs[count++] = config->consoles[i].chardev;
    for (unsigned i = 0; i < config->port_count; i++)
        specs[count++] = config->ports[i].chardev;
    for (unsigned i = 0; i < config->qmp_count; i++)
        specs[count++] = config->qmp[i];
    return count;
}

/* Sockets, and the terminal, have one user. */
static int validate_names_exclusive(const char *const *specs, unsigned count, struct error *err)
{
    for (unsigned i = 0; i < count; i++) {
        if (!specs[i] || (strncmp(specs[i], "unix:", 5) != 0 && strcmp(specs[i], "stdio") != 0))
            continue;
        for (unsigned j = 0; j < i; j++)
            if (specs[j] && strcmp(specs[i], specs[j]) == 0)
                return error_set(err, "%s is given to two users", specs[i]);
    }
    return 0;
}

/* Descriptors, too, and some specs have several. */
static int validate_fds_exclusive(const char *const *specs, unsigned count, struct error *err)
{
    int taken[MAX_SPECS * MAX_FDS];
    unsigned taken_count = 0;

    for (unsigned i = 0; i < count; i++) {
        int fds[MAX_FDS];
        int n = specs[i] ? spec_list_fds(specs[i], fds, MAX_FDS, err) : 0;

        if (n < 0)
            return -1;
        for (int j = 0; j < n; j++) {
            for (unsigned k = 0; k < taken_count; k++)
                if (taken[k] == fds[j])
                    return error_set(err, "fd:%d is given to two users", fds[j]);
            taken[taken_count++] = fds[j];
        }
    }
    return 0;
}

static int validate_specs(const struct config *config, struct error *err)
{
    const char *specs[MAX_SPECS];
    unsigned count = list_specs(config, specs);

    if (validate_names_exclusive(specs, count, err) < 0)
        return -1;
    return validate_fds_exclusive(specs, count, err);
}

int config_validate(struct config *config, struct error *err)
{
    if (validate_name(config, err) < 0 || validate_boot(config, err) < 0 ||
        validate_cpus(config, err) < 0 || validate_memory(config, err) < 0 ||
        validate_rtc(config, err) < 0 || validate_devices(config, err) < 0 ||
        validate_ids(config, err) < 0 || validate_specs(config, err) < 0)
        return -1;
    return 0;
}
