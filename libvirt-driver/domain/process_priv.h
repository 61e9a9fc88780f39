/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What process.c and process_events.c have in common. All for who holds the domain's lock, unless
 * it says otherwise. */
#ifndef VOLE_DOMAIN_PROCESS_PRIV_H
#define VOLE_DOMAIN_PROCESS_PRIV_H

#include "libvirt-driver/domain/process.h"
#include "libvirt-driver/vmm/vmm.h"

/* virDomainEventType and its detail. */
void domain_emit(struct domain *domain, int event, int detail);
void domain_set_state(struct domain *domain, virDomainState state, int reason);
/* Writes the state down if an event has changed something since the last time. */
void domain_write_due_status(struct domain *domain);

/* Whether what the VMM said before its end, or how it ended, is a crash; and whether the definition
 * wants the guest to be started again after that end. */
bool domain_has_crashed(const struct domain *domain, const struct vmm_end *end);
bool domain_is_to_restart(const struct domain *domain, bool crashed);

/* The guest has its end of a channel open, or not. */
void domain_set_channel(struct domain *domain, struct domain_channel *channel, bool is_open);

/* Main thread, no lock held: an event of the domain `opaque`. */
void domain_vmm_event(struct vmm *vmm, gpointer opaque, const char *event, json_t *data);

#endif
