/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fixed part of the machine: where RAM lies, the serial port, the clock, the power button, the
 * register for panics; and where virtio devices are put. Power off and reset are calls to KVM
 * (PSCI), and no devices.
 */
#include "vmm/arch/aarch64/platform.h"

#include "vmm/arch/aarch64/layout.h"
#include "vmm/arch/arch.h"
#include "vmm/devices/pl011.h"
#include "vmm/devices/pl031.h"
#include "vmm/devices/pl061.h"
#include "vmm/devices/primecell.h"
#include "vmm/devices/pvpanic.h"

unsigned arch_memory_layout(uint64_t size, struct memory_region *regions)
{
    regions[0] = (struct memory_region){.gpa = ARM64_RAM, .size = size};
    return 1;
}

struct arch_virtio_slot arch_virtio_slot(unsigned n)
{
    return (struct arch_virtio_slot){
        .base = ARM64_VIRTIO + n * VIRTIO_MMIO_SIZE,
        .gsi = ARM64_SPI_VIRTIO + n,
    };
}
_Static_assert(ARM64_VIRTIO + MACHINE_MAX_VIRTIO * VIRTIO_MMIO_SIZE <= ARM64_VIRTIO_END,
               "a slot for each device");

/* ---- life ---- */

static int make_devices(struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;
    const struct config *c = m->config;

    struct irq_line *uart = irq_lines_get(&m->irqs, ARM64_SPI_UART, err);
    struct irq_line *gpio = irq_lines_get(&m->irqs, ARM64_SPI_GPIO, err);
    struct irq_line *rtc;

    if (c->genid && genid_new(p, err) < 0)
        return -1;
    if (!uart || !gpio)
        return -1;
    if (m->serial)
        p->uart = pl011_new(m->serial, uart);
    if (c->pvpanic)
        p->pvpanic = pvpanic_new(machine_on_panic, m);
    p->gpio = pl061_new(gpio, m->loop, err);
    if (!p->gpio)
        return -1;
    if (c->rtc.absent)
        return 0;
    rtc = irq_lines_get(&m->irqs, ARM64_SPI_RTC, err);
    if (rtc)
        p->rtc = pl031_new(rtc, m->loop, c->rtc.localtime, c->rtc.offset, err);
    return p->rtc ? 0 : -1;
}

static int add_devices(struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;
    const struct bus_range devices[] = {
        {ARM64_UART, PRIMECELL_SIZE, 0, p->uart ? pl011_bus_device(p->uart) : NULL},
        {ARM64_RTC, PRIMECELL_SIZE, 0, p->rtc ? pl031_bus_device(p->rtc) : NULL},
        {ARM64_GPIO, PRIMECELL_SIZE, 0, pl061_bus_device(p->gpio)},
        {ARM64_PVPANIC, PVPANIC_REGISTERS, 0, p->pvpanic ? pvpanic_bus_device(p->pvpanic) : NULL},
    };

    return bus_add_all(&m->mmio, devices, ARRAY_SIZE(devices), err);
}

int arch_platform_new(struct machine *m, struct error *err)
{
    struct arch_platform *p = xcalloc(1, sizeof(*p));

    m->platform = p;
    p->gic_fd = p->its_fd = -1;
    return make_devices(m, err) < 0 ? -1 : add_devices(m, err);
}

void arch_platform_reset(struct machine *m)
{
    struct arch_platform *p = m->platform;

    if (p->uart)
        pl011_reset(p->uart);
    if (p->rtc)
        pl031_reset(p->rtc);
    pl061_reset(p->gpio);
}

void arch_platform_free(struct machine *m)
{
    struct arch_platform *p = m->platform;

    if (!p)
        return;
    pl011_free(p->uart);
    pl031_free(p->rtc);
    pl061_free(p->gpio);
    pvpanic_free(p->pvpanic);
    genid_free(p);
    gic_close(p);
    free(p);
    m->platform = NULL;
}

int arch_platform_wire(struct machine *m, struct error *err)
{
    return gic_start(m, err) < 0 ? -1 : kvm_wire_lines(&m->kvm, &m->irqs, err);
}

void arch_power_button(struct machine *m)
{
    pl061_press_button(m->platform->gpio);
}
