/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPUs that clients describe, as libvirt's calls take them: <cpu> of capabilities, or of a domain.
 */
#ifndef VOLE_XML_CPU_COMPARE_H
#define VOLE_XML_CPU_COMPARE_H

#include "xml/cpu_model.h"

/* A virCPUCompareResult: how the host compares with the CPU. `why`, of
 * VIR_CPU_COMPARE_INCOMPATIBLE, is the reason. VIR_CPU_COMPARE_ERROR with `error` set for what is
 * no description of a CPU. */
int cpu_compare(const struct cpu_map *map, const struct cpu_host *host, const char *xml,
                GError **why, GError **error);

/*
 * What a guest can have on all of these CPUs, as a domain's <cpu>; to be freed. With `expand` it
 * names the model's own features, too. NULL with `error` set when they have nothing in common, or
 * one of them is no description of a CPU.
 */
char *cpu_baseline(const struct cpu_map *map, const char *const *xmls, unsigned count, bool expand,
                   bool migratable, GError **error);

#endif
