/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/cpu_map.h"

#include <string.h>

#include "xml/reader.h"

#define MODELS_MAX 1024

static void model_free(gpointer opaque)
{
    struct cpu_model *model = opaque;

    g_free(model->name);
    g_free(model->vendor);
    g_array_unref(model->signatures);
    g_free(model);
}

void cpu_map_free(struct cpu_map *map)
{
    if (!map)
        return;
    g_ptr_array_unref(map->models);
    g_hash_table_unref(map->vendors);
    g_free(map);
}

static bool is_element(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

/* "0-4", "7" or "0,2-3"; what is absent or makes no sense stands for all. */
static unsigned read_steppings(const char *text)
{
    unsigned steppings = 0;

    while (text && g_ascii_isdigit(*text)) {
        char *end;
        guint64 first = g_ascii_strtoull(text, &end, 10);
        guint64 last = *end == '-' ? g_ascii_strtoull(end + 1, &end, 10) : first;

        for (guint64 n = first; n <= MIN(last, 15); n++)
            steppings |= 1u << n;
        text = *end == ',' ? end + 1 : NULL;
    }
    return steppings ? steppings : 0xffff;
}

static void read_signature(struct cpu_model *model, xmlNode *node)
{
    g_autofree char *steppings = xml_attribute(node, "stepping");
    struct cpu_signature signature = {.steppings = read_steppings(steppings)};

    if (xml_unsigned_attribute(node, "family", &signature.family, NULL) &&
        xml_unsigned_attribute(node, "model", &signature.model, NULL))
        g_array_append_val(model->signatures, signature);
}

/* A feature that a later version of the model lost is none of it. */
static void read_feature(struct cpu_model *model, xmlNode *node)
{
    g_autofree char *name = xml_attribute(node, "name");
    g_autofree char *removed = xml_attribute(node, "removed");
    unsigned feature;

    if (!name || g_strcmp0(removed, "yes") == 0)
        return;
    if (x86_feature_find(name, &feature))
        x86_feature_set_add(&model->features, feature);
    else
        model->unseen = true;
}

/* A model may begin with what another one has. */
static void inherit(struct cpu_map *map, struct cpu_model *model, xmlNode *node)
{
    g_autofree char *name = xml_attribute(node, "name");
    const struct cpu_model *parent = name ? cpu_map_find(map, name) : NULL;

    if (!parent) {
        model->unseen = true;
        return;
    }
    for (unsigned i = 0; i < X86_FEATURE_WORDS; i++)
        model->features.words[i] |= parent->features.words[i];
    model->unseen |= parent->unseen;
    g_free(model->vendor);
    model->vendor = g_strdup(parent->vendor);
}

static void read_model(struct cpu_map *map, xmlNode *node)
{
    struct cpu_model *model = g_new0(struct cpu_model, 1);

    model->name = xml_attribute(node, "name");
    model->guests = true;
    model->signatures = g_array_new(FALSE, FALSE, sizeof(struct cpu_signature));
    for (xmlNode *child = node->children; child; child = child->next) {
        if (is_element(child, "decode")) {
            g_autofree char *guests = xml_attribute(child, "guest");

            model->guests = g_strcmp0(guests, "on") == 0;
        } else if (is_element(child, "model")) {
            inherit(map, model, child);
        } else if (is_element(child, "signature")) {
            read_signature(model, child);
        } else if (is_element(child, "vendor")) {
            g_free(model->vendor);
            model->vendor = xml_attribute(child, "name");
        } else if (is_element(child, "feature")) {
            read_feature(model, child);
        }
    }
    if (model->name && *model->name && map->models->len < MODELS_MAX)
        g_ptr_array_add(map->models, model);
    else
        model_free(model);
}

static void read_vendor(struct cpu_map *map, xmlNode *node)
{
    g_autofree char *name = xml_attribute(node, "name");
    g_autofree char *id = xml_attribute(node, "string");

    if (name && id)
        g_hash_table_insert(map->vendors, g_steal_pointer(&id), g_steal_pointer(&name));
}

static xmlDoc *read_file(const char *folder, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *text = NULL;
    gsize length;

    return g_file_get_contents(path, &text, &length, error)
               ? xml_document_parse(text, length, path, error)
               : NULL;
}

/* One <include>: a file of models or vendors; features are what cpu/x86_features.c has. */
static bool include(struct cpu_map *map, const char *folder, xmlNode *node, GError **error)
{
    g_autofree char *name = xml_attribute(node, "filename");
    g_autoptr(xmlDoc) doc = NULL;
    const xmlNode *root;

    if (!name || strchr(name, '/') || g_str_has_suffix(name, "_features.xml"))
        return true;
    doc = read_file(folder, name, error);
    if (!doc)
        return false;
    root = xmlDocGetRootElement(doc);
    for (xmlNode *child = root->children; child; child = child->next) {
        if (is_element(child, "model"))
            read_model(map, child);
        else if (is_element(child, "vendor"))
            read_vendor(map, child);
    }
    return true;
}

/* The files that the index names, which it may have in groups. */
static bool include_all(struct cpu_map *map, const char *folder, const xmlNode *parent,
                        GError **error)
{
    for (xmlNode *node = parent->children; node; node = node->next) {
        if (is_element(node, "include") && !include(map, folder, node, error))
            return false;
        /* No deeper than xml_document_parse() lets a document be. */
        if (is_element(node, "group") && !include_all(map, folder, node, error))
            return false;
    }
    return true;
}

struct cpu_map *cpu_map_load(const char *folder, GError **error)
{
    g_autoptr(xmlDoc) index = read_file(folder, "index.xml", error);
    struct cpu_map *map;

    if (!index)
        return NULL;
    map = g_new0(struct cpu_map, 1);
    map->models = g_ptr_array_new_with_free_func(model_free);
    map->vendors = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (xmlNode *arch = xmlDocGetRootElement(index)->children; arch; arch = arch->next) {
        g_autofree char *name = is_element(arch, "arch") ? xml_attribute(arch, "name") : NULL;

        if (g_strcmp0(name, "x86") == 0 && !include_all(map, folder, arch, error)) {
            cpu_map_free(map);
            return NULL;
        }
    }
    return map;
}

const struct cpu_model *cpu_map_find(const struct cpu_map *map, const char *name)
{
    for (guint i = 0; i < map->models->len; i++) {
        const struct cpu_model *model = g_ptr_array_index(map->models, i);

        if (strcmp(model->name, name) == 0)
            return model;
    }
    return NULL;
}

const char *cpu_map_vendor(const struct cpu_map *map, const char *id)
{
    return g_hash_table_lookup(map->vendors, id);
}

bool cpu_model_is(const struct cpu_model *model, unsigned family, unsigned number,
                  unsigned stepping)
{
    for (guint i = 0; i < model->signatures->len; i++) {
        const struct cpu_signature *s = &g_array_index(model->signatures, struct cpu_signature, i);

        if (s->family == family && s->model == number && s->steppings >> MIN(stepping, 15) & 1)
            return true;
    }
    return false;
}
