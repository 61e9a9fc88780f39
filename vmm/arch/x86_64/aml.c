/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/arch/x86_64/aml.h"

enum aml_op {
    AML_NAME = 0x08,
    AML_BYTE = 0x0a,
    AML_DWORD = 0x0c,
    AML_STRING = 0x0d,
    AML_SCOPE = 0x10,
    AML_BUFFER = 0x11,
    AML_PACKAGE = 0x12,
    AML_METHOD = 0x14,
    AML_DUAL_NAME = 0x2e,
    AML_EXT = 0x5b,
    AML_EXT_DEVICE = 0x82,
    AML_ARG0 = 0x68,
    AML_NOTIFY = 0x86,
    AML_EQUAL = 0x93,
    AML_IF = 0xa0,
};

#define NAME_SEGMENT 4
#define PKG_LENGTH   3 /* we always write the three-byte form */

void aml_bytes(struct aml *aml, const void *data, size_t len)
{
    if (aml->overflow || len > aml->size - aml->len) {
        aml->overflow = true;
        return;
    }
    memcpy(aml->data + aml->len, data, len);
    aml->len += len;
}

void aml_u8(struct aml *aml, uint8_t value)
{
    aml_bytes(aml, &value, sizeof(value));
}

/* ACPI is little-endian, and so is every host that this folder is built for. */
void aml_u16(struct aml *aml, uint16_t value)
{
    aml_bytes(aml, &value, sizeof(value));
}

void aml_u32(struct aml *aml, uint32_t value)
{
    aml_bytes(aml, &value, sizeof(value));
}

void aml_u64(struct aml *aml, uint64_t value)
{
    aml_bytes(aml, &value, sizeof(value));
}

/* One name of up to four characters, padded with '_'; returns what follows it. */
static const char *put_segment(struct aml *aml, const char *path)
{
    char segment[NAME_SEGMENT] = {'_', '_', '_', '_'};
    size_t len = strcspn(path, ".");

    memcpy(segment, path, MIN(len, (size_t)NAME_SEGMENT));
    aml_bytes(aml, segment, NAME_SEGMENT);
    return path[len] ? path + len + 1 : NULL;
}

/* "\\_SB.PWRB", "PWRB": an optional root, one or two segments. */
static void put_path(struct aml *aml, const char *path)
{
    if (*path == '\\')
        aml_u8(aml, (uint8_t)*path++);
    if (strchr(path, '.'))
        aml_u8(aml, AML_DUAL_NAME);
    while (path)
        path = put_segment(aml, path);
}

static void put_integer(struct aml *aml, uint32_t value)
{
    if (value <= 1) {
        aml_u8(aml, (uint8_t)value);
    } else if (value <= UINT8_MAX) {
        aml_u8(aml, AML_BYTE);
        aml_u8(aml, (uint8_t)value);
    } else {
        aml_u8(aml, AML_DWORD);
        aml_u32(aml, value);
    }
}

static size_t open_package(struct aml *aml)
{
    static const uint8_t blank[PKG_LENGTH];
    size_t mark = aml->len;

    aml_bytes(aml, blank, sizeof(blank));
    return mark;
}

/* PkgLength counts its own bytes: 4 bits in the lead byte, 8 in each that follows. */
void aml_end(struct aml *aml, size_t mark)
{
    size_t len = aml->len - mark;

    if (aml->overflow)
        return;
    aml->data[mark] = (uint8_t)((PKG_LENGTH - 1) << 6 | (len & 0xf));
    aml->data[mark + 1] = (uint8_t)(len >> 4);
    aml->data[mark + 2] = (uint8_t)(len >> 12);
}

size_t aml_scope(struct aml *aml, const char *path)
{
    size_t mark;

    aml_u8(aml, AML_SCOPE);
    mark = open_package(aml);
    put_path(aml, path);
    return mark;
}

size_t aml_device(struct aml *aml, const char *name)
{
    size_t mark;

    aml_u8(aml, AML_EXT);
    aml_u8(aml, AML_EXT_DEVICE);
    mark = open_package(aml);
    put_path(aml, name);
    return mark;
}

size_t aml_method(struct aml *aml, const char *name, unsigned args)
{
    const uint8_t serialized = 1u << 3;
    size_t mark;

    aml_u8(aml, AML_METHOD);
    mark = open_package(aml);
    put_path(aml, name);
    aml_u8(aml, (uint8_t)(args | serialized));
    return mark;
}

size_t aml_if_arg0_equals(struct aml *aml, uint32_t value)
{
    size_t mark;

    aml_u8(aml, AML_IF);
    mark = open_package(aml);
    aml_u8(aml, AML_EQUAL);
    aml_u8(aml, AML_ARG0);
    put_integer(aml, value);
    return mark;
}

static void put_name(struct aml *aml, const char *name)
{
    aml_u8(aml, AML_NAME);
    put_path(aml, name);
}

void aml_name_string(struct aml *aml, const char *name, const char *value)
{
    put_name(aml, name);
    aml_u8(aml, AML_STRING);
    aml_bytes(aml, value, strlen(value) + 1);
}

void aml_name_integer(struct aml *aml, const char *name, uint32_t value)
{
    put_name(aml, name);
    put_integer(aml, value);
}

static uint32_t hex_digit(char c)
{
    return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* "PNP0C0C": three letters of five bits each, four hex digits, big-endian. */
void aml_name_eisaid(struct aml *aml, const char *name, const char *id)
{
    uint32_t value = 0;

    for (int i = 0; i < 3; i++)
        value = value << 5 | (uint32_t)(id[i] - '@');
    for (int i = 3; i < 7; i++)
        value = value << 4 | hex_digit(id[i]);
    put_name(aml, name);
    aml_u8(aml, AML_DWORD);
    aml_u32(aml, __builtin_bswap32(value));
}

void aml_name_package(struct aml *aml, const char *name, const uint32_t *values, size_t count)
{
    size_t mark;

    put_name(aml, name);
    aml_u8(aml, AML_PACKAGE);
    mark = open_package(aml);
    aml_u8(aml, (uint8_t)count);
    for (size_t i = 0; i < count; i++)
        put_integer(aml, values[i]);
    aml_end(aml, mark);
}

void aml_notify(struct aml *aml, const char *path, uint8_t value)
{
    aml_u8(aml, AML_NOTIFY);
    put_path(aml, path);
    put_integer(aml, value);
}

/* A buffer whose size, like the package's, is known only at the end: a word right behind the
 * package length. */
#define AML_WORD 0x0b

size_t aml_resources_begin(struct aml *aml, const char *name)
{
    size_t mark;

    put_name(aml, name);
    aml_u8(aml, AML_BUFFER);
    mark = open_package(aml);
    aml_u8(aml, AML_WORD);
    aml_u16(aml, 0);
    return mark;
}

void aml_resource_io(struct aml *aml, uint16_t port, uint8_t len)
{
    aml_u8(aml, 0x47); /* I/O port descriptor, 7 bytes */
    aml_u8(aml, 1);    /* decodes 16 bits */
    aml_u16(aml, port);
    aml_u16(aml, port);
    aml_u8(aml, 1); /* alignment */
    aml_u8(aml, len);
}

void aml_resource_memory(struct aml *aml, uint32_t base, uint32_t len)
{
    aml_u8(aml, 0x86); /* 32-bit fixed memory range descriptor */
    aml_u16(aml, 9);
    aml_u8(aml, 1); /* read and write */
    aml_u32(aml, base);
    aml_u32(aml, len);
}

void aml_resource_interrupt(struct aml *aml, uint32_t gsi, bool shared)
{
    aml_u8(aml, 0x89); /* extended interrupt descriptor */
    aml_u16(aml, 6);
    aml_u8(aml, shared ? 0xb : 0x3); /* consumer, edge, active high, shared or exclusive */
    aml_u8(aml, 1);                  /* one of them */
    aml_u32(aml, gsi);
}

void aml_resources_end(struct aml *aml, size_t mark)
{
    size_t start = mark + PKG_LENGTH + 3;
    size_t len;

    aml_u8(aml, 0x79); /* end tag; a checksum of zero counts as right */
    aml_u8(aml, 0);
    if (aml->overflow)
        return;
    len = aml->len - start;
    aml->data[mark + PKG_LENGTH + 1] = (uint8_t)len;
    aml->data[mark + PKG_LENGTH + 2] = (uint8_t)(len >> 8);
    aml_end(aml, mark);
}
