/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/tap.h"
#include "vmm/config.h"
#include "vmm/memory.h"

#include <sys/mman.h>

static const struct memory_region two_regions[] = {
    {.gpa = 0, .size = 64 * KiB},
    {.gpa = 4 * GiB, .size = 128 * KiB},
};

static bool make(struct memory *mem)
{
    struct error err;

    return check(memory_init(mem, two_regions, 2, NULL, &err) == 0);
}

static void test_pointers_stay_inside_a_region(void)
{
    struct memory mem;
    static const struct {
        uint64_t gpa, len;
        bool ok;
    } cases[] = {
        {0, 1, true},
        {0, 64 * KiB, true},
        {0, 64 * KiB + 1, false},
        {64 * KiB - 1, 1, true},
        {64 * KiB - 1, 2, false},
        {64 * KiB, 1, false},
        {64 * KiB, 0, false},
        {0, 0, true},
        {4 * GiB - 1, 2, false},
        {4 * GiB, 128 * KiB, true},
        {4 * GiB + 128 * KiB - 8, 8, true},
        {4 * GiB + 128 * KiB - 8, 9, false},
        /* the end wraps */
        {UINT64_MAX, 1, false},
        {UINT64_MAX - 7, 16, false},
        {1, UINT64_MAX, false},
        {4 * GiB, UINT64_MAX - 4 * GiB, false},
        {4 * GiB + 1, UINT64_MAX, false},
    };

    if (!make(&mem))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if ((memory_ptr(&mem, cases[i].gpa, cases[i].len) != NULL) != cases[i].ok) {
            printf("# case %zu: 0x%llx + 0x%llx\n", i, (unsigned long long)cases[i].gpa,
                   (unsigned long long)cases[i].len);
            check(false);
        }
    }
    memory_release(&mem);
}

static void test_regions_do_not_overlap_in_the_host(void)
{
    struct memory mem;
    uint8_t *low;
    uint8_t *high;

    if (!make(&mem))
        return;
    low = memory_ptr(&mem, 0, 64 * KiB);
    high = memory_ptr(&mem, 4 * GiB, 128 * KiB);
    memset(low, 0x11, 64 * KiB);
    memset(high, 0x22, 128 * KiB);
    check_int(low[64 * KiB - 1], 0x11);
    check_int(high[0], 0x22);
    memory_discard(&mem);
    check_int(low[64 * KiB - 1], 0);
    check_int(high[128 * KiB - 1], 0);
    memory_release(&mem);
}

static void test_write_is_all_or_nothing(void)
{
    struct memory mem;
    uint8_t *p;

    if (!make(&mem))
        return;
    p = memory_ptr(&mem, 64 * KiB - 4, 4);
    check_int(memory_write(&mem, 64 * KiB - 4, "abcdefgh", 8), -1);
    check_int(p[0], 0);
    check_int(memory_write(&mem, 64 * KiB - 4, "abcd", 4), 0);
    check_int(p[3], 'd');
    memory_release(&mem);
}

static void test_load_names_the_file(void)
{
    struct memory mem;
    struct error err = {""};
    int fd = memfd_create("image", 0);

    if (!make(&mem))
        return;
    check_int(write(fd, "0123456789", 10), 10);
    check_int(memory_load(&mem, 0x100, fd, 2, 4, "image", &err), 0);
    check(memcmp(memory_ptr(&mem, 0x100, 4), "2345", 4) == 0);
    check_int(memory_load(&mem, 0x100, fd, 2, 9, "image", &err), -1);
    check_str(err.msg, "`image` is truncated");
    check_int(memory_load(&mem, 64 * KiB - 2, fd, 0, 4, "image", &err), -1);
    check(strstr(err.msg, "`image` does not fit") != NULL);
    close(fd);
    memory_release(&mem);
}

/* ---- backings ---- */

#define PAGES 32u /* of the upper region */

static unsigned resident_pages(const struct memory *mem)
{
    unsigned char present[PAGES];
    unsigned count = 0;

    if (!check(mincore(mem->regions[1].host, PAGES * GUEST_PAGE_SIZE, present) == 0))
        return 0;
    for (unsigned i = 0; i < PAGES; i++)
        count += present[i] & 1;
    return count;
}

/* Writes to all of the upper region, gives a range of it back, and says how many pages are left. */
static unsigned left_after_release(struct memory *mem, uint64_t offset, uint64_t len)
{
    memset(mem->regions[1].host, 0x55, PAGES * GUEST_PAGE_SIZE);
    check_int(resident_pages(mem), PAGES);
    check_int(memory_release_range(mem, 4 * GiB + offset, len), 0);
    return resident_pages(mem);
}

static void check_release(struct memory *mem)
{
    check_int(left_after_release(mem, 0, 4 * GUEST_PAGE_SIZE), PAGES - 4);
    check_int(mem->regions[1].host[0], 0);
    check_int(mem->regions[1].host[4 * GUEST_PAGE_SIZE], 0x55);
    /* Only what lies wholly in the range. */
    check_int(left_after_release(mem, 1, 4 * GUEST_PAGE_SIZE), PAGES - 3);
    check_int(mem->regions[1].host[0], 0x55);
    check_int(left_after_release(mem, 1, GUEST_PAGE_SIZE), PAGES);
    check_int(left_after_release(mem, 8, 16), PAGES);
    check_int(left_after_release(mem, 0, 0), PAGES);
    check_int(left_after_release(mem, 0, PAGES * GUEST_PAGE_SIZE), 0);
    check_int(memory_release_range(mem, 64 * KiB, GUEST_PAGE_SIZE), -1);
    check_int(memory_release_range(mem, 4 * GiB, (PAGES + 1) * GUEST_PAGE_SIZE), -1);
    check_int(memory_release_range(mem, UINT64_MAX, 2), -1);
}

static void check_discard(struct memory *mem, unsigned left)
{
    memset(mem->regions[0].host, 0x11, mem->regions[0].size);
    memset(mem->regions[1].host, 0x22, mem->regions[1].size);
    memory_discard(mem);
    /* Looked at before it is read, which makes pages of holes. */
    check_int(resident_pages(mem), left);
    for (unsigned r = 0; r < 2; r++)
        for (uint64_t i = 0; i < mem->regions[r].size; i++)
            if (!check(mem->regions[r].host[i] == 0))
                return;
}

static void test_backings(void)
{
    static const struct config_memory_backing backings[] = {
        {.thp = false}, {.thp = true},      {.shared = true},
        {.lock = true}, {.prealloc = true}, {.shared = true, .prealloc = true, .lock = true},
    };
    struct memory mem;
    struct error err;

    if (tap_skip_emulated("the emulator does not tell which pages are there"))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
        const struct config_memory_backing *b = &backings[i];

        if (!check(memory_init(&mem, two_regions, 2, b, &err) == 0)) {
            printf("# backing %zu: %s\n", i, err.msg);
            continue;
        }
        check_int(mem.fd >= 0, b->shared);
        check_int(resident_pages(&mem), b->prealloc ? PAGES : 0);
        check_release(&mem);
        check_discard(&mem, b->prealloc ? PAGES : 0);
        memory_release(&mem);
    }
}

/* Of a host with pages of 64 KiB, all of which would go for a guest's 4 KiB. */
static void test_larger_pages_of_the_host(void)
{
    const struct memory_region region = {.gpa = 1 * GiB, .size = 256 * KiB};
    struct memory mem;
    struct error err;
    uint8_t *host;

    if (!check(memory_init(&mem, &region, 1, NULL, &err) == 0))
        return;
    mem.page = 64 * KiB;
    host = mem.regions[0].host;
    memset(host, 0x55, region.size);
    check_int(memory_release_range(&mem, region.gpa + 64 * KiB, GUEST_PAGE_SIZE), 0);
    check_int(memory_release_range(&mem, region.gpa + 4 * KiB, 64 * KiB), 0);
    for (uint64_t i = 0; i < region.size; i += GUEST_PAGE_SIZE)
        check_int(host[i], 0x55);
    check_int(memory_release_range(&mem, region.gpa + 60 * KiB, 72 * KiB), 0);
    for (uint64_t i = 0; i < region.size; i += GUEST_PAGE_SIZE)
        check_int(host[i], i / (64 * KiB) == 1 ? 0 : 0x55);
    memory_release(&mem);
}

static void test_part_of_a_page_is_none(void)
{
    const struct memory_region region = {.gpa = 0, .size = 18 * KiB};
    struct memory mem;
    struct error err = {""};

    check_int(memory_init(&mem, &region, 1, NULL, &err), -1);
    check(strstr(err.msg, "18 KiB of guest memory cannot be made of this host's pages") != NULL);
}

/* Another process sees the same bytes, and cannot take the memory away. */
static void test_shared_memory_is_shared(void)
{
    static const struct config_memory_backing backing = {.shared = true};
    struct memory mem;
    struct error err;
    uint8_t *other;

    if (!check(memory_init(&mem, two_regions, 2, &backing, &err) == 0))
        return;
    other = mmap(NULL, mem.size, PROT_READ | PROT_WRITE, MAP_SHARED, mem.fd, 0);
    if (check(other != MAP_FAILED)) {
        check_int(memory_write(&mem, 4 * GiB, "abc", 3), 0);
        check(memcmp(other + 64 * KiB, "abc", 3) == 0);
        munmap(other, mem.size);
    }
    check(ftruncate(mem.fd, 0) < 0);
    memory_release(&mem);
}

static void expect_backing_error(uint64_t hugepages, const char *says)
{
    const struct config_memory_backing backing = {.hugepages = hugepages};
    const struct memory_region region = {.gpa = 0, .size = 8 * MiB};
    struct memory mem;
    struct error err = {""};

    if (!check(memory_init(&mem, &region, 1, &backing, &err) == -1) ||
        !check(strstr(err.msg, says) != NULL))
        printf("# want \"%s\", got \"%s\"\n", says, err.msg);
}

static void test_huge_pages_that_are_none(void)
{
    expect_backing_error(3 * MiB, "not a power of two");
    expect_backing_error(4 * MiB, "this host has no huge pages of 4 MiB");
    expect_backing_error(1 * GiB, "cannot be made of huge pages of 1024 MiB");
}

/* Where the host's pool has too few, it is said how many; elsewhere RAM is made of them. */
static void test_huge_pages(void)
{
    const struct memory_region region = {.gpa = 0, .size = 4 * MiB};
    struct config_memory_backing backing = {.hugepages = 2 * MiB};
    struct memory mem;
    struct error err = {""};
    FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
    int available = -1;

    if (f) {
        check_int(fscanf(f, "%d", &available), 1);
        fclose(f);
    }
    for (int shared = 0; shared < 2; shared++) {
        int r;

        backing.shared = shared;
        r = memory_init(&mem, &region, 1, &backing, &err);
        check_int(r, available >= 2 ? 0 : -1);
        if (r < 0) {
            check(strstr(err.msg, available < 0 ? "no huge pages of 2 MiB"
                                                : "take 2 huge pages of 2 MiB") != NULL);
            continue;
        }
        memset(mem.regions[0].host, 0x33, 4 * MiB);
        check_int(memory_release_range(&mem, 0, 4 * MiB), 0);
        memory_discard(&mem);
        check_int(mem.regions[0].host[4 * MiB - 1], 0);
        memory_release(&mem);
    }
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_pointers_stay_inside_a_region),
        TAP(test_regions_do_not_overlap_in_the_host),
        TAP(test_write_is_all_or_nothing),
        TAP(test_load_names_the_file),
        TAP(test_backings),
        TAP(test_larger_pages_of_the_host),
        TAP(test_part_of_a_page_is_none),
        TAP(test_shared_memory_is_shared),
        TAP(test_huge_pages_that_are_none),
        TAP(test_huge_pages),
        {0},
    });
}
