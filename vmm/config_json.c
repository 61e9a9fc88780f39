/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Machine documents (docs/machine-config.md). The tables below say which keys an object has, of
 * which type they are, and where in struct config they live; one walk over them reads a document,
 * another one writes it. A key that is not in the tables is refused.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "vmm/config.h"
#include "vmm/config_priv.h"

struct field;

/* How a JSON value becomes a member of a struct, and back. `base` is the struct that the field's
 * offset counts from; `where` is the value's place in the document, for errors. */
struct field_type {
    int (*read)(void *base, const struct field *f, const json_t *value, const char *where,
                struct error *err);
    /* NULL where there is nothing to write. */
    json_t *(*write)(const void *base, const struct field *f);
};

struct fields {
    const struct field *list;
    size_t count;
};

struct field {
    const char *name;
    const struct field_type *type;
    size_t offset;
    bool required;
    uint64_t min;
    uint64_t max; /* of a number, or elements of an array */
    /* Arrays and objects. */
    const struct fields *fields;
    size_t count_offset;
    size_t element_size;
};

static void *member(void *base, size_t offset)
{
    return (char *)base + offset;
}

static const void *const_member(const void *base, size_t offset)
{
    return (const char *)base + offset;
}

static int wrong_type(const char *where, const char *wanted, struct error *err)
{
    return error_set(err, "%s is not %s", where, wanted);
}

/* ---- scalars ---- */

static int read_string(void *base, const struct field *f, const json_t *value, const char *where,
                       struct error *err)
{
    char **text = member(base, f->offset);

    if (!json_is_string(value))
        return wrong_type(where, "a string", err);
    free(*text);
    *text = xstrdup(json_string_value(value));
    return 0;
}

static json_t *write_string(const void *base, const struct field *f)
{
    char *const *text = const_member(base, f->offset);

    return *text ? json_string(*text) : NULL;
}

static const struct field_type type_string = {read_string, write_string};

static int read_uuid(void *base, const struct field *f, const json_t *value, const char *where,
                     struct error *err)
{
    if (!json_is_string(value))
        return wrong_type(where, "a string", err);
    if (config_parse_uuid(json_string_value(value), member(base, f->offset), err) < 0)
        return error_prefix(err, "%s", where);
    return 0;
}

static const struct field_type type_uuid = {read_uuid, write_string};

static int read_bool(void *base, const struct field *f, const json_t *value, const char *where,
                     struct error *err)
{
    if (!json_is_boolean(value))
        return wrong_type(where, "true or false", err);
    *(bool *)member(base, f->offset) = json_is_true(value);
    return 0;
}

static json_t *write_bool(const void *base, const struct field *f)
{
    return json_boolean(*(const bool *)const_member(base, f->offset));
}

static const struct field_type type_bool = {read_bool, write_bool};

static int read_integer(const struct field *f, const json_t *value, const char *where,
                        json_int_t *n, struct error *err)
{
    if (!json_is_integer(value))
        return wrong_type(where, "an integer", err);
    *n = json_integer_value(value);
    if (*n < 0 || (uint64_t)*n < f->min || (uint64_t)*n > f->max)
        return error_set(err, "%s is %" JSON_INTEGER_FORMAT ", which is not within %llu and %llu",
                         where, *n, (unsigned long long)f->min, (unsigned long long)f->max);
    return 0;
}

static int read_unsigned(void *base, const struct field *f, const json_t *value, const char *where,
                         struct error *err)
{
    json_int_t n = 0;

    if (read_integer(f, value, where, &n, err) < 0)
        return -1;
    *(unsigned *)member(base, f->offset) = (unsigned)n;
    return 0;
}

static json_t *write_unsigned(const void *base, const struct field *f)
{
    return json_integer(*(const unsigned *)const_member(base, f->offset));
}

static const struct field_type type_unsigned = {read_unsigned, write_unsigned};

/* An int whose -1 means that it was not given. */
static int read_port(void *base, const struct field *f, const json_t *value, const char *where,
                     struct error *err)
{
    json_int_t n = 0;

    if (read_integer(f, value, where, &n, err) < 0)
        return -1;
    *(int *)member(base, f->offset) = (int)n;
    return 0;
}

static json_t *write_port(const void *base, const struct field *f)
{
    int port = *(const int *)const_member(base, f->offset);

    return port < 0 ? NULL : json_integer(port);
}

static const struct field_type type_port = {read_port, write_port};

static int read_size(void *base, const struct field *f, const json_t *value, const char *where,
                     struct error *err)
{
    uint64_t *size = member(base, f->offset);
    json_int_t n = 0;

    if (json_is_string(value)) {
        if (parse_size(json_string_value(value), size) < 0)
            return error_set(err, "%s is \"%s\", which is no size like 256M", where,
                             json_string_value(value));
        return 0;
    }
    if (!json_is_integer(value))
        return wrong_type(where, "an integer or a string like \"256M\"", err);
    if (read_integer(f, value, where, &n, err) < 0)
        return -1;
    *size = (uint64_t)n;
    return 0;
}

static json_t *write_size(const void *base, const struct field *f)
{
    return json_integer((json_int_t) * (const uint64_t *)const_member(base, f->offset));
}

static const struct field_type type_size = {read_size, write_size};

/* No member stands behind it: there is one version. */
static int read_version(void *base, const struct field *f, const json_t *value, const char *where,
                        struct error *err)
{
    json_int_t n = 0;

    return read_integer(f, value, where, &n, err);
}

static json_t *write_version(const void *base, const struct field *f)
{
    return json_integer((json_int_t)f->max);
}

static const struct field_type type_version = {read_version, write_version};

static int read_mac(void *base, const struct field *f, const json_t *value, const char *where,
                    struct error *err)
{
    struct config_net *net = base;

    if (!json_is_string(value))
        return wrong_type(where, "a string", err);
    if (config_parse_mac(json_string_value(value), net->mac, err) < 0)
        return error_prefix(err, "%s", where);
    net->has_mac = true;
    return 0;
}

static json_t *write_mac(const void *base, const struct field *f)
{
    const struct config_net *net = base;
    char text[18];

    config_format_mac(net->mac, text);
    return json_string(text);
}

static const struct field_type type_mac = {read_mac, write_mac};

static int read_on_reboot(void *base, const struct field *f, const json_t *value, const char *where,
                          struct error *err)
{
    if (!json_is_string(value))
        return wrong_type(where, "a string", err);
    if (config_parse_on_reboot(json_string_value(value), member(base, f->offset), err) < 0)
        return error_prefix(err, "%s", where);
    return 0;
}

static json_t *write_on_reboot(const void *base, const struct field *f)
{
    const enum on_reboot *value = const_member(base, f->offset);

    return json_string(config_on_reboot_name(*value));
}

static const struct field_type type_on_reboot = {read_on_reboot, write_on_reboot};

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

/* A group of keys in the document, whose members lie in the same struct as their parent's. */
static int read_group(void *base, const struct field *f, const json_t *value, const char *where,
                      struct error *err)
{
    return read_fields(base, f->fields, value, where, err);
}

static json_t *write_group(const void *base, const struct field *f)
{
    json_t *object = write_fields(base, f->fields);

    if (json_object_size(object) == 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static const struct field_type type_group = {read_group, write_group};

/* A group that is there even when it is empty. */
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

static const struct field_type type_rng = {read_rng, write_group};

/* ---- arrays ---- */

static int check_array(const struct field *f, const json_t *value, const char *where,
                       struct error *err)
{
    if (!json_is_array(value))
        return wrong_type(where, "an array", err);
    if (json_array_size(value) > f->max)
        return error_set(err, "%s has %zu elements, %llu are possible", where,
                         json_array_size(value), (unsigned long long)f->max);
    return 0;
}

static int read_array(void *base, const struct field *f, const json_t *value, const char *where,
                      struct error *err)
{
    unsigned *count = member(base, f->count_offset);
    char place[64];

    if (check_array(f, value, where, err) < 0)
        return -1;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *element = json_array_get(value, i);
        snprintf(place, sizeof(place), "%s[%zu]", where, i);
        *count = (unsigned)i + 1; /* counted first: what was read of it is freed with the others */
        if (read_fields(member(base, f->offset + i * f->element_size), f->fields, element, place,
                        err) < 0)
            return -1;
    }
    return 0;
}

static json_t *write_array(const void *base, const struct field *f)
{
    unsigned count = *(const unsigned *)const_member(base, f->count_offset);
    json_t *array = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(
            array, write_fields(const_member(base, f->offset + i * f->element_size), f->fields));
    return array;
}

static const struct field_type type_array = {read_array, write_array};

static int read_strings(void *base, const struct field *f, const json_t *value, const char *where,
                        struct error *err)
{
    unsigned *count = member(base, f->count_offset);
    char place[64];

    if (check_array(f, value, where, err) < 0)
        return -1;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *element = json_array_get(value, i);
        const struct field string = {.offset = f->offset + i * sizeof(char *)};

        snprintf(place, sizeof(place), "%s[%zu]", where, i);
        *count = (unsigned)i + 1;
        if (read_string(base, &string, element, place, err) < 0)
            return -1;
    }
    return 0;
}

static json_t *write_strings(const void *base, const struct field *f)
{
    unsigned count = *(const unsigned *)const_member(base, f->count_offset);
    char *const *texts = const_member(base, f->offset);
    json_t *array = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(array, json_string(texts[i]));
    return array;
}

static const struct field_type type_strings = {read_strings, write_strings};

/* ---- the document ---- */

#define FIELDS(array)              \
    {                              \
        (array), ARRAY_SIZE(array) \
    }

static const struct field disk_list[] = {
    {"id", &type_string, offsetof(struct config_disk, id)},
    {"source", &type_string, offsetof(struct config_disk, source), .required = true},
    {"readonly", &type_bool, offsetof(struct config_disk, readonly)},
    {"serial", &type_string, offsetof(struct config_disk, serial)},
};
static const struct fields disk_fields = FIELDS(disk_list);

static const struct field net_list[] = {
    {"id", &type_string, offsetof(struct config_net, id)},
    {"tap", &type_string, offsetof(struct config_net, tap), .required = true},
    {"mac", &type_mac},
};
static const struct fields net_fields = FIELDS(net_list);

static const struct field console_list[] = {
    {"id", &type_string, offsetof(struct config_console, id)},
    {"chardev", &type_string, offsetof(struct config_console, chardev), .required = true},
};
static const struct fields console_fields = FIELDS(console_list);

static const struct field boot_list[] = {
    {"kernel", &type_string, offsetof(struct config, kernel)},
    {"initrd", &type_string, offsetof(struct config, initrd)},
    {"cmdline", &type_string, offsetof(struct config, cmdline)},
    {"flat", &type_string, offsetof(struct config, flat)},
};
static const struct fields boot_fields = FIELDS(boot_list);

static const struct field rng_list[] = {
    {"source", &type_string, offsetof(struct config, rng_source)},
};
static const struct fields rng_fields = FIELDS(rng_list);

#define ARRAY_OF(member, count)                                                      \
    offsetof(struct config, member), .count_offset = offsetof(struct config, count), \
                                     .element_size = sizeof(((struct config *)NULL)->member[0])

static const struct field document_list[] = {
    {"version", &type_version, .required = true, .min = 1, .max = 1},
    {"name", &type_string, offsetof(struct config, name)},
    {"uuid", &type_uuid, offsetof(struct config, uuid)},
    {"cpus", &type_unsigned, offsetof(struct config, cpus), .min = 1, .max = CONFIG_MAX_CPUS},
    {"memory", &type_size, offsetof(struct config, memory), .max = INT64_MAX},
    {"boot", &type_group, .fields = &boot_fields},
    {"disks", &type_array, ARRAY_OF(disks, disk_count), .fields = &disk_fields,
     .max = CONFIG_MAX_DISKS},
    {"nets", &type_array, ARRAY_OF(nets, net_count), .fields = &net_fields, .max = CONFIG_MAX_NETS},
    {"serial", &type_string, offsetof(struct config, serial)},
    {"consoles", &type_array, ARRAY_OF(consoles, console_count), .fields = &console_fields,
     .max = CONFIG_MAX_CONSOLES},
    {"rng", &type_rng, .fields = &rng_fields},
    {"qmp", &type_strings, ARRAY_OF(qmp, qmp_count), .max = CONFIG_MAX_QMP},
    {"paused", &type_bool, offsetof(struct config, paused)},
    {"on_reboot", &type_on_reboot, offsetof(struct config, on_reboot)},
    {"debug_port", &type_port, offsetof(struct config, debug_port), .max = UINT16_MAX},
};
static const struct fields document_fields = FIELDS(document_list);

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
    rc = read_fields(config, &document_fields, document, "", err);
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
    return write_fields(config, &document_fields);
}
