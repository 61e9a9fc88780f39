/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a kernel file to a machine that is ready for its first instruction: the kernel, its command
 * line and initrd, the ACPI tables, and the hand-over in the form that the kernel's format asks
 * for: boot_params for a bzImage, PVH's start info for an ELF file that has such an entry and
 * boot_params for one that has not, nothing for a flat binary.
 */
#include <elf.h>

#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/acpi.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/devices/power.h"
#include "vmm/loader/bzimage.h"
#include "vmm/loader/loader.h"
#include "vmm/machine_priv.h"

/* ---- the memory map, as both forms of hand-over want it ---- */

enum e820_type {
    E820_RAM = 1,
    E820_RESERVED = 2,
    E820_ACPI = 3,
};

struct map_entry {
    uint64_t start;
    uint64_t size;
    enum e820_type type;
};

#define MAP_ENTRIES 6

static unsigned memory_map(const struct machine *m, struct map_entry *map)
{
    unsigned n = 0;

    map[n++] = (struct map_entry){0, X86_LOW_RAM_END, E820_RAM};
    map[n++] = (struct map_entry){X86_LOW_RAM_END, 0xa0000 - X86_LOW_RAM_END, E820_RESERVED};
    map[n++] = (struct map_entry){X86_ACPI, X86_ACPI_END - X86_ACPI, E820_ACPI};
    map[n++] = (struct map_entry){X86_ACPI_END, X86_HIGH_RAM - X86_ACPI_END, E820_RESERVED};
    map[n++] = (struct map_entry){X86_HIGH_RAM, m->memory.regions[0].size - X86_HIGH_RAM, E820_RAM};
    if (m->memory.count > 1)
        map[n++] =
            (struct map_entry){m->memory.regions[1].gpa, m->memory.regions[1].size, E820_RAM};
    return n;
}

/* ---- what both forms need ---- */

struct boot_files {
    uint64_t initrd; /* guest physical; 0 when there is none */
    uint64_t initrd_size;
    uint64_t rsdp;
};

/*
 * Linux on a hardware-reduced platform without EFI restarts by going back to real mode and jumping
 * to the reset vector, before it thinks of ACPI's reset register. So there is something to jump to:
 * it writes that register.
 */
static int write_reset_vector(const struct machine *m, struct error *err)
{
    static const uint8_t code[] = {
        0xba,
        (X86_PORT_POWER + POWER_RESET) & 0xff,
        (X86_PORT_POWER + POWER_RESET) >> 8, /* mov dx, port */
        0xb0,
        POWER_RESET_VALUE, /* mov al, value */
        0xee,              /* out dx, al */
        0xf4,              /* hlt */
        0xeb,
        0xfd, /* jmp to the hlt */
    };

    return memory_write(&m->memory, X86_RESET_VECTOR, code, sizeof(code)) < 0
               ? error_set(err, "too little memory for the reset vector")
               : 0;
}

static int load_cmdline(const struct machine *m, uint64_t max, struct error *err)
{
    const char *cmdline = m->config->cmdline ? m->config->cmdline : "";
    size_t len = strlen(cmdline);

    if (len > MIN(max, X86_CMDLINE_MAX - 1))
        return error_set(err, "the kernel command line is too long: %zu bytes, %llu fit", len,
                         (unsigned long long)MIN(max, X86_CMDLINE_MAX - 1));
    if (memory_write(&m->memory, X86_CMDLINE, cmdline, len + 1) < 0)
        return error_set(err, "too little memory for the kernel command line");
    return 0;
}

/*
 * Behind the kernel, which has [start, end) while it starts; or, where memory is so little that it
 * does not fit there, before it. `ceiling` is the kernel's own limit.
 */
static int load_initrd(const struct machine *m, uint64_t start, uint64_t end, uint64_t ceiling,
                       struct boot_files *files, struct error *err)
{
    struct image image;
    struct error before;

    if (m->initrd_fd < 0)
        return 0;
    if (image_open(&image, m->initrd_fd, m->config->initrd, err) < 0)
        return -1;
    if (initrd_load(&image, &m->memory, end, MIN(ceiling, m->memory.regions[0].size),
                    &files->initrd, err) < 0 &&
        initrd_load(&image, &m->memory, X86_HIGH_RAM, start, &files->initrd, &before) < 0)
        return -1;
    files->initrd_size = image.size;
    return 0;
}

/* ---- the 64-bit entry: boot_params ("zero page"; Documentation/arch/x86/boot.rst) ---- */

#define LOADER_UNDEFINED 0xff

/* `header` is the kernel's own, or as much as one without needs. */
static int start_by_boot_params(const struct machine *m, const struct setup_header *header,
                                uint64_t address, const struct boot_files *files,
                                struct arch_entry *entry, struct error *err)
{
    struct map_entry map[MAP_ENTRIES];
    struct boot_params *params = memory_ptr(&m->memory, X86_BOOT_PARAMS, sizeof(*params));

    if (!params)
        return error_set(err, "too little memory for the boot data");
    params->hdr = *header;
    params->hdr.type_of_loader = LOADER_UNDEFINED;
    params->hdr.cmd_line_ptr = (uint32_t)X86_CMDLINE;
    params->hdr.ramdisk_image = (uint32_t)files->initrd;
    params->hdr.ramdisk_size = (uint32_t)files->initrd_size;
    params->acpi_rsdp_addr = files->rsdp;
    params->e820_entries = (uint8_t)memory_map(m, map);
    for (unsigned i = 0; i < params->e820_entries; i++) {
        params->e820_table[i].addr = map[i].start;
        params->e820_table[i].size = map[i].size;
        params->e820_table[i].type = map[i].type;
    }
    *entry = (struct arch_entry){
        .mode = X86_MODE_LONG,
        .address = address,
        .argument = X86_BOOT_PARAMS,
    };
    return 0;
}

static int start_bzimage(const struct machine *m, const struct image *image,
                         struct boot_files *files, struct arch_entry *entry, struct error *err)
{
    struct bzimage kernel;

    if (bzimage_load(image, &m->memory, m->memory.regions[0].size, &kernel, err) < 0 ||
        load_cmdline(m, kernel.header.cmdline_size, err) < 0 ||
        load_initrd(m, kernel.load, kernel.end, (uint64_t)kernel.header.initrd_addr_max + 1, files,
                    err) < 0)
        return -1;
    kernel.header.code32_start = (uint32_t)kernel.load;
    return start_by_boot_params(m, &kernel.header, kernel.entry, files, entry, err);
}

/* ---- PVH start info (Xen's public/arch-x86/hvm/start_info.h, version 1) ---- */

#define PVH_MAGIC 0x336ec578

struct pvh_start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t nr_modules;
    uint64_t modlist_paddr;
    uint64_t cmdline_paddr;
    uint64_t rsdp_paddr;
    uint64_t memmap_paddr;
    uint32_t memmap_entries;
    uint32_t reserved;
};

struct pvh_module {
    uint64_t paddr;
    uint64_t size;
    uint64_t cmdline_paddr;
    uint64_t reserved;
};

struct pvh_map_entry {
    uint64_t addr;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
};

struct pvh_data {
    struct pvh_start_info info;
    struct pvh_module initrd;
    struct pvh_map_entry map[MAP_ENTRIES];
};

static int start_by_pvh(const struct machine *m, uint64_t address, const struct boot_files *files,
                        struct arch_entry *entry, struct error *err)
{
    struct map_entry map[MAP_ENTRIES];
    struct pvh_data *pvh = memory_ptr(&m->memory, X86_PVH_INFO, sizeof(*pvh));

    if (!pvh)
        return error_set(err, "too little memory for the boot data");

    pvh->info = (struct pvh_start_info){
        .magic = PVH_MAGIC,
        .version = 1,
        .nr_modules = files->initrd_size ? 1 : 0,
        .modlist_paddr = X86_PVH_INFO + offsetof(struct pvh_data, initrd),
        .cmdline_paddr = X86_CMDLINE,
        .rsdp_paddr = files->rsdp,
        .memmap_paddr = X86_PVH_INFO + offsetof(struct pvh_data, map),
        .memmap_entries = memory_map(m, map),
    };
    pvh->initrd = (struct pvh_module){.paddr = files->initrd, .size = files->initrd_size};
    for (unsigned i = 0; i < pvh->info.memmap_entries; i++)
        pvh->map[i] = (struct pvh_map_entry){map[i].start, map[i].size, map[i].type, 0};
    *entry = (struct arch_entry){
        .mode = X86_MODE_PVH,
        .address = address,
        .argument = X86_PVH_INFO,
    };
    return 0;
}

/* ---- ELF, flat ---- */

static int start_elf(const struct machine *m, const struct image *image, struct boot_files *files,
                     struct arch_entry *entry, struct error *err)
{
    /* An ELF file has lost the header that it had as a bzImage. */
    static const struct setup_header header = {
        .boot_flag = BZIMAGE_BOOT_FLAG,
        .header = BZIMAGE_MAGIC,
        .version = BZIMAGE_PROTOCOL,
        .loadflags = LOADED_HIGH,
        .cmdline_size = X86_CMDLINE_MAX - 1,
        .kernel_alignment = 16 * MiB,
    };
    struct elf_kernel kernel;

    if (elf_load(image, &m->memory, EM_X86_64, X86_HIGH_RAM, &kernel, err) < 0 ||
        load_cmdline(m, X86_CMDLINE_MAX, err) < 0 ||
        load_initrd(m, kernel.start, kernel.end, X86_HOLE_END, files, err) < 0)
        return -1;
    if (kernel.pvh_entry)
        return start_by_pvh(m, kernel.pvh_entry, files, entry, err);
    return start_by_boot_params(m, &header, kernel.entry, files, entry, err);
}

static int start_flat(const struct machine *m, const struct image *image, struct arch_entry *entry,
                      struct error *err)
{
    if (flat_load(image, &m->memory, X86_FLAT, X86_FLAT_MAX, err) < 0)
        return -1;
    *entry = (struct arch_entry){.mode = X86_MODE_REAL, .address = X86_FLAT};
    return 0;
}

int arch_boot_load(struct machine *m, struct arch_entry *entry, struct error *err)
{
    struct boot_files files = {0};
    struct image image;

    if (m->config->flat)
        return image_open(&image, m->kernel_fd, m->config->flat, err) < 0
                   ? -1
                   : start_flat(m, &image, entry, err);

    if (m->memory.regions[0].size < X86_HIGH_RAM + MiB)
        return error_set(err, "too little memory: a kernel needs more than %llu MiB",
                         (unsigned long long)(m->memory.regions[0].size / MiB));
    if (image_open(&image, m->kernel_fd, m->config->kernel, err) < 0 ||
        acpi_write_tables(m, &files.rsdp, err) < 0 || write_reset_vector(m, err) < 0)
        return -1;
    if (bzimage_probe(&image))
        return start_bzimage(m, &image, &files, entry, err);
    if (elf_probe(&image))
        return start_elf(m, &image, &files, entry, err);
    return error_set(err, "`%s` is %s: neither a bzImage nor an ELF file", image.name,
                     image_kind(&image));
}
