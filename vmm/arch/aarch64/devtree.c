/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/arch/aarch64/devtree.h"

#include <stdio.h>

#include "vmm/arch/aarch64/layout.h"
#include "vmm/devices/pl061.h"
#include "vmm/devices/primecell.h"
#include "vmm/devices/pvpanic.h"
#include "vmm/loader/dt_writer.h"

/* How nodes refer to each other. */
enum phandle {
    PHANDLE_GIC = 1,
    PHANDLE_CLOCK,
    PHANDLE_GPIO,
    PHANDLE_CPU, /* the first one's; the others follow */
};

/* The first cell of an interrupt, and the third. */
enum { INTERRUPT_SPI = 0, INTERRUPT_PPI = 1 };
enum { EDGE_RISING = 1, LEVEL_HIGH = 4 };

#define KEY_POWER 116 /* linux/input-event-codes.h */
#define UART_HZ   24000000

static void line(struct dt_writer *w, uint32_t spi)
{
    DT_CELLS(w, "interrupts", INTERRUPT_SPI, spi, EDGE_RISING);
}

/* ---- processors ---- */

static void write_cpu_map(struct dt_writer *w, const struct devtree *dt)
{
    unsigned a_socket = dt->cores * dt->threads;

    dt_begin(w, "cpu-map");
    for (unsigned i = 0; i < dt->cpus; i++) {
        unsigned thread = i % dt->threads;

        if (i % a_socket == 0) {
            dt_begin(w, "socket%u", i / a_socket);
            dt_begin(w, "cluster0");
        }
        if (thread == 0)
            dt_begin(w, "core%u", i / dt->threads % dt->cores);
        if (dt->threads > 1)
            dt_begin(w, "thread%u", thread);
        dt_cell(w, "cpu", PHANDLE_CPU + i);
        if (dt->threads > 1)
            dt_end(w);
        if (thread == dt->threads - 1)
            dt_end(w);
        if (i % a_socket == a_socket - 1) {
            dt_end(w);
            dt_end(w);
        }
    }
    dt_end(w);
}

static void write_cpus(struct dt_writer *w, const struct devtree *dt)
{
    dt_begin(w, "cpus");
    dt_cell(w, "#address-cells", 1);
    dt_cell(w, "#size-cells", 0);
    for (unsigned i = 0; i < dt->cpus; i++) {
        uint32_t mpidr = (uint32_t)arm64_mpidr(i);

        dt_begin(w, "cpu@%x", mpidr);
        dt_text(w, "device_type", "cpu");
        dt_text(w, "compatible", "arm,armv8");
        dt_cell(w, "reg", mpidr);
        dt_text(w, "enable-method", "psci");
        dt_cell(w, "phandle", PHANDLE_CPU + i);
        dt_end(w);
    }
    write_cpu_map(w, dt);
    dt_end(w);

    dt_begin(w, "psci");
    dt_texts(w, "compatible", "arm,psci-1.0\0arm,psci-0.2");
    dt_text(w, "method", "hvc");
    dt_end(w);
}

/* GICv2 wants to hear which vCPUs a private interrupt goes to. */
static uint32_t ppi_flags(const struct devtree *dt)
{
    return LEVEL_HIGH | (dt->gic == GIC_V2 ? ((1u << dt->cpus) - 1) << 8 : 0);
}

static void write_timer(struct dt_writer *w, const struct devtree *dt)
{
    uint32_t flags = ppi_flags(dt);

    dt_begin(w, "timer");
    dt_text(w, "compatible", "arm,armv8-timer");
    DT_CELLS(w, "interrupts", INTERRUPT_PPI, ARM64_PPI_TIMER_SECURE, flags, INTERRUPT_PPI,
             ARM64_PPI_TIMER_PHYS, flags, INTERRUPT_PPI, ARM64_PPI_TIMER_VIRT, flags, INTERRUPT_PPI,
             ARM64_PPI_TIMER_HYP, flags);
    dt_flag(w, "always-on");
    dt_end(w);
    if (!dt->has_pmu)
        return;
    dt_begin(w, "pmu");
    dt_text(w, "compatible", "arm,armv8-pmuv3");
    DT_CELLS(w, "interrupts", INTERRUPT_PPI, ARM64_PPI_PMU, flags);
    dt_end(w);
}

static void write_gic(struct dt_writer *w, const struct devtree *dt)
{
    uint64_t second = dt->gic == GIC_V3 ? ARM64_GICR : ARM64_GICC;
    uint64_t size = dt->gic == GIC_V3 ? dt->cpus * ARM64_GICR_SIZE : ARM64_GICC_SIZE;

    dt_begin(w, "interrupt-controller@%llx", (unsigned long long)ARM64_GICD);
    dt_text(w, "compatible", dt->gic == GIC_V3 ? "arm,gic-v3" : "arm,cortex-a15-gic");
    dt_flag(w, "interrupt-controller");
    dt_cell(w, "#interrupt-cells", 3);
    dt_cell(w, "#address-cells", 2);
    dt_cell(w, "#size-cells", 2);
    dt_flag(w, "ranges");
    DT_CELLS(w, "reg", DT_HIGH(ARM64_GICD), DT_LOW(ARM64_GICD), 0, ARM64_GICD_SIZE, DT_HIGH(second),
             DT_LOW(second), DT_HIGH(size), DT_LOW(size));
    dt_cell(w, "phandle", PHANDLE_GIC);
    if (dt->has_its) {
        dt_begin(w, "msi-controller@%llx", (unsigned long long)ARM64_ITS);
        dt_text(w, "compatible", "arm,gic-v3-its");
        dt_flag(w, "msi-controller");
        dt_cell(w, "#msi-cells", 1);
        dt_range(w, "reg", ARM64_ITS, ARM64_ITS_SIZE);
        dt_end(w);
    }
    dt_end(w);
}

/* ---- devices ---- */

/* Up to its clocks: of their own, a PrimeCell may have one more. */
static void begin_primecell(struct dt_writer *w, const char *name, uint64_t base, uint32_t spi)
{
    dt_begin(w, "%s@%llx", name, (unsigned long long)base);
    dt_range(w, "reg", base, PRIMECELL_SIZE);
    line(w, spi);
}

static void write_uart(struct dt_writer *w)
{
    begin_primecell(w, "serial", ARM64_UART, ARM64_SPI_UART);
    dt_texts(w, "compatible", "arm,pl011\0arm,primecell");
    DT_CELLS(w, "clocks", PHANDLE_CLOCK, PHANDLE_CLOCK);
    dt_texts(w, "clock-names", "uartclk\0apb_pclk");
    dt_end(w);
}

static void write_rtc(struct dt_writer *w)
{
    begin_primecell(w, "rtc", ARM64_RTC, ARM64_SPI_RTC);
    dt_texts(w, "compatible", "arm,pl031\0arm,primecell");
    DT_CELLS(w, "clocks", PHANDLE_CLOCK);
    dt_text(w, "clock-names", "apb_pclk");
    dt_end(w);
}

static void write_button(struct dt_writer *w)
{
    begin_primecell(w, "gpio", ARM64_GPIO, ARM64_SPI_GPIO);
    dt_texts(w, "compatible", "arm,pl061\0arm,primecell");
    dt_flag(w, "gpio-controller");
    dt_cell(w, "#gpio-cells", 2);
    DT_CELLS(w, "clocks", PHANDLE_CLOCK);
    dt_text(w, "clock-names", "apb_pclk");
    dt_cell(w, "phandle", PHANDLE_GPIO);
    dt_end(w);

    dt_begin(w, "gpio-keys");
    dt_text(w, "compatible", "gpio-keys");
    dt_begin(w, "key-power");
    dt_text(w, "label", "Power");
    dt_cell(w, "linux,code", KEY_POWER);
    DT_CELLS(w, "gpios", PHANDLE_GPIO, PL061_BUTTON, 0);
    dt_end(w);
    dt_end(w);
}

static void write_devices(struct dt_writer *w, const struct devtree *dt)
{
    dt_begin(w, "apb-pclk");
    dt_text(w, "compatible", "fixed-clock");
    dt_cell(w, "#clock-cells", 0);
    dt_cell(w, "clock-frequency", UART_HZ);
    dt_text(w, "clock-output-names", "clk24mhz");
    dt_cell(w, "phandle", PHANDLE_CLOCK);
    dt_end(w);

    if (dt->has_uart)
        write_uart(w);
    if (dt->has_rtc)
        write_rtc(w);
    write_button(w);
    if (dt->has_pvpanic) {
        dt_begin(w, "pvpanic@%llx", (unsigned long long)ARM64_PVPANIC);
        dt_text(w, "compatible", "qemu,pvpanic-mmio");
        dt_range(w, "reg", ARM64_PVPANIC, PVPANIC_REGISTERS);
        dt_end(w);
    }
    if (dt->has_genid) {
        dt_begin(w, "vmgenid@%llx", (unsigned long long)ARM64_GENID);
        dt_text(w, "compatible", "microsoft,vmgenid");
        dt_range(w, "reg", ARM64_GENID, ARM64_GENID_SIZE);
        line(w, ARM64_SPI_GENID);
        dt_end(w);
    }
    for (unsigned i = 0; i < dt->virtio_count; i++) {
        dt_begin(w, "virtio_mmio@%llx", (unsigned long long)dt->virtio[i].base);
        dt_text(w, "compatible", "virtio,mmio");
        dt_range(w, "reg", dt->virtio[i].base, dt->virtio[i].size);
        line(w, dt->virtio[i].spi);
        dt_flag(w, "dma-coherent");
        dt_end(w);
    }
}

/* ---- the tree ---- */

int devtree_write(const struct devtree *dt, void *buf, size_t size, struct error *err)
{
    struct dt_writer w;
    char console[32];

    snprintf(console, sizeof(console), "/serial@%llx", (unsigned long long)ARM64_UART);
    dt_start(&w, buf, size);
    dt_text(&w, "compatible", "linux,dummy-virt");
    dt_text(&w, "model", "vole");
    dt_cell(&w, "interrupt-parent", PHANDLE_GIC);
    dt_chosen(&w, &dt->chosen, dt->has_uart ? console : NULL);
    dt_memory(&w, ARM64_RAM, dt->memory);
    write_cpus(&w, dt);
    write_gic(&w, dt);
    write_timer(&w, dt);
    write_devices(&w, dt);
    return dt_finish(&w, err);
}
