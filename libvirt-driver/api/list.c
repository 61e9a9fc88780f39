/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding domains: one by one, and lists of them. */
#include "libvirt-driver/domain/list.h"

#include "libvirt-driver/api/api.h"

/* Takes over the reference; false with the error set when the domain is NULL or not there yet. */
static bool found(struct domain *domain, wire_dom *out)
{
    bool there;

    if (!domain)
        return false;
    domain_lock(domain);
    there = !domain_is_void(domain);
    if (there)
        api_fill_domain(&out->dom, domain);
    domain_release(domain);
    return there;
}

bool api_domain_lookup_by_id(struct call *call, const wire_int *in, wire_dom *out, GError **error)
{
    /* It may have stopped since it was found. */
    if (found(domain_list_by_id(call->daemon->domains, in->value), out) && out->dom.id == in->value)
        return true;
    libvirt_error_set(error, VIR_ERR_NO_DOMAIN, "no domain with matching id %d", in->value);
    return false;
}

bool api_domain_lookup_by_name(struct call *call, const wire_str *in, wire_dom *out, GError **error)
{
    if (found(domain_list_by_name(call->daemon->domains, in->value), out))
        return true;
    libvirt_error_set(error, VIR_ERR_NO_DOMAIN, "no domain with matching name '%s'", in->value);
    return false;
}

bool api_domain_lookup_by_uuid(struct call *call, const wire_uuid *in, wire_dom *out,
                               GError **error)
{
    const uint8_t *uuid = (const uint8_t *)in->uuid;
    g_autoptr(locked_domain) domain = api_domain_by_uuid(call, uuid);
    char text[DOMAIN_UUID_TEXT];

    if (domain) {
        api_fill_domain(&out->dom, domain);
        return true;
    }
    domain_uuid_format(uuid, text);
    libvirt_error_set(error, VIR_ERR_NO_DOMAIN, "no domain with matching uuid '%s'", text);
    return false;
}

/* References to those domains that match. */
static GPtrArray *matching(struct call *call, unsigned flags)
{
    g_autoptr(GPtrArray) all = domain_list_all(call->daemon->domains);
    GPtrArray *those = g_ptr_array_new_with_free_func((GDestroyNotify)domain_unref);

    for (guint i = 0; i < all->len; i++) {
        const struct domain *listed = g_ptr_array_index(all, i);
        /* One that is renamed meanwhile is another struct. */
        g_autoptr(locked_domain) domain = api_domain_by_uuid(call, listed->uuid);

        if (domain && api_domain_matches(domain, flags))
            g_ptr_array_add(those, domain_ref(domain));
    }
    return those;
}

static int count(struct call *call, unsigned flags)
{
    g_autoptr(GPtrArray) domains = matching(call, flags);

    return (int)domains->len;
}

bool api_connect_num_of_domains(struct call *call, const wire_none *in, wire_int *out,
                                GError **error)
{
    out->value = count(call, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    return true;
}

bool api_connect_num_of_defined_domains(struct call *call, const wire_none *in, wire_int *out,
                                        GError **error)
{
    out->value = count(call, VIR_CONNECT_LIST_DOMAINS_INACTIVE);
    return true;
}

/* How many a caller may be given that has room for `room`. */
static bool list_length(const GPtrArray *domains, int room, guint *len, GError **error)
{
    if (room < 0 || room > WIRE_LIST_MAX) {
        libvirt_error_set(error, VIR_ERR_RPC, "too many domains '%d' for limit '%d'", room,
                          WIRE_LIST_MAX);
        return false;
    }
    *len = MIN(domains->len, (guint)room);
    return true;
}

bool api_connect_list_domains(struct call *call, const wire_int *in, wire_ints *out, GError **error)
{
    g_autoptr(GPtrArray) domains = matching(call, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    guint len;

    if (!list_length(domains, in->value, &len, error))
        return false;
    out->values.values_val = g_new(int, len + 1);
    for (guint i = 0; i < len; i++) {
        int id = g_atomic_int_get(&((struct domain *)g_ptr_array_index(domains, i))->id);

        if (id >= 0) /* it may have stopped since */
            out->values.values_val[out->values.values_len++] = id;
    }
    return true;
}

bool api_connect_list_defined_domains(struct call *call, const wire_int *in, wire_names *out,
                                      GError **error)
{
    g_autoptr(GPtrArray) domains = matching(call, VIR_CONNECT_LIST_DOMAINS_INACTIVE);
    guint len;

    if (!list_length(domains, in->value, &len, error))
        return false;
    out->names.names_val = g_new0(char *, len + 1);
    out->names.names_len = len;
    for (guint i = 0; i < len; i++) {
        struct domain *domain = g_ptr_array_index(domains, i);

        out->names.names_val[i] = g_strdup(domain->name);
    }
    return true;
}

bool api_connect_list_all_domains(struct call *call, const wire_list_args *in, wire_domains *out,
                                  GError **error)
{
    const unsigned known = (VIR_CONNECT_LIST_DOMAINS_NO_CHECKPOINT << 1) - 1;
    g_autoptr(GPtrArray) domains = NULL;

    if (!api_check_flags(call, in->flags, known, error))
        return false;
    domains = matching(call, in->flags);
    if (domains->len > WIRE_LIST_MAX) {
        libvirt_error_set(error, VIR_ERR_RPC, "Too many domains '%u' for limit '%d'", domains->len,
                          WIRE_LIST_MAX);
        return false;
    }
    out->count = domains->len;
    if (!in->need_results)
        return true;
    out->doms.doms_val = g_new0(wire_domain, domains->len + 1);
    out->doms.doms_len = domains->len;
    for (guint i = 0; i < domains->len; i++)
        api_fill_domain(&out->doms.doms_val[i], g_ptr_array_index(domains, i));
    return true;
}
