/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * On which of the host's CPUs a running domain's threads may run: what <vcpu cpuset=> and <cputune>
 * say, given to the kernel thread by thread. A VMM has a thread for each vCPU and its main thread
 * ("the emulator"); what else it has serves disks and interfaces, and counts as the emulator's too,
 * unless the domain has I/O threads. Those are kept by number, but a VMM has threads as its devices
 * need them: they run wherever any I/O thread of the domain may.
 *
 * All functions are for who holds the domain's lock, while it runs. Nothing waits.
 */
#ifndef VOLE_DOMAIN_AFFINITY_H
#define VOLE_DOMAIN_AFFINITY_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/domain/domain.h"

enum thread_kind { THREAD_VCPU, THREAD_EMULATOR, THREAD_IO };

/* The VMM's threads that are of a kind: an array of pid_t. */
GArray *affinity_threads(const struct domain *domain, enum thread_kind kind);

/* All that the live definition asks for, before the guest runs. */
bool affinity_apply(const struct domain *domain, GError **error);

bool affinity_set_vcpu(const struct domain *domain, unsigned vcpu, const struct cpuset *cpus,
                       GError **error);
bool affinity_set_emulator(const struct domain *domain, const struct cpuset *cpus, GError **error);
/* From the pins in the live definition. */
bool affinity_set_iothreads(const struct domain *domain, GError **error);

/* Where a vCPU's thread may run, as the kernel has it. */
bool affinity_of_vcpu(const struct domain *domain, unsigned vcpu, struct cpuset *cpus);

#endif
