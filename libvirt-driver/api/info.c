/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a domain is and does: everything here only looks, and answers at once. */
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/domain/list.h"
#include "libvirt-driver/host.h"
#include "libvirt-driver/vmm/vmm.h"

static struct host_usage usage(const struct domain *domain)
{
    return domain->vmm ? host_usage(vmm_pid(domain->vmm), 0) : (struct host_usage){.cpu = -1};
}

static struct host_usage vcpu_usage(const struct domain *domain, guint vcpu)
{
    if (!domain->vmm || vcpu >= domain->vcpu_threads->len)
        return (struct host_usage){.cpu = -1};
    return host_usage(vmm_pid(domain->vmm), g_array_index(domain->vcpu_threads, pid_t, vcpu));
}

bool api_domain_get_info(struct call *call, const wire_dom *in, wire_dom_info *out, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);
    struct host_usage used;

    if (!domain)
        return false;
    used = usage(domain);
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

bool api_domain_get_max_memory(struct call *call, const wire_dom *in, wire_ulong *out,
                               GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    if (domain)
        out->value = domain_current_def(domain)->memory_kib;
    return domain != NULL;
}

bool api_domain_get_max_vcpus(struct call *call, const wire_dom *in, wire_int *out, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    if (domain)
        out->value = (int)domain_current_def(domain)->max_vcpus;
    return domain != NULL;
}

bool api_domain_get_vcpus_flags(struct call *call, const wire_dom_flags *in, wire_int *out,
                                GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    const domain_def *def;

    if (!api_check_flags(call, in->flags,
                         VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG |
                             VIR_DOMAIN_VCPU_MAXIMUM | VIR_DOMAIN_VCPU_GUEST,
                         error))
        return false;
    if ((in->flags & VIR_DOMAIN_VCPU_GUEST) && client_is_readonly(call->client)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_DENIED,
                          "read only access prevents virDomainGetVcpusFlags");
        return false;
    }
    domain = api_domain(call, &in->dom, error);
    def = domain ? api_def(domain, in->flags, error) : NULL;
    if (!def)
        return false;
    if (in->flags & VIR_DOMAIN_VCPU_GUEST) {
        libvirt_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "guest agent is not configured");
        return false;
    }
    out->value = (int)(in->flags & VIR_DOMAIN_VCPU_MAXIMUM ? def->max_vcpus : def->vcpus);
    return true;
}

bool api_domain_get_vcpus(struct call *call, const wire_vcpus_args *in, wire_vcpus *out,
                          GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    guint count;

    if (in->max_info < 0 || in->max_info > WIRE_VCPUS_MAX || in->map_length < 0 ||
        (gint64)in->max_info * in->map_length > WIRE_CPUMAPS_MAX) {
        libvirt_error_set(error, VIR_ERR_RPC, "maxinfo or maplen out of range");
        return false;
    }
    domain = api_domain(call, &in->dom, error);
    if (!domain)
        return false;
    if (!domain_runs(domain)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID,
                          "cannot retrieve vcpu information for inactive domain");
        return false;
    }
    count = MIN(domain->live->vcpus, (guint)in->max_info);
    out->info.info_val = g_new0(wire_vcpu, count + 1);
    out->info.info_len = count;
    for (guint i = 0; i < count; i++) {
        wire_vcpu *vcpu = &out->info.info_val[i];
        struct host_usage used = vcpu_usage(domain, i);

        vcpu->number = i;
        vcpu->state = VIR_VCPU_RUNNING;
        vcpu->cpu_time = used.user + used.system;
        vcpu->cpu = used.cpu >= 0 ? used.cpu : VIR_VCPU_INFO_CPU_UNAVAILABLE;
    }
    /* Nothing binds a vCPU to some of the host's CPUs: each may run on all of them. */
    out->maps.maps_len = count * (guint)in->map_length;
    out->maps.maps_val = g_malloc(out->maps.maps_len + 1);
    memset(out->maps.maps_val, 0xff, out->maps.maps_len);
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

/* ---- statistics in bulk ---- */

static wire_param *add_param(GArray *params, int type, char *field)
{
    wire_param param = {.field = field, .value.type = type};

    g_array_append_val(params, param);
    return &g_array_index(params, wire_param, params->len - 1);
}

static void add_int(GArray *params, const char *field, int value)
{
    add_param(params, VIR_TYPED_PARAM_INT, g_strdup(field))->value.wire_value_u.i = value;
}

static void add_uint(GArray *params, const char *field, unsigned value)
{
    add_param(params, VIR_TYPED_PARAM_UINT, g_strdup(field))->value.wire_value_u.ui = value;
}

static void add_ulong(GArray *params, const char *field, uint64_t value)
{
    add_param(params, VIR_TYPED_PARAM_ULLONG, g_strdup(field))->value.wire_value_u.ul = value;
}

static void add_state(const struct domain *domain, GArray *params)
{
    add_int(params, "state.state", domain->state);
    add_int(params, "state.reason", domain->reason);
}

static void add_cpu_total(const struct domain *domain, GArray *params)
{
    struct host_usage used = usage(domain);

    if (!domain_runs(domain))
        return;
    add_ulong(params, "cpu.time", used.user + used.system);
    add_ulong(params, "cpu.user", used.user);
    add_ulong(params, "cpu.system", used.system);
}

static void add_balloon(const struct domain *domain, GArray *params)
{
    const domain_def *def = domain_current_def(domain);

    add_ulong(params, "balloon.current", def->current_memory_kib);
    add_ulong(params, "balloon.maximum", def->memory_kib);
}

static void add_vcpu(const struct domain *domain, GArray *params)
{
    const domain_def *def = domain_current_def(domain);

    add_uint(params, "vcpu.current", def->vcpus);
    add_uint(params, "vcpu.maximum", def->max_vcpus);
    for (guint i = 0; i < domain->vcpu_threads->len; i++) {
        struct host_usage used = vcpu_usage(domain, i);

        add_param(params, VIR_TYPED_PARAM_INT, g_strdup_printf("vcpu.%u.state", i))
            ->value.wire_value_u.i = VIR_VCPU_RUNNING;
        add_param(params, VIR_TYPED_PARAM_ULLONG, g_strdup_printf("vcpu.%u.time", i))
            ->value.wire_value_u.ul = used.user + used.system;
    }
}

static const struct {
    unsigned flag;
    void (*add)(const struct domain *domain, GArray *params);
} stats_groups[] = {
    {VIR_DOMAIN_STATS_STATE, add_state},
    {VIR_DOMAIN_STATS_CPU_TOTAL, add_cpu_total},
    {VIR_DOMAIN_STATS_BALLOON, add_balloon},
    {VIR_DOMAIN_STATS_VCPU, add_vcpu},
};

static bool check_stats(unsigned stats, unsigned flags, GError **error)
{
    unsigned known = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(stats_groups); i++)
        known |= stats_groups[i].flag;
    if (!(flags & VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS) || !(stats & ~known))
        return true;
    libvirt_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED,
                      "Stats types bits 0x%x are not supported by this daemon", stats & ~known);
    return false;
}

static void fill_record(const struct domain *domain, unsigned stats, wire_stats_record *record)
{
    GArray *params = g_array_new(FALSE, TRUE, sizeof(wire_param));

    api_fill_domain(&record->dom, domain);
    for (gsize i = 0; i < G_N_ELEMENTS(stats_groups); i++) {
        if (!stats || (stats & stats_groups[i].flag))
            stats_groups[i].add(domain, params);
    }
    record->params.params_len = params->len;
    record->params.params_val = (wire_param *)(void *)g_array_free(params, FALSE);
}

/* Those that were named, or all; who does not exist is left out, as libvirt does. */
static GPtrArray *stats_domains(struct call *call, const wire_stats_args *in)
{
    GPtrArray *domains;

    if (!in->doms.doms_len)
        return domain_list_all(call->daemon->domains);
    domains = g_ptr_array_new_with_free_func((GDestroyNotify)domain_unref);
    for (guint i = 0; i < in->doms.doms_len; i++) {
        const uint8_t *uuid = (const uint8_t *)in->doms.doms_val[i].uuid;
        struct domain *domain = domain_list_by_uuid(call->daemon->domains, uuid);

        if (domain)
            g_ptr_array_add(domains, domain);
    }
    return domains;
}

bool api_connect_get_all_domain_stats(struct call *call, const wire_stats_args *in, wire_stats *out,
                                      GError **error)
{
    const unsigned filters = VIR_CONNECT_LIST_DOMAINS_ACTIVE | VIR_CONNECT_LIST_DOMAINS_INACTIVE |
                             VIR_CONNECT_LIST_DOMAINS_PERSISTENT |
                             VIR_CONNECT_LIST_DOMAINS_TRANSIENT | VIR_CONNECT_LIST_DOMAINS_RUNNING |
                             VIR_CONNECT_LIST_DOMAINS_PAUSED | VIR_CONNECT_LIST_DOMAINS_SHUTOFF |
                             VIR_CONNECT_LIST_DOMAINS_OTHER;
    const unsigned others = VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT |
                            VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING |
                            VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS;
    g_autoptr(GPtrArray) domains = NULL;

    if (!api_check_flags(call, in->flags, filters | others, error) ||
        !check_stats(in->stats, in->flags, error))
        return false;
    domains = stats_domains(call, in);
    out->records.records_val = g_new0(wire_stats_record, MIN(domains->len, WIRE_LIST_MAX) + 1);
    for (guint i = 0; i < domains->len && out->records.records_len < WIRE_LIST_MAX; i++) {
        struct domain *domain = g_ptr_array_index(domains, i);

        domain_lock(domain);
        if (api_domain_matches(domain, in->flags & filters))
            fill_record(domain, in->stats, &out->records.records_val[out->records.records_len++]);
        domain_unlock(domain);
    }
    return true;
}
