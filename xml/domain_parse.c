/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <domain>: its table of children, and those of them that are small. The machine itself, <os> to
 * <clock>, is in domain_machine.c, <devices> in domain_devices.c. Each level is one table: what is
 * read, and what is refused with which reason. When all has been read, finish() fills in defaults
 * and checks what concerns several elements at once.
 */
#include <string.h>

#include "xml/domain_priv.h"
#include "xml/domain_values.h"
#include "xml/writer.h"

#define LABEL          "(domain_definition)"
#define NAME_MAX_BYTES 200 /* leaves room for the names of files that are made from it */

static bool read_name(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    parser->def->name = xml_text(node);
    return true;
}

static bool has_control_character(const char *text)
{
    for (; *text; text++)
        if (g_ascii_iscntrl(*text))
            return true;
    return false;
}

static bool check_name(const char *name, GError **error)
{
    if (!name) {
        libvirt_error_set(error, VIR_ERR_NO_NAME, NULL);
        return false;
    }
    if (strlen(name) > NAME_MAX_BYTES) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "name is longer than %d bytes", NAME_MAX_BYTES);
        return false;
    }
    if (has_control_character(name)) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "name has a control character in it");
        return false;
    }
    if (strchr(name, '/')) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "name %s cannot contain '/'", name);
        return false;
    }
    return true;
}

static bool read_uuid(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;
    g_autofree char *text = xml_text(node);

    if (!text)
        return true;
    if (!domain_uuid_parse(text, parser->def->uuid)) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "malformed uuid element");
        return false;
    }
    parser->has_uuid = true;
    return true;
}

static bool read_title(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    parser->def->title = xml_text(node);
    if (parser->def->title && strchr(parser->def->title, '\n')) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "Domain title can't contain newlines");
        return false;
    }
    return true;
}

static bool read_description(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    parser->def->description = xml_text(node);
    return true;
}

static bool read_metadata(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    if (!node->children && !node->properties)
        return true;
    parser->def->metadata = xml_node_to_text(node);
    if (!parser->def->metadata) {
        libvirt_error_set(error, VIR_ERR_NO_MEMORY, NULL);
        return false;
    }
    return true;
}

/* libvirt's units (virScaleInteger): K, KiB and Ki-less K are 1024, KB is 1000, b and bytes are 1.
 */
static bool unit_scale(const char *unit, uint64_t *scale)
{
    static const char prefixes[] = "kmgtpe";
    const char *prefix;
    uint64_t base;

    if (!g_ascii_strcasecmp(unit, "b") || !g_ascii_strcasecmp(unit, "byte") ||
        !g_ascii_strcasecmp(unit, "bytes")) {
        *scale = 1;
        return true;
    }
    prefix = strchr(prefixes, g_ascii_tolower(unit[0]));
    if (!unit[1] || !g_ascii_strcasecmp(unit + 1, "ib"))
        base = 1024;
    else if (!g_ascii_strcasecmp(unit + 1, "b"))
        base = 1000;
    else
        return false;
    if (!prefix)
        return false;
    *scale = base;
    for (; prefix > prefixes; prefix--)
        *scale *= base;
    return true;
}

/* A size in KiB, rounded up; KiB is also what a number without a unit means. */
static bool read_size(xmlNode *node, uint64_t *kib, GError **error)
{
    g_autofree char *text = xml_text(node);
    g_autofree char *unit = xml_attribute(node, "unit");
    uint64_t number = 0;
    uint64_t scale = 1024;

    if (!text)
        return true;
    if (!xml_parse_unsigned(text, G_MAXUINT64, &number))
        return xml_invalid(error, node, "not a size");
    if (unit && *unit && !unit_scale(unit, &scale)) {
        g_autofree char *shown_unit = xml_excerpt(unit);

        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "unknown suffix '%s'", shown_unit);
        return false;
    }
    if (number > G_MAXINT64 / scale) {
        libvirt_error_set(error, VIR_ERR_OVERFLOW, "value too large: %" G_GUINT64_FORMAT "%s",
                          number, unit ? unit : "");
        return false;
    }
    *kib = (number * scale + 1023) / 1024;
    return true;
}

static bool read_memory(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    return read_size(node, &parser->def->memory_kib, error);
}

static bool read_current_memory(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    return read_size(node, &parser->def->current_memory_kib, error);
}

static bool read_vcpu(xmlNode *node, void *target, GError **error)
{
    static const struct xml_value placements[] = {
        {"static", 0},
        {"auto", 0, "vCPUs are not placed by NUMA advice"},
        {},
    };
    domain_def *def = ((struct domain_parser *)target)->def;
    g_autofree char *text = xml_text(node);
    uint64_t count = 1;
    int placement;

    if (text && !xml_parse_unsigned(text, G_MAXUINT, &count)) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "maximum vcpus count must be an integer");
        return false;
    }
    def->max_vcpus = (unsigned)count;
    def->vcpus = (unsigned)count;
    return xml_unsigned_attribute(node, "current", &def->vcpus, error) &&
           xml_enum_attribute(node, "placement", placements, &placement, error);
}

static bool check_vcpus(const domain_def *def, GError **error)
{
    if (def->vcpus == 0 || def->max_vcpus == 0) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Domain requires at least 1 vCPU");
        return false;
    }
    if (def->vcpus > def->max_vcpus) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "maximum vCPU count must not be less than current vCPU count");
        return false;
    }
    if (def->max_vcpus > DOMAIN_MAX_VCPUS) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "Maximum CPUs greater than specified machine type limit %d",
                          DOMAIN_MAX_VCPUS);
        return false;
    }
    return true;
}

static bool check_memory(domain_def *def, GError **error)
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
    if (def->current_memory_kib == 0 || def->current_memory_kib > def->memory_kib)
        def->current_memory_kib = def->memory_kib;
    if (def->current_memory_kib < def->memory_kib) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "<currentMemory> is less than <memory>: there is no balloon that could "
                          "hold the rest");
        return false;
    }
    return true;
}

bool domain_check_path(xmlNode *node, const char *path, GError **error)
{
    g_autofree char *shown = xml_excerpt(path);

    if (path[0] != '/')
        return xml_refuse(error, node, "'%s': a path must be absolute", shown);
    if (strlen(path) >= 4096)
        return xml_refuse(error, node, "the path is too long");
    return true;
}

bool domain_read_path(xmlNode *node, char **path, GError **error)
{
    *path = xml_text(node);
    return !*path || domain_check_path(node, *path, error);
}

static bool read_action(xmlNode *node, const struct xml_value *actions, enum domain_action *action,
                        GError **error)
{
    g_autofree char *text = xml_text(node);

    if (!text)
        return true;
    for (; actions->name; actions++) {
        if (strcmp(actions->name, text) != 0)
            continue;
        if (actions->refused)
            return xml_refuse(error, node, "'%s': %s", text, actions->refused);
        *action = (enum domain_action)actions->value;
        return true;
    }
    g_autofree char *shown = xml_excerpt(text);

    libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown %s action: %s",
                      (const char *)node->name, shown);
    return false;
}

static bool read_on_poweroff(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    return read_action(node, domain_poweroff_values, &parser->def->on_poweroff, error);
}

static bool read_on_reboot(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    return read_action(node, domain_reboot_values, &parser->def->on_reboot, error);
}

static bool read_on_crash(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    return read_action(node, domain_crash_values, &parser->def->on_crash, error);
}

static bool read_sleep_state(xmlNode *node, enum domain_switch *state, GError **error)
{
    int enabled = DOMAIN_SWITCH_ABSENT;

    if (!xml_enum_attribute(node, "enabled", domain_yes_no_values, &enabled, error))
        return false;
    if (enabled == DOMAIN_SWITCH_ON)
        return xml_refuse(error, node, "a microVM does not sleep");
    *state = (enum domain_switch)enabled;
    return true;
}

static bool read_suspend_to_mem(xmlNode *node, void *target, GError **error)
{
    return read_sleep_state(node, &((domain_def *)target)->suspend_to_mem, error);
}

static bool read_suspend_to_disk(xmlNode *node, void *target, GError **error)
{
    return read_sleep_state(node, &((domain_def *)target)->suspend_to_disk, error);
}

static const struct xml_element pm_elements[] = {
    {"suspend-to-mem", "enabled", XML_ONCE | XML_EMPTY, read_suspend_to_mem},
    {"suspend-to-disk", "enabled", XML_ONCE | XML_EMPTY, read_suspend_to_disk},
    {},
};

static bool read_pm(xmlNode *node, void *target, GError **error)
{
    return xml_read_children(node, pm_elements, ((struct domain_parser *)target)->def, error);
}

static bool read_seclabel(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;
    g_autofree char *type = xml_attribute(node, "type");

    if (!type || strcmp(type, "none") != 0)
        return xml_refuse(error, node, "there are no security labels; type must be 'none'");
    parser->def->seclabel_none = true;
    return true;
}

#define NO_TUNING  "tuning by cgroup is not offered"
#define NO_NUMA    "a microVM is one NUMA node"
#define NO_SYSINFO "a microVM has no SMBIOS tables"

static const struct xml_element domain_elements[] = {
    {"name", NULL, XML_ONCE | XML_TEXT, read_name},
    {"uuid", NULL, XML_ONCE | XML_TEXT, read_uuid},
    {"title", NULL, XML_ONCE | XML_TEXT, read_title},
    {"description", NULL, XML_ONCE | XML_TEXT, read_description},
    {"metadata", NULL, XML_ONCE, read_metadata},
    {"memory", "unit", XML_ONCE | XML_TEXT, read_memory},
    {"currentMemory", "unit", XML_ONCE | XML_TEXT, read_current_memory},
    {"vcpu", "placement current", XML_ONCE | XML_TEXT, read_vcpu},
    {"os", NULL, XML_ONCE, domain_read_os},
    {"features", NULL, XML_ONCE, domain_read_features},
    {"cpu", "mode check migratable", XML_ONCE, domain_read_cpu},
    {"clock", "offset", XML_ONCE, domain_read_clock},
    {"on_poweroff", NULL, XML_ONCE | XML_TEXT, read_on_poweroff},
    {"on_reboot", NULL, XML_ONCE | XML_TEXT, read_on_reboot},
    {"on_crash", NULL, XML_ONCE | XML_TEXT, read_on_crash},
    {"pm", NULL, XML_ONCE, read_pm},
    {"devices", NULL, XML_ONCE, domain_read_devices},
    {"seclabel", "type", XML_ONCE | XML_EMPTY, read_seclabel},
    {"genid", .refused = "a microVM has no generation ID"},
    {"maxMemory", .refused = "memory cannot be added to a running microVM"},
    {"memoryBacking", .refused = "guest memory is anonymous memory of the host"},
    {"memtune", .refused = NO_TUNING},
    {"blkiotune", .refused = NO_TUNING},
    {"cputune", .refused = NO_TUNING},
    {"resource", .refused = NO_TUNING},
    {"numatune", .refused = NO_NUMA},
    {"vcpus", .refused = "vCPUs cannot be added one by one"},
    {"iothreads", .refused = "I/O threads cannot be chosen"},
    {"iothreadids", .refused = "I/O threads cannot be chosen"},
    {"defaultiothread", .refused = "I/O threads cannot be chosen"},
    {"bootloader", .refused = DOMAIN_NO_FIRMWARE},
    {"bootloader_args", .refused = DOMAIN_NO_FIRMWARE},
    {"sysinfo", .refused = NO_SYSINFO},
    {"on_lockfailure", .refused = "there is no lock manager"},
    {"perf", .refused = "performance events are not offered"},
    {"idmap", .refused = "this is for containers"},
    {"keywrap", .refused = "this is for s390"},
    {"launchSecurity", .refused = "guest memory is not encrypted"},
    {},
};

static bool check_type(xmlNode *root, GError **error)
{
    g_autofree char *type = xml_attribute(root, "type");

    if (!type) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "missing domain type attribute");
        return false;
    }
    if (strcmp(type, "kvm") != 0) {
        g_autofree char *shown = xml_excerpt(type);

        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "domain type '%s' is not served; it must be 'kvm'", shown);
        return false;
    }
    return true;
}

static bool read_id(struct domain_parser *parser, xmlNode *root, GError **error)
{
    unsigned id = 0;

    if (!parser->live)
        return true;
    if (!xml_unsigned_attribute(root, "id", &id, error))
        return false;
    if (id > G_MAXINT)
        return xml_invalid(error, root, "the id is too large");
    parser->def->id = id > 0 ? (int)id : -1;
    return true;
}

static bool finish(struct domain_parser *parser, GError **error)
{
    domain_def *def = parser->def;

    if (!check_name(def->name, error))
        return false;
    if (!def->os.kernel) { /* there was no <os> at all */
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "an os <type> must be specified");
        return false;
    }
    if (!parser->has_uuid)
        domain_uuid_generate(def->uuid);
    return check_memory(def, error) && check_vcpus(def, error) && domain_check_devices(def, error);
}

static bool read_root(struct domain_parser *parser, xmlNode *root, GError **error)
{
    if (strcmp((const char *)root->name, "domain") != 0) {
        g_autofree char *shown = xml_excerpt((const char *)root->name);

        libvirt_error_set(error, VIR_ERR_XML_ERROR, "expecting root element of 'domain', not '%s'",
                          shown);
        return false;
    }
    return check_type(root, error) && xml_check_attributes(root, "type id", error) &&
           read_id(parser, root, error) &&
           xml_read_children(root, domain_elements, parser, error) && finish(parser, error);
}

domain_def *domain_def_parse(const char *xml, gsize len, unsigned flags, GError **error)
{
    g_autoptr(xmlDoc) doc = xml_document_parse(xml, len, LABEL, error);

    if (!doc)
        return NULL;

    g_autoptr(domain_def) def = domain_def_new();
    struct domain_parser parser = {.def = def, .live = flags & DOMAIN_PARSE_LIVE};
    bool ok = read_root(&parser, xmlDocGetRootElement(doc), error);

    g_clear_pointer(&parser.serial_console, parsed_chardev_free);
    return ok ? g_steal_pointer(&def) : NULL;
}
