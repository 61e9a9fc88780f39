/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's own libvirt daemons, asked through virtvoled-helper (helper.c): a process for each
 * request, which is ended when it takes too long. For worker threads.
 */
#ifndef VOLE_HOST_LIBVIRT_H
#define VOLE_HOST_LIBVIRT_H

#include <glib.h>
#include <jansson.h>

#include "libvirt-driver/daemon.h"

/*
 * Takes over `steps`, an array as helper.c has it. An array with the result of each, or NULL with
 * `error` set, libvirt's own or VIR_ERR_OPERATION_TIMEOUT.
 */
json_t *host_libvirt_ask(const struct daemon *daemon, json_t *steps, GError **error);

#endif
