/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPU features that a machine description asks for or takes away ("cpu" in docs/machine-config.md).
 * What is taken away goes wherever CPUID shows it: its own bit, AMD's copy of that bit, leaves and
 * parts of the XSAVE area that are only about it, and whatever feature makes no sense without it.
 * KVM then does not let the guest use it either, as far as the processor allows: it checks what a
 * guest writes into CR4, XCR0 and MSRs by the same table.
 */
#ifndef VOLE_ARCH_X86_64_CPUID_FEATURES_H
#define VOLE_ARCH_X86_64_CPUID_FEATURES_H

#include "cpu/x86_features.h"
#include "vmm/arch/x86_64/cpuid.h"

/* What is taken away. 0, or -1 with `err` for a name that is unknown, and for a feature that tells
 * of the topology, which cannot be lied about. */
int cpuid_features_off(const struct config_cpu *cpu, const struct cpu_topology *t,
                       struct x86_feature_set *off, struct error *err);
/* After cpuid_adjust(). */
void cpuid_take_away(struct cpuid *cpuid, const struct x86_feature_set *off);
/* Whether the result has all that is asked for: 0, or -1 with `err` naming what it lacks. */
int cpuid_check_wanted(const struct config_cpu *cpu, const struct cpuid *cpuid,
                       const struct x86_feature_set *off, struct error *err);

#endif
