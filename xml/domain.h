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
 * What a user did not write is a zero, an enum's ..._ABSENT or a NULL, where nothing else is said.
 *
 * A domain_def owns everything it points to: strings are g_malloc'ed, the arrays free their
 * members. No locks: one thread at a time.
 */
#ifndef VOLE_XML_DOMAIN_H
#define VOLE_XML_DOMAIN_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/x86_features.h"
#include "xml/cpuset.h"
#include "xml/error.h"

#define DOMAIN_UUID_BYTES 16
#define DOMAIN_UUID_TEXT  37 /* with the NUL */

#define DOMAIN_MACHINE "microvm"

/* What a machine holds at most. */
#define DOMAIN_MAX_VCPUS     512 /* of any architecture; see struct domain_arch */
#define DOMAIN_MAX_DISKS     16
#define DOMAIN_MAX_NETS      16
#define DOMAIN_MAX_CONSOLES  4 /* virtio consoles */
#define DOMAIN_MAX_CHANNELS  16
#define DOMAIN_MAX_QUEUES    16 /* of a disk, and pairs of an interface */
#define DOMAIN_MAX_IOTHREADS 64
#define DOMAIN_MAX_VLANS     16 /* of an interface: tags, port forwards, ranges of one of those */
#define DOMAIN_MAX_FORWARDS  16
#define DOMAIN_MAX_RANGES    16
#define DOMAIN_MIN_CID       3
#define DOMAIN_MAX_CID       (UINT32_MAX - 1)
#define DOMAIN_MIN_MEMORY    (UINT64_C(16) << 10) /* KiB */
#define DOMAIN_MAX_MEMORY    (UINT64_C(16) << 30)

/* What the XML of a machine has otherwise than that of another architecture's. */
struct domain_arch {
    const char *name;
    unsigned max_vcpus;
    const char *serial_type; /* the serial port's, and the chip */
    const char *serial_model;
};

/* NULL where there are no machines of that architecture. */
const struct domain_arch *domain_arch_find(const char *name);

/* A value that the XML may also leave open. */
enum domain_switch { DOMAIN_SWITCH_ABSENT = 0, DOMAIN_SWITCH_ON, DOMAIN_SWITCH_OFF };

/* What becomes of the domain after an event; numbers are virDomainLifecycleAction. */
enum domain_action {
    DOMAIN_ACTION_DESTROY = 0,
    DOMAIN_ACTION_RESTART = 1,
    DOMAIN_ACTION_PRESERVE = 3, /* of a crash: the machine stands still */
};

/* ---- the machine ---- */

enum domain_boot_device {
    DOMAIN_BOOT_FLOPPY = 0,
    DOMAIN_BOOT_CDROM,
    DOMAIN_BOOT_DISK,
    DOMAIN_BOOT_NETWORK,
    DOMAIN_BOOT_LAST,
};

struct domain_os {
    char *arch;    /* never NULL, and that of an entry; the host's when the XML has none */
    char *machine; /* never NULL: "microvm" */
    char *kernel;  /* absolute, as is initrd; NULL: the domain cannot start */
    char *initrd;
    char *cmdline;
    enum domain_boot_device boot[DOMAIN_BOOT_LAST]; /* <boot dev=>: kept, a kernel boots directly */
    unsigned boot_count;
    enum domain_switch bootmenu; /* only OFF can be given */
};

enum domain_memory_source {
    DOMAIN_MEMORY_SOURCE_ABSENT = 0,
    DOMAIN_MEMORY_SOURCE_ANONYMOUS,
    DOMAIN_MEMORY_SOURCE_MEMFD,
};

enum domain_memory_access {
    DOMAIN_MEMORY_ACCESS_ABSENT = 0,
    DOMAIN_MEMORY_ACCESS_SHARED,
    DOMAIN_MEMORY_ACCESS_PRIVATE,
};

enum domain_memory_allocation {
    DOMAIN_MEMORY_ALLOCATION_ABSENT = 0,
    DOMAIN_MEMORY_ALLOCATION_IMMEDIATE,
    DOMAIN_MEMORY_ALLOCATION_ONDEMAND,
};

struct domain_memory_backing {
    bool hugepages;
    uint64_t page_kib; /* of the huge pages; 0: their usual size, 2 MiB */
    bool nosharepages; /* true of any microVM, as is discard */
    bool locked;
    bool discard;
    enum domain_memory_source source;
    enum domain_memory_access access;
    enum domain_memory_allocation allocation;
};

/* KiB, rounded up; 0: no limit. */
struct domain_memtune {
    uint64_t hard_limit_kib;
    uint64_t soft_limit_kib;
    uint64_t swap_hard_limit_kib; /* memory and swap together */
};

/* Limits of a block device: <blkiotune>, and virDomainSetBlkioParameters behind "device_". */
enum domain_blkio_limit {
    DOMAIN_BLKIO_READ_BYTES = 0,
    DOMAIN_BLKIO_WRITE_BYTES,
    DOMAIN_BLKIO_READ_IOPS,
    DOMAIN_BLKIO_WRITE_IOPS,
    DOMAIN_BLKIO_LIMITS,
};

struct domain_blkio_device {
    char *path;                           /* of the host's; never NULL */
    unsigned weight;                      /* 1 to 10000, as cgroup v2's io.weight; 0: none given */
    uint64_t limits[DOMAIN_BLKIO_LIMITS]; /* a second; 0: none */
};

/* Whose time is limited. */
enum domain_quota_kind {
    DOMAIN_QUOTA_VCPU = 0, /* each vCPU's */
    DOMAIN_QUOTA_GLOBAL,   /* the whole domain's */
    DOMAIN_QUOTA_EMULATOR, /* that of what is neither a vCPU nor an I/O thread */
    DOMAIN_QUOTA_IOTHREAD, /* that of all I/O threads together */
    DOMAIN_QUOTA_LAST,
};

struct domain_cpu_quota {
    uint64_t period; /* microseconds, 1000 to 1000000; 0: none given */
    int64_t quota;   /* of them, in each period; -1: no limit; 0: none given */
};

/* Where a vCPU or an I/O thread may run. */
struct domain_pin {
    unsigned id;
    struct cpuset cpus;
};

struct domain_cputune {
    unsigned shares; /* 1 to 10000, as cgroup v2's cpu.weight; 0: none given */
    struct domain_cpu_quota quotas[DOMAIN_QUOTA_LAST];
    GPtrArray *vcpupins; /* of struct domain_pin, sorted by id; never NULL, as is... */
    GPtrArray *iothreadpins;
    struct cpuset emulatorpin; /* empty: none given */
};

/* Where on the host memory comes from. Both are the same here: from nowhere else. */
enum domain_numa_mode {
    DOMAIN_NUMA_ABSENT = 0,
    DOMAIN_NUMA_STRICT,
    DOMAIN_NUMA_RESTRICTIVE,
};

struct domain_numatune {
    enum domain_numa_mode mode;
    struct cpuset nodes; /* of the host's NUMA nodes; empty when there is no mode */
};

enum domain_feature { /* <features>: kept, a machine has them in any case, or has not */
                      DOMAIN_FEATURE_ACPI = 0,
                      DOMAIN_FEATURE_APIC,
                      DOMAIN_FEATURE_PAE,
                      DOMAIN_FEATURE_HAP,    /* on */
                      DOMAIN_FEATURE_VMPORT, /* off, as are the next two */
                      DOMAIN_FEATURE_SMM,
                      DOMAIN_FEATURE_VMCOREINFO,
                      DOMAIN_FEATURE_LAST,
};

enum domain_cpu_mode {
    DOMAIN_CPU_ABSENT = 0,
    DOMAIN_CPU_HOST_PASSTHROUGH,
    DOMAIN_CPU_HOST_MODEL,
    DOMAIN_CPU_MAXIMUM,
    DOMAIN_CPU_CUSTOM,
};

/* Of a custom CPU: what becomes of the host's features that its model has not. */
enum domain_cpu_match {
    DOMAIN_CPU_MATCH_ABSENT = 0, /* as EXACT */
    DOMAIN_CPU_MATCH_EXACT,      /* the guest does not have them */
    DOMAIN_CPU_MATCH_MINIMUM,    /* it has them, too */
    DOMAIN_CPU_MATCH_STRICT,     /* there must be none */
};

enum domain_cpu_fallback {
    DOMAIN_CPU_FALLBACK_ABSENT = 0,
    DOMAIN_CPU_FALLBACK_ALLOW,
    DOMAIN_CPU_FALLBACK_FORBID,
};

enum domain_cpu_check {
    DOMAIN_CPU_CHECK_ABSENT = 0,
    DOMAIN_CPU_CHECK_NONE,
    DOMAIN_CPU_CHECK_PARTIAL,
    DOMAIN_CPU_CHECK_FULL,
};

enum domain_cpu_policy {
    DOMAIN_CPU_REQUIRE = 0, /* a host without the feature cannot start the domain */
    DOMAIN_CPU_OPTIONAL,
    DOMAIN_CPU_FORBID,  /* a host with it cannot */
    DOMAIN_CPU_FORCE,   /* as REQUIRE: what a host lacks no guest can have */
    DOMAIN_CPU_DISABLE, /* the guest does not have it */
};

/* To be compared with the host when the domain starts: cpu_resolve(). */
struct domain_cpu_feature {
    char *name; /* libvirt's, and in xml/cpu_features.h */
    enum domain_cpu_policy policy;
};

struct domain_cpu {
    enum domain_cpu_mode mode;
    enum domain_cpu_match match;
    char *model;  /* custom: libvirt's name; NULL otherwise */
    char *vendor; /* that the host's CPU has to be of: "AMD"; or NULL */
    enum domain_cpu_fallback fallback;
    enum domain_cpu_check check;   /* kept: what a guest gets always is what was asked for */
    enum domain_switch migratable; /* host-passthrough and maximum only */
    unsigned sockets;              /* topology; 0: none given. The product with cores and */
    unsigned cores;                /* threads is max_vcpus and vcpus */
    unsigned threads;
    bool dies;           /* dies='1' was given */
    GPtrArray *features; /* of struct domain_cpu_feature; never NULL */
    /* Of the host's features those that the guest is to lack, beside those in `features`. Found out
     * at each start (cpu_resolve()), and of no meaning otherwise. */
    struct x86_feature_set off;
};

enum domain_clock_offset {
    DOMAIN_CLOCK_UTC = 0,
    DOMAIN_CLOCK_LOCALTIME,
    DOMAIN_CLOCK_VARIABLE,
};

enum domain_timer_kind {
    DOMAIN_TIMER_RTC = 0,
    DOMAIN_TIMER_PIT,
    DOMAIN_TIMER_HPET,
    DOMAIN_TIMER_TSC,
    DOMAIN_TIMER_KVMCLOCK,
    DOMAIN_TIMER_HYPERVCLOCK,
    DOMAIN_TIMER_LAST,
};

enum domain_tickpolicy {
    DOMAIN_TICK_ABSENT = 0,
    DOMAIN_TICK_DELAY,
    DOMAIN_TICK_CATCHUP,
    DOMAIN_TICK_MERGE,
    DOMAIN_TICK_DISCARD,
};

/* Kept but for the RTC's presence: what can be said of the others is true or without meaning. */
struct domain_timer {
    bool given;
    enum domain_switch present;
    enum domain_tickpolicy tickpolicy;
    bool track_wall;  /* rtc: track='wall' was given */
    bool mode_native; /* tsc: mode='native' was given */
};

struct domain_clock {
    enum domain_clock_offset offset;
    bool reset;           /* utc, localtime: adjustment='reset' was given */
    int64_t adjustment;   /* variable: seconds ahead of the basis */
    bool basis_localtime; /* variable; UTC otherwise */
    struct domain_timer timers[DOMAIN_TIMER_LAST];
};

/* ---- devices ---- */

struct domain_device_info {
    char *alias;         /* live, unless it is the user's ("ua-...") */
    unsigned boot_order; /* <boot order=>; 0: none */
};

/* <driver> says it, and it is so in any case: bits of a mask. */
enum domain_driver_fact {
    DOMAIN_FACT_IOEVENTFD = 1 << 0,    /* on */
    DOMAIN_FACT_EVENT_IDX = 1 << 1,    /* on */
    DOMAIN_FACT_COPY_ON_READ = 1 << 2, /* off, as is the next */
    DOMAIN_FACT_DETECT_ZEROES = 1 << 3,
    DOMAIN_FACT_ERROR_POLICY = 1 << 4, /* report, as is the next */
    DOMAIN_FACT_RERROR_POLICY = 1 << 5,
};

enum domain_disk_type { DOMAIN_DISK_FILE = 0, DOMAIN_DISK_BLOCK, DOMAIN_DISK_VOLUME };

enum domain_disk_cache {
    DOMAIN_DISK_CACHE_ABSENT = 0,
    DOMAIN_DISK_CACHE_DEFAULT,
    DOMAIN_DISK_CACHE_WRITEBACK,
    DOMAIN_DISK_CACHE_NONE, /* past the host's page cache */
};

enum domain_disk_io {
    DOMAIN_DISK_IO_ABSENT = 0,
    DOMAIN_DISK_IO_NATIVE,
    DOMAIN_DISK_IO_IO_URING,
    DOMAIN_DISK_IO_THREADS,
};

enum domain_disk_discard {
    DOMAIN_DISK_DISCARD_ABSENT = 0,
    DOMAIN_DISK_DISCARD_UNMAP,
    DOMAIN_DISK_DISCARD_IGNORE,
};

/* <iotune>, and the typed parameters of virDomainSetBlockIoTune, which have the same names. */
enum domain_iotune_limit {
    DOMAIN_IOTUNE_TOTAL_BYTES = 0,
    DOMAIN_IOTUNE_READ_BYTES,
    DOMAIN_IOTUNE_WRITE_BYTES,
    DOMAIN_IOTUNE_TOTAL_IOPS,
    DOMAIN_IOTUNE_READ_IOPS,
    DOMAIN_IOTUNE_WRITE_IOPS,
    DOMAIN_IOTUNE_RATES, /* so many are there, and of each a burst's rate and length follow */
    DOMAIN_IOTUNE_MAX = DOMAIN_IOTUNE_RATES,                            /* + one of the above */
    DOMAIN_IOTUNE_MAX_LENGTH = DOMAIN_IOTUNE_MAX + DOMAIN_IOTUNE_RATES, /* seconds; the same */
    DOMAIN_IOTUNE_SIZE_IOPS = DOMAIN_IOTUNE_MAX_LENGTH + DOMAIN_IOTUNE_RATES,
    DOMAIN_IOTUNE_LAST,
};

struct domain_iotune {
    uint64_t limits[DOMAIN_IOTUNE_LAST]; /* 0: none */
};

struct domain_disk {
    enum domain_disk_type type;
    char *driver_name; /* "qemu" or NULL; the format is always raw */
    enum domain_disk_cache cache;
    enum domain_disk_io io;
    enum domain_disk_discard discard;
    unsigned queues;   /* 0: none given, which means 1 */
    unsigned iothread; /* one of the domain's; 0: none given */
    unsigned facts;    /* enum domain_driver_fact */
    char *source;      /* never NULL; absolute. VOLUME: live, and NULL until it was looked up */
    char *pool;        /* VOLUME: never NULL, as is the next */
    char *volume;
    bool is_block; /* VOLUME: live; what `source` is */
    char *target;  /* vda ...; unique; the list is in this order */
    bool readonly;
    bool shareable;
    char *serial; /* at most 20 bytes, or NULL */
    struct domain_iotune iotune;
    struct domain_device_info info;
};

enum domain_net_type {
    DOMAIN_NET_ETHERNET = 0,
    DOMAIN_NET_BRIDGE,
    DOMAIN_NET_NETWORK,
    DOMAIN_NET_DIRECT, /* a macvtap */
    DOMAIN_NET_USER,   /* passt(1) */
};

/* What guests on one interface of the host can say to each other; of macvtaps. */
enum domain_direct_mode {
    DOMAIN_DIRECT_ABSENT = 0, /* vepa */
    DOMAIN_DIRECT_VEPA,
    DOMAIN_DIRECT_PRIVATE,
    DOMAIN_DIRECT_BRIDGE,
    DOMAIN_DIRECT_PASSTHROUGH,
};

enum domain_net_driver {
    DOMAIN_NET_DRIVER_ABSENT = 0, /* the host kernel's vhost-net where it can be used */
    DOMAIN_NET_DRIVER_VHOST,
    DOMAIN_NET_DRIVER_QEMU, /* the VMM itself */
};

enum domain_net_link { DOMAIN_NET_LINK_ABSENT = 0, DOMAIN_NET_LINK_UP, DOMAIN_NET_LINK_DOWN };

struct domain_bandwidth {
    unsigned average; /* kilobytes (1000) a second; 0: no limit */
    unsigned peak;    /* the same, in a burst; 0: none given */
    unsigned burst;   /* KiB; 0: none given */
    unsigned floor;   /* inbound, of a network: what is kept for it, as `average`; 0: nothing */
};

enum domain_vlan_native {
    DOMAIN_VLAN_NATIVE_ABSENT = 0,
    DOMAIN_VLAN_NATIVE_TAGGED,
    DOMAIN_VLAN_NATIVE_UNTAGGED,
};

/* The VLANs of a port: the one it is in, or as a trunk those that it may tag its frames with. */
struct domain_vlan {
    bool trunk; /* said, or more than one tag */
    unsigned count;
    struct domain_vlan_tag {
        unsigned id; /* 1 to 4094 */
        enum domain_vlan_native native;
    } tags[DOMAIN_MAX_VLANS];
};

#define DOMAIN_ADDRESS_TEXT 46 /* an IP address with its NUL */
#define DOMAIN_IFNAME_TEXT  16

/* What passt(1) is told; empty strings and 0: it decides. */
struct domain_user_net {
    struct domain_user_ip {
        char address[DOMAIN_ADDRESS_TEXT];
        unsigned prefix;
    } ipv4, ipv6; /* the guest's */
    unsigned forward_count;
    struct domain_forward {
        bool udp;
        char address[DOMAIN_ADDRESS_TEXT]; /* the host's, as is the next */
        char dev[DOMAIN_IFNAME_TEXT];
        unsigned range_count; /* 0: all ports */
        struct domain_range {
            unsigned start;
            unsigned end; /* 0: the same */
            unsigned to;  /* in the guest; 0: the same */
            bool exclude;
        } ranges[DOMAIN_MAX_RANGES];
    } forwards[DOMAIN_MAX_FORWARDS];
};

struct domain_net {
    enum domain_net_type type;
    char *bridge;                 /* DOMAIN_NET_BRIDGE: never NULL; NETWORK: live */
    char *network;                /* DOMAIN_NET_NETWORK: never NULL; and its next three */
    char *portgroup;              /* or NULL */
    char *port_id;                /* live: the network's port; NULL where it has none */
    bool host_bridge;             /* live: `bridge` is the host's and not the network's own */
    bool static_macs;             /* live: the network fills its bridge's table itself */
    char *dev;                    /* DIRECT: never NULL; NETWORK: live; USER: or NULL */
    enum domain_direct_mode mode; /* DIRECT; NETWORK: live */
    struct domain_user_net *user; /* USER: never NULL */
    char *log_file;               /* USER: where passt writes; or NULL */
    struct domain_vlan *vlan;     /* or NULL */
    enum domain_switch isolated;  /* from other ports of the bridge that are isolated */
    uint8_t mac[6];               /* made when the XML has none */
    char *target;                 /* the tap's name; live when it begins with "vnet" */
    enum domain_switch managed;   /* ethernet: OFF means that the tap exists already */
    enum domain_net_driver driver;
    unsigned queues; /* pairs; 0: none given, which means 1 */
    unsigned facts;  /* enum domain_driver_fact */
    unsigned mtu;    /* 0: none given */
    enum domain_net_link link;
    struct domain_bandwidth inbound; /* to the guest */
    struct domain_bandwidth outbound;
    struct domain_device_info info;
};

enum domain_chardev_type {
    DOMAIN_CHARDEV_NULL = 0,
    DOMAIN_CHARDEV_PTY,
    DOMAIN_CHARDEV_FILE,
    DOMAIN_CHARDEV_UNIX, /* listens (mode='bind') */
};

/* The host's end of a serial port, console or channel. */
struct domain_chardev {
    enum domain_chardev_type type;
    char *path;                /* file, unix: never NULL (but see struct domain_channel); pty: live,
                                  /dev/pts/N; null: NULL */
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

enum domain_channel_state { /* live: whether the guest has opened its end */
                            DOMAIN_CHANNEL_STATE_ABSENT = 0,
                            DOMAIN_CHANNEL_CONNECTED,
                            DOMAIN_CHANNEL_DISCONNECTED,
};

/* In the guest /dev/virtio-ports/NAME. */
struct domain_channel {
    struct domain_chardev source; /* unix: a path of NULL is for the driver to make, and live then:
                                     domain_channel_make_path() */
    char *name;                   /* never NULL; unique */
    enum domain_channel_state state;
    struct domain_device_info info;
};

struct domain_rng {
    bool builtin; /* <backend model='builtin'/>: the source is /dev/urandom */
    char *source; /* never NULL: "/dev/urandom" when the XML has none */
    struct domain_device_info info;
};

/* There is one unless the XML says model='none'. */
struct domain_memballoon {
    bool none;
    enum domain_switch autodeflate;         /* absent: on */
    enum domain_switch free_page_reporting; /* absent: on */
    unsigned stats_period;                  /* seconds between the guest's statistics; 0: none */
    struct domain_device_info info;
};

struct domain_vsock {
    enum domain_switch auto_cid; /* ON: the driver finds an address, which is live then */
    uint32_t cid;                /* the guest's address, from 3 on; 0: none yet */
    struct domain_device_info info;
};

struct domain_panic { /* pvpanic: the guest can tell that it crashed */
    struct domain_device_info info;
};

/* ---- all of it ---- */

typedef struct domain_def domain_def;
struct domain_def {
    int id; /* live; -1 when the domain does not run */
    char *name;
    uint8_t uuid[DOMAIN_UUID_BYTES];
    bool has_genid; /* kept */
    uint8_t genid[DOMAIN_UUID_BYTES];
    char *title;
    char *description;
    char *metadata; /* the whole <metadata> element as it was written, or NULL */

    uint64_t max_memory_kib;     /* <maxMemory>: kept, the same as memory_kib; 0: none given */
    unsigned memory_slots;       /* of <maxMemory> */
    uint64_t memory_kib;         /* <memory> */
    uint64_t current_memory_kib; /* <currentMemory>: the rest is the balloon's from the start */
    struct domain_memory_backing memory_backing;
    struct domain_memtune memtune;
    unsigned blkio_weight;    /* 1 to 10000, as cgroup v2's io.weight; 0: none given */
    GPtrArray *blkio_devices; /* of struct domain_blkio_device; never NULL */
    unsigned max_vcpus;
    unsigned vcpus;       /* current='...': what the machine starts with */
    struct cpuset cpuset; /* of <vcpu>; empty: all */
    struct domain_cputune cputune;
    struct domain_numatune numatune;
    GArray *iothreads;       /* of unsigned: their ids, sorted; never NULL */
    bool iothread_ids_given; /* <iothreadids> was there */

    struct domain_os os;
    enum domain_switch features[DOMAIN_FEATURE_LAST];
    struct domain_cpu cpu;
    struct domain_clock clock;
    enum domain_action on_poweroff;
    enum domain_action on_reboot;
    enum domain_action on_crash;
    enum domain_switch suspend_to_mem; /* <pm>; only OFF can be given */
    enum domain_switch suspend_to_disk;

    char *emulator;      /* the VMM's program; NULL: the driver's own */
    GPtrArray *disks;    /* of struct domain_disk; this and the next seven are never NULL */
    GPtrArray *nets;     /* of struct domain_net */
    GPtrArray *serials;  /* of struct domain_serial; at most one */
    GPtrArray *consoles; /* of struct domain_console: virtio consoles only */
    GPtrArray *channels; /* of struct domain_channel */
    GPtrArray *rngs;     /* of struct domain_rng; at most one */
    GPtrArray *vsocks;   /* of struct domain_vsock; at most one */
    GPtrArray *panics;   /* of struct domain_panic; at most one */
    struct domain_memballoon memballoon;
    /* Consoles and channels are ports of one device, which is shown when there is one of them, or
     * when the XML has it. */
    bool virtio_serial;
    struct domain_device_info virtio_serial_info;
    bool usb_none;      /* <controller type='usb'> was given, of whatever model: there is none */
    bool video_none;    /* <video> was given, of whatever model: there is none */
    bool seclabel_none; /* <seclabel type='none'/> was given */
};

/* The i-th member, typed: domain_disk_at(def, 0)->target. The index is not checked. */
#define domain_disk_at(def, i)    ((struct domain_disk *)g_ptr_array_index((def)->disks, (i)))
#define domain_net_at(def, i)     ((struct domain_net *)g_ptr_array_index((def)->nets, (i)))
#define domain_serial_at(def, i)  ((struct domain_serial *)g_ptr_array_index((def)->serials, (i)))
#define domain_console_at(def, i) ((struct domain_console *)g_ptr_array_index((def)->consoles, (i)))
#define domain_channel_at(def, i) ((struct domain_channel *)g_ptr_array_index((def)->channels, (i)))
#define domain_rng_at(def, i)     ((struct domain_rng *)g_ptr_array_index((def)->rngs, (i)))
#define domain_vsock_at(def, i)   ((struct domain_vsock *)g_ptr_array_index((def)->vsocks, (i)))
#define domain_panic_at(def, i)   ((struct domain_panic *)g_ptr_array_index((def)->panics, (i)))
#define domain_blkio_device_at(def, i) \
    ((struct domain_blkio_device *)g_ptr_array_index((def)->blkio_devices, (i)))
#define domain_pin_at(pins, i)     ((struct domain_pin *)g_ptr_array_index((pins), (i)))
#define domain_iothread_at(def, i) g_array_index((def)->iothreads, unsigned, (i))

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
/* One interface, as in a definition: without what is live. */
char *domain_net_format(const struct domain_net *net);

/*
 * Whether a definition that was changed since it was parsed is still one: as XML it would be read
 * again. The errors are those of domain_def_parse(); lines in them are those of that XML.
 */
bool domain_def_check(const domain_def *def, GError **error);
/* It has what a start needs and a definition may lack: VIR_ERR_CONFIG_UNSUPPORTED otherwise. */
bool domain_def_check_start(const domain_def *def, GError **error);

/* With live data. */
domain_def *domain_def_copy(const domain_def *def);
void domain_def_free(domain_def *def);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(domain_def, domain_def_free)

/*
 * Gives every device that has none the alias libvirt's users know (virtio-disk0, net0, serial0,
 * console1, channel0, rng0, balloon0). To be called before a domain is started; the machine
 * document then carries the aliases as the devices' ids.
 */
void domain_def_assign_aliases(domain_def *def);

/* "read_bytes_sec", as an element; its largest value. */
const char *domain_blkio_name(enum domain_blkio_limit limit);
uint64_t domain_blkio_limit_max(enum domain_blkio_limit limit);
/* VIR_ERR_CONFIG_UNSUPPORTED for one that is out of range. */
bool domain_blkio_weight_check(uint64_t weight, GError **error);
/* The limits of a device, made when there are none. */
struct domain_blkio_device *domain_blkio_add(domain_def *def, const char *path);
/* Devices without limits go. */
void domain_blkio_drop_empty(domain_def *def);

/* "global_" of global_period and global_quota, as elements and typed parameters; "" for vCPUs',
 * whose parameters begin with "vcpu_". */
const char *domain_quota_prefix(enum domain_quota_kind kind);

/* The pin of a vCPU or I/O thread in one of the arrays of struct domain_cputune, or NULL. */
struct domain_pin *domain_pin_find(GPtrArray *pins, unsigned id);
/* Sets or (with an empty set) removes it; the array stays sorted. */
void domain_pin_set(GPtrArray *pins, unsigned id, const struct cpuset *cpus);

/* "total_bytes_sec_max", as an element and as a typed parameter. */
const char *domain_iotune_name(enum domain_iotune_limit limit);
/* VIR_ERR_CONFIG_UNSUPPORTED for limits that contradict each other. */
bool domain_iotune_check(const struct domain_iotune *iotune, GError **error);

/*
 * Where a channel's socket is when the user does not say:
 * DIR/channel/target/domain-ID-NAME/CHANNEL, to be freed with g_free(). A path of this form is live
 * data.
 */
char *domain_channel_make_path(const char *dir, const domain_def *def,
                               const struct domain_channel *channel);

void domain_uuid_format(const uint8_t uuid[DOMAIN_UUID_BYTES], char text[DOMAIN_UUID_TEXT]);
/* As libvirt: 32 hex digits, with any number of '-' or blanks between them. */
bool domain_uuid_parse(const char *text, uint8_t uuid[DOMAIN_UUID_BYTES]);
void domain_mac_format(const uint8_t mac[6], char text[18]);

#endif
