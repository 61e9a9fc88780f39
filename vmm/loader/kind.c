/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a file is, by its first bytes, for the error that says why it cannot be started. */
#include <elf.h>

#include "vmm/loader/loader.h"

struct magic {
    size_t offset;
    const char *bytes;
    size_t len;
    const char *kind;
};
#define MAGIC(offset, bytes, kind)             \
    {                                          \
        offset, bytes, sizeof(bytes) - 1, kind \
    }

/* The first that fits is it. */
static const struct magic magics[] = {
    MAGIC(0x202, "HdrS", "an x86 kernel (bzImage)"),
    MAGIC(0x38, "ARM\x64", "an arm64 kernel (Image)"),
    MAGIC(0x38, "RSC\x05", "a riscv kernel (Image)"),
    MAGIC(4, "zimg", "a kernel in an EFI program (zboot)"),
    MAGIC(0, "MZ", "an EFI program"),
    MAGIC(0, "\x1f\x8b", "compressed by gzip"),
    MAGIC(0, "\x28\xb5\x2f\xfd", "compressed by zstd"),
    MAGIC(0,
          "\xfd"
          "7zXZ",
          "compressed by xz"),
};

static const char *elf_kind(const struct image *image)
{
    Elf64_Ehdr eh;

    memcpy(&eh, image->head, sizeof(eh));
    switch (eh.e_machine) {
    case EM_X86_64:
        return "an ELF file for x86_64";
    case EM_AARCH64:
        return "an ELF file for aarch64";
    case EM_RISCV:
        return "an ELF file for riscv";
    default:
        return "an ELF file for another architecture";
    }
}

const char *image_kind(const struct image *image)
{
    if (elf_probe(image))
        return elf_kind(image);
    for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
        const struct magic *m = &magics[i];

        if (m->offset + m->len <= image->head_len &&
            memcmp(image->head + m->offset, m->bytes, m->len) == 0)
            return m->kind;
    }
    return "no kernel";
}
