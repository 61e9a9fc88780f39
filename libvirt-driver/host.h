/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host: its CPUs, memory and what of it a domain may use, read from /proc and /sys.
 */
#ifndef VOLE_HOST_H
#define VOLE_HOST_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "xml/caps.h"

/* What does not change while the daemon runs. */
struct host {
    struct host_caps caps;
    unsigned mhz;
    unsigned online_cpus;
    uint64_t memory_kib;
    unsigned page_kib;
    GArray *cpus; /* of struct host_cpu, by cell */
    GArray *cells;
    GPtrArray *strings; /* what the capabilities borrow */
};

/* `emulator` is the setting, or NULL. */
struct host *host_new(const char *emulator);
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
/* The same of a thread, to the nanosecond, and how long it was ready and had no CPU. */
struct host_schedstat {
    uint64_t ran;
    uint64_t waited;
};
struct host_schedstat host_schedstat(pid_t pid, pid_t thread);
/* How much of a process is in RAM. */
uint64_t host_resident_kib(pid_t pid);

/* The largest number of an online CPU. */
unsigned host_highest_cpu(const struct host *host);

/* Time that the host's CPUs, or one of them, spent since boot, in nanoseconds. False when there is
 * no such CPU. */
struct host_cpu_time {
    uint64_t kernel;
    uint64_t user;
    uint64_t idle;
    uint64_t iowait;
};
bool host_cpu_time(int cpu, struct host_cpu_time *time);
/* A line of /proc/meminfo, or of a cell's, in KiB; 0 when it is not there. */
uint64_t host_meminfo(int cell, const char *name);
/* Free pages of a size in a cell. False when there are no pages of that size. */
bool host_free_pages(unsigned cell, unsigned size_kib, uint64_t *count);

#endif
