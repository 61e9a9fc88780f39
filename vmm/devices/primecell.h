/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What Arm's PrimeCell peripherals have in common: a page of 32-bit registers, whose last eight say
 * which of them it is (a byte in each: four of the peripheral's id, four that say "PrimeCell").
 */
#ifndef VOLE_DEVICES_PRIMECELL_H
#define VOLE_DEVICES_PRIMECELL_H

#include <stdint.h>

#define PRIMECELL_SIZE UINT64_C(0x1000)
#define PRIMECELL_ID   UINT64_C(0xfe0)

/* `part` is the peripheral's number ("PL011" is 0x011), `revision` its r-number; Arm's designer
 * code is 0x41. */
static inline uint32_t primecell_id(uint32_t part, uint32_t revision, uint64_t offset)
{
    const uint64_t id = UINT64_C(0xb105f00d) << 32 | revision << 20 | UINT32_C(0x41) << 12 | part;

    return offset >= PRIMECELL_ID ? id >> (offset - PRIMECELL_ID) / 4 * 8 & 0xff : 0;
}

#endif
