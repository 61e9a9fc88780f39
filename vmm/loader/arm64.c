/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whatever it is packed in, the first 64 bytes of the kernel say how much room it needs and where
 * it wants to lie; the rest is unpacked to that place in RAM, and can be no longer than that room.
 */
#include "vmm/loader/arm64.h"

#include <inttypes.h>

#include "vmm/loader/unpack.h"

#define ALIGNMENT (2 * MiB)

struct arm64_header {
    uint32_t code[2];
    uint64_t text_offset;
    uint64_t image_size; /* with what is not in the file */
    uint64_t flags;
    uint64_t reserved[3];
    uint32_t magic;
    uint32_t pe_offset;
};
_Static_assert(sizeof(struct arm64_header) == 64, "as in the file");
#define ARM64_MAGIC     0x644d5241 /* "ARM\x64" */
#define FLAG_BIG_ENDIAN (1u << 0)

struct zboot_header {
    char mz[2];
    uint16_t reserved;
    char zimg[4];
    uint32_t payload_offset;
    uint32_t payload_size;
    uint32_t reserved2[2];
    char compression[32];
};
_Static_assert(sizeof(struct zboot_header) <= IMAGE_HEAD, "the head of a file holds it");

/* ---- the three packings ---- */

static bool is_gzip(const struct image *image)
{
    return image->head_len >= 2 && image->head[0] == 0x1f && image->head[1] == 0x8b;
}

static bool is_zboot(const struct image *image)
{
    return image->head_len >= sizeof(struct zboot_header) && memcmp(image->head, "MZ", 2) == 0 &&
           memcmp(image->head + 4, "zimg", 4) == 0;
}

static bool is_raw(const struct image *image)
{
    struct arm64_header h;

    memcpy(&h, image->head, sizeof(h));
    return image->head_len >= sizeof(h) && h.magic == ARM64_MAGIC;
}

bool arm64_probe(const struct image *image)
{
    return is_raw(image) || is_zboot(image) || is_gzip(image);
}

static struct unpack *open_zboot(const struct image *image, struct error *err)
{
    static const struct {
        const char *name;
        enum unpack_format format;
    } formats[] = {{"gzip", UNPACK_GZIP}, {"zstd", UNPACK_ZSTD}};
    struct zboot_header h;

    memcpy(&h, image->head, sizeof(h));
    h.compression[sizeof(h.compression) - 1] = '\0';
    if (h.payload_offset > image->size || h.payload_size > image->size - h.payload_offset) {
        error_set(err, "kernel `%s` is truncated or damaged: its payload lies outside of it",
                  image->name);
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        if (strcmp(h.compression, formats[i].name) == 0)
            return unpack_open(image, h.payload_offset, h.payload_size, formats[i].format, err);
    }
    error_set(err, "kernel `%s` is compressed by %s, and only gzip and zstd are known", image->name,
              h.compression);
    return NULL;
}

static struct unpack *open_packed(const struct image *image, struct error *err)
{
    if (is_zboot(image))
        return open_zboot(image, err);
    return unpack_open(image, 0, image->size, is_gzip(image) ? UNPACK_GZIP : UNPACK_PLAIN, err);
}

/* ---- the kernel ---- */

static int check_header(const struct image *image, const struct arm64_header *h, size_t len,
                        struct error *err)
{
    if (len < sizeof(*h) || h->magic != ARM64_MAGIC)
        return error_set(err, "what `%s` unpacks to is no arm64 kernel", image->name);
    if (h->image_size == 0)
        return error_set(err, "kernel `%s` is too old: Linux 3.17 or newer is needed", image->name);
    if (h->flags & FLAG_BIG_ENDIAN)
        return error_set(err, "kernel `%s` is a big-endian one", image->name);
    if (h->text_offset >= ALIGNMENT)
        return error_set(
            err, "kernel `%s` is damaged: it wants to lie %#" PRIx64 " bytes behind its place",
            image->name, h->text_offset);
    return 0;
}

/*
 * How long the file has to be for its EFI header, if it has one: to the end of its last section. Of
 * the kernel's own header one cannot tell, which counts what is not in the file.
 */
static uint64_t size_by_sections(const uint8_t *image, size_t len, uint32_t pe_offset)
{
    uint64_t size = 0;
    uint16_t sections;
    uint16_t optional;
    uint64_t at;

    if (pe_offset > len || len - pe_offset < 24 || memcmp(image + pe_offset, "PE\0\0", 4) != 0)
        return 0;
    memcpy(&sections, image + pe_offset + 6, sizeof(sections));
    memcpy(&optional, image + pe_offset + 20, sizeof(optional));
    at = (uint64_t)pe_offset + 24 + optional;
    for (unsigned i = 0; i < sections && at + 40 <= len; i++, at += 40) {
        uint32_t raw[2]; /* size, place */

        memcpy(raw, image + at + 16, sizeof(raw));
        if (raw[0])
            size = MAX(size, (uint64_t)raw[0] + raw[1]);
    }
    return size;
}

static int load(const struct image *image, struct unpack *source, const struct memory *mem,
                uint64_t base, struct arm64_kernel *out, struct error *err)
{
    struct arm64_header h = {0};
    ssize_t len = unpack_read(source, &h, sizeof(h), err);
    uint8_t past_the_end;
    size_t size;
    uint8_t *host;

    if (len < 0 || check_header(image, &h, (size_t)len, err) < 0)
        return -1;
    out->load = ALIGN_UP(base, ALIGNMENT) + h.text_offset;
    host = memory_ptr(mem, out->load, h.image_size);
    if (!host)
        return error_set(err, "too little memory for kernel `%s`: it needs %" PRIu64 " MiB",
                         image->name, (h.text_offset + h.image_size) / MiB + 1);
    out->end = out->load + h.image_size;
    if (h.image_size < sizeof(h))
        return error_set(err, "kernel `%s` is damaged: it has no room for itself", image->name);
    memcpy(host, &h, sizeof(h));
    len = unpack_read(source, host + sizeof(h), h.image_size - sizeof(h), err);
    if (len < 0)
        return -1;
    size = sizeof(h) + (size_t)len;
    len = unpack_read(source, &past_the_end, 1, err);
    if (len > 0)
        return error_set(err, "kernel `%s` is damaged: it is larger than the room it asks for",
                         image->name);
    if (len == 0 && size_by_sections(host, size, h.pe_offset) > size)
        return error_set(err, "kernel `%s` is truncated", image->name);
    return (int)len;
}

int arm64_load(const struct image *image, const struct memory *mem, uint64_t base,
               struct arm64_kernel *out, struct error *err)
{
    struct unpack *source = open_packed(image, err);
    int r;

    if (!source)
        return -1;
    r = load(image, source, mem, base, out, err);
    unpack_close(source);
    return r;
}
