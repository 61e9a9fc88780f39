/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One port whose bytes go to a descriptor, for a guest that has nothing else yet: the isa-debugcon
 * of QEMU and Bochs, which reads as 0xe9.
 */
#ifndef VOLE_DEVICES_DEBUG_PORT_H
#define VOLE_DEVICES_DEBUG_PORT_H

#include "vmm/bus.h"

struct debug_port;

/* `fd` stays the caller's. A vCPU waits for a reader that is slow, but can be stopped meanwhile. */
struct debug_port *debug_port_new(int fd);
void debug_port_free(struct debug_port *port);
struct bus_device *debug_port_bus_device(struct debug_port *port);

#endif
