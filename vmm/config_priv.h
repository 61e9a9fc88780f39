/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the readers of documents and of flags have in common: tables of fields. A table
 * (config_fields.c) says which keys a thing has, of which type (config_types.c) they are, and where
 * in struct config they live. Three walks go over the tables: one reads a document, one writes it
 * (config_json.c), and one reads the KEY=VALUE parts of a flag (config_parts.c), so that a key is
 * spelled, checked and shown in one way everywhere.
 */
#ifndef VOLE_CONFIG_PRIV_H
#define VOLE_CONFIG_PRIV_H

#include "vmm/config.h"

#define CONFIG_DOCUMENT_MAX (1 * MiB)

struct field;

/* How a value becomes a member of a struct, and back. `base` is the struct that the field's offset
 * counts from. Functions that take `err` return 0, or -1 with it set. */
struct field_type {
    /* `where` is the value's place in the document, for errors. */
    int (*read)(void *base, const struct field *f, const json_t *value, const char *where,
                struct error *err);
    /* NULL where there is nothing to write. */
    json_t *(*write)(const void *base, const struct field *f);
    /* From a flag. The error says what is wrong with the text, but not where it stands. NULL where
     * no flag has such a part. */
    int (*parse)(void *base, const struct field *f, const char *text, struct error *err);
};

struct fields {
    const struct field *list;
    size_t count;
    void (*init)(void *base); /* a new element's defaults; NULL where zeroes are right */
};

struct field {
    const char *name;
    const struct field_type *type;
    size_t offset;
    bool required;
    int64_t min;
    int64_t max;              /* of a number, or elements of an array */
    const char *const *names; /* of an enum's values, up to a NULL */
    /* Objects and arrays. */
    const struct fields *fields;
    const char *prefix; /* an object's keys are parts of the flag, with this in front; or NULL */
    size_t count_offset;
    size_t element_size;
};

/* ---- types ---- */

extern const struct field_type config_type_string;
extern const struct field_type config_type_uuid;
extern const struct field_type config_type_mac;
extern const struct field_type config_type_bool;
extern const struct field_type config_type_not;  /* a bool whose key says the opposite */
extern const struct field_type config_type_enum; /* of consecutive values from 0 on */
/* 0 is what was not given: it is not written. */
extern const struct field_type config_type_unsigned;
extern const struct field_type config_type_count; /* uint64_t */
extern const struct field_type config_type_size;  /* uint64_t; "512M" is possible */
extern const struct field_type config_type_seconds;
extern const struct field_type config_type_debug_port;
extern const struct field_type config_type_rtc_base;
extern const struct field_type config_type_version;
/* A group of keys; written where one of them is. Its offset is where its keys' offsets start. */
extern const struct field_type config_type_group;
extern const struct field_type config_type_balloon;
extern const struct field_type config_type_features; /* names, each with true or false */
extern const struct field_type config_type_rng;
extern const struct field_type config_type_array;
extern const struct field_type config_type_strings;

/* ---- tables ---- */

extern const struct fields config_document_fields;
extern const struct fields config_disk_fields;
extern const struct fields config_net_fields;
extern const struct fields config_port_fields;
extern const struct fields config_balloon_fields;
extern const struct fields config_vsock_fields;
extern const struct fields config_rtc_fields;
extern const struct fields config_cpu_fields;
extern const struct fields config_cpus_fields;   /* of --cpus; base is struct config */
extern const struct fields config_memory_fields; /* of --memory; base is struct config */

/* ---- walks ---- */

/*
 * A flag's value with parts: KEY=VALUE[,KEY=VALUE]..., or, where `first` names a key,
 * VALUE[,KEY=VALUE]... A doubled comma is one that belongs to the value.
 */
int config_parse_parts(void *base, const struct fields *fields, const char *first, const char *text,
                       struct error *err);

/* ---- values as text ---- */

int config_parse_text(char **out, const char *text, struct error *err);
int config_parse_uuid(const char *text, char **uuid, struct error *err);
int config_parse_port_number(const char *text, int *port, struct error *err);

/* Names for what was given none, addresses for network devices, a topology for the processors.
 * Repeatable. */
void config_fill_defaults(struct config *config);

static inline void *config_member(void *base, size_t offset)
{
    return (char *)base + offset;
}

static inline const void *config_const_member(const void *base, size_t offset)
{
    return (const char *)base + offset;
}

#endif
