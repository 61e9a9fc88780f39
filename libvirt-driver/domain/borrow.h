/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a domain has from others while it runs: ports of the host's networks, volumes of storage
 * pools, macvtaps, and the passt processes of its user networking. All of it is written down before
 * it is made, so that a later daemon can give back what an earlier one took.
 *
 * For who has the domain's job and not its lock: this waits for other daemons, though never
 * without end.
 */
#ifndef VOLE_DOMAIN_BORROW_H
#define VOLE_DOMAIN_BORROW_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/daemon.h"
#include "xml/domain.h"

/* Whether the definition needs any of it that does not go away by itself. */
bool borrow_is_needed(const domain_def *def);
/* Chooses the names (ids of ports) under which things will be asked for. */
void borrow_name(domain_def *def);
/* Gets ports and volumes: fills in bridges, interfaces and paths. Ports that the domain has already
 * stay its own. False with `error` set, libvirt's own where it has one; nothing new is left then.
 */
bool borrow_get(const struct daemon *daemon, domain_def *def, GError **error);
/* Gives back what `def` has; failures are logged. `companions` is an array of struct companion. */
void borrow_return(const struct daemon *daemon, const domain_def *def, const GArray *companions);
/* Tells the networks about ports that they may have lost while nobody told them. */
void borrow_renew(const struct daemon *daemon, domain_def *def);

#endif
