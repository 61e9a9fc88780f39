/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The handlers of all procedures, declared from the one table: each has the exact types of its
 * arguments and result, so that a line in procedures.def that does not fit its handler does not
 * compile. The contract is rpc_handler's (rpc/dispatch.h).
 */
#ifndef VOLE_API_API_H
#define VOLE_API_API_H

#include <jansson.h>

#include "libvirt-driver/domain/change.h"
#include "libvirt-driver/domain/domain.h"
#include "libvirt-driver/host.h"
#include "libvirt-driver/rpc/dispatch.h"
#include "libvirt-driver/rpc/shapes.h"
#include "xml/error.h"

#define PROCEDURE(number, NAME, args, ret, handler, access, phase, pool) \
    bool api_##handler(struct call *call, const wire_##args *in, wire_##ret *out, GError **error);
#include "libvirt-driver/rpc/procedures.def"
#undef PROCEDURE

/* What handlers share. */

/* Refuses flags that a call does not know, as libvirt words it. */
bool api_check_flags(struct call *call, unsigned flags, unsigned known, GError **error);
/* The domain that has this UUID, under whatever name by now; locked, or NULL without an error. */
locked_domain *api_domain_by_uuid(struct call *call, const uint8_t *uuid);
/* The domain that a client means, locked; NULL with VIR_ERR_NO_DOMAIN. */
locked_domain *api_domain(struct call *call, const wire_domain *dom, GError **error);
/* The same for changing it: with its job, which domain_end_job() ends. */
locked_domain *api_domain_with_job(struct call *call, const wire_domain *dom, GError **error);
/* The domain that a definition is for, the one that is there or a new one: locked, with its job. */
locked_domain *api_domain_for(struct call *call, const domain_def *def, GError **error);
/* domain_edit() of the domain that a client means. */
bool api_edit(struct call *call, const wire_domain *dom, const struct edit *edit, const void *what,
              unsigned flags, GError **error);
/* What goes over the wire; the name is a copy. */
void api_fill_domain(wire_domain *wire, const struct domain *domain);
/* virDomainModificationImpact. */
#define API_IMPACT (VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG)
/* The domain that a client means, locked, and which of its definitions those flags mean (others are
 * not looked at). NULL with `error` set when there is no such one. */
locked_domain *api_domain_def(struct call *call, const wire_domain *dom, unsigned flags,
                              const domain_def **def, GError **error);
/* The same for a call that answers with typed parameters: it takes no other flags than those, and
 * the one that says that the client understands strings among them. */
locked_domain *api_domain_def_for_params(struct call *call, const wire_domain *dom, unsigned flags,
                                         const domain_def **def, GError **error);
/* A disk by its target or its source; NULL when there is none. */
struct domain_disk *api_find_disk(const domain_def *def, const char *path);
/* An interface by the name of its tap or by its MAC address; NULL when there is none. */
struct domain_net *api_find_net(const domain_def *def, const char *device);
/* What a device has done, in the VMM's reply to a query of statistics of all; NULL when it is not
 * in there. And one of its numbers. */
const json_t *api_device_stats(const json_t *reply, const char *alias);
int64_t api_stat(const json_t *stats, const char *name);
/* What a running domain's process, and one of its vCPUs, have used. */
struct host_usage api_usage(const struct domain *domain);
struct host_usage api_vcpu_usage(const struct domain *domain, unsigned vcpu);
/* Whether a domain is one of those that virConnectListAllDomainsFlags ask for. It is locked. */
bool api_domain_matches(const struct domain *domain, unsigned flags);

#endif
