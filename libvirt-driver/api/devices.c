/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Single devices: attached, detached, updated. A running microVM keeps the devices it was started
 * with, and of them the cable of an interface can be pulled; everything else is done to the
 * configuration, for the next start. What a running domain cannot do is refused before anything is
 * done to its configuration.
 */
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/domain/process.h"
#include "xml/device.h"

static bool refuse_live(const char *what, const char *device, GError **error)
{
    libvirt_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                      "live %s of device '%s' is not supported: a running microVM keeps its "
                      "devices; the configuration can change, for the next start",
                      what, device);
    return false;
}

/* An edit whose `what` is a device. */
static bool edit_device(struct call *call, const wire_domain *dom, const char *xml,
                        const struct edit *edit, unsigned flags, unsigned known, GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    g_autoptr(domain_device) device = NULL;
    bool done;

    if (!api_check_flags(call, flags, known, error))
        return false;
    domain = api_domain_with_job(call, dom, error);
    if (!domain)
        return false;
    device = domain_device_parse(xml, strlen(xml), error);
    done = device && domain_edit(domain, edit, device, flags, error);
    domain_end_job(domain);
    return done;
}

/* ---- attach ---- */

static bool attach(domain_def *def, bool running, const void *what, GError **error)
{
    return running ? refuse_live("attach", domain_device_element(what), error)
                   : domain_def_attach(def, what, error);
}

static const struct edit attach_edit = {.edit = attach};

/* As in libvirt's qemu driver, the call without flags is about a running domain. */
bool api_domain_attach_device(struct call *call, const wire_dom_str *in, wire_none *out,
                              GError **error)
{
    return edit_device(call, &in->dom, in->value, &attach_edit, VIR_DOMAIN_AFFECT_LIVE, API_IMPACT,
                       error);
}

bool api_domain_attach_device_flags(struct call *call, const wire_dom_str_flags *in, wire_none *out,
                                    GError **error)
{
    return edit_device(call, &in->dom, in->value, &attach_edit, in->flags, API_IMPACT, error);
}

/* ---- detach ---- */

/* That a device is not there at all is told of a running domain, too. */
static bool detach(domain_def *def, bool running, const void *what, GError **error)
{
    return domain_def_detach(def, what, error) &&
           (!running || refuse_live("detach", domain_device_element(what), error));
}

static const struct edit detach_edit = {.edit = detach};

bool api_domain_detach_device(struct call *call, const wire_dom_str *in, wire_none *out,
                              GError **error)
{
    return edit_device(call, &in->dom, in->value, &detach_edit, VIR_DOMAIN_AFFECT_LIVE, API_IMPACT,
                       error);
}

bool api_domain_detach_device_flags(struct call *call, const wire_dom_str_flags *in, wire_none *out,
                                    GError **error)
{
    return edit_device(call, &in->dom, in->value, &detach_edit, in->flags, API_IMPACT, error);
}

static bool detach_alias(domain_def *def, bool running, const void *what, GError **error)
{
    return domain_def_detach_alias(def, what, error) &&
           (!running || refuse_live("detach", what, error));
}

bool api_domain_detach_device_alias(struct call *call, const wire_dom_str_flags *in, wire_none *out,
                                    GError **error)
{
    static const struct edit edit = {.edit = detach_alias};

    return api_check_flags(call, in->flags, API_IMPACT, error) &&
           api_edit(call, &in->dom, &edit, in->value, in->flags, error);
}

/* ---- update ---- */

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

static bool update_link(domain_def *def, const struct domain_net *wanted, GError **error)
{
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
    const struct domain_net *wanted = domain_device_net(what);
    const struct domain_net *net = find_same(domain->live, wanted);

    return net && domain_command(domain, "set_link",
                                 json_pack("{s:s, s:b}", "name", net->info.alias, "up",
                                           wanted->link != DOMAIN_NET_LINK_DOWN),
                                 NULL, error);
}

static bool update(domain_def *def, bool running, const void *what, GError **error)
{
    const struct domain_net *net = domain_device_net(what);

    if (!running)
        return domain_def_replace(def, what, error);
    if (net)
        return update_link(def, net, error);
    return refuse_live("update", domain_device_element(what), error);
}

bool api_domain_update_device_flags(struct call *call, const wire_dom_str_flags *in, wire_none *out,
                                    GError **error)
{
    static const struct edit edit = {update, apply_link};

    G_STATIC_ASSERT((int)VIR_DOMAIN_DEVICE_MODIFY_LIVE == (int)VIR_DOMAIN_AFFECT_LIVE);
    G_STATIC_ASSERT((int)VIR_DOMAIN_DEVICE_MODIFY_CONFIG == (int)VIR_DOMAIN_AFFECT_CONFIG);
    return edit_device(call, &in->dom, in->value, &edit, in->flags,
                       API_IMPACT | VIR_DOMAIN_DEVICE_MODIFY_FORCE, error);
}
