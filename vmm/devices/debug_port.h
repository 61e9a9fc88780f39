/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One port whose bytes go to a descriptor, for a guest that has nothing else yet: the isa-debugcon
 * of QEMU and Bochs, which reads as 0xe9.
 */
#ifndef VOLE_DEVICES_DEBUG_PORT_H
#define VOLE_DEVICES_DEBUG_PORT_H

#include "vmm/bus.h"

struct debug_port;

/*
 * `fd` stays the caller's. Writing never blocks, or a reader that has stopped would hold the vCPU,
 * and a signal that asks the vCPU to stop may come just before the call that blocks. So the port
 * writes to a non-blocking open file of its own (what cannot be opened anew, a socket for one, is
 * asked for room first), and a vCPU waits for a slow reader a second at most. After that the reader
 * counts as gone: bytes are dropped without a wait until there is room again.
 */
struct debug_port *debug_port_new(int fd);
void debug_port_free(struct debug_port *port);
struct bus_device *debug_port_bus_device(struct debug_port *port);

#endif
