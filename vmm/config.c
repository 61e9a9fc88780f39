/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine description itself: its defaults, its end, and what must hold of it as a whole. How
 * it is filled is in config_args.c (flags) and config_json.c (documents).
 */
#include "vmm/config.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/un.h>

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

void config_init(struct config *config)
{
    *config = (struct config){
        .name = xstrdup("vole"),
        .cpus = 1,
        .memory = 256 * MiB,
        .on_reboot = ON_REBOOT_RESTART,
        .debug_port = -1,
    };
}

void config_clear(struct config *config)
{
    char **const texts[] = {
        &config->name,    &config->uuid, &config->kernel, &config->initrd,
        &config->cmdline, &config->flat, &config->serial, &config->rng_source,
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        free(*texts[i]);
    for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++) {
        free(config->disks[i].id);
        free(config->disks[i].source);
        free(config->disks[i].serial);
    }
    for (unsigned i = 0; i < CONFIG_MAX_NETS; i++) {
        free(config->nets[i].id);
        free(config->nets[i].tap);
    }
    for (unsigned i = 0; i < CONFIG_MAX_CONSOLES; i++) {
        free(config->consoles[i].id);
        free(config->consoles[i].chardev);
    }
    for (unsigned i = 0; i < CONFIG_MAX_QMP; i++)
        free(config->qmp[i]);
    *config = (struct config){.debug_port = -1};
}

/* ---- values as text ---- */

int config_parse_mac(const char *text, uint8_t mac[6], struct error *err)
{
    uint8_t bytes[6];
    int n = -1;

    if (strlen(text) != 17 ||
        sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &bytes[0], &bytes[1], &bytes[2],
               &bytes[3], &bytes[4], &bytes[5], &n) != 6 ||
        n != 17 || text[strspn(text, "0123456789abcdefABCDEF:")] != '\0')
        return error_set(err, "\"%s\" is no MAC address like 52:54:00:12:34:56", text);
    if (bytes[0] & 1)
        return error_set(err, "%s is a multicast address, a network device needs a unicast one",
                         text);
    if (memcmp(bytes, (const uint8_t[6]){0}, 6) == 0)
        return error_set(err, "%s cannot be a network device's address", text);
    memcpy(mac, bytes, 6);
    return 0;
}

void config_format_mac(const uint8_t mac[6], char text[18])
{
    snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
             mac[5]);
}

int config_parse_uuid(const char *text, char **uuid, struct error *err)
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    char canonical[sizeof(shape)];
    size_t i;

    for (i = 0; shape[i]; i++) {
        bool fits = shape[i] == 'x' ? isxdigit((unsigned char)text[i]) : text[i] == shape[i];

        if (!fits)
            break; /* also at the end of a text that is too short */
        canonical[i] = (char)tolower((unsigned char)text[i]);
    }
    if (shape[i] || text[i])
        return error_set(err, "\"%s\" is no UUID like 6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11", text);
    canonical[i] = '\0';
    free(*uuid);
    *uuid = xstrdup(canonical);
    return 0;
}

static const char *const on_reboot_names[] = {
    [ON_REBOOT_RESTART] = "restart",
    [ON_REBOOT_EXIT] = "exit",
};

const char *config_on_reboot_name(enum on_reboot value)
{
    return on_reboot_names[value];
}

int config_parse_on_reboot(const char *text, enum on_reboot *out, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(on_reboot_names); i++) {
        if (strcmp(text, on_reboot_names[i]) == 0) {
            *out = (enum on_reboot)i;
            return 0;
        }
    }
    return error_set(err, "\"%s\" is neither restart nor exit", text);
}

/* ---- defaults ---- */

/* A locally administered address out of the machine's identity and the device's position (64-bit
 * FNV-1a), so that it is the same at each start and another one in the next machine. */
static void make_mac(const char *identity, unsigned index, uint8_t mac[6])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (const char *p = identity; *p; p++)
        hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    hash = (hash ^ index) * UINT64_C(0x100000001b3);
    hash ^= hash >> 29;
    mac[0] = 0x02;
    for (unsigned i = 1; i < 6; i++)
        mac[i] = (uint8_t)(hash >> 8 * i);
}

static void name_device(char **id, const char *kind, unsigned index)
{
    if (!*id)
        *id = xasprintf("%s%u", kind, index);
}

void config_fill_defaults(struct config *config)
{
    const char *identity = config->uuid ? config->uuid : config->name;

    for (unsigned i = 0; i < config->disk_count; i++)
        name_device(&config->disks[i].id, "disk", i);
    for (unsigned i = 0; i < config->console_count; i++)
        name_device(&config->consoles[i].id, "console", i);
    for (unsigned i = 0; i < config->net_count; i++) {
        name_device(&config->nets[i].id, "net", i);
        if (!config->nets[i].has_mac)
            make_mac(identity, i, config->nets[i].mac);
    }
}

/* ---- the whole ---- */

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
    return 0;
}

static int validate_size(const struct config *config, struct error *err)
{
    uint64_t min = config->kernel ? MEMORY_MIN_KERNEL : MEMORY_MIN;

    if (config->cpus < 1 || config->cpus > CONFIG_MAX_CPUS)
        return error_set(err, "%u cpus are not possible, 1 to %d are", config->cpus,
                         CONFIG_MAX_CPUS);
    if (config->memory < min)
        return error_set(err, "memory of %" PRIu64 " bytes is too little, %" PRIu64 "M are needed",
                         config->memory, min / MiB);
    if (config->memory > MEMORY_MAX)
        return error_set(err, "memory of %" PRIu64 " bytes is too much, %" PRIu64 "T are possible",
                         config->memory, MEMORY_MAX / TiB);
    if (config->memory % PAGE_SIZE)
        return error_set(err, "memory of %" PRIu64 " bytes is not a whole number of 4 KiB pages",
                         config->memory);
    return 0;
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

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

static int validate_disk(const struct config_disk *disk, struct error *err)
{
    if (disk->source[0] == '\0')
        return error_set(err, "disk \"%s\": the source is empty", disk->id);
    if (disk->serial && strlen(disk->serial) > DISK_SERIAL_MAX)
        return error_set(err, "disk \"%s\": serial \"%s\" is longer than %d bytes", disk->id,
                         disk->serial, DISK_SERIAL_MAX);
    if (disk->serial && !is_printable(disk->serial))
        return error_set(err, "disk \"%s\": the serial has control characters in it", disk->id);
    return 0;
}

/* An interface's name as the kernel has it (dev_valid_name), or a descriptor. */
static int validate_net(const struct config_net *net, struct error *err)
{
    const char *tap = net->tap;

    if (spec_is_fd(tap))
        return 0;
    if (tap[0] == '\0' || strlen(tap) > 15 || strpbrk(tap, "/: \t") || strchr(tap, '%') ||
        strcmp(tap, ".") == 0 || strcmp(tap, "..") == 0)
        return error_set(err, "net \"%s\": \"%s\" is no name of a network interface", net->id, tap);
    return 0;
}

static int validate_qmp(const char *spec, struct error *err)
{
    const struct sockaddr_un *un = NULL;

    if (spec_is_fd(spec))
        return 0;
    if (strncmp(spec, "unix:", 5) != 0 || spec[5] == '\0')
        return error_set(err, "qmp: \"%s\" is neither unix:PATH nor fd:N", spec);
    if (strlen(spec + 5) >= sizeof(un->sun_path))
        return error_set(err, "qmp: \"%s\" is too long for a socket's path (%zu bytes)", spec,
                         sizeof(un->sun_path) - 1);
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
    for (unsigned i = 0; i < config->qmp_count; i++)
        if (validate_qmp(config->qmp[i], err) < 0)
            return -1;
    return 0;
}

/* ---- what no two devices can share ---- */

#define MAX_DEVICES (CONFIG_MAX_DISKS + CONFIG_MAX_NETS + CONFIG_MAX_CONSOLES)

static int validate_ids(const struct config *config, struct error *err)
{
    const char *ids[MAX_DEVICES + 1];
    unsigned count = 0;

    if (config->rng_source)
        ids[count++] = CONFIG_RNG_ID;
    for (unsigned i = 0; i < config->disk_count; i++)
        ids[count++] = config->disks[i].id;
    for (unsigned i = 0; i < config->net_count; i++)
        ids[count++] = config->nets[i].id;
    for (unsigned i = 0; i < config->console_count; i++)
        ids[count++] = config->consoles[i].id;
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

/* Descriptors, sockets and the terminal have one user. */
static bool is_exclusive(const char *spec)
{
    return spec_is_fd(spec) || strncmp(spec, "unix:", 5) == 0 || strcmp(spec, "stdio") == 0;
}

#define MAX_SPECS (4 + MAX_DEVICES + 1 + CONFIG_MAX_QMP)

static int validate_specs(const struct config *config, struct error *err)
{
    const char *specs[MAX_SPECS] = {
        config->kernel, config->initrd, config->flat, config->rng_source, config->serial,
    };
    unsigned count = 5;

    static_assert(MAX_SPECS == 5 + MAX_DEVICES + CONFIG_MAX_QMP, "room for each");
    for (unsigned i = 0; i < config->disk_count; i++)
        specs[count++] = config->disks[i].source;
    for (unsigned i = 0; i < config->net_count; i++)
        specs[count++] = config->nets[i].tap;
    for (unsigned i = 0; i < config->console_count; i++)
        specs[count++] = config->consoles[i].chardev;
    for (unsigned i = 0; i < config->qmp_count; i++)
        specs[count++] = config->qmp[i];
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; specs[i] && j < i; j++)
            if (specs[j] && is_exclusive(specs[i]) && strcmp(specs[i], specs[j]) == 0)
                return error_set(err, "%s is given to two users", specs[i]);
    return 0;
}

int config_validate(struct config *config, struct error *err)
{
    if (validate_name(config, err) < 0 || validate_boot(config, err) < 0 ||
        validate_size(config, err) < 0 || validate_devices(config, err) < 0 ||
        validate_ids(config, err) < 0 || validate_specs(config, err) < 0)
        return -1;
    return 0;
}
