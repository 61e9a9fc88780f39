/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Control groups (cgroup v2): each VMM is started in one of its own, which is named after the
 * domain and holds nothing else, so that the host can limit and count what it uses. Where the host
 * has no cgroup v2, or does not let this daemon make groups, domains run without; where a
 * controller is missing, what depends on it is refused, and nothing else.
 *
 * A group's path is kept with the domain and outlives the daemon. Only cgroup_clear() waits.
 */
#ifndef VOLE_DRIVER_VMM_CGROUP_H
#define VOLE_DRIVER_VMM_CGROUP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "xml/domain.h"

struct cgroups;

/* `partition` is the group below which all are made, "/machine"; NULL: there are none. `owner`, a
 * directory of this daemon's alone, tells its groups from those of another one. */
struct cgroups *cgroups_new(const char *partition, const char *owner);
void cgroups_free(struct cgroups *cgroups);

/* A group for a domain that starts: a descriptor of its directory, and its path (to be freed). -1
 * and no error when there are none on this host: that has been told when the daemon started. */
int cgroup_make(struct cgroups *cgroups, const domain_def *def, char **path);
/* False when somebody is in it still. `path` may be NULL, here and below. */
bool cgroup_remove(const char *path);

/* The paths of this daemon's groups that are there now. */
GPtrArray *cgroups_list(const struct cgroups *cgroups);
/* The id of the domain that a group was made for. */
int cgroup_domain_id(const char *path);
/* Kills whoever is in a group, waits for their end, and removes it. */
void cgroup_clear(const char *path);

enum cgroup_controller { CGROUP_CPU, CGROUP_MEMORY, CGROUP_IO, CGROUP_CPUSET };

/* Whether a group has the controller. */
bool cgroup_has(const char *path, enum cgroup_controller controller);
/* Everything that the definition asks for. VIR_ERR_OPERATION_INVALID when a controller is not there
 * that it needs. */
bool cgroup_apply(const char *path, const domain_def *def, GError **error);

bool cgroup_set_shares(const char *path, unsigned shares, GError **error);
/* -1: no limit. */
bool cgroup_set_quota(const char *path, uint64_t period, int64_t quota, GError **error);
/* KiB; 0: no limit. */
bool cgroup_set_memory(const char *path, const struct domain_memtune *memtune, GError **error);

/* From which NUMA nodes memory comes; what there is moves. */
bool cgroup_set_memory_nodes(const char *path, const struct cpuset *nodes, GError **error);
/* Of block devices in all. */
bool cgroup_set_io_weight(const char *path, unsigned weight, GError **error);
/* Those of one device; 0 is none. VIR_ERR_INVALID_ARG for what is no block device. */
bool cgroup_set_io(const char *path, const struct domain_blkio_device *device, GError **error);

/* A group for threads of the process in `path`, below it: its path, to be freed. It is left as it
 * is when it is there already. NULL with `error` set: VIR_ERR_OPERATION_INVALID where the host has
 * no CPU controller. */
char *cgroup_make_threads(const char *path, const char *name, GError **error);
/* Moves a thread there; one that has ended is none to move. */
bool cgroup_add_thread(const char *group, pid_t thread, GError **error);

/* What holds in the kernel; false when it cannot be read. */
bool cgroup_get_shares(const char *path, unsigned *shares);
bool cgroup_get_quota(const char *path, uint64_t *period, int64_t *quota);

#endif
