/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands about the machine as a whole: what it is, its states, its processors. */
#include <stdio.h>
#include <sys/utsname.h>

#include <config.h>

#include "vmm/qmp/handlers.h"

QMP_HANDLER(capabilities)
{
    const json_t *enable = json_object_get(arguments, "enable");

    if (json_array_size(enable) == 0)
        return json_object();
    error_set(err, "there are no capabilities to enable");
    return NULL;
}

json_t *qmp_version_object(void)
{
    int major = 0;
    int minor = 0;
    int micro = 0;

    /* The names are those that clients look for; the figures are vole's. */
    sscanf(PACKAGE_VERSION, "%d.%d.%d", &major, &minor, &micro);
    return json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu", "major", major, "minor", minor, "micro",
                     micro, "package", PACKAGE_NAME "-" PACKAGE_VERSION);
}

QMP_HANDLER(query_version)
{
    return qmp_version_object();
}

QMP_HANDLER(query_status)
{
    enum machine_state state = machine_state(m);

    return json_pack(
        "{s:b, s:b, s:s}", "running", state == MACHINE_RUNNING, "singlestep", 0, "status",
        machine_panicked(m) && state == MACHINE_PAUSED ? "guest-panicked" : qmp_state_name(state));
}

QMP_HANDLER(query_name)
{
    return json_pack("{s:s}", "name", machine_config(m)->name);
}

QMP_HANDLER(query_uuid)
{
    const char *uuid = machine_config(m)->uuid;

    return json_pack("{s:s}", "UUID", uuid ? uuid : "00000000-0000-0000-0000-000000000000");
}

QMP_HANDLER(query_machine)
{
    return config_to_json(machine_config(m));
}

QMP_HANDLER(stop)
{
    return qmp_done(machine_stop(m, err));
}

QMP_HANDLER(cont)
{
    return qmp_done(machine_cont(m, err));
}

QMP_HANDLER(quit)
{
    return qmp_done(0);
}

void qmp_then_quit(struct machine *m)
{
    machine_quit(m, CAUSE_HOST_QMP_QUIT);
}

QMP_HANDLER(system_reset)
{
    return qmp_done(machine_reset(m, CAUSE_HOST_QMP_RESET, err));
}

QMP_HANDLER(system_powerdown)
{
    return qmp_done(machine_powerdown(m, err));
}

QMP_HANDLER(query_cpus_fast)
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

QMP_HANDLER(query_memory_size_summary)
{
    return json_pack("{s:I}", "base-memory", (json_int_t)machine_config(m)->memory);
}
