/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/loader/loader.h"

#include <errno.h>
#include <sys/stat.h>

int image_open(struct image *image, int fd, const char *name, struct error *err)
{
    struct stat st;
    off_t size;
    int r;

    *image = (struct image){.fd = fd, .name = name};
    if (fstat(fd, &st) < 0)
        return error_set_errno(err, errno, "look at `%s`", name);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return error_set(err, "`%s` is neither a file nor a block device", name);
    size = lseek(fd, 0, SEEK_END);
    if (size < 0)
        return error_set_errno(err, errno, "find the size of `%s`", name);
    if (size == 0)
        return error_set(err, "`%s` is empty", name);

    image->size = (uint64_t)size;
    image->head_len = (size_t)MIN(image->size, (uint64_t)IMAGE_HEAD);
    r = pread_full(fd, image->head, image->head_len, 0);
    return r < 0 ? error_set_errno(err, -r, "read `%s`", name) : 0;
}

int initrd_load(const struct image *image, const struct memory *mem, uint64_t floor,
                uint64_t ceiling, uint64_t *gpa, struct error *err)
{
    /* Where RAM goes on, it is the kernel that looks for an initrd no further up. */
    bool is_all = !memory_ptr(mem, ceiling, 1);

    ceiling = ALIGN_DOWN(ceiling, GUEST_PAGE_SIZE);
    floor = ALIGN_UP(floor, GUEST_PAGE_SIZE);
    if (floor > ceiling || image->size > ceiling - floor)
        return error_set(
            err,
            "initrd `%s` does not fit: it has %llu KiB, and behind the kernel there is "
            "room for %llu KiB%s",
            image->name, (unsigned long long)((image->size + KiB - 1) / KiB),
            (unsigned long long)(floor > ceiling ? 0 : (ceiling - floor) / KiB),
            is_all ? "; give the machine more memory" : ", whatever memory the machine has");
    *gpa = ALIGN_DOWN(ceiling - image->size, GUEST_PAGE_SIZE);
    return memory_load(mem, *gpa, image->fd, 0, image->size, image->name, err);
}
