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

#include "vmm/throttle.h"
#include "vmm/util.h"

#define CONFIG_MAX_CPUS     512 /* an architecture may have fewer: arch_traits */
#define CONFIG_MAX_DISKS    16
#define CONFIG_MAX_NETS     16
#define CONFIG_MAX_CONSOLES 4
#define CONFIG_MAX_PORTS    16
#define CONFIG_MAX_QMP      4
#define CONFIG_MAX_QUEUES   16 /* of a disk, and pairs of a network device */

#define CONFIG_MAX_CPU_FEATURES 256
/* When a source of randomness is wanted, but not named. */
#define CONFIG_RNG_SOURCE "/dev/urandom"
#define CONFIG_KVM        "/dev/kvm"

/* The devices that cannot be named. */
#define CONFIG_RNG_ID     "rng0"
#define CONFIG_BALLOON_ID "balloon0"
#define CONFIG_VSOCK_ID   "vsock0"

enum on_reboot {
    ON_REBOOT_RESTART, /* in place: same process, same descriptors */
    ON_REBOOT_EXIT,    /* end with status 0 */
};

/* What a guest's own report of a panic (pvpanic) does. */
enum on_panic {
    ON_PANIC_EXIT,    /* end with status 4 */
    ON_PANIC_PAUSE,   /* stand still, for somebody to look */
    ON_PANIC_RESTART, /* as a reset from outside */
    ON_PANIC_IGNORE,  /* tell, and leave the guest to itself */
};

struct config_topology { /* of the cpus; their product is the number of cpus */
    unsigned sockets;
    unsigned cores;
    unsigned threads;
};

/* A feature of the processors that is asked for, or taken away. */
struct config_cpu_feature {
    char *name;
    bool wanted;
};

/* What guests get of the host's processor: all that KVM gives, but for these. */
struct config_cpu {
    struct config_cpu_feature features[CONFIG_MAX_CPU_FEATURES];
    unsigned feature_count;
};

/* How guest RAM is backed by the host. */
struct config_memory_backing {
    bool shared;        /* a memfd, which another process can map */
    uint64_t hugepages; /* their size, 2 MiB or 1 GiB, in bytes; 0: ordinary pages */
    bool thp;           /* let the host use transparent huge pages; default true */
    bool prealloc;      /* have all pages from the start */
    bool lock;          /* and keep them from being swapped out */
};

/* How a disk's requests are carried out. */
enum disk_engine_kind {
    DISK_ENGINE_AUTO, /* io_uring where the host has it, threads otherwise */
    DISK_ENGINE_IO_URING,
    DISK_ENGINE_THREADS,
};

struct config_disk {
    char *id;     /* unique among all devices; "disk0" and so on when not given */
    char *source; /* raw image or block device */
    bool readonly;
    bool direct;     /* O_DIRECT: past the host's page cache */
    bool discard;    /* pass the guest's discards on to the image; default true */
    unsigned queues; /* 1 to CONFIG_MAX_QUEUES */
    enum disk_engine_kind engine;
    char *serial; /* what the guest reads as the disk's identity, at most 20 bytes; or NULL */
    struct throttle_limits limits;
};

/* When packets go through the host kernel's vhost-net instead of through this process. */
enum vhost_use {
    VHOST_AUTO, /* where it can be used: the host has it and nothing is asked that it cannot do */
    VHOST_ON,   /* or fail */
    VHOST_OFF,
};

struct config_net {
    char *id;
    char *tap;    /* an interface's name, or "fd:N" for a tap that is open already; with more than
                     one queue "fd:N:M..."; or NULL */
    char *socket; /* instead of a tap: "unix:PATH" to connect to, or "fd:N", a stream socket that is
                     connected (backend/stream.h) */
    uint8_t mac[6];  /* made from the machine's uuid (or name) when not given */
    bool has_mac;    /* it was given */
    unsigned queues; /* pairs, 1 to CONFIG_MAX_QUEUES */
    unsigned mtu;    /* 68 to 65535, or 0: the guest is told nothing */
    bool link_down;  /* starts without a carrier */
    enum vhost_use vhost;
    char *vhost_fds; /* "fd:N:M...": /dev/vhost-net, opened already, once a pair; or NULL */
    struct throttle_limits rx_limits; /* to the guest; bytes and packets, `total` only */
    struct throttle_limits tx_limits; /* from the guest */
};

struct config_console {
    char *id;
    char *chardev; /* as backend/chardev.h has it */
};

/* A named port of the virtio console: /dev/virtio-ports/NAME in the guest. */
struct config_port {
    char *id;
    char *name;
    char *chardev;
};

struct config_balloon {
    bool present;
    bool deflate_on_oom;      /* default true: the guest may take pages back before it kills */
    bool free_page_reporting; /* default true: pages that the guest frees go back to the host */
};

struct config_vsock {
    uint32_t cid; /* the guest's, from 3 on; 0: no such device */
    char *vhost;  /* /dev/vhost-vsock when not given, a path or "fd:N" */
};

struct config_rtc {
    bool absent;
    bool localtime; /* the clock shows the host's local time instead of UTC */
    int64_t offset; /* seconds that it goes ahead of that */
};

struct config {
    char *name;                      /* "vole" when not given */
    char *uuid;                      /* canonical text, or NULL */
    char *genid;                     /* the same; the guest is told when it is not NULL */
    unsigned cpus;                   /* from 1 */
    struct config_topology topology; /* one socket of single-threaded cores when not given */
    struct config_cpu cpu;
    uint64_t memory; /* bytes, whole pages */
    struct config_memory_backing memory_backing;

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
    struct config_port ports[CONFIG_MAX_PORTS];
    unsigned port_count;
    struct config_balloon balloon;
    struct config_vsock vsock;
    struct config_rtc rtc;
    char *serial;     /* chardev; "stdio" from flags when not given, "none" from a document */
    char *rng_source; /* NULL: no such device */

    char *kvm;                 /* CONFIG_KVM when not given */
    char *qmp[CONFIG_MAX_QMP]; /* "unix:PATH" or "fd:N" */
    unsigned qmp_count;

    bool paused; /* wait for `cont` before the first instruction */
    enum on_reboot on_reboot;
    bool pvpanic; /* the guest can tell that it panicked; default true */
    enum on_panic on_panic;
    int debug_port; /* a port whose bytes go to standard output, or -1 */
};

/* The generation id as a guest finds it in memory. Only where config->genid is not NULL. */
#define CONFIG_GENID_BYTES 16
void config_genid_bytes(const struct config *config, uint8_t id[CONFIG_GENID_BYTES]);

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
