/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tap interface (Documentation/networking/tuntap.rst), or a macvtap, which is used in the same
 * way, as a struct netdev.
 *
 * A tap with several queues has a descriptor for each; the host's kernel spreads flows over those
 * that are enabled. Of a fresh tap that is the first.
 */
#ifndef VOLE_BACKEND_TAP_H
#define VOLE_BACKEND_TAP_H

#include "vmm/backend/netdev.h"

extern const struct netdev_ops tap_ops;

/*
 * `source` is an interface's name (made if it is not there and the caller may) or "fd:N", with
 * `queues` above one "fd:N:M...": a tap that was opened with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
 * and IFF_MULTI_QUEUE where it has several queues. 0, or -1 with `err`.
 */
int tap_open(struct netdev *tap, const char *source, unsigned queues, struct error *err);

#endif
