/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/memory.h"

#include <errno.h>
#include <sys/mman.h>

int memory_init(struct memory *mem, const struct memory_region *regions, unsigned count,
                const struct config_memory_backing *backing, struct error *err)
{
    uint8_t *host;

    *mem = (struct memory){.count = count};
    for (unsigned i = 0; i < count; i++) {
        mem->regions[i] = regions[i];
        mem->size += regions[i].size;
    }
    host = memory_backing_map(mem, backing, err);
    if (!host) {
        *mem = (struct memory){.fd = -1};
        return -1;
    }
    for (unsigned i = 0; i < count; i++) {
        mem->regions[i].host = host;
        host += regions[i].size;
    }
    return 0;
}

void memory_release(struct memory *mem)
{
    if (mem->count > 0) {
        munmap(mem->regions[0].host, mem->size);
        if (mem->fd >= 0)
            close(mem->fd);
    }
    *mem = (struct memory){.fd = -1};
}

void memory_discard(struct memory *mem)
{
    uint8_t *host = mem->regions[0].host;

    /* Dropped pages come back as zeroes. */
    if (mem->keep || memory_backing_drop(mem, host, mem->size) < 0)
        memset(host, 0, mem->size);
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

int memory_release_range(const struct memory *mem, uint64_t gpa, uint64_t len)
{
    uint8_t *host = memory_ptr(mem, gpa, len);
    uint64_t before;

    if (!host)
        return -1;
    if (mem->page == 0)
        return 0;
    before = ALIGN_UP(gpa, mem->page) - gpa;
    len = before < len ? ALIGN_DOWN(len - before, mem->page) : 0;
    /* A host that cannot take pages back keeps them: the guest sees no difference. */
    if (len > 0)
        (void)memory_backing_drop(mem, host + before, len);
    return 0;
}
