/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The CPU models that libvirt has names for, as the installed libvirt describes them: its CPU map,
 * a folder of XML files (/usr/share/libvirt/cpu_map). Only x86 has models here. Nothing of it
 * changes once it is loaded, and threads may share it.
 */
#ifndef VOLE_XML_CPU_MAP_H
#define VOLE_XML_CPU_MAP_H

#include <glib.h>
#include <stdbool.h>

#include "cpu/x86_features.h"
#include "xml/error.h"

struct cpu_signature {
    unsigned family;
    unsigned model;
    unsigned steppings; /* a bit each, of 0 to 15 */
};

struct cpu_model {
    char *name;
    char *vendor; /* libvirt's name of it, "AMD"; NULL: any */
    struct x86_feature_set features;
    bool unseen;        /* it has features that are not in CPUID, of which nothing is known here */
    bool guests;        /* a guest's CPU may be described by it */
    GArray *signatures; /* of struct cpu_signature */
};

struct cpu_map {
    GPtrArray *models;   /* of struct cpu_model, in libvirt's order: the older ones first */
    GHashTable *vendors; /* "AuthenticAMD": "AMD" */
};

/* NULL with `error` set when there is none, or it makes no sense. */
struct cpu_map *cpu_map_load(const char *folder, GError **error);
void cpu_map_free(struct cpu_map *map);

const struct cpu_model *cpu_map_find(const struct cpu_map *map, const char *name);
/* libvirt's name of a vendor, from CPUID's; NULL when it is unknown. */
const char *cpu_map_vendor(const struct cpu_map *map, const char *id);
bool cpu_model_is(const struct cpu_model *model, unsigned family, unsigned number,
                  unsigned stepping);

#endif
