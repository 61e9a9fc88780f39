/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scheduler parameters: how much of the host's time a domain and its parts may have, which control
 * groups carry out. Only what is named changes; a quota of -1 takes a limit away, and 0 leaves what
 * there is.
 */
#include <inttypes.h>
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/api/params.h"
#include "libvirt-driver/domain/quotas.h"
#include "libvirt-driver/vmm/cgroup.h"

/* The kernel's own bounds, which libvirt states as its. */
#define PERIOD_MIN     1000
#define PERIOD_MAX     1000000
#define QUOTA_MIN      1000
#define SHARES_MAX     10000
#define SHARES_DEFAULT 100

/* The parameters of each kind of quota. */
static const struct {
    const char *period;
    const char *quota;
} quota_names[] = {
    [DOMAIN_QUOTA_VCPU] = {VIR_DOMAIN_SCHEDULER_VCPU_PERIOD, VIR_DOMAIN_SCHEDULER_VCPU_QUOTA},
    [DOMAIN_QUOTA_GLOBAL] = {VIR_DOMAIN_SCHEDULER_GLOBAL_PERIOD, VIR_DOMAIN_SCHEDULER_GLOBAL_QUOTA},
    [DOMAIN_QUOTA_EMULATOR] = {VIR_DOMAIN_SCHEDULER_EMULATOR_PERIOD,
                               VIR_DOMAIN_SCHEDULER_EMULATOR_QUOTA},
    [DOMAIN_QUOTA_IOTHREAD] = {VIR_DOMAIN_SCHEDULER_IOTHREAD_PERIOD,
                               VIR_DOMAIN_SCHEDULER_IOTHREAD_QUOTA},
};
G_STATIC_ASSERT(G_N_ELEMENTS(quota_names) == DOMAIN_QUOTA_LAST);

/* libvirt's order. */
static const enum domain_quota_kind quota_order[] = {
    DOMAIN_QUOTA_VCPU,
    DOMAIN_QUOTA_EMULATOR,
    DOMAIN_QUOTA_GLOBAL,
    DOMAIN_QUOTA_IOTHREAD,
};
G_STATIC_ASSERT(G_N_ELEMENTS(quota_order) == DOMAIN_QUOTA_LAST);

#define PARAMETERS (1 + 2 * DOMAIN_QUOTA_LAST)

static bool check_params(const struct params *params, GError **error)
{
    struct param_spec specs[PARAMETERS] = {
        {VIR_DOMAIN_SCHEDULER_CPU_SHARES, VIR_TYPED_PARAM_ULLONG}};

    for (unsigned i = 0; i < DOMAIN_QUOTA_LAST; i++) {
        specs[1 + 2 * i] = (struct param_spec){quota_names[i].period, VIR_TYPED_PARAM_ULLONG};
        specs[2 + 2 * i] = (struct param_spec){quota_names[i].quota, VIR_TYPED_PARAM_LLONG};
    }
    return params_check(params, specs, G_N_ELEMENTS(specs), error);
}

/* ---- changing ---- */

static bool edit_shares(domain_def *def, const struct params *params, GError **error)
{
    const wire_param *shares = params_find(params, VIR_DOMAIN_SCHEDULER_CPU_SHARES);
    uint64_t value = shares ? shares->value.wire_value_u.ul : 0;

    if (!shares)
        return true;
    if (value < 1 || value > SHARES_MAX) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "shares '%" PRIu64 "' must be in range [1, %d]", value, SHARES_MAX);
        return false;
    }
    def->cputune.shares = (unsigned)value;
    return true;
}

static bool edit_quota(struct domain_cpu_quota *def, enum domain_quota_kind kind,
                       const struct params *params, GError **error)
{
    const wire_param *period = params_find(params, quota_names[kind].period);
    const wire_param *quota = params_find(params, quota_names[kind].quota);

    if (period) {
        uint64_t value = period->value.wire_value_u.ul;

        if (value && (value < PERIOD_MIN || value > PERIOD_MAX)) {
            libvirt_error_set(error, VIR_ERR_INVALID_ARG, "value of '%s' must be in range [%d, %d]",
                              quota_names[kind].period, PERIOD_MIN, PERIOD_MAX);
            return false;
        }
        def->period = value ? value : def->period;
    }
    if (quota) {
        int64_t value = quota->value.wire_value_u.l;

        if (value > 0 && value < QUOTA_MIN) {
            libvirt_error_set(error, VIR_ERR_INVALID_ARG, "value of '%s' must be at least %d",
                              quota_names[kind].quota, QUOTA_MIN);
            return false;
        }
        if (value)
            def->quota = MAX(value, -1);
    }
    return true;
}

static bool edit_scheduler(domain_def *def, bool running, const void *what, GError **error)
{
    const struct params *params = what;

    if (!edit_shares(def, params, error))
        return false;
    for (unsigned i = 0; i < DOMAIN_QUOTA_LAST; i++) {
        if (!edit_quota(&def->cputune.quotas[i], i, params, error))
            return false;
    }
    return true;
}

static bool apply_scheduler(struct domain *domain, const void *what, GError **error)
{
    const struct params *params = what;
    g_autoptr(domain_def) wanted = domain_def_copy(domain->live);
    const struct domain_cputune *tune = &wanted->cputune;

    if (!edit_scheduler(wanted, true, what, error))
        return false;
    if (params_find(params, VIR_DOMAIN_SCHEDULER_CPU_SHARES) &&
        !cgroup_set_shares(domain->cgroup, tune->shares, error))
        return false;
    for (unsigned i = 0; i < DOMAIN_QUOTA_LAST; i++) {
        if ((params_find(params, quota_names[i].period) ||
             params_find(params, quota_names[i].quota)) &&
            !quotas_set(domain, i, &tune->quotas[i], error))
            return false;
    }
    return true;
}

static bool set_scheduler(struct call *call, const wire_domain *dom, const struct params *params,
                          unsigned flags, GError **error)
{
    static const struct edit edit = {edit_scheduler, apply_scheduler};

    return api_check_flags(call, flags, API_IMPACT, error) && check_params(params, error) &&
           api_edit(call, dom, &edit, params, flags, error);
}

bool api_domain_set_scheduler_parameters(struct call *call, const wire_set_params_args *in,
                                         wire_none *out, GError **error)
{
    const struct params params = {in->params.params_val, in->params.params_len};

    return set_scheduler(call, &in->dom, &params, VIR_DOMAIN_AFFECT_CURRENT, error);
}

bool api_domain_set_scheduler_parameters_flags(struct call *call,
                                               const wire_set_params_flags_args *in, wire_none *out,
                                               GError **error)
{
    const struct params params = {in->params.params_val, in->params.params_len};

    return set_scheduler(call, &in->dom, &params, in->flags, error);
}

/* ---- asking ---- */

bool api_domain_get_scheduler_type(struct call *call, const wire_dom *in, wire_scheduler *out,
                                   GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    if (!domain)
        return false;
    out->type = g_strdup("posix");
    out->count = PARAMETERS;
    return true;
}

static GArray *read_scheduler(const struct domain *domain, const domain_def *def, GError **error)
{
    unsigned shares = def->cputune.shares ? def->cputune.shares : SHARES_DEFAULT;
    bool live = def == domain->live;
    GArray *params;

    if (live && !cgroup_has(domain->cgroup, CGROUP_CPU)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "cgroup CPU controller is not mounted");
        return NULL;
    }
    if (live)
        cgroup_get_shares(domain->cgroup, &shares);
    params = params_new();
    params_add_ulong(params, shares, VIR_DOMAIN_SCHEDULER_CPU_SHARES);
    for (gsize i = 0; i < G_N_ELEMENTS(quota_order); i++) {
        enum domain_quota_kind kind = quota_order[i];
        struct domain_cpu_quota quota = def->cputune.quotas[kind];

        if (live)
            quotas_get(domain, kind, &quota);
        params_add_ulong(params, quota.period ? quota.period : QUOTA_PERIOD_DEFAULT, "%s",
                         quota_names[kind].period);
        params_add_long(params, quota.quota ? quota.quota : -1, "%s", quota_names[kind].quota);
    }
    return params;
}

static bool get_scheduler(struct call *call, const wire_domain *dom, int room, unsigned flags,
                          wire_params *out, GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    wire_params_count counted = {0};
    const domain_def *def;
    GArray *params;

    if (!api_check_flags(call, flags, API_IMPACT | VIR_TYPED_PARAM_STRING_OKAY, error))
        return false;
    domain = api_domain_def(call, dom, flags, &def, error);
    params = domain ? read_scheduler(domain, def, error) : NULL;
    if (!params)
        return false;
    params_answer(params, room, &counted);
    out->params.params_val = counted.params.params_val;
    out->params.params_len = counted.params.params_len;
    return true;
}

bool api_domain_get_scheduler_parameters(struct call *call, const wire_dom_int *in,
                                         wire_params *out, GError **error)
{
    return get_scheduler(call, &in->dom, in->value, 0, out, error);
}

bool api_domain_get_scheduler_parameters_flags(struct call *call, const wire_params_args *in,
                                               wire_params *out, GError **error)
{
    return get_scheduler(call, &in->dom, in->room, in->flags, out, error);
}
