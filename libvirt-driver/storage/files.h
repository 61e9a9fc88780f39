/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What of pools is on disk: their definitions and marks (NAME.xml in the storage driver's
 * directories), and the directories that they are. No locks; the functions for a pool's own
 * directory may wait for its disk.
 */
#ifndef VOLE_STORAGE_FILES_H
#define VOLE_STORAGE_FILES_H

#include "libvirt-driver/storage/storage.h"

bool pool_files_save(struct storage *storage, const struct storage_pool_def *def, GError **error);
/* The autostart mark goes too. True when there was nothing. */
bool pool_files_remove(struct storage *storage, const char *name, GError **error);
bool pool_files_set_autostart(struct storage *storage, const char *name, bool autostart,
                              GError **error);
bool pool_files_get_autostart(struct storage *storage, const char *name);
/* That it is active, for the next daemon. What goes wrong is a warning. */
void pool_files_save_active(struct storage *storage, const struct pool *pool);
void pool_files_forget_active(struct storage *storage, const char *name);
/* Calls `found` for every definition in one of the directories; it is `found`'s then. */
void pool_files_load(struct storage *storage, const char *dir,
                     void (*found)(struct storage *storage, struct storage_pool_def *def));

/* A pool's directory. */
struct pool_contents {
    GPtrArray *volumes; /* of struct volume, sorted by name */
    struct storage_space space;
    struct storage_permissions permissions;
};
int pool_dir_open(const char *path, GError **error);
bool pool_dir_scan(const char *path, struct pool_contents *contents, GError **error);
/* Makes it as the definition has it. One that is there already stays as it is but for what the
 * definition says. */
bool pool_dir_build(const char *path, const struct storage_permissions *permissions,
                    GError **error);

#endif
