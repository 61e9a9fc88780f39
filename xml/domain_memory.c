/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory: how much, what backs it, what limits it. */
#include <string.h>

#include "xml/domain_priv.h"
#include "xml/domain_values.h"

/* A size in KiB, rounded up; KiB is also what a number without a unit means. */
static bool scale_size(xmlNode *node, const char *text, uint64_t *kib, GError **error)
{
    uint64_t bytes;

    if (!xml_scaled_size(node, text, 1024, &bytes, error))
        return false;
    *kib = (bytes + 1023) / 1024;
    return true;
}

static bool read_size(xmlNode *node, uint64_t *kib, GError **error)
{
    g_autofree char *text = xml_text(node);

    return !text || scale_size(node, text, kib, error);
}

bool domain_read_memory(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    return read_size(node, &parser->def->memory_kib, error);
}

bool domain_read_current_memory(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    return read_size(node, &parser->def->current_memory_kib, error);
}

bool domain_read_max_memory(xmlNode *node, void *target, GError **error)
{
    domain_def *def = ((struct domain_parser *)target)->def;

    if (!read_size(node, &def->max_memory_kib, error) ||
        !xml_unsigned_attribute(node, "slots", &def->memory_slots, error))
        return false;
    if (!def->max_memory_kib != !def->memory_slots) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR,
                          "both maximum memory size and memory slot count must be specified");
        return false;
    }
    return true;
}

/* ---- <memoryBacking> ---- */

#define DEFAULT_HUGEPAGE_KIB 2048

static bool read_page(xmlNode *node, void *target, GError **error)
{
    struct domain_memory_backing *backing = target;
    g_autofree char *size = xml_attribute(node, "size");
    g_autofree char *nodeset = xml_attribute(node, "nodeset");

    if (!size)
        return xml_invalid(error, node, "missing attribute 'size'");
    if (nodeset)
        return xml_refuse_attribute(error, node, "nodeset", "a microVM is one NUMA node");
    if (!scale_size(node, size, &backing->page_kib, error))
        return false;
    if (backing->page_kib != 2048 && backing->page_kib != 1048576)
        return xml_refuse_attribute(error, node, "size", "huge pages are of 2 MiB or 1 GiB");
    return true;
}

static const struct xml_element hugepages_elements[] = {
    {"page", "size unit nodeset", XML_ONCE | XML_EMPTY, read_page},
    {},
};

static bool read_hugepages(xmlNode *node, void *target, GError **error)
{
    ((struct domain_memory_backing *)target)->hugepages = true;
    return xml_read_children(node, hugepages_elements, target, error);
}

static bool read_nosharepages(xmlNode *node, void *target, GError **error)
{
    ((struct domain_memory_backing *)target)->nosharepages = true;
    return true;
}

static bool read_locked(xmlNode *node, void *target, GError **error)
{
    ((struct domain_memory_backing *)target)->locked = true;
    return true;
}

static bool read_discard(xmlNode *node, void *target, GError **error)
{
    ((struct domain_memory_backing *)target)->discard = true;
    return true;
}

/* An element that is one attribute, which is required. */
static bool read_choice(xmlNode *node, const char *attribute, const struct xml_value *values,
                        int *choice, GError **error)
{
    if (!xmlHasProp(node, BAD_CAST attribute))
        return xml_invalid(error, node, "missing attribute '%s'", attribute);
    return xml_enum_attribute(node, attribute, values, choice, error);
}

static bool read_memory_source(xmlNode *node, void *target, GError **error)
{
    int choice = 0;

    if (!read_choice(node, "type", domain_memory_source_values, &choice, error))
        return false;
    ((struct domain_memory_backing *)target)->source = (enum domain_memory_source)choice;
    return true;
}

static bool read_memory_access(xmlNode *node, void *target, GError **error)
{
    int choice = 0;

    if (!read_choice(node, "mode", domain_memory_access_values, &choice, error))
        return false;
    ((struct domain_memory_backing *)target)->access = (enum domain_memory_access)choice;
    return true;
}

static bool read_allocation(xmlNode *node, void *target, GError **error)
{
    int choice = 0;

    if (!read_choice(node, "mode", domain_memory_allocation_values, &choice, error))
        return false;
    ((struct domain_memory_backing *)target)->allocation = (enum domain_memory_allocation)choice;
    return true;
}

static const struct xml_element backing_elements[] = {
    {"hugepages", NULL, XML_ONCE, read_hugepages},
    {"nosharepages", NULL, XML_ONCE | XML_EMPTY, read_nosharepages},
    {"locked", NULL, XML_ONCE | XML_EMPTY, read_locked},
    {"source", "type", XML_ONCE | XML_EMPTY, read_memory_source},
    {"access", "mode", XML_ONCE | XML_EMPTY, read_memory_access},
    {"allocation", "mode", XML_ONCE | XML_EMPTY, read_allocation},
    {"discard", NULL, XML_ONCE | XML_EMPTY, read_discard},
    {},
};

bool domain_read_memory_backing(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    return xml_read_children(node, backing_elements, &parser->def->memory_backing, error);
}

/* ---- <memtune> ---- */

/* libvirt's VIR_DOMAIN_MEMORY_PARAM_UNLIMITED; more says the same. */
#define UNLIMITED_KIB INT64_C(9007199254740991)

static bool read_limit(xmlNode *node, uint64_t *kib, GError **error)
{
    if (!read_size(node, kib, error))
        return false;
    if (*kib >= UNLIMITED_KIB)
        *kib = 0;
    return true;
}

static bool read_hard_limit(xmlNode *node, void *target, GError **error)
{
    return read_limit(node, &((struct domain_memtune *)target)->hard_limit_kib, error);
}

static bool read_soft_limit(xmlNode *node, void *target, GError **error)
{
    return read_limit(node, &((struct domain_memtune *)target)->soft_limit_kib, error);
}

static bool read_swap_hard_limit(xmlNode *node, void *target, GError **error)
{
    return read_limit(node, &((struct domain_memtune *)target)->swap_hard_limit_kib, error);
}

static const struct xml_element memtune_elements[] = {
    {"hard_limit", "unit", XML_ONCE | XML_TEXT, read_hard_limit},
    {"soft_limit", "unit", XML_ONCE | XML_TEXT, read_soft_limit},
    {"swap_hard_limit", "unit", XML_ONCE | XML_TEXT, read_swap_hard_limit},
    {"min_guarantee", .refused = "memory is not guaranteed"},
    {},
};

bool domain_read_memtune(xmlNode *node, void *target, GError **error)
{
    struct domain_memtune *memtune = &((struct domain_parser *)target)->def->memtune;

    if (!xml_read_children(node, memtune_elements, memtune, error))
        return false;
    if (memtune->swap_hard_limit_kib && memtune->swap_hard_limit_kib < memtune->hard_limit_kib)
        return xml_invalid(error, node, "<swap_hard_limit> has <hard_limit> in it, but is less");
    return true;
}

/* ---- all together ---- */

static bool check_size(const domain_def *def, GError **error)
{
    if (def->memory_kib == 0) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "Memory size must be specified via <memory>");
        return false;
    }
    if (def->memory_kib < DOMAIN_MIN_MEMORY) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "<memory>: %" G_GUINT64_FORMAT " KiB are too little; a kernel needs at "
                          "least %" G_GUINT64_FORMAT " KiB",
                          def->memory_kib, DOMAIN_MIN_MEMORY);
        return false;
    }
    if (def->memory_kib > DOMAIN_MAX_MEMORY) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "<memory>: %" G_GUINT64_FORMAT " KiB are too much; a microVM has at most "
                          "%" G_GUINT64_FORMAT " KiB",
                          def->memory_kib, DOMAIN_MAX_MEMORY);
        return false;
    }
    return true;
}

static bool check_max_memory(const domain_def *def, GError **error)
{
    if (!def->max_memory_kib || def->max_memory_kib == def->memory_kib)
        return true;
    libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                      "<maxMemory> differs from <memory>: a microVM has its most memory from the "
                      "start, and <currentMemory> is what it may use of that");
    return false;
}

uint64_t domain_hugepage_kib(const domain_def *def)
{
    if (!def->memory_backing.hugepages)
        return 0;
    return def->memory_backing.page_kib ? def->memory_backing.page_kib : DEFAULT_HUGEPAGE_KIB;
}

static bool check_hugepages(const domain_def *def, GError **error)
{
    uint64_t page = domain_hugepage_kib(def);

    if (!page || def->memory_kib % page == 0)
        return true;
    libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                      "<memory>: %" G_GUINT64_FORMAT " KiB are not a whole number of huge pages of "
                      "%" G_GUINT64_FORMAT " KiB",
                      def->memory_kib, page);
    return false;
}

bool domain_check_memory(domain_def *def, GError **error)
{
    if (!check_size(def, error) || !check_max_memory(def, error) || !check_hugepages(def, error))
        return false;
    if (def->current_memory_kib == 0 || def->current_memory_kib > def->memory_kib)
        def->current_memory_kib = def->memory_kib;
    if (def->current_memory_kib < def->memory_kib && def->memballoon.none) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "<currentMemory> is less than <memory>: there is no balloon that could "
                          "hold the rest");
        return false;
    }
    return true;
}
