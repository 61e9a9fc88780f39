/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/proxy/registrations.h"

#include <string.h>

#include "libvirt-driver/proxy/table.h"
#include "xml/error.h"

#define REGISTRATIONS_MAX 1000
/* Bytes of a call that are kept: an object's name and UUID. */
#define CALL_MAX 65536
#define NO_ID    (-1)

struct registration {
    int id;        /* the client's */
    int daemon_id; /* NO_ID: this daemon does not know of it */
    int procedure;
    GBytes *payload; /* of the call that makes it */
};

struct registrations {
    GPtrArray *made;   /* of struct registration */
    GHashTable *asked; /* serial -> GBytes: calls about registrations that are under way */
    int last_id;
    guint next; /* of a new connection: the first that is not made with it yet */
};

static void registration_free(gpointer data)
{
    struct registration *registration = data;

    g_bytes_unref(registration->payload);
    g_free(registration);
}

struct registrations *registrations_new(void)
{
    struct registrations *registrations = g_new0(struct registrations, 1);

    registrations->made = g_ptr_array_new_with_free_func(registration_free);
    registrations->asked = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_bytes_unref);
    return registrations;
}

void registrations_free(struct registrations *registrations)
{
    g_ptr_array_unref(registrations->made);
    g_hash_table_unref(registrations->asked);
    g_free(registrations);
}

static struct registration *at(const struct registrations *registrations, guint i)
{
    return g_ptr_array_index(registrations->made, i);
}

static struct registration *find(const struct registrations *registrations, int id)
{
    for (guint i = 0; i < registrations->made->len; i++) {
        if (at(registrations, i)->id == id)
            return at(registrations, i);
    }
    return NULL;
}

static struct registration *find_daemon_id(const struct registrations *registrations, int id)
{
    for (guint i = 0; i < registrations->made->len && id != NO_ID; i++) {
        if (at(registrations, i)->daemon_id == id)
            return at(registrations, i);
    }
    return NULL;
}

static enum proxy_kind kind_of(const struct rpc_header *header)
{
    const struct proxy_procedure *procedure = proxy_procedure_find(header->procedure);

    return procedure ? procedure->kind : PROXY_CALL;
}

/* ---- packets: all of these have the id first ---- */

static bool read_id(GBytes *packet, int *id)
{
    wire_int value;

    if (!rpc_payload_decode(packet, &rpc_shape_int, &value))
        return false;
    *id = value.value;
    return true;
}

static GBytes *with_id(GBytes *packet, int id)
{
    gsize len;
    const guint8 *data = g_bytes_get_data(packet, &len);
    guint8 *copy = g_memdup2(data, len);
    guint32 word = GUINT32_TO_BE((guint32)id);

    memcpy(copy + RPC_PACKET_MIN, &word, sizeof(word));
    return g_bytes_new_take(copy, len);
}

/* ---- what passes by ---- */

static bool check_limits(const struct registrations *registrations, GBytes *packet, GError **error)
{
    guint count = registrations->made->len + g_hash_table_size(registrations->asked);

    if (count < REGISTRATIONS_MAX && g_bytes_get_size(packet) <= CALL_MAX)
        return true;
    libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "%s",
                      count < REGISTRATIONS_MAX ? "the event registration is too long"
                                                : "too many event registrations");
    return false;
}

GBytes *registrations_call(struct registrations *registrations, const struct rpc_header *header,
                           GBytes *packet, GError **error)
{
    enum proxy_kind kind = kind_of(header);
    const struct registration *registration;
    int id;

    if (kind != PROXY_REGISTER && kind != PROXY_DEREGISTER)
        return g_bytes_ref(packet);
    if (kind == PROXY_REGISTER && !check_limits(registrations, packet, error))
        return NULL;
    g_hash_table_insert(registrations->asked, GUINT_TO_POINTER(header->serial),
                        g_bytes_ref(packet));
    if (kind == PROXY_REGISTER || !read_id(packet, &id))
        return g_bytes_ref(packet);
    registration = find(registrations, id);
    return with_id(packet, registration ? registration->daemon_id : NO_ID);
}

static GBytes *note_registered(struct registrations *registrations, const struct rpc_header *header,
                               GBytes *call, GBytes *reply)
{
    struct registration *registration;
    int daemon_id;

    if (!read_id(reply, &daemon_id))
        return g_bytes_ref(reply);
    registration = g_new0(struct registration, 1);
    registrations->last_id = registrations->last_id == G_MAXINT ? 0 : registrations->last_id + 1;
    registration->id = registrations->last_id;
    registration->daemon_id = daemon_id;
    registration->procedure = header->procedure;
    registration->payload =
        g_bytes_new_from_bytes(call, RPC_PACKET_MIN, g_bytes_get_size(call) - RPC_PACKET_MIN);
    g_ptr_array_add(registrations->made, registration);
    return with_id(reply, registration->id);
}

GBytes *registrations_reply(struct registrations *registrations, const struct rpc_header *header,
                            GBytes *packet)
{
    gpointer key = GUINT_TO_POINTER(header->serial);
    GBytes *call = g_hash_table_lookup(registrations->asked, key);
    GBytes *result = NULL;
    int id;

    if (call && header->status == RPC_OK && kind_of(header) == PROXY_REGISTER)
        result = note_registered(registrations, header, call, packet);
    else if (call && header->status == RPC_OK && read_id(call, &id))
        g_ptr_array_remove(registrations->made, find(registrations, id));
    g_hash_table_remove(registrations->asked, key);
    return result ? result : g_bytes_ref(packet);
}

GBytes *registrations_event(struct registrations *registrations, const struct rpc_header *header,
                            GBytes *packet)
{
    const struct registration *registration = NULL;
    int daemon_id;

    if (read_id(packet, &daemon_id))
        registration = find_daemon_id(registrations, daemon_id);
    if (registration)
        return with_id(packet, registration->id);
    /* What one of a release to come begins with is not known. */
    return kind_of(header) == PROXY_EVENT ? NULL : g_bytes_ref(packet);
}

/* ---- another connection ---- */

void registrations_lost(struct registrations *registrations)
{
    g_hash_table_remove_all(registrations->asked);
    for (guint i = 0; i < registrations->made->len; i++)
        at(registrations, i)->daemon_id = NO_ID;
    registrations->next = 0;
}

GBytes *registrations_next(struct registrations *registrations, int *procedure)
{
    const struct registration *registration;

    if (registrations->next >= registrations->made->len)
        return NULL;
    registration = at(registrations, registrations->next);
    *procedure = registration->procedure;
    return registration->payload;
}

void registrations_made(struct registrations *registrations, const struct rpc_header *header,
                        GBytes *packet)
{
    struct registration *registration = at(registrations, registrations->next++);

    if (header->status == RPC_OK && !read_id(packet, &registration->daemon_id))
        registration->daemon_id = NO_ID;
}
