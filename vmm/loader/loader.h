/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loaders: a file with a guest in it, into RAM. Files are as hostile as guests: every offset and
 * size in them is checked against the file and against RAM, and what is wrong with one is said in
 * a line that names it. An architecture's boot.c picks the formats that it can start.
 */
#ifndef VOLE_LOADER_LOADER_H
#define VOLE_LOADER_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/memory.h"
#include "vmm/util.h"

#define IMAGE_HEAD 1024

/* A file to load from. `name` and `fd` stay the caller's. */
struct image {
    int fd;
    const char *name;
    uint64_t size; /* bytes; of a block device, its capacity */
    uint8_t head[IMAGE_HEAD];
    size_t head_len; /* bytes of `head` that the file has */
};

/* Reads the head. 0, or -1 with `err`. */
int image_open(struct image *image, int fd, const char *name, struct error *err);

/*
 * Puts an initrd as high as it goes: wholly between `floor` and `ceiling` (guest physical),
 * page-aligned. Returns 0 with the place in *gpa, or -1 with `err`.
 */
int initrd_load(const struct image *image, const struct memory *mem, uint64_t floor,
                uint64_t ceiling, uint64_t *gpa, struct error *err);

/* ---- kind.c ---- */

/* "an arm64 kernel (Image)", "compressed by gzip", "no kernel": what to say of a file that is not
 * what was expected. */
const char *image_kind(const struct image *image);

/* ---- elf.c: ELF64 with a PVH entry (Xen's ELF note 18), or with the 64-bit entry of Linux ---- */

struct elf_kernel {
    uint64_t pvh_entry; /* physical address of 32-bit code; 0 when the file has none */
    uint64_t entry;     /* physical address of 64-bit code; to be used only without the other */
    uint64_t start;     /* of the lowest segment */
    uint64_t end;       /* first byte behind the highest segment */
};

bool elf_probe(const struct image *image);
/* `machine` is the EM_ value to insist on; no segment may lie below `floor`, where the boot data
 * is. 0, or -1 with `err`. */
int elf_load(const struct image *image, const struct memory *mem, unsigned machine, uint64_t floor,
             struct elf_kernel *out, struct error *err);

/* ---- flat.c: a binary without any header ---- */

/* Loads the whole file at `gpa`, where at most `max` bytes fit. 0, or -1 with `err`. */
int flat_load(const struct image *image, const struct memory *mem, uint64_t gpa, uint64_t max,
              struct error *err);

#endif
