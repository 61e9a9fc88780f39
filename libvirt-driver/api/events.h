/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who wants to be told what. Clients register for a kind of event, of all domains or of one; an
 * event is sent to each registration that matches, from whatever thread it happens in and in the
 * order in which it happens. Thread-safe; may be called with a domain's lock held.
 */
#ifndef VOLE_API_EVENTS_H
#define VOLE_API_EVENTS_H

#include <glib.h>

struct client;
struct domain;
struct events;

struct events *events_new(void);
void events_free(struct events *events);

/* virDomainEventType and its detail. */
void events_lifecycle(struct events *events, struct domain *domain, int type, int detail);
void events_reboot(struct events *events, struct domain *domain);
/* What the guest has left of its memory. */
void events_balloon(struct events *events, struct domain *domain, guint64 actual_kib);
/* A disk told its guest of an error; its source and alias. `reason` is "enospc", or empty. */
void events_io_error(struct events *events, struct domain *domain, const char *source,
                     const char *alias, const char *reason);
/* The domain's VMM cannot be talked to any more. */
void events_control_error(struct events *events, struct domain *domain);
/* virDomainMetadataType, and the namespace of an element. */
void events_metadata(struct events *events, struct domain *domain, int type, const char *uri);
/* virConnectDomainEventAgentLifecycleState and its reason. */
void events_agent(struct events *events, struct domain *domain, int state, int reason);
/* What was tuned in the running domain: wire_params, which stay the caller's. */
void events_tunable(struct events *events, struct domain *domain, const GArray *params);

/* The client is gone: so are its registrations. */
void events_forget_client(struct events *events, struct client *client);

#endif
