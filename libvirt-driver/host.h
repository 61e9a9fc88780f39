/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host: its CPUs, memory and what of it a domain may use, read from /proc and /sys.
 */
#ifndef VOLE_HOST_H
#define VOLE_HOST_H

#include <glib.h>
#include <stdint.h>

#include "xml/caps.h"

/* What does not change while the daemon runs. */
struct host {
    struct host_caps caps;
    unsigned mhz;
    unsigned online_cpus;
    uint64_t memory_kib;
    GArray *cpus; /* of struct host_cpu, by cell */
    GArray *cells;
    GPtrArray *strings; /* what the capabilities borrow */
};

struct host *host_new(void);
void host_free(struct host *host);

/* /dev/kvm can be opened now. */
bool host_kvm_usable(void);
/* Free memory of a cell, or of the whole host with -1, in bytes; 0 when it cannot be told. */
uint64_t host_free_memory(int cell);
/* What a process (or, with `thread`, one of its threads) has used, in nanoseconds. */
struct host_usage {
    uint64_t user;
    uint64_t system;
    int cpu; /* where it ran last, or -1 */
};
struct host_usage host_usage(pid_t pid, pid_t thread);

#endif
