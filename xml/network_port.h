/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The XML of a network's port (libvirt's formatnetworkport.html): what a domain's interface asks of
 * a network, and what the network says became of it.
 */
#ifndef VOLE_XML_NETWORK_PORT_H
#define VOLE_XML_NETWORK_PORT_H

#include "xml/domain.h"

/* For net->port_id of the domain; to be freed. */
char *network_port_format(const domain_def *def, const struct domain_net *net);

/*
 * Takes over what the network decided: the bridge, or the host's interface for a macvtap;
 * bandwidth, VLANs and isolation of its portgroup. False with `error` set for a port that no tap
 * can be plugged into.
 */
bool network_port_apply(const char *xml, struct domain_net *net, GError **error);

#endif
