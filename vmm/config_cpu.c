/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Features of the processors, as a document's object {"avx2": false} and as a flag's avx2=off.
 * Which names there are is the architecture's to know: arch_cpu_check().
 */
#include "vmm/config_priv.h"

static struct config_cpu_feature *find_feature(struct config_cpu *cpu, const char *name, size_t len)
{
    for (unsigned i = 0; i < cpu->feature_count; i++) {
        if (strncmp(cpu->features[i].name, name, len) == 0 && !cpu->features[i].name[len])
            return &cpu->features[i];
    }
    return NULL;
}

/* A later word about a feature counts. */
static int set_feature(struct config_cpu *cpu, const char *name, size_t len, bool wanted,
                       struct error *err)
{
    struct config_cpu_feature *feature = find_feature(cpu, name, len);

    if (!feature) {
        if (cpu->feature_count == CONFIG_MAX_CPU_FEATURES)
            return error_set(err, "more than %d features", CONFIG_MAX_CPU_FEATURES);
        feature = &cpu->features[cpu->feature_count++];
        feature->name = xasprintf("%.*s", (int)len, name);
    }
    feature->wanted = wanted;
    return 0;
}

static int read_features(void *base, const struct field *f, const json_t *value, const char *where,
                         struct error *err)
{
    const char *name;
    json_t *wanted;

    if (!json_is_object(value))
        return error_set(err, "%s is not an object", where);
    json_object_foreach((json_t *)value, name, wanted)
    {
        if (!json_is_boolean(wanted))
            return error_set(err, "%s.%.64s is not true or false", where, name);
        if (set_feature(base, name, strlen(name), json_is_true(wanted), err) < 0)
            return error_prefix(err, "%s", where);
    }
    return 0;
}

static json_t *write_features(const void *base, const struct field *f)
{
    const struct config_cpu *cpu = base;
    json_t *object = cpu->feature_count ? json_object() : NULL;

    for (unsigned i = 0; i < cpu->feature_count; i++)
        json_object_set_new(object, cpu->features[i].name, json_boolean(cpu->features[i].wanted));
    return object;
}

/* One NAME=on|off, up to a comma. */
static int parse_feature(struct config_cpu *cpu, const char *text, size_t len, const char *before,
                         struct error *err)
{
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals ? (size_t)(equals - text) : 0;
    const char *word = text + name_len + 1;
    size_t word_len = equals ? len - name_len - 1 : 0;
    bool on = word_len == 2 && strncmp(word, "on", 2) == 0;

    if (name_len == 0 || (!on && !(word_len == 3 && strncmp(word, "off", 3) == 0)))
        return error_set(err, "\"%.*s\" is not NAME=on or NAME=off", (int)len, text);
    for (const char *p = before; p < text; p += strcspn(p, ",") + 1) {
        if (strncmp(p, text, name_len + 1) == 0)
            return error_set(err, "%.*s is given twice", (int)name_len, text);
    }
    return set_feature(cpu, text, name_len, on, err);
}

static int parse_features(void *base, const struct field *f, const char *text, struct error *err)
{
    const char *p = text;

    for (;;) {
        size_t len = strcspn(p, ",");

        if (parse_feature(base, p, len, text, err) < 0)
            return -1;
        if (!p[len])
            return 0;
        p += len + 1;
    }
}

const struct field_type config_type_features = {read_features, write_features, parse_features};
