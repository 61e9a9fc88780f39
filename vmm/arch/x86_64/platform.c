/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fixed part of the PC: where RAM lies, the serial port, the keyboard controller's reset line,
 * the power registers, and the debug port; and where virtio devices are put.
 */
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/devices/debug_port.h"
#include "vmm/devices/i8042.h"
#include "vmm/devices/power.h"
#include "vmm/devices/serial.h"
#include "vmm/machine_priv.h"

struct arch_platform {
    struct irq_line serial_irq;
    struct irq_line power_irq;
    struct serial *serial;
    struct i8042 *kbc;
    struct power *power;
    struct debug_port *debug_port;
};

unsigned arch_memory_layout(uint64_t size, struct memory_region *regions)
{
    regions[0] = (struct memory_region){.gpa = 0, .size = MIN(size, X86_HOLE)};
    if (size <= X86_HOLE)
        return 1;
    regions[1] = (struct memory_region){.gpa = X86_HOLE_END, .size = size - X86_HOLE};
    return 2;
}

/* The I/O APIC's pins in the order they are given out: first those that no PC device ever had. */
static const uint8_t virtio_gsis[] = {
    16, 17, 18, 19, 20, 21, 22, 23, 5, 6, 7, 10, 11, 12, 13, 14, 15, 3, 8, 1,
};

int arch_virtio_slot(unsigned n, struct arch_virtio_slot *slot, struct error *err)
{
    if (n >= ARRAY_SIZE(virtio_gsis))
        return error_set(err, "too many devices: this machine has interrupt lines for %zu",
                         ARRAY_SIZE(virtio_gsis));
    slot->base = X86_VIRTIO_BASE + n * ARCH_VIRTIO_SLOT_SIZE;
    slot->gsi = virtio_gsis[n];
    return 0;
}

static void on_reset(void *opaque)
{
    machine_request(opaque, MACHINE_REQUEST_RESET, CAUSE_GUEST_RESET);
}

static void on_power_off(void *opaque)
{
    machine_request(opaque, MACHINE_REQUEST_SHUTDOWN, CAUSE_GUEST_SHUTDOWN);
}

static int add_ports(struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;
    struct bus_device *kbc = i8042_bus_device(p->kbc);

    if (bus_add(&m->pio, X86_PORT_SERIAL, SERIAL_REGISTERS, 0, serial_bus_device(p->serial), err) <
            0 ||
        bus_add(&m->pio, X86_PORT_KBC, 1, I8042_DATA, kbc, err) < 0 ||
        bus_add(&m->pio, X86_PORT_KBC + 4, 1, I8042_COMMAND, kbc, err) < 0 ||
        bus_add(&m->pio, X86_PORT_POWER, POWER_REGISTERS, 0, power_bus_device(p->power), err) < 0)
        return -1;
    if (p->debug_port)
        return bus_add(&m->pio, (uint64_t)m->config->debug_port, 1, 0,
                       debug_port_bus_device(p->debug_port), err);
    return 0;
}

int arch_platform_new(struct machine *m, struct error *err)
{
    struct arch_platform *p = xcalloc(1, sizeof(*p));

    m->platform = p;
    p->serial_irq = p->power_irq = (struct irq_line){.eventfd = -1};
    if (irq_line_init(&p->serial_irq, X86_GSI_SERIAL, err) < 0 ||
        irq_line_init(&p->power_irq, X86_GSI_POWER, err) < 0) {
        arch_platform_free(m);
        return -1;
    }
    p->serial = serial_new(m->serial, &p->serial_irq);
    p->kbc = i8042_new(on_reset, m);
    p->power = power_new(&p->power_irq, on_power_off, on_reset, m);
    if (m->config->debug_port >= 0)
        p->debug_port = debug_port_new(STDOUT_FILENO);
    if (add_ports(m, err) < 0) {
        arch_platform_free(m);
        return -1;
    }
    return 0;
}

void arch_platform_reset(struct machine *m)
{
    serial_reset(m->platform->serial);
    i8042_reset(m->platform->kbc);
}

void arch_platform_free(struct machine *m)
{
    struct arch_platform *p = m->platform;

    if (!p)
        return;
    serial_free(p->serial);
    i8042_free(p->kbc);
    power_free(p->power);
    debug_port_free(p->debug_port);
    irq_line_close(&p->serial_irq);
    irq_line_close(&p->power_irq);
    free(p);
    m->platform = NULL;
}

int arch_platform_wire(struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;

    if (m->config->flat)
        return 0;
    if (kvm_irqfd(&m->kvm, p->serial_irq.eventfd, p->serial_irq.gsi, err) < 0 ||
        kvm_irqfd(&m->kvm, p->power_irq.eventfd, p->power_irq.gsi, err) < 0)
        return -1;
    return 0;
}

void arch_power_button(struct machine *m)
{
    power_press_button(m->platform->power);
}
