/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fixed part of a PC, for the files of this folder. */
#ifndef VOLE_ARCH_X86_64_PLATFORM_H
#define VOLE_ARCH_X86_64_PLATFORM_H

#include "vmm/arch/x86_64/cpuid_features.h"

struct arch_platform {
    struct cpu_topology topology;
    struct cpuid *cpuid; /* what the host supports; NULL until there was a VM */
    struct x86_feature_set features_off;

    struct serial *serial; /* NULL when the machine has none */
    struct rtc *rtc;       /* likewise */
    struct i8042 *kbc;
    struct power *power;
    struct pvpanic *pvpanic;       /* may be NULL */
    struct debug_port *debug_port; /* may be NULL */
};

#endif
