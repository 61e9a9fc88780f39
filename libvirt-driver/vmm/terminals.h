/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The masters of a domain's terminals: serial0 first, then the virtio consoles and the channels; -1
 * for a device that is no terminal. The VMM has them, and the daemon keeps them too, so that a
 * console stays open while a VMM is replaced.
 */
#ifndef VOLE_DRIVER_VMM_TERMINALS_H
#define VOLE_DRIVER_VMM_TERMINALS_H

#include "xml/domain.h"

#define TERMINAL_SERIAL   0
#define TERMINAL_CONSOLES 1
#define TERMINAL_CHANNELS (TERMINAL_CONSOLES + DOMAIN_MAX_CONSOLES)
struct terminals {
    int masters[TERMINAL_CHANNELS + DOMAIN_MAX_CHANNELS];
};

struct vmm;

void terminals_init(struct terminals *terminals);
void terminals_close(struct terminals *terminals);

/*
 * For a VMM that an earlier daemon started: takes copies of its masters, found by the paths that
 * `live` has for them. Needs the right to trace the process; a terminal that cannot be had stays
 * -1, and a VMM that takes this one's place gets a new one.
 */
void terminals_recover(struct terminals *terminals, struct vmm *vmm, const domain_def *live);

#endif
