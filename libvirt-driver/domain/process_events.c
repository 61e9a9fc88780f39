/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a VMM's events (docs/qmp.md) make of its domain. The guest has a hand in what they say: an
 * id that is not the domain's is nobody's. */
#include <string.h>

#include "libvirt-driver/api/events.h"
#include "libvirt-driver/domain/process_priv.h"
#include "libvirt-driver/vmm/monitor.h"

/* The port that a guest's agent listens on. */
#define AGENT_CHANNEL "org.qemu.guest_agent.0"

static void on_stop(struct domain *domain, json_t *data)
{
    if (domain->state != VIR_DOMAIN_RUNNING)
        return;
    domain_set_state(domain, VIR_DOMAIN_PAUSED, domain->pause_reason);
    domain->pause_reason = VIR_DOMAIN_PAUSED_UNKNOWN;
    domain_emit(domain, VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_PAUSED);
}

static void on_resume(struct domain *domain, json_t *data)
{
    if (domain->state == VIR_DOMAIN_RUNNING)
        return;
    domain_set_state(domain, VIR_DOMAIN_RUNNING, domain->run_reason);
    domain->run_reason = VIR_DOMAIN_RUNNING_UNPAUSED;
    domain_emit(domain, VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_UNPAUSED);
}

static void on_reset(struct domain *domain, json_t *data)
{
    domain->reboot_asked = false;
    events_reboot(domain->daemon->events, domain);
}

static void on_shutdown(struct domain *domain, json_t *data)
{
    const char *cause = json_string_value(json_object_get(data, "reason"));
    const json_t *guest = json_object_get(data, "guest");
    int detail = VIR_DOMAIN_EVENT_SHUTDOWN_FINISHED;

    g_free(domain->shutdown_cause);
    domain->shutdown_cause = g_strdup(cause ? cause : "unknown");
    if (domain->destroyers || domain->state == VIR_DOMAIN_SHUTDOWN ||
        domain_is_to_restart(domain, domain_has_crashed(domain, &(struct vmm_end){0})))
        return;
    if (json_is_boolean(guest))
        detail =
            json_is_true(guest) ? VIR_DOMAIN_EVENT_SHUTDOWN_GUEST : VIR_DOMAIN_EVENT_SHUTDOWN_HOST;
    domain_set_state(domain, VIR_DOMAIN_SHUTDOWN, VIR_DOMAIN_SHUTDOWN_UNKNOWN);
    domain_emit(domain, VIR_DOMAIN_EVENT_SHUTDOWN, detail);
}

/* With <on_crash>preserve</on_crash> what is left of the guest stays, for somebody to look at; with
 * "restart" it is reset in place, as by itself. An end is told when it comes. */
static void on_panic(struct domain *domain, json_t *data)
{
    const char *action = json_string_value(json_object_get(data, "action"));

    if (g_strcmp0(action, "pause") == 0) {
        domain_set_state(domain, VIR_DOMAIN_CRASHED, VIR_DOMAIN_CRASHED_PANICKED);
        domain_emit(domain, VIR_DOMAIN_EVENT_CRASHED, VIR_DOMAIN_EVENT_CRASHED_PANICKED);
    } else if (g_strcmp0(action, "reset") == 0) {
        domain_set_state(domain, domain->state, VIR_DOMAIN_RUNNING_CRASHED);
    }
}

static void on_balloon(struct domain *domain, json_t *data)
{
    guint64 kib = (guint64)json_integer_value(json_object_get(data, "actual")) / 1024;

    domain->live->current_memory_kib = MIN(kib, domain->live->memory_kib);
    events_balloon(domain->daemon->events, domain, kib);
}

/* Whoever waits for an agent in the guest learns that it is there, or gone. */
void domain_set_channel(struct domain *domain, struct domain_channel *channel, bool is_open)
{
    if (is_open == (channel->state == DOMAIN_CHANNEL_CONNECTED))
        return;
    channel->state = is_open ? DOMAIN_CHANNEL_CONNECTED : DOMAIN_CHANNEL_DISCONNECTED;
    if (strcmp(channel->name, AGENT_CHANNEL) == 0)
        events_agent(domain->daemon->events, domain,
                     is_open ? VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED
                             : VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_DISCONNECTED,
                     VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_CHANNEL);
}

static void on_port(struct domain *domain, json_t *data)
{
    const char *id = json_string_value(json_object_get(data, "id"));
    bool is_open = json_is_true(json_object_get(data, "open"));

    for (guint i = 0; i < domain->live->channels->len; i++) {
        struct domain_channel *channel = domain_channel_at(domain->live, i);

        if (g_strcmp0(channel->info.alias, id) == 0)
            domain_set_channel(domain, channel, is_open);
    }
}

static void on_device_broke(struct domain *domain, json_t *data)
{
    const char *device = json_string_value(json_object_get(data, "device"));

    g_message("domain '%s': its driver of '%s' broke a rule; the device waits to be reset",
              domain->name, device ? device : "?");
}

static void on_io_error(struct domain *domain, json_t *data)
{
    const char *alias = json_string_value(json_object_get(data, "device"));
    const char *operation = json_string_value(json_object_get(data, "operation"));
    const char *reason = json_string_value(json_object_get(data, "reason"));
    bool no_space = json_is_true(json_object_get(data, "nospace"));

    for (guint i = 0; i < domain->live->disks->len; i++) {
        const struct domain_disk *disk = domain_disk_at(domain->live, i);

        if (g_strcmp0(disk->info.alias, alias) != 0)
            continue;
        g_warning("domain '%s': disk '%s': %s: %s", domain->name, disk->target,
                  operation ? operation : "?", reason ? reason : "?");
        events_io_error(domain->daemon->events, domain, disk->source ? disk->source : "", alias,
                        no_space ? "enospc" : "");
    }
}

/* The VMM has pulled the guest's cable, and nobody can plug it in again. */
static void on_peer_lost(struct domain *domain, json_t *data)
{
    const char *id = json_string_value(json_object_get(data, "netdev-id"));

    for (guint i = 0; i < domain->live->nets->len; i++) {
        struct domain_net *net = domain_net_at(domain->live, i);

        if (g_strcmp0(net->info.alias, id) != 0)
            continue;
        net->link = DOMAIN_NET_LINK_DOWN;
        g_warning("domain '%s': the process behind interface '%s' is gone, and its link is down",
                  domain->name, id);
    }
}

static void on_monitor_broke(struct domain *domain, json_t *data)
{
    g_warning("domain '%s': its VMM said something that is no QMP, and is not listened to any more",
              domain->name);
    events_control_error(domain->daemon->events, domain);
}

static const struct {
    const char *name;
    void (*fn)(struct domain *domain, json_t *data);
} vmm_events[] = {
    {"STOP", on_stop},
    {"RESUME", on_resume},
    {"RESET", on_reset},
    {"SHUTDOWN", on_shutdown},
    {"GUEST_PANICKED", on_panic},
    {"BALLOON_CHANGE", on_balloon},
    {"VSERPORT_CHANGE", on_port},
    {"DEVICE_NEEDS_RESET", on_device_broke},
    {"BLOCK_IO_ERROR", on_io_error},
    {"NETDEV_STREAM_DISCONNECTED", on_peer_lost},
    {MONITOR_BROKE, on_monitor_broke},
};

static gboolean write_status(gpointer opaque)
{
    struct domain *domain = opaque;

    domain_lock(domain);
    domain_write_due_status(domain);
    domain_unlock(domain);
    return G_SOURCE_REMOVE;
}

/* Once for all events that came together, however many a VMM sends. */
static void status_changed(struct domain *domain)
{
    if (domain->status_due)
        return;
    domain->status_due = true;
    g_idle_add_full(G_PRIORITY_DEFAULT, write_status, domain_ref(domain),
                    (GDestroyNotify)domain_unref);
}

void domain_vmm_event(struct vmm *vmm, gpointer opaque, const char *event, json_t *data)
{
    struct domain *domain = opaque;

    domain_lock(domain);
    for (gsize i = 0; i < G_N_ELEMENTS(vmm_events) && domain->vmm == vmm; i++) {
        if (strcmp(vmm_events[i].name, event) == 0) {
            vmm_events[i].fn(domain, data);
            status_changed(domain);
        }
    }
    domain_unlock(domain);
}
