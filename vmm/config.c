/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine description itself: its defaults and its end. How it is filled is in config_args.c
 * (flags) and config_json.c (documents), what must hold of it as a whole in config_validate.c.
 */
#include "vmm/config.h"

#include <stdio.h>

#include "vmm/config_priv.h"

/* As Windows has UUIDs: the first three numbers of the text little-endian. */
void config_genid_bytes(const struct config *config, uint8_t id[CONFIG_GENID_BYTES])
{
    static const uint8_t order[] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    const char *text = config->genid;

    _Static_assert(ARRAY_SIZE(order) == CONFIG_GENID_BYTES, "the whole id");
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        text += *text == '-';
        /* Its text is well formed since it was taken over. */
        (void)sscanf(text, "%2hhx", &id[order[i]]);
        text += 2;
    }
}

void config_init(struct config *config)
{
    *config = (struct config){
        .name = xstrdup("vole"),
        .cpus = 1,
        .memory = 256 * MiB,
        .memory_backing.thp = true,
        .balloon = {.deflate_on_oom = true, .free_page_reporting = true},
        .on_reboot = ON_REBOOT_RESTART,
        .pvpanic = true,
        .on_panic = ON_PANIC_EXIT,
        .debug_port = -1,
    };
}

void config_clear(struct config *config)
{
    char **const texts[] = {
        &config->name,        &config->uuid, &config->kernel, &config->initrd,
        &config->cmdline,     &config->flat, &config->serial, &config->rng_source,
        &config->vsock.vhost, &config->kvm,  &config->genid,
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        free(*texts[i]);
    for (unsigned i = 0; i < config->cpu.feature_count; i++)
        free(config->cpu.features[i].name);
    for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++) {
        free(config->disks[i].id);
        free(config->disks[i].source);
        free(config->disks[i].serial);
    }
    for (unsigned i = 0; i < CONFIG_MAX_NETS; i++) {
        free(config->nets[i].id);
        free(config->nets[i].tap);
        free(config->nets[i].socket);
        free(config->nets[i].vhost_fds);
    }
    for (unsigned i = 0; i < CONFIG_MAX_CONSOLES; i++) {
        free(config->consoles[i].id);
        free(config->consoles[i].chardev);
    }
    for (unsigned i = 0; i < CONFIG_MAX_PORTS; i++) {
        free(config->ports[i].id);
        free(config->ports[i].name);
        free(config->ports[i].chardev);
    }
    for (unsigned i = 0; i < CONFIG_MAX_QMP; i++)
        free(config->qmp[i]);
    *config = (struct config){.debug_port = -1};
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

/* What was not given of the topology follows from the number of cpus: more cores, rather than more
 * of anything else. A product that does not come out is left for config_validate() to refuse. */
static void complete_topology(struct config_topology *t, unsigned cpus)
{
    t->threads = t->threads ? t->threads : 1;
    if (t->cores) {
        t->sockets = t->sockets ? t->sockets : MAX(cpus / (t->cores * t->threads), 1);
    } else {
        t->sockets = t->sockets ? t->sockets : 1;
        t->cores = MAX(cpus / (t->sockets * t->threads), 1);
    }
}

void config_fill_defaults(struct config *config)
{
    const char *identity = config->uuid ? config->uuid : config->name;

    complete_topology(&config->topology, config->cpus);
    for (unsigned i = 0; i < config->disk_count; i++)
        name_device(&config->disks[i].id, "disk", i);
    for (unsigned i = 0; i < config->console_count; i++)
        name_device(&config->consoles[i].id, "console", i);
    for (unsigned i = 0; i < config->port_count; i++)
        name_device(&config->ports[i].id, "port", i);
    for (unsigned i = 0; i < config->net_count; i++) {
        name_device(&config->nets[i].id, "net", i);
        if (!config->nets[i].has_mac)
            make_mac(identity, i, config->nets[i].mac);
    }
}
