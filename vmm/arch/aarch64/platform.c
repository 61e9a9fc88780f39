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

int arch_virtio_slot(struct machine *m, unsigned n, struct arch_virtio_slot *slot,
                     struct error *err)
{
    struct irq_line *irq = &m->platform->virtio_irqs[n];

    slot->base = ARM64_VIRTIO + n * ARCH_VIRTIO_SLOT_SIZE;
    slot->irq = irq;
    return irq_line_init(irq, ARM64_SPI_VIRTIO + n, err);
}
_Static_assert(ARM64_VIRTIO + MACHINE_MAX_VIRTIO * ARCH_VIRTIO_SLOT_SIZE <= ARM64_VIRTIO_END,
               "a slot for each device");

/* A guest may tell of any number of crashes; one is told on, or it could fill the log. */
static void on_panic(void *opaque, unsigned events)
{
    struct machine *m = opaque;

    if (events & PVPANIC_PANICKED)
        machine_request(m, MACHINE_REQUEST_PANIC, CAUSE_GUEST_PANIC);
    else if (!__atomic_exchange_n(&m->platform->crash_told, true, __ATOMIC_RELAXED))
        log_warn("the guest panicked, and its crash kernel takes over");
}

/* ---- life ---- */

static int make_devices(struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;
    const struct config *c = m->config;

    if (c->genid)
        return error_set(err, "genid: this architecture has no device that tells the guest");
    if (irq_line_init(&p->uart_irq, ARM64_SPI_UART, err) < 0 ||
        irq_line_init(&p->gpio_irq, ARM64_SPI_GPIO, err) < 0)
        return -1;
    if (m->serial)
        p->uart = pl011_new(m->serial, &p->uart_irq);
    if (c->pvpanic)
        p->pvpanic = pvpanic_new(on_panic, m);
    p->gpio = pl061_new(&p->gpio_irq, m->loop, err);
    if (!p->gpio)
        return -1;
    if (c->rtc.absent)
        return 0;
    if (irq_line_init(&p->rtc_irq, ARM64_SPI_RTC, err) < 0)
        return -1;
    p->rtc = pl031_new(&p->rtc_irq, m->loop, c->rtc.localtime, c->rtc.offset, err);
    return p->rtc ? 0 : -1;
}

static int add_devices(struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;
    const struct {
        uint64_t base;
        uint64_t size;
        struct bus_device *dev; /* NULL: not there */
    } devices[] = {
        {ARM64_UART, PRIMECELL_SIZE, p->uart ? pl011_bus_device(p->uart) : NULL},
        {ARM64_RTC, PRIMECELL_SIZE, p->rtc ? pl031_bus_device(p->rtc) : NULL},
        {ARM64_GPIO, PRIMECELL_SIZE, pl061_bus_device(p->gpio)},
        {ARM64_PVPANIC, PVPANIC_REGISTERS, p->pvpanic ? pvpanic_bus_device(p->pvpanic) : NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
        if (devices[i].dev &&
            bus_add(&m->mmio, devices[i].base, devices[i].size, 0, devices[i].dev, err) < 0)
            return -1;
    }
    return 0;
}

int arch_platform_new(struct machine *m, struct error *err)
{
    struct arch_platform *p = xcalloc(1, sizeof(*p));

    m->platform = p;
    p->gic_fd = p->its_fd = -1;
    p->uart_irq.eventfd = p->rtc_irq.eventfd = p->gpio_irq.eventfd = -1;
    for (unsigned i = 0; i < MACHINE_MAX_VIRTIO; i++)
        p->virtio_irqs[i].eventfd = -1;
    if (make_devices(m, err) < 0 || add_devices(m, err) < 0) {
        arch_platform_free(m);
        return -1;
    }
    return 0;
}

void arch_platform_reset(struct machine *m)
{
    struct arch_platform *p = m->platform;

    p->crash_told = false;
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
    irq_line_close(&p->uart_irq);
    irq_line_close(&p->rtc_irq);
    irq_line_close(&p->gpio_irq);
    for (unsigned i = 0; i < MACHINE_MAX_VIRTIO; i++)
        irq_line_close(&p->virtio_irqs[i]);
    gic_close(p);
    free(p);
    m->platform = NULL;
}

static int wire(const struct machine *m, const struct irq_line *line, struct error *err)
{
    return line->eventfd < 0 ? 0 : kvm_irqfd(&m->kvm, line->eventfd, line->gsi, err);
}

int arch_platform_wire(struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;

    if (gic_start(m, err) < 0 || wire(m, &p->uart_irq, err) < 0 || wire(m, &p->rtc_irq, err) < 0 ||
        wire(m, &p->gpio_irq, err) < 0)
        return -1;
    for (unsigned i = 0; i < MACHINE_MAX_VIRTIO; i++) {
        if (wire(m, &p->virtio_irqs[i], err) < 0)
            return -1;
    }
    return 0;
}

void arch_power_button(struct machine *m)
{
    pl061_press_button(m->platform->gpio);
}
