/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ring code in ordered cases, written byte by byte after the layout in virtio 1.2, section 2.7.
 * Random traffic and damage are in test-queue-model.c.
 */
#include "tests/unit/tap.h"
#include "vmm/virtio/queue.h"

#include <linux/virtio_ring.h>

#define RAM    (256 * KiB)
#define DESC   0x1000u
#define AVAIL  0x3000u
#define USED   0x4000u
#define TABLES 0x6000u  /* indirect tables */
#define DATA   0x10000u /* buffers */
#define SIZE   16

struct bench {
    struct memory mem;
    uint8_t *ram;
    struct virtqueue vq;
    struct virtq_chain chain;
    uint16_t avail_idx; /* the driver's */
    uint16_t used_seen;
};

static void put16(struct bench *b, uint64_t at, uint16_t v)
{
    memcpy(b->ram + at, &v, sizeof(v));
}

static uint16_t get16(const struct bench *b, uint64_t at)
{
    uint16_t v;

    memcpy(&v, b->ram + at, sizeof(v));
    return v;
}

static uint32_t get32(const struct bench *b, uint64_t at)
{
    uint32_t v;

    memcpy(&v, b->ram + at, sizeof(v));
    return v;
}

static void put_desc(struct bench *b, uint64_t table, unsigned i, uint64_t addr, uint32_t len,
                     uint16_t flags, uint16_t next)
{
    uint8_t *d = b->ram + table + (uint64_t)i * 16;

    memcpy(d, &addr, 8);
    memcpy(d + 8, &len, 4);
    memcpy(d + 12, &flags, 2);
    memcpy(d + 14, &next, 2);
}

/* Makes the chain that starts at `head` available. */
static void offer(struct bench *b, uint16_t head)
{
    put16(b, AVAIL + 4 + (uint64_t)(b->avail_idx % SIZE) * 2, head);
    b->avail_idx++;
    put16(b, AVAIL + 2, b->avail_idx);
}

/* Takes one used entry; false when there is none. */
static bool reap(struct bench *b, uint32_t *id, uint32_t *len)
{
    uint64_t at = USED + 4 + (uint64_t)(b->used_seen % SIZE) * 8;

    if (get16(b, USED + 2) == b->used_seen)
        return false;
    *id = get32(b, at);
    *len = get32(b, at + 4);
    b->used_seen++;
    return true;
}

static void set_up(struct bench *b, bool event_idx, bool indirect)
{
    struct memory_region region = {.gpa = 0, .size = RAM};
    struct error err;

    memset(b, 0, sizeof(*b));
    check(memory_init(&b->mem, &region, 1, NULL, &err) == 0);
    b->ram = memory_ptr(&b->mem, 0, RAM);
    b->vq = (struct virtqueue){
        .size = SIZE,
        .max_size = VIRTQ_MAX_SIZE,
        .desc_gpa = DESC,
        .avail_gpa = AVAIL,
        .used_gpa = USED,
        .ready = true,
        .kick_fd = -1,
    };
    check_int(virtq_activate(&b->vq, &b->mem, event_idx, indirect), 0);
}

static void tear_down(struct bench *b)
{
    memory_release(&b->mem);
}

static void test_refuses_rings_outside_ram(void)
{
    struct bench b;
    static const struct {
        uint16_t size;
        uint64_t desc, avail, used;
    } bad[] = {
        {0, DESC, AVAIL, USED},
        {3, DESC, AVAIL, USED},
        {512, DESC, AVAIL, USED},
        {SIZE, DESC + 8, AVAIL, USED},
        {SIZE, DESC, AVAIL + 1, USED},
        {SIZE, DESC, AVAIL, USED + 2},
        {SIZE, RAM - 16, AVAIL, USED},
        {SIZE, DESC, RAM - 4, USED},
        {SIZE, DESC, AVAIL, RAM - 8},
        {SIZE, UINT64_MAX - 15, AVAIL, USED},
        {SIZE, DESC, UINT64_MAX - 1, USED},
    };

    set_up(&b, false, false);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct virtqueue vq = {
            .size = bad[i].size,
            .max_size = VIRTQ_MAX_SIZE,
            .desc_gpa = bad[i].desc,
            .avail_gpa = bad[i].avail,
            .used_gpa = bad[i].used,
        };

        if (!check(virtq_activate(&vq, &b.mem, true, true) == -1))
            printf("# case %zu\n", i);
    }
    tear_down(&b);
}

static void test_chain_in_order(void)
{
    struct bench b;
    uint32_t id = 0;
    uint32_t len = 0;

    set_up(&b, false, false);
    check_int(virtq_pop(&b.vq, &b.chain), VIRTQ_EMPTY);
    put_desc(&b, DESC, 5, DATA, 16, VRING_DESC_F_NEXT, 2);
    put_desc(&b, DESC, 2, DATA + 0x100, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 9);
    put_desc(&b, DESC, 9, DATA + 0x400, 1, VRING_DESC_F_WRITE, 0);
    offer(&b, 5);
    check_int(virtq_pop(&b.vq, &b.chain), VIRTQ_CHAIN);
    check_int(b.chain.head, 5);
    check_int(b.chain.readable, 1);
    check_int(b.chain.writable, 2);
    check_int(b.chain.readable_len, 16);
    check_int(b.chain.writable_len, 513);
    check(b.chain.iov[0].iov_base == b.ram + DATA);
    check(b.chain.iov[2].iov_base == b.ram + DATA + 0x400);
    check_int(virtq_pop(&b.vq, &b.chain), VIRTQ_EMPTY);

    virtq_push(&b.vq, 5, 513);
    check(reap(&b, &id, &len));
    check_int(id, 5);
    check_int(len, 513);
    check(!reap(&b, &id, &len));
    tear_down(&b);
}

static void test_unpop_gives_the_same_chain_again(void)
{
    struct bench b;

    set_up(&b, false, false);
    for (uint16_t i = 0; i < 3; i++) {
        put_desc(&b, DESC, i, DATA, 8, 0, 0);
        offer(&b, i);
    }
    check_int(virtq_pop(&b.vq, &b.chain), VIRTQ_CHAIN);
    check_int(virtq_pop(&b.vq, &b.chain), VIRTQ_CHAIN);
    check_int(b.chain.head, 1);
    virtq_unpop(&b.vq, 2);
    check_int(virtq_pop(&b.vq, &b.chain), VIRTQ_CHAIN);
    check_int(b.chain.head, 0);
    tear_down(&b);
}

static void test_indirect(void)
{
    struct bench b;

    set_up(&b, false, true);
    put_desc(&b, TABLES, 0, DATA, 16, VRING_DESC_F_NEXT, 3);
    put_desc(&b, TABLES, 3, DATA + 64, 32, VRING_DESC_F_WRITE, 0);
    put_desc(&b, DESC, 1, TABLES, 4 * 16, VRING_DESC_F_INDIRECT, 0);
    offer(&b, 1);
    check_int(virtq_pop(&b.vq, &b.chain), VIRTQ_CHAIN);
    check_int(b.chain.head, 1);
    check_int(b.chain.readable_len, 16);
    check_int(b.chain.writable_len, 32);
    tear_down(&b);
}

/* Each is one descriptor table that must be refused. */
static void test_lies(void)
{
    struct bench b;
    enum {
        LOOP,
        FAR_NEXT,
        FAR_HEAD,
        OUTSIDE,
        WRAPS,
        READ_AFTER_WRITE,
        NESTED,
        UNASKED_INDIRECT,
        INDIRECT_NEXT,
        ODD_TABLE,
        EMPTY_TABLE,
        TABLE_OUTSIDE,
        TABLE_LOOP,
        TOO_MANY,
        CASES
    };

    for (int lie = 0; lie < CASES; lie++) {
        uint16_t head = 0;

        set_up(&b, false, lie != UNASKED_INDIRECT);
        put_desc(&b, TABLES, 0, DATA, 16, 0, 0);
        switch (lie) {
        case LOOP:
            put_desc(&b, DESC, 0, DATA, 16, VRING_DESC_F_NEXT, 1);
            put_desc(&b, DESC, 1, DATA, 16, VRING_DESC_F_NEXT, 0);
            break;
        case FAR_NEXT:
            put_desc(&b, DESC, 0, DATA, 16, VRING_DESC_F_NEXT, SIZE);
            break;
        case FAR_HEAD:
            head = 0xffff;
            break;
        case OUTSIDE:
            put_desc(&b, DESC, 0, RAM - 8, 16, 0, 0);
            break;
        case WRAPS:
            put_desc(&b, DESC, 0, UINT64_MAX - 4, UINT32_MAX, 0, 0);
            break;
        case READ_AFTER_WRITE:
            put_desc(&b, DESC, 0, DATA, 16, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
            put_desc(&b, DESC, 1, DATA, 16, 0, 0);
            break;
        case NESTED:
            put_desc(&b, DESC, 0, TABLES, 16, VRING_DESC_F_INDIRECT, 0);
            put_desc(&b, TABLES, 0, TABLES, 16, VRING_DESC_F_INDIRECT, 0);
            break;
        case UNASKED_INDIRECT:
            put_desc(&b, DESC, 0, TABLES, 16, VRING_DESC_F_INDIRECT, 0);
            break;
        case INDIRECT_NEXT:
            put_desc(&b, DESC, 0, TABLES, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1);
            break;
        case ODD_TABLE:
            put_desc(&b, DESC, 0, TABLES, 24, VRING_DESC_F_INDIRECT, 0);
            break;
        case EMPTY_TABLE:
            put_desc(&b, DESC, 0, TABLES, 0, VRING_DESC_F_INDIRECT, 0);
            break;
        case TABLE_OUTSIDE:
            put_desc(&b, DESC, 0, RAM - 16, 32, VRING_DESC_F_INDIRECT, 0);
            break;
        case TABLE_LOOP:
            put_desc(&b, DESC, 0, TABLES, 32, VRING_DESC_F_INDIRECT, 0);
            put_desc(&b, TABLES, 0, DATA, 8, VRING_DESC_F_NEXT, 1);
            put_desc(&b, TABLES, 1, DATA, 8, VRING_DESC_F_NEXT, 0);
            break;
        case TOO_MANY:
            put_desc(&b, DESC, 0, TABLES, (VIRTQ_MAX_SEGMENTS + 1) * 16, VRING_DESC_F_INDIRECT, 0);
            for (unsigned i = 0; i <= VIRTQ_MAX_SEGMENTS; i++)
                put_desc(&b, TABLES, i, DATA, 8, i < VIRTQ_MAX_SEGMENTS ? VRING_DESC_F_NEXT : 0,
                         (uint16_t)(i + 1));
            break;
        default:
            break;
        }
        offer(&b, head);
        if (!check(virtq_pop(&b.vq, &b.chain) == VIRTQ_BROKEN))
            printf("# lie %d\n", lie);
        tear_down(&b);
    }
}

static void test_more_available_than_the_ring_holds(void)
{
    struct bench b;

    set_up(&b, false, false);
    put16(&b, AVAIL + 2, SIZE + 1);
    check_int(virtq_pop(&b.vq, &b.chain), VIRTQ_BROKEN);
    tear_down(&b);
}

static void test_interrupt_flag(void)
{
    struct bench b;

    set_up(&b, false, false);
    virtq_push(&b.vq, 0, 0);
    check(virtq_should_interrupt(&b.vq));
    check(!virtq_should_interrupt(&b.vq)); /* nothing new */
    put16(&b, AVAIL, VRING_AVAIL_F_NO_INTERRUPT);
    virtq_push(&b.vq, 0, 0);
    check(!virtq_should_interrupt(&b.vq));
    tear_down(&b);
}

static void test_interrupt_event_index(void)
{
    struct bench b;

    set_up(&b, true, false);
    virtq_push(&b.vq, 0, 0);
    virtq_should_interrupt(&b.vq);
    put16(&b, AVAIL + 4 + SIZE * 2, 3); /* used_event: when entry 3 is there */
    virtq_push(&b.vq, 0, 0);
    check(!virtq_should_interrupt(&b.vq));
    virtq_push(&b.vq, 0, 0);
    virtq_push(&b.vq, 0, 0);
    check(virtq_should_interrupt(&b.vq));
    virtq_push(&b.vq, 0, 0);
    check(!virtq_should_interrupt(&b.vq));
    tear_down(&b);
}

static void test_kicks(void)
{
    struct bench b;

    set_up(&b, false, false);
    virtq_disable_kicks(&b.vq);
    check_int(get16(&b, USED), VRING_USED_F_NO_NOTIFY);
    check(!virtq_enable_kicks(&b.vq));
    check_int(get16(&b, USED), 0);
    put_desc(&b, DESC, 0, DATA, 8, 0, 0);
    offer(&b, 0);
    check(virtq_enable_kicks(&b.vq)); /* came while we did not look */
    tear_down(&b);

    set_up(&b, true, false);
    put_desc(&b, DESC, 0, DATA, 8, 0, 0);
    offer(&b, 0);
    check_int(virtq_pop(&b.vq, &b.chain), VIRTQ_CHAIN);
    check(!virtq_enable_kicks(&b.vq));
    check_int(get16(&b, USED + 4 + SIZE * 8), 1); /* avail_event: ring at the next one */
    /* One was put back: ring only when there is more than we saw. */
    virtq_unpop(&b.vq, 1);
    check(!virtq_enable_kicks(&b.vq));
    tear_down(&b);
}

static void test_iov(void)
{
    char a[4] = "abc";
    char c[8] = "defghij";
    struct iovec iov[] = {{a, 3}, {NULL, 0}, {c, 7}};
    struct iovec out[3];
    char buf[16] = "";

    check_int(iov_read(iov, 3, 2, buf, 4), 4);
    check_str(buf, "cdef");
    check_int(iov_read(iov, 3, 9, buf, 4), 1);
    check_int(iov_read(iov, 3, 10, buf, 4), 0);
    check_int(iov_write(iov, 3, 2, "XYZ", 3), 3);
    check_str(a, "abX");
    check_str(c, "YZfghij");
    check_int(iov_slice(iov, 3, 1, 5, out), 2);
    check_int(out[0].iov_len, 2);
    check(out[1].iov_base == c);
    check_int(out[1].iov_len, 3);
    check_int(iov_slice(iov, 3, 10, 5, out), 0);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_refuses_rings_outside_ram),
        TAP(test_chain_in_order),
        TAP(test_unpop_gives_the_same_chain_again),
        TAP(test_indirect),
        TAP(test_lies),
        TAP(test_more_available_than_the_ring_holds),
        TAP(test_interrupt_flag),
        TAP(test_interrupt_event_index),
        TAP(test_kicks),
        TAP(test_iov),
        {0},
    });
}
