/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client's registrations for the events of one of the host's drivers. The daemon that they were
 * made with may end, and another one take its place: they are made with that one again before
 * anything else is asked of it, and the client knows nothing of it. For that the ids which the
 * client has are of our own making; the daemon's stand in the packets only upstream of here.
 *
 * An event that was due while no daemon was there is lost: nobody saw it.
 *
 * Main thread only.
 */
#ifndef VOLE_PROXY_REGISTRATIONS_H
#define VOLE_PROXY_REGISTRATIONS_H

#include <glib.h>

#include "libvirt-driver/rpc/packet.h"

struct registrations;

struct registrations *registrations_new(void);
void registrations_free(struct registrations *registrations);

/*
 * What passes by, each time the packet that is to be handed on (the caller's). Those that are not
 * about registrations are handed on as they are.
 *
 * A call of the client's; NULL with `error` set when it has too many registrations already.
 */
GBytes *registrations_call(struct registrations *registrations, const struct rpc_header *header,
                           GBytes *packet, GError **error);
/* The answer to one. */
GBytes *registrations_reply(struct registrations *registrations, const struct rpc_header *header,
                            GBytes *packet);
/* An event; NULL when nobody has asked for it. */
GBytes *registrations_event(struct registrations *registrations, const struct rpc_header *header,
                            GBytes *packet);

/* The connection to the daemon is gone. */
void registrations_lost(struct registrations *registrations);
/* The next one that a new connection has to make again: the payload (borrowed) of a call of
 * `*procedure`. NULL when all are made. */
GBytes *registrations_next(struct registrations *registrations, int *procedure);
/* The answer to that call. One that is refused stays with the client, which hears no events of it.
 */
void registrations_made(struct registrations *registrations, const struct rpc_header *header,
                        GBytes *packet);

#endif
