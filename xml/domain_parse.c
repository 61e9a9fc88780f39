/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <domain>: its table of children, and those of them that are small. Memory, vCPUs, the machine and
 * <devices> have files of their own. Each level is one table: what is read, and what is refused
 * with which reason. When all has been read, finish() fills in defaults and checks what concerns
 * several elements at once.
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

static bool read_genid(xmlNode *node, void *target, GError **error)
{
    domain_def *def = ((struct domain_parser *)target)->def;
    g_autofree char *text = xml_text(node);

    def->has_genid = true;
    if (!text)
        domain_uuid_generate(def->genid);
    else if (!domain_uuid_parse(text, def->genid)) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "malformed genid element");
        return false;
    }
    return true;
}

static const struct xml_element domain_elements[] = {
    {"name", NULL, XML_ONCE | XML_TEXT, read_name},
    {"uuid", NULL, XML_ONCE | XML_TEXT, read_uuid},
    {"genid", NULL, XML_ONCE | XML_TEXT, read_genid},
    {"title", NULL, XML_ONCE | XML_TEXT, read_title},
    {"description", NULL, XML_ONCE | XML_TEXT, read_description},
    {"metadata", NULL, XML_ONCE, read_metadata},
    {"maxMemory", "unit slots", XML_ONCE | XML_TEXT, domain_read_max_memory},
    {"memory", "unit", XML_ONCE | XML_TEXT, domain_read_memory},
    {"currentMemory", "unit", XML_ONCE | XML_TEXT, domain_read_current_memory},
    {"memoryBacking", NULL, XML_ONCE, domain_read_memory_backing},
    {"blkiotune", NULL, XML_ONCE, domain_read_blkiotune},
    {"memtune", NULL, XML_ONCE, domain_read_memtune},
    {"vcpu", "placement cpuset current", XML_ONCE | XML_TEXT, domain_read_vcpu},
    {"iothreads", NULL, XML_ONCE | XML_TEXT, domain_read_iothreads},
    {"iothreadids", NULL, XML_ONCE, domain_read_iothreadids},
    {"cputune", NULL, XML_ONCE, domain_read_cputune},
    {"numatune", NULL, XML_ONCE, domain_read_numatune},
    {"os", "firmware", XML_ONCE, domain_read_os},
    {"features", NULL, XML_ONCE, domain_read_features},
    {"cpu", "mode match check migratable", XML_ONCE, domain_read_cpu},
    {"clock", "offset adjustment basis timezone start", XML_ONCE, domain_read_clock},
    {"on_poweroff", NULL, XML_ONCE | XML_TEXT, read_on_poweroff},
    {"on_reboot", NULL, XML_ONCE | XML_TEXT, read_on_reboot},
    {"on_crash", NULL, XML_ONCE | XML_TEXT, read_on_crash},
    {"pm", NULL, XML_ONCE, read_pm},
    {"devices", NULL, XML_ONCE, domain_read_devices},
    {"seclabel", "type", XML_ONCE | XML_EMPTY, read_seclabel},
    {"resource", .refused = "a domain's cgroup cannot be chosen"},
    {"vcpus", .refused = "vCPUs cannot be added one by one"},
    {"defaultiothread", .refused = "I/O threads have no pools"},
    {"bootloader", .refused = DOMAIN_NO_FIRMWARE},
    {"bootloader_args", .refused = DOMAIN_NO_FIRMWARE},
    {"sysinfo", "type", 0, domain_read_sysinfo},
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
    if (!def->os.arch) { /* there was no <os> at all */
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "an os <type> must be specified");
        return false;
    }
    if (!parser->has_uuid)
        domain_uuid_generate(def->uuid);
    domain_fill_iothreads(def, parser->iothread_count);
    return domain_check_memory(def, error) && domain_check_vcpus(def, error) &&
           domain_check_devices(def, error);
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

void domain_parser_init(struct domain_parser *parser, domain_def *def)
{
    *parser = (struct domain_parser){.def = def};
    parser->renamed_disks = g_ptr_array_new_with_free_func((GDestroyNotify)domain_disk_free);
    parser->cdroms = g_ptr_array_new_with_free_func((GDestroyNotify)domain_disk_free);
}

void domain_parser_clear(struct domain_parser *parser)
{
    g_ptr_array_unref(parser->renamed_disks);
    g_ptr_array_unref(parser->cdroms);
    g_clear_pointer(&parser->serial_console, parsed_chardev_free);
}

domain_def *domain_def_parse(const char *xml, gsize len, unsigned flags, GError **error)
{
    g_autoptr(xmlDoc) doc = xml_document_parse(xml, len, LABEL, error);

    if (!doc)
        return NULL;

    g_autoptr(domain_def) def = domain_def_new();
    g_auto(domain_parser) parser;

    domain_parser_init(&parser, def);
    parser.live = flags & DOMAIN_PARSE_LIVE;
    return read_root(&parser, xmlDocGetRootElement(doc), error) ? g_steal_pointer(&def) : NULL;
}

bool domain_def_check(const domain_def *def, GError **error)
{
    unsigned flags = def->id > 0 ? DOMAIN_PARSE_LIVE : DOMAIN_PARSE_DEFINITION;
    g_autofree char *text = domain_def_format(def, 0);
    g_autoptr(domain_def) again = domain_def_parse(text, strlen(text), flags, error);

    return again;
}
