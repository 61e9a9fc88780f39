/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who wants to be told what. Clients register for a kind of event, of all domains or of one; an
 * event is sent to each registration that matches, from whatever thread it happens in and in the
 * order in which it happens. Thread-safe; may be called with a domain's lock held.
 */
#ifndef VOLE_API_EVENTS_H
#define VOLE_API_EVENTS_H

struct client;
struct domain;
struct events;

struct events *events_new(void);
void events_free(struct events *events);

/* virDomainEventType and its detail. */
void events_lifecycle(struct events *events, struct domain *domain, int type, int detail);
void events_reboot(struct events *events, struct domain *domain);

/* The client is gone: so are its registrations. */
void events_forget_client(struct events *events, struct client *client);

#endif
