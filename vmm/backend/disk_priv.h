/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a disk's engines share; for disk*.c only. */
#ifndef VOLE_BACKEND_DISK_PRIV_H
#define VOLE_BACKEND_DISK_PRIV_H

#include "vmm/backend/disk.h"

extern const struct disk_engine disk_engine_uring;
extern const struct disk_engine disk_engine_sync;

/* Takes `len` transferred bytes off a request. Returns whether something is left to do. */
bool disk_request_advance(struct disk_request *req, size_t len);

#endif
