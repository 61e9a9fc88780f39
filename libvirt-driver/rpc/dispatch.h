/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a call's packet to its handler and back to a reply.
 *
 * The dispatch table (rpc/procedures.def) says for each procedure what it takes and gives, who may
 * call it and when. Everything that can be said from that is done here, once: unknown procedures,
 * rights, decoding, errors, replies. A handler gets values and gives values.
 */
#ifndef VOLE_RPC_DISPATCH_H
#define VOLE_RPC_DISPATCH_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/client.h"
#include "libvirt-driver/rpc/packet.h"

/* What a handler learns of the call beside its arguments. */
struct call {
    struct daemon *daemon;
    struct client *client;
    struct rpc_header header;
    struct stream *stream; /* set by a handler that opens one */
    bool deferred;         /* its answer comes later, from rpc_answer() */
};

/*
 * Fills `*ret`, which comes zeroed, and returns true; or returns false with `error` set. What
 * `*ret` points to is freed by the dispatcher (free() and g_free() are the same), as are the
 * arguments. Runs in a worker thread, or in the main thread when the table says NOW. One that has
 * called rpc_defer() returns true, and answers some time later.
 */
typedef bool (*rpc_handler)(struct call *call, const void *args, void *ret, GError **error);

/* From when on a procedure may be called. */
enum rpc_phase { RPC_PHASE_AUTH, RPC_PHASE_ANY, RPC_PHASE_OPEN };

/* Where it runs. */
enum rpc_pool { RPC_POOL_NOW, RPC_POOL_QUICK, RPC_POOL_WAIT };

struct rpc_procedure {
    int number;
    const char *name;
    const struct rpc_shape *args;
    const struct rpc_shape *ret;
    rpc_handler handler;
    bool needs_write;
    enum rpc_phase phase;
    enum rpc_pool pool;
};

/* NULL when it is not served. */
const struct rpc_procedure *rpc_procedure_find(int number);
/* All of them, for tests: one more than the largest number; entries without a name are not served.
 */
const struct rpc_procedure *rpc_procedures(gsize *count);

/* Main thread: hands the call on to one of the host's own daemons, runs it, gives it to a worker,
 * or answers it with an error. Ends in client_call_done() in any case. */
void rpc_dispatch(struct daemon *daemon, struct client *client, const struct rpc_header *header,
                  GBytes *packet);
/* The same for a call that no other daemon is there for. */
void rpc_dispatch_here(struct daemon *daemon, struct client *client,
                       const struct rpc_header *header, GBytes *packet);

/* A copy of the call, whose arguments are gone when its handler returns, and its end: sends the
 * value (of the procedure's shape), or the error if there is one, and frees the copy. Any thread.
 */
struct call *rpc_defer(struct call *call);
void rpc_answer(struct call *call, const struct rpc_shape *shape, const void *value,
                const GError *error);

/* "virDomainDestroy" for DOMAIN_DESTROY; to be freed. */
char *rpc_procedure_function(const struct rpc_procedure *procedure);

/* Sends a message that no call asked for. */
void rpc_send_message(struct client *client, int procedure, const struct rpc_shape *shape,
                      const void *value);

#endif
