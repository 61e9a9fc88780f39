/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starting a VMM. Everything it needs is opened here, with the daemon's rights, and handed to it as
 * inherited descriptors: kernel, initrd, disk images (locked as QEMU locks them, so that neither
 * opens what the other writes to), taps, terminals, the socket of its monitor. The VMM itself opens
 * nothing by name. Taps vanish with the last descriptor, so there is nothing to undo when it ends.
 */
#ifndef VOLE_DRIVER_VMM_LAUNCH_H
#define VOLE_DRIVER_VMM_LAUNCH_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "libvirt-driver/daemon.h"
#include "libvirt-driver/vmm/terminals.h"
#include "xml/domain.h"

struct inherit;

struct launched {
    pid_t pid;
    char *monitor_path;
    char *log_path;
    GArray *companions;      /* of struct companion: processes that came with it */
    char *cgroup;            /* its control group, or NULL */
    off_t log_start;         /* where this start's output begins in the log */
    struct inherit *inherit; /* what the VMM got, by name; closed here */
};
void launched_clear(struct launched *launched);

/*
 * Starts the VMM for a domain that is about to run; it waits for `cont`. Fills in what is only
 * known now in `live` (its id is set already): aliases, tap names, paths of terminals. Terminals
 * that are open in `terminals` already are used again. False with `error` set: nothing has been
 * started and nothing is left behind.
 */
bool launch_vmm(const struct daemon *daemon, domain_def *live, struct terminals *terminals,
                struct launched *launched, GError **error);

/* Ends a VMM that cannot be used, and what came with it; true when it had ended by itself. */
bool launch_abandon(const struct launched *launched);

/* What the VMM wrote last since it was started, one line without its newline, or NULL. Descriptors
 * that it names are called by their paths. */
char *launch_last_words(const struct launched *launched);

/* The VMM program for a definition, or NULL with `error` set when there is none. To be freed.
 * `otherwise` is the one for definitions that name none; NULL: it is looked for. */
char *launch_emulator(const domain_def *def, const char *otherwise, GError **error);

#endif
