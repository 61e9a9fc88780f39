/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/bus.h"

#include "tests/unit/tap.h"

/* Remembers its last access and answers with ones and its own mark. */
struct probe {
    struct bus_device bus;
    uint64_t mark;
    unsigned calls;
    uint64_t offset;
    uint64_t value;
    unsigned len;
};

static uint64_t probe_read(struct bus_device *dev, uint64_t offset, unsigned len)
{
    struct probe *p = container_of(dev, struct probe, bus);

    p->calls++;
    p->offset = offset;
    p->len = len;
    return 0xffffffffffffff00 | p->mark;
}

static void probe_write(struct bus_device *dev, uint64_t offset, uint64_t value, unsigned len)
{
    struct probe *p = container_of(dev, struct probe, bus);

    p->calls++;
    p->offset = offset;
    p->value = value;
    p->len = len;
}

static const struct bus_ops probe_ops = {.read = probe_read, .write = probe_write};
static const struct bus_ops deaf_ops = {NULL, NULL};

static void probe_init(struct probe *p, uint64_t mark)
{
    *p = (struct probe){.mark = mark};
    bus_device_init(&p->bus, &probe_ops);
}

static void test_finds_each_of_many(void)
{
    static const unsigned order[] = {5, 0, 7, 2, 6, 1, 4, 3};
    struct bus bus = {0};
    struct probe probes[8];
    struct error err;

    for (unsigned i = 0; i < 8; i++) {
        unsigned n = order[i];

        probe_init(&probes[n], n);
        check_int(bus_add(&bus, 0x1000 + 0x10 * n, 8, 0, &probes[n].bus, &err), 0);
    }
    for (unsigned n = 0; n < 8; n++) {
        check_int(bus_read(&bus, 0x1000 + 0x10 * n, 1), n);
        check_int(bus_read(&bus, 0x1007 + 0x10 * n, 1), n);
        check_int(probes[n].offset, 7);
        check_int(bus_read(&bus, 0x1008 + 0x10 * n, 1), 0xff); /* the gap behind it */
        check_int(probes[n].calls, 2);
    }
}

static void test_widths(void)
{
    struct bus bus = {0};
    struct probe p;
    struct error err;

    probe_init(&p, 0x5a);
    check_int(bus_add(&bus, 0x100, 8, 0x40, &p.bus, &err), 0);
    check_int(bus_read(&bus, 0x100, 1), 0x5a);
    check_int(bus_read(&bus, 0x100, 2), 0xff5a);
    check_int(bus_read(&bus, 0x100, 4), 0xffffff5a);
    check(bus_read(&bus, 0x100, 8) == 0xffffffffffffff5a);
    check_int(p.offset, 0x40);
    bus_write(&bus, 0x104, 0x1122334455667788, 4);
    check_int(p.offset, 0x44);
    check_int(p.value, 0x55667788);
    check_int(p.len, 4);
}

static void test_unclaimed_and_crossing(void)
{
    struct bus bus = {0};
    struct probe p;
    struct error err;

    check_int(bus_read(&bus, 0x60, 1), 0xff); /* an empty bus */
    bus_write(&bus, 0x60, 1, 1);
    probe_init(&p, 1);
    check_int(bus_add(&bus, 0x60, 4, 0, &p.bus, &err), 0);
    check_int(bus_read(&bus, 0x5f, 1), 0xff);
    check_int(bus_read(&bus, 0x5f, 2), 0xffff); /* begins before it */
    check_int(bus_read(&bus, 0x63, 2), 0xffff); /* ends behind it */
    bus_write(&bus, 0x62, 0, 4);
    check_int(bus_read(&bus, UINT64_MAX, 8) == UINT64_MAX, 1);
    check_int(p.calls, 0);
    check_int(bus_read(&bus, 0x62, 2), 0xff01);
    check_int(p.calls, 1);
}

static void test_top_of_the_address_space(void)
{
    struct bus bus = {0};
    struct probe p;
    struct error err;

    probe_init(&p, 2);
    check_int(bus_add(&bus, UINT64_MAX - 7, 8, 0, &p.bus, &err), 0);
    check_int(bus_read(&bus, UINT64_MAX, 1), 2);
    check_int(p.offset, 7);
    check(bus_read(&bus, UINT64_MAX, 2) == 0xffff);
    check_int(p.calls, 1);
}

static void test_refuses(void)
{
    struct bus bus = {0};
    struct probe p;
    struct error err;

    probe_init(&p, 0);
    check_int(bus_add(&bus, 0x3f8, 8, 0, &p.bus, &err), 0);
    check_int(bus_add(&bus, 0x3ff, 1, 0, &p.bus, &err), -1);
    check_str(err.msg, "bus range 0x3ff+0x1 overlaps 0x3f8+0x8");
    check_int(bus_add(&bus, 0x3f0, 9, 0, &p.bus, &err), -1);
    check_int(bus_add(&bus, 0, 0x10000, 0, &p.bus, &err), -1);
    check_int(bus_add(&bus, 0x400, 1, 0, &p.bus, &err), 0);
    check_int(bus_add(&bus, 0x3f0, 8, 0, &p.bus, &err), 0);
    check_int(bus_add(&bus, 1, UINT64_MAX, 0, &p.bus, &err), -1);
    check_int(bus_add(&bus, 2, UINT64_MAX, 0, &p.bus, &err), -1);
    check_str(err.msg, "bus range 0x2+0xffffffffffffffff is not valid");
    check_int(bus_add(&bus, 5, 0, 0, &p.bus, &err), -1);
    check_int(bus.count, 3);
}

static void test_full_table(void)
{
    struct bus bus = {0};
    struct probe p;
    struct error err;

    probe_init(&p, 0);
    for (uint64_t i = 0; i < BUS_MAX_RANGES; i++)
        check_int(bus_add(&bus, 2 * i, 1, 0, &p.bus, &err), 0);
    check_int(bus_add(&bus, 0x1000, 1, 0, &p.bus, &err), -1);
    check_str(err.msg, "no room for bus range 0x1000: 64 are in use");
}

static void test_missing_slots(void)
{
    struct bus bus = {0};
    struct bus_device deaf;
    struct error err;

    bus_device_init(&deaf, &deaf_ops);
    check_int(bus_add(&bus, 0, 4, 0, &deaf, &err), 0);
    check_int(bus_read(&bus, 0, 4), 0xffffffff);
    bus_write(&bus, 0, 0, 4);
}

static void test_a_table_of_ranges(void)
{
    struct bus bus = {0};
    struct probe low;
    struct probe high;
    struct error err;

    probe_init(&low, 1);
    probe_init(&high, 2);
    const struct bus_range ranges[] = {
        {0x2000, 8, 4, &high.bus}, {0x3000, 8, 0, NULL}, {0x1000, 8, 0, &low.bus}};
    const struct bus_range crossing[] = {{0x3000, 8, 0, &low.bus}, {0x1004, 8, 0, &low.bus}};

    check_int(bus_add_all(&bus, ranges, ARRAY_SIZE(ranges), &err), 0);
    check_int(bus.count, 2);
    check_int(bus_read(&bus, 0x1001, 1), 1);
    check_int(bus_read(&bus, 0x2001, 1), 2);
    check_int(high.offset, 5);
    check_int(bus_add_all(&bus, crossing, ARRAY_SIZE(crossing), &err), -1);
    check_str(err.msg, "bus range 0x1004+0x8 overlaps 0x1000+0x8");
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_finds_each_of_many),
        TAP(test_widths),
        TAP(test_unclaimed_and_crossing),
        TAP(test_top_of_the_address_space),
        TAP(test_refuses),
        TAP(test_full_table),
        TAP(test_missing_slots),
        TAP(test_a_table_of_ranges),
        {},
    });
}
