/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Networks, storage, node devices, host interfaces, secrets and network filters are not ours: calls
 * on them are handed on to the host's own libvirt daemons, and their answers back. Each client has
 * connections of its own to them, one for each driver, made at the first call that needs it, with
 * the client's own user and groups (proxy/connect.h) and read-only if the client is: it can do
 * there what it could have done by itself, and no more.
 *
 * Nothing is started: a daemon is there when its socket is, the modular daemon's
 * (virtnetworkd-sock) before the monolithic one's (libvirt-sock). Where there is none, the call
 * comes back to the dispatch table: for storage to the built-in driver, for lists to an empty one,
 * and otherwise to "not supported".
 *
 * Main thread only.
 */
#ifndef VOLE_PROXY_PROXY_H
#define VOLE_PROXY_PROXY_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/client.h"
#include "libvirt-driver/proxy/table.h"
#include "libvirt-driver/rpc/packet.h"

struct proxy;

struct proxy *proxy_new(struct daemon *daemon, struct client *client);
/* The client is gone. */
void proxy_free(struct proxy *proxy);

/* The driver that a call is for, or PROXY_NONE. */
enum proxy_driver proxy_driver_of(const struct rpc_header *header, GBytes *packet);
/* Takes over a call, which ends in client_call_done(), be it here or in rpc_dispatch_here(). */
void proxy_call(struct proxy *proxy, enum proxy_driver driver, const struct rpc_header *header,
                GBytes *packet);
/* A packet for a stream that is none of ours; ignored when it is of none at all. */
void proxy_stream_packet(struct proxy *proxy, const struct rpc_header *header, GBytes *packet);
bool proxy_is_full(struct proxy *proxy);
void proxy_update(struct proxy *proxy);

#endif
