/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The events there are. */
#ifndef VOLE_QMP_EVENTS_H
#define VOLE_QMP_EVENTS_H

#include <jansson.h>
#include <stdio.h>

#include "vmm/machine.h"

/* The message for an event; a new reference. */
json_t *qmp_event(const struct machine_event *ev);
/* Their part of docs/qmp.md. */
void qmp_print_events(FILE *out);

#endif
