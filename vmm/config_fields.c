/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of the machine description. A key that is not here is refused, wherever it stands. */
#include <assert.h>

#include "vmm/config_priv.h"

#define FIELDS(array) .list = (array), .count = ARRAY_SIZE(array)
#define NAMES(array)  .names = (array)

#define ARRAY_OF(member, counter)                                                      \
    offsetof(struct config, member), .count_offset = offsetof(struct config, counter), \
                                     .element_size = sizeof(((struct config *)NULL)->member[0])

/* Keys of a thing, read as a flag's own parts, too. */
#define GROUP(struct_type, member, fields_, prefix_) \
    &config_type_group, offsetof(struct_type, member), .fields = &(fields_), .prefix = (prefix_)

/* ---- names of choices ---- */

static const char *const on_reboot_names[] = {
    [ON_REBOOT_RESTART] = "restart",
    [ON_REBOOT_EXIT] = "exit",
    NULL,
};

static const char *const on_panic_names[] = {
    [ON_PANIC_EXIT] = "exit",
    [ON_PANIC_PAUSE] = "pause",
    [ON_PANIC_RESTART] = "restart",
    [ON_PANIC_IGNORE] = "ignore",
    NULL,
};

static const char *const engine_names[] = {
    [DISK_ENGINE_AUTO] = "auto",
    [DISK_ENGINE_IO_URING] = "io_uring",
    [DISK_ENGINE_THREADS] = "threads",
    NULL,
};

static const char *const vhost_names[] = {
    [VHOST_AUTO] = "auto",
    [VHOST_ON] = "on",
    [VHOST_OFF] = "off",
    NULL,
};

static_assert(ARRAY_SIZE(on_reboot_names) == ON_REBOOT_EXIT + 2, "a name for each");
static_assert(ARRAY_SIZE(on_panic_names) == ON_PANIC_IGNORE + 2, "a name for each");
static_assert(ARRAY_SIZE(engine_names) == DISK_ENGINE_THREADS + 2, "a name for each");
static_assert(ARRAY_SIZE(vhost_names) == VHOST_OFF + 2, "a name for each");

/* ---- rate limits ---- */

/* The three numbers of a bucket; throttle_bucket_name() has the first one's name. */
#define LIMIT(name, type, index)                                                         \
    {name, type, offsetof(struct throttle_limits, bucket[index].avg), .max = INT64_MAX}, \
        {name "_max", type, offsetof(struct throttle_limits, bucket[index].max),         \
         .max = INT64_MAX},                                                              \
    {                                                                                    \
        name "_max_length", &config_type_count,                                          \
            offsetof(struct throttle_limits, bucket[index].max_length), .max = INT64_MAX \
    }

static const struct field disk_limits_list[] = {
    LIMIT("bps", &config_type_size, THROTTLE_BPS_TOTAL),
    LIMIT("bps_rd", &config_type_size, THROTTLE_BPS_READ),
    LIMIT("bps_wr", &config_type_size, THROTTLE_BPS_WRITE),
    LIMIT("iops", &config_type_count, THROTTLE_OPS_TOTAL),
    LIMIT("iops_rd", &config_type_count, THROTTLE_OPS_READ),
    LIMIT("iops_wr", &config_type_count, THROTTLE_OPS_WRITE),
    {"iops_size", &config_type_size, offsetof(struct throttle_limits, iops_size), .max = INT64_MAX},
};
static const struct fields disk_limits_fields = {FIELDS(disk_limits_list)};

/* Each direction has its own, and operations are packets. */
static const struct field net_limits_list[] = {
    LIMIT("bps", &config_type_size, THROTTLE_BPS_TOTAL),
    LIMIT("pps", &config_type_count, THROTTLE_OPS_TOTAL),
};
static const struct fields net_limits_fields = {FIELDS(net_limits_list)};

/* ---- devices ---- */

static void init_disk(void *base)
{
    *(struct config_disk *)base = (struct config_disk){.discard = true, .queues = 1};
}

static const struct field disk_list[] = {
    {"id", &config_type_string, offsetof(struct config_disk, id)},
    {"source", &config_type_string, offsetof(struct config_disk, source), .required = true},
    {"readonly", &config_type_bool, offsetof(struct config_disk, readonly)},
    {"direct", &config_type_bool, offsetof(struct config_disk, direct)},
    {"discard", &config_type_bool, offsetof(struct config_disk, discard)},
    {"queues", &config_type_unsigned, offsetof(struct config_disk, queues), .min = 1,
     .max = CONFIG_MAX_QUEUES},
    {"engine", &config_type_enum, offsetof(struct config_disk, engine), NAMES(engine_names)},
    {"serial", &config_type_string, offsetof(struct config_disk, serial)},
    {"limits", GROUP(struct config_disk, limits, disk_limits_fields, "")},
};
const struct fields config_disk_fields = {FIELDS(disk_list), .init = init_disk};

static void init_net(void *base)
{
    *(struct config_net *)base = (struct config_net){.queues = 1};
}

static const struct field net_list[] = {
    {"id", &config_type_string, offsetof(struct config_net, id)},
    {"tap", &config_type_string, offsetof(struct config_net, tap)},
    {"socket", &config_type_string, offsetof(struct config_net, socket)},
    {"mac", &config_type_mac},
    {"queues", &config_type_unsigned, offsetof(struct config_net, queues), .min = 1,
     .max = CONFIG_MAX_QUEUES},
    {"mtu", &config_type_unsigned, offsetof(struct config_net, mtu), .min = 68, .max = UINT16_MAX},
    {"link", &config_type_not, offsetof(struct config_net, link_down)},
    {"vhost", &config_type_enum, offsetof(struct config_net, vhost), NAMES(vhost_names)},
    {"vhost_fds", &config_type_string, offsetof(struct config_net, vhost_fds)},
    {"rx_limits", GROUP(struct config_net, rx_limits, net_limits_fields, "rx_")},
    {"tx_limits", GROUP(struct config_net, tx_limits, net_limits_fields, "tx_")},
};
const struct fields config_net_fields = {FIELDS(net_list), .init = init_net};

static const struct field console_list[] = {
    {"id", &config_type_string, offsetof(struct config_console, id)},
    {"chardev", &config_type_string, offsetof(struct config_console, chardev), .required = true},
};
static const struct fields console_fields = {FIELDS(console_list)};

static const struct field port_list[] = {
    {"id", &config_type_string, offsetof(struct config_port, id)},
    {"name", &config_type_string, offsetof(struct config_port, name), .required = true},
    {"chardev", &config_type_string, offsetof(struct config_port, chardev), .required = true},
};
const struct fields config_port_fields = {FIELDS(port_list)};

static const struct field balloon_list[] = {
    {"deflate_on_oom", &config_type_bool, offsetof(struct config_balloon, deflate_on_oom)},
    {"free_page_reporting", &config_type_bool,
     offsetof(struct config_balloon, free_page_reporting)},
};
const struct fields config_balloon_fields = {FIELDS(balloon_list)};

#define CID_MIN 3 /* below are the hypervisor, the loopback and the host */
#define CID_MAX (UINT32_MAX - 1)

static const struct field vsock_list[] = {
    {"cid", &config_type_unsigned, offsetof(struct config_vsock, cid), .required = true,
     .min = CID_MIN, .max = CID_MAX},
    {"vhost", &config_type_string, offsetof(struct config_vsock, vhost)},
};
const struct fields config_vsock_fields = {FIELDS(vsock_list)};

/* A century to either side: more is a mistake, and no clock of a guest's goes further. */
#define RTC_OFFSET_MAX INT64_C(3155760000)

static const struct field rtc_list[] = {
    {"base", &config_type_rtc_base},
    {"offset", &config_type_seconds, offsetof(struct config_rtc, offset), .min = -RTC_OFFSET_MAX,
     .max = RTC_OFFSET_MAX},
};
const struct fields config_rtc_fields = {FIELDS(rtc_list)};

static const struct field rng_list[] = {
    {"source", &config_type_string, offsetof(struct config, rng_source)},
};
static const struct fields rng_fields = {FIELDS(rng_list)};

/* ---- the machine ---- */

#define CPUS                                                                                 \
    {                                                                                        \
        "cpus", &config_type_unsigned, offsetof(struct config, cpus), .min = 1,              \
                                                                      .max = CONFIG_MAX_CPUS \
    }

static const struct field topology_list[] = {
    {"sockets", &config_type_unsigned, offsetof(struct config_topology, sockets), .min = 1,
     .max = CONFIG_MAX_CPUS},
    {"cores", &config_type_unsigned, offsetof(struct config_topology, cores), .min = 1,
     .max = CONFIG_MAX_CPUS},
    {"threads", &config_type_unsigned, offsetof(struct config_topology, threads), .min = 1,
     .max = CONFIG_MAX_CPUS},
};
static const struct fields topology_fields = {FIELDS(topology_list)};

static const struct field cpus_list[] = {
    CPUS,
    {"topology", GROUP(struct config, topology, topology_fields, "")},
};
const struct fields config_cpus_fields = {FIELDS(cpus_list)};

static const struct field cpu_list[] = {{"features", &config_type_features}};
const struct fields config_cpu_fields = {FIELDS(cpu_list)};

#define MEMORY                                                                         \
    {                                                                                  \
        "memory", &config_type_size, offsetof(struct config, memory), .max = INT64_MAX \
    }

static const struct field memory_backing_list[] = {
    {"shared", &config_type_bool, offsetof(struct config_memory_backing, shared)},
    {"hugepages", &config_type_size, offsetof(struct config_memory_backing, hugepages),
     .max = INT64_MAX},
    {"thp", &config_type_bool, offsetof(struct config_memory_backing, thp)},
    {"prealloc", &config_type_bool, offsetof(struct config_memory_backing, prealloc)},
    {"lock", &config_type_bool, offsetof(struct config_memory_backing, lock)},
};
static const struct fields memory_backing_fields = {FIELDS(memory_backing_list)};

static const struct field memory_list[] = {
    MEMORY,
    {"memory_backing", GROUP(struct config, memory_backing, memory_backing_fields, "")},
};
const struct fields config_memory_fields = {FIELDS(memory_list)};

static const struct field boot_list[] = {
    {"kernel", &config_type_string, offsetof(struct config, kernel)},
    {"initrd", &config_type_string, offsetof(struct config, initrd)},
    {"cmdline", &config_type_string, offsetof(struct config, cmdline)},
    {"flat", &config_type_string, offsetof(struct config, flat)},
};
static const struct fields boot_fields = {FIELDS(boot_list)};

static const struct field document_list[] = {
    {"version", &config_type_version, .required = true, .min = 1, .max = 1},
    {"name", &config_type_string, offsetof(struct config, name)},
    {"uuid", &config_type_uuid, offsetof(struct config, uuid)},
    {"genid", &config_type_uuid, offsetof(struct config, genid)},
    CPUS,
    {"topology", GROUP(struct config, topology, topology_fields, NULL)},
    {"cpu", GROUP(struct config, cpu, config_cpu_fields, NULL)},
    MEMORY,
    {"memory_backing", GROUP(struct config, memory_backing, memory_backing_fields, NULL)},
    {"boot", &config_type_group, .fields = &boot_fields},
    {"disks", &config_type_array, ARRAY_OF(disks, disk_count), .fields = &config_disk_fields,
     .max = CONFIG_MAX_DISKS},
    {"nets", &config_type_array, ARRAY_OF(nets, net_count), .fields = &config_net_fields,
     .max = CONFIG_MAX_NETS},
    {"serial", &config_type_string, offsetof(struct config, serial)},
    {"consoles", &config_type_array, ARRAY_OF(consoles, console_count), .fields = &console_fields,
     .max = CONFIG_MAX_CONSOLES},
    {"ports", &config_type_array, ARRAY_OF(ports, port_count), .fields = &config_port_fields,
     .max = CONFIG_MAX_PORTS},
    {"rng", &config_type_rng, .fields = &rng_fields},
    {"balloon", &config_type_balloon, offsetof(struct config, balloon),
     .fields = &config_balloon_fields},
    {"vsock", GROUP(struct config, vsock, config_vsock_fields, NULL)},
    {"rtc", GROUP(struct config, rtc, config_rtc_fields, NULL)},
    {"pvpanic", &config_type_bool, offsetof(struct config, pvpanic)},
    {"kvm", &config_type_string, offsetof(struct config, kvm)},
    {"qmp", &config_type_strings, ARRAY_OF(qmp, qmp_count), .max = CONFIG_MAX_QMP},
    {"paused", &config_type_bool, offsetof(struct config, paused)},
    {"on_reboot", &config_type_enum, offsetof(struct config, on_reboot), NAMES(on_reboot_names)},
    {"on_panic", &config_type_enum, offsetof(struct config, on_panic), NAMES(on_panic_names)},
    {"debug_port", &config_type_debug_port, offsetof(struct config, debug_port), .max = UINT16_MAX},
};
const struct fields config_document_fields = {FIELDS(document_list)};
