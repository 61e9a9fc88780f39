/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A CPU as CPUID tells of it: a host's own, or what KVM gives of it to guests. The caller asks
 * either.
 */
#ifndef VOLE_XML_CPU_FEATURES_H
#define VOLE_XML_CPU_FEATURES_H

#include "cpu/x86_features.h"
#include "xml/domain.h"

/* One answer of the CPUID instruction; the fields are those of struct kvm_cpuid_entry2. */
struct cpuid_entry {
    uint32_t function; /* in EAX */
    uint32_t index;    /* in ECX, or 0 */
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
};

struct cpu_host {
    char vendor[13]; /* "AuthenticAMD" */
    unsigned family;
    unsigned model;
    unsigned stepping;
    struct x86_feature_set features;
};

/* Without entries (an architecture that has no CPUID) all of it is empty. */
void cpu_host_init(struct cpu_host *host, const struct cpuid_entry *entries, unsigned count);

bool cpu_feature_is_known(const char *name);
/* False for what is not known, too. */
bool cpu_host_has(const struct cpu_host *host, const char *name);

#endif
