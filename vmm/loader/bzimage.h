/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Linux bzImage for x86_64, started by the 64-bit boot protocol (Documentation/arch/x86/boot.rst),
 * that is without running any of its real-mode code.
 */
#ifndef VOLE_LOADER_BZIMAGE_H
#define VOLE_LOADER_BZIMAGE_H

#include <asm/bootparam.h>

#include "vmm/loader/loader.h"

/* Fields of every setup header. */
#define BZIMAGE_BOOT_FLAG 0xaa55
#define BZIMAGE_MAGIC     0x53726448 /* "HdrS" */
#define BZIMAGE_PROTOCOL  0x020c     /* 2.12, Linux 3.8: the oldest that we start */

struct bzimage {
    struct setup_header header; /* as in the file, for boot_params */
    uint64_t load;              /* where the protected-mode part was put */
    uint64_t entry;             /* 64-bit entry */
    uint64_t end;               /* first byte that the kernel does not need while it unpacks */
};

bool bzimage_probe(const struct image *image);
/* Below `ceiling`. 0, or -1 with `err`. */
int bzimage_load(const struct image *image, const struct memory *mem, uint64_t ceiling,
                 struct bzimage *out, struct error *err);

#endif
