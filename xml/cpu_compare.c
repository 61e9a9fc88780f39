/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/cpu_compare.h"

#include <libvirt/libvirt.h>
#include <string.h>

#include "xml/domain_priv.h"

/* A CPU's description; a domain_def is what holds one. */
static bool take_text(xmlNode *node, char **text, GError **error)
{
    g_free(*text);
    *text = xml_text(node);
    return *text || xml_invalid(error, node, "the element is empty");
}

static bool read_host_model(xmlNode *node, void *target, GError **error)
{
    return take_text(node, &((struct domain_cpu *)target)->model, error);
}

static bool read_host_vendor(xmlNode *node, void *target, GError **error)
{
    return take_text(node, &((struct domain_cpu *)target)->vendor, error);
}

static bool read_host_feature(xmlNode *node, void *target, GError **error)
{
    struct domain_cpu *cpu = target;
    g_autofree char *name = xml_attribute(node, "name");
    struct domain_cpu_feature *feature;

    if (!name || !*name)
        return xml_invalid(error, node, "missing attribute 'name'");
    if (!cpu_feature_is_known(name)) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "Unknown CPU feature %s", name);
        return false;
    }
    feature = g_new0(struct domain_cpu_feature, 1);
    feature->name = g_steal_pointer(&name);
    g_ptr_array_add(cpu->features, feature);
    return true;
}

/* It is the host's, and nothing that a guest's CPU is compared by. */
static bool pass(xmlNode *node, void *target, GError **error)
{
    return true;
}

static const struct xml_element host_elements[] = {
    {"arch", NULL, XML_ONCE | XML_TEXT, pass},
    {"model", NULL, XML_ONCE | XML_TEXT, read_host_model},
    {"vendor", NULL, XML_ONCE | XML_TEXT, read_host_vendor},
    {"feature", "name", 0, read_host_feature},
    {"topology", "sockets dies clusters cores threads", XML_ONCE, pass},
    {"pages", "unit size", 0, pass},
    {"microcode", "version", XML_ONCE, pass},
    {"signature", "family model stepping", XML_ONCE, pass},
    {"counter", "name frequency scaling", 0, pass},
    {"maxphysaddr", "mode bits limit", XML_ONCE, pass},
    {"migratability", "invtsc", XML_ONCE, pass},
    {},
};

static bool has_child(const xmlNode *node, const char *name)
{
    for (const xmlNode *child = node->children; child; child = child->next) {
        if (child->type == XML_ELEMENT_NODE && strcmp((const char *)child->name, name) == 0)
            return true;
    }
    return false;
}

/* As libvirt tells them apart: a guest's CPU has a mode or a match, a host's an architecture. */
static bool read_cpu(xmlNode *node, struct domain_cpu *cpu, GError **error)
{
    if (strcmp((const char *)node->name, "cpu") != 0)
        return xml_invalid(error, node, "a description of a CPU is a <cpu>");
    if (!xmlHasProp(node, BAD_CAST "mode") && !xmlHasProp(node, BAD_CAST "match") &&
        has_child(node, "arch"))
        return xml_read_children(node, host_elements, cpu, error);
    return xml_check_attributes(node, "mode match check migratable", error) &&
           domain_read_cpu_node(node, cpu, error);
}

static domain_def *parse_cpu(const char *xml, GError **error)
{
    g_autoptr(xmlDoc) doc = xml_document_parse(xml, strlen(xml), "(CPU_definition)", error);
    g_autoptr(domain_def) holder = domain_def_new();

    if (!doc || !read_cpu(xmlDocGetRootElement(doc), &holder->cpu, error))
        return NULL;
    return g_steal_pointer(&holder);
}

int cpu_compare(const struct cpu_map *map, const struct cpu_host *host, const char *xml,
                GError **why, GError **error)
{
    g_autoptr(domain_def) holder = parse_cpu(xml, error);
    const struct domain_cpu *cpu = holder ? &holder->cpu : NULL;
    const struct cpu_model *model = NULL;
    struct x86_feature_set topology = x86_feature_set_of_topology();
    struct x86_feature_set more;
    struct cpu_wish wish;

    if (!cpu)
        return VIR_CPU_COMPARE_ERROR;
    if (cpu->model) {
        g_autoptr(GError) problem = NULL;

        model = cpu_find_model(map, cpu, host, &problem);
        if (!model && libvirt_error_code(problem) != VIR_ERR_CPU_INCOMPATIBLE) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return VIR_CPU_COMPARE_ERROR;
        }
        if (!model) {
            g_propagate_error(why, g_steal_pointer(&problem));
            return VIR_CPU_COMPARE_INCOMPATIBLE;
        }
    }
    if (!cpu_wish_read(&wish, cpu, model, error))
        return VIR_CPU_COMPARE_ERROR;
    if (!cpu_wish_check(&wish, host, why))
        return VIR_CPU_COMPARE_INCOMPATIBLE;
    if (!model) /* host-passthrough and its like: the host's CPU itself */
        return VIR_CPU_COMPARE_IDENTICAL;
    more = x86_feature_set_minus(&host->features, &wish.wanted);
    more = x86_feature_set_minus(&more, &topology);
    if (x86_feature_set_is_empty(&more))
        return VIR_CPU_COMPARE_IDENTICAL;
    if (cpu->match == DOMAIN_CPU_MATCH_STRICT) {
        g_autofree char *names = cpu_feature_names(&more);

        libvirt_error_set(why, VIR_ERR_CPU_INCOMPATIBLE,
                          "Host CPU does not strictly match the guest's, it also has: %s", names);
        return VIR_CPU_COMPARE_INCOMPATIBLE;
    }
    return VIR_CPU_COMPARE_SUPERSET;
}

/* ---- baseline ---- */

/* What the CPUs that were read so far have in common. */
struct common {
    struct cpu_host cpu;
    const char *vendor; /* libvirt's name; NULL: any */
    bool any;           /* some of them is read already */
};

static bool agree_on_vendor(struct common *common, const char *vendor, GError **error)
{
    if (common->vendor && vendor && strcmp(common->vendor, vendor) != 0) {
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "CPU vendors do not match");
        return false;
    }
    common->vendor = vendor ? vendor : common->vendor;
    return true;
}

/* CPUID's name of a vendor; NULL for one that the map does not have. */
static const char *vendor_id(const struct cpu_map *map, const char *vendor)
{
    GHashTableIter iter;
    gpointer id;
    gpointer name;

    g_hash_table_iter_init(&iter, map->vendors);
    while (vendor && g_hash_table_iter_next(&iter, &id, &name)) {
        if (strcmp(name, vendor) == 0)
            return id;
    }
    return NULL;
}

/* `cpu` is left without its vendor, which is compared with the others' and not with a host's. */
static bool take_vendor(struct common *common, const struct cpu_map *map, struct domain_cpu *cpu,
                        GError **error)
{
    g_autofree char *vendor = g_steal_pointer(&cpu->vendor);
    const char *id = vendor_id(map, vendor);

    if (!vendor)
        return true;
    if (!id) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "Unknown CPU vendor %s", vendor);
        return false;
    }
    return agree_on_vendor(common, cpu_map_vendor(map, id), error);
}

static void keep_common(struct common *common, const struct x86_feature_set *features)
{
    struct x86_feature_set lost = x86_feature_set_minus(&common->cpu.features, features);

    common->cpu.features =
        common->any ? x86_feature_set_minus(&common->cpu.features, &lost) : *features;
    common->any = true;
}

static bool add_cpu(struct common *common, const struct cpu_map *map, const char *xml,
                    GError **error)
{
    static const struct cpu_host any_host;
    g_autoptr(domain_def) holder = parse_cpu(xml, error);
    const struct cpu_model *model;
    struct cpu_wish wish;

    if (!holder)
        return false;
    if (!holder->cpu.model) {
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "a CPU without a model was given");
        return false;
    }
    if (!take_vendor(common, map, &holder->cpu, error))
        return false;
    model = cpu_find_model(map, &holder->cpu, &any_host, error);
    if (!model || !cpu_wish_read(&wish, &holder->cpu, model, error) ||
        !agree_on_vendor(common, model->vendor, error))
        return false;
    keep_common(common, &wish.wanted);
    return true;
}

char *cpu_baseline(const struct cpu_map *map, const char *const *xmls, unsigned count, bool expand,
                   bool migratable, GError **error)
{
    struct common common = {{""}};
    struct cpu_description description;
    unsigned invtsc;
    struct xml_writer w;

    for (unsigned i = 0; i < count; i++) {
        if (!add_cpu(&common, map, xmls[i], error))
            return NULL;
    }
    if (common.vendor)
        g_strlcpy(common.cpu.vendor, vendor_id(map, common.vendor), sizeof(common.cpu.vendor));
    if (migratable && x86_feature_find("invtsc", &invtsc))
        x86_feature_set_remove(&common.cpu.features, invtsc);
    if (!common.any || !cpu_describe(map, &common.cpu, false, &description)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "CPUs are incompatible");
        return NULL;
    }
    xml_writer_init(&w);
    xml_open(&w, "cpu", "mode", "custom", "match", "exact", NULL);
    xml_text_element(&w, "model", description.model->name, "fallback", "forbid", NULL);
    if (common.vendor)
        xml_text_element(&w, "vendor", common.vendor, NULL);
    cpu_write_features(&w, expand ? &common.cpu.features : &description.extra, "require");
    cpu_write_features(&w, &description.missing, "disable");
    xml_close(&w, "cpu");
    return xml_writer_finish(&w);
}
