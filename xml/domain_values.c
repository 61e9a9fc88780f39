/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/domain_values.h"

#include <libvirt/libvirt.h>
#include <string.h>

#include "xml/domain.h"

G_STATIC_ASSERT((int)DOMAIN_ACTION_DESTROY == (int)VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY);
G_STATIC_ASSERT((int)DOMAIN_ACTION_RESTART == (int)VIR_DOMAIN_LIFECYCLE_ACTION_RESTART);
G_STATIC_ASSERT((int)DOMAIN_ACTION_PRESERVE == (int)VIR_DOMAIN_LIFECYCLE_ACTION_PRESERVE);

const struct xml_value domain_switch_values[] = {
    {"on", DOMAIN_SWITCH_ON},
    {"off", DOMAIN_SWITCH_OFF},
    {},
};

const struct xml_value domain_yes_no_values[] = {
    {"yes", DOMAIN_SWITCH_ON},
    {"no", DOMAIN_SWITCH_OFF},
    {},
};

const struct xml_value domain_boot_values[] = {
    {"fd", DOMAIN_BOOT_FLOPPY},
    {"cdrom", DOMAIN_BOOT_CDROM},
    {"hd", DOMAIN_BOOT_DISK},
    {"network", DOMAIN_BOOT_NETWORK},
    {},
};

const struct xml_value domain_cpu_values[] = {
    {"host-passthrough", DOMAIN_CPU_HOST_PASSTHROUGH},
    {"host-model", DOMAIN_CPU_HOST_MODEL},
    {"maximum", DOMAIN_CPU_MAXIMUM},
    {"custom", DOMAIN_CPU_CUSTOM},
    {},
};

#define NO_PREFERENCE "memory comes from the nodes that are given, or from none"

const struct xml_value domain_numa_values[] = {
    {"strict", DOMAIN_NUMA_STRICT},
    {"restrictive", DOMAIN_NUMA_RESTRICTIVE},
    {"preferred", 0, NO_PREFERENCE},
    {"interleave", 0, NO_PREFERENCE},
    {},
};

const struct xml_value domain_cpu_match_values[] = {
    {"exact", DOMAIN_CPU_MATCH_EXACT},
    {"minimum", DOMAIN_CPU_MATCH_MINIMUM},
    {"strict", DOMAIN_CPU_MATCH_STRICT},
    {},
};

const struct xml_value domain_cpu_fallback_values[] = {
    {"allow", DOMAIN_CPU_FALLBACK_ALLOW},
    {"forbid", DOMAIN_CPU_FALLBACK_FORBID},
    {},
};

const struct xml_value domain_cpu_check_values[] = {
    {"none", DOMAIN_CPU_CHECK_NONE},
    {"partial", DOMAIN_CPU_CHECK_PARTIAL},
    {"full", DOMAIN_CPU_CHECK_FULL},
    {},
};

const struct xml_value domain_cpu_policy_values[] = {
    {"require", DOMAIN_CPU_REQUIRE}, {"optional", DOMAIN_CPU_OPTIONAL},
    {"forbid", DOMAIN_CPU_FORBID},   {"force", DOMAIN_CPU_FORCE},
    {"disable", DOMAIN_CPU_DISABLE}, {},
};

const struct xml_value domain_memory_source_values[] = {
    {"anonymous", DOMAIN_MEMORY_SOURCE_ANONYMOUS},
    {"memfd", DOMAIN_MEMORY_SOURCE_MEMFD},
    {"file", 0, "guest memory is not kept in a file"},
    {},
};

const struct xml_value domain_memory_access_values[] = {
    {"shared", DOMAIN_MEMORY_ACCESS_SHARED},
    {"private", DOMAIN_MEMORY_ACCESS_PRIVATE},
    {},
};

const struct xml_value domain_memory_allocation_values[] = {
    {"immediate", DOMAIN_MEMORY_ALLOCATION_IMMEDIATE},
    {"ondemand", DOMAIN_MEMORY_ALLOCATION_ONDEMAND},
    {},
};

const struct xml_value domain_clock_values[] = {
    {"utc", DOMAIN_CLOCK_UTC},
    {"localtime", DOMAIN_CLOCK_LOCALTIME},
    {"variable", DOMAIN_CLOCK_VARIABLE},
    {"timezone", 0, "the clock goes by UTC or by the host's own time zone"},
    {"absolute", 0, "the clock goes by the host's, and begins at no fixed time"},
    {},
};

const struct xml_value domain_tickpolicy_values[] = {
    {"delay", DOMAIN_TICK_DELAY},
    {"catchup", DOMAIN_TICK_CATCHUP},
    {"merge", DOMAIN_TICK_MERGE},
    {"discard", DOMAIN_TICK_DISCARD},
    {},
};

#define NO_MSR "the CPU's features cannot be taken from it"

const struct domain_timer_word domain_timer_words[DOMAIN_TIMER_LAST] = {
    [DOMAIN_TIMER_RTC] = {"rtc", DOMAIN_SWITCH_ABSENT, true, NULL},
    [DOMAIN_TIMER_PIT] = {"pit", DOMAIN_SWITCH_OFF, true, "a microVM has no PIT"},
    [DOMAIN_TIMER_HPET] = {"hpet", DOMAIN_SWITCH_OFF, true, "a microVM has no HPET"},
    [DOMAIN_TIMER_TSC] = {"tsc", DOMAIN_SWITCH_ON, true, NO_MSR},
    [DOMAIN_TIMER_KVMCLOCK] = {"kvmclock", DOMAIN_SWITCH_ON, false, NO_MSR},
    [DOMAIN_TIMER_HYPERVCLOCK] = {"hypervclock", DOMAIN_SWITCH_OFF, false,
                                  "this is for guests that are not Linux"},
};

#define NO_PRESERVE "of a machine that has ended nothing is left that could be kept"
#define NO_RENAME   "a domain cannot restart under another name"
#define NO_DUMP     "there are no core dumps of a guest"

const struct xml_value domain_poweroff_values[] = {
    {"destroy", DOMAIN_ACTION_DESTROY},
    {"restart", DOMAIN_ACTION_RESTART},
    {"preserve", 0, NO_PRESERVE},
    {"rename-restart", 0, NO_RENAME},
    {},
};

const struct xml_value domain_reboot_values[] = {
    {"destroy", DOMAIN_ACTION_DESTROY},
    {"restart", DOMAIN_ACTION_RESTART},
    {"preserve", 0, NO_PRESERVE},
    {"rename-restart", 0, NO_RENAME},
    {},
};

const struct xml_value domain_crash_values[] = {
    {"destroy", DOMAIN_ACTION_DESTROY},
    {"restart", DOMAIN_ACTION_RESTART},
    {"preserve", DOMAIN_ACTION_PRESERVE},
    {"rename-restart", 0, NO_RENAME},
    {"coredump-destroy", 0, NO_DUMP},
    {"coredump-restart", 0, NO_DUMP},
    {},
};

#define NO_POOL "a disk is a file, a block device or a volume of a storage pool"

const struct xml_value domain_disk_type_values[] = {
    {"file", DOMAIN_DISK_FILE}, {"block", DOMAIN_DISK_BLOCK},   {"dir", 0, NO_POOL},
    {"network", 0, NO_POOL},    {"volume", DOMAIN_DISK_VOLUME}, {"nvme", 0, NO_POOL},
    {"vhostuser", 0, NO_POOL},  {"vhostvdpa", 0, NO_POOL},      {},
};

#define ONLY_FLUSH "a disk's writes are on it when the guest has asked for that, and not before"

const struct xml_value domain_cache_values[] = {
    {"default", DOMAIN_DISK_CACHE_DEFAULT},
    {"writeback", DOMAIN_DISK_CACHE_WRITEBACK},
    {"none", DOMAIN_DISK_CACHE_NONE},
    {"writethrough", 0, ONLY_FLUSH},
    {"directsync", 0, ONLY_FLUSH},
    {"unsafe", 0, "when the guest asks that its writes are on the disk, they will be"},
    {},
};

const struct xml_value domain_disk_io_values[] = {
    {"native", DOMAIN_DISK_IO_NATIVE},
    {"io_uring", DOMAIN_DISK_IO_IO_URING},
    {"threads", DOMAIN_DISK_IO_THREADS},
    {},
};

const struct xml_value domain_discard_values[] = {
    {"unmap", DOMAIN_DISK_DISCARD_UNMAP},
    {"ignore", DOMAIN_DISK_DISCARD_IGNORE},
    {},
};

/* Attributes of <driver> that can only say what is so in any case; a NULL name ends the table. */
static const struct domain_fact {
    const char *name;
    const char *value;
    unsigned bit; /* enum domain_driver_fact */
    const char *refused;
} facts_of_driver[] = {
    {"ioeventfd", "on", DOMAIN_FACT_IOEVENTFD, "notifications arrive by eventfd"},
    {"event_idx", "on", DOMAIN_FACT_EVENT_IDX, "the guest chooses how it is notified"},
    {"copy_on_read", "off", DOMAIN_FACT_COPY_ON_READ, "disk images are raw"},
    {"detect_zeroes", "off", DOMAIN_FACT_DETECT_ZEROES, "zeros are written as they come"},
    {"error_policy", "report", DOMAIN_FACT_ERROR_POLICY, "errors are reported to the guest"},
    {"rerror_policy", "report", DOMAIN_FACT_RERROR_POLICY, "errors are reported to the guest"},
    {},
};

bool domain_read_facts(xmlNode *node, unsigned *facts, GError **error)
{
    for (const struct domain_fact *fact = facts_of_driver; fact->name; fact++) {
        g_autofree char *value = xml_attribute(node, fact->name);

        if (!value)
            continue;
        if (strcmp(value, fact->value) != 0)
            return xml_refuse_attribute(error, node, fact->name, "%s", fact->refused);
        *facts |= fact->bit;
    }
    return true;
}

const char *domain_fact_value(unsigned facts, enum domain_driver_fact wanted)
{
    for (const struct domain_fact *fact = facts_of_driver; fact->name; fact++)
        if (fact->bit == wanted && facts & wanted)
            return fact->value;
    return NULL;
}

#define NO_NETWORK \
    "an interface is of type network, bridge, direct, user or ethernet (a tap device)"

const struct xml_value domain_net_type_values[] = {
    {"ethernet", DOMAIN_NET_ETHERNET},
    {"bridge", DOMAIN_NET_BRIDGE},
    {"user", DOMAIN_NET_USER},
    {"vhostuser", 0, NO_NETWORK},
    {"server", 0, NO_NETWORK},
    {"client", 0, NO_NETWORK},
    {"mcast", 0, NO_NETWORK},
    {"network", DOMAIN_NET_NETWORK},
    {"internal", 0, NO_NETWORK},
    {"direct", DOMAIN_NET_DIRECT},
    {"hostdev", 0, NO_NETWORK},
    {"udp", 0, NO_NETWORK},
    {"vdpa", 0, NO_NETWORK},
    {"null", 0, NO_NETWORK},
    {"vds", 0, NO_NETWORK},
    {},
};

const struct xml_value domain_direct_values[] = {
    {"vepa", DOMAIN_DIRECT_VEPA},
    {"private", DOMAIN_DIRECT_PRIVATE},
    {"bridge", DOMAIN_DIRECT_BRIDGE},
    {"passthrough", DOMAIN_DIRECT_PASSTHROUGH},
    {},
};

const struct xml_value domain_vlan_native_values[] = {
    {"tagged", DOMAIN_VLAN_NATIVE_TAGGED},
    {"untagged", DOMAIN_VLAN_NATIVE_UNTAGGED},
    {},
};

const struct xml_value domain_net_driver_values[] = {
    {"vhost", DOMAIN_NET_DRIVER_VHOST},
    {"qemu", DOMAIN_NET_DRIVER_QEMU},
    {},
};

const struct xml_value domain_link_values[] = {
    {"up", DOMAIN_NET_LINK_UP},
    {"down", DOMAIN_NET_LINK_DOWN},
    {},
};

const struct xml_value domain_channel_state_values[] = {
    {"connected", DOMAIN_CHANNEL_CONNECTED},
    {"disconnected", DOMAIN_CHANNEL_DISCONNECTED},
    {},
};

#define NO_CHARDEV "a character device is of type pty, unix, file or null"

const struct xml_value domain_chardev_values[] = {
    {"null", DOMAIN_CHARDEV_NULL}, {"pty", DOMAIN_CHARDEV_PTY},
    {"file", DOMAIN_CHARDEV_FILE}, {"unix", DOMAIN_CHARDEV_UNIX},
    {"vc", 0, NO_CHARDEV},         {"dev", 0, NO_CHARDEV},
    {"pipe", 0, NO_CHARDEV},       {"stdio", 0, NO_CHARDEV},
    {"udp", 0, NO_CHARDEV},        {"tcp", 0, NO_CHARDEV},
    {"spicevmc", 0, NO_CHARDEV},   {"spiceport", 0, NO_CHARDEV},
    {"nmdm", 0, NO_CHARDEV},       {"qemu-vdagent", 0, NO_CHARDEV},
    {"dbus", 0, NO_CHARDEV},       {},
};
