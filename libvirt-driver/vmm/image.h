/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that a VMM gets open: kernels, initrds, disk images.
 */
#ifndef VOLE_DRIVER_VMM_IMAGE_H
#define VOLE_DRIVER_VMM_IMAGE_H

#include <glib.h>

#include "xml/domain.h"

/* A regular file, read-only. `what` names it in errors ("kernel"). -1 with `error` set. */
int image_open_plain(const char *path, const char *what, GError **error);

/*
 * A disk's raw image or block device, locked for as long as anybody has the descriptor open. The
 * locks are QEMU's (single bytes of the file, as open file description locks), so QEMU and its
 * tools keep away from an image in use, and vole from one of theirs. -1 with `error` set.
 */
int image_open_disk(const struct domain_disk *disk, GError **error);

#endif
