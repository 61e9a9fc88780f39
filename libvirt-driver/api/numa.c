/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NUMA parameters: from which of the host's nodes a domain's memory comes, which its control group
 * carries out. */
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/api/params.h"
#include "libvirt-driver/vmm/cgroup.h"

static const struct param_spec specs[] = {
    {VIR_DOMAIN_NUMA_NODESET, VIR_TYPED_PARAM_STRING},
    {VIR_DOMAIN_NUMA_MODE, VIR_TYPED_PARAM_INT},
};

/* virDomainNumatuneMemMode. */
static int wire_mode(enum domain_numa_mode mode)
{
    return mode == DOMAIN_NUMA_RESTRICTIVE ? VIR_DOMAIN_NUMATUNE_MEM_RESTRICTIVE
                                           : VIR_DOMAIN_NUMATUNE_MEM_STRICT;
}

static bool edit_mode(struct domain_numatune *tune, bool running, int mode, GError **error)
{
    if (mode != VIR_DOMAIN_NUMATUNE_MEM_STRICT && mode != VIR_DOMAIN_NUMATUNE_MEM_RESTRICTIVE) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "only the NUMA memory modes strict and restrictive are supported");
        return false;
    }
    if (running && mode != wire_mode(tune->mode)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID,
                          "can't change numatune mode for running domain");
        return false;
    }
    tune->mode =
        mode == VIR_DOMAIN_NUMATUNE_MEM_STRICT ? DOMAIN_NUMA_STRICT : DOMAIN_NUMA_RESTRICTIVE;
    return true;
}

static bool edit_numa(domain_def *def, bool running, const void *what, GError **error)
{
    const struct params *params = what;
    const wire_param *nodes = params_find(params, VIR_DOMAIN_NUMA_NODESET);
    const wire_param *mode = params_find(params, VIR_DOMAIN_NUMA_MODE);
    struct domain_numatune *tune = &def->numatune;

    if (mode && !edit_mode(tune, running, mode->value.wire_value_u.i, error))
        return false;
    if (nodes && !cpuset_parse(nodes->value.wire_value_u.s, &tune->nodes, error))
        return false;
    if (!tune->mode)
        tune->mode = DOMAIN_NUMA_STRICT;
    if (!cpuset_is_empty(&tune->nodes))
        return true;
    libvirt_error_set(error, VIR_ERR_INVALID_ARG, "nodeset for NUMA memory tuning must be set");
    return false;
}

static bool apply_numa(struct domain *domain, const void *what, GError **error)
{
    g_autoptr(domain_def) wanted = domain_def_copy(domain->live);

    return edit_numa(wanted, true, what, error) &&
           cgroup_set_memory_nodes(domain->cgroup, &wanted->numatune.nodes, error);
}

bool api_domain_set_numa_parameters(struct call *call, const wire_set_params_flags_args *in,
                                    wire_none *out, GError **error)
{
    static const struct edit edit = {edit_numa, apply_numa};
    const struct params params = {in->params.params_val, in->params.params_len};

    return api_check_flags(call, in->flags, API_IMPACT, error) &&
           params_check(&params, specs, G_N_ELEMENTS(specs), error) &&
           api_edit(call, &in->dom, &edit, &params, in->flags, error);
}

bool api_domain_get_numa_parameters(struct call *call, const wire_params_args *in,
                                    wire_params_count *out, GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    g_autofree char *nodes = NULL;
    const domain_def *def;
    GArray *params;

    domain = api_domain_def_for_params(call, &in->dom, in->flags, &def, error);
    if (!domain)
        return false;
    nodes = cpuset_format(&def->numatune.nodes);
    params = params_new();
    params_add_int(params, wire_mode(def->numatune.mode), VIR_DOMAIN_NUMA_MODE);
    params_add_string(params, nodes, VIR_DOMAIN_NUMA_NODESET);
    params_answer(params, in->room, out);
    return true;
}
