/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernels for arm64 in all their packings, whole, damaged and hostile; and what is said of files
 * that are something else. They are made here, so that each lie is one line. */
#include <elf.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/unit/tap.h"
#include "vmm/loader/arm64.h"

#define BASE UINT64_C(0x40000000)
#define RAM  (8 * MiB)

#define FILE_SIZE  (256 * KiB) /* of the kernel, unpacked */
#define IMAGE_SIZE (1 * MiB)   /* with its zeroed part */

static struct memory mem;
static struct error err;
static uint8_t kernel[FILE_SIZE];
static uint8_t packed[FILE_SIZE + 64 * KiB];

static void put(void *at, uint64_t value, size_t size)
{
    memcpy(at, &value, size);
}

static void put_bytes(void *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
}

/* Bytes that do not compress away, a header, and an EFI header with one section up to the end. */
static void make_kernel(void)
{
    uint32_t x = 1;

    for (size_t i = 0; i < FILE_SIZE; i++)
        kernel[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
    memset(kernel, 0, 0x200);
    put(kernel + 16, IMAGE_SIZE, 8);
    put(kernel + 24, 0xa, 8);
    put_bytes(kernel + 0x38, "ARM\x64", 4);
    put(kernel + 0x3c, 0x40, 4);
    put_bytes(kernel + 0x40, "PE\0\0", 4);
    put(kernel + 0x46, 1, 2);                           /* sections */
    put(kernel + 0x54, 0xa0, 2);                        /* of the optional header */
    put(kernel + 0x58 + 0xa0 + 16, FILE_SIZE - KiB, 4); /* the section's size */
    put(kernel + 0x58 + 0xa0 + 20, KiB, 4);             /* and place */
}

static size_t pack_gzip(void *out, size_t size)
{
    z_stream z = {.next_in = kernel, .avail_in = FILE_SIZE, .next_out = out};

    z.avail_out = (uInt)size;
    check_int(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    check_int(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

static size_t pack_zstd(void *out, size_t size)
{
    size_t n = ZSTD_compress(out, size, kernel, FILE_SIZE, 1);

    check(!ZSTD_isError(n));
    return n;
}

/* The payload behind a header of 512 bytes, and the length that the kernel's build appends. */
static size_t pack_zboot(const char *compression, size_t (*pack)(void *out, size_t size))
{
    size_t n = pack(packed + 512, sizeof(packed) - 1024);

    memset(packed, 0, 512);
    put_bytes(packed, "MZ", 2);
    put_bytes(packed + 4, "zimg", 4);
    put(packed + 8, 512, 4);
    put(packed + 12, n, 4);
    put_bytes(packed + 24, compression, strlen(compression));
    memset(packed + 512 + n, 0xff, 16);
    return 512 + n + 16;
}

static int try_load(const void *data, size_t len, struct arm64_kernel *out)
{
    struct memory_region region = {.gpa = BASE, .size = RAM};
    int fd = memfd_create("image", 0);
    struct image image;
    int r;

    err.msg[0] = '\0';
    check_int(memory_init(&mem, &region, 1, NULL, &err), 0);
    check(fd >= 0 && write_full(fd, data, len) == 0);
    r = image_open(&image, fd, "kernel", &err);
    if (r == 0)
        r = arm64_probe(&image) ? arm64_load(&image, &mem, BASE, out, &err) : -2;
    close(fd);
    return r;
}

static void check_loads(const void *data, size_t len)
{
    struct arm64_kernel out = {0};

    check_int(try_load(data, len, &out), 0);
    check_str(err.msg, "");
    check_int(out.load, BASE);
    check_int(out.end, BASE + IMAGE_SIZE);
    check_int(memcmp(memory_ptr(&mem, BASE, FILE_SIZE), kernel, FILE_SIZE), 0);
    memory_release(&mem);
}

static void check_refused(const void *data, size_t len, const char *says)
{
    struct arm64_kernel out = {0};

    check_int(try_load(data, len, &out), -1);
    check_str(err.msg, says);
    memory_release(&mem);
}

static void test_packings(void)
{
    make_kernel();
    check_loads(kernel, FILE_SIZE);
    check_loads(packed, pack_gzip(packed, sizeof(packed)));
    check_loads(packed, pack_zboot("gzip", pack_gzip));
    check_loads(packed, pack_zboot("zstd", pack_zstd));
}

static void test_place(void)
{
    struct arm64_kernel out = {0};

    make_kernel();
    put(kernel + 8, 0x80000, 8);
    check_int(try_load(kernel, FILE_SIZE, &out), 0);
    check_int(out.load, BASE + 0x80000);
    check_int(out.end, BASE + 0x80000 + IMAGE_SIZE);
    memory_release(&mem);
}

static void test_headers_that_lie(void)
{
    static const struct {
        size_t field, size;
        uint64_t value;
        const char *says;
    } cases[] = {
        {16, 8, 0, "kernel `kernel` is too old: Linux 3.17 or newer is needed"},
        {16, 8, 8, "kernel `kernel` is damaged: it has no room for itself"},
        {16, 8, KiB, "kernel `kernel` is damaged: it is larger than the room it asks for"},
        {16, 8, 9 * MiB, "too little memory for kernel `kernel`: it needs 10 MiB"},
        {16, 8, UINT64_MAX, "too little memory for kernel `kernel`: it needs 17592186044416 MiB"},
        {8, 8, 2 * MiB,
         "kernel `kernel` is damaged: it wants to lie 0x200000 bytes behind its "
         "place"},
        {24, 8, 0xb, "kernel `kernel` is a big-endian one"},
        {0x54 + 4 + 0xa0 + 16, 4, FILE_SIZE, "kernel `kernel` is truncated"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        make_kernel();
        put(kernel + cases[i].field, cases[i].value, cases[i].size);
        check_refused(kernel, FILE_SIZE, cases[i].says);
    }
}

/* Of the EFI header nothing is believed. */
static void test_efi_headers_that_lie(void)
{
    static const struct {
        size_t field, size;
        uint64_t value;
    } cases[] = {
        {0x3c, 4, UINT32_MAX}, {0x3c, 4, FILE_SIZE - 4},
        {0x54, 2, UINT16_MAX}, {0x46, 2, UINT16_MAX},
        {0x3c, 4, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arm64_kernel out = {0};

        make_kernel();
        memset(kernel + 0x200, 0, FILE_SIZE - 0x200);
        put(kernel + cases[i].field, cases[i].value, cases[i].size);
        check_int(try_load(kernel, FILE_SIZE, &out), 0);
        memory_release(&mem);
    }
}

static void test_truncated(void)
{
    size_t len;

    make_kernel();
    check_refused(kernel, FILE_SIZE - 1, "kernel `kernel` is truncated");
    len = pack_gzip(packed, sizeof(packed));
    check_refused(packed, len - 100, "`kernel` is truncated: its compressed part has no end");
    check_refused(packed, 12, "`kernel` is truncated: its compressed part has no end");
    len = pack_zboot("zstd", pack_zstd);
    check_refused(packed, len - 100,
                  "kernel `kernel` is truncated or damaged: its payload lies outside of it");
    put(packed + 12, len - 700, 4);
    check_refused(packed, len, "`kernel` is truncated: its compressed part has no end");
}

static void test_damaged(void)
{
    size_t len;

    make_kernel();
    len = pack_gzip(packed, sizeof(packed));
    packed[len - 6] ^= 1; /* its checksum */
    check_refused(packed, len, "`kernel` is damaged: it does not unpack (incorrect data check)");
    len = pack_zboot("zstd", pack_zstd);
    packed[512] ^= 1;
    check_refused(packed, len,
                  "`kernel` is damaged: it does not unpack (Unknown frame descriptor)");
    len = pack_zboot("lzma", pack_gzip);
    check_refused(packed, len,
                  "kernel `kernel` is compressed by lzma, and only gzip and zstd are known");
    put(packed + 8, UINT32_MAX, 4);
    check_refused(packed, len,
                  "kernel `kernel` is truncated or damaged: its payload lies outside of it");
    put(kernel + 0x38, 0, 4);
    len = pack_gzip(packed, sizeof(packed));
    check_refused(packed, len, "what `kernel` unpacks to is no arm64 kernel");
}

/* A few bytes that would become more than all memory. */
static void test_more_than_it_says(void)
{
    z_stream z = {.next_out = packed, .avail_out = sizeof(packed)};
    static uint8_t zeroes[64 * KiB];

    make_kernel();
    put(kernel + 0x3c, 0, 4);
    z.next_in = kernel;
    z.avail_in = 64;
    check_int(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    check_int(deflate(&z, Z_NO_FLUSH), Z_OK);
    for (unsigned i = 0; i < 200; i++) {
        z.next_in = zeroes;
        z.avail_in = sizeof(zeroes);
        check_int(deflate(&z, Z_NO_FLUSH), Z_OK);
    }
    check_int(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    check_refused(packed, z.total_out,
                  "kernel `kernel` is damaged: it is larger than the room it asks for");
}

static void check_kind(size_t offset, const void *bytes, size_t len, const char *kind)
{
    struct image image = {.name = "x", .head_len = IMAGE_HEAD};

    memcpy(image.head + offset, bytes, len);
    check_str(image_kind(&image), kind);
    image.head_len = offset + len - 1;
    check(strcmp(image_kind(&image), kind) != 0 || len > 8); /* an ELF header has room left */
}

static void test_kinds(void)
{
    Elf64_Ehdr eh = {.e_ident = ELFMAG, .e_machine = EM_X86_64};
    struct image nothing = {.name = "x", .head_len = IMAGE_HEAD};

    check_str(image_kind(&nothing), "no kernel");
    check_kind(0x202, "HdrS", 4, "an x86 kernel (bzImage)");
    check_kind(0x38, "ARM\x64", 4, "an arm64 kernel (Image)");
    check_kind(0x38, "RSC\x05", 4, "a riscv kernel (Image)");
    check_kind(4, "zimg", 4, "a kernel in an EFI program (zboot)");
    check_kind(0, "MZ", 2, "an EFI program");
    check_kind(0, "\x1f\x8b", 2, "compressed by gzip");
    check_kind(0, &eh, sizeof(eh), "an ELF file for x86_64");
    eh.e_machine = EM_AARCH64;
    check_kind(0, &eh, sizeof(eh), "an ELF file for aarch64");
    eh.e_machine = EM_S390;
    check_kind(0, &eh, sizeof(eh), "an ELF file for another architecture");
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_packings),
        TAP(test_place),
        TAP(test_headers_that_lie),
        TAP(test_efi_headers_that_lie),
        TAP(test_truncated),
        TAP(test_damaged),
        TAP(test_more_than_it_says),
        TAP(test_kinds),
        {},
    });
}
