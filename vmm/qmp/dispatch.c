/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a request to its reply, and the reference of commands: all out of the table. */
#include <assert.h>
#include <stdio.h>

#include "vmm/qmp/commands.h"
#include "vmm/qmp/events.h"
#include "vmm/qmp/handlers.h"
#include "vmm/qmp/qmp.h"

#define CLASS_GENERIC   "GenericError"
#define CLASS_NOT_FOUND "CommandNotFound"

static const char *const state_names[] = {
    [MACHINE_CREATED] = "prelaunch",
    [MACHINE_RUNNING] = "running",
    [MACHINE_PAUSED] = "paused",
    [MACHINE_SHUTDOWN] = "shutdown",
};
static_assert(ARRAY_SIZE(state_names) == MACHINE_STATES, "each state has its RunState");

const char *qmp_state_name(enum machine_state state)
{
    return state_names[state];
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
    size_t count;
    const struct command *commands = qmp_command_table(&count);

    for (size_t i = 0; i < count; i++)
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
    bool negotiates = command && command->run == qmp_run_capabilities;

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
    if (!(command->states & 1u << machine_state(m))) {
        error_set(err, "%s is not possible in state %s", name, qmp_state_name(machine_state(m)));
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
    return json_pack("{s:{s:o, s:[]}}", "QMP", "version", qmp_version_object(), "capabilities");
}

/* ---- docs ---- */

static void print_states(FILE *out, unsigned states)
{
    const char *separator = " ";

    fprintf(out, "Legal in:");
    for (unsigned i = 0; i < MACHINE_STATES; i++) {
        if (!(states & 1u << i))
            continue;
        fprintf(out, "%s`%s`", separator, qmp_state_name((enum machine_state)i));
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
    size_t count;
    const struct command *commands = qmp_command_table(&count);

    fprintf(out, "## Commands\n\n");
    for (size_t i = 0; i < count; i++)
        print_command(out, &commands[i]);
    qmp_print_events(out);
}
