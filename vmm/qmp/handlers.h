/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stands behind the table of commands. A handler is called in the main loop, with arguments
 * that have been checked against the table (names, types, which are required) and only in the
 * states that the table allows; what their values mean is the handler's to check. It returns what
 * the reply's "return" is (a new reference), or NULL with `err` set and nothing changed.
 */
#ifndef VOLE_QMP_HANDLERS_H
#define VOLE_QMP_HANDLERS_H

#include <jansson.h>
#include <stdbool.h>

#include "vmm/machine.h"

struct argument {
    const char *name; /* NULL ends the list */
    json_type type;
    bool required;
    const char *help;
};

#define MAX_ARGUMENTS 24

struct command {
    const char *name;
    struct argument arguments[MAX_ARGUMENTS + 1];
    unsigned states;
    /* Returns what the reply's "return" is, or NULL with `err` set. */
    json_t *(*run)(struct machine *m, const json_t *arguments, struct error *err);
    void (*then)(struct machine *m); /* once the reply is on its way */
    const char *help;
    const char *returns; /* NULL: an empty object */
};

/* The one table; commands.c. */
const struct command *qmp_command_table(size_t *count);

/* The reply of a command that returns nothing. */
static inline json_t *qmp_done(int rc)
{
    return rc < 0 ? NULL : json_object();
}

const char *qmp_state_name(enum machine_state state); /* QEMU's RunState */
json_t *qmp_version_object(void);

#define QMP_HANDLER(name) \
    json_t *qmp_run_##name(struct machine *m, const json_t *arguments, struct error *err)

/* handlers_machine.c */
QMP_HANDLER(capabilities);
QMP_HANDLER(query_version);
QMP_HANDLER(query_commands);
QMP_HANDLER(query_status);
QMP_HANDLER(query_name);
QMP_HANDLER(query_uuid);
QMP_HANDLER(query_machine);
QMP_HANDLER(stop);
QMP_HANDLER(cont);
QMP_HANDLER(quit);
QMP_HANDLER(system_reset);
QMP_HANDLER(system_powerdown);
QMP_HANDLER(query_cpus_fast);
QMP_HANDLER(query_commands); /* commands.c */
void qmp_then_quit(struct machine *m);
QMP_HANDLER(query_memory_size_summary);
/* handlers_stats.c */
QMP_HANDLER(query_stats);
QMP_HANDLER(query_stats_schemas);
/* handlers_block.c */
QMP_HANDLER(query_block);
QMP_HANDLER(query_blockstats);
QMP_HANDLER(block_resize);
QMP_HANDLER(block_set_io_throttle);
/* handlers_devices.c */
QMP_HANDLER(query_chardev);
QMP_HANDLER(query_balloon);
QMP_HANDLER(balloon);
QMP_HANDLER(qom_get);
QMP_HANDLER(qom_set);

/* handlers_net.c */
QMP_HANDLER(set_link);
QMP_HANDLER(query_rx_filter);
QMP_HANDLER(query_netstats);
QMP_HANDLER(announce_self);
QMP_HANDLER(net_set_throttle);

/* Reads the three parts of one limit, named `name`, `name`_max and `name`_max_length; what is not
 * given is 0. 0, or -1 with `err`. handlers_block.c */
int qmp_read_limit(const json_t *arguments, const char *name, struct throttle_limit *limit,
                   struct error *err);

#endif
