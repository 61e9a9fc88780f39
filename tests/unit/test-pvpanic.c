/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/tap.h"
#include "vmm/devices/pvpanic.h"

static unsigned calls;
static unsigned told;

static void on_tell(void *opaque, unsigned events)
{
    check(opaque == &calls);
    calls++;
    told = events;
}

static void test_events(void)
{
    struct pvpanic *pvpanic = pvpanic_new(on_tell, &calls);
    struct bus bus = {.count = 0};
    struct error err;

    check_int(bus_add(&bus, 0x505, PVPANIC_REGISTERS, 0, pvpanic_bus_device(pvpanic), &err), 0);
    check_int(bus_read(&bus, 0x505, 1), PVPANIC_PANICKED | PVPANIC_CRASH_LOADED);
    check_int(calls, 0);
    bus_write(&bus, 0x505, PVPANIC_PANICKED, 1);
    check_int(calls, 1);
    check_int(told, PVPANIC_PANICKED);
    bus_write(&bus, 0x505, PVPANIC_CRASH_LOADED, 1);
    check_int(told, PVPANIC_CRASH_LOADED);
    /* Of what is not known nothing is told. */
    bus_write(&bus, 0x505, 0xfc, 1);
    bus_write(&bus, 0x505, 0, 1);
    check_int(calls, 2);
    bus_write(&bus, 0x505, 0xff, 1);
    check_int(told, PVPANIC_PANICKED | PVPANIC_CRASH_LOADED);
    pvpanic_free(pvpanic);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_events),
        {0},
    });
}
