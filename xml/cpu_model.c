/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/cpu_model.h"

#include <string.h>

char *cpu_feature_names(const struct x86_feature_set *set)
{
    GString *names = g_string_new(NULL);

    for (unsigned i = 0; i < X86_FEATURE_LAST; i++) {
        const char *name = x86_feature_set_has(set, i) ? x86_feature_name(i) : NULL;

        if (name)
            g_string_append_printf(names, "%s%s", names->len ? ", " : "", name);
    }
    return g_string_free(names, FALSE);
}

/* ---- the nearest model ---- */

void cpu_write_features(struct xml_writer *w, const struct x86_feature_set *set, const char *policy)
{
    for (unsigned i = 0; i < X86_FEATURE_LAST; i++) {
        const char *name = x86_feature_set_has(set, i) ? x86_feature_name(i) : NULL;

        if (name)
            xml_empty(w, "feature", "policy", policy, "name", name, NULL);
    }
}

static unsigned count(const struct x86_feature_set *set)
{
    unsigned n = 0;

    for (unsigned i = 0; i < X86_FEATURE_WORDS; i++)
        n += (unsigned)__builtin_popcount(set->words[i]);
    return n;
}

struct candidate {
    struct cpu_description description;
    bool same_processor;
};

/* Later models of the map are the newer ones, and win where all else is equal. */
static bool is_nearer(const struct candidate *a, const struct candidate *b)
{
    unsigned a_missing = count(&a->description.missing);
    unsigned b_missing = count(&b->description.missing);

    if (!b->description.model || a->same_processor != b->same_processor)
        return !b->description.model || a->same_processor;
    if (a_missing != b_missing)
        return a_missing < b_missing;
    return count(&a->description.extra) <= count(&b->description.extra);
}

bool cpu_describe(const struct cpu_map *map, const struct cpu_host *cpu, bool whole,
                  struct cpu_description *description)
{
    const char *vendor = cpu_map_vendor(map, cpu->vendor);
    struct candidate best = {{NULL}};

    for (guint i = 0; i < map->models->len; i++) {
        const struct cpu_model *model = g_ptr_array_index(map->models, i);
        struct candidate next = {
            .description = {model, vendor, x86_feature_set_minus(&cpu->features, &model->features),
                            x86_feature_set_minus(&model->features, &cpu->features)},
            .same_processor = cpu_model_is(model, cpu->family, cpu->model, cpu->stepping),
        };

        if (model->unseen || !model->guests ||
            (model->vendor && g_strcmp0(model->vendor, vendor) != 0) ||
            (whole && !x86_feature_set_is_empty(&next.description.missing)))
            continue;
        if (is_nearer(&next, &best))
            best = next;
    }
    *description = best.description;
    return best.description.model != NULL;
}

/* ---- wishes ---- */

static void add_all(struct x86_feature_set *set, const struct x86_feature_set *more)
{
    for (unsigned i = 0; i < X86_FEATURE_WORDS; i++)
        set->words[i] |= more->words[i];
}

static struct x86_feature_set both(const struct x86_feature_set *a, const struct x86_feature_set *b)
{
    struct x86_feature_set not_in_b = x86_feature_set_minus(a, b);

    return x86_feature_set_minus(a, &not_in_b);
}

static void read_feature(struct cpu_wish *wish, const struct domain_cpu_feature *feature,
                         struct x86_feature_set *asked)
{
    unsigned number = 0;

    if (!x86_feature_find(feature->name, &number))
        return; /* the parser has refused it */
    x86_feature_set_add(&wish->named, number);
    switch (feature->policy) {
    case DOMAIN_CPU_REQUIRE:
    case DOMAIN_CPU_FORCE:
        x86_feature_set_add(asked, number);
        break;
    case DOMAIN_CPU_FORBID:
        x86_feature_set_add(&wish->forbid, number);
        x86_feature_set_add(&wish->off, number);
        break;
    case DOMAIN_CPU_DISABLE:
        x86_feature_set_add(&wish->off, number);
        break;
    case DOMAIN_CPU_OPTIONAL:
        x86_feature_set_remove(&wish->wanted, number);
        break;
    }
}

bool cpu_wish_read(struct cpu_wish *wish, const struct domain_cpu *cpu,
                   const struct cpu_model *model, GError **error)
{
    struct x86_feature_set asked = {{0}};
    struct x86_feature_set contradiction;
    g_autofree char *names = NULL;

    *wish = (struct cpu_wish){0};
    if (model)
        wish->wanted = model->features;
    for (guint i = 0; i < cpu->features->len; i++)
        read_feature(wish, g_ptr_array_index(cpu->features, i), &asked);
    x86_feature_set_add_dependents(&wish->off);
    wish->wanted = x86_feature_set_minus(&wish->wanted, &wish->off);
    contradiction = both(&asked, &wish->off);
    add_all(&wish->wanted, &asked);
    if (x86_feature_set_is_empty(&contradiction))
        return true;
    names = cpu_feature_names(&contradiction);
    libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                      "CPU features are required, and what they need is disabled: %s", names);
    return false;
}

static bool refuse(GError **error, const char *what, const struct x86_feature_set *features)
{
    g_autofree char *names = cpu_feature_names(features);

    libvirt_error_set(error, VIR_ERR_CPU_INCOMPATIBLE, "%s: %s", what, names);
    return false;
}

bool cpu_wish_check(const struct cpu_wish *wish, const struct cpu_host *host, GError **error)
{
    struct x86_feature_set missing = x86_feature_set_minus(&wish->wanted, &host->features);
    struct x86_feature_set forbidden = both(&wish->forbid, &host->features);

    if (!x86_feature_set_is_empty(&missing))
        return refuse(error, "Host CPU does not provide required features", &missing);
    if (!x86_feature_set_is_empty(&forbidden))
        return refuse(error, "Host CPU provides forbidden features", &forbidden);
    return true;
}

const struct cpu_model *cpu_find_model(const struct cpu_map *map, const struct domain_cpu *cpu,
                                       const struct cpu_host *host, GError **error)
{
    const struct cpu_model *model = cpu_map_find(map, cpu->model);
    const char *vendor = cpu_map_vendor(map, host->vendor);

    if (!model)
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "Unknown CPU model %s", cpu->model);
    else if (model->unseen)
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "CPU model %s has features that CPUID does not tell of", cpu->model);
    else if (cpu->vendor && g_strcmp0(cpu->vendor, vendor) != 0)
        libvirt_error_set(error, VIR_ERR_CPU_INCOMPATIBLE,
                          "host CPU vendor does not match required CPU vendor %s", cpu->vendor);
    else
        return model;
    return NULL;
}
