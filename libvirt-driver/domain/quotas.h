/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much of the host's time a running domain's parts may have (<cputune>). The limit of the whole
 * is its control group's; those of vCPUs, of the emulator and of the I/O threads are those of
 * groups of threads below it, which are made when one of these limits is first set: "vcpu0",
 * "emulator", "iothreads". Which threads are whose is said in domain/affinity.h.
 *
 * All functions are for who holds the domain's lock, while it runs. Nothing waits.
 */
#ifndef VOLE_DOMAIN_QUOTAS_H
#define VOLE_DOMAIN_QUOTAS_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/domain/domain.h"

/* When a limit is given without a period, and what the kernel has; microseconds. */
#define QUOTA_PERIOD_DEFAULT 100000

/* All that the live definition asks for, before the guest runs. VIR_ERR_OPERATION_INVALID where the
 * host has no control groups that can do it. */
bool quotas_apply(const struct domain *domain, GError **error);
bool quotas_set(const struct domain *domain, enum domain_quota_kind kind,
                const struct domain_cpu_quota *quota, GError **error);
/* What holds in the kernel; `quota` is left as it is where there is no limit. */
void quotas_get(const struct domain *domain, enum domain_quota_kind kind,
                struct domain_cpu_quota *quota);

#endif
