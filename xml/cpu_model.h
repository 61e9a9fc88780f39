/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A CPU by libvirt's names: a model, and how it differs from that. */
#ifndef VOLE_XML_CPU_MODEL_H
#define VOLE_XML_CPU_MODEL_H

#include "xml/cpu_features.h"
#include "xml/cpu_map.h"
#include "xml/writer.h"

struct cpu_description {
    const struct cpu_model *model;  /* the map's */
    const char *vendor;             /* the map's; NULL: unknown */
    struct x86_feature_set extra;   /* it has these besides, */
    struct x86_feature_set missing; /* and of the model's own not these */
};

/*
 * The model that comes nearest to a CPU: of those of its vendor one of its family and number, where
 * there is one, and of these the one with the fewest features missing, and then the fewest extra.
 * With `whole` none may be missing. False when there is none.
 */
bool cpu_describe(const struct cpu_map *map, const struct cpu_host *cpu, bool whole,
                  struct cpu_description *description);

/* What a definition says of features, with those of its model. */
struct cpu_wish {
    struct x86_feature_set named;  /* by the definition itself */
    struct x86_feature_set wanted; /* the CPU has to have them */
    struct x86_feature_set off;    /* it is not to have them; whatever needs them, too */
    struct x86_feature_set forbid; /* those of `off` that the host is not to have */
};

/* `model` may be NULL. VIR_ERR_CONFIG_UNSUPPORTED when a feature is wanted without what it needs.
 */
bool cpu_wish_read(struct cpu_wish *wish, const struct domain_cpu *cpu,
                   const struct cpu_model *model, GError **error);
/* VIR_ERR_CPU_INCOMPATIBLE, naming them, when the host lacks what is wanted or has what it is not
 * to have. */
bool cpu_wish_check(const struct cpu_wish *wish, const struct cpu_host *host, GError **error);
/* The model of a custom CPU, which the map has and this driver sees all features of; the host is of
 * the vendor that is asked for. NULL with `error` set otherwise. */
const struct cpu_model *cpu_find_model(const struct cpu_map *map, const struct domain_cpu *cpu,
                                       const struct cpu_host *host, GError **error);

/* "aes, avx2"; to be freed. */
char *cpu_feature_names(const struct x86_feature_set *set);
/* A <feature> element for each; `policy` is NULL where they are a host's, which are just there. */
void cpu_write_features(struct xml_writer *w, const struct x86_feature_set *set,
                        const char *policy);

#endif
