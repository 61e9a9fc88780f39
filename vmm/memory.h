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

#include <stdbool.h>
#include <stdint.h>

#include "vmm/util.h"

struct config_memory_backing;

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
    uint64_t size; /* of all regions together, which follow one another in the host and in `fd` */
    int fd;        /* of shared RAM, for another process to map; -1 when it is ours alone */
    uint64_t page; /* bytes, the least that can be given back: a host's page; 0: nothing can be */
    bool keep;     /* the host's pages were asked for in advance: a reset zeroes them in place */
};

/* Maps zeroed RAM for the `count` regions, of which gpa and size are given. `backing` says what the
 * host takes it from; NULL is its ordinary memory. 0, or -1 with `err`. */
int memory_init(struct memory *mem, const struct memory_region *regions, unsigned count,
                const struct config_memory_backing *backing, struct error *err);
void memory_release(struct memory *mem);
/* Makes all RAM zero again and gives the host its pages back, unless they were asked for in
 * advance. No vCPU or device may be at work. */
void memory_discard(struct memory *mem);

/* The host address of `len` bytes at `gpa`, or NULL unless all of them are RAM in one region.
 * A length of zero has a pointer where its address is RAM. */
void *memory_ptr(const struct memory *mem, uint64_t gpa, uint64_t len);

/* Copy to RAM. 0, or -1 where memory_ptr() has no answer. */
int memory_write(const struct memory *mem, uint64_t gpa, const void *data, uint64_t len);
/* Reads `len` bytes of a file into RAM. 0, or -1 with `err` naming `what`. */
int memory_load(const struct memory *mem, uint64_t gpa, int fd, uint64_t offset, uint64_t len,
                const char *what, struct error *err);
/*
 * Gives the host the pages back that lie wholly in a range that the guest does not use for now (a
 * balloon's). What the guest finds there later is zeroes, or what was there; the page at the edge
 * of a range stays. Huge pages from the host's pool stay too: once given back, nothing would
 * promise that there is one when the guest wants it again. 0, or -1 where the range is not RAM.
 */
int memory_release_range(const struct memory *mem, uint64_t gpa, uint64_t len);

/* ---- memory_backing.c, for memory.c ---- */

/* Maps `mem->size` bytes and fills fd, page and keep. The mapping, or NULL with `err`. */
uint8_t *memory_backing_map(struct memory *mem, const struct config_memory_backing *backing,
                            struct error *err);
/* Gives whole pages of the mapping back. 0, or -1 where the host cannot. */
int memory_backing_drop(const struct memory *mem, uint8_t *host, uint64_t len);

#endif
