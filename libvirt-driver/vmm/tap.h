/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's end of a domain's network interface: a tap device, which exists as long as somebody
 * has it open.
 */
#ifndef VOLE_DRIVER_VMM_TAP_H
#define VOLE_DRIVER_VMM_TAP_H

#include <glib.h>

#include "xml/domain.h"

/*
 * Opens the tap of `net`: makes one (up, with the guest's MAC address but for a first byte of 0xfe,
 * in the bridge if there is one) named net->target or else the next free vnetN, or opens the one
 * that exists when the definition says managed='no'. net->target becomes its name. -1 with `error`
 * set.
 */
int tap_open(struct domain_net *net, GError **error);

#endif
