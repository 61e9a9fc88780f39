/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <cpu>. */
#include <string.h>

#include "xml/cpu_features.h"
#include "xml/domain_priv.h"
#include "xml/domain_values.h"

static bool read_topology(xmlNode *node, void *target, GError **error)
{
    struct domain_cpu *cpu = target;
    unsigned dies = 1;
    const struct {
        const char *name;
        unsigned *value;
    } numbers[] = {{"sockets", &cpu->sockets}, {"cores", &cpu->cores}, {"threads", &cpu->threads}};

    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        if (!xmlHasProp(node, BAD_CAST numbers[i].name))
            return xml_invalid(error, node, "missing attribute '%s'", numbers[i].name);
        if (!xml_ranged_attribute(node, numbers[i].name, 1, DOMAIN_MAX_VCPUS, numbers[i].value,
                                  error))
            return false;
    }
    if (!xml_unsigned_attribute(node, "dies", &dies, error))
        return false;
    if (dies != 1)
        return xml_refuse_attribute(error, node, "dies", "a socket is one die");
    cpu->dies = xmlHasProp(node, BAD_CAST "dies");
    return true;
}

static bool read_feature(xmlNode *node, void *target, GError **error)
{
    struct domain_cpu *cpu = target;
    g_autofree char *name = xml_attribute(node, "name");
    int policy = DOMAIN_CPU_REQUIRE;

    if (!name || !*name)
        return xml_invalid(error, node, "missing attribute 'name'");
    if (!xml_enum_attribute(node, "policy", domain_cpu_policy_values, &policy, error))
        return false;
    if (!cpu_feature_is_known(name))
        return xml_refuse_attribute(error, node, "name", "no such feature of a CPU is known");
    for (guint i = 0; i < cpu->features->len; i++) {
        const struct domain_cpu_feature *other = g_ptr_array_index(cpu->features, i);

        if (strcmp(other->name, name) == 0)
            return xml_invalid(error, node, "the feature '%s' is given twice", name);
    }
    struct domain_cpu_feature *feature = g_new0(struct domain_cpu_feature, 1);

    feature->name = g_steal_pointer(&name);
    feature->policy = (enum domain_cpu_policy)policy;
    g_ptr_array_add(cpu->features, feature);
    return true;
}

static bool read_model(xmlNode *node, void *target, GError **error)
{
    struct domain_cpu *cpu = target;
    int fallback = DOMAIN_CPU_FALLBACK_ABSENT;

    cpu->model = xml_text(node);
    if (!xml_enum_attribute(node, "fallback", domain_cpu_fallback_values, &fallback, error))
        return false;
    cpu->fallback = (enum domain_cpu_fallback)fallback;
    return true;
}

static bool read_vendor(xmlNode *node, void *target, GError **error)
{
    struct domain_cpu *cpu = target;

    cpu->vendor = xml_text(node);
    return cpu->vendor || xml_invalid(error, node, "the vendor has no name");
}

static const struct xml_element cpu_elements[] = {
    {"model", "fallback", XML_ONCE | XML_TEXT, read_model},
    {"vendor", NULL, XML_ONCE | XML_TEXT, read_vendor},
    {"topology", "sockets dies cores threads", XML_ONCE | XML_EMPTY, read_topology},
    {"feature", "policy name", XML_EMPTY, read_feature},
    {"numa", .refused = "a microVM is one NUMA node"},
    {"cache", .refused = "the guest's CPU is the host's; its caches cannot be chosen"},
    {"maxphysaddr", .refused = "the guest's CPU is the host's; its addresses cannot be chosen"},
    {},
};

/* As libvirt: a model without a mode is a custom CPU. */
static bool check_model(xmlNode *node, struct domain_cpu *cpu, GError **error)
{
    bool has_match = cpu->match != DOMAIN_CPU_MATCH_ABSENT;

    if (cpu->mode == DOMAIN_CPU_ABSENT && (cpu->model || has_match))
        cpu->mode = DOMAIN_CPU_CUSTOM;
    if (cpu->mode == DOMAIN_CPU_CUSTOM && !cpu->model)
        return xml_invalid(error, node, "a custom CPU needs the name of a model");
    if (cpu->mode == DOMAIN_CPU_CUSTOM)
        return true;
    if (cpu->model)
        return xml_refuse(error, node,
                          "the model is the host's, and is named only for mode='custom'");
    if (cpu->vendor)
        return xml_refuse(error, node,
                          "the vendor is the host's, and is named only for mode='custom'");
    return !has_match || xml_invalid(error, node, "match is an attribute of custom CPUs");
}

bool domain_read_cpu_node(xmlNode *node, struct domain_cpu *cpu, GError **error)
{
    int mode = DOMAIN_CPU_ABSENT;
    int match = DOMAIN_CPU_MATCH_ABSENT;
    int check = DOMAIN_CPU_CHECK_ABSENT;
    int migratable = DOMAIN_SWITCH_ABSENT;

    if (!xml_enum_attribute(node, "mode", domain_cpu_values, &mode, error) ||
        !xml_enum_attribute(node, "match", domain_cpu_match_values, &match, error) ||
        !xml_enum_attribute(node, "check", domain_cpu_check_values, &check, error) ||
        !xml_enum_attribute(node, "migratable", domain_switch_values, &migratable, error) ||
        !xml_read_children(node, cpu_elements, cpu, error))
        return false;
    cpu->mode = (enum domain_cpu_mode)mode;
    cpu->match = (enum domain_cpu_match)match;
    cpu->check = (enum domain_cpu_check)check;
    cpu->migratable = (enum domain_switch)migratable;
    if (!check_model(node, cpu, error))
        return false;
    if (migratable != DOMAIN_SWITCH_ABSENT && mode != DOMAIN_CPU_HOST_PASSTHROUGH &&
        mode != DOMAIN_CPU_MAXIMUM)
        return xml_invalid(error, node,
                           "migratable is an attribute of host-passthrough and maximum");
    if (check != DOMAIN_CPU_CHECK_ABSENT && cpu->mode == DOMAIN_CPU_ABSENT)
        return xml_invalid(error, node, "check has no meaning without a mode");
    if (cpu->features->len && cpu->mode == DOMAIN_CPU_ABSENT)
        return xml_invalid(error, node, "features have no meaning without a mode");
    return true;
}

bool domain_read_cpu(xmlNode *node, void *target, GError **error)
{
    return domain_read_cpu_node(node, &((struct domain_parser *)target)->def->cpu, error);
}
