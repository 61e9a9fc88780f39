/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fuzzer's input, read piece by piece; zeroes when it has ended. */
#ifndef VOLE_FUZZ_INPUT_H
#define VOLE_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct input {
    const uint8_t *data;
    size_t left;
};

static inline uint8_t next8(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->data++;
}

static inline uint16_t next16(struct input *in)
{
    uint16_t high = next8(in);

    return (uint16_t)(high << 8 | next8(in));
}

/* What has to hold whatever the input is. */
static inline void require(bool ok)
{
    if (!ok)
        abort();
}

#endif
