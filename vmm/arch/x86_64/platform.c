/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fixed part of the PC: where RAM lies, the serial port, the clock, the keyboard controller's
 * reset line, the power registers, the port for panics and the debug port; and where virtio devices
 * are put.
 *
 * Interrupt lines. There are more virtio devices than pins that the I/O APIC has left for them, so
 * from the twentieth on they share. A shared line is one eventfd, raised by all its devices, and
 * one irqfd: KVM raises and lowers a pin in two steps, and two irqfds on one pin could fall between
 * each other's steps, where an edge is lost.
 */
#include "vmm/arch/x86_64/platform.h"

#include <assert.h>

#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/devices/debug_port.h"
#include "vmm/devices/i8042.h"
#include "vmm/devices/power.h"
#include "vmm/devices/pvpanic.h"
#include "vmm/devices/rtc.h"
#include "vmm/devices/serial.h"
#include "vmm/machine_priv.h"

unsigned arch_memory_layout(uint64_t size, struct memory_region *regions)
{
    regions[0] = (struct memory_region){.gpa = 0, .size = MIN(size, X86_HOLE)};
    if (size <= X86_HOLE)
        return 1;
    regions[1] = (struct memory_region){.gpa = X86_HOLE_END, .size = size - X86_HOLE};
    return 2;
}

/* ---- virtio slots ---- */

/* The I/O APIC's pins in the order they are given out: first those that no PC device ever had. */
static const uint8_t virtio_gsis[] = {
    16, 17, 18, 19, 20, 21, 22, 23, 5, 6, 7, 10, 11, 12, 13, 14, 15, 3, 1,
};
static_assert(ARRAY_SIZE(virtio_gsis) == X86_VIRTIO_LINES, "one line a pin");

int arch_virtio_slot(struct machine *m, unsigned n, struct arch_virtio_slot *slot,
                     struct error *err)
{
    struct irq_line *irq = &m->platform->virtio_irqs[n % X86_VIRTIO_LINES];

    slot->base = X86_VIRTIO_BASE + n * ARCH_VIRTIO_SLOT_SIZE;
    slot->irq = irq;
    if (slot->base >= X86_VIRTIO_END)
        return error_set(err, "too many devices");
    return irq->eventfd < 0 ? irq_line_init(irq, virtio_gsis[n % X86_VIRTIO_LINES], err) : 0;
}

/* ---- what the fixed devices ask of the machine ---- */

static void on_reset(void *opaque)
{
    machine_request(opaque, MACHINE_REQUEST_RESET, CAUSE_GUEST_RESET);
}

static void on_power_off(void *opaque)
{
    machine_request(opaque, MACHINE_REQUEST_SHUTDOWN, CAUSE_GUEST_SHUTDOWN);
}

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

    if (irq_line_init(&p->serial_irq, X86_GSI_SERIAL, err) < 0 ||
        irq_line_init(&p->power_irq, X86_GSI_POWER, err) < 0)
        return -1;
    if (m->serial)
        p->serial = serial_new(m->serial, &p->serial_irq);
    p->kbc = i8042_new(on_reset, m);
    p->power = power_new(&p->power_irq, on_power_off, on_reset, m);
    if (c->debug_port >= 0)
        p->debug_port = debug_port_new(STDOUT_FILENO);
    if (c->pvpanic)
        p->pvpanic = pvpanic_new(on_panic, m);
    if (c->flat || c->rtc.absent)
        return 0;
    if (irq_line_init(&p->rtc_irq, X86_GSI_RTC, err) < 0)
        return -1;
    p->rtc = rtc_new(&p->rtc_irq, m->loop, c->rtc.localtime, c->rtc.offset, err);
    return p->rtc ? 0 : -1;
}

static int add_ports(struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;
    const struct {
        uint64_t port;
        uint64_t count;
        uint64_t offset;
        struct bus_device *dev; /* NULL: not there */
    } ports[] = {
        {X86_PORT_SERIAL, SERIAL_REGISTERS, 0, p->serial ? serial_bus_device(p->serial) : NULL},
        {X86_PORT_KBC, 1, I8042_DATA, i8042_bus_device(p->kbc)},
        {X86_PORT_KBC + 4, 1, I8042_COMMAND, i8042_bus_device(p->kbc)},
        {X86_PORT_POWER, POWER_REGISTERS, 0, power_bus_device(p->power)},
        {X86_PORT_RTC, RTC_PORTS, 0, p->rtc ? rtc_bus_device(p->rtc) : NULL},
        {X86_PORT_PVPANIC, PVPANIC_REGISTERS, 0,
         p->pvpanic ? pvpanic_bus_device(p->pvpanic) : NULL},
        {(uint64_t)m->config->debug_port, 1, 0,
         p->debug_port ? debug_port_bus_device(p->debug_port) : NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        if (ports[i].dev &&
            bus_add(&m->pio, ports[i].port, ports[i].count, ports[i].offset, ports[i].dev, err) < 0)
            return -1;
    }
    return 0;
}

static int set_topology(struct machine *m, struct error *err)
{
    struct cpu_topology *t = &m->platform->topology;
    uint32_t highest;

    *t = cpu_topology(m->config);
    highest = cpu_apic_id(t, m->config->cpus - 1);
    if (highest > X86_MAX_APIC_ID)
        return error_set(err,
                         "%u vCPUs with %u cores a socket and %u threads a core take processor ids "
                         "up to %u, and %u is the highest there is",
                         m->config->cpus, t->cores, t->threads, highest, X86_MAX_APIC_ID);
    return 0;
}

int arch_platform_new(struct machine *m, struct error *err)
{
    struct arch_platform *p = xcalloc(1, sizeof(*p));

    m->platform = p;
    p->serial_irq.eventfd = p->rtc_irq.eventfd = p->power_irq.eventfd = -1;
    for (unsigned i = 0; i < X86_VIRTIO_LINES; i++)
        p->virtio_irqs[i].eventfd = -1;
    if (set_topology(m, err) < 0 ||
        cpuid_features_off(&m->config->cpu, &p->topology, &p->features_off, err) < 0 ||
        make_devices(m, err) < 0 || add_ports(m, err) < 0) {
        arch_platform_free(m);
        return -1;
    }
    return 0;
}

void arch_platform_reset(struct machine *m)
{
    m->platform->crash_told = false;
    if (m->platform->serial)
        serial_reset(m->platform->serial);
    i8042_reset(m->platform->kbc);
    if (m->platform->rtc)
        rtc_reset(m->platform->rtc);
}

void arch_platform_free(struct machine *m)
{
    struct arch_platform *p = m->platform;

    if (!p)
        return;
    serial_free(p->serial);
    rtc_free(p->rtc);
    i8042_free(p->kbc);
    power_free(p->power);
    pvpanic_free(p->pvpanic);
    debug_port_free(p->debug_port);
    irq_line_close(&p->serial_irq);
    irq_line_close(&p->rtc_irq);
    irq_line_close(&p->power_irq);
    for (unsigned i = 0; i < X86_VIRTIO_LINES; i++)
        irq_line_close(&p->virtio_irqs[i]);
    free(p->cpuid);
    free(p);
    m->platform = NULL;
}

static int wire(const struct machine *m, const struct irq_line *line, struct error *err)
{
    return line->eventfd < 0 ? 0 : kvm_irqfd(&m->kvm, line->eventfd, line->gsi, err);
}

/*
 * Ports that are only written to before something else is read, or that nothing is behind: a kernel
 * looks for PCI and for serial ports by writing and then reading what is not there.
 */
static void coalesce_ports(const struct machine *m)
{
    static const struct {
        uint16_t port;
        uint16_t count;
    } zones[] = {
        {X86_PORT_RTC, 1},         /* the index */
        {X86_PORT_PCI_ADDRESS, 4}, /* no PCI */
        {0x2f8, 8},
        {0x3e8, 8},
        {0x2e8, 8}, /* no second to fourth serial port */
    };
    int debug = m->config->debug_port;

    for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
        if (debug < zones[i].port || debug >= zones[i].port + zones[i].count)
            kvm_coalesce_pio(&m->kvm, zones[i].port, zones[i].count);
    }
}

int arch_platform_wire(struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;

    if (m->config->flat)
        return 0;
    coalesce_ports(m);
    if (wire(m, &p->serial_irq, err) < 0 || wire(m, &p->rtc_irq, err) < 0 ||
        wire(m, &p->power_irq, err) < 0)
        return -1;
    for (unsigned i = 0; i < X86_VIRTIO_LINES; i++) {
        if (wire(m, &p->virtio_irqs[i], err) < 0)
            return -1;
    }
    return 0;
}

void arch_power_button(struct machine *m)
{
    power_press_button(m->platform->power);
}
