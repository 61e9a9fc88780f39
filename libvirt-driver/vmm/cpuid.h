/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What CPUID tells of the host's CPU, and KVM of what it can give of that to a guest. */
#ifndef VOLE_DRIVER_VMM_CPUID_H
#define VOLE_DRIVER_VMM_CPUID_H

#include <glib.h>
#include <stdbool.h>

#include "xml/cpu_features.h"

/* All empty on an architecture that has no CPUID. */
void cpuid_of_host(struct cpu_host *host);
/* False with `error` set when KVM cannot be asked. */
bool cpuid_of_guests(struct cpu_host *guest, GError **error);

#endif
