/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/loader/dt_writer.h"

#include <assert.h>
#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>

static void keep(struct dt_writer *w, int r)
{
    if (!w->failed)
        w->failed = r;
}

/* ---- the tree ---- */

void dt_start(struct dt_writer *w, void *buf, size_t size)
{
    *w = (struct dt_writer){.buf = buf, .size = size};
    keep(w, fdt_create(buf, (int)size));
    keep(w, fdt_finish_reservemap(buf));
    dt_begin(w, "%s", "");
    dt_cell(w, "#address-cells", 2);
    dt_cell(w, "#size-cells", 2);
}

int dt_finish(struct dt_writer *w, struct error *err)
{
    dt_end(w);
    keep(w, fdt_finish(w->buf));
    if (w->failed)
        return error_set(err, "the device tree does not fit into %zu KiB (%s)", w->size / KiB,
                         fdt_strerror(w->failed));
    return (int)fdt_totalsize(w->buf);
}

void dt_begin(struct dt_writer *w, const char *fmt, ...)
{
    char name[64];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    keep(w, fdt_begin_node(w->buf, name));
}

void dt_end(struct dt_writer *w)
{
    keep(w, fdt_end_node(w->buf));
}

/* ---- properties ---- */

void dt_bytes(struct dt_writer *w, const char *name, const void *data, size_t len)
{
    keep(w, fdt_property(w->buf, name, data, (int)len));
}

void dt_flag(struct dt_writer *w, const char *name)
{
    dt_bytes(w, name, NULL, 0);
}

void dt_text(struct dt_writer *w, const char *name, const char *value)
{
    dt_bytes(w, name, value, strlen(value) + 1);
}

void dt_cell(struct dt_writer *w, const char *name, uint32_t value)
{
    keep(w, fdt_property_u32(w->buf, name, value));
}

void dt_cells(struct dt_writer *w, const char *name, const uint32_t *values, size_t count)
{
    fdt32_t data[DT_MAX_CELLS];

    assert(count <= DT_MAX_CELLS);
    for (size_t i = 0; i < count; i++)
        data[i] = cpu_to_fdt32(values[i]);
    dt_bytes(w, name, data, count * sizeof(data[0]));
}

void dt_range(struct dt_writer *w, const char *name, uint64_t base, uint64_t size)
{
    DT_CELLS(w, name, DT_HIGH(base), DT_LOW(base), DT_HIGH(size), DT_LOW(size));
}

/* ---- common nodes ---- */

int dt_chosen_seed(struct dt_chosen *c, struct error *err)
{
    if (getrandom(c->rng_seed, sizeof(c->rng_seed), 0) != sizeof(c->rng_seed) ||
        getrandom(&c->kaslr_seed, sizeof(c->kaslr_seed), 0) != sizeof(c->kaslr_seed))
        return error_set_errno(err, errno, "get random numbers for the guest");
    return 0;
}

void dt_chosen(struct dt_writer *w, const struct dt_chosen *c, const char *console)
{
    uint64_t end_of_initrd = c->initrd + c->initrd_size;

    dt_begin(w, "chosen");
    dt_text(w, "bootargs", c->cmdline);
    if (console)
        dt_text(w, "stdout-path", console);
    dt_bytes(w, "rng-seed", c->rng_seed, sizeof(c->rng_seed));
    DT_CELLS(w, "kaslr-seed", DT_HIGH(c->kaslr_seed), DT_LOW(c->kaslr_seed));
    if (c->initrd_size) {
        DT_CELLS(w, "linux,initrd-start", DT_HIGH(c->initrd), DT_LOW(c->initrd));
        DT_CELLS(w, "linux,initrd-end", DT_HIGH(end_of_initrd), DT_LOW(end_of_initrd));
    }
    dt_end(w);
}

void dt_memory(struct dt_writer *w, uint64_t base, uint64_t size)
{
    dt_begin(w, "memory@%llx", (unsigned long long)base);
    dt_text(w, "device_type", "memory");
    dt_range(w, "reg", base, size);
    dt_end(w);
}
