/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Machine documents (docs/machine-config.md). One walk over the tables of config_fields.c reads a
 * document, another one writes it. A key that is not in the tables is refused.
 */
#include <inttypes.h>
#include <stdio.h>

#include "vmm/config_priv.h"

static int wrong_type(const char *where, const char *wanted, struct error *err)
{
    return error_set(err, "%s is not %s", where, wanted);
}

/* ---- objects ---- */

static const struct field *find_field(const struct fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (strcmp(fields->list[i].name, name) == 0)
            return &fields->list[i];
    return NULL;
}

/* "" is the whole document. */
static void join_place(char *out, size_t size, const char *where, const char *name)
{
    snprintf(out, size, "%s%s%s", where, where[0] ? "." : "", name);
}

static int read_fields(void *base, const struct fields *fields, const json_t *object,
                       const char *where, struct error *err)
{
    char place[128];
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return wrong_type(where[0] ? where : "the document", "an object", err);
    json_object_foreach((json_t *)object, key, value)
    {
        const struct field *f = find_field(fields, key);

        join_place(place, sizeof(place), where, key);
        if (!f)
            return error_set(err, "%s is no key of the machine document", place);
        if (f->type->read(base, f, value, place, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < fields->count; i++) {
        if (fields->list[i].required && !json_object_get(object, fields->list[i].name)) {
            join_place(place, sizeof(place), where, fields->list[i].name);
            return error_set(err, "%s is missing", place);
        }
    }
    return 0;
}

static json_t *write_fields(const void *base, const struct fields *fields)
{
    json_t *object = json_object();

    for (size_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->list[i];
        json_t *value = f->type->write(base, f);

        if (value)
            json_object_set_new(object, f->name, value);
    }
    return object;
}

static int read_group(void *base, const struct field *f, const json_t *value, const char *where,
                      struct error *err)
{
    return read_fields(config_member(base, f->offset), f->fields, value, where, err);
}

static json_t *write_group(const void *base, const struct field *f)
{
    json_t *object = write_fields(config_const_member(base, f->offset), f->fields);

    if (json_object_size(object) == 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

const struct field_type config_type_group = {read_group, write_group, NULL};

/* Groups that ask for a device even when they are empty. */
static int read_rng(void *base, const struct field *f, const json_t *value, const char *where,
                    struct error *err)
{
    struct config *config = base;

    if (read_group(base, f, value, where, err) < 0)
        return -1;
    if (!config->rng_source)
        config->rng_source = xstrdup(CONFIG_RNG_SOURCE);
    return 0;
}

const struct field_type config_type_rng = {read_rng, write_group, NULL};

static int read_balloon(void *base, const struct field *f, const json_t *value, const char *where,
                        struct error *err)
{
    struct config_balloon *balloon = config_member(base, f->offset);

    balloon->present = true;
    return read_group(base, f, value, where, err);
}

static json_t *write_balloon(const void *base, const struct field *f)
{
    const struct config_balloon *balloon = config_const_member(base, f->offset);

    return balloon->present ? write_group(base, f) : NULL;
}

const struct field_type config_type_balloon = {read_balloon, write_balloon, NULL};

/* ---- arrays ---- */

static int check_array(const struct field *f, const json_t *value, const char *where,
                       struct error *err)
{
    if (!json_is_array(value))
        return wrong_type(where, "an array", err);
    if (json_array_size(value) > (size_t)f->max)
        return error_set(err, "%s has %zu elements, %" PRId64 " are possible", where,
                         json_array_size(value), f->max);
    return 0;
}

static int read_array(void *base, const struct field *f, const json_t *value, const char *where,
                      struct error *err)
{
    unsigned *count = config_member(base, f->count_offset);
    char place[64];

    if (check_array(f, value, where, err) < 0)
        return -1;
    for (size_t i = 0; i < json_array_size(value); i++) {
        void *element = config_member(base, f->offset + i * f->element_size);

        snprintf(place, sizeof(place), "%s[%zu]", where, i);
        *count = (unsigned)i + 1; /* counted first: what was read of it is freed with the others */
        if (f->fields->init)
            f->fields->init(element);
        if (read_fields(element, f->fields, json_array_get(value, i), place, err) < 0)
            return -1;
    }
    return 0;
}

static json_t *write_array(const void *base, const struct field *f)
{
    unsigned count = *(const unsigned *)config_const_member(base, f->count_offset);
    json_t *array = json_array();

    for (unsigned i = 0; i < count; i++) {
        const void *element = config_const_member(base, f->offset + i * f->element_size);

        json_array_append_new(array, write_fields(element, f->fields));
    }
    return array;
}

const struct field_type config_type_array = {read_array, write_array, NULL};

static int read_strings(void *base, const struct field *f, const json_t *value, const char *where,
                        struct error *err)
{
    unsigned *count = config_member(base, f->count_offset);
    char place[64];

    if (check_array(f, value, where, err) < 0)
        return -1;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const struct field string = {.offset = f->offset + i * sizeof(char *)};

        snprintf(place, sizeof(place), "%s[%zu]", where, i);
        *count = (unsigned)i + 1;
        if (config_type_string.read(base, &string, json_array_get(value, i), place, err) < 0)
            return -1;
    }
    return 0;
}

static json_t *write_strings(const void *base, const struct field *f)
{
    unsigned count = *(const unsigned *)config_const_member(base, f->count_offset);
    char *const *texts = config_const_member(base, f->offset);
    json_t *array = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(array, json_string(texts[i]));
    return array;
}

const struct field_type config_type_strings = {read_strings, write_strings, NULL};

/* ---- the document ---- */

int config_parse_json(struct config *config, const char *text, size_t len, struct error *err)
{
    json_error_t parse_error;
    json_t *document;
    int rc;

    if (len > CONFIG_DOCUMENT_MAX)
        return error_set(err, "the document is larger than %llu KiB",
                         (unsigned long long)(CONFIG_DOCUMENT_MAX / KiB));
    document = json_loadb(text, len, JSON_REJECT_DUPLICATES, &parse_error);
    if (!document)
        return error_set(err, "line %d, column %d: %s", parse_error.line, parse_error.column,
                         parse_error.text);
    rc = read_fields(config, &config_document_fields, document, "", err);
    json_decref(document);
    if (rc < 0)
        return -1;
    if (!config->serial)
        config->serial = xstrdup("none");
    config_fill_defaults(config);
    return 0;
}

json_t *config_to_json(const struct config *config)
{
    return write_fields(config, &config_document_fields);
}
