/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ring by itself: RAM with anything in it, written to at any time, and a device that pops,
 * pushes and puts back. Nothing but RAM may be handed out, and the counts have to agree.
 */
#include <stdio.h>

#include "vmm/virtio/queue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM (64 * KiB)

struct bench {
    struct memory mem;
    uint8_t *ram;
    struct virtqueue vq;
    struct virtq_chain chain;
    unsigned popped; /* and not pushed */
    const uint8_t *data;
    size_t left;
};

static uint8_t next_byte(struct bench *b)
{
    if (b->left == 0)
        return 0;
    b->left--;
    return *b->data++;
}

static uint16_t next_word(struct bench *b)
{
    uint16_t low = next_byte(b);

    return (uint16_t)(low | next_byte(b) << 8);
}

static void check_chain(const struct bench *b)
{
    const struct virtq_chain *c = &b->chain;
    size_t len[2] = {0, 0};

    if (c->readable + c->writable > VIRTQ_MAX_SEGMENTS)
        abort();
    for (unsigned i = 0; i < c->readable + c->writable; i++) {
        const uint8_t *p = c->iov[i].iov_base;

        if (p < b->ram || p >= b->ram + RAM || c->iov[i].iov_len > (size_t)(b->ram + RAM - p))
            abort();
        len[i >= c->readable] += c->iov[i].iov_len;
    }
    if (len[0] != c->readable_len || len[1] != c->writable_len)
        abort();
}

static void copy(struct bench *b)
{
    struct iovec part[VIRTQ_MAX_SEGMENTS];
    const struct iovec *writable = b->chain.iov + b->chain.readable;
    size_t offset = next_word(b);
    size_t len = next_word(b);
    unsigned parts = iov_slice(b->chain.iov, b->chain.readable, offset, len, part);
    uint8_t buf[512] = {0};
    size_t sum = 0;

    for (unsigned i = 0; i < parts; i++)
        sum += part[i].iov_len;
    if (sum != MIN(len, b->chain.readable_len - MIN(offset, b->chain.readable_len)))
        abort();
    iov_read(b->chain.iov, b->chain.readable, offset, buf, MIN(len, sizeof(buf)));
    iov_write(writable, b->chain.writable, offset, buf, MIN(len, sizeof(buf)));
}

static void write_ram(struct bench *b)
{
    size_t at = next_word(b);

    for (unsigned n = next_byte(b) % 64; n > 0; n--, at++)
        b->ram[at % RAM] = next_byte(b);
}

static void step(struct bench *b)
{
    switch (next_byte(b) % 8) {
    case 0:
    case 1:
        write_ram(b);
        break;
    case 2:
    case 3:
        if (virtq_pop(&b->vq, &b->chain) == VIRTQ_CHAIN) {
            check_chain(b);
            b->popped++;
            copy(b);
        }
        break;
    case 4:
        virtq_push(&b->vq, next_word(b), next_word(b));
        b->popped -= b->popped > 0;
        virtq_should_interrupt(&b->vq);
        break;
    case 5:
        if (b->popped > 0) {
            virtq_unpop(&b->vq, 1);
            b->popped--;
        }
        break;
    case 6:
        virtq_disable_kicks(&b->vq);
        break;
    default:
        virtq_enable_kicks(&b->vq);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_region region = {.gpa = 0x1000, .size = RAM};
    static struct bench b;
    struct error err;
    unsigned flags;

    b = (struct bench){.data = data, .left = size};
    if (memory_init(&b.mem, &region, 1, NULL, &err) < 0)
        abort();
    b.ram = memory_ptr(&b.mem, region.gpa, RAM);
    flags = next_byte(&b);
    b.vq = (struct virtqueue){.max_size = VIRTQ_MAX_SIZE, .kick_fd = -1, .ready = true};
    b.vq.size = flags & 4 ? next_word(&b) : (uint16_t)(1u << (flags >> 4) % 9);
    b.vq.desc_gpa = next_word(&b);
    b.vq.avail_gpa = next_word(&b);
    b.vq.used_gpa = flags & 8 ? UINT64_MAX - next_word(&b) : next_word(&b);
    if (virtq_activate(&b.vq, &b.mem, flags & 1, flags & 2) == 0) {
        while (b.left > 0)
            step(&b);
    }
    memory_release(&b.mem);
    return 0;
}
