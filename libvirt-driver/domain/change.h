/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changing a domain's definitions. A domain has up to two: the live one, of the VMM that runs, and
 * the configuration, which the next start uses. Most calls that change something take
 * virDomainModificationImpact flags for which of the two is meant, and make the same change in
 * either; that is an edit. What does not go well changes nothing.
 */
#ifndef VOLE_DOMAIN_CHANGE_H
#define VOLE_DOMAIN_CHANGE_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/domain/domain.h"

/* What AFFECT_CURRENT, AFFECT_LIVE and AFFECT_CONFIG mean for a domain as it is now. False with
 * VIR_ERR_OPERATION_INVALID when a definition that is asked for is not there. */
bool domain_impact(const struct domain *domain, unsigned flags, bool *live, bool *config,
                   GError **error);

struct edit {
    /* Makes the change in a definition, or refuses it. `running`: it is the live one; then what the
     * VMM has to do about it comes from `apply`. */
    bool (*edit)(domain_def *def, bool running, const void *what, GError **error);
    /* Makes it so in the VMM. It may release the domain's lock; true only if it still runs. NULL:
     * there is nothing to do. */
    bool (*apply)(struct domain *domain, const void *what, GError **error);
};

/* Job. `flags` may hold others beside the impact. */
bool domain_edit(struct domain *domain, const struct edit *edit, const void *what, unsigned flags,
                 GError **error);

#endif
