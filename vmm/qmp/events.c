/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/qmp/events.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/time.h>

#define CAUSE_HELP "`guest` (the guest wanted it) and `reason`"

/* What an event's "data" is made of. */
static json_t *cause_data(const struct machine_event *ev)
{
    return json_pack("{s:b, s:s}", "guest", machine_cause_is_guest(ev->cause), "reason",
                     machine_cause_name(ev->cause));
}

static json_t *panic_data(const struct machine_event *ev)
{
    return json_pack("{s:s}", "action", ev->action);
}

static json_t *device_data(const struct machine_event *ev)
{
    return json_pack("{s:s}", "device", ev->device);
}

static json_t *balloon_data(const struct machine_event *ev)
{
    return json_pack("{s:I}", "actual", (json_int_t)ev->value);
}

static json_t *port_data(const struct machine_event *ev)
{
    return json_pack("{s:s, s:b}", "id", ev->device, "open", ev->open);
}

static json_t *rx_filter_data(const struct machine_event *ev)
{
    return json_pack("{s:s, s:s}", "name", ev->device, "path", ev->device);
}

/* As QEMU has it with rerror=report and werror=report. */
static json_t *io_error_data(const struct machine_event *ev)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:s}", "device", ev->device, "node-name",
                     ev->device, "operation", ev->reading ? "read" : "write", "action", "report",
                     "nospace", ev->error == ENOSPC, "reason", strerror(ev->error));
}

static json_t *peer_data(const struct machine_event *ev)
{
    return json_pack("{s:s}", "netdev-id", ev->device);
}

static const struct event {
    const char *name;
    json_t *(*data)(const struct machine_event *ev); /* NULL: it has none */
    const char *data_help;
    const char *help;
} events[] = {
    [MACHINE_EVENT_STOP] = {"STOP", NULL, NULL, "The virtual processors were paused."},
    [MACHINE_EVENT_RESUME] = {"RESUME", NULL, NULL, "The virtual processors were started."},
    [MACHINE_EVENT_RESET] = {"RESET", cause_data, CAUSE_HELP, "The machine was reset."},
    [MACHINE_EVENT_POWERDOWN] = {"POWERDOWN", NULL, NULL, "The power button was pressed."},
    [MACHINE_EVENT_SHUTDOWN] = {"SHUTDOWN", cause_data, CAUSE_HELP,
                                "The machine has ended; it is the last event, and vole ends."},
    [MACHINE_EVENT_PANICKED] = {"GUEST_PANICKED", panic_data,
                                "`action` (`shutdown`, `pause`, `reset` or `run`: what follows)",
                                "The guest reported that it panicked."},
    [MACHINE_EVENT_DEVICE_FAILED] = {"DEVICE_NEEDS_RESET", device_data, "`device` (its id)",
                                     "The guest's driver broke a rule of the virtio "
                                     "specification; the device does nothing until its driver "
                                     "resets it."},
    [MACHINE_EVENT_BALLOON] = {"BALLOON_CHANGE", balloon_data,
                               "`actual` (bytes of RAM that the guest has left)",
                               "The guest gave memory to the balloon or took some back."},
    [MACHINE_EVENT_PORT] = {"VSERPORT_CHANGE", port_data, "`id` and `open`",
                            "The guest opened or closed a port of the virtio console."},
    [MACHINE_EVENT_RX_FILTER] = {"NIC_RX_FILTER_CHANGED", rx_filter_data, "`name` and `path`",
                                 "The guest changed a network device's receive filter; sent once "
                                 "until query-rx-filter is asked."},
    [MACHINE_EVENT_IO_ERROR] = {"BLOCK_IO_ERROR", io_error_data,
                                "`device` and `node-name` (the disk's id), `operation` (`read` or "
                                "`write`), `action` (`report`), `nospace` and `reason`",
                                "The host failed a request of a disk, and so the guest was told. "
                                "Of several at a time, the last."},
    [MACHINE_EVENT_PEER_LOST] = {"NETDEV_STREAM_DISCONNECTED", peer_data, "`netdev-id`",
                                 "The process at the other end of a network device's socket left, "
                                 "or broke the framing; the guest's link is down, for good."},
};
static_assert(ARRAY_SIZE(events) == MACHINE_EVENTS, "each kind of event has a name");

json_t *qmp_event(const struct machine_event *ev)
{
    const struct event *event = &events[ev->kind];
    struct timeval now;
    json_t *message;

    gettimeofday(&now, NULL);
    message = json_pack("{s:{s:I, s:I}, s:s}", "timestamp", "seconds", (json_int_t)now.tv_sec,
                        "microseconds", (json_int_t)now.tv_usec, "event", event->name);
    if (event->data)
        json_object_set_new(message, "data", event->data(ev));
    return message;
}

void qmp_print_events(FILE *out)
{
    fprintf(out, "## Events\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        fprintf(out, "- **%s**: %s", events[i].name, events[i].help);
        if (events[i].data)
            fprintf(out, " Its data: %s.", events[i].data_help);
        fputc('\n', out);
    }
}
