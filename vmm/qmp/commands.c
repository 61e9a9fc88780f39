/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commands, as one table. Shapes of what is returned are those of QEMU's QAPI schema where QEMU
 * has the command.
 */
#include "vmm/qmp/handlers.h"

#define IN(state) (1u << (state))
#define ALIVE     (IN(MACHINE_CREATED) | IN(MACHINE_RUNNING) | IN(MACHINE_PAUSED))
#define ALWAYS    (ALIVE | IN(MACHINE_SHUTDOWN))

static const struct command commands[] = {
    {
        .name = "qmp_capabilities",
        .arguments = {{"enable", JSON_ARRAY, false, "capabilities to enable; there are none"}},
        .states = ALWAYS,
        .run = qmp_run_capabilities,
        .help = "Ends the negotiation. Before it no other command is taken and no event is sent.",
    },
    {
        .name = "query-version",
        .states = ALWAYS,
        .run = qmp_run_query_version,
        .help = "vole's version, in the members where QEMU's clients look for QEMU's.",
        .returns = "`qemu` (`major`, `minor`, `micro`) and `package`",
    },
    {
        .name = "query-commands",
        .states = ALWAYS,
        .run = qmp_run_query_commands,
        .help = "The commands of this table.",
        .returns = "an array of objects with `name`",
    },
    {
        .name = "query-status",
        .states = ALWAYS,
        .run = qmp_run_query_status,
        .help = "Whether the virtual processors run.",
        .returns = "`running`, `singlestep` (always false) and `status`: `prelaunch` (not started "
                   "yet), `running`, `paused` or `shutdown`",
    },
    {
        .name = "query-name",
        .states = ALWAYS,
        .run = qmp_run_query_name,
        .help = "The machine's name.",
        .returns = "`name`",
    },
    {
        .name = "query-uuid",
        .states = ALWAYS,
        .run = qmp_run_query_uuid,
        .help = "The machine's UUID.",
        .returns = "`UUID`, of zeroes when the machine has none",
    },
    {
        .name = "query-machine",
        .states = ALWAYS,
        .run = qmp_run_query_machine,
        .help = "The machine as it is, defaults filled in.",
        .returns = "a [machine document](machine-config.md)",
    },
    {
        .name = "stop",
        .states = ALIVE,
        .run = qmp_run_stop,
        .help = "Pauses the virtual processors. Nothing happens to a machine that does not run.",
    },
    {
        .name = "cont",
        .states = ALIVE,
        .run = qmp_run_cont,
        .help = "Starts a machine that is waiting to be started, or lets a paused one go on.",
    },
    {
        .name = "quit",
        .states = ALWAYS,
        .run = qmp_run_quit,
        .then = qmp_then_quit,
        .help = "Ends vole with status 0, without asking the guest. The reply comes first.",
    },
    {
        .name = "system_reset",
        .states = ALIVE,
        .run = qmp_run_system_reset,
        .help = "Pulls the reset line. A running machine starts from its first instruction, a "
                "paused one waits there. Where `on_reboot` is `exit`, vole ends.",
    },
    {
        .name = "system_powerdown",
        .states = ALIVE,
        .run = qmp_run_system_powerdown,
        .help = "Presses the power button. The guest may take its time, or ignore it.",
    },
    {
        .name = "query-cpus-fast",
        .states = ALWAYS,
        .run = qmp_run_query_cpus_fast,
        .help = "The virtual processors and the host's threads that run them.",
        .returns = "an array of objects with `cpu-index`, `thread-id`, `qom-path`, `target` and "
                   "`props`",
    },
    {
        .name = "query-memory-size-summary",
        .states = ALWAYS,
        .run = qmp_run_query_memory_size_summary,
        .help = "The RAM that the machine was made with.",
        .returns = "`base-memory`, in bytes",
    },
    {
        .name = "query-stats",
        .arguments = {{"target", JSON_STRING, true, "`vm` or `vcpu`"},
                      {"vcpus", JSON_ARRAY, false, "only of these, by their `qom-path`"},
                      {"providers", JSON_ARRAY, false,
                       "only of these: objects with `provider` (`kvm` is the only one) and `names` "
                       "of statistics"}},
        .states = ALIVE,
        .run = qmp_run_query_stats,
        .help = "KVM's own statistics of the machine or of its virtual processors.",
        .returns = "an array of objects with `provider`, `qom-path` (of a processor) and `stats`: "
                   "objects with `name` and `value`",
    },
    {
        .name = "query-stats-schemas",
        .arguments = {{"provider", JSON_STRING, false, "`kvm` is the only one"}},
        .states = ALIVE,
        .run = qmp_run_query_stats_schemas,
        .help = "What the values of query-stats are.",
        .returns = "an array of objects with `provider`, `target` and `stats`: objects with "
                   "`name`, `type`, `exponent` and, where there is one, `unit`, `base` and "
                   "`bucket-size`",
    },
    {
        .name = "query-block",
        .states = ALWAYS,
        .run = qmp_run_query_block,
        .help = "The disks.",
        .returns = "an array of objects with `device` (the id), `type`, `locked`, `removable` and "
                   "`inserted` (`file`, `node-name`, `ro`, `drv`, `image` with `virtual-size`, "
                   "...)",
    },
    {
        .name = "query-blockstats",
        .states = ALWAYS,
        .run = qmp_run_query_blockstats,
        .help = "What the disks have done since vole began.",
        .returns = "an array of objects with `device` and `stats`: `rd_`, `wr_`, `flush_`, "
                   "`unmap_` and `write_zeroes_` before `operations`, `bytes` and "
                   "`total_time_ns`, failed operations, and `wr_highest_offset`",
    },
    {
        .name = "block_resize",
        .arguments = {{"device", JSON_STRING, false, "the disk's id"},
                      {"node-name", JSON_STRING, false, "the same"},
                      {"size", JSON_INTEGER, true, "bytes, whole sectors"}},
        .states = ALIVE,
        .run = qmp_run_block_resize,
        .help = "Makes a file larger, or looks up the new size of a block device, and tells the "
                "guest.",
    },
    {
        .name = "block_set_io_throttle",
        .arguments = {{"device", JSON_STRING, false, "the disk's id"},
                      {"id", JSON_STRING, false, "the same"},
                      {"bps", JSON_INTEGER, true, "bytes a second; 0: no limit"},
                      {"bps_rd", JSON_INTEGER, true, "bytes read a second; 0: no limit"},
                      {"bps_wr", JSON_INTEGER, true, "bytes written a second; 0: no limit"},
                      {"iops", JSON_INTEGER, true, "operations a second; 0: no limit"},
                      {"iops_rd", JSON_INTEGER, true, "reads a second; 0: no limit"},
                      {"iops_wr", JSON_INTEGER, true, "writes a second; 0: no limit"},
                      {"bps_max", JSON_INTEGER, false, "the same in a burst"},
                      {"bps_rd_max", JSON_INTEGER, false, "the same in a burst"},
                      {"bps_wr_max", JSON_INTEGER, false, "the same in a burst"},
                      {"iops_max", JSON_INTEGER, false, "the same in a burst"},
                      {"iops_rd_max", JSON_INTEGER, false, "the same in a burst"},
                      {"iops_wr_max", JSON_INTEGER, false, "the same in a burst"},
                      {"bps_max_length", JSON_INTEGER, false, "seconds that a burst may last"},
                      {"bps_rd_max_length", JSON_INTEGER, false, "seconds that a burst may last"},
                      {"bps_wr_max_length", JSON_INTEGER, false, "seconds that a burst may last"},
                      {"iops_max_length", JSON_INTEGER, false, "seconds that a burst may last"},
                      {"iops_rd_max_length", JSON_INTEGER, false, "seconds that a burst may last"},
                      {"iops_wr_max_length", JSON_INTEGER, false, "seconds that a burst may last"},
                      {"iops_size", JSON_INTEGER, false, "bytes that count as one operation"}},
        .states = ALIVE,
        .run = qmp_run_block_set_io_throttle,
        .help = "Limits what a disk does, all its queues together.",
    },
    {
        .name = "query-chardev",
        .states = ALWAYS,
        .run = qmp_run_query_chardev,
        .help = "The serial port's and the consoles' other ends.",
        .returns = "an array of objects with `label`, `filename` (`pty:/dev/pts/3`) and "
                   "`frontend-open`: whether the guest has it open, which only a port of the "
                   "virtio console need not be",
    },
    {
        .name = "set_link",
        .arguments = {{"name", JSON_STRING, true, "the network device's id"},
                      {"up", JSON_TRUE, true, "whether the cable is plugged in"}},
        .states = ALIVE,
        .run = qmp_run_set_link,
        .help = "Plugs a network device's cable in, or pulls it.",
    },
    {
        .name = "query-rx-filter",
        .arguments = {{"name", JSON_STRING, false, "only this network device"}},
        .states = ALWAYS,
        .run = qmp_run_query_rx_filter,
        .help = "Which frames the guest's drivers want. They are told all that come; the filter "
                "is for whoever passes frames on to the tap.",
        .returns = "an array of objects with `name`, `main-mac`, `promiscuous`, `unicast-table` "
                   "and so on",
    },
    {
        .name = "query-netstats",
        .states = ALWAYS,
        .run = qmp_run_query_netstats,
        .help = "What has gone through the network devices since vole began, as the guest sees it.",
        .returns = "an array of objects with `device`, `in-kernel` (vhost serves it now, whose "
                   "frames are in the tap's own statistics only) and `stats`: `rx_` and `tx_` "
                   "before `bytes`, `packets` and `dropped`",
    },
    {
        .name = "announce-self",
        .states = ALIVE,
        .run = qmp_run_announce_self,
        .help = "Has the guest tell the network where it is.",
    },
    {
        .name = "net_set_throttle",
        .arguments = {{"device", JSON_STRING, true, "the network device's id"},
                      {"rx_bps", JSON_INTEGER, false, "bytes a second to the guest"},
                      {"rx_bps_max", JSON_INTEGER, false, "the same in a burst"},
                      {"rx_bps_max_length", JSON_INTEGER, false, "seconds that a burst may last"},
                      {"rx_pps", JSON_INTEGER, false, "packets a second to the guest"},
                      {"rx_pps_max", JSON_INTEGER, false, "the same in a burst"},
                      {"rx_pps_max_length", JSON_INTEGER, false, "seconds that a burst may last"},
                      {"tx_bps", JSON_INTEGER, false, "bytes a second from the guest"},
                      {"tx_bps_max", JSON_INTEGER, false, "the same in a burst"},
                      {"tx_bps_max_length", JSON_INTEGER, false, "seconds that a burst may last"},
                      {"tx_pps", JSON_INTEGER, false, "packets a second from the guest"},
                      {"tx_pps_max", JSON_INTEGER, false, "the same in a burst"},
                      {"tx_pps_max_length", JSON_INTEGER, false, "seconds that a burst may last"}},
        .states = ALIVE,
        .run = qmp_run_net_set_throttle,
        .help = "Limits what a network device passes on; what is not given is not limited. A "
                "device with limits is not served by vhost.",
    },
    {
        .name = "query-balloon",
        .states = ALWAYS,
        .run = qmp_run_query_balloon,
        .help = "How much RAM the balloon leaves to the guest.",
        .returns = "`actual`, in bytes",
    },
    {
        .name = "balloon",
        .arguments = {{"value", JSON_INTEGER, true, "bytes of RAM that the guest should have"}},
        .states = ALIVE,
        .run = qmp_run_balloon,
        .help = "Asks the guest to give memory back, or to take some again. It does so in its own "
                "time, with BALLOON_CHANGE events on the way.",
    },
    {
        .name = "qom-get",
        .arguments = {{"path", JSON_STRING, true, "`/machine/peripheral/balloon0`"},
                      {"property", JSON_STRING, true,
                       "`guest-stats` or `guest-stats-polling-interval`"}},
        .states = ALWAYS,
        .run = qmp_run_qom_get,
        .help = "The guest's own statistics of its memory, as it told them last, where QEMU has "
                "them. While `guest-stats-polling-interval` is 0, reading them asks the guest for "
                "new ones, which the next one to read them finds.",
        .returns = "of `guest-stats` an object with `stats` (`stat-free-memory` and so on, -1 "
                   "where the guest does not tell) and `last-update`, in seconds since 1970, 0 "
                   "when nothing came yet",
    },
    {
        .name = "qom-set",
        .arguments = {{"path", JSON_STRING, true, "`/machine/peripheral/balloon0`"},
                      {"property", JSON_STRING, true, "`guest-stats-polling-interval`"},
                      {"value", JSON_INTEGER, true,
                       "seconds between two questions to the guest; 0: none"}},
        .states = ALIVE,
        .run = qmp_run_qom_set,
        .help = "How often the guest is asked for its statistics.",
    },
};

QMP_HANDLER(query_commands)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        json_array_append_new(list, json_pack("{s:s}", "name", commands[i].name));
    return list;
}

const struct command *qmp_command_table(size_t *count)
{
    *count = ARRAY_SIZE(commands);
    return commands;
}
