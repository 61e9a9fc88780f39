/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine description: the one struct that command-line flags and the machine document both
 * fill (docs/machine-config.md), and that the rest of the VMM only reads.
 *
 * A file, socket or tap is named by a "source": a path or name, or "fd:N" for an inherited
 * descriptor. Nothing is opened here.
 */
#ifndef VOLE_CONFIG_H
#define VOLE_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "vmm/util.h"

#define CONFIG_MAX_CPUS     254
#define CONFIG_MAX_DISKS    16
#define CONFIG_MAX_NETS     16
#define CONFIG_MAX_CONSOLES 4
#define CONFIG_MAX_QMP      4
#define CONFIG_RNG_SOURCE                                                  \
    "/dev/urandom" /* when a source of randomness is wanted, but not named \
                    */

/* The one device that cannot be named. */
#define CONFIG_RNG_ID "rng0"

enum on_reboot {
    ON_REBOOT_RESTART, /* in place: same process, same descriptors */
    ON_REBOOT_EXIT,    /* end with status 0 */
};

struct config_disk {
    char *id;     /* unique among all devices; "disk0" and so on when not given */
    char *source; /* raw image or block device */
    bool readonly;
    char *serial; /* what the guest reads as the disk's identity, at most 20 bytes; or NULL */
};

struct config_net {
    char *id;
    char *tap;      /* an interface's name, or "fd:N" for a tap that is open already */
    uint8_t mac[6]; /* made from the machine's uuid (or name) when not given */
    bool has_mac;   /* it was given */
};

struct config_console {
    char *id;
    char *chardev; /* as backend/chardev.h has it */
};

struct config {
    char *name;      /* "vole" when not given */
    char *uuid;      /* canonical text, or NULL */
    unsigned cpus;   /* 1 to CONFIG_MAX_CPUS */
    uint64_t memory; /* bytes, whole pages */

    char *kernel; /* bzImage or ELF */
    char *initrd;
    char *cmdline;
    char *flat; /* a real-mode binary instead of a kernel */

    struct config_disk disks[CONFIG_MAX_DISKS];
    unsigned disk_count;
    struct config_net nets[CONFIG_MAX_NETS];
    unsigned net_count;
    struct config_console consoles[CONFIG_MAX_CONSOLES];
    unsigned console_count;
    char *serial;     /* chardev; "stdio" from flags when not given, "none" from a document */
    char *rng_source; /* NULL: no such device */

    char *qmp[CONFIG_MAX_QMP]; /* "unix:PATH" or "fd:N" */
    unsigned qmp_count;

    bool paused; /* wait for `cont` before the first instruction */
    enum on_reboot on_reboot;
    int debug_port; /* a port whose bytes go to standard output, or -1 */
};

void config_init(struct config *config);
void config_clear(struct config *config);

/*
 * Fills `config` from the words after `vole run`. A --config document is read first, wherever it
 * stands, so that flags add to it and override it. 0; 1 when the words ask for help, and nothing
 * else was looked at; or -1 with `err` naming the word, or the document and the place in it.
 */
int config_parse_args(struct config *config, int argc, char **argv, struct error *err);
/* The options of `vole run`, with examples. */
void config_print_help(FILE *out);
/* From a machine document's text. An unknown key is refused by its name and place. */
int config_parse_json(struct config *config, const char *text, size_t len, struct error *err);
/* What no single option can tell: that there is something to boot, that ids are unique. */
int config_validate(struct config *config, struct error *err);
/* The effective machine document (a new reference). */
json_t *config_to_json(const struct config *config);

#endif
