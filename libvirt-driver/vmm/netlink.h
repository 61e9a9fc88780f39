/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What only rtnetlink(7) can do to network interfaces: macvtaps, ports of bridges, the host's
 * neighbours. Each call is one request and the kernel's answer; nothing waits for anybody else.
 */
#ifndef VOLE_DRIVER_VMM_NETLINK_H
#define VOLE_DRIVER_VMM_NETLINK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "xml/domain.h"

/* A macvtap with the guest's address on interface `lower`, and down still; it lives until it is
 * deleted. False with `error` set, and *exists when the name is taken. */
bool netlink_make_macvtap(const char *name, const char *lower, enum domain_direct_mode mode,
                          const uint8_t mac[6], bool *exists, GError **error);
bool netlink_set_address(const char *name, const uint8_t mac[6], GError **error);
/* True also when there is none. */
bool netlink_delete(const char *name, GError **error);

/* Of a port of a bridge: it is kept from others that are isolated, too; or the bridge learns no
 * addresses at it and floods no frames to it, knowing the one address that is there. */
bool netlink_isolate(const char *port, GError **error);
bool netlink_set_static_mac(const char *port, const uint8_t mac[6], GError **error);
/* Puts it into these VLANs and no other one. */
bool netlink_set_vlans(const char *port, const struct domain_vlan *vlan, GError **error);

/* Calls `found` for each IP address of a neighbour's whose MAC address the host knows. */
bool netlink_neighbours(void (*found)(gpointer opaque, int family, const void *address,
                                      const uint8_t mac[6]),
                        gpointer opaque, GError **error);

#endif
