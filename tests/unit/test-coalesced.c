/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KVM's ring of writes, filled here in its place. */
#include "tests/unit/tap.h"
#include "vmm/coalesced.h"

#include <stdlib.h>

#define CAPACITY 5u

struct log {
    struct bus_device bus;
    uint64_t offsets[32];
    uint64_t values[32];
    unsigned lens[32];
    unsigned count;
};

static void log_write(struct bus_device *dev, uint64_t offset, uint64_t value, unsigned len)
{
    struct log *log = container_of(dev, struct log, bus);

    if (!check(log->count < 32))
        return;
    log->offsets[log->count] = offset;
    log->values[log->count] = value;
    log->lens[log->count++] = len;
}

static const struct bus_ops log_ops = {.write = log_write};

struct bench {
    struct log ports, memory;
    struct bus pio, mmio;
    struct coalesced c;
};

static void set_up(struct bench *b)
{
    struct error err;

    memset(b, 0, sizeof(*b));
    bus_device_init(&b->ports.bus, &log_ops);
    bus_device_init(&b->memory.bus, &log_ops);
    check_int(bus_add(&b->pio, 0x70, 2, 0, &b->ports.bus, &err), 0);
    check_int(bus_add(&b->mmio, 0xd0000000, 0x1000, 0, &b->memory.bus, &err), 0);
    coalesced_init(&b->c);
    b->c.ring = calloc(1, sizeof(*b->c.ring) + CAPACITY * sizeof(b->c.ring->coalesced_mmio[0]));
    b->c.capacity = CAPACITY;
}

static void tear_down(struct bench *b)
{
    free(b->c.ring);
    coalesced_destroy(&b->c);
}

/* As KVM does it. */
static void push(struct bench *b, bool pio, uint64_t addr, uint64_t value, uint32_t len)
{
    struct kvm_coalesced_mmio_ring *ring = b->c.ring;
    struct kvm_coalesced_mmio *e = &ring->coalesced_mmio[ring->last];

    *e = (struct kvm_coalesced_mmio){.phys_addr = addr, .len = len, .pio = pio};
    memcpy(e->data, &value, sizeof(value));
    ring->last = (ring->last + 1) % CAPACITY;
}

static void test_writes_come_in_order(void)
{
    struct bench b;

    set_up(&b);
    coalesced_flush(&b.c, &b.mmio, &b.pio);
    check_int(b.ports.count + b.memory.count, 0);
    /* Three at a time go round the end of the ring. */
    for (size_t i = 0; i < 10; i++) {
        push(&b, true, 0x70, i, 1);
        push(&b, false, 0xd0000080 + i, 0x1122334455667788 + i, 4);
        push(&b, false, 0xd0000800 + i, 0x1122334455667788 + i, 8);
        coalesced_flush(&b.c, &b.mmio, &b.pio);
        check_int(b.c.ring->first, b.c.ring->last);
        check_int(b.ports.count, i + 1);
        check_int(b.ports.values[i], i);
        check_int(b.memory.offsets[2 * i], 0x80 + i);
        check_int(b.memory.values[2 * i], 0x55667788 + i);
        check_int(b.memory.lens[2 * i + 1], 8);
        check_int(b.memory.values[2 * i + 1], 0x1122334455667788 + i);
    }
    tear_down(&b);
}

static void test_no_ring(void)
{
    struct bench b;
    struct kvm kvm = {.fd = -1, .vm = -1, .run_size = 8192};

    set_up(&b);
    free(b.c.ring);
    /* A VM that is gone, and a KVM that has no such thing. */
    coalesced_attach(&b.c, &kvm, NULL);
    coalesced_flush(&b.c, &b.mmio, &b.pio);
    coalesced_attach(&b.c, &kvm, &b);
    check(b.c.ring == NULL);
    coalesced_flush(&b.c, &b.mmio, &b.pio);
    tear_down(&b);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_writes_come_in_order),
        TAP(test_no_ring),
        {0},
    });
}
