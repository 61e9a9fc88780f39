/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a directory's entry is, as a volume: its format by the first bytes (only raw images can be
 * given to a guest, but a client shall see what the others are), sizes, owner, times.
 *
 * Symbolic links are never followed: the daemon may read what whoever can write into the directory
 * cannot. Functions are reentrant and may wait for the disk.
 */
#ifndef VOLE_STORAGE_IMAGE_H
#define VOLE_STORAGE_IMAGE_H

#include <glib.h>

#include "xml/storage.h"

/* An entry's `name` and `path` are not set here. */
struct image {
    struct storage_volume_info info; /* .backing and .backing_format point to what follows */
    char *backing;
    char *backing_format;
};
void image_clear(struct image *image);

/* Opens an entry of the directory that is a regular file. -1 with `error` set. */
int image_open(int dir, const char *name, int flags, GError **error);
/* 1 and `*image`; 0 when the entry is nothing that can be a volume (a socket, a link, gone); -1
 * with `error` set. */
int image_probe(int dir, const char *name, struct image *image, GError **error);

#endif
