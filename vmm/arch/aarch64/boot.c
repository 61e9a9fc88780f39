/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a kernel file to a machine that is ready for its first instruction
 * (Documentation/arm64/booting.rst): the kernel at the beginning of RAM, the initrd at the end of
 * the part that the kernel can reach early, the device tree below it.
 */
#include "vmm/arch/aarch64/layout.h"
#include "vmm/arch/aarch64/platform.h"
#include "vmm/arch/arch.h"
#include "vmm/loader/arm64.h"
#include "vmm/loader/loader.h"

#define CMDLINE_MAX       2047 /* of Linux' COMMAND_LINE_SIZE */
#define DEVTREE_ALIGNMENT (64 * KiB)

static int load_initrd(const struct machine *m, uint64_t floor, uint64_t ceiling,
                       struct dt_chosen *chosen, struct error *err)
{
    struct image image;

    if (m->initrd_fd < 0)
        return 0;
    if (image_open(&image, m->initrd_fd, m->config->initrd, err) < 0 ||
        initrd_load(&image, &m->memory, floor, ceiling, &chosen->initrd, err) < 0)
        return -1;
    chosen->initrd_size = image.size;
    return 0;
}

/* Between the kernel and `ceiling`. */
static int load_devtree(const struct machine *m, const struct devtree *dt, uint64_t floor,
                        uint64_t ceiling, uint64_t *gpa, struct error *err)
{
    cleanup_free void *tree = xcalloc(1, DEVTREE_MAX);
    int size = devtree_write(dt, tree, DEVTREE_MAX, err);

    if (size < 0)
        return -1;
    *gpa = ALIGN_DOWN(ceiling - (uint64_t)size, DEVTREE_ALIGNMENT);
    if (*gpa < floor || *gpa > ceiling || memory_write(&m->memory, *gpa, tree, (uint64_t)size) < 0)
        return error_set(err, "too little memory for the device tree (%d KiB)", size / 1024 + 1);
    return 0;
}

static unsigned list_virtio(const struct machine *m, struct devtree_virtio *virtio)
{
    for (unsigned i = 0; i < m->virtio_count; i++) {
        struct arch_virtio_slot slot = arch_virtio_slot(i);

        virtio[i] = (struct devtree_virtio){slot.base, VIRTIO_MMIO_SIZE, slot.gsi};
    }
    return m->virtio_count;
}

static int load_all(struct machine *m, const struct image *image, struct devtree *dt,
                    struct arch_entry *entry, struct error *err)
{
    const struct memory_region *ram = &m->memory.regions[0];
    uint64_t ceiling = ram->gpa + MIN(ram->size, ARM64_EARLY_WINDOW);
    struct arm64_kernel kernel;
    uint64_t tree;

    if (arm64_load(image, &m->memory, ram->gpa, &kernel, err) < 0 ||
        load_initrd(m, kernel.end, ceiling, &dt->chosen, err) < 0)
        return -1;
    ceiling = dt->chosen.initrd_size ? dt->chosen.initrd : ceiling;
    if (load_devtree(m, dt, kernel.end, ceiling, &tree, err) < 0)
        return -1;
    *entry = (struct arch_entry){.address = kernel.load, .argument = tree};
    return 0;
}

int arch_boot_load(struct machine *m, struct arch_entry *entry, struct error *err)
{
    const struct config *c = m->config;
    struct devtree_virtio virtio[MACHINE_MAX_VIRTIO];
    struct devtree dt = {
        .cpus = c->cpus,
        .cores = c->topology.cores,
        .threads = c->topology.threads,
        .gic = m->platform->gic,
        .has_its = m->platform->its_fd >= 0,
        .has_pmu = arm64_has_pmu(m),
        .memory = m->memory.size,
        .chosen.cmdline = c->cmdline ? c->cmdline : "",
        .has_uart = m->platform->uart != NULL,
        .has_rtc = m->platform->rtc != NULL,
        .has_pvpanic = m->platform->pvpanic != NULL,
        .has_genid = m->platform->genid != NULL,
        .virtio = virtio,
        .virtio_count = list_virtio(m, virtio),
    };
    struct image image;

    if (strlen(dt.chosen.cmdline) > CMDLINE_MAX)
        return error_set(err, "the kernel command line is too long: %zu bytes, %d fit",
                         strlen(dt.chosen.cmdline), CMDLINE_MAX);
    if (image_open(&image, m->kernel_fd, c->kernel, err) < 0 || dt_chosen_seed(&dt.chosen, err) < 0)
        return -1;
    if (!arm64_probe(&image))
        return error_set(err, "`%s` is %s: no Image for arm64", image.name, image_kind(&image));
    return load_all(m, &image, &dt, entry, err);
}
