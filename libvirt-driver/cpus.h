/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's CPU: as it is, as guests can have it, and by the names that libvirt's CPU map has. All
 * of it is looked up when it is first asked for, once, by whichever thread; on an architecture
 * without CPUID there is nothing to tell.
 */
#ifndef VOLE_CPUS_H
#define VOLE_CPUS_H

#include "xml/caps.h"
#include "xml/cpu_model.h"

struct cpus;

struct cpus *cpus_new(void);
void cpus_free(struct cpus *cpus);

/* libvirt's CPU models, or NULL with `error` set. */
const struct cpu_map *cpus_map(struct cpus *cpus, GError **error);
/* The host's own. */
const struct cpu_host *cpus_host(struct cpus *cpus);
/* What KVM gives guests. NULL with `error` set: it could not be asked, and will be again. */
const struct cpu_host *cpus_guest(struct cpus *cpus, GError **error);

/* Fills in what <capabilities> and <domainCapabilities> say of CPUs, where it is known; its strings
 * live as long as `cpus`. */
void cpus_fill_caps(struct cpus *cpus, struct host_caps *caps);

/* What the definition's <cpu> means here (xml/cpu_resolve.h). To be called when it starts. */
bool cpus_resolve(struct cpus *cpus, domain_def *live, GError **error);

#endif
