/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The XML of storage pools and volumes (libvirt's formatstorage.html), as far as directories and
 * the files in them go. Elements that libvirt's schema has and that say nothing to a directory
 * (a source, features) are read over; whatever is in no schema is refused by name.
 *
 * Functions that can fail return false or NULL with `error` set (LIBVIRT_ERROR).
 */
#ifndef VOLE_XML_STORAGE_H
#define VOLE_XML_STORAGE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "xml/domain.h"

/* Who may do what with a file; -1: not said. */
struct storage_permissions {
    int64_t mode;
    int64_t owner;
    int64_t group;
};

struct storage_pool_def {
    char *name; /* fit for a file's name */
    uint8_t uuid[DOMAIN_UUID_BYTES];
    char *path; /* absolute, without "." and ".." and doubled slashes */
    struct storage_permissions permissions;
};

/* What a pool has, in bytes. */
struct storage_space {
    uint64_t capacity;
    uint64_t allocation;
    uint64_t available;
};

/* Makes a uuid where there is none. */
struct storage_pool_def *storage_pool_def_parse(const char *xml, GError **error);
char *storage_pool_def_format(const struct storage_pool_def *def,
                              const struct storage_space *space);
void storage_pool_def_free(struct storage_pool_def *def);
typedef struct storage_pool_def storage_pool_def;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(storage_pool_def, storage_pool_def_free)

/* What somebody asks for. */
struct storage_volume_def {
    char *name;   /* one component of a path */
    char *format; /* NULL: not said */
    bool has_capacity;
    uint64_t capacity; /* bytes */
    bool has_allocation;
    uint64_t allocation;
    bool has_backing; /* wants to be a layer above another image */
    bool encrypted;
    struct storage_permissions permissions;
};

struct storage_volume_def *storage_volume_def_parse(const char *xml, GError **error);
void storage_volume_def_free(struct storage_volume_def *def);
typedef struct storage_volume_def storage_volume_def;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(storage_volume_def, storage_volume_def_free)

/* A disk whose bytes are the file's: an image of a CD is one that something could be told of. */
bool storage_format_is_raw(const char *format);
/* A name that a file in a directory can have, as far as XML and the wire carry it. */
bool storage_volume_name_valid(const char *name);

/* What there is. */
struct storage_volume_info {
    const char *name;
    const char *path; /* which is its key as well */
    const char *format;
    const char *backing;        /* the image it is a layer above, as it is written there; or NULL */
    const char *backing_format; /* NULL: not said */
    bool directory;
    uint64_t capacity;
    uint64_t allocation;
    uint64_t physical;
    struct storage_permissions permissions;
    struct timespec accessed;
    struct timespec modified;
    struct timespec changed;
    struct timespec born; /* all zero: not known */
};

char *storage_volume_format(const struct storage_volume_info *info);

/* What kinds of pools there can be (virConnectGetStoragePoolCapabilities). */
char *storage_capabilities_format(void);

#endif
