/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtvoled-helper: asks the host's libvirt daemons for networks and volumes, through libvirt's
 * client library, on behalf of virtvoled. libvirt's calls wait for their daemon as long as it
 * takes, and a daemon that hangs never answers; a process of its own can be ended.
 *
 * Descriptor 3 holds the request, a JSON object with the connections' URIs and an array of steps;
 * the reply goes to descriptor 4: {"results": [...]}, one for each step, or {"error": {"code",
 * "message"}} of the first that failed, when nothing of what was made before it is left. Without
 * GLib and the daemon's code, so that it starts at once.
 */
#include <jansson.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_FD 3
#define REPLY_FD   4

struct helper {
    const char *network_uri;
    const char *storage_uri;
    virConnectPtr network; /* opened when they are needed */
    virConnectPtr storage;
    json_t *made; /* steps that have to be undone */
};

static const char *text_of(const json_t *step, const char *key)
{
    const char *text = json_string_value(json_object_get(step, key));

    return text ? text : "";
}

static json_t *error_json(int code, const char *message)
{
    return json_pack("{s:{s:i, s:s}}", "error", "code", code, "message", message);
}

/* The detail alone, empty where there is none: the code says the rest. */
static json_t *last_error(void)
{
    const virError *error = virGetLastError();

    if (!error)
        return error_json(VIR_ERR_INTERNAL_ERROR, "libvirt gave no reason");
    return error_json(error->code, error->str2 ? error->str2 : "");
}

/* NULL, and then there is an error. */
static virConnectPtr open_once(virConnectPtr *connection, const char *uri)
{
    if (!*connection)
        *connection = virConnectOpen(uri);
    return *connection;
}

/* ---- networks ---- */

static virNetworkPtr find_network(struct helper *h, const json_t *step)
{
    virConnectPtr connection = open_once(&h->network, h->network_uri);

    return connection ? virNetworkLookupByName(connection, text_of(step, "network")) : NULL;
}

/* A network without ports has a bridge, if it has anything. */
static json_t *bridge_json(virNetworkPtr network)
{
    char *bridge = virNetworkGetBridgeName(network);
    json_t *result = bridge ? json_pack("{s:s}", "bridge", bridge) : last_error();

    free(bridge);
    return result;
}

static virNetworkPortPtr make_port(struct helper *h, virNetworkPtr network, json_t *step)
{
    unsigned flags =
        json_is_true(json_object_get(step, "reclaim")) ? VIR_NETWORK_PORT_CREATE_RECLAIM : 0;
    virNetworkPortPtr port = virNetworkPortCreateXML(network, text_of(step, "xml"), flags);

    if (port)
        json_array_append(h->made, step);
    return port;
}

static json_t *port_json(struct helper *h, virNetworkPtr network, json_t *step)
{
    virNetworkPortPtr port = virNetworkPortLookupByUUIDString(network, text_of(step, "id"));
    const virError *error = virGetLastError();
    char *xml = NULL;
    json_t *result;

    if (!port && error && error->code != VIR_ERR_NO_SUPPORT)
        port = make_port(h, network, step);
    if (port)
        xml = virNetworkPortGetXMLDesc(port, 0);
    error = virGetLastError();
    if (xml)
        result = json_pack("{s:s}", "xml", xml);
    else if (error && error->code == VIR_ERR_NO_SUPPORT)
        result = bridge_json(network);
    else
        result = last_error();
    free(xml);
    if (port)
        virNetworkPortFree(port);
    return result;
}

static json_t *do_port(struct helper *h, json_t *step)
{
    virNetworkPtr network = find_network(h, step);
    int active = network ? virNetworkIsActive(network) : -1;
    json_t *result;

    if (active == 1) {
        result = port_json(h, network, step);
    } else if (active == 0) {
        char message[512];

        snprintf(message, sizeof(message), "network '%s' is not active", text_of(step, "network"));
        result = error_json(VIR_ERR_OPERATION_INVALID, message);
    } else {
        result = last_error();
    }
    if (network)
        virNetworkFree(network);
    return result;
}

/* A port, or a network, that is gone needs no deletion. */
static json_t *do_unport(struct helper *h, json_t *step)
{
    virNetworkPtr network = find_network(h, step);
    virNetworkPortPtr port =
        network ? virNetworkPortLookupByUUIDString(network, text_of(step, "id")) : NULL;
    bool failed = !network && !h->network;
    json_t *result;

    if (port)
        failed = virNetworkPortDelete(port, 0) < 0;
    result = failed ? last_error() : json_object();
    if (port)
        virNetworkPortFree(port);
    if (network)
        virNetworkFree(network);
    return result;
}

static json_t *lease_json(const virNetworkDHCPLease *lease)
{
    return json_pack("{s:i, s:s, s:i, s:s*}", "type", lease->type, "address", lease->ipaddr,
                     "prefix", (int)lease->prefix, "mac", lease->mac);
}

static json_t *do_leases(struct helper *h, json_t *step)
{
    virNetworkPtr network = find_network(h, step);
    virNetworkDHCPLeasePtr *leases = NULL;
    int count = network ? virNetworkGetDHCPLeases(network, text_of(step, "mac"), &leases, 0) : -1;
    json_t *list = json_array();

    for (int i = 0; i < count; i++) {
        json_array_append_new(list, lease_json(leases[i]));
        virNetworkDHCPLeaseFree(leases[i]);
    }
    free(leases);
    if (network)
        virNetworkFree(network);
    if (count >= 0)
        return json_pack("{s:o}", "leases", list);
    json_decref(list);
    return last_error();
}

/* ---- volumes ---- */

static json_t *volume_json(virStorageVolPtr volume)
{
    char *path = virStorageVolGetPath(volume);
    char *xml = path ? virStorageVolGetXMLDesc(volume, 0) : NULL;
    virStorageVolInfo info;
    json_t *result;

    if (!xml || virStorageVolGetInfo(volume, &info) < 0)
        result = last_error();
    else
        result = json_pack("{s:s, s:i, s:s}", "path", path, "type", info.type, "xml", xml);
    free(xml);
    free(path);
    return result;
}

static json_t *find_volume(virStoragePoolPtr pool, const json_t *step)
{
    const char *name = text_of(step, "volume");
    int active = virStoragePoolIsActive(pool);
    virStorageVolPtr volume;
    json_t *result;

    if (active == 0) {
        char message[1024];

        snprintf(message, sizeof(message), "storage pool '%s' containing volume '%s' is not active",
                 text_of(step, "pool"), name);
        return error_json(VIR_ERR_CONFIG_UNSUPPORTED, message);
    }
    volume = active < 0 ? NULL : virStorageVolLookupByName(pool, name);
    if (!volume)
        return last_error();
    result = volume_json(volume);
    virStorageVolFree(volume);
    return result;
}

/* The daemon's own storage driver does not have the pool either. */
static json_t *nobody_to_ask(const char *pool)
{
    const virError *error = virGetLastError();
    const char *why = error && error->str2 ? error->str2 : "libvirt gave no reason";

    return json_pack("{s:{s:i, s:o}}", "error", "code", VIR_ERR_NO_STORAGE_POOL, "message",
                     json_sprintf("no storage pool with matching name '%s' (%s)", pool, why));
}

static json_t *do_volume(struct helper *h, json_t *step)
{
    virConnectPtr connection = open_once(&h->storage, h->storage_uri);
    virStoragePoolPtr pool;
    json_t *result;

    if (!connection)
        return nobody_to_ask(text_of(step, "pool"));
    pool = virStoragePoolLookupByName(connection, text_of(step, "pool"));
    result = pool ? find_volume(pool, step) : last_error();
    if (pool)
        virStoragePoolFree(pool);
    return result;
}

/* ---- all of it ---- */

static const struct {
    const char *name;
    json_t *(*run)(struct helper *h, json_t *step);
} steps[] = {
    {"port", do_port},
    {"unport", do_unport},
    {"leases", do_leases},
    {"volume", do_volume},
};

static json_t *run_step(struct helper *h, json_t *step)
{
    const char *name = text_of(step, "do");

    virResetLastError();
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (strcmp(steps[i].name, name) == 0)
            return steps[i].run(h, step);
    return error_json(VIR_ERR_INTERNAL_ERROR, "no such step");
}

static void undo(struct helper *h)
{
    json_t *step;
    size_t i;

    json_array_foreach(h->made, i, step)
    {
        json_decref(do_unport(h, step));
    }
}

static json_t *run_all(struct helper *h, const json_t *request)
{
    json_t *results = json_array();
    json_t *step;
    size_t i;

    json_array_foreach(json_object_get(request, "steps"), i, step)
    {
        json_t *result = run_step(h, step);

        if (json_object_get(result, "error")) {
            undo(h);
            json_decref(results);
            return result;
        }
        json_array_append_new(results, result);
    }
    return json_pack("{s:o}", "results", results);
}

static void keep_quiet(void *opaque, virErrorPtr error)
{
    (void)opaque;
    (void)error;
}

int main(void)
{
    struct helper h = {.made = json_array()};
    json_t *request = json_loadfd(REQUEST_FD, 0, NULL);
    json_t *reply;
    int failed;

    if (!request) {
        fputs("virtvoled-helper: this is virtvoled's own, and nothing that a person runs\n",
              stderr);
        return 2;
    }
    h.network_uri = text_of(request, "network-uri");
    h.storage_uri = text_of(request, "storage-uri");
    if (virInitialize() < 0)
        return 1;
    virSetErrorFunc(NULL, keep_quiet);
    /* Nobody's daemon is started behind his back. */
    setenv("LIBVIRT_AUTOSTART", "0", 1);
    reply = run_all(&h, request);
    failed = json_dumpfd(reply, REPLY_FD, JSON_COMPACT) < 0;
    if (h.network)
        virConnectClose(h.network);
    if (h.storage)
        virConnectClose(h.storage);
    json_decref(reply);
    json_decref(h.made);
    json_decref(request);
    return failed;
}
