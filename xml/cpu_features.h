/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The features of an x86 CPU that a domain may require or forbid (<cpu><feature>), by the names
 * that libvirt has for them. What the host has is told by the caller: KVM_GET_SUPPORTED_CPUID is
 * what a guest can be given.
 */
#ifndef VOLE_XML_CPU_FEATURES_H
#define VOLE_XML_CPU_FEATURES_H

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

bool cpu_feature_is_known(const char *name);
/* False for what is not known, too. */
bool cpu_feature_is_set(const char *name, const struct cpuid_entry *entries, unsigned count);

/* VIR_ERR_CPU_INCOMPATIBLE, naming them, when the host lacks features that the domain requires or
 * has some that it forbids. To be asked when a domain starts. */
bool domain_check_host_cpu(const domain_def *def, const struct cpuid_entry *entries, unsigned count,
                           GError **error);

#endif
