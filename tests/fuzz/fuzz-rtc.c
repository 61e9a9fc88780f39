/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any accesses of a guest to the clock. The first two bytes are how far it is ahead of the host;
 * then three bytes are one step: what is done, the register, the value. What must hold after each:
 * a clock that runs shows a time that there is, and an interrupt that is told is enabled.
 */
#include <stdint.h>

#include "tests/unit/loop-round.h"
#include "vmm/devices/rtc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bench {
    struct loop_round round;
    struct irq_line irq;
    struct rtc *rtc;
    struct bus bus;
};

static void bench_open(struct bench *b, int64_t offset)
{
    struct error err;

    *b = (struct bench){0};
    loop_round_open(&b->round);
    if (irq_line_init(&b->irq, 8, &err) < 0)
        abort();
    b->rtc = rtc_new(&b->irq, b->round.loop, offset & 1, offset, &err);
    if (!b->rtc || bus_add(&b->bus, 0x70, RTC_PORTS, 0, rtc_bus_device(b->rtc), &err) < 0)
        abort();
}

static void bench_close(struct bench *b)
{
    rtc_free(b->rtc);
    loop_round_close(&b->round);
    irq_line_close(&b->irq);
}

static uint8_t rd(struct bench *b, uint8_t reg)
{
    bus_write(&b->bus, 0x70, reg, 1);
    return (uint8_t)bus_read(&b->bus, 0x71, 1);
}

static void check_field(struct bench *b, uint8_t reg, bool binary, int least, int most)
{
    uint8_t byte = rd(b, reg);
    int value = binary ? byte : (byte >> 4) * 10 + (byte & 0xf);

    if (value < least || value > most || (!binary && ((byte & 0xf) > 9 || byte >> 4 > 9)))
        abort();
}

static void check_registers(struct bench *b)
{
    uint8_t control = rd(b, RTC_REG_B);
    uint8_t select = rd(b, RTC_REG_A);
    uint8_t flags = rd(b, RTC_REG_C);
    bool binary = control & RTC_BINARY;

    if ((flags & 0x0f) || (select & RTC_UIP) || rd(b, RTC_REG_D) != RTC_VRT)
        abort();
    if (!(flags & RTC_IRQF) != !(flags & control & (RTC_PI | RTC_AI | RTC_UI)))
        abort();
    if ((control & RTC_SET) || (select & RTC_DIVIDER_RESET) == RTC_DIVIDER_RESET)
        return;
    check_field(b, RTC_SECONDS, binary, 0, 59);
    check_field(b, RTC_MINUTES, binary, 0, 59);
    if (control & RTC_24H)
        check_field(b, RTC_HOURS, binary, 0, 23);
    check_field(b, RTC_DAY_OF_WEEK, binary, 1, 7);
    check_field(b, RTC_DAY_OF_MONTH, binary, 1, 31);
    check_field(b, RTC_MONTH, binary, 1, 12);
    check_field(b, RTC_YEAR, binary, 0, 99);
    check_field(b, RTC_CENTURY, binary, 0, 99);
}

static void step(struct bench *b, const uint8_t bytes[3])
{
    static const unsigned widths[] = {1, 2, 4, 8};
    unsigned width = widths[bytes[0] >> 6];

    switch (bytes[0] & 7) {
    case 0:
        bus_write(&b->bus, 0x70 + (bytes[1] & 1), bytes[2] * UINT64_C(0x0101010101010101), width);
        break;
    case 1:
        bus_read(&b->bus, 0x70 + (bytes[1] & 1), width);
        break;
    case 2:
        rd(b, bytes[1]);
        break;
    case 3:
        loop_round_run(&b->round);
        break;
    case 4:
        rtc_reset(b->rtc);
        break;
    default:
        bus_write(&b->bus, 0x70, bytes[1] % 16, 1);
        bus_write(&b->bus, 0x71, bytes[2], 1);
        break;
    }
    check_registers(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bench b;

    if (size < 2)
        return 0;
    bench_open(&b, (int64_t)((uint64_t)(data[0] | data[1] << 8) << (data[0] & 0x3f)));
    for (size_t i = 2; i + 3 <= size; i += 3)
        step(&b, data + i);
    bench_close(&b);
    return 0;
}
