/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest RAM, and the one place where an address and a length that came from the guest become a
 * host pointer, or are refused. Nothing here ever refers to device memory: a range that is not
 * wholly inside one RAM region has no pointer, so a device cannot be talked into DMA to another
 * device or to itself.
 *
 * The map is made once and does not change; every function may be called from any thread. The
 * guest may write to any byte at any time: what matters is read once, into a local.
 */
#ifndef VOLE_MEMORY_H
#define VOLE_MEMORY_H

#include <stdint.h>

#include "vmm/util.h"

#define MEMORY_MAX_REGIONS 4
#define GUEST_PAGE_SIZE    UINT64_C(4096)

struct memory_region {
    uint64_t gpa;  /* guest physical address */
    uint64_t size; /* bytes */
    uint8_t *host;
};

struct memory {
    struct memory_region regions[MEMORY_MAX_REGIONS]; /* ascending, not touching */
    unsigned count;
    uint64_t size; /* of all regions together */
};

/* Maps zeroed RAM for the `count` regions, of which gpa and size are given. 0, or -1 with `err`. */
int memory_init(struct memory *mem, const struct memory_region *regions, unsigned count,
                struct error *err);
void memory_release(struct memory *mem);
/* Makes all RAM zero again and gives the host its pages back. No vCPU or device may be at work. */
void memory_discard(struct memory *mem);

/* The host address of `len` bytes at `gpa`, or NULL unless all of them are RAM in one region.
 * A length of zero has a pointer where its address is RAM. */
void *memory_ptr(const struct memory *mem, uint64_t gpa, uint64_t len);

/* Copy to RAM. 0, or -1 where memory_ptr() has no answer. */
int memory_write(const struct memory *mem, uint64_t gpa, const void *data, uint64_t len);
/* Reads `len` bytes of a file into RAM. 0, or -1 with `err` naming `what`. */
int memory_load(const struct memory *mem, uint64_t gpa, int fd, uint64_t offset, uint64_t len,
                const char *what, struct error *err);

#endif
