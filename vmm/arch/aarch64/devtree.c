/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Written from front to back by libfdt. The first thing that fails (there is no room left) is
 * remembered and ends all that follows; it is looked at once, at the end.
 */
#include "vmm/arch/aarch64/devtree.h"

#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>

#include "vmm/arch/aarch64/layout.h"
#include "vmm/devices/pl061.h"
#include "vmm/devices/primecell.h"
#include "vmm/devices/pvpanic.h"

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

struct writer {
    void *fdt;
    int failed; /* libfdt's code, 0 as long as nothing did */
};

/* ---- properties ---- */

static void keep(struct writer *w, int r)
{
    if (!w->failed)
        w->failed = r;
}

PRINTF_LIKE(2, 3)
static void begin(struct writer *w, const char *fmt, ...)
{
    char name[64];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    keep(w, fdt_begin_node(w->fdt, name));
}

static void end(struct writer *w)
{
    keep(w, fdt_end_node(w->fdt));
}

static void bytes(struct writer *w, const char *name, const void *data, size_t len)
{
    keep(w, fdt_property(w->fdt, name, data, (int)len));
}

static void flag(struct writer *w, const char *name)
{
    bytes(w, name, NULL, 0);
}

static void text(struct writer *w, const char *name, const char *value)
{
    bytes(w, name, value, strlen(value) + 1);
}

/* Several strings, each with its zero; the literal's own is the last one's. */
#define texts(w, name, literal) bytes(w, name, literal, sizeof(literal))

static void cell(struct writer *w, const char *name, uint32_t value)
{
    keep(w, fdt_property_u32(w->fdt, name, value));
}

static void cells(struct writer *w, const char *name, const uint32_t *values, size_t count)
{
    fdt32_t data[16];

    for (size_t i = 0; i < count; i++)
        data[i] = cpu_to_fdt32(values[i]);
    bytes(w, name, data, count * sizeof(data[0]));
}
#define CELLS(w, name, ...)                         \
    cells(w, name, (const uint32_t[]){__VA_ARGS__}, \
          sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

#define HIGH(x) (uint32_t)((uint64_t)(x) >> 32)
#define LOW(x)  (uint32_t)(x)

static void range(struct writer *w, const char *name, uint64_t base, uint64_t size)
{
    CELLS(w, name, HIGH(base), LOW(base), HIGH(size), LOW(size));
}

static void line(struct writer *w, uint32_t spi)
{
    CELLS(w, "interrupts", INTERRUPT_SPI, spi, EDGE_RISING);
}

/* ---- processors ---- */

static void write_cpu_map(struct writer *w, const struct devtree *dt)
{
    unsigned a_socket = dt->cores * dt->threads;

    begin(w, "cpu-map");
    for (unsigned i = 0; i < dt->cpus; i++) {
        unsigned thread = i % dt->threads;

        if (i % a_socket == 0) {
            begin(w, "socket%u", i / a_socket);
            begin(w, "cluster0");
        }
        if (thread == 0)
            begin(w, "core%u", i / dt->threads % dt->cores);
        if (dt->threads > 1)
            begin(w, "thread%u", thread);
        cell(w, "cpu", PHANDLE_CPU + i);
        if (dt->threads > 1)
            end(w);
        if (thread == dt->threads - 1)
            end(w);
        if (i % a_socket == a_socket - 1) {
            end(w);
            end(w);
        }
    }
    end(w);
}

static void write_cpus(struct writer *w, const struct devtree *dt)
{
    begin(w, "cpus");
    cell(w, "#address-cells", 1);
    cell(w, "#size-cells", 0);
    for (unsigned i = 0; i < dt->cpus; i++) {
        uint32_t mpidr = (uint32_t)arm64_mpidr(i);

        begin(w, "cpu@%x", mpidr);
        text(w, "device_type", "cpu");
        text(w, "compatible", "arm,armv8");
        cell(w, "reg", mpidr);
        text(w, "enable-method", "psci");
        cell(w, "phandle", PHANDLE_CPU + i);
        end(w);
    }
    write_cpu_map(w, dt);
    end(w);

    begin(w, "psci");
    texts(w, "compatible", "arm,psci-1.0\0arm,psci-0.2");
    text(w, "method", "hvc");
    end(w);
}

/* GICv2 wants to hear which vCPUs a private interrupt goes to. */
static uint32_t ppi_flags(const struct devtree *dt)
{
    return LEVEL_HIGH | (dt->gic == GIC_V2 ? ((1u << dt->cpus) - 1) << 8 : 0);
}

static void write_timer(struct writer *w, const struct devtree *dt)
{
    uint32_t flags = ppi_flags(dt);

    begin(w, "timer");
    text(w, "compatible", "arm,armv8-timer");
    CELLS(w, "interrupts", INTERRUPT_PPI, ARM64_PPI_TIMER_SECURE, flags, INTERRUPT_PPI,
          ARM64_PPI_TIMER_PHYS, flags, INTERRUPT_PPI, ARM64_PPI_TIMER_VIRT, flags, INTERRUPT_PPI,
          ARM64_PPI_TIMER_HYP, flags);
    flag(w, "always-on");
    end(w);
    if (!dt->has_pmu)
        return;
    begin(w, "pmu");
    text(w, "compatible", "arm,armv8-pmuv3");
    CELLS(w, "interrupts", INTERRUPT_PPI, ARM64_PPI_PMU, flags);
    end(w);
}

static void write_gic(struct writer *w, const struct devtree *dt)
{
    uint64_t second = dt->gic == GIC_V3 ? ARM64_GICR : ARM64_GICC;
    uint64_t size = dt->gic == GIC_V3 ? dt->cpus * ARM64_GICR_SIZE : ARM64_GICC_SIZE;

    begin(w, "interrupt-controller@%llx", (unsigned long long)ARM64_GICD);
    text(w, "compatible", dt->gic == GIC_V3 ? "arm,gic-v3" : "arm,cortex-a15-gic");
    flag(w, "interrupt-controller");
    cell(w, "#interrupt-cells", 3);
    cell(w, "#address-cells", 2);
    cell(w, "#size-cells", 2);
    flag(w, "ranges");
    CELLS(w, "reg", HIGH(ARM64_GICD), LOW(ARM64_GICD), 0, ARM64_GICD_SIZE, HIGH(second),
          LOW(second), HIGH(size), LOW(size));
    cell(w, "phandle", PHANDLE_GIC);
    if (dt->has_its) {
        begin(w, "msi-controller@%llx", (unsigned long long)ARM64_ITS);
        text(w, "compatible", "arm,gic-v3-its");
        flag(w, "msi-controller");
        cell(w, "#msi-cells", 1);
        range(w, "reg", ARM64_ITS, ARM64_ITS_SIZE);
        end(w);
    }
    end(w);
}

/* ---- devices ---- */

/* Up to its clocks: of their own, a PrimeCell may have one more. */
static void begin_primecell(struct writer *w, const char *name, uint64_t base, uint32_t spi)
{
    begin(w, "%s@%llx", name, (unsigned long long)base);
    range(w, "reg", base, PRIMECELL_SIZE);
    line(w, spi);
}

static void write_uart(struct writer *w)
{
    begin_primecell(w, "serial", ARM64_UART, ARM64_SPI_UART);
    texts(w, "compatible", "arm,pl011\0arm,primecell");
    CELLS(w, "clocks", PHANDLE_CLOCK, PHANDLE_CLOCK);
    texts(w, "clock-names", "uartclk\0apb_pclk");
    end(w);
}

static void write_rtc(struct writer *w)
{
    begin_primecell(w, "rtc", ARM64_RTC, ARM64_SPI_RTC);
    texts(w, "compatible", "arm,pl031\0arm,primecell");
    CELLS(w, "clocks", PHANDLE_CLOCK);
    text(w, "clock-names", "apb_pclk");
    end(w);
}

static void write_button(struct writer *w)
{
    begin_primecell(w, "gpio", ARM64_GPIO, ARM64_SPI_GPIO);
    texts(w, "compatible", "arm,pl061\0arm,primecell");
    flag(w, "gpio-controller");
    cell(w, "#gpio-cells", 2);
    CELLS(w, "clocks", PHANDLE_CLOCK);
    text(w, "clock-names", "apb_pclk");
    cell(w, "phandle", PHANDLE_GPIO);
    end(w);

    begin(w, "gpio-keys");
    text(w, "compatible", "gpio-keys");
    begin(w, "key-power");
    text(w, "label", "Power");
    cell(w, "linux,code", KEY_POWER);
    CELLS(w, "gpios", PHANDLE_GPIO, PL061_BUTTON, 0);
    end(w);
    end(w);
}

static void write_devices(struct writer *w, const struct devtree *dt)
{
    begin(w, "apb-pclk");
    text(w, "compatible", "fixed-clock");
    cell(w, "#clock-cells", 0);
    cell(w, "clock-frequency", UART_HZ);
    text(w, "clock-output-names", "clk24mhz");
    cell(w, "phandle", PHANDLE_CLOCK);
    end(w);

    if (dt->has_uart)
        write_uart(w);
    if (dt->has_rtc)
        write_rtc(w);
    write_button(w);
    if (dt->has_pvpanic) {
        begin(w, "pvpanic@%llx", (unsigned long long)ARM64_PVPANIC);
        text(w, "compatible", "qemu,pvpanic-mmio");
        range(w, "reg", ARM64_PVPANIC, PVPANIC_REGISTERS);
        end(w);
    }
    for (unsigned i = 0; i < dt->virtio_count; i++) {
        begin(w, "virtio_mmio@%llx", (unsigned long long)dt->virtio[i].base);
        text(w, "compatible", "virtio,mmio");
        range(w, "reg", dt->virtio[i].base, dt->virtio[i].size);
        line(w, dt->virtio[i].spi);
        flag(w, "dma-coherent");
        end(w);
    }
}

/* ---- the tree ---- */

static void write_chosen(struct writer *w, const struct devtree *dt)
{
    uint64_t end_of_initrd = dt->initrd + dt->initrd_size;

    begin(w, "chosen");
    text(w, "bootargs", dt->cmdline);
    if (dt->has_uart) {
        char path[32];

        snprintf(path, sizeof(path), "/serial@%llx", (unsigned long long)ARM64_UART);
        text(w, "stdout-path", path);
    }
    bytes(w, "rng-seed", dt->rng_seed, sizeof(dt->rng_seed));
    CELLS(w, "kaslr-seed", HIGH(dt->kaslr_seed), LOW(dt->kaslr_seed));
    if (dt->initrd_size) {
        CELLS(w, "linux,initrd-start", HIGH(dt->initrd), LOW(dt->initrd));
        CELLS(w, "linux,initrd-end", HIGH(end_of_initrd), LOW(end_of_initrd));
    }
    end(w);
}

int devtree_write(const struct devtree *dt, void *buf, size_t size, struct error *err)
{
    struct writer w = {.fdt = buf};

    keep(&w, fdt_create(buf, (int)size));
    keep(&w, fdt_finish_reservemap(buf));
    begin(&w, "%s", "");
    text(&w, "compatible", "linux,dummy-virt");
    text(&w, "model", "vole");
    cell(&w, "#address-cells", 2);
    cell(&w, "#size-cells", 2);
    cell(&w, "interrupt-parent", PHANDLE_GIC);
    write_chosen(&w, dt);
    begin(&w, "memory@%llx", (unsigned long long)ARM64_RAM);
    text(&w, "device_type", "memory");
    range(&w, "reg", ARM64_RAM, dt->memory);
    end(&w);
    write_cpus(&w, dt);
    write_gic(&w, dt);
    write_timer(&w, dt);
    write_devices(&w, dt);
    end(&w);
    keep(&w, fdt_finish(buf));
    if (w.failed)
        return error_set(err, "the device tree does not fit into %zu KiB (%s)", size / KiB,
                         fdt_strerror(w.failed));
    return (int)fdt_totalsize(buf);
}
