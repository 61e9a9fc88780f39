/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's network interfaces: what goes through them, and whether their cable is in. */
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

/* ---- the link ---- */

/* A device's XML is checked as part of a domain that has nothing else. */
static domain_def *parse_device(const char *xml, GError **error)
{
    g_autofree char *text = g_strdup_printf(
        "<domain type='kvm'><name>x</name><memory>65536</memory>"
        "<os><type>hvm</type><kernel>/x</kernel></os><devices>%s</devices></domain>",
        xml);

    return domain_def_parse(text, strlen(text), DOMAIN_PARSE_DEFINITION, error);
}

static struct domain_net *find_same(const domain_def *def, const struct domain_net *wanted)
{
    for (guint i = 0; i < def->nets->len; i++) {
        struct domain_net *net = domain_net_at(def, i);

        if (memcmp(net->mac, wanted->mac, sizeof(net->mac)) == 0)
            return net;
    }
    return NULL;
}

/* In all that a definition has, but the link; what was left out and is not chosen here stays. */
static bool is_the_rest_same(const struct domain_net *net, const struct domain_net *wanted)
{
    struct domain_net before = *net;
    struct domain_net after = *wanted;
    g_autofree char *text_before = NULL;
    g_autofree char *text_after = NULL;

    before.link = after.link;
    before.queues = MAX(before.queues, 1);
    after.queues = MAX(after.queues, 1);
    if (!after.target)
        before.target = NULL;
    if (!after.info.alias)
        before.info.alias = NULL;
    /* The network may have given these to its port. */
    if (net->type == DOMAIN_NET_NETWORK && !after.vlan)
        before.vlan = NULL;
    if (net->type == DOMAIN_NET_NETWORK && !after.isolated)
        before.isolated = DOMAIN_SWITCH_ABSENT;
    text_before = domain_net_format(&before);
    text_after = domain_net_format(&after);
    return strcmp(text_before, text_after) == 0;
}

/* What cannot change while it is plugged in; a client sends all of it back as it was. */
static const char *difference(const struct domain_net *net, const struct domain_net *wanted)
{
    if (net->type != wanted->type)
        return "type";
    if (wanted->type == DOMAIN_NET_BRIDGE && g_strcmp0(net->bridge, wanted->bridge) != 0)
        return "bridge";
    if (wanted->type == DOMAIN_NET_NETWORK && g_strcmp0(net->network, wanted->network) != 0)
        return "network";
    if (wanted->type == DOMAIN_NET_DIRECT && g_strcmp0(net->dev, wanted->dev) != 0)
        return "dev";
    if (wanted->target && g_strcmp0(net->target, wanted->target) != 0)
        return "target";
    if (net->mtu != wanted->mtu)
        return "mtu";
    if (MAX(net->queues, 1) != MAX(wanted->queues, 1))
        return "queues";
    if (memcmp(&net->inbound, &wanted->inbound, sizeof(net->inbound)) != 0 ||
        memcmp(&net->outbound, &wanted->outbound, sizeof(net->outbound)) != 0)
        return "bandwidth";
    return is_the_rest_same(net, wanted) ? NULL : "other settings";
}

static bool edit_link(domain_def *def, bool running, const void *what, GError **error)
{
    const struct domain_net *wanted = what;
    struct domain_net *net = find_same(def, wanted);
    const char *differs;
    char mac[18];

    if (!net) {
        domain_mac_format(wanted->mac, mac);
        libvirt_error_set(error, VIR_ERR_DEVICE_MISSING,
                          "no device found matching MAC address '%s'", mac);
        return false;
    }
    differs = difference(net, wanted);
    if (differs) {
        libvirt_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                          "of an interface only the link can change, not its %s", differs);
        return false;
    }
    net->link = wanted->link;
    return true;
}

static bool apply_link(struct domain *domain, const void *what, GError **error)
{
    const struct domain_net *wanted = what;
    const struct domain_net *net = find_same(domain->live, wanted);

    return net && domain_command(domain, "set_link",
                                 json_pack("{s:s, s:b}", "name", net->info.alias, "up",
                                           wanted->link != DOMAIN_NET_LINK_DOWN),
                                 NULL, error);
}

/* Job. */
static bool update(struct domain *domain, const char *xml, unsigned flags, GError **error)
{
    static const struct edit edit = {edit_link, apply_link};
    g_autoptr(domain_def) def = parse_device(xml, error);

    if (!def)
        return false;
    if (def->nets->len == 1 && !def->disks->len && !def->serials->len && !def->consoles->len &&
        !def->channels->len && !def->rngs->len && !def->vsocks->len && !def->panics->len)
        return domain_edit(domain, &edit, domain_net_at(def, 0), flags, error);
    libvirt_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                      "only a network interface can be updated, and of it the link");
    return false;
}

bool api_domain_update_device_flags(struct call *call, const wire_dom_str_flags *in, wire_none *out,
                                    GError **error)
{
    const unsigned known = VIR_DOMAIN_DEVICE_MODIFY_LIVE | VIR_DOMAIN_DEVICE_MODIFY_CONFIG |
                           VIR_DOMAIN_DEVICE_MODIFY_FORCE;
    g_autoptr(locked_domain) domain = NULL;
    bool done;

    G_STATIC_ASSERT((int)VIR_DOMAIN_DEVICE_MODIFY_LIVE == (int)VIR_DOMAIN_AFFECT_LIVE);
    G_STATIC_ASSERT((int)VIR_DOMAIN_DEVICE_MODIFY_CONFIG == (int)VIR_DOMAIN_AFFECT_CONFIG);
    if (!api_check_flags(call, in->flags, known, error))
        return false;
    domain = api_domain_with_job(call, &in->dom, error);
    if (!domain)
        return false;
    done = update(domain, in->value, in->flags, error);
    domain_end_job(domain);
    return done;
}
