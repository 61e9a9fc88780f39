/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes a flattened device tree (Devicetree Specification 0.4) from front to back, for the
 * architectures whose guests learn from one what there is. The first thing that fails (there is no
 * room left) is remembered and ends all that follows; dt_finish() looks at it once, at the end.
 */
#ifndef VOLE_LOADER_DT_WRITER_H
#define VOLE_LOADER_DT_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/util.h"

struct dt_writer {
    void *buf; /* the caller's, to be as large as the tree may become */
    size_t size;
    int failed; /* libfdt's code, 0 as long as nothing did */
};

/* Opens the root node; addresses and sizes in the tree are of two cells each. */
void dt_start(struct dt_writer *w, void *buf, size_t size);
/* Closes it. The size of the tree, or -1 with `err` where it does not fit. */
int dt_finish(struct dt_writer *w, struct error *err);

/* A node, and all that is written until dt_end() is in it. */
PRINTF_LIKE(2, 3)
void dt_begin(struct dt_writer *w, const char *fmt, ...);
void dt_end(struct dt_writer *w);

/* Properties of the node. */
void dt_flag(struct dt_writer *w, const char *name);
void dt_bytes(struct dt_writer *w, const char *name, const void *data, size_t len);
void dt_text(struct dt_writer *w, const char *name, const char *value);
void dt_cell(struct dt_writer *w, const char *name, uint32_t value);
void dt_cells(struct dt_writer *w, const char *name, const uint32_t *values, size_t count);
void dt_range(struct dt_writer *w, const char *name, uint64_t base, uint64_t size);

#define DT_MAX_CELLS 16 /* of one property */

/* Several strings, each with its zero; the literal's own is the last one's. */
#define dt_texts(w, name, literal) dt_bytes(w, name, literal, sizeof(literal))
#define DT_CELLS(w, name, ...)                         \
    dt_cells(w, name, (const uint32_t[]){__VA_ARGS__}, \
             sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))
/* The two cells of a 64-bit number. */
#define DT_HIGH(x) (uint32_t)((uint64_t)(x) >> 32)
#define DT_LOW(x)  (uint32_t)(x)

/* ---- nodes that every Linux guest wants ---- */

/* What a boot loader tells. */
struct dt_chosen {
    const char *cmdline;
    uint64_t initrd;      /* guest physical */
    uint64_t initrd_size; /* 0: there is none */
    uint8_t rng_seed[64];
    uint64_t kaslr_seed;
};

/* Fills in the seeds. 0, or -1 with `err`. */
int dt_chosen_seed(struct dt_chosen *c, struct error *err);
/* `console` is the path of the early console's node; NULL where there is none. */
void dt_chosen(struct dt_writer *w, const struct dt_chosen *c, const char *console);
/* One region of RAM. */
void dt_memory(struct dt_writer *w, uint64_t base, uint64_t size);

#endif
