/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commands, their arguments and the events, as tables. Shapes of what is returned are those of
 * QEMU's QAPI schema where QEMU has the command.
 */
#include "vmm/qmp/commands.h"

#include <assert.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/utsname.h>

#include <config.h>

#include "vmm/backend/chardev.h"
#include "vmm/qmp/qmp.h"

#define CLASS_GENERIC   "GenericError"
#define CLASS_NOT_FOUND "CommandNotFound"

/* The states in which a command is legal. */
#define IN(state) (1u << (state))
#define ALIVE     (IN(MACHINE_CREATED) | IN(MACHINE_RUNNING) | IN(MACHINE_PAUSED))
#define ALWAYS    (ALIVE | IN(MACHINE_SHUTDOWN))

static const char *const state_names[] = {
    [MACHINE_CREATED] = "prelaunch",
    [MACHINE_RUNNING] = "running",
    [MACHINE_PAUSED] = "paused",
    [MACHINE_SHUTDOWN] = "shutdown",
};
static_assert(ARRAY_SIZE(state_names) == MACHINE_STATES, "each state has its RunState");

struct argument {
    const char *name; /* NULL ends the list */
    json_type type;
    bool required;
    const char *help;
};

#define MAX_ARGUMENTS 4

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

static json_t *done(int rc)
{
    return rc < 0 ? NULL : json_object();
}

/* ---- handlers ---- */

static json_t *run_capabilities(struct machine *m, const json_t *arguments, struct error *err)
{
    const json_t *enable = json_object_get(arguments, "enable");

    if (json_array_size(enable) == 0)
        return json_object();
    error_set(err, "there are no capabilities to enable");
    return NULL;
}

static json_t *version_object(void)
{
    int major = 0;
    int minor = 0;
    int micro = 0;

    /* The names are those that clients look for; the figures are vole's. */
    sscanf(PACKAGE_VERSION, "%d.%d.%d", &major, &minor, &micro);
    return json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu", "major", major, "minor", minor, "micro",
                     micro, "package", PACKAGE_NAME "-" PACKAGE_VERSION);
}

static json_t *run_query_version(struct machine *m, const json_t *arguments, struct error *err)
{
    return version_object();
}

static json_t *run_query_commands(struct machine *m, const json_t *arguments, struct error *err);

static json_t *run_query_status(struct machine *m, const json_t *arguments, struct error *err)
{
    enum machine_state state = machine_state(m);

    return json_pack("{s:b, s:b, s:s}", "running", state == MACHINE_RUNNING, "singlestep", 0,
                     "status", state_names[state]);
}

static json_t *run_query_name(struct machine *m, const json_t *arguments, struct error *err)
{
    return json_pack("{s:s}", "name", machine_config(m)->name);
}

static json_t *run_query_uuid(struct machine *m, const json_t *arguments, struct error *err)
{
    const char *uuid = machine_config(m)->uuid;

    return json_pack("{s:s}", "UUID", uuid ? uuid : "00000000-0000-0000-0000-000000000000");
}

static json_t *run_query_machine(struct machine *m, const json_t *arguments, struct error *err)
{
    return config_to_json(machine_config(m));
}

static json_t *run_stop(struct machine *m, const json_t *arguments, struct error *err)
{
    return done(machine_stop(m, err));
}

static json_t *run_cont(struct machine *m, const json_t *arguments, struct error *err)
{
    return done(machine_cont(m, err));
}

static json_t *run_quit(struct machine *m, const json_t *arguments, struct error *err)
{
    return done(0);
}

static void then_quit(struct machine *m)
{
    machine_quit(m, CAUSE_HOST_QMP_QUIT);
}

static json_t *run_system_reset(struct machine *m, const json_t *arguments, struct error *err)
{
    return done(machine_reset(m, CAUSE_HOST_QMP_RESET, err));
}

static json_t *run_system_powerdown(struct machine *m, const json_t *arguments, struct error *err)
{
    return done(machine_powerdown(m, err));
}

static json_t *run_query_cpus_fast(struct machine *m, const json_t *arguments, struct error *err)
{
    json_t *cpus = json_array();
    struct utsname host; /* KVM's guests have the host's architecture, and QEMU uname's names */

    uname(&host);
    for (unsigned i = 0; i < machine_config(m)->cpus; i++) {
        cleanup_free char *path = xasprintf("/machine/cpu[%u]", i);

        json_array_append_new(cpus,
                              json_pack("{s:i, s:I, s:s, s:s, s:{s:i, s:i, s:i}}", "cpu-index",
                                        (int)i, "thread-id", (json_int_t)machine_vcpu_tid(m, i),
                                        "qom-path", path, "target", host.machine, "props",
                                        "socket-id", 0, "core-id", (int)i, "thread-id", 0));
    }
    return cpus;
}

/* BlockDeviceInfo; what vole has no notion of yet is as QEMU has it by default. */
static json_t *block_inserted(const struct config_disk *disk, uint64_t size)
{
    json_t *inserted =
        json_pack("{s:s, s:s, s:b, s:s, s:i, s:b, s:s, s:i}", "file", disk->source, "node-name",
                  disk->id, "ro", disk->readonly, "drv", "raw", "backing_file_depth", 0,
                  "encrypted", 0, "detect_zeroes", "off", "write_threshold", 0);
    static const char *const limits[] = {"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"};

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        json_object_set_new(inserted, limits[i], json_integer(0));
    json_object_set_new(inserted, "cache",
                        json_pack("{s:b, s:b, s:b}", "writeback", 1, "direct", 0, "no-flush", 0));
    json_object_set_new(inserted, "image",
                        json_pack("{s:s, s:s, s:I, s:b}", "filename", disk->source, "format", "raw",
                                  "virtual-size", (json_int_t)size, "dirty-flag", 0));
    return inserted;
}

static json_t *run_query_block(struct machine *m, const json_t *arguments, struct error *err)
{
    const struct config *config = machine_config(m);
    json_t *blocks = json_array();

    for (unsigned i = 0; i < config->disk_count; i++) {
        const struct config_disk *disk = &config->disks[i];

        json_array_append_new(blocks,
                              json_pack("{s:s, s:s, s:b, s:b, s:o}", "device", disk->id, "type",
                                        "unknown", "locked", 0, "removable", 0, "inserted",
                                        block_inserted(disk, machine_disk_size(m, i))));
    }
    return blocks;
}

static json_t *run_query_chardev(struct machine *m, const json_t *arguments, struct error *err)
{
    json_t *chardevs = json_array();
    struct chardev *chr;

    for (unsigned i = 0; (chr = machine_chardev(m, i)) != NULL; i++)
        json_array_append_new(chardevs,
                              json_pack("{s:s, s:s, s:b}", "label", chardev_label(chr), "filename",
                                        chardev_filename(chr), "frontend-open", 1));
    return chardevs;
}

/* ---- the table ---- */

static const struct command commands[] = {
    {
        .name = "qmp_capabilities",
        .arguments = {{"enable", JSON_ARRAY, false, "capabilities to enable; there are none"}},
        .states = ALWAYS,
        .run = run_capabilities,
        .help = "Ends the negotiation. Before it no other command is taken and no event is sent.",
    },
    {
        .name = "query-version",
        .states = ALWAYS,
        .run = run_query_version,
        .help = "vole's version, in the members where QEMU's clients look for QEMU's.",
        .returns = "`qemu` (`major`, `minor`, `micro`) and `package`",
    },
    {
        .name = "query-commands",
        .states = ALWAYS,
        .run = run_query_commands,
        .help = "The commands of this table.",
        .returns = "an array of objects with `name`",
    },
    {
        .name = "query-status",
        .states = ALWAYS,
        .run = run_query_status,
        .help = "Whether the virtual processors run.",
        .returns = "`running`, `singlestep` (always false) and `status`: `prelaunch` (not started "
                   "yet), `running`, `paused` or `shutdown`",
    },
    {
        .name = "query-name",
        .states = ALWAYS,
        .run = run_query_name,
        .help = "The machine's name.",
        .returns = "`name`",
    },
    {
        .name = "query-uuid",
        .states = ALWAYS,
        .run = run_query_uuid,
        .help = "The machine's UUID.",
        .returns = "`UUID`, of zeroes when the machine has none",
    },
    {
        .name = "query-machine",
        .states = ALWAYS,
        .run = run_query_machine,
        .help = "The machine as it is, defaults filled in.",
        .returns = "a [machine document](machine-config.md)",
    },
    {
        .name = "stop",
        .states = ALIVE,
        .run = run_stop,
        .help = "Pauses the virtual processors. Nothing happens to a machine that does not run.",
    },
    {
        .name = "cont",
        .states = ALIVE,
        .run = run_cont,
        .help = "Starts a machine that is waiting to be started, or lets a paused one go on.",
    },
    {
        .name = "quit",
        .states = ALWAYS,
        .run = run_quit,
        .then = then_quit,
        .help = "Ends vole with status 0, without asking the guest. The reply comes first.",
    },
    {
        .name = "system_reset",
        .states = ALIVE,
        .run = run_system_reset,
        .help = "Pulls the reset line. A running machine starts from its first instruction, a "
                "paused one waits there. Where `on_reboot` is `exit`, vole ends.",
    },
    {
        .name = "system_powerdown",
        .states = ALIVE,
        .run = run_system_powerdown,
        .help = "Presses the power button. The guest may take its time, or ignore it.",
    },
    {
        .name = "query-cpus-fast",
        .states = ALWAYS,
        .run = run_query_cpus_fast,
        .help = "The virtual processors and the host's threads that run them.",
        .returns = "an array of objects with `cpu-index`, `thread-id`, `qom-path`, `target` and "
                   "`props`",
    },
    {
        .name = "query-block",
        .states = ALWAYS,
        .run = run_query_block,
        .help = "The disks.",
        .returns = "an array of objects with `device` (the id), `type`, `locked`, `removable` and "
                   "`inserted` (`file`, `node-name`, `ro`, `drv`, `image` with `virtual-size`, "
                   "...)",
    },
    {
        .name = "query-chardev",
        .states = ALWAYS,
        .run = run_query_chardev,
        .help = "The serial port's and the consoles' other ends.",
        .returns = "an array of objects with `label`, `filename` (`pty:/dev/pts/3`) and "
                   "`frontend-open`",
    },
};

static json_t *run_query_commands(struct machine *m, const json_t *arguments, struct error *err)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        json_array_append_new(list, json_pack("{s:s}", "name", commands[i].name));
    return list;
}

/* ---- requests ---- */

static json_t *error_message(const char *class, const char *desc)
{
    json_t *text = json_string(desc);

    /* A name that came in was valid UTF-8, but may have been cut within a character. */
    if (!text)
        text = json_string("the request is not understood");
    return json_pack("{s:{s:s, s:o}}", "error", "class", class, "desc", text);
}

json_t *qmp_generic_error(const char *desc)
{
    return error_message(CLASS_GENERIC, desc);
}

static const char *type_name(json_type type)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "object", [JSON_ARRAY] = "array", [JSON_STRING] = "string",
        [JSON_INTEGER] = "int",   [JSON_REAL] = "number", [JSON_TRUE] = "boolean",
        [JSON_FALSE] = "boolean", [JSON_NULL] = "null",
    };

    return names[type];
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static const struct argument *find_argument(const struct command *command, const char *name)
{
    for (const struct argument *a = command->arguments; a->name; a++)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

static int check_arguments(const struct command *command, const json_t *arguments,
                           struct error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)arguments, key, value)
    {
        const struct argument *a = find_argument(command, key);

        if (!a)
            return error_set(err, "Parameter '%s' is unexpected", key);
        if (strcmp(type_name(json_typeof(value)), type_name(a->type)) != 0)
            return error_set(err, "Invalid parameter type for '%s', expected: %s", key,
                             type_name(a->type));
    }
    for (const struct argument *a = command->arguments; a->name; a++)
        if (a->required && !json_object_get(arguments, a->name))
            return error_set(err, "Parameter '%s' is missing", a->name);
    return 0;
}

/* The request's frame: an object with "execute", perhaps "arguments" and "id", and nothing else. */
static int check_request(const json_t *request, struct error *err)
{
    static const char *const members[] = {"execute", "arguments", "id"};
    const json_t *arguments = json_object_get(request, "arguments");
    const json_t *execute = json_object_get(request, "execute");
    const char *key;
    json_t *value;

    if (!json_is_object(request))
        return error_set(err, "QMP input must be a JSON object");
    json_object_foreach((json_t *)request, key, value)
    {
        bool known = false;

        for (size_t i = 0; i < ARRAY_SIZE(members); i++)
            known |= strcmp(key, members[i]) == 0;
        if (!known)
            return error_set(err, "QMP input member '%s' is unexpected", key);
    }
    if (!execute)
        return error_set(err, "QMP input lacks member 'execute'");
    if (!json_is_string(execute))
        return error_set(err, "QMP input member 'execute' must be a string");
    if (arguments && !json_is_object(arguments))
        return error_set(err, "QMP input member 'arguments' must be an object");
    return 0;
}

/* Why the command cannot be carried out now, and of which class that error is; or NULL. */
static const char *refuse(const struct machine *m, const struct command *command, bool negotiated,
                          const char *name, struct error *err)
{
    bool negotiates = command && command->run == run_capabilities;

    if (!negotiated && !negotiates) {
        error_set(err, "Expecting capabilities negotiation with 'qmp_capabilities'");
        return CLASS_NOT_FOUND;
    }
    if (!command) {
        error_set(err, "The command %s has not been found", name);
        return CLASS_NOT_FOUND;
    }
    if (negotiated && negotiates) {
        error_set(err, "Capabilities negotiation is already complete, command ignored");
        return CLASS_NOT_FOUND;
    }
    if (!(command->states & IN(machine_state(m)))) {
        error_set(err, "%s is not possible in state %s", name, state_names[machine_state(m)]);
        return CLASS_GENERIC;
    }
    return NULL;
}

static struct qmp_reply carry_out(struct machine *m, bool *negotiated, const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "execute"));
    const json_t *arguments = json_object_get(request, "arguments");
    const struct command *command = find_command(name);
    struct error err = {"the answer cannot be written as JSON"};
    const char *class = refuse(m, command, *negotiated, name, &err);
    json_t *result;

    if (class)
        return (struct qmp_reply){error_message(class, err.msg), NULL};
    if (check_arguments(command, arguments, &err) < 0)
        return (struct qmp_reply){qmp_generic_error(err.msg), NULL};
    result = command->run(m, arguments, &err);
    if (!result)
        return (struct qmp_reply){qmp_generic_error(err.msg), NULL};
    *negotiated = true;
    return (struct qmp_reply){json_pack("{s:o}", "return", result), command->then};
}

struct qmp_reply qmp_dispatch(struct machine *m, bool *negotiated, const json_t *request)
{
    struct qmp_reply reply = {NULL, NULL};
    struct error err;
    json_t *id;

    if (check_request(request, &err) < 0)
        reply.message = qmp_generic_error(err.msg);
    else
        reply = carry_out(m, negotiated, request);
    id = json_object_get(request, "id");
    if (id)
        json_object_set(reply.message, "id", id);
    return reply;
}

json_t *qmp_greeting(void)
{
    return json_pack("{s:{s:o, s:[]}}", "QMP", "version", version_object(), "capabilities");
}

/* ---- events ---- */

static const struct event {
    const char *name;
    bool has_cause;
    const char *help;
} events[] = {
    [MACHINE_EVENT_STOP] = {"STOP", false, "The virtual processors were paused."},
    [MACHINE_EVENT_RESUME] = {"RESUME", false, "The virtual processors were started."},
    [MACHINE_EVENT_RESET] = {"RESET", true, "The machine was reset."},
    [MACHINE_EVENT_POWERDOWN] = {"POWERDOWN", false, "The power button was pressed."},
    [MACHINE_EVENT_SHUTDOWN] = {"SHUTDOWN", true,
                                "The machine has ended; it is the last event, and vole ends."},
};
static_assert(ARRAY_SIZE(events) == MACHINE_EVENT_SHUTDOWN + 1, "each kind of event has a name");

json_t *qmp_event(const struct machine_event *ev)
{
    const struct event *event = &events[ev->kind];
    struct timeval now;
    json_t *message;

    gettimeofday(&now, NULL);
    message = json_pack("{s:{s:I, s:I}, s:s}", "timestamp", "seconds", (json_int_t)now.tv_sec,
                        "microseconds", (json_int_t)now.tv_usec, "event", event->name);
    if (event->has_cause)
        json_object_set_new(message, "data",
                            json_pack("{s:b, s:s}", "guest", machine_cause_is_guest(ev->cause),
                                      "reason", machine_cause_name(ev->cause)));
    return message;
}

/* ---- docs ---- */

static void print_states(FILE *out, unsigned states)
{
    const char *separator = " ";

    fprintf(out, "Legal in:");
    for (unsigned i = 0; i < MACHINE_STATES; i++) {
        if (!(states & IN(i)))
            continue;
        fprintf(out, "%s`%s`", separator, state_names[i]);
        separator = ", ";
    }
    fprintf(out, ".\n\n");
}

static void print_command(FILE *out, const struct command *command)
{
    fprintf(out, "### %s\n\n%s\n\n", command->name, command->help);
    for (const struct argument *a = command->arguments; a->name; a++)
        fprintf(out, "- argument `%s` (%s%s): %s\n\n", a->name, type_name(a->type),
                a->required ? "" : ", optional", a->help);
    fprintf(out, "Returns %s. ", command->returns ? command->returns : "an empty object");
    print_states(out, command->states);
}

void qmp_print_reference(FILE *out)
{
    fprintf(out, "## Commands\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        print_command(out, &commands[i]);
    fprintf(out, "## Events\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        fprintf(out, "- **%s**: %s%s\n", events[i].name, events[i].help,
                events[i].has_cause ? " Its data: `guest` (the guest wanted it) and `reason`."
                                    : "");
}
