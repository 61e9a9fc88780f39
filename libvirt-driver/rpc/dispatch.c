/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/rpc/dispatch.h"

#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/proxy/proxy.h"
#include "libvirt-driver/rpc/error.h"
#include "libvirt-driver/rpc/stream.h"
#include "libvirt-driver/server.h"

/* Handlers are declared with their own types (api/api.h); the table's are the general ones. */
#define PROCEDURE(number, NAME, args, ret, handler, access, phase, pool)                  \
    static bool call_##NAME(struct call *call, const void *in, void *out, GError **error) \
    {                                                                                     \
        return api_##handler(call, in, out, error);                                       \
    }
#include "libvirt-driver/rpc/procedures.def"
#undef PROCEDURE

static const struct rpc_procedure procedures[] = {
#define PROCEDURE(num, NAME, in, out, fn, access, from, where) \
    [(num)] = {                                                \
        .number = (num),                                       \
        .name = #NAME,                                         \
        .args = &rpc_shape_##in,                               \
        .ret = &rpc_shape_##out,                               \
        .handler = call_##NAME,                                \
        .needs_write = (access),                               \
        .phase = (from),                                       \
        .pool = (where),                                       \
    },
#include "libvirt-driver/rpc/procedures.def"
#undef PROCEDURE
};

const struct rpc_procedure *rpc_procedures(gsize *count)
{
    *count = G_N_ELEMENTS(procedures);
    return procedures;
}

const struct rpc_procedure *rpc_procedure_find(int number)
{
    if (number < 0 || (gsize)number >= G_N_ELEMENTS(procedures) || !procedures[number].name)
        return NULL;
    return &procedures[number];
}

/* Words that libvirt's functions spell in a way of their own. */
static const char *spelled(const char *word)
{
    static const struct {
        const char *word;
        const char *spelling;
    } own[] = {{"XML", "XML"},
               {"URI", "URI"},
               {"CPU", "CPU"},
               {"UUID", "UUID"},
               {"ID", "ID"},
               {"OS", "OS"},
               {"MAC", "MAC"},
               {"DHCP", "DHCP"},
               {"SCSI", "SCSI"},
               {"WWN", "WWN"},
               {"IOTHREAD", "IOThread"},
               {"NWFILTER", "NWFilter"},
               {"NWFILTERS", "NWFilters"}};

    for (gsize i = 0; i < G_N_ELEMENTS(own); i++) {
        if (strcmp(own[i].word, word) == 0)
            return own[i].spelling;
    }
    return NULL;
}

char *rpc_procedure_function(const struct rpc_procedure *procedure)
{
    g_auto(GStrv) words = g_strsplit(procedure->name, "_", -1);
    GString *name = g_string_new("vir");

    for (guint i = 0; words[i]; i++) {
        const char *own = spelled(words[i]);
        g_autofree char *rest = g_ascii_strdown(words[i] + 1, -1);

        if (own)
            g_string_append(name, own);
        else
            g_string_append_printf(name, "%c%s", words[i][0], rest);
    }
    return g_string_free(name, FALSE);
}

static const char *const unserved[] = {
#define UNSERVED(number, function) [(number)] = #function,
#include "libvirt-driver/rpc/unserved.def"
#undef UNSERVED
};

/* The error for a procedure that is not in the table. */
static void refuse_procedure(int number, GError **error)
{
    const struct proxy_procedure *proxied = proxy_procedure_find(number);

    if (proxied && proxied->kind != PROXY_EVENT) {
        const struct rpc_procedure procedure = {.name = proxied->name};
        g_autofree char *function = rpc_procedure_function(&procedure);

        libvirt_error_set(error, VIR_ERR_NO_SUPPORT, "%s", function);
        return;
    }
    if (number >= 0 && (gsize)number < G_N_ELEMENTS(unserved) && unserved[number])
        libvirt_error_set(error, VIR_ERR_NO_SUPPORT, "%s", unserved[number]);
    else /* clients look for these very words and tell "not supported" then */
        libvirt_error_set(error, VIR_ERR_RPC, "unknown procedure: %d", number);
}

struct job {
    const struct rpc_procedure *procedure;
    struct call call;
    GBytes *packet;
};

static void reply_error(struct call *call, const GError *error)
{
    struct rpc_header header = rpc_reply_header(&call->header, RPC_ERROR);

    client_send(call->client, rpc_error_packet(&header, error));
}

/* What the table can tell about whether this client may make this call now. */
static bool call_allowed(const struct call *call, const struct rpc_procedure *procedure,
                         GError **error)
{
    if (procedure->phase > RPC_PHASE_AUTH && !client_is_authenticated(call->client)) {
        libvirt_error_set(error, VIR_ERR_RPC, "authentication required");
        return false;
    }
    if (procedure->phase == RPC_PHASE_OPEN && !client_is_open(call->client)) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "hypervisor connection not open");
        return false;
    }
    if (procedure->needs_write && client_is_readonly(call->client)) {
        g_autofree char *function = rpc_procedure_function(procedure);

        libvirt_error_set(error, VIR_ERR_OPERATION_DENIED, "read only access prevents %s",
                          function);
        return false;
    }
    return true;
}

static void reply_value(struct call *call, const struct rpc_shape *shape, const void *value)
{
    struct rpc_header header = rpc_reply_header(&call->header, RPC_OK);
    GBytes *reply = rpc_packet_new(&header, shape, value);

    if (!reply) {
        g_autoptr(GError) error = NULL;

        libvirt_error_set(&error, VIR_ERR_RPC, "Unable to encode message payload");
        reply_error(call, error);
        g_clear_pointer(&call->stream, stream_close);
    } else if (call->stream) {
        client_start_stream(call->client, g_steal_pointer(&call->stream), reply);
    } else {
        client_send(call->client, reply);
    }
}

static void run_handler(struct call *call, const struct rpc_procedure *procedure, GBytes *packet)
{
    g_autofree void *args = g_malloc0(MAX(procedure->args->size, 1));
    g_autofree void *ret = g_malloc0(MAX(procedure->ret->size, 1));
    g_autoptr(GError) error = NULL;

    if (!rpc_payload_decode(packet, procedure->args, args)) {
        libvirt_error_set(&error, VIR_ERR_RPC, "Unable to decode message payload");
        reply_error(call, error);
    } else if (!procedure->handler(call, args, ret, &error)) {
        reply_error(call, error);
    } else if (!call->deferred) {
        reply_value(call, procedure->ret, ret);
    }
    rpc_value_clear(procedure->args, args);
    rpc_value_clear(procedure->ret, ret);
}

static void run_job(gpointer data, struct daemon *daemon)
{
    struct job *job = data;
    g_autoptr(GError) error = NULL;

    if (call_allowed(&job->call, job->procedure, &error))
        run_handler(&job->call, job->procedure, job->packet);
    else
        reply_error(&job->call, error);
    if (!job->call.deferred)
        client_call_done(job->call.client);
    client_unref(job->call.client);
    g_bytes_unref(job->packet);
    g_free(job);
}

struct call *rpc_defer(struct call *call)
{
    struct call *copy = g_new(struct call, 1);

    *copy = *call;
    client_ref(copy->client);
    call->deferred = true;
    return copy;
}

void rpc_answer(struct call *call, const struct rpc_shape *shape, const void *value,
                const GError *error)
{
    if (error)
        reply_error(call, error);
    else
        reply_value(call, shape, value);
    client_call_done(call->client);
    client_unref(call->client);
    g_free(call);
}

static bool check_header(const struct rpc_header *header, GError **error)
{
    if (header->program != RPC_PROGRAM_REMOTE || header->version != RPC_PROGRAM_VERSION) {
        libvirt_error_set(error, VIR_ERR_RPC, "Cannot find program %u version %u", header->program,
                          header->version);
        return false;
    }
    if (header->status != RPC_OK) {
        libvirt_error_set(error, VIR_ERR_RPC, "Unexpected message status %d", header->status);
        return false;
    }
    return true;
}

static void refuse(struct call *call, const GError *error)
{
    reply_error(call, error);
    client_call_done(call->client);
}

void rpc_dispatch_here(struct daemon *daemon, struct client *client,
                       const struct rpc_header *header, GBytes *packet)
{
    struct call call = {.daemon = daemon, .client = client, .header = *header};
    g_autoptr(GError) error = NULL;
    const struct rpc_procedure *procedure = rpc_procedure_find(header->procedure);
    struct job *job;

    if (!procedure) {
        refuse_procedure(header->procedure, &error);
        refuse(&call, error);
        return;
    }
    job = g_new(struct job, 1);
    *job = (struct job){.procedure = procedure, .call = call, .packet = g_bytes_ref(packet)};
    client_ref(client);
    if (procedure->pool == RPC_POOL_NOW)
        run_job(job, daemon);
    else
        server_run(daemon->server, run_job, job, procedure->pool == RPC_POOL_QUICK);
}

void rpc_dispatch(struct daemon *daemon, struct client *client, const struct rpc_header *header,
                  GBytes *packet)
{
    /* Who may only look is told what he may not do by the daemon that is asked. */
    static const struct rpc_procedure elsewhere = {.phase = RPC_PHASE_OPEN};
    struct call call = {.daemon = daemon, .client = client, .header = *header};
    const struct rpc_procedure *own = rpc_procedure_find(header->procedure);
    enum proxy_driver driver = proxy_driver_of(header, packet);
    g_autoptr(GError) error = NULL;

    /* What may be asked of us already, before there is anybody whom we could ask. */
    if (own && own->phase < RPC_PHASE_OPEN && !client_is_open(client))
        driver = PROXY_NONE;
    if (!check_header(header, &error))
        refuse(&call, error);
    else if (driver == PROXY_NONE)
        rpc_dispatch_here(daemon, client, header, packet);
    else if (!call_allowed(&call, &elsewhere, &error))
        refuse(&call, error);
    else
        proxy_call(client_proxy(client), driver, header, packet);
}

void rpc_send_message(struct client *client, int procedure, const struct rpc_shape *shape,
                      const void *value)
{
    struct rpc_header header = {
        .program = RPC_PROGRAM_REMOTE,
        .version = RPC_PROGRAM_VERSION,
        .procedure = procedure,
        .type = RPC_MESSAGE,
        .serial = 1, /* as libvirt's daemons have it */
        .status = RPC_OK,
    };
    GBytes *packet = rpc_packet_new(&header, shape, value);

    if (packet)
        client_send_event(client, packet);
}
