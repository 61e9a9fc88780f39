/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The monitor's sockets and who is connected to them. */
#include "vmm/qmp/qmp.h"

#include "vmm/qmp/client.h"
#include "vmm/qmp/commands.h"
#include "vmm/qmp/events.h"
#include "vmm/socket.h"

#define MAX_CLIENTS 16

struct listener {
    struct qmp *qmp;
    struct unix_listener socket;
    struct loop_watch watch;
};

struct qmp {
    struct machine *machine;
    struct loop *loop;
    struct listener listeners[CONFIG_MAX_QMP];
    unsigned listener_count;
    struct qmp_client *clients[MAX_CLIENTS]; /* NULL: free place */
};

/* A connection ends in the middle of things (a reply, an event); it is freed here, when nobody
 * stands in one of its functions. True when there was one. */
static bool free_lost_clients(struct qmp *qmp)
{
    bool any = false;

    for (unsigned i = 0; i < MAX_CLIENTS; i++) {
        if (qmp->clients[i] && !qmp_client_is_open(qmp->clients[i])) {
            qmp_client_free(qmp->clients[i]);
            qmp->clients[i] = NULL;
            any = true;
        }
    }
    return any;
}

static void let_in(struct listener *l);

/* Who goes makes place for those that wait. */
static void client_served(void *opaque)
{
    struct qmp *qmp = opaque;

    if (!free_lost_clients(qmp))
        return;
    for (unsigned i = 0; i < qmp->listener_count; i++)
        let_in(&qmp->listeners[i]);
}

/* Takes over `fd`. */
static int add_client(struct qmp *qmp, int fd, struct error *err)
{
    for (unsigned i = 0; i < MAX_CLIENTS; i++) {
        if (qmp->clients[i])
            continue;
        qmp->clients[i] = qmp_client_new(fd, qmp->machine, qmp->loop, client_served, qmp, err);
        return qmp->clients[i] ? 0 : -1;
    }
    close(fd);
    return error_set(err, "%d clients are connected, no more are possible", MAX_CLIENTS);
}

/* No place is free, but one will be: the loop has yet to tell that its client hung up. */
static bool place_gets_free(const struct qmp *qmp)
{
    bool has_left = false;

    for (unsigned i = 0; i < MAX_CLIENTS; i++) {
        if (!qmp->clients[i])
            return false;
        has_left |= qmp_client_has_left(qmp->clients[i]);
    }
    return has_left;
}

static void let_in(struct listener *l)
{
    struct error err;
    int fd;

    while (!place_gets_free(l->qmp) && (fd = unix_listener_accept(&l->socket)) >= 0)
        if (add_client(l->qmp, fd, &err) < 0)
            log_warn("qmp: %s", err.msg);
}

static void client_waits(void *opaque, uint32_t events)
{
    struct listener *l = opaque;

    (void)events;
    free_lost_clients(l->qmp);
    let_in(l);
}

/* ---- opening ---- */

static struct listener *new_listener(struct qmp *qmp)
{
    struct listener *l = &qmp->listeners[qmp->listener_count++];

    *l = (struct listener){.qmp = qmp, .socket = UNIX_LISTENER_CLOSED, .watch.fd = -1};
    return l;
}

/* Edge-triggered: while those that wait cannot be let in, the loop does not spin. */
static int start_listener(struct listener *l, struct error *err)
{
    return loop_add(l->qmp->loop, &l->watch, l->socket.fd, EPOLLIN | EPOLLET, client_waits, l, err);
}

static int open_inherited(struct qmp *qmp, const char *spec, struct error *err)
{
    int fd = inherit_fd(spec, err);
    struct listener *l;

    if (fd < 0)
        return -1;
    switch (socket_role(fd)) {
    case SOCKET_CONNECTED:
        return add_client(qmp, fd, err);
    case SOCKET_LISTENING:
        l = new_listener(qmp);
        unix_listener_adopt(&l->socket, fd);
        return start_listener(l, err);
    default:
        return error_set(err, "%s: is neither a listening nor a connected stream socket", spec);
    }
}

static int open_spec(struct qmp *qmp, const char *spec, struct error *err)
{
    struct listener *l;

    if (spec_is_fd(spec))
        return open_inherited(qmp, spec, err);
    if (strncmp(spec, "unix:", 5) != 0)
        return error_set(err, "\"%s\" is neither unix:PATH nor fd:N", spec);
    l = new_listener(qmp);
    if (unix_listener_open(&l->socket, spec + 5, err) < 0)
        return -1;
    return start_listener(l, err);
}

struct qmp *qmp_new(struct machine *m, struct loop *loop, char *const *specs, unsigned count,
                    struct error *err)
{
    struct qmp *qmp = xcalloc(1, sizeof(*qmp));

    qmp->machine = m;
    qmp->loop = loop;
    for (unsigned i = 0; i < count; i++) {
        int rc = i < CONFIG_MAX_QMP ? open_spec(qmp, specs[i], err)
                                    : error_set(err, "more than %d sockets", CONFIG_MAX_QMP);

        if (rc < 0) {
            error_prefix(err, "qmp");
            qmp_free(qmp);
            return NULL;
        }
    }
    return qmp;
}

void qmp_stop_listening(struct qmp *qmp)
{
    if (!qmp)
        return;
    while (qmp->listener_count > 0) {
        struct listener *l = &qmp->listeners[--qmp->listener_count];

        loop_remove(qmp->loop, &l->watch);
        unix_listener_close(&l->socket);
    }
}

void qmp_free(struct qmp *qmp)
{
    if (!qmp)
        return;
    qmp_stop_listening(qmp);
    for (unsigned i = 0; i < MAX_CLIENTS; i++)
        qmp_client_free(qmp->clients[i]);
    free(qmp);
}

void qmp_machine_event(struct qmp *qmp, const struct machine_event *ev)
{
    json_t *message = qmp_event(ev);

    for (unsigned i = 0; i < MAX_CLIENTS; i++)
        if (qmp->clients[i] && qmp_client_is_ready(qmp->clients[i]))
            qmp_client_send(qmp->clients[i], message);
    json_decref(message);
}
