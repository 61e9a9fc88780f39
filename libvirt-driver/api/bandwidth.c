/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much may go through a domain's network interfaces (<bandwidth>), which the VMM sees to. Only
 * what is named changes; an average of 0 takes a direction's limits away.
 */
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/api/params.h"
#include "libvirt-driver/domain/process.h"
#include "xml/launch.h"

struct change {
    const char *device;
    struct params params;
};

static const struct param_spec specs[] = {
    {VIR_DOMAIN_BANDWIDTH_IN_AVERAGE, VIR_TYPED_PARAM_UINT},
    {VIR_DOMAIN_BANDWIDTH_IN_PEAK, VIR_TYPED_PARAM_UINT},
    {VIR_DOMAIN_BANDWIDTH_IN_BURST, VIR_TYPED_PARAM_UINT},
    {VIR_DOMAIN_BANDWIDTH_IN_FLOOR, VIR_TYPED_PARAM_UINT},
    {VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE, VIR_TYPED_PARAM_UINT},
    {VIR_DOMAIN_BANDWIDTH_OUT_PEAK, VIR_TYPED_PARAM_UINT},
    {VIR_DOMAIN_BANDWIDTH_OUT_BURST, VIR_TYPED_PARAM_UINT},
};

static struct domain_net *find(const domain_def *def, const char *device, GError **error)
{
    struct domain_net *net = api_find_net(def, device);

    if (!net)
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "Can't find device %s", device);
    return net;
}

static void take(const struct change *change, const char *name, unsigned *value)
{
    const wire_param *param = params_find(&change->params, name);

    if (param)
        *value = param->value.wire_value_u.ui;
}

static bool finish(struct domain_bandwidth *bandwidth, const char *direction, GError **error)
{
    if (!bandwidth->average && (bandwidth->peak || bandwidth->burst)) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "%s average is mandatory where a peak or burst is given", direction);
        return false;
    }
    return true;
}

/* Without an average there is no limit, whatever there was of a burst before. */
static void clear_if_off(const struct change *change, const char *average,
                         struct domain_bandwidth *bandwidth)
{
    const wire_param *param = params_find(&change->params, average);

    if (param && !param->value.wire_value_u.ui)
        *bandwidth = (struct domain_bandwidth){0};
}

static bool edit_bandwidth(domain_def *def, bool running, const void *what, GError **error)
{
    const struct change *change = what;
    struct domain_net *net = find(def, change->device, error);
    unsigned floor = 0;

    if (!net)
        return false;
    take(change, VIR_DOMAIN_BANDWIDTH_IN_FLOOR, &floor);
    if (floor) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "inbound.floor: nothing is set aside for an interface");
        return false;
    }
    clear_if_off(change, VIR_DOMAIN_BANDWIDTH_IN_AVERAGE, &net->inbound);
    clear_if_off(change, VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE, &net->outbound);
    take(change, VIR_DOMAIN_BANDWIDTH_IN_AVERAGE, &net->inbound.average);
    take(change, VIR_DOMAIN_BANDWIDTH_IN_PEAK, &net->inbound.peak);
    take(change, VIR_DOMAIN_BANDWIDTH_IN_BURST, &net->inbound.burst);
    take(change, VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE, &net->outbound.average);
    take(change, VIR_DOMAIN_BANDWIDTH_OUT_PEAK, &net->outbound.peak);
    take(change, VIR_DOMAIN_BANDWIDTH_OUT_BURST, &net->outbound.burst);
    return finish(&net->inbound, "inbound", error) && finish(&net->outbound, "outbound", error);
}

/* The document's names of limits, with the direction in front. */
static void add_limits(json_t *arguments, const char *direction,
                       const struct domain_bandwidth *bandwidth)
{
    json_t *limits = launch_net_limits(bandwidth);
    const char *name;
    json_t *value;

    json_object_foreach(limits, name, value)
    {
        g_autofree char *key = g_strconcat(direction, name, NULL);

        json_object_set(arguments, key, value);
    }
    json_decref(limits);
}

static bool apply_bandwidth(struct domain *domain, const void *what, GError **error)
{
    const struct change *change = what;
    g_autoptr(domain_def) wanted = domain_def_copy(domain->live);
    const struct domain_net *net;
    json_t *arguments;

    if (!edit_bandwidth(wanted, true, what, error))
        return false;
    net = find(wanted, change->device, error);
    if (!net)
        return false;
    arguments = json_pack("{s:s}", "device", net->info.alias);
    add_limits(arguments, "rx_", &net->inbound);
    add_limits(arguments, "tx_", &net->outbound);
    return domain_command(domain, "net_set_throttle", arguments, NULL, error);
}

bool api_domain_set_interface_parameters(struct call *call, const wire_set_params_str_args *in,
                                         wire_none *out, GError **error)
{
    static const struct edit edit = {edit_bandwidth, apply_bandwidth};
    const struct change change = {in->name, {in->params.params_val, in->params.params_len}};

    return api_check_flags(call, in->flags, API_IMPACT, error) &&
           params_check(&change.params, specs, G_N_ELEMENTS(specs), error) &&
           api_edit(call, &in->dom, &edit, &change, in->flags, error);
}

bool api_domain_get_interface_parameters(struct call *call, const wire_params_str_args *in,
                                         wire_params_count *out, GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    static const struct domain_net no_limits;
    const struct domain_net *net = &no_limits;
    const domain_def *def;
    GArray *params;

    domain = api_domain_def_for_params(call, &in->dom, in->flags, &def, error);
    if (!domain)
        return false;
    if (in->room) /* otherwise only the number of parameters is asked for */
        net = find(def, in->name, error);
    if (!net)
        return false;
    params = params_new();
    params_add_uint(params, net->inbound.average, VIR_DOMAIN_BANDWIDTH_IN_AVERAGE);
    params_add_uint(params, net->inbound.peak, VIR_DOMAIN_BANDWIDTH_IN_PEAK);
    params_add_uint(params, net->inbound.burst, VIR_DOMAIN_BANDWIDTH_IN_BURST);
    params_add_uint(params, 0, VIR_DOMAIN_BANDWIDTH_IN_FLOOR);
    params_add_uint(params, net->outbound.average, VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE);
    params_add_uint(params, net->outbound.peak, VIR_DOMAIN_BANDWIDTH_OUT_PEAK);
    params_add_uint(params, net->outbound.burst, VIR_DOMAIN_BANDWIDTH_OUT_BURST);
    params_answer(params, in->room, out);
    return true;
}
