/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KVM's own statistics, in the shapes of QEMU's query-stats and query-stats-schemas. */
#include <stdio.h>

#include "vmm/kvm_stats.h"
#include "vmm/qmp/handlers.h"

#define VM (-1)

/* ---- what KVM's flags mean ---- */

static const char *type_name(const struct kvm_stat *stat)
{
    switch (stat->flags & KVM_STATS_TYPE_MASK) {
    case KVM_STATS_TYPE_CUMULATIVE:
        return "cumulative";
    case KVM_STATS_TYPE_INSTANT:
        return "instant";
    case KVM_STATS_TYPE_PEAK:
        return "peak";
    case KVM_STATS_TYPE_LINEAR_HIST:
        return "linear-histogram";
    case KVM_STATS_TYPE_LOG_HIST:
        return "log2-histogram";
    default:
        return NULL; /* of a kernel to come */
    }
}

static const char *unit_name(const struct kvm_stat *stat)
{
    switch (stat->flags & KVM_STATS_UNIT_MASK) {
    case KVM_STATS_UNIT_BYTES:
        return "bytes";
    case KVM_STATS_UNIT_SECONDS:
        return "seconds";
    case KVM_STATS_UNIT_CYCLES:
        return "cycles";
#ifdef KVM_STATS_UNIT_BOOLEAN
    case KVM_STATS_UNIT_BOOLEAN:
        return "boolean";
#endif
    default:
        return NULL;
    }
}

static json_t *stat_value(const struct kvm_stat *stat)
{
    const char *unit = unit_name(stat);
    json_t *list;

    if (unit && strcmp(unit, "boolean") == 0)
        return json_boolean(stat->values[0]);
    if (stat->value_count == 1)
        return json_integer((json_int_t)stat->values[0]);
    list = json_array();
    for (unsigned i = 0; i < stat->value_count; i++)
        json_array_append_new(list, json_integer((json_int_t)stat->values[i]));
    return list;
}

/* ---- arguments ---- */

static int parse_target(const json_t *arguments, bool *vcpu, struct error *err)
{
    const char *target = json_string_value(json_object_get(arguments, "target"));

    *vcpu = strcmp(target, "vcpu") == 0;
    if (*vcpu || strcmp(target, "vm") == 0)
        return 0;
    return error_set(err, "Parameter 'target' is \"%s\", vm and vcpu are possible", target);
}

/* [{"provider": "kvm", "names": ["exits"]}]: *names is what is wanted, NULL for all. */
static int parse_providers(const json_t *providers, const json_t **names, struct error *err)
{
    const json_t *provider = json_array_get(providers, 0);
    const char *name = json_string_value(json_object_get(provider, "provider"));
    const json_t *wanted = json_object_get(provider, "names");

    *names = NULL;
    if (!providers)
        return 0;
    if (json_array_size(providers) != 1 || !name || strcmp(name, "kvm") != 0)
        return error_set(err, "Parameter 'providers': kvm is the only provider");
    if (wanted && !json_is_array(wanted))
        return error_set(err, "Parameter 'providers': names is not an array");
    *names = wanted;
    return 0;
}

static bool has_string(const json_t *list, const char *text)
{
    size_t i;
    json_t *item;

    json_array_foreach(list, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
            return true;
    }
    return false;
}

/* ---- commands ---- */

static json_t *stats_result(const struct kvm_stats *stats, const json_t *names, const char *path)
{
    json_t *list = json_array();
    json_t *result;

    for (unsigned i = 0; i < stats->count; i++) {
        struct kvm_stat stat = kvm_stats_get(stats, i);

        if (stat.value_count == 0 || !type_name(&stat) || (names && !has_string(names, stat.name)))
            continue;
        json_array_append_new(
            list, json_pack("{s:s, s:o}", "name", stat.name, "value", stat_value(&stat)));
    }
    result = json_pack("{s:s, s:o}", "provider", "kvm", "stats", list);
    if (path)
        json_object_set_new(result, "qom-path", json_string(path));
    return result;
}

static json_t *vcpu_stats(struct machine *m, const json_t *vcpus, const json_t *names,
                          struct error *err)
{
    json_t *results = json_array();

    for (unsigned i = 0; i < machine_config(m)->cpus; i++) {
        const struct kvm_stats *stats;
        char path[32];

        snprintf(path, sizeof(path), "/machine/cpu[%u]", i);
        if (vcpus && !has_string(vcpus, path))
            continue;
        stats = machine_stats(m, (int)i, err);
        if (!stats) {
            json_decref(results);
            return NULL;
        }
        json_array_append_new(results, stats_result(stats, names, path));
    }
    return results;
}

QMP_HANDLER(query_stats)
{
    const json_t *names;
    const struct kvm_stats *stats;
    bool vcpu;

    if (parse_target(arguments, &vcpu, err) < 0 ||
        parse_providers(json_object_get(arguments, "providers"), &names, err) < 0)
        return NULL;
    if (vcpu)
        return vcpu_stats(m, json_object_get(arguments, "vcpus"), names, err);
    stats = machine_stats(m, VM, err);
    return stats ? json_pack("[o]", stats_result(stats, names, NULL)) : NULL;
}

static json_t *schema(const struct kvm_stat *stat)
{
    const char *unit = unit_name(stat);
    json_t *object = json_pack("{s:s, s:s, s:i}", "name", stat->name, "type", type_name(stat),
                               "exponent", (int)stat->exponent);

    if (unit)
        json_object_set_new(object, "unit", json_string(unit));
    if (stat->exponent)
        json_object_set_new(
            object, "base",
            json_integer((stat->flags & KVM_STATS_BASE_MASK) == KVM_STATS_BASE_POW2 ? 2 : 10));
    if ((stat->flags & KVM_STATS_TYPE_MASK) == KVM_STATS_TYPE_LINEAR_HIST)
        json_object_set_new(object, "bucket-size", json_integer(stat->bucket_size));
    return object;
}

static json_t *schemas_of(struct machine *m, int vcpu, struct error *err)
{
    const struct kvm_stats *stats = machine_stats(m, vcpu, err);
    json_t *list;

    if (!stats)
        return NULL;
    list = json_array();
    for (unsigned i = 0; i < stats->count; i++) {
        struct kvm_stat stat = kvm_stats_get(stats, i);

        if (stat.value_count > 0 && type_name(&stat))
            json_array_append_new(list, schema(&stat));
    }
    return json_pack("{s:s, s:s, s:o}", "provider", "kvm", "target", vcpu == VM ? "vm" : "vcpu",
                     "stats", list);
}

QMP_HANDLER(query_stats_schemas)
{
    const char *provider = json_string_value(json_object_get(arguments, "provider"));
    json_t *vm;
    json_t *vcpu;

    if (provider && strcmp(provider, "kvm") != 0) {
        error_set(err, "Parameter 'provider' is \"%s\", kvm is the only one", provider);
        return NULL;
    }
    vm = schemas_of(m, VM, err);
    vcpu = vm ? schemas_of(m, 0, err) : NULL;
    if (vcpu)
        return json_pack("[o, o]", vm, vcpu);
    json_decref(vm);
    return NULL;
}
