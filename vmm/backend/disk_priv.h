/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a disk's engines share; for disk*.c only. */
#ifndef VOLE_BACKEND_DISK_PRIV_H
#define VOLE_BACKEND_DISK_PRIV_H

#include "vmm/backend/disk.h"

/* A way to get requests done. All calls come from the thread of the loop given to start(). */
struct disk_engine {
    const char *name;
    int (*open)(struct disk *disk, struct error *err); /* -1: the host does not have it */
    void (*close)(struct disk *disk);
    int (*start)(struct disk *disk, struct loop *loop, struct error *err);
    void (*stop)(struct disk *disk); /* waits for what is in flight */
    void (*submit)(struct disk *disk, struct disk_request *req);
    void (*commit)(struct disk *disk);
};

extern const struct disk_engine disk_engine_uring;
extern const struct disk_engine disk_engine_sync;

struct disk {
    int fd;
    uint64_t size; /* bytes */
    bool readonly;

    const struct disk_engine *engine; /* NULL until the disk is first started */
    void *engine_state;
    void (*batch_done)(void *opaque);
    void *opaque;
};

/* Takes `len` transferred bytes off a request. Returns whether something is left to do. */
bool disk_request_advance(struct disk_request *req, size_t len);

#endif
