/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors on the wire: the code, the domain of code it came from, and the three texts that libvirt's
 * own daemons send (whole message, format, detail).
 */
#ifndef VOLE_RPC_ERROR_H
#define VOLE_RPC_ERROR_H

#include <glib.h>

#include "libvirt-driver/rpc/packet.h"
#include "xml/error.h"

/* A packet with that header (its status becomes RPC_ERROR) and the error as its payload. `error`
 * may be NULL: some code failed without saying why, which the client is told too. */
GBytes *rpc_error_packet(const struct rpc_header *header, const GError *error);

#endif
