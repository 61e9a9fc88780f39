/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The built-in storage driver, for hosts where no daemon of libvirt serves storage: pools that are
 * directories, volumes that are the files in them. It does what libvirt's own driver does with a
 * pool of type `dir`, in the same words.
 *
 * A pool's definition is CONFIG/storage/NAME.xml, and a link in storage/autostart says that it
 * starts with the daemon; RUN/storage/NAME.xml says that it is active, for the next daemon.
 *
 * One lock guards all that is in memory and is never held while anything waits for a disk. Whoever
 * has to wait marks the pool first: a job (several at once: creating, copying, deleting volumes)
 * keeps the pool from going; a change (one at a time, and no job beside it: starting, refreshing)
 * makes everybody else wait for its end. A pool with either stays where it is in memory, and so do
 * the volumes that are marked as being built or in use.
 */
#ifndef VOLE_STORAGE_STORAGE_H
#define VOLE_STORAGE_STORAGE_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/daemon.h"
#include "libvirt-driver/storage/image.h"
#include "xml/storage.h"

struct volume {
    char *name;
    char *path;
    struct image image;
    guint64 seen;  /* which of the storage's looks `image` is from */
    bool building; /* its file is being made */
    guint in_use;  /* copied from, uploaded to, downloaded from */
};

struct pool {
    struct storage_pool_def *def;
    struct storage_pool_def *next; /* holds once it is inactive; or NULL */
    bool active;
    bool persistent;
    bool autostart;
    struct storage_space space;
    GPtrArray *volumes; /* of struct volume, sorted by name */
    guint jobs;
    bool changing;
};

struct pool_events;

struct storage {
    GMutex lock;
    GCond changed; /* a pool's change has ended */
    GPtrArray *pools;
    guint64 looks; /* at volumes' files */
    char *config;
    char *autostart;
    char *run;
    struct pool_events *events;
};

struct storage *storage_new(const struct paths *paths);
void storage_free(struct storage *storage);
/* Finds again what there was; a worker starts pools that are to start by themselves. */
void storage_restore(struct daemon *daemon);

/* ---- pools; the lock is held ---- */

/* With `error` set when there is none. */
struct pool *pool_by_name(struct storage *storage, const char *name, GError **error);
struct pool *pool_by_uuid(struct storage *storage, const uint8_t uuid[DOMAIN_UUID_BYTES],
                          GError **error);
/* The same once nobody changes it; the lock is not held while that takes. */
struct pool *pool_wait(struct storage *storage, const uint8_t *uuid, GError **error);
bool pool_check_active(const struct pool *pool, GError **error);

/*
 * Pools; these take the lock. `wanted` holds the UUID of an existing pool, `out` gets what the
 * client is told of the one that was made.
 */
struct pool_name {
    char *name;
    uint8_t uuid[DOMAIN_UUID_BYTES];
};
bool pool_define(struct storage *storage, const char *xml, struct pool_name *out, GError **error);
/* A pool that lives until it is stopped. `build`: its directory is made. */
bool pool_create_transient(struct storage *storage, const char *xml, bool build,
                           struct pool_name *out, GError **error);
bool pool_undefine(struct storage *storage, const uint8_t *uuid, GError **error);
bool pool_start(struct storage *storage, const uint8_t *uuid, bool build, GError **error);
bool pool_stop(struct storage *storage, const uint8_t *uuid, GError **error);
/* Makes the directory. */
bool pool_build(struct storage *storage, const uint8_t *uuid, GError **error);
/* Removes it, which has to be empty. */
bool pool_delete(struct storage *storage, const uint8_t *uuid, GError **error);
/* A pool whose directory cannot be read any more is stopped. */
bool pool_refresh(struct storage *storage, const uint8_t *uuid, GError **error);
bool pool_set_autostart(struct storage *storage, const uint8_t *uuid, bool autostart,
                        GError **error);

/* ---- volumes ---- */

/* What a client calls a volume by. */
struct volume_key {
    char *pool;
    char *name;
};

/* The lock is held; with `error` set when there is none. */
struct volume *volume_find(const struct pool *pool, const char *name, GError **error);
struct volume *volume_by_key(struct storage *storage, const struct volume_key *key,
                             struct pool **pool, GError **error);
/* A volume of any active pool; `*pool` is that pool. NULL without an error. */
struct volume *volume_by_path(struct storage *storage, const char *path, struct pool **pool);

/* These take the lock; the name of the volume that was made, or NULL. */
char *volume_create(struct storage *storage, const uint8_t *pool, const char *xml, GError **error);
/* `reflink`: as a copy that shares the source's blocks, or not at all. */
char *volume_clone(struct storage *storage, const uint8_t *pool, const char *xml,
                   const struct volume_key *source, bool reflink, GError **error);
bool volume_delete(struct storage *storage, const struct volume_key *key, GError **error);
bool volume_resize(struct storage *storage, const struct volume_key *key, guint64 capacity,
                   guint flags, GError **error);
bool volume_wipe(struct storage *storage, const struct volume_key *key, GError **error);
/* Looks at the file again; fill `out` from the volume with the lock held. */
bool volume_update(struct storage *storage, const struct volume_key *key, GError **error);

/*
 * A volume's file for somebody who reads or writes it meanwhile; the volume is in use until
 * volume_release(), which looks at the file again.
 */
int volume_acquire(struct storage *storage, const struct volume_key *key, int flags,
                   GError **error);
void volume_release(struct storage *storage, const struct volume_key *key);

/* ---- what pools.c and volumes.c share ---- */

void volume_free(gpointer volume);
/* A volume with nothing known but its name. */
struct volume *volume_new(const char *dir, const char *name);
gint volume_compare(gconstpointer a, gconstpointer b);

#endif
