/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every domain that the daemon knows, by UUID and by name. Thread-safe. What it gives is
 * referenced; locked only where that is said.
 */
#ifndef VOLE_DOMAIN_LIST_H
#define VOLE_DOMAIN_LIST_H

#include <glib.h>

#include "libvirt-driver/domain/domain.h"

struct domain_list;

struct domain_list *domain_list_new(void);
void domain_list_free(struct domain_list *list);

/* NULL when there is none. */
struct domain *domain_list_by_uuid(struct domain_list *list, const uint8_t uuid[DOMAIN_UUID_BYTES]);
struct domain *domain_list_by_name(struct domain_list *list, const char *name);
struct domain *domain_list_by_id(struct domain_list *list, int id);

/* All of them, of struct domain, ordered by name. */
GPtrArray *domain_list_all(struct domain_list *list);

/*
 * The domain with the definition's UUID and name, locked; it is added (void) when neither is known.
 * NULL with VIR_ERR_OPERATION_FAILED when one of the two belongs to another domain.
 */
locked_domain *domain_list_add(struct daemon *daemon, const domain_def *def, GError **error);
/* The caller holds the domain's lock: takes it out when it is void. */
void domain_list_remove_void(struct domain_list *list, struct domain *domain);

/*
 * For another name of a domain: a new, void domain with the same UUID, which is found by nobody but
 * keeps the name from others; a reference for the caller. NULL with VIR_ERR_OPERATION_INVALID when
 * another domain has the name. It is then either put in the place of the old one, whose lock is
 * held and which is void by now, or dropped.
 */
struct domain *domain_list_reserve_name(struct daemon *daemon, const struct domain *domain,
                                        const char *name, GError **error);
void domain_list_replace(struct domain_list *list, struct domain *old, struct domain *renamed);
void domain_list_drop_name(struct domain_list *list, struct domain *reserved);

/* A new id for a domain that starts; ids up to `id` are taken. */
int domain_list_next_id(struct domain_list *list);
void domain_list_reserve_id(struct domain_list *list, int id);
/* How many run. */
guint domain_list_count_active(struct domain_list *list);

#endif
