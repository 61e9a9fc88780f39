/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/storage.h"

#include <string.h>

#include "xml/domain_priv.h"
#include "xml/reader.h"
#include "xml/writer.h"

#define POOL_LABEL   "(storage_pool_definition)"
#define VOLUME_LABEL "(storage_volume_definition)"
/* Leaves room for the names of files that are made from it. */
#define POOL_NAME_MAX 200
/* Of a file's name (NAME_MAX of limits.h). */
#define VOLUME_NAME_MAX 255

static const struct storage_permissions no_permissions = {-1, -1, -1};

/* ---- what both have ---- */

/* Says nothing to a directory; it is allowed to be there, whatever is in it. */
static bool read_nothing(xmlNode *node, void *target, GError **error)
{
    return true;
}

static bool read_size(xmlNode *node, uint64_t *bytes, GError **error)
{
    g_autofree char *text = xml_text(node);

    return xml_scaled_size(node, text ? text : "", 1, bytes, error);
}

static bool read_mode(xmlNode *node, void *target, GError **error)
{
    struct storage_permissions *permissions = target;
    g_autofree char *text = xml_text(node);
    guint64 mode;

    if (!text)
        return true;
    if (!g_ascii_string_to_unsigned(g_strstrip(text), 8, 0, 07777, &mode, NULL)) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "malformed octal mode");
        return false;
    }
    permissions->mode = (int64_t)mode;
    return true;
}

/* -1 is how libvirt writes "nobody in particular". */
static bool read_id(xmlNode *node, int64_t *id, GError **error)
{
    g_autofree char *text = xml_text(node);

    if (!text)
        return true;
    if (xml_parse_signed(text, id) && *id >= -1 && *id < G_MAXUINT32)
        return true;
    libvirt_error_set(error, VIR_ERR_XML_ERROR, "malformed %s element", (const char *)node->name);
    return false;
}

static bool read_owner(xmlNode *node, void *target, GError **error)
{
    return read_id(node, &((struct storage_permissions *)target)->owner, error);
}

static bool read_group(xmlNode *node, void *target, GError **error)
{
    return read_id(node, &((struct storage_permissions *)target)->group, error);
}

static const struct xml_element permission_elements[] = {
    {"mode", NULL, XML_ONCE | XML_TEXT, read_mode},
    {"owner", NULL, XML_ONCE | XML_TEXT, read_owner},
    {"group", NULL, XML_ONCE | XML_TEXT, read_group},
    {"label", NULL, XML_ONCE | XML_TEXT, read_nothing},
    {NULL},
};

static void write_id(struct xml_writer *w, const char *name, int64_t id)
{
    if (id >= 0)
        xml_text_element(w, name, XML_NUMBER(id), NULL);
}

static void write_permissions(struct xml_writer *w, const struct storage_permissions *permissions)
{
    char mode[16];

    xml_open(w, "permissions", NULL);
    if (permissions->mode >= 0) {
        g_snprintf(mode, sizeof(mode), "0%o", (unsigned)permissions->mode);
        xml_text_element(w, "mode", mode, NULL);
    }
    write_id(w, "owner", permissions->owner);
    write_id(w, "group", permissions->group);
    xml_close_or_drop(w, "permissions");
}

static void write_size(struct xml_writer *w, const char *name, uint64_t bytes)
{
    char text[24];

    g_snprintf(text, sizeof(text), "%" G_GUINT64_FORMAT, bytes);
    xml_text_element(w, name, text, "unit", "bytes", NULL);
}

static bool is_printable(const char *text)
{
    if (!xml_can_hold(text))
        return false;
    for (; *text; text++) {
        if (g_ascii_iscntrl(*text))
            return false;
    }
    return true;
}

/* The document's root, which must have that name. */
static xmlNode *root_named(xmlDoc *doc, const char *name, GError **error)
{
    xmlNode *root = xmlDocGetRootElement(doc);

    if (root && strcmp((const char *)root->name, name) == 0)
        return root;
    libvirt_error_set(error, VIR_ERR_XML_ERROR, "unexpected root element <%s>, expecting <%s>",
                      root ? (const char *)root->name : "", name);
    return NULL;
}

/* ---- pools ---- */

struct pool_parser {
    struct storage_pool_def *def;
    bool has_uuid;
};

static bool read_pool_name(xmlNode *node, void *target, GError **error)
{
    ((struct pool_parser *)target)->def->name = xml_text(node);
    return true;
}

static bool read_pool_uuid(xmlNode *node, void *target, GError **error)
{
    struct pool_parser *parser = target;
    g_autofree char *text = xml_text(node);

    if (!text)
        return true;
    parser->has_uuid = domain_uuid_parse(text, parser->def->uuid);
    if (!parser->has_uuid)
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "malformed uuid element");
    return parser->has_uuid;
}

static bool read_pool_path(xmlNode *node, void *target, GError **error)
{
    struct pool_parser *parser = target;
    g_autofree char *text = xml_text(node);

    if (!text || !g_path_is_absolute(text) || !is_printable(text))
        return xml_invalid(error, node, "not an absolute path");
    parser->def->path = g_canonicalize_filename(text, "/");
    return true;
}

static bool read_pool_permissions(xmlNode *node, void *target, GError **error)
{
    return xml_read_children(node, permission_elements,
                             &((struct pool_parser *)target)->def->permissions, error);
}

static const struct xml_element pool_target_elements[] = {
    {"path", NULL, XML_ONCE | XML_TEXT, read_pool_path},
    {"permissions", NULL, XML_ONCE, read_pool_permissions},
    {NULL},
};

static bool read_pool_target(xmlNode *node, void *target, GError **error)
{
    return xml_read_children(node, pool_target_elements, target, error);
}

static const struct xml_element pool_elements[] = {
    {"name", NULL, XML_ONCE | XML_TEXT, read_pool_name},
    {"uuid", NULL, XML_ONCE | XML_TEXT, read_pool_uuid},
    {"capacity", "unit", XML_ONCE | XML_TEXT, read_nothing},
    {"allocation", "unit", XML_ONCE | XML_TEXT, read_nothing},
    {"available", "unit", XML_ONCE | XML_TEXT, read_nothing},
    {"features", NULL, XML_ONCE, read_nothing},
    {"source", NULL, XML_ONCE, read_nothing},
    {"target", NULL, XML_ONCE, read_pool_target},
    {NULL},
};

static bool check_pool_type(xmlNode *root, GError **error)
{
    g_autofree char *type = xml_attribute(root, "type");

    if (!type) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR,
                          "Missing required attribute 'type' in element 'pool'");
        return false;
    }
    if (strcmp(type, "dir") == 0)
        return true;
    return xml_refuse_attribute(error, root, "type",
                                "without one of libvirt's storage daemons on this host there are "
                                "only pools of type 'dir'");
}

static bool check_pool(const struct storage_pool_def *def, GError **error)
{
    if (!def->name) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "missing pool source name element");
        return false;
    }
    if (strlen(def->name) > POOL_NAME_MAX || !is_printable(def->name) || strchr(def->name, '/') ||
        def->name[0] == '.') {
        g_autofree char *shown = xml_excerpt(def->name);

        libvirt_error_set(error, VIR_ERR_XML_ERROR, "pool name '%s' cannot be the name of a file",
                          shown);
        return false;
    }
    if (!def->path) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "missing storage pool target path");
        return false;
    }
    return true;
}

struct storage_pool_def *storage_pool_def_parse(const char *xml, GError **error)
{
    g_autoptr(storage_pool_def) def = g_new0(struct storage_pool_def, 1);
    struct pool_parser parser = {.def = def};
    g_autoptr(xmlDoc) doc = xml_document_parse(xml, strlen(xml), POOL_LABEL, error);
    xmlNode *root = doc ? root_named(doc, "pool", error) : NULL;
    bool ok;

    def->permissions = no_permissions;
    ok = root && check_pool_type(root, error) && xml_check_attributes(root, "type", error) &&
         xml_read_children(root, pool_elements, &parser, error) && check_pool(def, error);
    if (!parser.has_uuid)
        domain_uuid_generate(def->uuid);
    return ok ? g_steal_pointer(&def) : NULL;
}

char *storage_pool_def_format(const struct storage_pool_def *def, const struct storage_space *space)
{
    struct xml_writer w;
    char uuid[DOMAIN_UUID_TEXT];

    domain_uuid_format(def->uuid, uuid);
    xml_writer_init(&w);
    xml_open(&w, "pool", "type", "dir", NULL);
    xml_text_element(&w, "name", def->name, NULL);
    xml_text_element(&w, "uuid", uuid, NULL);
    write_size(&w, "capacity", space->capacity);
    write_size(&w, "allocation", space->allocation);
    write_size(&w, "available", space->available);
    /* Empty, and yet in two lines: so libvirt writes it. */
    xml_raw(&w, "<source>");
    xml_raw(&w, "</source>");
    xml_open(&w, "target", NULL);
    xml_text_element(&w, "path", def->path, NULL);
    write_permissions(&w, &def->permissions);
    xml_close(&w, "target");
    xml_close(&w, "pool");
    return xml_writer_finish(&w);
}

void storage_pool_def_free(struct storage_pool_def *def)
{
    if (!def)
        return;
    g_free(def->name);
    g_free(def->path);
    g_free(def);
}

/* ---- volumes ---- */

static bool read_volume_name(xmlNode *node, void *target, GError **error)
{
    ((struct storage_volume_def *)target)->name = xml_text(node);
    return true;
}

static bool read_volume_capacity(xmlNode *node, void *target, GError **error)
{
    struct storage_volume_def *def = target;

    def->has_capacity = true;
    return read_size(node, &def->capacity, error);
}

static bool read_volume_allocation(xmlNode *node, void *target, GError **error)
{
    struct storage_volume_def *def = target;

    def->has_allocation = true;
    return read_size(node, &def->allocation, error);
}

static bool read_volume_format(xmlNode *node, void *target, GError **error)
{
    ((struct storage_volume_def *)target)->format = xml_attribute(node, "type");
    return true;
}

static bool read_volume_permissions(xmlNode *node, void *target, GError **error)
{
    return xml_read_children(node, permission_elements,
                             &((struct storage_volume_def *)target)->permissions, error);
}

static bool read_volume_encryption(xmlNode *node, void *target, GError **error)
{
    ((struct storage_volume_def *)target)->encrypted = true;
    return true;
}

static bool read_backing_path(xmlNode *node, void *target, GError **error)
{
    ((struct storage_volume_def *)target)->has_backing = true;
    return true;
}

static const struct xml_element backing_elements[] = {
    {"path", NULL, XML_ONCE | XML_TEXT, read_backing_path},
    {"format", "type", XML_ONCE, read_nothing},
    {"permissions", NULL, XML_ONCE, read_nothing},
    {"timestamps", NULL, XML_ONCE, read_nothing},
    {NULL},
};

static bool read_volume_backing(xmlNode *node, void *target, GError **error)
{
    return xml_read_children(node, backing_elements, target, error);
}

/* A volume's place is its pool and its name; that of another, which a copied description may carry,
 * says nothing. */
static const struct xml_element volume_target_elements[] = {
    {"path", NULL, XML_ONCE | XML_TEXT, read_nothing},
    {"format", "type", XML_ONCE, read_volume_format},
    {"permissions", NULL, XML_ONCE, read_volume_permissions},
    {"timestamps", NULL, XML_ONCE, read_nothing},
    {"encryption", "format engine", XML_ONCE, read_volume_encryption},
    {"compat", NULL, XML_ONCE | XML_TEXT, read_nothing},
    {"nocow", NULL, XML_ONCE, read_nothing},
    {"clusterSize", "unit", XML_ONCE | XML_TEXT, read_nothing},
    {"features", NULL, XML_ONCE, read_nothing},
    {NULL},
};

static bool read_volume_target(xmlNode *node, void *target, GError **error)
{
    return xml_read_children(node, volume_target_elements, target, error);
}

static const struct xml_element volume_elements[] = {
    {"name", NULL, XML_ONCE | XML_TEXT, read_volume_name},
    {"key", NULL, XML_ONCE | XML_TEXT, read_nothing},
    {"source", NULL, XML_ONCE, read_nothing},
    {"capacity", "unit", XML_ONCE | XML_TEXT, read_volume_capacity},
    {"allocation", "unit", XML_ONCE | XML_TEXT, read_volume_allocation},
    {"physical", "unit", XML_ONCE | XML_TEXT, read_nothing},
    {"target", NULL, XML_ONCE, read_volume_target},
    {"backingStore", NULL, XML_ONCE, read_volume_backing},
    {NULL},
};

bool storage_format_is_raw(const char *format)
{
    return strcmp(format, "raw") == 0 || strcmp(format, "iso") == 0;
}

bool storage_volume_name_valid(const char *name)
{
    return *name && strlen(name) <= VOLUME_NAME_MAX && is_printable(name) && !strchr(name, '/') &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool check_volume(const struct storage_volume_def *def, GError **error)
{
    if (!def->name) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "missing volume name element");
        return false;
    }
    if (strchr(def->name, '/')) {
        g_autofree char *shown = xml_excerpt(def->name);

        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "volume name '%s' cannot contain '/'",
                          shown);
        return false;
    }
    if (!storage_volume_name_valid(def->name)) {
        g_autofree char *shown = xml_excerpt(def->name);

        libvirt_error_set(error, VIR_ERR_XML_ERROR, "volume name '%s' cannot be the name of a file",
                          shown);
        return false;
    }
    return true;
}

struct storage_volume_def *storage_volume_def_parse(const char *xml, GError **error)
{
    g_autoptr(storage_volume_def) def = g_new0(struct storage_volume_def, 1);
    g_autoptr(xmlDoc) doc = xml_document_parse(xml, strlen(xml), VOLUME_LABEL, error);
    xmlNode *root = doc ? root_named(doc, "volume", error) : NULL;
    bool ok;

    def->permissions = no_permissions;
    ok = root && xml_check_attributes(root, "type", error) &&
         xml_read_children(root, volume_elements, def, error) && check_volume(def, error);
    return ok ? g_steal_pointer(&def) : NULL;
}

void storage_volume_def_free(struct storage_volume_def *def)
{
    if (!def)
        return;
    g_free(def->name);
    g_free(def->format);
    g_free(def);
}

static void write_time(struct xml_writer *w, const char *name, const struct timespec *time)
{
    char text[48];

    g_snprintf(text, sizeof(text), "%" G_GINT64_FORMAT ".%09ld", (gint64)time->tv_sec,
               time->tv_nsec);
    xml_text_element(w, name, text, NULL);
}

static void write_target(struct xml_writer *w, const struct storage_volume_info *info)
{
    xml_open(w, "target", NULL);
    xml_text_element(w, "path", info->path, NULL);
    xml_empty(w, "format", "type", info->format, NULL);
    write_permissions(w, &info->permissions);
    xml_open(w, "timestamps", NULL);
    write_time(w, "atime", &info->accessed);
    write_time(w, "mtime", &info->modified);
    write_time(w, "ctime", &info->changed);
    if (info->born.tv_sec || info->born.tv_nsec)
        write_time(w, "btime", &info->born);
    xml_close(w, "timestamps");
    xml_close(w, "target");
}

/* Where the image below is, for who is not in its directory: unless it is no path at all ("nbd:",
 * "json:"). */
static char *backing_path(const struct storage_volume_info *info)
{
    g_autofree char *dir = g_path_get_dirname(info->path);

    if (info->backing[strcspn(info->backing, "/:")] == ':')
        return g_strdup(info->backing);
    return g_canonicalize_filename(info->backing, dir);
}

static void write_backing(struct xml_writer *w, const struct storage_volume_info *info)
{
    g_autofree char *path = backing_path(info);

    xml_open(w, "backingStore", NULL);
    xml_text_element(w, "path", path, NULL);
    if (info->backing_format)
        xml_empty(w, "format", "type", info->backing_format, NULL);
    xml_close(w, "backingStore");
}

char *storage_volume_format(const struct storage_volume_info *info)
{
    struct xml_writer w;

    xml_writer_init(&w);
    xml_open(&w, "volume", "type", info->directory ? "dir" : "file", NULL);
    xml_text_element(&w, "name", info->name, NULL);
    xml_text_element(&w, "key", info->path, NULL);
    write_size(&w, "capacity", info->capacity);
    write_size(&w, "allocation", info->allocation);
    if (info->physical)
        write_size(&w, "physical", info->physical);
    write_target(&w, info);
    if (info->backing)
        write_backing(&w, info);
    xml_close(&w, "volume");
    return xml_writer_finish(&w);
}

char *storage_capabilities_format(void)
{
    static const char *const absent[] = {"fs",   "netfs",    "logical",     "disk",     "iscsi",
                                         "scsi", "mpath",    "rbd",         "sheepdog", "gluster",
                                         "zfs",  "vstorage", "iscsi-direct"};
    struct xml_writer w;

    xml_writer_init(&w);
    xml_open(&w, "storagepoolCapabilities", NULL);
    xml_open(&w, "pool", "type", "dir", "supported", "yes", NULL);
    xml_open(&w, "volOptions", NULL);
    xml_empty(&w, "defaultFormat", "type", "raw", NULL);
    xml_open(&w, "enum", "name", "targetFormatType", NULL);
    xml_text_element(&w, "value", "raw", NULL);
    xml_close(&w, "enum");
    xml_close(&w, "volOptions");
    xml_close(&w, "pool");
    for (gsize i = 0; i < G_N_ELEMENTS(absent); i++)
        xml_empty(&w, "pool", "type", absent[i], "supported", "no", NULL);
    xml_close(&w, "storagepoolCapabilities");
    return xml_writer_finish(&w);
}
