/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The monitor: a JSON control socket as QEMU's own clients speak it (QEMU's qmp-spec). Greeting,
 * qmp_capabilities, then commands, one reply each, and events with timestamps. Several clients at
 * once; each is served in the main loop, and one that sends garbage, too much, or reads too slowly
 * gets an error or loses its connection without the machine noticing.
 *
 * Commands are data: qmp/commands.c holds the one table (name, arguments, states in which it is
 * legal, help, handler). Validation, query-commands and docs/qmp.md come from it.
 */
#ifndef VOLE_QMP_QMP_H
#define VOLE_QMP_QMP_H

#include <stdio.h>

#include "vmm/loop.h"
#include "vmm/machine.h"
#include "vmm/util.h"

struct qmp;

/* `specs` are "unix:PATH" (made, replacing a dead socket; removed at the end) or "fd:N" (a
 * listening or a connected stream socket). NULL with `err` set. */
struct qmp *qmp_new(struct machine *m, struct loop *loop, char *const *specs, unsigned count,
                    struct error *err);
/* Nobody new is let in any more; who is connected stays so until qmp_free(), which needs no
 * machine. Both are harmless on NULL. */
void qmp_stop_listening(struct qmp *qmp);
void qmp_free(struct qmp *qmp);

/* Sends an event to every client that has finished negotiating. Main loop's thread only. */
void qmp_machine_event(struct qmp *qmp, const struct machine_event *ev);

/* Writes docs/qmp.md's reference of commands and events, from the tables. */
void qmp_print_reference(FILE *out);

#endif
