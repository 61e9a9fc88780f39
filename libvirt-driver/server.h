/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listening sockets, the clients that came through them, and the threads that run their calls.
 */
#ifndef VOLE_SERVER_H
#define VOLE_SERVER_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/daemon.h"

struct client;
struct server;

struct server *server_new(struct daemon *daemon);
/* After server_stop(), or when it never started. */
void server_free(struct server *server);

/*
 * Takes the sockets that systemd passed, or binds the daemon's own in paths.socket_dir:
 * virtvoled-sock and virtqemuvoled-sock, and for the system their read-only companions ("-ro"). A
 * lock file beside them makes sure that a socket is only replaced when nobody listens on it.
 */
bool server_listen(struct server *server, GError **error);
/* From now on connections are accepted. After `idle_timeout` seconds (0: never) without a client
 * and without a running domain the main loop ends. */
void server_start(struct server *server, guint idle_timeout);
/* The main loop has ended: takes no more connections, drops every client, and lets the calls that
 * run come to their end, for which the main loop runs again. */
void server_stop(struct server *server);
/* A domain has started or stopped. Any thread. */
void server_activity_changed(struct server *server);

/* A worker begins, or ends, to wait for somebody else (another worker, a VMM, a daemon of the
 * host): meanwhile there is one more in its place, so that others than those who wait are served.
 * Any thread. */
void server_worker_waits(struct server *server, bool waits);

/* Runs fn(data, daemon) in a worker thread. `quick`: it never waits for a VMM. False once the
 * server stops: nothing is run any more, and the data is still the caller's. */
bool server_run(struct server *server, void (*fn)(gpointer data, struct daemon *daemon),
                gpointer data, bool quick);

/* What the daemon keeps for its clients (packets that are not complete yet, calls, replies that
 * they have not read) has become so many bytes more, or less. Beyond a limit those connections end
 * for which most is kept, and before all others those that may only look. Any thread. */
void server_hold(struct server *server, gssize bytes);

/* A client has passed what it was asked for. Main thread. */
void server_client_authenticated(struct server *server, struct client *client);
/* A client is gone and is to be forgotten. Main thread. */
void server_remove_client(struct server *server, struct client *client);

#endif
