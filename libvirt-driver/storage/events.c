/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/storage/events.h"

#include <libvirt/libvirt.h>
#include <string.h>

#include "libvirt-driver/rpc/dispatch.h"
#include "libvirt-driver/util.h"
#include "xml/error.h"

#define REGISTRATIONS_MAX 1000

/* Messages of the protocol. */
enum { MESSAGE_LIFECYCLE = 370, MESSAGE_REFRESH = 373 };

struct registration {
    struct client *client;
    int id;
    int event; /* virStoragePoolEventID */
    bool one_pool;
    uint8_t uuid[DOMAIN_UUID_BYTES];
};

struct pool_events {
    GMutex lock;
    GArray *registrations; /* of struct registration */
    int last_id;
};

struct pool_events *pool_events_new(void)
{
    struct pool_events *events = g_new0(struct pool_events, 1);

    g_mutex_init(&events->lock);
    events->registrations = g_array_new(FALSE, TRUE, sizeof(struct registration));
    return events;
}

void pool_events_free(struct pool_events *events)
{
    g_array_unref(events->registrations);
    g_mutex_clear(&events->lock);
    g_free(events);
}

static struct registration *at(const struct pool_events *events, guint i)
{
    return &g_array_index(events->registrations, struct registration, i);
}

static bool wants(const struct registration *reg, int event, const struct storage_pool_def *def)
{
    return reg->event == event &&
           (!reg->one_pool || memcmp(reg->uuid, def->uuid, DOMAIN_UUID_BYTES) == 0);
}

static wire_pool wire_name(const struct storage_pool_def *def)
{
    wire_pool pool = {.name = def->name};

    memcpy(pool.uuid, def->uuid, DOMAIN_UUID_BYTES);
    return pool;
}

void pool_events_lifecycle(struct pool_events *events, const struct storage_pool_def *def,
                           int event)
{
    hold_lock(&events->lock);
    wire_pool_event message = {.pool = wire_name(def), .event = event};

    for (guint i = 0; i < events->registrations->len; i++) {
        if (!wants(at(events, i), VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE, def))
            continue;
        message.callback = at(events, i)->id;
        rpc_send_message(at(events, i)->client, MESSAGE_LIFECYCLE, &rpc_shape_pool_event, &message);
    }
}

void pool_events_refresh(struct pool_events *events, const struct storage_pool_def *def)
{
    hold_lock(&events->lock);
    wire_pool_refresh_event message = {.pool = wire_name(def)};

    for (guint i = 0; i < events->registrations->len; i++) {
        if (!wants(at(events, i), VIR_STORAGE_POOL_EVENT_ID_REFRESH, def))
            continue;
        message.callback = at(events, i)->id;
        rpc_send_message(at(events, i)->client, MESSAGE_REFRESH, &rpc_shape_pool_refresh_event,
                         &message);
    }
}

static guint count_of(const struct pool_events *events, const struct client *client)
{
    guint count = 0;

    for (guint i = 0; i < events->registrations->len; i++)
        count += at(events, i)->client == client;
    return count;
}

int pool_events_register(struct pool_events *events, struct client *client, int event,
                         const uint8_t *uuid, GError **error)
{
    hold_lock(&events->lock);
    struct registration reg = {.client = client, .event = event};

    if (event != VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE &&
        event != VIR_STORAGE_POOL_EVENT_ID_REFRESH) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "unsupported storage pool event ID %d",
                          event);
        return -1;
    }
    if (count_of(events, client) >= REGISTRATIONS_MAX) {
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "too many event registrations");
        return -1;
    }
    events->last_id = events->last_id == G_MAXINT ? 0 : events->last_id + 1;
    reg.id = events->last_id;
    if (uuid) {
        reg.one_pool = true;
        memcpy(reg.uuid, uuid, DOMAIN_UUID_BYTES);
    }
    /* A client that has gone meanwhile is forgotten already, or will be after this. */
    if (!client_is_gone(client))
        g_array_append_val(events->registrations, reg);
    return reg.id;
}

bool pool_events_deregister(struct pool_events *events, struct client *client, int id,
                            GError **error)
{
    hold_lock(&events->lock);

    for (guint i = 0; i < events->registrations->len; i++) {
        if (at(events, i)->client == client && at(events, i)->id == id) {
            g_array_remove_index(events->registrations, i);
            return true;
        }
    }
    libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR,
                      "storage pool event callback %d not registered", id);
    return false;
}

void pool_events_forget_client(struct pool_events *events, struct client *client)
{
    hold_lock(&events->lock);

    for (guint i = events->registrations->len; i > 0; i--) {
        if (at(events, i - 1)->client == client)
            g_array_remove_index(events->registrations, i - 1);
    }
}
