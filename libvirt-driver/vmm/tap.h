/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's end of a domain's network interface: a tap device, which exists as long as somebody
 * has it open.
 */
#ifndef VOLE_DRIVER_VMM_TAP_H
#define VOLE_DRIVER_VMM_TAP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "xml/domain.h"

/*
 * Opens the tap of `net`, once for each pair of queues: makes one (up, with the guest's MAC address
 * but for a first byte of 0xfe, in the bridge if there is one, with the definition's MTU or else
 * the bridge's) named net->target or else the next free vnetN, or opens the one that exists when
 * the definition says managed='no'. net->target becomes its name. False with `error` set; nothing
 * is open then.
 */
bool tap_open(struct domain_net *net, int *fds, guint pairs, GError **error);

/* Brings an interface up, with an MTU unless that is 0. */
bool tap_set_up(const char *name, unsigned mtu, GError **error);

/* What the host has counted on it: `rx` came from the guest, `tx` went to it. A macvtap sees it the
 * other way round. Only for interfaces that have one (net->target). */
struct tap_count {
    int64_t bytes;
    int64_t packets;
    int64_t errors;
    int64_t dropped;
};
struct tap_stats {
    struct tap_count rx;
    struct tap_count tx;
};
bool tap_read_stats(const struct domain_net *net, struct tap_stats *stats, GError **error);

#endif
