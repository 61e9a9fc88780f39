/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernel files, whole, damaged and hostile. They are made here, so that each lie is one line. */
#include "tests/unit/tap.h"
#include "vmm/loader/bzimage.h"
#include "vmm/loader/loader.h"

#include <elf.h>
#include <sys/mman.h>

#define RAM (32 * MiB)

static struct memory mem;
static struct error err;

static void set_up(void)
{
    struct memory_region region = {.gpa = 0, .size = RAM};

    err.msg[0] = '\0';
    check(memory_init(&mem, &region, 1, NULL, &err) == 0);
}

static void tear_down(void)
{
    memory_release(&mem);
}

static int file_of(const void *data, size_t len)
{
    int fd = memfd_create("image", 0);

    check(fd >= 0 && write_full(fd, data, len) == 0);
    return fd;
}

/* ---- bzImage ---- */

#define SETUP_SECTS 3u
#define PM_SIZE     4096u
#define BZ_SIZE     ((SETUP_SECTS + 1) * 512 + PM_SIZE)

static uint8_t bz[BZ_SIZE];

static struct setup_header good_header(void)
{
    return (struct setup_header){
        .setup_sects = SETUP_SECTS,
        .syssize = PM_SIZE / 16,
        .boot_flag = 0xaa55,
        .header = 0x53726448,
        .version = 0x020f,
        .loadflags = LOADED_HIGH,
        .kernel_alignment = 0x200000,
        .relocatable_kernel = 1,
        .xloadflags = XLF_KERNEL_64,
        .pref_address = 0x1000000,
        .init_size = 0x100000,
        .cmdline_size = 2047,
        .initrd_addr_max = 0x7fffffff,
    };
}

static int try_bz(const struct setup_header *h, size_t len, uint64_t ceiling, struct bzimage *out)
{
    struct image image;
    int fd;
    int r;

    memset(bz, 0, sizeof(bz));
    memcpy(bz + 0x1f1, h, sizeof(*h));
    memset(bz + sizeof(bz) - PM_SIZE, 0x90, PM_SIZE);
    fd = file_of(bz, len);
    r = image_open(&image, fd, "kernel", &err);
    if (r == 0)
        r = bzimage_probe(&image) ? bzimage_load(&image, &mem, ceiling, out, &err) : -2;
    close(fd);
    return r;
}

static void test_bzimage(void)
{
    struct setup_header h = good_header();
    struct bzimage out = {0};

    set_up();
    check_int(try_bz(&h, BZ_SIZE, RAM, &out), 0);
    check_int(out.load, 0x1000000);
    check_int(out.entry, 0x1000200);
    check_int(out.end, 0x1100000);
    check_int(*(uint8_t *)memory_ptr(&mem, 0x1000000 + PM_SIZE - 1, 1), 0x90);
    tear_down();
}

/* Nothing below the preferred address would help: that is where it unpacks itself to. */
static void test_bzimage_stays_where_it_asks_to_be(void)
{
    struct setup_header h = good_header();
    struct bzimage out = {0};

    set_up();
    check_int(try_bz(&h, BZ_SIZE, 8 * MiB, &out), -1);
    check(strstr(err.msg, "too little memory for kernel `kernel`") != NULL);
    h.pref_address = 64 * KiB; /* never over the boot data */
    check_int(try_bz(&h, BZ_SIZE, 8 * MiB, &out), 0);
    check_int(out.load, 2 * MiB);
    tear_down();
}

static void test_bzimage_damaged(void)
{
    static const struct {
        const char *says;
        size_t field, size;
        uint64_t value;
        size_t len;
        int result;
    } cases[] = {
#define FIELD(f) offsetof(struct setup_header, f), sizeof(((struct setup_header *)0)->f)
        {"is too old", FIELD(version), 0x020a, BZ_SIZE, -1},
        {"no 64-bit entry", FIELD(xloadflags), 0, BZ_SIZE, -1},
        {"is a zImage", FIELD(loadflags), 0, BZ_SIZE, -1},
        {"truncated", FIELD(syssize), PM_SIZE / 16 + 1, BZ_SIZE, -1},
        {"truncated", FIELD(syssize), UINT32_MAX, BZ_SIZE, -1},
        {"truncated", FIELD(syssize), 0, BZ_SIZE, -1},
        {"truncated", FIELD(setup_sects), 255, BZ_SIZE, -1},
        {"truncated", FIELD(version), 0x020f, BZ_SIZE - 1, -1},
        {"truncated", FIELD(version), 0x020f, 1024, -1},
        {"too little memory", FIELD(init_size), UINT32_MAX, BZ_SIZE, -1},
        {"damaged", FIELD(init_size), 4, BZ_SIZE, -1},
        {"no power of two", FIELD(kernel_alignment), 0x300000, BZ_SIZE, -1},
        {"no power of two", FIELD(kernel_alignment), UINT32_MAX, BZ_SIZE, -1},
        {"", FIELD(header), 0, BZ_SIZE, -2},
        {"", FIELD(boot_flag), 0, BZ_SIZE, -2},
        {"", FIELD(version), 0x020f, 600, -2},
    };
    struct bzimage out;

    set_up();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct setup_header h = good_header();

        memcpy((uint8_t *)&h + cases[i].field, &cases[i].value, cases[i].size);
        if (!check(try_bz(&h, cases[i].len, RAM, &out) == cases[i].result) ||
            (cases[i].result == -1 && !check(strstr(err.msg, cases[i].says) != NULL)))
            printf("# case %zu: %s\n", i, err.msg);
    }
    tear_down();
}

/* Any bytes in the header: an error or a load, never more than what RAM and file hold (ASan). */
static void test_bzimage_random_headers(void)
{
    uint32_t seed = 1;
    struct bzimage out;

    set_up();
    for (int round = 0; round < 3000; round++) {
        struct setup_header h = good_header();

        for (int n = 0; n < 4; n++) {
            seed = seed * 1664525 + 1013904223;
            ((uint8_t *)&h)[(seed >> 8) % sizeof(h)] = (uint8_t)(seed >> 24);
        }
        if (try_bz(&h, BZ_SIZE, RAM, &out) == 0)
            check(out.end <= RAM && out.load >= MiB && out.entry < out.end);
        if (tap_failed_)
            break;
    }
    tear_down();
}

/* ---- ELF ---- */

struct elf_file {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[2];
    struct {
        Elf64_Nhdr head;
        char name[4];
        uint32_t entry;
    } note;
    uint8_t code[64];
};

static struct elf_file good_elf(void)
{
    struct elf_file f = {
        .eh =
            {
                .e_machine = EM_X86_64,
                .e_phoff = offsetof(struct elf_file, ph),
                .e_phentsize = sizeof(Elf64_Phdr),
                .e_phnum = 2,
            },
        .ph =
            {
                {
                    .p_type = PT_LOAD,
                    .p_offset = offsetof(struct elf_file, code),
                    .p_paddr = 0x200000,
                    .p_filesz = 64,
                    .p_memsz = 4096,
                },
                {
                    .p_type = PT_NOTE,
                    .p_offset = offsetof(struct elf_file, note),
                    .p_filesz = sizeof(f.note),
                },
            },
        .note = {{4, 4, 18}, {'X', 'e', 'n', 0}, 0x200010},
    };

    memcpy(f.eh.e_ident, ELFMAG, SELFMAG);
    f.eh.e_ident[EI_CLASS] = ELFCLASS64;
    f.eh.e_ident[EI_DATA] = ELFDATA2LSB;
    memset(f.code, 0xf4, sizeof(f.code));
    return f;
}

static int try_elf(const struct elf_file *f, size_t len, struct elf_kernel *out)
{
    struct image image;
    int fd = file_of(f, len);
    int r = image_open(&image, fd, "kernel", &err);

    if (r == 0)
        r = elf_probe(&image) ? elf_load(&image, &mem, EM_X86_64, MiB, out, &err) : -2;
    close(fd);
    return r;
}

static void test_elf(void)
{
    struct elf_file f = good_elf();
    struct elf_kernel out = {0};

    set_up();
    check_int(try_elf(&f, sizeof(f), &out), 0);
    check_int(out.pvh_entry, 0x200010);
    check_int(out.end, 0x201000);
    check_int(*(uint8_t *)memory_ptr(&mem, 0x20003f, 1), 0xf4);
    check_int(*(uint8_t *)memory_ptr(&mem, 0x200040, 1), 0);
    tear_down();
}

static void expect_elf_error(const struct elf_file *f, size_t len, const char *says)
{
    struct elf_kernel out;

    if (!check(try_elf(f, len, &out) == -1) || !check(strstr(err.msg, says) != NULL))
        printf("# want \"%s\", got \"%s\"\n", says, err.msg);
}

/* Without the note the file's own entry counts, if it lies in what was loaded. */
static void test_elf_64_bit_entry(void)
{
    struct elf_file f = good_elf();
    struct elf_kernel out = {0};

    set_up();
    f.eh.e_entry = 0x200020;
    check_int(try_elf(&f, sizeof(f), &out), 0);
    check_int(out.pvh_entry, 0x200010);
    f.note.head.n_type = 17;
    check_int(try_elf(&f, sizeof(f), &out), 0);
    check_int(out.pvh_entry, 0);
    check_int(out.entry, 0x200020);
    f.eh.e_entry = 0x201000;
    expect_elf_error(&f, sizeof(f), "64-bit entry 0x201000 is not where it was loaded");
    f.eh.e_entry = UINT64_MAX;
    expect_elf_error(&f, sizeof(f), "no PVH entry");
    f.eh.e_entry = 0x1000;
    expect_elf_error(&f, sizeof(f), "no PVH entry");
    f.eh.e_phnum = 0;
    expect_elf_error(&f, sizeof(f), "program headers");
    tear_down();
}

/* Any bytes anywhere: an error or a load whose parts lie in RAM (ASan). */
static void test_elf_random(void)
{
    uint32_t seed = 1;
    struct elf_kernel out;

    set_up();
    for (int round = 0; round < 3000; round++) {
        struct elf_file f = good_elf();

        for (int n = 0; n < 4; n++) {
            seed = seed * 1664525 + 1013904223;
            ((uint8_t *)&f)[(seed >> 8) % sizeof(f)] = (uint8_t)(seed >> 24);
        }
        if (try_elf(&f, sizeof(f), &out) == 0)
            check(out.end <= RAM && (out.pvh_entry ? out.pvh_entry : out.entry) < RAM);
        if (tap_failed_)
            break;
    }
    tear_down();
}

static void test_elf_damaged(void)
{
    struct elf_file f;

    set_up();
    f = good_elf();
    f.eh.e_machine = EM_AARCH64;
    expect_elf_error(&f, sizeof(f), "is an ELF file for aarch64");
    f.eh.e_machine = EM_S390;
    expect_elf_error(&f, sizeof(f), "is an ELF file for another architecture");
    f = good_elf();
    f.eh.e_ident[EI_CLASS] = ELFCLASS32;
    expect_elf_error(&f, sizeof(f), "not a 64-bit");
    f = good_elf();
    f.eh.e_phnum = 0;
    expect_elf_error(&f, sizeof(f), "program headers");
    f = good_elf();
    f.eh.e_phnum = 65535;
    expect_elf_error(&f, sizeof(f), "program headers");
    f = good_elf();
    f.eh.e_phoff = UINT64_MAX - 8;
    expect_elf_error(&f, sizeof(f), "truncated");
    f = good_elf();
    expect_elf_error(&f, offsetof(struct elf_file, code) + 63, "truncated");
    f = good_elf();
    f.ph[0].p_filesz = UINT64_MAX;
    expect_elf_error(&f, sizeof(f), "truncated or damaged");
    f = good_elf();
    f.ph[0].p_offset = UINT64_MAX - 16;
    expect_elf_error(&f, sizeof(f), "truncated or damaged");
    f = good_elf();
    f.ph[0].p_paddr = RAM - 16;
    expect_elf_error(&f, sizeof(f), "does not fit");
    f = good_elf();
    f.ph[0].p_paddr = 0x7000;
    expect_elf_error(&f, sizeof(f), "where the boot data is");
    f = good_elf();
    f.ph[0].p_memsz = UINT64_MAX;
    expect_elf_error(&f, sizeof(f), "does not fit");
    f = good_elf();
    f.note.head.n_type = 17;
    expect_elf_error(&f, sizeof(f), "no PVH entry");
    f = good_elf();
    f.note.head.n_namesz = UINT32_MAX;
    expect_elf_error(&f, sizeof(f), "no PVH entry");
    f = good_elf();
    f.note.head.n_descsz = UINT32_MAX - 2;
    expect_elf_error(&f, sizeof(f), "no PVH entry");
    f = good_elf();
    f.note.entry = 0xfffffff0;
    expect_elf_error(&f, sizeof(f), "not in memory");
    tear_down();
}

/* ---- the rest ---- */

static void test_initrd(void)
{
    static uint8_t data[10000];
    int fd = file_of(data, sizeof(data));
    struct image image;
    uint64_t gpa = 0;

    set_up();
    check_int(image_open(&image, fd, "initrd", &err), 0);
    check_int(initrd_load(&image, &mem, 8 * MiB, RAM, &gpa, &err), 0);
    check_int(gpa, RAM - 12288);
    check_int(initrd_load(&image, &mem, RAM - 8192, RAM, &gpa, &err), -1);
    check_str(err.msg,
              "initrd `initrd` does not fit: it has 10 KiB, and behind the kernel there is "
              "room for 8 KiB; give the machine more memory");
    check_int(initrd_load(&image, &mem, RAM, 8 * MiB, &gpa, &err), -1);
    check_str(err.msg,
              "initrd `initrd` does not fit: it has 10 KiB, and behind the kernel there is "
              "room for 0 KiB, whatever memory the machine has");
    close(fd);
    tear_down();
}

static void test_images_that_are_none(void)
{
    struct image image;
    int fds[2];
    int fd = file_of("", 0);

    set_up();
    check_int(image_open(&image, fd, "kernel", &err), -1);
    check_str(err.msg, "`kernel` is empty");
    close(fd);
    check_int(pipe(fds), 0);
    check_int(image_open(&image, fds[0], "kernel", &err), -1);
    check_str(err.msg, "`kernel` is neither a file nor a block device");
    close(fds[0]);
    close(fds[1]);
    fd = file_of("123456789", 9);
    check_int(image_open(&image, fd, "flat", &err), 0);
    check_int(flat_load(&image, &mem, 0x1000, 8, &err), -1);
    check(strstr(err.msg, "too large") != NULL);
    check_int(flat_load(&image, &mem, 0x1000, 9, &err), 0);
    check(!bzimage_probe(&image) && !elf_probe(&image));
    close(fd);
    tear_down();
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_bzimage),
        TAP(test_bzimage_stays_where_it_asks_to_be),
        TAP(test_bzimage_damaged),
        TAP(test_bzimage_random_headers),
        TAP(test_elf),
        TAP(test_elf_64_bit_entry),
        TAP(test_elf_random),
        TAP(test_elf_damaged),
        TAP(test_initrd),
        TAP(test_images_that_are_none),
        {0},
    });
}
