/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a domain is and does: everything here only looks, and answers at once. Statistics are in
 * stats.c. */
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/host.h"
#include "libvirt-driver/vmm/vmm.h"

bool api_domain_get_info(struct call *call, const wire_dom *in, wire_dom_info *out, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);
    struct host_usage used;

    if (!domain)
        return false;
    used = api_usage(domain);
    out->state = domain->state;
    out->max_memory = domain_current_def(domain)->memory_kib;
    out->memory = domain_current_def(domain)->current_memory_kib;
    out->vcpus = domain_current_def(domain)->vcpus;
    out->cpu_time = used.user + used.system;
    return true;
}

bool api_domain_get_state(struct call *call, const wire_dom_flags *in, wire_dom_state *out,
                          GError **error)
{
    g_autoptr(locked_domain) domain = NULL;

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    domain = api_domain(call, &in->dom, error);
    if (!domain)
        return false;
    out->state = domain->state;
    out->reason = domain->reason;
    return true;
}

bool api_domain_get_os_type(struct call *call, const wire_dom *in, wire_str *out, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    if (domain)
        out->value = g_strdup("hvm");
    return domain != NULL;
}

bool api_domain_is_active(struct call *call, const wire_dom *in, wire_int *out, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    if (domain)
        out->value = domain_runs(domain);
    return domain != NULL;
}

bool api_domain_is_persistent(struct call *call, const wire_dom *in, wire_int *out, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    if (domain)
        out->value = domain->config != NULL;
    return domain != NULL;
}

bool api_domain_is_updated(struct call *call, const wire_dom *in, wire_int *out, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    if (domain)
        out->value = domain->updated;
    return domain != NULL;
}

/* There is nothing to save to yet, so nothing is saved. */
bool api_domain_has_managed_save_image(struct call *call, const wire_dom_flags *in, wire_int *out,
                                       GError **error)
{
    g_autoptr(locked_domain) domain = NULL;

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    domain = api_domain(call, &in->dom, error);
    return domain != NULL;
}

bool api_domain_snapshot_num(struct call *call, const wire_dom_flags *in, wire_int *out,
                             GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    return domain != NULL;
}

bool api_domain_get_messages(struct call *call, const wire_dom_flags *in, wire_messages *out,
                             GError **error)
{
    g_autoptr(locked_domain) domain = NULL;

    if (!api_check_flags(call, in->flags,
                         VIR_DOMAIN_MESSAGE_DEPRECATION | VIR_DOMAIN_MESSAGE_TAINTING, error))
        return false;
    domain = api_domain(call, &in->dom, error);
    return domain != NULL;
}

/* No security driver, no label: the empty string with its NUL. */
bool api_domain_get_security_label(struct call *call, const wire_dom *in, wire_security_label *out,
                                   GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    if (!domain)
        return false;
    out->label.label_len = 1;
    out->label.label_val = g_new0(int, 1);
    return true;
}

bool api_domain_get_security_label_list(struct call *call, const wire_dom *in,
                                        wire_security_labels *out, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    return domain != NULL;
}

/* Whether the VMM can be talked to. */
bool api_domain_get_control_info(struct call *call, const wire_dom_flags *in,
                                 wire_control_info *out, GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    gint64 overdue;

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    domain = api_domain(call, &in->dom, error);
    if (!domain || !domain_check_runs(domain, error))
        return false;
    overdue = domain->vmm ? vmm_overdue(domain->vmm) : 0;
    if (overdue) {
        out->state = VIR_DOMAIN_CONTROL_ERROR;
        out->details = VIR_DOMAIN_CONTROL_ERROR_REASON_MONITOR;
        out->state_time = (uint64_t)overdue / 1000;
    } else if (domain->job) {
        out->state = VIR_DOMAIN_CONTROL_OCCUPIED;
        out->state_time = (uint64_t)(g_get_monotonic_time() - domain->job_since) / 1000;
    }
    return true;
}

/* No job that takes so long that it could be watched. */
bool api_domain_get_job_info(struct call *call, const wire_dom *in, wire_job_info *out,
                             GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    out->type = VIR_DOMAIN_JOB_NONE;
    return domain && domain_check_runs(domain, error);
}

bool api_domain_get_job_stats(struct call *call, const wire_dom_flags *in, wire_job_stats *out,
                              GError **error)
{
    const unsigned known = VIR_DOMAIN_JOB_STATS_COMPLETED | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED;
    g_autoptr(locked_domain) domain = NULL;

    if (!api_check_flags(call, in->flags, known, error))
        return false;
    domain = api_domain(call, &in->dom, error);
    out->type = VIR_DOMAIN_JOB_NONE;
    return domain &&
           ((in->flags & VIR_DOMAIN_JOB_STATS_COMPLETED) || domain_check_runs(domain, error));
}

bool api_domain_abort_job(struct call *call, const wire_dom *in, wire_none *out, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    if (domain && domain_check_runs(domain, error))
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "no job is active on the domain");
    return false;
}
