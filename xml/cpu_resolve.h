/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a domain's <cpu> means on this host. */
#ifndef VOLE_XML_CPU_RESOLVE_H
#define VOLE_XML_CPU_RESOLVE_H

#include "xml/cpu_model.h"

/*
 * To be called when a domain starts: `host` is what its guests can have. Compares what is asked for
 * with that (VIR_ERR_CPU_INCOMPATIBLE), and fills in cpu->off. A host-model, and a custom CPU that
 * matches more than its model, become the custom CPU that the guest really gets, as libvirt shows
 * it in live XML.
 *
 * Without a `map` (libvirt's is not there, or the architecture has none) a host-model stays what it
 * is, the host's CPU, and VIR_ERR_CONFIG_UNSUPPORTED is the answer to custom CPUs.
 */
bool cpu_resolve(struct domain_cpu *cpu, const struct cpu_map *map, const struct cpu_host *host,
                 GError **error);

#endif
