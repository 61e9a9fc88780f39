/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/memory.h"

#include <errno.h>
#include <sys/mman.h>

#define HUGE_PAGE (2 * MiB)

/*
 * One mapping for all regions, whose address is a multiple of a huge page's size: KVM can use huge
 * pages only where guest and host address agree in what lies below that. NULL with errno set.
 */
static uint8_t *map_aligned(uint64_t size)
{
    uint64_t span = size + HUGE_PAGE;
    uint8_t *all = mmap(NULL, span, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint64_t before;

    if (all == MAP_FAILED)
        return NULL;
    before = ALIGN_UP((uintptr_t)all, HUGE_PAGE) - (uintptr_t)all;
    if (before > 0)
        munmap(all, before);
    if (span - before > size)
        munmap(all + before + size, span - before - size);
    return all + before;
}

int memory_init(struct memory *mem, const struct memory_region *regions, unsigned count,
                struct error *err)
{
    uint8_t *host;
    uint64_t size = 0;

    for (unsigned i = 0; i < count; i++)
        size += regions[i].size;

    host = map_aligned(size);
    if (!host)
        return error_set_errno(err, errno, "map %llu MiB of guest memory",
                               (unsigned long long)(size / MiB));

    *mem = (struct memory){.count = count, .size = size};
    for (unsigned i = 0; i < count; i++) {
        mem->regions[i] = regions[i];
        mem->regions[i].host = host;
        host += regions[i].size;
    }
    return 0;
}

void memory_release(struct memory *mem)
{
    if (mem->count > 0)
        munmap(mem->regions[0].host, mem->size);
    *mem = (struct memory){0};
}

void memory_discard(struct memory *mem)
{
    /* Private anonymous pages come back as zeroes; with both arguments valid this cannot fail. */
    madvise(mem->regions[0].host, mem->size, MADV_DONTNEED);
}

void *memory_ptr(const struct memory *mem, uint64_t gpa, uint64_t len)
{
    for (unsigned i = 0; i < mem->count; i++) {
        const struct memory_region *r = &mem->regions[i];

        /* Subtractions only: gpa + len may wrap. */
        if (gpa >= r->gpa && gpa - r->gpa < r->size)
            return len <= r->size - (gpa - r->gpa) ? r->host + (gpa - r->gpa) : NULL;
    }
    return NULL;
}

int memory_write(const struct memory *mem, uint64_t gpa, const void *data, uint64_t len)
{
    void *p = memory_ptr(mem, gpa, len);

    if (!p)
        return -1;
    memcpy(p, data, len);
    return 0;
}

int memory_load(const struct memory *mem, uint64_t gpa, int fd, uint64_t offset, uint64_t len,
                const char *what, struct error *err)
{
    void *p = memory_ptr(mem, gpa, len);
    int r;

    if (!p)
        return error_set(err, "`%s` does not fit: %llu bytes at 0x%llx are not in guest memory",
                         what, (unsigned long long)len, (unsigned long long)gpa);
    r = pread_full(fd, p, len, offset);
    if (r == -ENODATA)
        return error_set(err, "`%s` is truncated", what);
    if (r < 0)
        return error_set_errno(err, -r, "read `%s`", what);
    return 0;
}
