/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection to one driver of one of the host's libvirt daemons, for one client. Packets go
 * through it as they are, but for the ids of registrations for events: the serials are the
 * client's, and nobody else's are on this connection.
 *
 *     connecting -> asking who may (AUTH_LIST) -> [polkit] -> opening -> [identity] ->
 *     [registering anew for events] -> ready
 *
 * Until it is ready, calls wait in it. While calls or streams are under way and nothing is heard,
 * it is pinged; one that does not answer is given up, as is one that breaks the protocol or lets us
 * wait too long for its consent. What was under way is then answered with an error.
 *
 * Main thread only.
 */
#ifndef VOLE_PROXY_UPSTREAM_H
#define VOLE_PROXY_UPSTREAM_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/client.h"
#include "libvirt-driver/proxy/registrations.h"
#include "libvirt-driver/proxy/table.h"
#include "libvirt-driver/rpc/packet.h"

struct proxy;
struct upstream;

/*
 * What its owner is told, as the last thing: the upstream is gone when these are called, and what
 * waited in it is the owner's to answer.
 *
 * absent   the host has no such driver; `daemon_says_so` when a daemon is there and said that
 */
struct upstream_ops {
    void (*absent)(struct proxy *proxy, enum proxy_driver driver, GQueue *waiting,
                   bool daemon_says_so);
    void (*ended)(struct proxy *proxy, enum proxy_driver driver);
};

/* `registrations` stay the caller's, for the next upstream to this driver. */
struct upstream *upstream_new(struct proxy *proxy, const struct upstream_ops *ops,
                              struct daemon *daemon, struct client *client,
                              enum proxy_driver driver, struct registrations *registrations);
/* Begins to connect. It may end before this returns. */
void upstream_start(struct upstream *upstream);
/* Without a word: the client is gone. */
void upstream_free(struct upstream *upstream);

/* Whether the daemon has closed the connection, of which the main loop may have to tell still; then
 * it is gone, and its owner has been told: a new call is the next daemon's. */
bool upstream_has_ended(struct upstream *upstream);
/* A call of the client's, to be answered by client_send() and client_call_done(). */
void upstream_call(struct upstream *upstream, const struct rpc_header *header, GBytes *packet);
/* Whether that serial is that of a call or stream which is under way. */
bool upstream_has_serial(struct upstream *upstream, uint32_t serial);
/* A packet of a stream; false when there is no such stream here. */
bool upstream_stream_packet(struct upstream *upstream, const struct rpc_header *header,
                            GBytes *packet);
/* Too much waits to be sent: the client must not be read from. */
bool upstream_is_full(struct upstream *upstream);
/* The client takes data again, or does not. */
void upstream_update(struct upstream *upstream);

#endif
