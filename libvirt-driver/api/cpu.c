/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CPU models: which there are, and how the host's CPU compares with one that a client describes. */
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/cpus.h"
#include "libvirt-driver/host.h"
#include "xml/cpu_compare.h"

#define COMPARE_FLAGS \
    (VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE | VIR_CONNECT_COMPARE_CPU_VALIDATE_XML)
#define BASELINE_FLAGS \
    (VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES | VIR_CONNECT_BASELINE_CPU_MIGRATABLE)

bool api_connect_get_cpu_model_names(struct call *call, const wire_cpu_models_args *in,
                                     wire_cpu_models *out, GError **error)
{
    const struct cpu_map *map;

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    if (strcmp(in->arch, call->daemon->host->caps.arch) != 0) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "cannot find architecture %s", in->arch);
        return false;
    }
    if (!cpus_host(call->daemon->cpus)->vendor[0])
        return true;
    map = cpus_map(call->daemon->cpus, error);
    if (!map)
        return false;
    out->count = (int)map->models->len;
    if (!in->need_results)
        return true;
    out->models.models_val = g_new0(wire_string, map->models->len);
    out->models.models_len = map->models->len;
    for (guint i = 0; i < map->models->len; i++)
        out->models.models_val[i] =
            g_strdup(((const struct cpu_model *)g_ptr_array_index(map->models, i))->name);
    return true;
}

static bool compare(struct call *call, const struct cpu_host *host, const char *xml, unsigned flags,
                    int *result, GError **error)
{
    const struct cpu_map *map = cpus_map(call->daemon->cpus, error);
    g_autoptr(GError) why = NULL;

    if (!map)
        return false;
    *result = cpu_compare(map, host, xml, &why, error);
    if (*result == VIR_CPU_COMPARE_ERROR)
        return false;
    if (*result != VIR_CPU_COMPARE_INCOMPATIBLE ||
        !(flags & VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE))
        return true;
    g_propagate_error(error, g_steal_pointer(&why));
    return false;
}

bool api_connect_compare_cpu(struct call *call, const wire_str_flags *in, wire_int *out,
                             GError **error)
{
    return api_check_flags(call, in->flags, COMPARE_FLAGS, error) &&
           compare(call, cpus_host(call->daemon->cpus), in->value, in->flags, &out->value, error);
}

static const char *optional(wire_opt_string string)
{
    return string ? *string : NULL;
}

/* There is one hypervisor: whoever names another emulator, architecture or machine is told so. */
static const struct cpu_host *find_hypervisor(struct call *call, wire_opt_string emulator,
                                              wire_opt_string arch, wire_opt_string machine,
                                              wire_opt_string virttype, GError **error)
{
    struct host_caps caps = call->daemon->host->caps;

    caps.kvm_usable = host_kvm_usable();
    if (!domain_caps_check(&caps, optional(emulator), optional(arch), optional(machine),
                           optional(virttype), error))
        return NULL;
    return cpus_guest(call->daemon->cpus, error);
}

bool api_connect_compare_hypervisor_cpu(struct call *call, const wire_hypervisor_cpu_args *in,
                                        wire_int *out, GError **error)
{
    const struct cpu_host *guest;

    if (!api_check_flags(call, in->flags, COMPARE_FLAGS, error))
        return false;
    guest = find_hypervisor(call, in->emulator, in->arch, in->machine, in->virttype, error);
    return guest && compare(call, guest, in->xml, in->flags, &out->value, error);
}

static bool baseline(struct call *call, char **xmls, guint count, unsigned flags, char **result,
                     GError **error)
{
    const struct cpu_map *map;

    if (!count) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "no CPUs given");
        return false;
    }
    map = cpus_map(call->daemon->cpus, error);
    if (!map)
        return false;
    *result = cpu_baseline(map, (const char *const *)xmls, count,
                           flags & VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES,
                           flags & VIR_CONNECT_BASELINE_CPU_MIGRATABLE, error);
    return *result != NULL;
}

bool api_connect_baseline_cpu(struct call *call, const wire_baseline_cpu_args *in, wire_str *out,
                              GError **error)
{
    return api_check_flags(call, in->flags, BASELINE_FLAGS, error) &&
           baseline(call, in->cpus.cpus_val, in->cpus.cpus_len, in->flags, &out->value, error);
}

bool api_connect_baseline_hypervisor_cpu(struct call *call,
                                         const wire_baseline_hypervisor_cpu_args *in, wire_str *out,
                                         GError **error)
{
    return api_check_flags(call, in->flags, BASELINE_FLAGS, error) &&
           find_hypervisor(call, in->emulator, in->arch, in->machine, in->virttype, error) &&
           baseline(call, in->cpus.cpus_val, in->cpus.cpus_len, in->flags, &out->value, error);
}
