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

static const struct xml_element cpu_elements[] = {
    {"topology", "sockets dies cores threads", XML_ONCE | XML_EMPTY, read_topology},
    {"feature", "policy name", XML_EMPTY, read_feature},
    {"model", .refused = "the guest's CPU is the host's; a model cannot be chosen"},
    {"vendor", .refused = "the guest's CPU is the host's; a vendor cannot be chosen"},
    {"numa", .refused = "a microVM is one NUMA node"},
    {"cache", .refused = "the guest's CPU is the host's; its caches cannot be chosen"},
    {"maxphysaddr", .refused = "the guest's CPU is the host's; its addresses cannot be chosen"},
    {},
};

bool domain_read_cpu(xmlNode *node, void *target, GError **error)
{
    struct domain_cpu *cpu = &((struct domain_parser *)target)->def->cpu;
    int mode = DOMAIN_CPU_ABSENT;
    int check = DOMAIN_CPU_CHECK_ABSENT;
    int migratable = DOMAIN_SWITCH_ABSENT;

    if (!xml_enum_attribute(node, "mode", domain_cpu_values, &mode, error) ||
        !xml_enum_attribute(node, "check", domain_cpu_check_values, &check, error) ||
        !xml_enum_attribute(node, "migratable", domain_switch_values, &migratable, error) ||
        !xml_read_children(node, cpu_elements, cpu, error))
        return false;
    if (migratable != DOMAIN_SWITCH_ABSENT && mode != DOMAIN_CPU_HOST_PASSTHROUGH &&
        mode != DOMAIN_CPU_MAXIMUM)
        return xml_invalid(error, node,
                           "migratable is an attribute of host-passthrough and maximum");
    if (check != DOMAIN_CPU_CHECK_ABSENT && mode == DOMAIN_CPU_ABSENT)
        return xml_invalid(error, node, "check has no meaning without a mode");
    if (cpu->features->len && mode == DOMAIN_CPU_ABSENT)
        return xml_invalid(error, node, "features have no meaning without a mode");
    cpu->mode = (enum domain_cpu_mode)mode;
    cpu->check = (enum domain_cpu_check)check;
    cpu->migratable = (enum domain_switch)migratable;
    return true;
}
