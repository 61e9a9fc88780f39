/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing ACPI tables: a buffer of fixed size that bytes are appended to, and the few AML opcodes
 * (ACPI 6.4, chapter 20) and resource descriptors (section 6.4) that our DSDT is made of. Running
 * out of room is remembered, not checked at each step: look at `overflow` once at the end.
 */
#ifndef VOLE_ARCH_X86_64_AML_H
#define VOLE_ARCH_X86_64_AML_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/util.h"

struct aml {
    uint8_t *data;
    size_t size;
    size_t len;
    bool overflow;
};

void aml_bytes(struct aml *aml, const void *data, size_t len);
void aml_u8(struct aml *aml, uint8_t value);
void aml_u16(struct aml *aml, uint16_t value);
void aml_u32(struct aml *aml, uint32_t value);
void aml_u64(struct aml *aml, uint64_t value);

/* Opens a package whose length is filled in by aml_end(); they nest. Returns the mark for it. */
size_t aml_scope(struct aml *aml, const char *path);
size_t aml_device(struct aml *aml, const char *name);
size_t aml_method(struct aml *aml, const char *name, unsigned args);
size_t aml_if_arg0_equals(struct aml *aml, uint32_t value);
void aml_end(struct aml *aml, size_t mark);

void aml_name_string(struct aml *aml, const char *name, const char *value);
void aml_name_integer(struct aml *aml, const char *name, uint32_t value);
void aml_name_eisaid(struct aml *aml, const char *name, const char *id);
/* A package of integers. */
void aml_name_package(struct aml *aml, const char *name, const uint32_t *values, size_t count);
void aml_notify(struct aml *aml, const char *path, uint8_t value);

/* A resource template: begin, descriptors, end. */
size_t aml_resources_begin(struct aml *aml, const char *name);
void aml_resource_io(struct aml *aml, uint16_t port, uint8_t len);
void aml_resource_memory(struct aml *aml, uint32_t base, uint32_t len);
/* Edge triggered, active high. */
void aml_resource_interrupt(struct aml *aml, uint32_t gsi, bool shared);
void aml_resources_end(struct aml *aml, size_t mark);

#endif
