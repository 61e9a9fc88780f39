/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/arch/x86_64/acpi.h"

#include <stdio.h>

#include "vmm/arch/x86_64/aml.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/devices/power.h"
#include "vmm/devices/pvpanic.h"
#include "vmm/devices/rtc.h"
#include "vmm/devices/serial.h"
#include "vmm/machine_priv.h"

/* ---- tables in general (section 5.2.6) ---- */

#define HEADER_LENGTH   4 /* offsets in the header */
#define HEADER_CHECKSUM 9
#define OEM_ID          "VOLE  "
#define TABLE_ALIGN     16

static uint8_t checksum(const uint8_t *data, size_t len)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + data[i]);
    return (uint8_t)-sum;
}

static void align_table(struct aml *out)
{
    while (out->len % TABLE_ALIGN && !out->overflow)
        aml_u8(out, 0);
}

/* Starts a table and returns its offset; its length and checksum are filled in by table_end(). */
static size_t table_begin(struct aml *out, const char *signature, uint8_t revision)
{
    size_t start;

    align_table(out);
    start = out->len;
    aml_bytes(out, signature, 4);
    aml_u32(out, 0);
    aml_u8(out, revision);
    aml_u8(out, 0);
    aml_bytes(out, OEM_ID, 6);
    aml_bytes(out, "VOLEVM  ", 8);
    aml_u32(out, 1);
    aml_bytes(out, "VOLE", 4);
    aml_u32(out, 1);
    return start;
}

static void table_end(struct aml *out, size_t start)
{
    uint32_t len = (uint32_t)(out->len - start);

    if (out->overflow)
        return;
    memcpy(out->data + start + HEADER_LENGTH, &len, sizeof(len));
    out->data[start + HEADER_CHECKSUM] = checksum(out->data + start, len);
}

/* Generic address structure of a register in I/O space (section 5.2.3.2). */
static void put_io_register(struct aml *out, uint16_t port)
{
    aml_u8(out, 1); /* system I/O */
    aml_u8(out, 8); /* bits wide */
    aml_u8(out, 0);
    aml_u8(out, 1); /* byte access */
    aml_u64(out, port);
}

static void put_zeroes_until(struct aml *out, size_t end)
{
    while (out->len < end && !out->overflow)
        aml_u8(out, 0);
}

/* ---- DSDT ---- */

static void put_serial(struct aml *out)
{
    size_t device = aml_device(out, "COM1");
    size_t resources;

    aml_name_eisaid(out, "_HID", "PNP0501");
    aml_name_integer(out, "_UID", 1);
    resources = aml_resources_begin(out, "_CRS");
    aml_resource_io(out, X86_PORT_SERIAL, SERIAL_REGISTERS);
    aml_resource_interrupt(out, X86_GSI_SERIAL, false);
    aml_resources_end(out, resources);
    aml_end(out, device);
}

static void put_rtc(struct aml *out)
{
    size_t device = aml_device(out, "RTC0");
    size_t resources;

    aml_name_eisaid(out, "_HID", "PNP0B00");
    resources = aml_resources_begin(out, "_CRS");
    aml_resource_io(out, X86_PORT_RTC, RTC_PORTS);
    aml_resource_interrupt(out, X86_GSI_RTC, false);
    aml_resources_end(out, resources);
    aml_end(out, device);
}

static void put_pvpanic(struct aml *out)
{
    size_t device = aml_device(out, "PEVT");
    size_t resources;

    aml_name_string(out, "_HID", "QEMU0001");
    resources = aml_resources_begin(out, "_CRS");
    aml_resource_io(out, X86_PORT_PVPANIC, PVPANIC_REGISTERS);
    aml_resources_end(out, resources);
    aml_end(out, device);
}

/* Microsoft's "Virtual Machine Generation ID": a device that says where in memory the id lies. */
static void put_genid(struct aml *out)
{
    static const uint32_t address[] = {X86_GENID, 0}; /* low half, high half */
    size_t device = aml_device(out, "VGEN");

    aml_name_string(out, "_HID", "VOLE0001");
    aml_name_string(out, "_CID", "VM_Gen_Counter");
    aml_name_string(out, "_DDN", "VM_Gen_Counter");
    aml_name_package(out, "ADDR", address, ARRAY_SIZE(address));
    aml_end(out, device);
}

static int write_genid(const struct machine *m, struct error *err)
{
    uint8_t id[CONFIG_GENID_BYTES];

    if (!m->config->genid)
        return 0;
    config_genid_bytes(m->config, id);
    if (memory_write(&m->memory, X86_GENID, id, sizeof(id)) < 0)
        return error_set(err, "too little memory for the generation id");
    return 0;
}

/*
 * A hardware-reduced platform has no fixed power button: a control method button, and a generic
 * event device (section 5.6.9) whose interrupt announces a press.
 */
static void put_power_button(struct aml *out)
{
    size_t button = aml_device(out, "PWRB");
    size_t ged;
    size_t resources;
    size_t method;
    size_t condition;

    aml_name_eisaid(out, "_HID", "PNP0C0C");
    aml_end(out, button);

    ged = aml_device(out, "GED_");
    aml_name_string(out, "_HID", "ACPI0013");
    resources = aml_resources_begin(out, "_CRS");
    aml_resource_interrupt(out, X86_GSI_POWER, false);
    aml_resources_end(out, resources);
    method = aml_method(out, "_EVT", 1);
    condition = aml_if_arg0_equals(out, X86_GSI_POWER);
    aml_notify(out, "\\_SB.PWRB", 0x80);
    aml_end(out, condition);
    aml_end(out, method);
    aml_end(out, ged);
}

static void put_virtio(struct aml *out, unsigned n)
{
    struct arch_virtio_slot slot = arch_virtio_slot(n);
    char name[8];
    size_t device;
    size_t resources;

    snprintf(name, sizeof(name), "VR%02X", n & 0xff);
    device = aml_device(out, name);
    aml_name_string(out, "_HID", "LNRO0005");
    aml_name_integer(out, "_UID", n);
    aml_name_integer(out, "_CCA", 1); /* DMA is coherent */
    resources = aml_resources_begin(out, "_CRS");
    aml_resource_memory(out, (uint32_t)slot.base, (uint32_t)VIRTIO_MMIO_SIZE);
    aml_resource_interrupt(out, slot.gsi, true);
    aml_resources_end(out, resources);
    aml_end(out, device);
}

static size_t put_dsdt(struct aml *out, const struct machine *m)
{
    static const uint32_t s5[] = {POWER_S5_TYPE, 0, 0, 0};
    size_t table = table_begin(out, "DSDT", 2);
    size_t scope = aml_scope(out, "\\_SB");

    if (m->serial)
        put_serial(out);
    if (!m->config->rtc.absent)
        put_rtc(out);
    if (m->config->pvpanic)
        put_pvpanic(out);
    if (m->config->genid)
        put_genid(out);
    put_power_button(out);
    for (unsigned i = 0; i < m->virtio_count; i++)
        put_virtio(out, i);
    aml_end(out, scope);
    aml_name_package(out, "\\_S5", s5, ARRAY_SIZE(s5));
    table_end(out, table);
    return table;
}

/* ---- FADT (section 5.2.9) ---- */

#define FADT_CENTURY       108
#define FADT_BOOT_ARCH     109
#define FADT_FLAGS         112
#define FADT_MINOR         131
#define FADT_X_DSDT        140
#define FADT_SLEEP_CONTROL 244
#define FADT_HYPERVISOR    268
#define FADT_SIZE          276

/* IAPC_BOOT_ARCH: what is not there need not be probed for. No 8042 bit: there is no keyboard. */
#define BOOT_ARCH_NO_VGA (1u << 2)
#define BOOT_ARCH_NO_RTC (1u << 5)

#define FLAG_WBINVD       (1u << 0)
#define FLAG_POWER_BUTTON (1u << 4) /* not a fixed one */
#define FLAG_SLEEP_BUTTON (1u << 5)
#define FLAG_NO_RTC_WAKE  (1u << 6)
#define FLAG_RESET_REG    (1u << 10)
#define FLAG_HEADLESS     (1u << 12)
#define FLAG_HW_REDUCED   (1u << 20)

static size_t put_fadt(struct aml *out, const struct machine *m, uint64_t dsdt)
{
    size_t table = table_begin(out, "FACP", 6);
    bool has_rtc = !m->config->rtc.absent;

    put_zeroes_until(out, table + FADT_CENTURY);
    aml_u8(out, has_rtc ? RTC_CENTURY : 0);
    put_zeroes_until(out, table + FADT_BOOT_ARCH);
    aml_u16(out, has_rtc ? BOOT_ARCH_NO_VGA : BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_RTC);
    put_zeroes_until(out, table + FADT_FLAGS);
    aml_u32(out, FLAG_WBINVD | FLAG_POWER_BUTTON | FLAG_SLEEP_BUTTON | FLAG_NO_RTC_WAKE |
                     FLAG_RESET_REG | FLAG_HEADLESS | FLAG_HW_REDUCED);
    put_io_register(out, X86_PORT_POWER + POWER_RESET);
    aml_u8(out, POWER_RESET_VALUE);
    put_zeroes_until(out, table + FADT_MINOR);
    aml_u8(out, 4); /* 6.4 */
    put_zeroes_until(out, table + FADT_X_DSDT);
    aml_u64(out, dsdt);
    put_zeroes_until(out, table + FADT_SLEEP_CONTROL);
    put_io_register(out, X86_PORT_POWER + POWER_SLEEP_CONTROL);
    put_io_register(out, X86_PORT_POWER + POWER_SLEEP_STATUS);
    put_zeroes_until(out, table + FADT_HYPERVISOR);
    aml_bytes(out, "VOLE\0\0\0\0", 8);
    put_zeroes_until(out, table + FADT_SIZE);
    table_end(out, table);
    return table;
}

/* ---- MADT (section 5.2.12) ---- */

#define MADT_LOCAL_APIC 0
#define MADT_IO_APIC    1
#define CPU_ENABLED     1u

static size_t put_madt(struct aml *out, const struct machine *m)
{
    size_t table = table_begin(out, "APIC", 5);

    aml_u32(out, X86_LAPIC);
    aml_u32(out, 0); /* flags: no 8259s */
    for (unsigned i = 0; i < m->config->cpus; i++) {
        aml_u8(out, MADT_LOCAL_APIC);
        aml_u8(out, 8);
        aml_u8(out, (uint8_t)i);                  /* processor UID */
        aml_u8(out, (uint8_t)arch_vcpu_id(m, i)); /* APIC id */
        aml_u32(out, CPU_ENABLED);
    }
    aml_u8(out, MADT_IO_APIC);
    aml_u8(out, 12);
    aml_u8(out, 0);
    aml_u8(out, 0);
    aml_u32(out, X86_IOAPIC);
    aml_u32(out, 0); /* first GSI */
    table_end(out, table);
    return table;
}

/* ---- XSDT and RSDP (sections 5.2.8, 5.2.5) ---- */

static size_t put_xsdt(struct aml *out, const uint64_t *tables, size_t count)
{
    size_t table = table_begin(out, "XSDT", 1);

    for (size_t i = 0; i < count; i++)
        aml_u64(out, tables[i]);
    table_end(out, table);
    return table;
}

#define RSDP_SIZE     36
#define RSDP_V1_SIZE  20
#define RSDP_V1_SUM   8
#define RSDP_FULL_SUM 32

static void write_rsdp(uint8_t *rsdp, uint64_t xsdt)
{
    struct aml out = {.data = rsdp, .size = RSDP_SIZE};

    aml_bytes(&out, "RSD PTR ", 8);
    aml_u8(&out, 0);
    aml_bytes(&out, OEM_ID, 6);
    aml_u8(&out, 2); /* revision */
    aml_u32(&out, 0);
    aml_u32(&out, RSDP_SIZE);
    aml_u64(&out, xsdt);
    aml_u32(&out, 0);
    rsdp[RSDP_V1_SUM] = checksum(rsdp, RSDP_V1_SIZE);
    rsdp[RSDP_FULL_SUM] = checksum(rsdp, RSDP_SIZE);
}

int acpi_write_tables(const struct machine *m, uint64_t *rsdp, struct error *err)
{
    uint64_t size = X86_ACPI_END - X86_ACPI;
    uint64_t tables[2];
    uint64_t xsdt;
    struct aml out = {
        .data = memory_ptr(&m->memory, X86_ACPI, size),
        .size = size,
        .len = ALIGN_UP(RSDP_SIZE, TABLE_ALIGN),
    };

    if (!out.data)
        return error_set(err, "too little memory for the ACPI tables");
    tables[0] = X86_ACPI + put_fadt(&out, m, X86_ACPI + put_dsdt(&out, m));
    tables[1] = X86_ACPI + put_madt(&out, m);
    xsdt = X86_ACPI + put_xsdt(&out, tables, ARRAY_SIZE(tables));
    if (out.overflow)
        return error_set(err, "the ACPI tables do not fit");
    write_rsdp(out.data, xsdt);
    *rsdp = X86_ACPI;
    return write_genid(m, err);
}
