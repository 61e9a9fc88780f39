/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the guest says about its memory, for those who answer questions about it. */
#ifndef VOLE_API_MEMORY_H
#define VOLE_API_MEMORY_H

#include <glib.h>
#include <jansson.h>
#include <stdint.h>

/* qom-get's arguments for the guest's statistics. */
json_t *memory_stats_arguments(void);
/* Calls `found` with each statistic that the guest gave: its virDomainMemoryStatTags, its name in
 * getAllDomainStats, and its value (KiB, or a count). */
void memory_stats_read(const json_t *reply,
                       void (*found)(gpointer opaque, int tag, const char *name, uint64_t value),
                       gpointer opaque);

#endif
