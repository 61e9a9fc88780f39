/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/proxy/proxy.h"

#include <string.h>

#include "libvirt-driver/proxy/registrations.h"
#include "libvirt-driver/proxy/upstream.h"
#include "libvirt-driver/rpc/dispatch.h"

/* How the network driver wants virNetworkUpdate's arguments (libvirt's virDrvFeature): only it can
 * tell. */
#define PROCEDURE_SUPPORTS_FEATURE   60
#define FEATURE_NETWORK_UPDATE_ORDER 16

struct proxy {
    struct daemon *daemon;
    struct client *client;
    struct upstream *upstreams[PROXY_DRIVERS];
    struct registrations *registrations[PROXY_DRIVERS]; /* of drivers that had an upstream */
    bool absent[PROXY_DRIVERS];                         /* for this client it stays so */
};

struct proxy *proxy_new(struct daemon *daemon, struct client *client)
{
    struct proxy *proxy = g_new0(struct proxy, 1);

    proxy->daemon = daemon;
    proxy->client = client;
    return proxy;
}

void proxy_free(struct proxy *proxy)
{
    for (int i = 0; i < PROXY_DRIVERS; i++) {
        g_clear_pointer(&proxy->upstreams[i], upstream_free);
        g_clear_pointer(&proxy->registrations[i], registrations_free);
    }
    g_free(proxy);
}

enum proxy_driver proxy_driver_of(const struct rpc_header *header, GBytes *packet)
{
    const struct proxy_procedure *procedure = proxy_procedure_find(header->procedure);
    wire_int feature;

    if (procedure && procedure->kind != PROXY_EVENT)
        return procedure->driver;
    if (header->procedure == PROCEDURE_SUPPORTS_FEATURE &&
        rpc_payload_decode(packet, &rpc_shape_int, &feature) &&
        feature.value == FEATURE_NETWORK_UPDATE_ORDER)
        return PROXY_NETWORK;
    return PROXY_NONE;
}

static void absent(struct proxy *proxy, enum proxy_driver driver, GQueue *waiting,
                   bool daemon_says_so)
{
    GBytes *packet;

    proxy->upstreams[driver] = NULL;
    /* A client that has seen the built-in driver's pools does not lose them again. */
    proxy->absent[driver] = daemon_says_so || driver == PROXY_STORAGE;
    while ((packet = g_queue_pop_head(waiting))) {
        struct rpc_header header;

        rpc_header_decode(packet, &header);
        rpc_dispatch_here(proxy->daemon, proxy->client, &header, packet);
        g_bytes_unref(packet);
    }
}

static void ended(struct proxy *proxy, enum proxy_driver driver)
{
    proxy->upstreams[driver] = NULL;
}

static const struct upstream_ops upstream_ops = {absent, ended};

static bool serial_in_use(struct proxy *proxy, uint32_t serial)
{
    for (int i = 0; i < PROXY_DRIVERS; i++) {
        if (proxy->upstreams[i] && upstream_has_serial(proxy->upstreams[i], serial))
            return true;
    }
    return false;
}

void proxy_call(struct proxy *proxy, enum proxy_driver driver, const struct rpc_header *header,
                GBytes *packet)
{
    struct upstream *upstream = proxy->upstreams[driver];

    if (proxy->absent[driver]) {
        rpc_dispatch_here(proxy->daemon, proxy->client, header, packet);
        return;
    }
    if (serial_in_use(proxy, header->serial)) {
        client_call_done(proxy->client);
        client_drop(proxy->client, "it used the serial of a call that is under way");
        return;
    }
    if (upstream && !upstream_has_ended(upstream)) {
        upstream_call(upstream, header, packet);
        return;
    }
    if (!proxy->registrations[driver])
        proxy->registrations[driver] = registrations_new();
    upstream = upstream_new(proxy, &upstream_ops, proxy->daemon, proxy->client, driver,
                            proxy->registrations[driver]);
    proxy->upstreams[driver] = upstream;
    upstream_call(upstream, header, packet);
    upstream_start(upstream);
}

void proxy_stream_packet(struct proxy *proxy, const struct rpc_header *header, GBytes *packet)
{
    for (int i = 0; i < PROXY_DRIVERS; i++) {
        if (proxy->upstreams[i] && upstream_stream_packet(proxy->upstreams[i], header, packet))
            return;
    }
}

bool proxy_is_full(struct proxy *proxy)
{
    for (int i = 0; i < PROXY_DRIVERS; i++) {
        if (proxy->upstreams[i] && upstream_is_full(proxy->upstreams[i]))
            return true;
    }
    return false;
}

void proxy_update(struct proxy *proxy)
{
    for (int i = 0; i < PROXY_DRIVERS; i++) {
        if (proxy->upstreams[i])
            upstream_update(proxy->upstreams[i]);
    }
}
