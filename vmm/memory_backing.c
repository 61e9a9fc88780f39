/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What guest RAM is made of in the host: private anonymous memory, or a memfd that another process
 * can map; ordinary pages, which may be joined to transparent huge ones, or pages from the host's
 * pool of huge ones.
 *
 * The address space comes first, as one reservation aligned to the size of a huge page: KVM can map
 * a huge page only where guest and host address agree in what lies below that. RAM is then mapped
 * over it. It is left out of core dumps, where it would be hundreds of gigabytes of a guest's
 * secrets.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "vmm/config.h"
#include "vmm/memory.h"

/* Linux 5.14 and 5.18; the headers of Debian 12 do not have the second. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

#define HUGE_PAGE (2 * MiB)

#define AS_MIB(bytes) ((unsigned long long)((bytes) / MiB))

/* log2 of a page's size, where mmap() and memfd_create() want to see it. */
static unsigned huge_flag(uint64_t page)
{
    return (unsigned)__builtin_ctzll(page) << MAP_HUGE_SHIFT;
}

static_assert(MAP_HUGE_SHIFT == MFD_HUGE_SHIFT, "both calls take the size in the same place");

/* ---- the pool of huge pages ---- */

/* How many pages of that size the host has free; -1 when it has no such size. */
static long long free_huge_pages(uint64_t page)
{
    char path[96];
    char text[32] = "";
    cleanup_close int fd = -1;

    snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB/free_hugepages",
             (unsigned long long)(page / KiB));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
        return -1;
    return strtoll(text, NULL, 10);
}

static int check_huge_size(const struct memory *mem, uint64_t page, struct error *err)
{
    if (page < GUEST_PAGE_SIZE || (page & (page - 1)) != 0)
        return error_set(err, "huge pages of %llu bytes: not a power of two",
                         (unsigned long long)page);
    for (unsigned i = 0; i < mem->count; i++) {
        if (mem->regions[i].size % page != 0)
            return error_set(err,
                             "%llu MiB of guest memory cannot be made of huge pages of %llu MiB",
                             AS_MIB(mem->size), AS_MIB(page));
    }
    return 0;
}

/* KVM takes whole pages of the host's, and those may be larger than the guest's. */
static int check_page_size(const struct memory *mem, uint64_t page, struct error *err)
{
    for (unsigned i = 0; i < mem->count; i++) {
        if (mem->regions[i].size % page != 0)
            return error_set(err,
                             "%llu KiB of guest memory cannot be made of this host's pages of "
                             "%llu KiB",
                             (unsigned long long)(mem->size / KiB),
                             (unsigned long long)(page / KiB));
    }
    return 0;
}

/* Which of the ways in which a pool can be too small it was. */
static int explain_map(const struct memory *mem, uint64_t huge, int errnum, struct error *err)
{
    long long available = huge ? free_huge_pages(huge) : 0;

    if (!huge)
        return error_set_errno(err, errnum, "map %llu MiB of guest memory", AS_MIB(mem->size));
    if (available < 0)
        return error_set(err, "this host has no huge pages of %llu MiB", AS_MIB(huge));
    return error_set_errno(err, errnum,
                           "take %llu huge pages of %llu MiB for guest memory, of which the host "
                           "has %lld free (vm.nr_hugepages)",
                           (unsigned long long)(mem->size / huge), AS_MIB(huge), available);
}

/* ---- mapping ---- */

/* Address space without anything behind it, aligned. NULL with errno set. */
static uint8_t *reserve(uint64_t size, uint64_t align)
{
    uint64_t span = size + align;
    uint8_t *all = mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint64_t before;

    if (all == MAP_FAILED)
        return NULL;
    before = ALIGN_UP((uintptr_t)all, align) - (uintptr_t)all;
    if (before > 0)
        munmap(all, before);
    if (span - before > size)
        munmap(all + before + size, span - before - size);
    return all + before;
}

/* A memfd of RAM's size that cannot be cut short under us by whoever gets a duplicate. */
static int make_file(uint64_t size, uint64_t huge)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    cleanup_close int fd =
        memfd_create("vole-ram", huge ? flags | MFD_HUGETLB | huge_flag(huge) : flags);

    if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -1;
    return steal_fd(&fd);
}

static int map_over(const struct memory *mem, uint8_t *host, uint64_t huge)
{
    int flags = MAP_FIXED;

    if (mem->fd >= 0)
        flags |= MAP_SHARED;
    else
        flags |= MAP_PRIVATE | MAP_ANONYMOUS | (huge ? MAP_HUGETLB | (int)huge_flag(huge) : 0);
    /* The host may promise more ordinary memory than it has; a pool may not, or a guest would be
     * killed for touching its own RAM. */
    if (!huge)
        flags |= MAP_NORESERVE;
    return mmap(host, mem->size, PROT_READ | PROT_WRITE, flags, mem->fd, 0) == MAP_FAILED ? -1 : 0;
}

/* ---- what is asked for beyond that ---- */

static int prealloc(const struct memory *mem, uint8_t *host, struct error *err)
{
    int r;

    do
        r = madvise(host, mem->size, MADV_POPULATE_WRITE);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        return 0;
    if (errno == EINVAL)
        return error_set(err, "this host's kernel cannot allocate guest memory in advance: that "
                              "needs Linux 5.14");
    return error_set_errno(err, errno, "allocate %llu MiB of guest memory in advance",
                           AS_MIB(mem->size));
}

/* Without `prealloc` pages are locked as they come. */
static int lock(const struct memory *mem, uint8_t *host, struct error *err)
{
    struct rlimit limit;
    int errnum;

    if (mlock2(host, mem->size, MLOCK_ONFAULT) == 0)
        return 0;
    errnum = errno;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        return error_set(err,
                         "cannot lock %llu MiB of guest memory: the limit on locked memory "
                         "(RLIMIT_MEMLOCK, ulimit -l) is %llu KiB",
                         AS_MIB(mem->size), (unsigned long long)(limit.rlim_cur / KiB));
    return error_set_errno(err, errnum, "lock %llu MiB of guest memory", AS_MIB(mem->size));
}

/* The first huge page stays as it is: of that a guest starts with a few pages of boot data, and to
 * zero two megabytes for them would take a good part of the way to its first instruction. */
static void advise_huge(const struct memory *mem, uint8_t *host, bool thp)
{
    uint64_t low = thp ? MIN(mem->size, HUGE_PAGE) : 0;

    /* EINVAL is a kernel built without them: nothing is lost. */
    (void)madvise(host + low, mem->size - low, thp ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

static int advise(const struct memory *mem, uint8_t *host,
                  const struct config_memory_backing *backing, struct error *err)
{
    (void)madvise(host, mem->size, MADV_DONTDUMP);
    if (!backing || backing->hugepages == 0)
        advise_huge(mem, host, !backing || backing->thp);
    if (backing && backing->lock && lock(mem, host, err) < 0)
        return -1;
    return backing && backing->prealloc ? prealloc(mem, host, err) : 0;
}

uint8_t *memory_backing_map(struct memory *mem, const struct config_memory_backing *backing,
                            struct error *err)
{
    uint64_t huge = backing ? backing->hugepages : 0;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint8_t *host;

    mem->fd = -1;
    mem->page = huge ? 0 : page;
    mem->keep = huge || (backing && backing->prealloc);
    if ((huge ? check_huge_size(mem, huge, err) : check_page_size(mem, page, err)) < 0)
        return NULL;
    if (backing && backing->shared) {
        mem->fd = make_file(mem->size, huge);
        if (mem->fd < 0) {
            explain_map(mem, huge, errno, err);
            return NULL;
        }
    }

    host = reserve(mem->size, MAX(huge, HUGE_PAGE));
    if (!host || map_over(mem, host, huge) < 0)
        explain_map(mem, huge, errno, err);
    else if (advise(mem, host, backing, err) == 0)
        return host;
    if (host)
        munmap(host, mem->size);
    if (mem->fd >= 0)
        close(mem->fd);
    mem->fd = -1;
    return NULL;
}

/* ---- giving pages back ---- */

int memory_backing_drop(const struct memory *mem, uint8_t *host, uint64_t len)
{
    if (mem->fd >= 0)
        return fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         host - mem->regions[0].host, (off_t)len);
    if (madvise(host, len, MADV_DONTNEED) == 0)
        return 0;
    return errno == EINVAL ? madvise(host, len, MADV_DONTNEED_LOCKED) : -1;
}
