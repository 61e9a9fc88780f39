/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fixed part of the PC: where RAM lies, the serial port, the clock, the keyboard controller's
 * reset line, the power registers, the port for panics and the debug port; and where virtio devices
 * are put.
 *
 * There are more virtio devices than pins that the I/O APIC has left for them, so from the
 * twentieth on they share.
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

struct arch_virtio_slot arch_virtio_slot(unsigned n)
{
    return (struct arch_virtio_slot){
        .base = X86_VIRTIO_BASE + n * VIRTIO_MMIO_SIZE,
        .gsi = virtio_gsis[n % ARRAY_SIZE(virtio_gsis)],
    };
}
static_assert(X86_VIRTIO_BASE + MACHINE_MAX_VIRTIO * VIRTIO_MMIO_SIZE <= X86_VIRTIO_END,
              "a slot for each device");

/* ---- life ---- */

static int make_devices(struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;
    const struct config *c = m->config;
    struct irq_line *serial = irq_lines_get(&m->irqs, X86_GSI_SERIAL, err);
    struct irq_line *power = irq_lines_get(&m->irqs, X86_GSI_POWER, err);
    struct irq_line *rtc;

    if (!serial || !power)
        return -1;
    if (m->serial)
        p->serial = serial_new(m->serial, serial);
    p->kbc = i8042_new(machine_on_reset, m);
    p->power = power_new(power, machine_on_power_off, machine_on_reset, m);
    if (c->debug_port >= 0)
        p->debug_port = debug_port_new(STDOUT_FILENO);
    if (c->pvpanic)
        p->pvpanic = pvpanic_new(machine_on_panic, m);
    if (c->flat || c->rtc.absent)
        return 0;
    rtc = irq_lines_get(&m->irqs, X86_GSI_RTC, err);
    if (rtc)
        p->rtc = rtc_new(rtc, m->loop, c->rtc.localtime, c->rtc.offset, err);
    return p->rtc ? 0 : -1;
}

static int add_ports(struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;
    const struct bus_range ports[] = {
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

    return bus_add_all(&m->pio, ports, ARRAY_SIZE(ports), err);
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
    if (set_topology(m, err) < 0 ||
        cpuid_features_off(&m->config->cpu, &p->topology, &p->features_off, err) < 0 ||
        make_devices(m, err) < 0)
        return -1;
    return add_ports(m, err);
}

void arch_platform_reset(struct machine *m)
{
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
    free(p->cpuid);
    free(p);
    m->platform = NULL;
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
    if (m->config->flat)
        return 0;
    coalesce_ports(m);
    return kvm_wire_lines(&m->kvm, &m->irqs, err);
}

void arch_power_button(struct machine *m)
{
    power_press_button(m->platform->power);
}
