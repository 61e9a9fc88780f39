/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/cpu_resolve.h"

/* A guest that may be moved to another host cannot have it: libvirt's models leave it out. */
#define INVARIANT_TSC "invtsc"

static void set_features(struct domain_cpu *cpu, const struct x86_feature_set *set,
                         enum domain_cpu_policy policy)
{
    for (unsigned i = 0; i < X86_FEATURE_LAST; i++) {
        const char *name = x86_feature_set_has(set, i) ? x86_feature_name(i) : NULL;
        struct domain_cpu_feature *feature;

        if (!name)
            continue;
        feature = g_new0(struct domain_cpu_feature, 1);
        feature->name = g_strdup(name);
        feature->policy = policy;
        g_ptr_array_add(cpu->features, feature);
    }
}

/* The CPU is what its guest has: a model, and what is more or less than that. What follows from the
 * topology is not told here. */
static void describe(struct domain_cpu *cpu, const char *model, const char *vendor,
                     const struct x86_feature_set *extra, const struct x86_feature_set *missing)
{
    struct x86_feature_set topology = x86_feature_set_of_topology();
    struct x86_feature_set require = x86_feature_set_minus(extra, &topology);
    struct x86_feature_set disable = x86_feature_set_minus(missing, &topology);

    g_free(cpu->model);
    cpu->model = g_strdup(model);
    g_free(cpu->vendor);
    cpu->vendor = g_strdup(vendor);
    cpu->mode = DOMAIN_CPU_CUSTOM;
    cpu->match = DOMAIN_CPU_MATCH_EXACT;
    cpu->check = DOMAIN_CPU_CHECK_FULL;
    g_ptr_array_set_size(cpu->features, 0);
    set_features(cpu, &require, DOMAIN_CPU_REQUIRE);
    set_features(cpu, &disable, DOMAIN_CPU_DISABLE);
}

static bool resolve_host_model(struct domain_cpu *cpu, const struct cpu_map *map,
                               const struct cpu_host *host, const struct cpu_wish *wish,
                               GError **error)
{
    struct cpu_host guest = *host;
    struct cpu_description description;
    unsigned invtsc;

    guest.features = x86_feature_set_minus(&host->features, &wish->off);
    if (x86_feature_find(INVARIANT_TSC, &invtsc) && !x86_feature_set_has(&wish->wanted, invtsc))
        x86_feature_set_remove(&guest.features, invtsc);
    if (!cpu_describe(map, &guest, false, &description)) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "no CPU model of libvirt's describes this host's CPU");
        return false;
    }
    cpu->off = x86_feature_set_minus(&host->features, &guest.features);
    cpu->fallback = DOMAIN_CPU_FALLBACK_FORBID;
    describe(cpu, description.model->name, description.vendor, &description.extra,
             &description.missing);
    return true;
}

/* Of what the host has besides, what a guest is not to have: all that is neither the machine's own
 * nor named by the definition (what is named and not wanted is optional). */
static struct x86_feature_set beyond(const struct cpu_host *host, const struct cpu_wish *wish)
{
    struct x86_feature_set machine = x86_feature_set_of_machine();
    struct x86_feature_set topology = x86_feature_set_of_topology();
    struct x86_feature_set set = x86_feature_set_minus(&host->features, &wish->wanted);

    set = x86_feature_set_minus(&set, &wish->named);
    set = x86_feature_set_minus(&set, &machine);
    return x86_feature_set_minus(&set, &topology);
}

static bool refuse(GError **error, virErrorNumber code, const char *what,
                   const struct x86_feature_set *features)
{
    g_autofree char *names = cpu_feature_names(features);

    libvirt_error_set(error, code, "%s: %s", what, names);
    return false;
}

static bool resolve_custom(struct domain_cpu *cpu, const struct cpu_map *map,
                           const struct cpu_model *model, const struct cpu_host *host,
                           const struct cpu_wish *wish, GError **error)
{
    struct x86_feature_set left = x86_feature_set_minus(&host->features, &wish->off);
    struct x86_feature_set surplus = beyond(host, wish);
    struct x86_feature_set extra;
    struct x86_feature_set missing;

    surplus = x86_feature_set_minus(&surplus, &wish->off);
    if (cpu->match == DOMAIN_CPU_MATCH_STRICT && !x86_feature_set_is_empty(&surplus))
        return refuse(error, VIR_ERR_CPU_INCOMPATIBLE,
                      "Host CPU does not strictly match the guest's, it also has", &surplus);
    if (cpu->match != DOMAIN_CPU_MATCH_MINIMUM) {
        x86_feature_set_add_dependents(&surplus);
        left = x86_feature_set_minus(&left, &surplus);
    }
    missing = x86_feature_set_minus(&wish->wanted, &left);
    if (!x86_feature_set_is_empty(&missing))
        return refuse(error, VIR_ERR_CONFIG_UNSUPPORTED,
                      "CPU features are required without what they need", &missing);
    cpu->off = x86_feature_set_minus(&host->features, &left);
    extra = x86_feature_set_minus(&left, &model->features);
    missing = x86_feature_set_minus(&model->features, &left);
    describe(cpu, model->name, cpu_map_vendor(map, host->vendor), &extra, &missing);
    return true;
}

bool cpu_resolve(struct domain_cpu *cpu, const struct cpu_map *map, const struct cpu_host *host,
                 GError **error)
{
    bool is_custom = cpu->mode == DOMAIN_CPU_CUSTOM;
    const struct cpu_model *model = NULL;
    struct cpu_wish wish;

    cpu->off = (struct x86_feature_set){{0}};
    if (is_custom && !map) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "CPU model %s: libvirt's descriptions of CPU models are not there",
                          cpu->model);
        return false;
    }
    if (is_custom) {
        model = cpu_find_model(map, cpu, host, error);
        if (!model)
            return false;
    }
    if (!cpu_wish_read(&wish, cpu, model, error) || !cpu_wish_check(&wish, host, error))
        return false;
    if (is_custom)
        return resolve_custom(cpu, map, model, host, &wish, error);
    if (cpu->mode == DOMAIN_CPU_HOST_MODEL && map && host->vendor[0])
        return resolve_host_model(cpu, map, host, &wish, error);
    return true;
}
