/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/loader/bzimage.h"

#include <inttypes.h>

#define HEADER_OFFSET 0x1f1
#define SECTOR        512u
#define ENTRY_64      0x200 /* offset of the 64-bit entry in the protected-mode part */
#define LOWEST_LOAD   (1 * MiB)

_Static_assert(HEADER_OFFSET + sizeof(struct setup_header) <= IMAGE_HEAD,
               "the head of a file holds the setup header");

static void read_header(const struct image *image, struct setup_header *header)
{
    memcpy(header, image->head + HEADER_OFFSET, sizeof(*header));
}

bool bzimage_probe(const struct image *image)
{
    struct setup_header header;

    if (image->head_len < HEADER_OFFSET + sizeof(header))
        return false;
    read_header(image, &header);
    return header.boot_flag == BZIMAGE_BOOT_FLAG && header.header == BZIMAGE_MAGIC;
}

static int check_header(const struct image *image, const struct setup_header *h, struct error *err)
{
    if (h->version < BZIMAGE_PROTOCOL)
        return error_set(err, "kernel `%s` is too old: boot protocol %u.%02u, and 2.12 is needed",
                         image->name, h->version >> 8, h->version & 0xff);
    if (!(h->xloadflags & XLF_KERNEL_64))
        return error_set(err, "kernel `%s` has no 64-bit entry", image->name);
    if (!(h->loadflags & LOADED_HIGH))
        return error_set(err, "kernel `%s` is a zImage, not a bzImage", image->name);
    if (h->kernel_alignment & (h->kernel_alignment - 1))
        return error_set(err,
                         "kernel `%s` is damaged: it asks for an alignment of %#" PRIx32
                         ", which is no power of two",
                         image->name, h->kernel_alignment);
    return 0;
}

/* Where the kernel asks to be. A lower place would not help where memory is short: Linux unpacks
 * itself to the address that it prefers from wherever it was loaded below. */
static int choose_place(const struct image *image, const struct setup_header *h, uint64_t ceiling,
                        uint64_t *load, struct error *err)
{
    uint64_t align = MAX(h->kernel_alignment, (uint32_t)GUEST_PAGE_SIZE);

    *load = MAX(h->pref_address, ALIGN_UP(LOWEST_LOAD, align));
    if (*load < ceiling && h->init_size <= ceiling - *load)
        return 0;
    return error_set(err,
                     "too little memory for kernel `%s`: it needs %" PRIu64
                     " MiB to unpack itself, the machine has %" PRIu64 " MiB",
                     image->name, *load / MiB + h->init_size / MiB + 1, ceiling / MiB);
}

int bzimage_load(const struct image *image, const struct memory *mem, uint64_t ceiling,
                 struct bzimage *out, struct error *err)
{
    struct setup_header *h = &out->header;
    uint64_t setup_size;
    uint64_t size;

    *out = (struct bzimage){0};
    read_header(image, h);
    if (check_header(image, h, err) < 0)
        return -1;

    /* No setup_sects means 4, a habit of kernels before 2.00. */
    setup_size = ((h->setup_sects ? h->setup_sects : UINT64_C(4)) + 1) * SECTOR;
    size = (uint64_t)h->syssize * 16;
    if (setup_size >= image->size || size > image->size - setup_size || size <= ENTRY_64)
        return error_set(err,
                         "kernel `%s` is truncated: its header speaks of %" PRIu64
                         " bytes, it has %" PRIu64,
                         image->name, setup_size + size, image->size);
    if (choose_place(image, h, ceiling, &out->load, err) < 0)
        return -1;
    if (size > h->init_size)
        return error_set(err, "kernel `%s` is damaged: it is larger than the room it asks for",
                         image->name);

    out->entry = out->load + ENTRY_64;
    out->end = out->load + h->init_size;
    return memory_load(mem, out->load, image->fd, setup_size, size, image->name, err);
}
