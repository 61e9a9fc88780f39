/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a VMM gets: everything that its definition names, opened here with the daemon's rights, as
 * descriptors that it inherits, and the machine document's names for them ("fd:7"). What is only
 * known now is filled in: names of taps, paths of terminals and sockets, the vsock's address.
 */
#ifndef VOLE_DRIVER_VMM_OUTFIT_H
#define VOLE_DRIVER_VMM_OUTFIT_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/paths.h"
#include "libvirt-driver/vmm/inherit.h"
#include "libvirt-driver/vmm/launch.h"
#include "xml/launch.h"

struct outfit {
    struct inherit *inherit;
    int cgroup;         /* of the domain, for processes that serve it; -1: none */
    GArray *companions; /* of struct companion: those that were started */
    const char *disks[DOMAIN_MAX_DISKS];
    const char *nets[DOMAIN_MAX_NETS];
    const char *vhosts[DOMAIN_MAX_NETS];
    const char *consoles[DOMAIN_MAX_CONSOLES];
    const char *channels[DOMAIN_MAX_CHANNELS];
    const char *qmp[2];
    struct launch_sources sources;
};

/* False with `error` set: what was opened is in outfit->inherit. */
bool outfit_fill(struct outfit *outfit, const struct paths *paths, domain_def *live,
                 struct terminals *terminals, GError **error);
/* Hands one more descriptor over, for its name; NULL when it is -1, for which an error is set. */
const char *outfit_add(struct outfit *outfit, int fd, const char *what);
/* When the domain does not run any more: sockets that were made for it go. */
void outfit_clean(const struct paths *paths, const domain_def *live);

#endif
