/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/devices/i8042.h"

#include "tests/unit/tap.h"

struct board {
    struct bus bus;
    struct i8042 *kbc;
    int resets;
};

static void on_reset(void *opaque)
{
    ((struct board *)opaque)->resets++;
}

static void board_open(struct board *b)
{
    struct error err;

    *b = (struct board){.kbc = i8042_new(on_reset, b)};
    check_int(bus_add(&b->bus, 0x60, 1, I8042_DATA, i8042_bus_device(b->kbc), &err), 0);
    check_int(bus_add(&b->bus, 0x64, 1, I8042_COMMAND, i8042_bus_device(b->kbc), &err), 0);
}

/* Linux: i8042_flush() gives up when 16 reads have not emptied the output buffer. */
static void test_probe_finds_nobody(void)
{
    struct board b;

    board_open(&b);
    for (int i = 0; i < 17; i++) {
        check(bus_read(&b.bus, 0x64, 1) & 0x01);
        bus_read(&b.bus, 0x60, 1);
    }
    i8042_free(b.kbc);
}

/* Linux: kb_wait() before the reset wants the input buffer empty. */
static void test_pulse_resets(void)
{
    struct board b;

    board_open(&b);
    check_int(bus_read(&b.bus, 0x64, 1) & 0x02, 0);
    bus_write(&b.bus, 0x64, 0xfe, 1);
    check_int(b.resets, 1);
    bus_write(&b.bus, 0x64, 0xff, 1); /* pulses nothing */
    bus_write(&b.bus, 0x64, 0xaa, 1); /* self-test */
    bus_write(&b.bus, 0x60, 0xfe, 1); /* data, not a command */
    check_int(b.resets, 1);
    i8042_free(b.kbc);
}

static void test_output_port_resets(void)
{
    struct board b;

    board_open(&b);
    bus_write(&b.bus, 0x64, 0xd1, 1);
    bus_write(&b.bus, 0x60, 0xdf, 1); /* A20 on, reset line left alone */
    check_int(b.resets, 0);
    bus_write(&b.bus, 0x60, 0xde, 1); /* the command was used up */
    check_int(b.resets, 0);
    bus_write(&b.bus, 0x64, 0xd1, 1);
    i8042_reset(b.kbc);
    bus_write(&b.bus, 0x60, 0xde, 1);
    check_int(b.resets, 0);
    bus_write(&b.bus, 0x64, 0xd1, 1);
    bus_write(&b.bus, 0x60, 0xde, 1);
    check_int(b.resets, 1);
    i8042_free(b.kbc);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_probe_finds_nobody),
        TAP(test_pulse_resets),
        TAP(test_output_port_resets),
        {},
    });
}
