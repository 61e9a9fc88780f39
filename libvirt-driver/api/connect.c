/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The connection itself: opening it, what it supports, who is on it, versions. */
#include <libvirt/libvirt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "libvirt-driver/api/api.h"
#include "libvirt-driver/polkit.h"

#define DRIVER_TYPE "VOLE"

/* Features that a client may ask for (libvirt's virDrvFeature). */
enum feature {
    FEATURE_TYPED_PARAM_STRING = 9,
    FEATURE_KEEPALIVE = 10,
    FEATURE_EVENT_CALLBACK = 14,
    FEATURE_CLOSE_CALLBACK = 15,
};

/* What a client has to pass still: for most, that they could open the socket is all. */
bool api_auth_list(struct call *call, const wire_none *in, wire_auth_types *out, GError **error)
{
    out->types.types_len = 1;
    out->types.types_val = g_new(int, 1);
    out->types.types_val[0] = (int)client_auth(call->client);
    return true;
}

static void on_polkit_answer(gpointer opaque, const GError *error)
{
    const wire_int complete = {1};
    struct call *call = opaque;

    client_end_authentication(call->client);
    if (!error)
        client_set_authenticated(call->client);
    rpc_answer(call, &rpc_shape_int, &complete, error);
}

bool api_auth_polkit(struct call *call, const wire_none *in, wire_int *out, GError **error)
{
    const char *action =
        client_is_readonly(call->client) ? "org.libvirt.unix.monitor" : "org.libvirt.unix.manage";
    GCancellable *cancel =
        client_auth(call->client) == AUTH_POLKIT ? client_begin_authentication(call->client) : NULL;

    if (!cancel) { /* nothing to pass, or asked already */
        libvirt_error_set(error, VIR_ERR_AUTH_FAILED,
                          "client tried invalid PolicyKit init request");
        return false;
    }
    polkit_ask(client_peer(call->client), action, cancel, on_polkit_answer, rpc_defer(call));
    return true;
}

bool api_connect_supports_feature(struct call *call, const wire_int *in, wire_int *out,
                                  GError **error)
{
    switch (in->value) {
    case FEATURE_KEEPALIVE:
        client_enable_keepalive(call->client);
        out->value = 1;
        break;
    case FEATURE_TYPED_PARAM_STRING:
    case FEATURE_EVENT_CALLBACK:
    case FEATURE_CLOSE_CALLBACK:
        out->value = 1;
        break;
    default:
        out->value = 0;
        break;
    }
    return true;
}

static const char *default_uri(const struct daemon *daemon)
{
    return daemon->paths.session ? "vole:///session" : "vole:///system";
}

/* "vole:///system": the scheme has to be one of ours, the path this daemon's. */
static bool check_uri(const struct daemon *daemon, const char *name, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(name, G_URI_FLAGS_NONE, NULL);
    const char *scheme = uri ? g_uri_get_scheme(uri) : "";
    const char *path = uri ? g_uri_get_path(uri) : "";
    const char *own = daemon->paths.session ? "/session" : "/system";

    if (strcmp(scheme, "vole") != 0 && strcmp(scheme, "qemuvole") != 0) {
        libvirt_error_set(error, VIR_ERR_NO_CONNECT, "%s", name);
        return false;
    }
    /* The client of a root user takes the system's socket for a session too. */
    if (strcmp(path, own) == 0 || (!daemon->paths.session && strcmp(path, "/session") == 0))
        return true;
    libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "unexpected %s URI path '%s', try %s://%s",
                      scheme, path, scheme, own);
    return false;
}

bool api_connect_open(struct call *call, const wire_opt_str_flags *in, wire_none *out,
                      GError **error)
{
    const char *name = in->value && **in->value ? *in->value : default_uri(call->daemon);

    /* Beside those of its API the client library lets flags of its own through (4, when it may
     * start a session's daemon): what is not VIR_CONNECT_RO does not matter here. */
    if (!check_uri(call->daemon, name, error))
        return false;
    if (client_open(call->client, name, in->flags & VIR_CONNECT_RO))
        return true;
    libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "connection already open");
    return false;
}

/* The client closes its socket next, and everything of it is given up then. */
bool api_connect_close(struct call *call, const wire_none *in, wire_none *out, GError **error)
{
    return true;
}

bool api_connect_get_type(struct call *call, const wire_none *in, wire_str *out, GError **error)
{
    out->value = g_strdup(DRIVER_TYPE);
    return true;
}

bool api_connect_get_version(struct call *call, const wire_none *in, wire_ulong *out,
                             GError **error)
{
    unsigned major = 0;
    unsigned minor = 0;
    unsigned micro = 0;

    if (sscanf(PACKAGE_VERSION, "%u.%u.%u", &major, &minor, &micro) < 2) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "version '%s' is not in three parts",
                          PACKAGE_VERSION);
        return false;
    }
    out->value = major * 1000000UL + minor * 1000UL + micro;
    return true;
}

bool api_connect_get_lib_version(struct call *call, const wire_none *in, wire_ulong *out,
                                 GError **error)
{
    out->value = LIBVIR_VERSION_NUMBER;
    return true;
}

bool api_connect_get_hostname(struct call *call, const wire_none *in, wire_str *out, GError **error)
{
    out->value = g_strdup(g_get_host_name());
    return true;
}

bool api_connect_get_uri(struct call *call, const wire_none *in, wire_str *out, GError **error)
{
    out->value = client_uri(call->client);
    return true;
}

/* A UNIX socket: nobody can listen in. */
bool api_connect_is_secure(struct call *call, const wire_none *in, wire_int *out, GError **error)
{
    out->value = 1;
    return true;
}

bool api_connect_get_max_vcpus(struct call *call, const wire_opt_str *in, wire_int *out,
                               GError **error)
{
    if (in->value && g_ascii_strcasecmp(*in->value, "kvm") != 0) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "unknown type '%s'", *in->value);
        return false;
    }
    out->value = (int)call->daemon->host->caps.max_vcpus;
    return true;
}

bool api_connect_register_close(struct call *call, const wire_none *in, wire_none *out,
                                GError **error)
{
    if (client_set_close_callback(call->client, true))
        return true;
    libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "A close callback is already registered");
    return false;
}

bool api_connect_unregister_close(struct call *call, const wire_none *in, wire_none *out,
                                  GError **error)
{
    if (client_set_close_callback(call->client, false))
        return true;
    libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "A close callback is not registered");
    return false;
}

/* A gateway says for whom it speaks. Rights do not depend on that here, but the host's own daemons
 * are told; only one that could do all by itself anyway is believed. */
bool api_connect_set_identity(struct call *call, const wire_identity *in, wire_none *out,
                              GError **error)
{
    const struct client_peer *peer = client_peer(call->client);

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    if (peer->uid == 0 || peer->uid == geteuid()) {
        struct rpc_header header = {0};
        g_autoptr(GBytes) packet = rpc_packet_new(&header, &rpc_shape_identity, in);
        g_autoptr(GBytes) payload = g_bytes_new_from_bytes(
            packet, RPC_PACKET_MIN, g_bytes_get_size(packet) - RPC_PACKET_MIN);

        client_set_identity(call->client, payload);
        return true;
    }
    libvirt_error_set(error, VIR_ERR_ACCESS_DENIED, "'connect' denied access to set identity");
    return false;
}
