/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What several families need to know of a domain's interfaces. */
#ifndef VOLE_API_INTERFACE_H
#define VOLE_API_INTERFACE_H

#include <glib.h>
#include <jansson.h>

#include "libvirt-driver/vmm/tap.h"
#include "xml/domain.h"

/* Those of an interface that has no tap, in the reply to query-netstats; false when it is not
 * there. */
bool net_stats_read(const json_t *reply, const char *alias, struct tap_stats *stats);

#endif
