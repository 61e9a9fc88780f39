/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The flattened device tree (Devicetree Specification 0.4; bindings are Linux's) that tells an
 * arm64 guest all there is. This knows nothing of a machine: what it describes is handed to it.
 */
#ifndef VOLE_ARCH_AARCH64_DEVTREE_H
#define VOLE_ARCH_AARCH64_DEVTREE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/loader/dt_writer.h"
#include "vmm/util.h"

enum gic_version {
    GIC_V2 = 2,
    GIC_V3 = 3,
};

struct devtree_virtio {
    uint64_t base;
    uint64_t size;
    uint32_t spi;
};

struct devtree {
    unsigned cpus;
    unsigned cores;   /* a socket */
    unsigned threads; /* a core */
    enum gic_version gic;
    bool has_its;
    bool has_pmu;

    uint64_t memory; /* bytes of RAM, from ARM64_RAM on */
    struct dt_chosen chosen;

    bool has_uart;
    bool has_rtc;
    bool has_pvpanic;
    bool has_genid;
    const struct devtree_virtio *virtio;
    unsigned virtio_count;
};

/* More than the largest tree takes. The boot protocol allows 2 MiB. */
#define DEVTREE_MAX (512 * KiB)

/* Writes it into `buf`. Its size, or -1 with `err` where it does not fit. */
int devtree_write(const struct devtree *dt, void *buf, size_t size, struct error *err);

#endif
