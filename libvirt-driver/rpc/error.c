/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/rpc/error.h"

/* Clients only look at the domain to tell the RPC layer's errors from a driver's. */
static int error_domain(virErrorNumber code)
{
    switch (code) {
    case VIR_ERR_RPC:
        return VIR_FROM_RPC;
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_UNAVAILABLE:
        return VIR_FROM_POLKIT;
    case VIR_ERR_NO_CONNECT:
        return VIR_FROM_NONE;
    case VIR_ERR_XML_DETAIL:
    case VIR_ERR_XML_ERROR:
        return VIR_FROM_XML;
    case VIR_ERR_NO_STORAGE_POOL:
    case VIR_ERR_NO_STORAGE_VOL:
    case VIR_ERR_STORAGE_VOL_EXIST:
        return VIR_FROM_STORAGE;
    default:
        return VIR_FROM_DOMAIN;
    }
}

/* A client's own decoder may not cope with more. */
static char *shortened(char *text)
{
    if (strlen(text) >= WIRE_STRING_MAX)
        text[WIRE_STRING_MAX - 1] = '\0';
    return text;
}

GBytes *rpc_error_packet(const struct rpc_header *header, const GError *error)
{
    g_autoptr(GError) unknown = NULL;
    g_autofree char *message = NULL;
    g_autofree char *format = NULL;
    g_autofree char *detail = NULL;
    struct rpc_header failed = *header;
    virErrorNumber code;
    wire_error wire = {.level = VIR_ERR_ERROR, .int1 = -1, .int2 = -1};

    if (!error) {
        libvirt_error_set(&unknown, VIR_ERR_INTERNAL_ERROR, "the call failed without an error");
        error = unknown;
    }
    code = libvirt_error_code(error);
    message = shortened(libvirt_error_message(error));
    detail = shortened(g_strdup(error->message));
    format = g_strdup(libvirt_error_format(code, *detail != '\0'));
    wire.code = (int)code;
    wire.domain = error_domain(code);
    wire.message = &message;
    wire.str1 = &format;
    wire.str2 = *detail ? &detail : NULL;
    failed.status = RPC_ERROR;
    return rpc_packet_new(&failed, &rpc_shape_error, &wire);
}
