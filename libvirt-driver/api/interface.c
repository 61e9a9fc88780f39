/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's network interfaces: what goes through them. */
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/domain/process.h"
#include "libvirt-driver/vmm/tap.h"

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

bool api_domain_interface_stats(struct call *call, const wire_dom_str *in,
                                wire_interface_stats *out, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);
    const struct domain_net *net;
    struct tap_stats stats;

    if (!domain || !domain_check_runs(domain, error))
        return false;
    net = api_find_net(domain->live, in->value);
    if (!net) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "'%s' is not a known interface", in->value);
        return false;
    }
    if (!tap_read_stats(net, &stats, error))
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
