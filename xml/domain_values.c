/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/domain_values.h"

#include <libvirt/libvirt.h>

#include "xml/domain.h"

G_STATIC_ASSERT((int)DOMAIN_ACTION_DESTROY == (int)VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY);
G_STATIC_ASSERT((int)DOMAIN_ACTION_RESTART == (int)VIR_DOMAIN_LIFECYCLE_ACTION_RESTART);

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
    {"custom", 0, "the guest's CPU is the host's; use host-passthrough"},
    {},
};

const struct xml_value domain_cpu_check_values[] = {
    {"none", DOMAIN_CPU_CHECK_NONE},
    {"partial", DOMAIN_CPU_CHECK_PARTIAL},
    {"full", DOMAIN_CPU_CHECK_FULL},
    {},
};

#define ONLY_UTC "the guest's clock is the host's, in UTC"

const struct xml_value domain_clock_values[] = {
    {"utc", 0},
    {"localtime", 0, ONLY_UTC},
    {"timezone", 0, ONLY_UTC},
    {"variable", 0, ONLY_UTC},
    {"absolute", 0, ONLY_UTC},
    {},
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
    {"preserve", 0, NO_PRESERVE},
    {"rename-restart", 0, NO_RENAME},
    {"coredump-destroy", 0, NO_DUMP},
    {"coredump-restart", 0, NO_DUMP},
    {},
};

#define NO_POOL "a disk is a file or a block device"

const struct xml_value domain_disk_type_values[] = {
    {"file", DOMAIN_DISK_FILE}, {"block", DOMAIN_DISK_BLOCK}, {"dir", 0, NO_POOL},
    {"network", 0, NO_POOL},    {"volume", 0, NO_POOL},       {"nvme", 0, NO_POOL},
    {"vhostuser", 0, NO_POOL},  {"vhostvdpa", 0, NO_POOL},    {},
};

#define ONLY_WRITEBACK "disks go through the host's page cache and flush when the guest asks"

const struct xml_value domain_cache_values[] = {
    {"default", DOMAIN_DISK_CACHE_DEFAULT},
    {"writeback", DOMAIN_DISK_CACHE_WRITEBACK},
    {"none", 0, ONLY_WRITEBACK},
    {"writethrough", 0, ONLY_WRITEBACK},
    {"directsync", 0, ONLY_WRITEBACK},
    {"unsafe", 0, ONLY_WRITEBACK},
    {},
};

#define NO_NETWORK "an interface is of type ethernet (a tap device) or bridge"

const struct xml_value domain_net_type_values[] = {
    {"ethernet", DOMAIN_NET_ETHERNET},
    {"bridge", DOMAIN_NET_BRIDGE},
    {"user", 0, NO_NETWORK},
    {"vhostuser", 0, NO_NETWORK},
    {"server", 0, NO_NETWORK},
    {"client", 0, NO_NETWORK},
    {"mcast", 0, NO_NETWORK},
    {"network", 0, NO_NETWORK},
    {"internal", 0, NO_NETWORK},
    {"direct", 0, NO_NETWORK},
    {"hostdev", 0, NO_NETWORK},
    {"udp", 0, NO_NETWORK},
    {"vdpa", 0, NO_NETWORK},
    {"null", 0, NO_NETWORK},
    {"vds", 0, NO_NETWORK},
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
