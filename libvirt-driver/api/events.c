/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/api/events.h"

#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/util.h"

/* Kinds that libvirt knows; those that nothing here causes can be registered for all the same. */
#define EVENT_KINDS 27
/* What one client may register. */
#define REGISTRATIONS_MAX 1000

/*
 * The kinds that happen here: a message for who registered by id, which has the registration's id
 * in front, and for the older kinds one without, for who registered without ids.
 */
static const struct kind {
    int event; /* virDomainEventID */
    int message;
    const struct rpc_shape *shape;
    int old_message; /* 0: there is none */
    const struct rpc_shape *old_shape;
    gsize old_offset; /* of its fields in the other's */
} kinds[] = {
    {VIR_DOMAIN_EVENT_ID_LIFECYCLE, 318, &rpc_shape_callback_lifecycle_event, 107,
     &rpc_shape_lifecycle_event, G_STRUCT_OFFSET(wire_callback_lifecycle_event, msg)},
    {VIR_DOMAIN_EVENT_ID_REBOOT, 319, &rpc_shape_callback_dom, 169, &rpc_shape_dom,
     G_STRUCT_OFFSET(wire_callback_dom, dom)},
    {VIR_DOMAIN_EVENT_ID_IO_ERROR, 322, &rpc_shape_callback_io_error_event, 172,
     &rpc_shape_io_error_event, G_STRUCT_OFFSET(wire_callback_io_error_event, msg)},
    {VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, 324, &rpc_shape_callback_io_reason_event, 195,
     &rpc_shape_io_reason_event, G_STRUCT_OFFSET(wire_callback_io_reason_event, msg)},
    {VIR_DOMAIN_EVENT_ID_CONTROL_ERROR, 325, &rpc_shape_callback_dom, 224, &rpc_shape_dom,
     G_STRUCT_OFFSET(wire_callback_dom, dom)},
    {VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, 331, &rpc_shape_callback_balloon_event, 276,
     &rpc_shape_balloon_event, G_STRUCT_OFFSET(wire_callback_balloon_event, msg)},
    {VIR_DOMAIN_EVENT_ID_TUNABLE, 346, &rpc_shape_callback_tunable_event, 0, NULL, 0},
    {VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, 348, &rpc_shape_callback_agent_event, 0, NULL, 0},
    {VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, 379, &rpc_shape_callback_metadata_event, 0, NULL, 0},
};

struct registration {
    struct client *client;
    int id;    /* -1: registered the old way */
    int event; /* virDomainEventID */
    bool one_domain;
    uint8_t uuid[DOMAIN_UUID_BYTES];
};

struct events {
    GMutex lock;
    GArray *registrations; /* of struct registration */
    int last_id;
};

struct events *events_new(void)
{
    struct events *events = g_new0(struct events, 1);

    g_mutex_init(&events->lock);
    events->registrations = g_array_new(FALSE, TRUE, sizeof(struct registration));
    return events;
}

void events_free(struct events *events)
{
    g_array_unref(events->registrations);
    g_mutex_clear(&events->lock);
    g_free(events);
}

static struct registration *at(const struct events *events, guint i)
{
    return &g_array_index(events->registrations, struct registration, i);
}

void events_forget_client(struct events *events, struct client *client)
{
    hold_lock(&events->lock);

    for (guint i = events->registrations->len; i > 0; i--) {
        if (at(events, i - 1)->client == client)
            g_array_remove_index(events->registrations, i - 1);
    }
}

/* The lock is held. */
static bool wants(const struct registration *reg, int event, const struct domain *domain)
{
    return reg->event == event &&
           (!reg->one_domain || memcmp(reg->uuid, domain->uuid, DOMAIN_UUID_BYTES) == 0);
}

static const struct kind *find_kind(int event)
{
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (kinds[i].event == event)
            return &kinds[i];
    }
    g_assert_not_reached();
}

/* `message` is a value of the kind's shape, whose first field is the registration's id. */
static void send_event(struct events *events, const struct domain *domain, int event, void *message)
{
    hold_lock(&events->lock);
    const struct kind *kind = find_kind(event);

    for (guint i = 0; i < events->registrations->len; i++) {
        const struct registration *reg = at(events, i);

        if (!wants(reg, event, domain))
            continue;
        *(int *)message = reg->id;
        if (reg->id >= 0)
            rpc_send_message(reg->client, kind->message, kind->shape, message);
        else if (kind->old_message)
            rpc_send_message(reg->client, kind->old_message, kind->old_shape,
                             (char *)message + kind->old_offset);
    }
}

void events_lifecycle(struct events *events, struct domain *domain, int type, int detail)
{
    wire_callback_lifecycle_event message = {.msg = {.event = type, .detail = detail}};

    api_fill_domain(&message.msg.dom, domain);
    send_event(events, domain, VIR_DOMAIN_EVENT_ID_LIFECYCLE, &message);
    rpc_value_clear(&rpc_shape_callback_lifecycle_event, &message);
}

/* For the kinds that tell no more than which domain it is. */
static void send_plain(struct events *events, struct domain *domain, int event)
{
    wire_callback_dom message = {0};

    api_fill_domain(&message.dom, domain);
    send_event(events, domain, event, &message);
    rpc_value_clear(&rpc_shape_callback_dom, &message);
}

void events_reboot(struct events *events, struct domain *domain)
{
    send_plain(events, domain, VIR_DOMAIN_EVENT_ID_REBOOT);
}

void events_control_error(struct events *events, struct domain *domain)
{
    send_plain(events, domain, VIR_DOMAIN_EVENT_ID_CONTROL_ERROR);
}

void events_balloon(struct events *events, struct domain *domain, guint64 actual_kib)
{
    wire_callback_balloon_event message = {.msg.actual = actual_kib};

    api_fill_domain(&message.msg.dom, domain);
    send_event(events, domain, VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, &message);
    rpc_value_clear(&rpc_shape_callback_balloon_event, &message);
}

void events_io_error(struct events *events, struct domain *domain, const char *source,
                     const char *alias, const char *reason)
{
    wire_callback_io_error_event plain = {.msg.action = VIR_DOMAIN_EVENT_IO_ERROR_REPORT};
    wire_callback_io_reason_event full = {.msg.action = VIR_DOMAIN_EVENT_IO_ERROR_REPORT};

    api_fill_domain(&plain.msg.dom, domain);
    plain.msg.source = g_strdup(source);
    plain.msg.alias = g_strdup(alias);
    send_event(events, domain, VIR_DOMAIN_EVENT_ID_IO_ERROR, &plain);
    rpc_value_clear(&rpc_shape_callback_io_error_event, &plain);

    api_fill_domain(&full.msg.dom, domain);
    full.msg.source = g_strdup(source);
    full.msg.alias = g_strdup(alias);
    full.msg.reason = g_strdup(reason);
    send_event(events, domain, VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, &full);
    rpc_value_clear(&rpc_shape_callback_io_reason_event, &full);
}

void events_metadata(struct events *events, struct domain *domain, int type, const char *uri)
{
    wire_callback_metadata_event message = {.type = type};

    api_fill_domain(&message.dom, domain);
    if (uri) {
        message.uri = g_new(wire_string, 1);
        *message.uri = g_strdup(uri);
    }
    send_event(events, domain, VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, &message);
    rpc_value_clear(&rpc_shape_callback_metadata_event, &message);
}

void events_agent(struct events *events, struct domain *domain, int state, int reason)
{
    wire_callback_agent_event message = {.state = state, .reason = reason};

    api_fill_domain(&message.dom, domain);
    send_event(events, domain, VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, &message);
    rpc_value_clear(&rpc_shape_callback_agent_event, &message);
}

void events_tunable(struct events *events, struct domain *domain, const GArray *params)
{
    wire_callback_tunable_event message = {.params.params_len = params->len};

    message.params.params_val = (wire_param *)(void *)params->data;
    api_fill_domain(&message.dom, domain);
    send_event(events, domain, VIR_DOMAIN_EVENT_ID_TUNABLE, &message);
    g_free(message.dom.name);
}

/* How many the client has, and where the one that matches is (or the array's length). */
static guint find(const struct events *events, const struct client *client, int id, int event,
                  guint *found)
{
    guint count = 0;

    *found = events->registrations->len;
    for (guint i = 0; i < events->registrations->len; i++) {
        const struct registration *reg = at(events, i);

        if (reg->client != client)
            continue;
        count++;
        if (reg->id == id && (id >= 0 || reg->event == event))
            *found = i;
    }
    return count;
}

/* `by_id`: gives it an id, which is returned in `*id`. */
static bool add(struct call *call, int event, const wire_domain *dom, bool by_id, int *id,
                GError **error)
{
    struct events *events = call->daemon->events;
    hold_lock(&events->lock);
    struct registration reg = {.client = call->client, .id = -1, .event = event};
    guint found;
    guint count = find(events, call->client, -1, event, &found);

    if (event < 0 || event >= EVENT_KINDS) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "unsupported event ID %d", event);
        return false;
    }
    if (!by_id && found < events->registrations->len) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "domain event %d already registered",
                          event);
        return false;
    }
    if (count >= REGISTRATIONS_MAX) {
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "too many event registrations");
        return false;
    }
    /* A client that has gone meanwhile is forgotten already, or will be after this. */
    if (client_is_gone(call->client))
        return true;
    if (dom) {
        reg.one_domain = true;
        memcpy(reg.uuid, dom->uuid, DOMAIN_UUID_BYTES);
    }
    if (by_id) {
        events->last_id = events->last_id == G_MAXINT ? 0 : events->last_id + 1;
        reg.id = events->last_id;
        *id = reg.id;
    }
    g_array_append_val(events->registrations, reg);
    return true;
}

static bool take_away(struct call *call, int id, int event, GError **error)
{
    struct events *events = call->daemon->events;
    hold_lock(&events->lock);
    guint found;

    find(events, call->client, id, event, &found);
    if (found < events->registrations->len) {
        g_array_remove_index(events->registrations, found);
        return true;
    }
    if (id >= 0)
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "domain event callback %d not registered",
                          id);
    else
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "domain event %d not registered", event);
    return false;
}

bool api_connect_domain_event_callback_register_any(struct call *call,
                                                    const wire_event_register_args *in,
                                                    wire_int *out, GError **error)
{
    return add(call, in->event, in->dom, true, &out->value, error);
}

bool api_connect_domain_event_callback_deregister_any(struct call *call, const wire_int *in,
                                                      wire_none *out, GError **error)
{
    if (in->value >= 0)
        return take_away(call, in->value, -1, error);
    libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "domain event callback %d not registered",
                      in->value);
    return false;
}

bool api_connect_domain_event_register_any(struct call *call, const wire_int *in, wire_none *out,
                                           GError **error)
{
    return add(call, in->value, NULL, false, NULL, error);
}

bool api_connect_domain_event_deregister_any(struct call *call, const wire_int *in, wire_none *out,
                                             GError **error)
{
    return take_away(call, -1, in->value, error);
}

bool api_connect_domain_event_register(struct call *call, const wire_none *in, wire_int *out,
                                       GError **error)
{
    out->value = 1;
    return add(call, VIR_DOMAIN_EVENT_ID_LIFECYCLE, NULL, false, NULL, error);
}

bool api_connect_domain_event_deregister(struct call *call, const wire_none *in, wire_int *out,
                                         GError **error)
{
    out->value = 0;
    return take_away(call, -1, VIR_DOMAIN_EVENT_ID_LIFECYCLE, error);
}
