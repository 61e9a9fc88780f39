/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One connection to the monitor: bytes to requests, replies and events to bytes. */
#ifndef VOLE_QMP_CLIENT_H
#define VOLE_QMP_CLIENT_H

#include <jansson.h>

#include "vmm/loop.h"
#include "vmm/machine.h"
#include "vmm/util.h"

#define QMP_MESSAGE_MAX ((size_t)(64 * KiB)) /* of one request */
#define QMP_DEPTH_MAX   64                   /* of its nesting */
#define QMP_OUTPUT_MAX  ((size_t)(1 * MiB))  /* that a client may leave unread */

struct qmp_client;

/*
 * Takes over `fd`, a connected stream socket, and sends the greeting. Each time the loop has served
 * the client, `served(opaque)` is called last, and may free it. NULL with `err` set.
 */
struct qmp_client *qmp_client_new(int fd, struct machine *m, struct loop *loop,
                                  void (*served)(void *opaque), void *opaque, struct error *err);
void qmp_client_free(struct qmp_client *client);

/* False once the connection is lost or given up, which only happens while the client is served;
 * what is left to do is to free it. */
bool qmp_client_is_open(const struct qmp_client *client);
/* The other side has hung up: when all that it sent is done, the connection is lost. */
bool qmp_client_has_left(const struct qmp_client *client);
/* Whether it has finished negotiating, and so wants events. */
bool qmp_client_is_ready(const struct qmp_client *client);

/* Sends a message, or hangs up on a client that has too much to read already. Does not take the
 * reference. */
void qmp_client_send(struct qmp_client *client, const json_t *message);

/* What the socket does with bytes that came in. */
void qmp_client_feed(struct qmp_client *client, const char *data, size_t len);

#endif
