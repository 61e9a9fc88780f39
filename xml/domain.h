/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain's definition: libvirt's domain XML as one struct, and back (docs/domain-xml.md). What
 * the struct has a place for is understood and survives parse and format unchanged; every other
 * element or attribute is an error that names it, so nothing a user wrote is ever dropped in
 * silence.
 *
 * Two kinds of data live in it. What the user wrote is always there. What is true only while the
 * domain runs (marked "live" below) is filled in by whoever starts the domain, is formatted only
 * for live XML, and is read back only with DOMAIN_PARSE_LIVE.
 *
 * A domain_def owns everything it points to: strings are g_malloc'ed, the arrays free their
 * members. No locks: one thread at a time.
 */
#ifndef VOLE_XML_DOMAIN_H
#define VOLE_XML_DOMAIN_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "xml/error.h"

#define DOMAIN_UUID_BYTES 16
#define DOMAIN_UUID_TEXT  37 /* with the NUL */

#define DOMAIN_MACHINE "microvm"

/* What a machine holds at most. */
#define DOMAIN_MAX_VCPUS    254
#define DOMAIN_MAX_DISKS    16
#define DOMAIN_MAX_NETS     16
#define DOMAIN_MAX_CONSOLES 4                    /* virtio consoles */
#define DOMAIN_MIN_MEMORY   (UINT64_C(16) << 10) /* KiB */
#define DOMAIN_MAX_MEMORY   (UINT64_C(16) << 30)

/* A value that the XML may also leave open. */
enum domain_switch { DOMAIN_SWITCH_ABSENT = 0, DOMAIN_SWITCH_ON, DOMAIN_SWITCH_OFF };

enum domain_cpu_mode {
    DOMAIN_CPU_ABSENT = 0,
    DOMAIN_CPU_HOST_PASSTHROUGH,
    DOMAIN_CPU_HOST_MODEL,
    DOMAIN_CPU_MAXIMUM,
};

enum domain_cpu_check {
    DOMAIN_CPU_CHECK_ABSENT = 0,
    DOMAIN_CPU_CHECK_NONE,
    DOMAIN_CPU_CHECK_PARTIAL,
    DOMAIN_CPU_CHECK_FULL,
};

/* What becomes of the domain after an event; numbers are virDomainLifecycleAction. */
enum domain_action {
    DOMAIN_ACTION_DESTROY = 0,
    DOMAIN_ACTION_RESTART = 1,
};

enum domain_boot_device {
    DOMAIN_BOOT_FLOPPY = 0,
    DOMAIN_BOOT_CDROM,
    DOMAIN_BOOT_DISK,
    DOMAIN_BOOT_NETWORK,
    DOMAIN_BOOT_LAST,
};

enum domain_disk_type { DOMAIN_DISK_FILE = 0, DOMAIN_DISK_BLOCK };

enum domain_disk_cache {
    DOMAIN_DISK_CACHE_ABSENT = 0,
    DOMAIN_DISK_CACHE_DEFAULT,
    DOMAIN_DISK_CACHE_WRITEBACK,
};

enum domain_net_type { DOMAIN_NET_ETHERNET = 0, DOMAIN_NET_BRIDGE };

enum domain_chardev_type {
    DOMAIN_CHARDEV_NULL = 0,
    DOMAIN_CHARDEV_PTY,
    DOMAIN_CHARDEV_FILE,
    DOMAIN_CHARDEV_UNIX, /* listens (mode='bind') */
};

struct domain_os {
    char *arch;    /* never NULL: "x86_64" when the XML has none */
    char *machine; /* never NULL: "microvm" */
    char *kernel;  /* never NULL; absolute, as is initrd */
    char *initrd;
    char *cmdline;
    enum domain_boot_device boot[DOMAIN_BOOT_LAST]; /* <boot dev=>: kept, a kernel boots directly */
    unsigned boot_count;
};

struct domain_features {
    bool acpi;
    bool apic;
    bool pae;
    enum domain_switch vmport; /* only OFF can be given */
};

/* Where a device sits. There is one place a microVM's devices can sit, so this is all. */
struct domain_device_info {
    char *alias;         /* live, unless it is the user's ("ua-...") */
    bool mmio_address;   /* the XML had <address type='virtio-mmio'/> */
    unsigned boot_order; /* <boot order=>; 0: none */
};

struct domain_disk {
    enum domain_disk_type type;
    char *driver_name; /* "qemu" or NULL; the format is always raw */
    enum domain_disk_cache cache;
    bool discard_ignore; /* discard='ignore' was given */
    char *source;        /* never NULL; absolute */
    char *target;        /* vda ...; unique; the list is in this order */
    bool readonly;
    bool shareable;
    char *serial; /* at most 20 bytes, or NULL */
    struct domain_device_info info;
};

struct domain_net {
    enum domain_net_type type;
    char *bridge;               /* DOMAIN_NET_BRIDGE: never NULL */
    uint8_t mac[6];             /* made when the XML has none */
    char *target;               /* the tap's name; live when it begins with "vnet" */
    enum domain_switch managed; /* ethernet: OFF means that the tap exists already */
    bool link_up;               /* <link state='up'/> was given */
    struct domain_device_info info;
};

/* The host's end of a serial port or console. */
struct domain_chardev {
    enum domain_chardev_type type;
    char *path;                /* file, unix: never NULL; pty: live, /dev/pts/N; null: NULL */
    enum domain_switch append; /* file */
};

struct domain_serial {
    struct domain_chardev source;
    unsigned port; /* 0: the machine has one port */
    struct domain_device_info info;
};

/* A virtio console. The <console> that stands for the first serial port is not in the list; it is
 * formatted whenever there is a serial port, with port 0, and these follow. */
struct domain_console {
    struct domain_chardev source;
    struct domain_device_info info;
};

struct domain_rng {
    char *source; /* never NULL: "/dev/urandom" when the XML has none */
    struct domain_device_info info;
};

typedef struct domain_def domain_def;
struct domain_def {
    int id; /* live; -1 when the domain does not run */
    char *name;
    uint8_t uuid[DOMAIN_UUID_BYTES];
    char *title;
    char *description;
    char *metadata; /* the whole <metadata> element as it was written, or NULL */

    uint64_t memory_kib;         /* <memory> */
    uint64_t current_memory_kib; /* <currentMemory>; the same, until there is a balloon */
    unsigned max_vcpus;
    unsigned vcpus; /* current='...': what the machine starts with */

    struct domain_os os;
    struct domain_features features;
    enum domain_cpu_mode cpu_mode;
    enum domain_cpu_check cpu_check;   /* kept: the host's own CPU passes every check */
    enum domain_switch cpu_migratable; /* host-passthrough and maximum only */
    bool hpet_absent;                  /* <timer name='hpet' present='no'/> was given */
    enum domain_action on_poweroff;
    enum domain_action on_reboot;
    enum domain_action on_crash;
    enum domain_switch suspend_to_mem; /* <pm>; only OFF can be given */
    enum domain_switch suspend_to_disk;

    char *emulator;      /* the VMM's program; NULL: the driver's own */
    GPtrArray *disks;    /* of struct domain_disk; this and the next four are never NULL */
    GPtrArray *nets;     /* of struct domain_net */
    GPtrArray *serials;  /* of struct domain_serial; at most one */
    GPtrArray *consoles; /* of struct domain_console: virtio consoles only */
    GPtrArray *rngs;     /* of struct domain_rng; at most one */
    bool usb_none;       /* <controller type='usb' model='none'/> was given: true of any microVM */
    bool seclabel_none;  /* <seclabel type='none'/> was given */
};

/* The i-th member, typed: domain_disk_at(def, 0)->target. The index is not checked. */
#define domain_disk_at(def, i)    ((struct domain_disk *)g_ptr_array_index((def)->disks, (i)))
#define domain_net_at(def, i)     ((struct domain_net *)g_ptr_array_index((def)->nets, (i)))
#define domain_serial_at(def, i)  ((struct domain_serial *)g_ptr_array_index((def)->serials, (i)))
#define domain_console_at(def, i) ((struct domain_console *)g_ptr_array_index((def)->consoles, (i)))
#define domain_rng_at(def, i)     ((struct domain_rng *)g_ptr_array_index((def)->rngs, (i)))

enum domain_parse_flags {
    DOMAIN_PARSE_DEFINITION = 0, /* what a client sent: live data is left out */
    DOMAIN_PARSE_LIVE = 1 << 0,  /* what domain_def_format() wrote for a running domain */
};

/*
 * `xml` need not end in NUL. Missing things get their defaults, a uuid and MAC addresses are made.
 * Never reads a file or the network, resolves no entity, and refuses a document type declaration.
 * NULL with `error` set: VIR_ERR_XML_DETAIL for what is no XML (with the line), VIR_ERR_XML_ERROR
 * for XML that is no domain, VIR_ERR_CONFIG_UNSUPPORTED for what a microVM cannot give, and what
 * else libvirt's parser answers in the same places.
 */
domain_def *domain_def_parse(const char *xml, gsize len, unsigned flags, GError **error);

/*
 * The XML, ending in a newline. `flags` are virDomainXMLFlags: VIR_DOMAIN_XML_INACTIVE leaves live
 * data out, as does a domain that does not run (id -1). VIR_DOMAIN_XML_SECURE changes nothing: a
 * definition holds no secrets. Cannot fail.
 */
char *domain_def_format(const domain_def *def, unsigned flags);

/* With live data. */
domain_def *domain_def_copy(const domain_def *def);
void domain_def_free(domain_def *def);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(domain_def, domain_def_free)

/*
 * Gives every device that has none the alias libvirt's users know (virtio-disk0, net0, serial0,
 * console1, rng0). To be called before a domain is started; the machine document then carries the
 * aliases as the devices' ids.
 */
void domain_def_assign_aliases(domain_def *def);

void domain_uuid_format(const uint8_t uuid[DOMAIN_UUID_BYTES], char text[DOMAIN_UUID_TEXT]);
/* As libvirt: 32 hex digits, with any number of '-' or blanks between them. */
bool domain_uuid_parse(const char *text, uint8_t uuid[DOMAIN_UUID_BYTES]);
void domain_mac_format(const uint8_t mac[6], char text[18]);

#endif
