/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Flags' values that have parts: KEY=VALUE, with commas between them. */
#include <assert.h>

#include "vmm/config_priv.h"

/*
 * Cuts the first part off `*rest`: up to a comma; a doubled comma is one that belongs to the part.
 * NULL when there is none left. The part is the caller's to free.
 */
static char *next_part(const char **rest)
{
    const char *p = *rest;
    char *part;
    size_t n = 0;

    if (!p)
        return NULL;
    part = xcalloc(1, strlen(p) + 1);
    for (; *p; p++) {
        if (*p == ',') {
            p++;
            if (*p != ',') {
                *rest = p;
                return part;
            }
        }
        part[n++] = *p;
    }
    *rest = NULL;
    return part;
}

/* A key that a flag can have: its field, the struct that this counts from, and its place among all
 * of the flag's keys. */
struct key {
    const struct field *field;
    void *base;
    unsigned index;
};

/* Looks through `fields` and the groups whose keys stand beside their parent's. `*count` goes on
 * from its value over the keys that were passed. */
static bool find_key(struct key *key, void *base, const struct fields *fields, const char *name,
                     unsigned *count)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->list[i];

        if (f->prefix) {
            size_t len = strlen(f->prefix);

            /* Passed even when the prefix differs, so that each key has its own index. */
            if (find_key(key, config_member(base, f->offset), f->fields,
                         strncmp(name, f->prefix, len) == 0 ? name + len : "", count))
                return true;
        } else if (strcmp(f->name, name) == 0) {
            *key = (struct key){f, base, *count};
            return true;
        } else {
            ++*count;
        }
    }
    return false;
}

/* What one flag's parts are read into. */
struct target {
    void *base;
    const struct fields *fields;
    uint64_t seen; /* a bit a key */
};

/* Finds the key and notes that it was given. */
static int take_key(struct target *t, const char *name, struct key *key, struct error *err)
{
    unsigned count = 0;

    if (!find_key(key, t->base, t->fields, name, &count) || !key->field->type->parse) {
        error_set(err, "there is no \"%s\"", name);
        return -1;
    }
    assert(key->index < 64);
    if (t->seen & UINT64_C(1) << key->index) {
        error_set(err, "%s is given twice", name);
        return -1;
    }
    t->seen |= UINT64_C(1) << key->index;
    return 0;
}

static int set_first(struct target *t, const char *name, const char *value, struct error *err)
{
    struct key key;

    if (take_key(t, name, &key, err) < 0)
        return -1;
    return key.field->type->parse(key.base, key.field, value, err);
}

static int set_part(struct target *t, char *part, struct error *err)
{
    char *equals = strchr(part, '=');
    struct key key;

    if (!equals)
        return error_set(err, "\"%s\" is not KEY=VALUE (write a comma inside a name twice)", part);
    *equals = '\0';
    if (take_key(t, part, &key, err) < 0)
        return -1;
    if (key.field->type->parse(key.base, key.field, equals + 1, err) < 0)
        return error_prefix(err, "%s", part);
    return 0;
}

/* Of required keys there are only direct ones. */
static int check_required(struct target *t, struct error *err)
{
    for (size_t i = 0; i < t->fields->count; i++) {
        const struct field *f = &t->fields->list[i];
        struct key key = {NULL};
        unsigned count = 0;

        if (f->required && find_key(&key, t->base, t->fields, f->name, &count) &&
            !(t->seen & UINT64_C(1) << key.index))
            return error_set(err, "%s is missing", f->name);
    }
    return 0;
}

int config_parse_parts(void *base, const struct fields *fields, const char *first, const char *text,
                       struct error *err)
{
    struct target t = {.base = base, .fields = fields};
    const char *rest = text;

    if (first) {
        cleanup_free char *value = next_part(&rest);

        if (set_first(&t, first, value, err) < 0)
            return -1;
    }
    while (rest) {
        cleanup_free char *part = next_part(&rest);

        if (set_part(&t, part, err) < 0)
            return -1;
    }
    return check_required(&t, err);
}
