/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Kernel files, of all architectures. The first byte says how the rest is taken: as a kernel, which
 * is loaded by what it looks like, as an initrd or as a flat binary. What is loaded lies in RAM and
 * above the boot data, and so does the place where it is entered.
 */
#include <elf.h>
#include <stdint.h>
#include <sys/mman.h>

#include "vmm/loader/arm64.h"
#include "vmm/loader/bzimage.h"
#include "vmm/loader/loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM   (24 * MiB)
#define FLOOR (1 * MiB)

struct bench {
    struct memory mem;
    int fd;
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void bench_open(struct bench *b)
{
    const struct memory_region region = {.gpa = 0, .size = RAM};
    struct error err;

    b->fd = memfd_create("image", MFD_CLOEXEC);
    require(b->fd >= 0 && memory_init(&b->mem, &region, 1, NULL, &err) == 0);
}

static void load_kernel(const struct bench *b, const struct image *image)
{
    static const uint8_t zeroes[FLOOR];
    struct bzimage bz;
    struct elf_kernel elf;
    struct arm64_kernel arm64;
    struct error err;

    if (bzimage_probe(image) && bzimage_load(image, &b->mem, RAM, &bz, &err) == 0)
        require(bz.load >= FLOOR && bz.entry > bz.load && bz.entry < bz.end && bz.end <= RAM);
    if (elf_probe(image) && elf_load(image, &b->mem, EM_X86_64, FLOOR, &elf, &err) == 0) {
        require(elf.end <= RAM);
        if (elf.pvh_entry)
            require(elf.pvh_entry < RAM);
        else
            require(elf.entry >= FLOOR && elf.entry < elf.end);
    }
    if (arm64_probe(image) && arm64_load(image, &b->mem, FLOOR, &arm64, &err) == 0)
        require(arm64.load >= FLOOR && arm64.load < arm64.end && arm64.end <= RAM);
    require(memcmp(b->mem.regions[0].host, zeroes, FLOOR) == 0);
}

static void load_initrd(const struct bench *b, const struct image *image, uint64_t floor)
{
    struct error err;
    uint64_t gpa;

    if (initrd_load(image, &b->mem, floor, RAM, &gpa, &err) == 0)
        require(gpa >= floor && gpa % GUEST_PAGE_SIZE == 0 && image->size <= RAM - gpa);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench b = {.fd = -1};
    struct image image;
    struct error err;

    if (b.fd < 0)
        bench_open(&b);
    if (size == 0)
        return 0;
    require(ftruncate(b.fd, 0) == 0 && pwrite(b.fd, data + 1, size - 1, 0) == (ssize_t)size - 1);
    if (image_open(&image, b.fd, "image", &err) < 0)
        return 0;
    if (data[0] == 'i')
        load_initrd(&b, &image, RAM - 4096);
    else if (data[0] == 'f')
        (void)flat_load(&image, &b.mem, 0x1000, 2048, &err);
    else
        load_kernel(&b, &image);
    memory_discard(&b.mem);
    return 0;
}
