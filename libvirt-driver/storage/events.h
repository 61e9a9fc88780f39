/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who wants to be told of pools: registrations of clients for a kind of event, of all pools or of
 * one. Thread-safe; may be called with the storage lock held.
 */
#ifndef VOLE_STORAGE_EVENTS_H
#define VOLE_STORAGE_EVENTS_H

#include <glib.h>
#include <stdbool.h>

#include "xml/storage.h"

struct client;
struct pool_events;

struct pool_events *pool_events_new(void);
void pool_events_free(struct pool_events *events);

/* virStoragePoolEventLifecycleType. */
void pool_events_lifecycle(struct pool_events *events, const struct storage_pool_def *def,
                           int event);
void pool_events_refresh(struct pool_events *events, const struct storage_pool_def *def);

/* `uuid` NULL: of all pools. The registration's id, or -1 with `error` set. */
int pool_events_register(struct pool_events *events, struct client *client, int event,
                         const uint8_t *uuid, GError **error);
bool pool_events_deregister(struct pool_events *events, struct client *client, int id,
                            GError **error);
/* The client is gone: so are its registrations. */
void pool_events_forget_client(struct pool_events *events, struct client *client);

#endif
