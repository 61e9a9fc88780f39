/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Linux's Image for arm64 (Documentation/arm64/booting.rst): raw, compressed by gzip, or in the EFI
 * program that unpacks itself ("zboot") that distributions ship, of which the kernel is taken out
 * without running it.
 */
#ifndef VOLE_LOADER_ARM64_H
#define VOLE_LOADER_ARM64_H

#include "vmm/loader/loader.h"

struct arm64_kernel {
    uint64_t load; /* the first instruction, too */
    uint64_t end;  /* first byte that the kernel does not need while it starts */
};

/* Whether it is one of the three. */
bool arm64_probe(const struct image *image);
/* Into RAM, which begins at `base`. 0, or -1 with `err`. */
int arm64_load(const struct image *image, const struct memory *mem, uint64_t base,
               struct arm64_kernel *out, struct error *err);

#endif
