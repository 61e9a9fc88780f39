/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's end of an interface of type direct: a macvtap, an interface of its own upon one of the
 * host's, with the guest's MAC address. Unlike a tap it does not go away by itself.
 */
#ifndef VOLE_DRIVER_VMM_MACVTAP_H
#define VOLE_DRIVER_VMM_MACVTAP_H

#include <glib.h>
#include <stdbool.h>

#include "xml/domain.h"

/* Makes one upon net->dev, named net->target or else the next free macvtapN, and opens it once for
 * each pair of queues. net->target becomes its name. False with `error` set; nothing is left then.
 */
bool macvtap_open(struct domain_net *net, int *fds, guint pairs, GError **error);

/* Deletes it, when the domain does not run any more. */
void macvtap_delete(const struct domain_net *net);

#endif
