/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A part of a file, read from its beginning on as what it is when unpacked: kernels come as they
 * are, or compressed by gzip (RFC 1952) or zstd (RFC 8878). The bytes go where the reader wants
 * them; nothing the size of a kernel is kept here.
 */
#ifndef VOLE_LOADER_UNPACK_H
#define VOLE_LOADER_UNPACK_H

#include <sys/types.h>

#include "vmm/loader/loader.h"

struct unpack;

enum unpack_format {
    UNPACK_PLAIN,
    UNPACK_GZIP,
    UNPACK_ZSTD,
};

/* `size` bytes from `offset` on, which lie in the file; `image` has to live as long. NULL with
 * `err`. */
struct unpack *unpack_open(const struct image *image, uint64_t offset, uint64_t size,
                           enum unpack_format format, struct error *err);
void unpack_close(struct unpack *unpack);

/* The next bytes, `len` of them unless the end comes before. Their number, or -1 with `err` naming
 * the file: it is damaged, or ends too early. */
ssize_t unpack_read(struct unpack *unpack, void *buf, size_t len, struct error *err);

#endif
