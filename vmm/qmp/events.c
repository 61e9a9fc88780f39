/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/qmp/events.h"

#include <assert.h>
#include <sys/time.h>

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

void qmp_print_events(FILE *out)
{
    fprintf(out, "## Events\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        fprintf(out, "- **%s**: %s%s\n", events[i].name, events[i].help,
                events[i].has_cause ? " Its data: `guest` (the guest wanted it) and `reason`."
                                    : "");
}
