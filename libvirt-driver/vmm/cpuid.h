/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What of its CPU the host can give to a guest, as KVM tells it.
 */
#ifndef VOLE_DRIVER_VMM_CPUID_H
#define VOLE_DRIVER_VMM_CPUID_H

#include <glib.h>
#include <stdbool.h>

#include "xml/domain.h"

/* True when the definition asks for no features, or the host has them all and none of those that it
 * forbids. */
bool cpuid_check(const domain_def *def, GError **error);

#endif
