/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection. Its socket is read in the main thread only. Packets are written by whoever has
 * one, in client_send(), as far as the socket takes them at once; the main thread does the rest. A
 * client may have max_client_requests calls under way; while it has, or while it does not take its
 * replies, nothing more is read from it.
 *
 * Reference counted: a call that is still running keeps the struct of a client that is gone.
 */
#ifndef VOLE_CLIENT_H
#define VOLE_CLIENT_H

#include <gio/gio.h>
#include <stdbool.h>
#include <sys/types.h>

#include "libvirt-driver/daemon.h"
#include "libvirt-driver/rpc/packet.h"

struct client;
struct proxy;
struct stream;

/* Who is at the other end of the socket. */
struct client_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/* Takes over `fd`. `auth` is what it has to pass (enum auth) before it may do anything. Main
 * thread.
 */
struct client *client_new(struct daemon *daemon, int fd, const struct client_peer *peer,
                          bool readonly, guint auth);
struct client *client_ref(struct client *client);
void client_unref(struct client *client);
typedef struct client held_client; /* until the end of the scope */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(held_client, client_unref)

/* Any thread. Takes over `packet`; thrown away when the client is gone. */
void client_send(struct client *client, GBytes *packet);
/* The same for what the client did not just ask for: one that lets events pile up is dropped. */
void client_send_event(struct client *client, GBytes *packet);
/* Any thread: ends the connection soon. */
void client_drop(struct client *client, const char *why);
/* Main thread: ends it now. */
void client_close(struct client *client);
/* Any thread. */
bool client_is_gone(struct client *client);

/* The call that was handed to a worker is answered. Any thread. */
void client_call_done(struct client *client);

/* What the client has still to pass: AUTH_NONE, nothing. */
guint client_auth(struct client *client);
bool client_is_authenticated(struct client *client);
/* Any thread. */
void client_set_authenticated(struct client *client);

/* A client has one question of who it is under way, which is cancelled when it goes: NULL, there is
 * one already. The client's own. Main thread. */
GCancellable *client_begin_authentication(struct client *client);
void client_end_authentication(struct client *client);

/* CONNECT_OPEN: false when it is open already. `readonly` can only take rights away. */
bool client_open(struct client *client, const char *uri, bool readonly);
bool client_is_open(struct client *client);
bool client_is_readonly(struct client *client);
/* The URI it was opened with, to be freed. */
char *client_uri(struct client *client);
const struct client_peer *client_peer(const struct client *client);
/* Its supplementary groups when it connected, to be released: gid_t. Main thread. */
GArray *client_groups(struct client *client);
/* For whom it said that it speaks: the payload of its CONNECT_SET_IDENTITY. NULL: for itself. */
void client_set_identity(struct client *client, GBytes *payload);
GBytes *client_identity(struct client *client);
/* What it has to do with the host's own libvirt daemons. Main thread, until it is closed. */
struct proxy *client_proxy(struct client *client);
/* Any thread: perhaps it may be read from again. */
void client_wake_up(struct client *client);
/* Bytes that are kept for it: what came from it, until it is dealt with, and what it has not read
 * yet. Any thread. */
gsize client_held(struct client *client);
/* It said that it answers pings. */
void client_enable_keepalive(struct client *client);
/* False when it was registered (or not registered) already. */
bool client_set_close_callback(struct client *client, bool registered);

/* Sends the reply that opens a stream, and starts it. Any thread; takes over both. */
void client_start_stream(struct client *client, struct stream *stream, GBytes *reply);
/* Main thread: the stream has ended. */
void client_forget_stream(struct client *client, struct stream *stream);
/* Main thread: false while enough waits to be sent already. */
bool client_wants_stream_data(struct client *client);

#endif
