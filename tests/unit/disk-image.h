/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image file for the tests of disks. */
#ifndef VOLE_TESTS_DISK_IMAGE_H
#define VOLE_TESTS_DISK_IMAGE_H

#include <sys/stat.h>

#include "tests/unit/tap.h"
#include "vmm/backend/disk_priv.h"

static char path[64];
static struct error err;

static inline void make_image(uint64_t size)
{
    int fd;

    snprintf(path, sizeof(path), "/tmp/vole-disk-XXXXXX");
    fd = mkstemp(path);
    check(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    close(fd);
}

static inline void remove_image(void)
{
    check_int(unlink(path), 0);
}

static inline struct disk *open_image(const char *source, bool readonly)
{
    return disk_open(&(struct disk_options){.source = source, .readonly = readonly}, &err);
}

#endif
