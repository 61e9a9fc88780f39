/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <numatune>: from which of the host's NUMA nodes a domain's memory comes. */
#include "xml/domain_priv.h"
#include "xml/domain_values.h"

static bool read_memory(xmlNode *node, void *target, GError **error)
{
    static const struct xml_value placements[] = {
        {"static", 0},
        {"auto", 0, "memory is not placed by NUMA advice"},
        {},
    };
    struct domain_numatune *tune = target;
    g_autofree char *nodes = xml_attribute(node, "nodeset");
    int mode = DOMAIN_NUMA_STRICT;
    int placement;

    if (!xml_enum_attribute(node, "mode", domain_numa_values, &mode, error) ||
        !xml_enum_attribute(node, "placement", placements, &placement, error))
        return false;
    if (!nodes)
        return xml_invalid(error, node, "nodeset for NUMA memory tuning must be set");
    tune->mode = (enum domain_numa_mode)mode;
    return cpuset_parse(nodes, &tune->nodes, error);
}

static const struct xml_element numatune_elements[] = {
    {"memory", "mode nodeset placement", XML_ONCE | XML_EMPTY, read_memory},
    {"memnode", .refused = "a microVM is one NUMA node"},
    {},
};

bool domain_read_numatune(xmlNode *node, void *target, GError **error)
{
    return xml_read_children(node, numatune_elements,
                             &((struct domain_parser *)target)->def->numatune, error);
}
