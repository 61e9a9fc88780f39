/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Flat binaries: loaded as they are. */
#include "vmm/loader/loader.h"

int flat_load(const struct image *image, const struct memory *mem, uint64_t gpa, uint64_t max,
              struct error *err)
{
    if (image->size > max)
        return error_set(err, "flat binary `%s` is too large: it has %llu bytes, %llu fit",
                         image->name, (unsigned long long)image->size, (unsigned long long)max);
    return memory_load(mem, gpa, image->fd, 0, image->size, image->name, err);
}
