/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/tap.h"
#include "vmm/memory.h"

#include <fcntl.h>
#include <sys/mman.h>

static const struct memory_region two_regions[] = {
    {.gpa = 0, .size = 64 * KiB},
    {.gpa = 4 * GiB, .size = 128 * KiB},
};

static bool make(struct memory *mem)
{
    struct error err;

    return check(memory_init(mem, two_regions, 2, &err) == 0);
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

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_pointers_stay_inside_a_region),
        TAP(test_regions_do_not_overlap_in_the_host),
        TAP(test_write_is_all_or_nothing),
        TAP(test_load_names_the_file),
        {0},
    });
}
