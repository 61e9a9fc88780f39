/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ring code against a model of a driver that is written down here independently, after the
 * layout in virtio 1.2, section 2.7.
 *
 * The model knows which chains are with the device and what is in them, and both sides' wishes to
 * be told: the driver rings only when it is asked to, the device interrupts only when it says that
 * it should. The device looks at its queue only after a bell; so if a wish is ever lost, chains
 * stay where they are, and that is noticed.
 *
 * Then rings that were damaged in every place, and a ring that changes while it is read. What must
 * hold there is little and important: nothing but RAM is handed out, and every call returns.
 */
#include "tests/unit/tap.h"
#include "vmm/virtio/queue.h"

#include <linux/virtio_ring.h>
#include <pthread.h>
#include <sched.h>

#define RAM     (256 * KiB)
#define DESC    0x1000u
#define AVAIL   0x2000u
#define USED    0x3000u
#define TABLES  0x4000u  /* one indirect table a head, TABLE bytes each */
#define DATA    0x20000u /* what buffers point to; they may overlap, nothing is written to them */
#define SIZE    32
#define LONGEST 6 /* buffers of a chain */
#define TABLE   (LONGEST * 16)

struct chain {
    bool with_device;
    unsigned descs[LONGEST]; /* of the ring's, that it holds */
    unsigned desc_count;
    unsigned readable, writable; /* buffers */
    size_t readable_len, writable_len;
    uint32_t answer;
};

struct bench {
    struct memory mem;
    uint8_t *ram;
    struct virtqueue vq;
    struct virtq_chain chain;
    bool event_idx;
    bool indirect;
    uint32_t seed;

    /* The driver. */
    struct chain model[SIZE]; /* by head */
    unsigned free[SIZE];
    unsigned free_count;
    uint16_t avail_idx;
    uint16_t rung; /* avail_idx when the doorbell was last thought about */
    uint16_t used_seen;
    uint16_t order[SIZE]; /* heads as they were given, from `first` on */
    unsigned first, waiting;

    /* The device: chains that it took and has not answered. */
    uint16_t working[SIZE];
    unsigned working_count;
    bool bell;
    bool interrupt;
    unsigned given, answered, bells, interrupts;
};

/* xorshift: the same traffic in every run. */
static uint32_t next_random(struct bench *b)
{
    b->seed ^= b->seed << 13;
    b->seed ^= b->seed >> 17;
    b->seed ^= b->seed << 5;
    return b->seed;
}

static unsigned random_below(struct bench *b, unsigned n)
{
    return next_random(b) % n;
}

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

static void put_desc(struct bench *b, uint64_t at, uint64_t addr, uint32_t len, unsigned flags,
                     unsigned next)
{
    const struct {
        uint64_t addr;
        uint32_t len;
        uint16_t flags, next;
    } desc = {addr, len, (uint16_t)flags, (uint16_t)next};

    memcpy(b->ram + at, &desc, sizeof(desc));
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
    b->event_idx = event_idx;
    b->indirect = indirect;
    b->seed = 20261121;
    for (unsigned i = 0; i < SIZE; i++)
        b->free[b->free_count++] = i;
    check_int(virtq_activate(&b->vq, &b->mem, event_idx, indirect), 0);
}

static void tear_down(struct bench *b)
{
    memory_release(&b->mem);
}

/* ---- the driver ---- */

static unsigned take_desc(struct bench *b)
{
    unsigned i = random_below(b, b->free_count);
    unsigned desc = b->free[i];

    b->free[i] = b->free[--b->free_count];
    return desc;
}

/* Writes `count` buffers: into a table of their own, or into descriptors of the ring. */
static void write_chain(struct bench *b, struct chain *c, unsigned head, unsigned count, bool table)
{
    for (unsigned i = 0; i < count; i++) {
        bool write = i >= c->readable;
        uint32_t len = random_below(b, 2000);
        uint64_t addr = DATA + random_below(b, 0x10000);
        uint64_t at = table ? TABLES + head * TABLE + i * 16 : DESC + c->descs[i] * 16;
        bool last = i + 1 == count;
        unsigned flags = (write ? VRING_DESC_F_WRITE : 0) | (last ? 0 : VRING_DESC_F_NEXT);
        unsigned next = 0xffff;

        if (!last)
            next = table ? i + 1 : c->descs[i + 1];
        put_desc(b, at, addr, len, flags, next);
        if (write)
            c->writable_len += len;
        else
            c->readable_len += len;
    }
}

static void driver_gives(struct bench *b)
{
    unsigned count = 1 + random_below(b, LONGEST);
    bool table = b->indirect && random_below(b, 2);
    struct chain c = {.with_device = true, .desc_count = table ? 1 : count};
    unsigned head;

    if (b->free_count < c.desc_count)
        return;
    c.readable = random_below(b, count + 1);
    c.writable = count - c.readable;
    for (unsigned i = 0; i < c.desc_count; i++)
        c.descs[i] = take_desc(b);
    head = c.descs[0];
    write_chain(b, &c, head, count, table);
    if (table)
        put_desc(b, DESC + head * 16, TABLES + head * TABLE, count * 16, VRING_DESC_F_INDIRECT, 0);
    b->model[head] = c;
    b->order[(b->first + b->waiting++) % SIZE] = (uint16_t)head;
    put16(b, AVAIL + 4 + (uint64_t)(b->avail_idx % SIZE) * 2, (uint16_t)head);
    b->avail_idx++;
    put16(b, AVAIL + 2, b->avail_idx);
    b->given++;
}

/* True once for each wish of the other side that what happened from `old` to `now` has met. */
static bool wish_is_met(uint16_t event, uint16_t now, uint16_t old)
{
    for (uint16_t i = old; i != now; i++) {
        if (i == event)
            return true;
    }
    return false;
}

static void driver_rings(struct bench *b)
{
    uint16_t old = b->rung;

    b->rung = b->avail_idx;
    if (b->event_idx ? wish_is_met(get16(b, USED + 4 + SIZE * 8), b->avail_idx, old)
                     : old != b->avail_idx && !(get16(b, USED) & VRING_USED_F_NO_NOTIFY)) {
        b->bell = true;
        b->bells++;
    }
}

/* Takes what is used, then asks for an interrupt and looks once more. */
static bool driver_reaps(struct bench *b)
{
    do {
        while (get16(b, USED + 2) != b->used_seen) {
            uint64_t at = USED + 4 + (uint64_t)(b->used_seen % SIZE) * 8;
            uint32_t head = get32(b, at);

            if (!check(head < SIZE && b->model[head].with_device) ||
                !check_int(get32(b, at + 4), b->model[head].answer))
                return false;
            for (unsigned i = 0; i < b->model[head].desc_count; i++)
                b->free[b->free_count++] = b->model[head].descs[i];
            b->model[head].with_device = false;
            b->used_seen++;
        }
        put16(b, AVAIL + 4 + SIZE * 2, b->used_seen); /* used_event */
    } while (get16(b, USED + 2) != b->used_seen);
    return true;
}

/* ---- the device ---- */

static bool is_as_given(struct bench *b)
{
    const struct chain *c;

    if (!check_int(b->chain.head, b->order[b->first % SIZE]))
        return false;
    c = &b->model[b->chain.head];
    return check(c->with_device) && check_int(b->chain.readable, c->readable) &&
           check_int(b->chain.writable, c->writable) &&
           check_int(b->chain.readable_len, c->readable_len) &&
           check_int(b->chain.writable_len, c->writable_len);
}

/* Answers one of those that are under way, whichever. */
static void device_answers(struct bench *b)
{
    unsigned i = random_below(b, b->working_count);
    uint16_t head = b->working[i];

    b->working[i] = b->working[--b->working_count];
    b->model[head].answer = next_random(b);
    virtq_push(&b->vq, head, b->model[head].answer);
    b->answered++;
    if (random_below(b, 3) == 0 && virtq_should_interrupt(&b->vq)) {
        b->interrupt = true;
        b->interrupts++;
    }
}

/* A round as a device does it: after a bell, or because it was told that there is more. */
static bool device_serves(struct bench *b)
{
    if (!b->bell)
        return true;
    b->bell = false;
    virtq_disable_kicks(&b->vq);
    for (unsigned left = random_below(b, 2 * SIZE); left > 0; left--) {
        enum virtq_status status = virtq_pop(&b->vq, &b->chain);

        if (status == VIRTQ_EMPTY)
            break;
        if (!check_int(status, VIRTQ_CHAIN) || !is_as_given(b))
            return false;
        if (random_below(b, 8) == 0) {
            virtq_unpop(&b->vq, 1);
            continue;
        }
        b->first++;
        b->waiting--;
        b->working[b->working_count++] = b->chain.head;
    }
    /* Something is put back, or not yet looked at: the device knows that by itself. */
    if (virtq_enable_kicks(&b->vq) || b->vq.next_avail != b->vq.seen_avail)
        b->bell = true;
    return true;
}

static bool device_interrupts(struct bench *b)
{
    if (virtq_should_interrupt(&b->vq)) {
        b->interrupt = true;
        b->interrupts++;
    }
    if (!b->interrupt)
        return true;
    b->interrupt = false;
    return driver_reaps(b);
}

/* Everybody comes to rest, and nothing is left behind anywhere. */
static bool settles(struct bench *b)
{
    bool ok = true;

    driver_rings(b);
    while (ok && (b->bell || b->working_count > 0)) {
        ok = device_serves(b);
        while (b->working_count > 0)
            device_answers(b);
    }
    return ok && device_interrupts(b) && check_int(b->waiting, 0) &&
           check_int(b->answered, b->given) && check_int(b->free_count, SIZE);
}

static void step(struct bench *b, bool *ok)
{
    switch (random_below(b, 6)) {
    case 0:
    case 1:
        driver_gives(b);
        if (random_below(b, 2))
            driver_rings(b);
        break;
    case 2:
        driver_rings(b);
        break;
    case 3:
        *ok = device_serves(b);
        break;
    case 4:
        if (b->working_count > 0)
            device_answers(b);
        break;
    default:
        *ok = device_interrupts(b);
    }
}

static void traffic(bool event_idx, bool indirect)
{
    struct bench b;
    bool ok = true;

    set_up(&b, event_idx, indirect);
    /* Until the indices have gone round. */
    while (b.given < 80000 && ok) {
        for (unsigned steps = random_below(&b, 200); steps > 0 && ok; steps--)
            step(&b, &ok);
        ok = ok && settles(&b);
    }
    check(b.bells > 0 && b.interrupts > 0);
    tear_down(&b);
}

static void test_traffic_with_flags(void)
{
    traffic(false, false);
}

static void test_traffic_with_flags_and_tables(void)
{
    traffic(false, true);
}

static void test_traffic_with_event_index(void)
{
    traffic(true, false);
}

static void test_traffic_with_event_index_and_tables(void)
{
    traffic(true, true);
}

/* ---- damage ---- */

/* What must be true of a chain, whoever wrote it. */
static bool is_harmless(const struct bench *b)
{
    const struct virtq_chain *c = &b->chain;
    size_t readable = 0;
    size_t writable = 0;

    if (c->readable + c->writable > VIRTQ_MAX_SEGMENTS)
        return false;
    for (unsigned i = 0; i < c->readable + c->writable; i++) {
        const uint8_t *p = c->iov[i].iov_base;

        if (p < b->ram || p > b->ram + RAM || c->iov[i].iov_len > (size_t)(b->ram + RAM - p))
            return false;
        if (i < c->readable)
            readable += c->iov[i].iov_len;
        else
            writable += c->iov[i].iov_len;
    }
    return readable == c->readable_len && writable == c->writable_len;
}

/* Popping and pushing until the ring says that it is empty or broken; that has to come. */
static bool survives(struct bench *b)
{
    for (unsigned i = 0; i <= SIZE; i++) {
        if (virtq_pop(&b->vq, &b->chain) != VIRTQ_CHAIN)
            return true;
        if (!is_harmless(b))
            return false;
        virtq_push(&b->vq, b->chain.head, 0);
        virtq_should_interrupt(&b->vq);
        virtq_enable_kicks(&b->vq);
    }
    return false;
}

/* A good ring with full tables, in which each byte in turn gets each of some values. */
static void test_every_byte_damaged(void)
{
    static const uint8_t values[] = {0x00, 0x01, 0x02, 0x04, 0x07, 0x7f, 0x80, 0xff};
    static const struct {
        uint64_t from, len;
    } parts[] = {{DESC, UINT64_C(16) * SIZE},
                 {AVAIL, 6 + UINT64_C(2) * SIZE},
                 {TABLES, UINT64_C(64) * LONGEST}};
    struct bench b;
    uint8_t *good;

    set_up(&b, true, true);
    while (b.free_count >= LONGEST)
        driver_gives(&b);
    good = xcalloc(1, RAM);
    memcpy(good, b.ram, RAM);
    for (size_t part = 0; part < ARRAY_SIZE(parts); part++) {
        for (uint64_t i = 0; i < parts[part].len * ARRAY_SIZE(values); i++) {
            uint64_t at = parts[part].from + i / ARRAY_SIZE(values);

            memcpy(b.ram, good, DATA);
            b.ram[at] = values[i % ARRAY_SIZE(values)];
            b.vq.next_avail = b.vq.next_used = b.vq.signaled_used = 0;
            if (!check(survives(&b))) {
                printf("# byte 0x%llx\n", (unsigned long long)at);
                i = parts[part].len * ARRAY_SIZE(values);
            }
        }
    }
    free(good);
    tear_down(&b);
}

static void test_random_rings(void)
{
    struct bench b;

    set_up(&b, true, true);
    for (unsigned round = 0; round < 20000; round++) {
        for (unsigned i = 0; i < SIZE; i++) {
            uint64_t addr = random_below(&b, 4) ? random_below(&b, RAM) : next_random(&b);

            put_desc(&b, DESC + i * 16, addr & ~UINT64_C(15), random_below(&b, 0x3000),
                     random_below(&b, 8), random_below(&b, SIZE + 4));
            put_desc(&b, TABLES + i * 16, random_below(&b, RAM), random_below(&b, 0x300),
                     random_below(&b, 8), random_below(&b, 20));
        }
        put16(&b, AVAIL + 4 + (uint64_t)(b.vq.next_avail % SIZE) * 2,
              (uint16_t)random_below(&b, SIZE + 4));
        put16(&b, AVAIL + 2, (uint16_t)(b.vq.next_avail + 1));
        if (!check(survives(&b)))
            break;
    }
    tear_down(&b);
}

/* ---- a ring that changes while it is read ---- */

struct scribbler {
    struct bench *b;
    pthread_t thread;
    bool stop; /* atomic */
};

/* Another processor of the guest's. What it writes is as good as random, in words and bytes. */
static void *scribble(void *opaque)
{
    struct scribbler *s = opaque;
    struct bench mine = {.seed = 4711};
    uint8_t *ram = s->b->ram;

    while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
        uint32_t place = next_random(&mine);
        uint64_t at = place % 2 ? DESC + place / 2 % (SIZE * 16) : TABLES + place / 2 % (4 * TABLE);

        if (place % 64 == 0)
            at = AVAIL + 4 + place / 64 % (SIZE * 2);
        __atomic_store_n(ram + at, (uint8_t)next_random(&mine), __ATOMIC_RELAXED);
        if (place % 8 == 0)
            __atomic_store_n(
                (uint16_t *)(void *)(ram + AVAIL + 2),
                (uint16_t)(__atomic_load_n(&s->b->vq.next_avail, __ATOMIC_RELAXED) + 1),
                __ATOMIC_RELAXED);
    }
    return NULL;
}

#define ROUNDS_MAX 100000000u

static void test_ring_changes_under_way(void)
{
    struct bench b;
    struct scribbler s = {.b = &b};
    unsigned broken = 0;

    set_up(&b, true, true);
    while (b.free_count >= LONGEST)
        driver_gives(&b);
    check_int(virtq_pop(&b.vq, &b.chain), VIRTQ_CHAIN); /* there may be no other whole one later */
    virtq_push(&b.vq, b.chain.head, 0);
    check_int(pthread_create(&s.thread, NULL, scribble, &s), 0);
    /* What breaks the ring is the other thread, which needs its turn where processors are few. */
    for (unsigned i = 0; i < ROUNDS_MAX && (i < 300000 || broken == 0); i++) {
        if (i % 1024 == 1023)
            sched_yield();
        switch (virtq_pop(&b.vq, &b.chain)) {
        case VIRTQ_CHAIN:
            if (!check(is_harmless(&b)))
                i = ROUNDS_MAX - 1;
            virtq_push(&b.vq, b.chain.head, 0);
            break;
        case VIRTQ_BROKEN:
            broken++;
            __atomic_store_n(&b.vq.next_avail, (uint16_t)(b.vq.next_avail + 1), __ATOMIC_RELAXED);
            break;
        default:
            virtq_enable_kicks(&b.vq);
        }
    }
    __atomic_store_n(&s.stop, true, __ATOMIC_RELEASE);
    pthread_join(s.thread, NULL);
    check(broken > 0);
    tear_down(&b);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_traffic_with_flags),
        TAP(test_traffic_with_flags_and_tables),
        TAP(test_traffic_with_event_index),
        TAP(test_traffic_with_event_index_and_tables),
        TAP(test_every_byte_damaged),
        TAP(test_random_rings),
        TAP(test_ring_changes_under_way),
        {0},
    });
}
