/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's network interfaces: what goes through them. */
#include "libvirt-driver/api/interface.h"

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/domain/process.h"
#include "libvirt-driver/util.h"

/* By the name of its tap or by its MAC address. */
struct domain_net *api_find_net(const domain_def *def, const char *device)
{
    for (guint i = 0; i < def->nets->len; i++) {
        struct domain_net *net = domain_net_at(def, i);
        char mac[18];

        domain_mac_format(net->mac, mac);
        if (g_strcmp0(net->target, device) == 0 || g_ascii_strcasecmp(mac, device) == 0)
            return net;
    }
    return NULL;
}

bool net_stats_read(const json_t *reply, const char *alias, struct tap_stats *stats)
{
    const json_t *from = api_device_stats(reply, alias);

    if (!from)
        return false;
    /* As its tap would count: what is sent is what the guest received. */
    *stats = (struct tap_stats){
        .tx = {api_stat(from, "rx_bytes"), api_stat(from, "rx_packets"), 0,
               api_stat(from, "rx_dropped")},
        .rx = {api_stat(from, "tx_bytes"), api_stat(from, "tx_packets"), 0,
               api_stat(from, "tx_dropped")},
    };
    return true;
}

static const struct domain_net *running_net(const struct domain *domain, const char *device,
                                            GError **error)
{
    const struct domain_net *net;

    if (!domain_check_runs(domain, error))
        return NULL;
    net = api_find_net(domain->live, device);
    if (!net)
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "'%s' is not a known interface", device);
    return net;
}

/* Job. */
static bool ask_vmm(struct domain *domain, const char *device, struct tap_stats *stats,
                    GError **error)
{
    const struct domain_net *net = running_net(domain, device, error);
    g_autofree char *alias = net ? g_strdup(net->info.alias) : NULL;
    g_autoptr(json_ref) reply = NULL;

    if (!net || !domain_command(domain, "query-netstats", NULL, &reply, error))
        return false;
    if (net_stats_read(reply, alias, stats))
        return true;
    libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "the VMM knows no interface '%s'", alias);
    return false;
}

/* The host's kernel knows at once what went through a tap; where there is none, the VMM is asked.
 */
static bool read_stats(struct call *call, struct domain *domain, const char *device,
                       struct tap_stats *stats, GError **error)
{
    const struct domain_net *net = running_net(domain, device, error);
    bool done;

    if (!net)
        return false;
    if (net->target)
        return tap_read_stats(net, stats, error);
    if (!domain_begin_job(domain, rpc_procedure_find(call->header.procedure)->name, error))
        return false;
    done = ask_vmm(domain, device, stats, error);
    domain_end_job(domain);
    return done;
}

bool api_domain_interface_stats(struct call *call, const wire_dom_str *in,
                                wire_interface_stats *out, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);
    struct tap_stats stats;

    if (!domain || !read_stats(call, domain, in->value, &stats, error))
        return false;
    /* What the guest received is what its tap sent. */
    *out = (wire_interface_stats){
        .rx_bytes = stats.tx.bytes,
        .rx_packets = stats.tx.packets,
        .rx_errs = stats.tx.errors,
        .rx_drop = stats.tx.dropped,
        .tx_bytes = stats.rx.bytes,
        .tx_packets = stats.rx.packets,
        .tx_errs = stats.rx.errors,
        .tx_drop = stats.rx.dropped,
    };
    return true;
}
