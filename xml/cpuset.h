/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A set of the host's CPUs, as domain XML and libvirt's calls write it: "0-3,^2,8". A plain value;
 * all zeros is the empty set.
 */
#ifndef VOLE_XML_CPUSET_H
#define VOLE_XML_CPUSET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "xml/error.h"

#define CPUSET_MAX 1024 /* CPUs 0 to 1023, as many as libvirt and sched_setaffinity(2) know */

struct cpuset {
    uint64_t words[CPUSET_MAX / 64];
};

/* VIR_ERR_INVALID_ARG for what is no list, has a CPU beyond the last, or leaves none. */
bool cpuset_parse(const char *text, struct cpuset *set, GError **error);
/* "0-1,3,8", in order; to be freed with g_free(). "" for the empty set. */
char *cpuset_format(const struct cpuset *set);
bool cpuset_is_empty(const struct cpuset *set);
/* False for what is beyond the last. */
bool cpuset_has(const struct cpuset *set, unsigned cpu);
void cpuset_add(struct cpuset *set, unsigned cpu);

#endif
