/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest made of an input's bytes: each step is a byte that says what, and the bytes that it
 * needs. It gives chains that make sense, writes to rings and buffers what does not, rings, pauses,
 * resets and comes again with other features. What is left of the input goes to the device's own
 * part.
 */
#ifndef VOLE_FUZZ_VIRTIO_GUEST_H
#define VOLE_FUZZ_VIRTIO_GUEST_H

#include "tests/unit/virtio-loop-driver.h"

struct guest {
    struct driver d;
    const uint8_t *data;
    size_t left;
};

static inline uint8_t guest_byte(struct guest *g)
{
    if (g->left == 0)
        return 0;
    g->left--;
    return *g->data++;
}

static inline uint32_t guest_word(struct guest *g)
{
    uint32_t low = guest_byte(g);

    return low | (uint32_t)guest_byte(g) << 8;
}

static inline uint32_t guest_long(struct guest *g)
{
    uint32_t low = guest_word(g);

    return low | guest_word(g) << 16;
}

static inline unsigned guest_queue(struct guest *g)
{
    return guest_byte(g) % g->d.dev->queue_count;
}

static inline void guest_gives_chain(struct guest *g)
{
    struct driver_buffer buffers[4];
    unsigned queue = guest_queue(g);
    unsigned shape = guest_byte(g);
    unsigned count = 1 + shape % ARRAY_SIZE(buffers);

    for (unsigned i = 0; i < count; i++) {
        uint64_t gpa = DRIVER_DATA + (uint64_t)guest_word(g) * 8;
        uint32_t len = guest_word(g);

        /* Long ones too: much of RAM at a time. */
        if (shape & 0x40)
            len <<= 5;
        buffers[i] = (struct driver_buffer){gpa, len, shape >> (2 + i) & 1};
    }
    if (g->d.queues[queue].size > 0)
        driver_give_chain(&g->d, queue, buffers, count);
}

static inline void guest_writes(struct guest *g, uint64_t gpa)
{
    unsigned len = guest_byte(g) % 32;

    for (unsigned i = 0; i < len && gpa + i < DRIVER_RAM; i++)
        g->d.ram[gpa + i] = guest_byte(g);
}

static inline void guest_starts(struct guest *g)
{
    uint64_t features = guest_byte(g);
    uint64_t rings = guest_byte(g);

    features |= (rings & 3) << VIRTIO_RING_F_INDIRECT_DESC;
    driver_start_some(&g->d, features, rings & 4 ? guest_word(g) : UINT64_MAX);
}

static inline void guest_config(struct guest *g, bool write)
{
    static const unsigned widths[] = {1, 2, 4, 8};
    unsigned width = widths[guest_byte(g) % 4];
    uint64_t offset = guest_byte(g);

    if (write)
        virtio_device_write_config(g->d.dev, offset, guest_long(g), width);
    else
        virtio_device_read_config(g->d.dev, offset, width);
}

/* One step; false when it is none of ours: `*what` is then what the device's part may look at. */
static inline bool guest_step(struct guest *g, unsigned *what)
{
    unsigned queue;

    *what = guest_byte(g);
    switch (*what % 16) {
    case 0:
    case 1:
    case 2:
        guest_gives_chain(g);
        return true;
    case 3:
    case 4:
        queue = guest_queue(g);
        (void)eventfd_write(g->d.dev->queues[queue].kick_fd, 1);
        driver_run(&g->d);
        return true;
    case 5:
    case 6:
        guest_writes(g, DRIVER_DATA + guest_word(g) * 8);
        return true;
    case 7:
        queue = guest_queue(g);
        guest_writes(g, DRIVER_QUEUE(queue) + guest_word(g) % 0x3000);
        return true;
    case 8:
        guest_config(g, true);
        return true;
    case 9:
        guest_config(g, false);
        return true;
    case 10:
        guest_starts(g);
        return true;
    case 11:
        virtio_device_pause(g->d.dev);
        driver_run(&g->d);
        return true;
    case 12:
        virtio_device_resume(g->d.dev);
        return true;
    default:
        return false;
    }
}

/* The device is there; complaints of its are not wanted. */
static inline void guest_bind(struct guest *g, struct virtio_device *dev)
{
    driver_bind(&g->d, dev);
    dev->complaints = 1000;
}

#endif
