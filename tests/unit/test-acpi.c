/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ACPI tables: every pointer and checksum followed as a kernel would, and the AML taken apart
 * and put together again by ACPICA's own compiler, without an error or a warning.
 */
#include "tests/unit/tap.h"
#include "vmm/arch/x86_64/acpi.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/machine_priv.h"
#include "vmm/virtio/devices.h"

#include <sys/stat.h>

#define RAM          (2 * MiB)
#define MOST_CPUS    254
#define MOST_DEVICES MACHINE_MAX_VIRTIO

struct table_header {
    char signature[4];
    uint32_t length;
} __attribute__((packed));

static struct config config;
static struct machine machine;

static void (*adjust)(struct config *config); /* of the test at hand; or NULL */

static void set_up(unsigned cpus, unsigned devices)
{
    struct memory_region region = {.gpa = 0, .size = RAM};
    struct error err;

    memset(&machine, 0, sizeof(machine));
    config_init(&config);
    config.cpus = cpus;
    config.pvpanic = true;
    if (adjust)
        adjust(&config);
    machine.config = &config;
    machine.loop = loop_new(&err);
    check(arch_platform_new(&machine, &err) == 0);
    /* Only whether there is one matters here. */
    machine.serial = (struct chardev *)(void *)&machine;
    check(memory_init(&machine.memory, &region, 1, NULL, &err) == 0);
    machine.io_loop = loop_thread_start("test", &err);
    for (unsigned i = 0; i < devices; i++) {
        struct arch_virtio_slot slot = arch_virtio_slot(i);
        struct irq_line *irq = irq_lines_get(&machine.irqs, slot.gsi, &err);
        struct virtio_device *dev =
            virtio_rng_new("rng", &machine.memory, machine.io_loop, dup(0), &err);

        check(irq != NULL);
        machine.virtio[machine.virtio_count++] = virtio_mmio_new(dev, slot.base, irq);
    }
}

static void tear_down(void)
{
    for (unsigned i = 0; i < machine.virtio_count; i++)
        virtio_mmio_free(machine.virtio[i]);
    arch_platform_free(&machine);
    irq_lines_close(&machine.irqs);
    loop_thread_stop(machine.io_loop);
    loop_free(machine.loop);
    memory_release(&machine.memory);
    config_clear(&config);
}

static bool sums_to_zero(const uint8_t *data, size_t len)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + data[i]);
    return sum == 0;
}

/* A table that lies wholly in the tables' area and whose checksum is right, or NULL. */
static const uint8_t *table_at(uint64_t gpa, const char *signature)
{
    struct table_header head;
    const uint8_t *p = memory_ptr(&machine.memory, gpa, sizeof(head));

    if (!check(p && gpa >= X86_ACPI && gpa < X86_ACPI_END))
        return NULL;
    memcpy(&head, p, sizeof(head));
    if (!check(memcmp(head.signature, signature, 4) == 0) ||
        !check(head.length <= X86_ACPI_END - gpa) || !check(sums_to_zero(p, head.length)))
        return NULL;
    return p;
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static void write_table(const char *dir, const char *name, const uint8_t *table)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s.dat", dir, name);
    f = fopen(path, "w");
    if (check(f != NULL)) {
        check(fwrite(table, 1, get32(table + 4), f) == get32(table + 4));
        fclose(f);
    }
}

/* Finds the tables by following the pointers from the RSDP, and writes them to `dir` if given. */
static void walk_tables(unsigned cpus, const char *dir)
{
    struct error err;
    uint64_t rsdp;
    const uint8_t *p;
    const uint8_t *xsdt;
    const uint8_t *fadt;
    const uint8_t *madt;
    const uint8_t *dsdt;
    unsigned found = 0;

    if (!check(acpi_write_tables(&machine, &rsdp, &err) == 0))
        return;
    p = memory_ptr(&machine.memory, rsdp, 36);
    check(memcmp(p, "RSD PTR ", 8) == 0 && sums_to_zero(p, 20) && sums_to_zero(p, 36));
    xsdt = table_at(get64(p + 24), "XSDT");
    if (!xsdt)
        return;
    fadt = table_at(get64(xsdt + 36), "FACP");
    madt = table_at(get64(xsdt + 44), "APIC");
    if (!fadt || !madt)
        return;
    check_int(get32(fadt + 4), 276);
    dsdt = table_at(get64(fadt + 140), "DSDT");
    if (!dsdt)
        return;

    for (const uint8_t *e = madt + 44; e < madt + get32(madt + 4); e += e[1]) {
        if (!check(e[1] >= 2))
            return;
        if (e[0] != 0)
            continue;
        check_int(e[3], arch_vcpu_id(&machine, found));
        found++;
    }
    check_int(found, cpus);
    if (dir) {
        write_table(dir, "facp", fadt);
        write_table(dir, "apic", madt);
        write_table(dir, "dsdt", dsdt);
        write_table(dir, "xsdt", xsdt);
    }
}

static void test_small_machine(void)
{
    set_up(1, 0);
    walk_tables(1, NULL);
    tear_down();
}

static void test_largest_machine(void)
{
    set_up(MOST_CPUS, MOST_DEVICES);
    walk_tables(MOST_CPUS, NULL);
    tear_down();
}

/* Three cores take two bits of an APIC id: the second socket's begin at 4. */
static void six_cores_of_two_sockets(struct config *c)
{
    c->topology = (struct config_topology){.sockets = 2, .cores = 3, .threads = 1};
}

static void test_apic_ids_with_holes(void)
{
    adjust = six_cores_of_two_sockets;
    set_up(6, 0);
    check_int(arch_vcpu_id(&machine, 2), 2);
    check_int(arch_vcpu_id(&machine, 3), 4);
    check_int(arch_vcpu_id(&machine, 5), 6);
    walk_tables(6, NULL);
    tear_down();
    adjust = NULL;
}

static void test_apic_ids_that_do_not_fit(void)
{
    struct error err = {""};

    memset(&machine, 0, sizeof(machine));
    config_init(&config);
    config.cpus = 252;
    config.topology = (struct config_topology){.sockets = 84, .cores = 3, .threads = 1};
    machine.config = &config;
    check_int(arch_platform_new(&machine, &err), -1);
    check(strstr(err.msg, "processor ids up to 334") != NULL);
    arch_platform_free(&machine);
    irq_lines_close(&machine.irqs);
    config_clear(&config);
}

/* Lines are shared only when there are more devices than lines, and never with a fixed device. */
static void test_interrupt_lines(void)
{
    const unsigned own = 19; /* that no fixed device uses */
    unsigned users[X86_GSIS] = {0};

    set_up(1, MOST_DEVICES);
    users[X86_GSI_SERIAL] = users[X86_GSI_RTC] = users[X86_GSI_POWER] = MOST_DEVICES;
    for (unsigned i = 0; i < MOST_DEVICES; i++) {
        uint32_t gsi = arch_virtio_slot(i).gsi;

        if (!check(gsi < X86_GSIS))
            break;
        check(users[gsi] == i / own);
        users[gsi]++;
    }
    check_int(machine.irqs.count, own + 3);
    tear_down();
}

/* Whether `needle` stands in the output of a shell command that ends well. */
static bool output_has(const char *command, const char *needle)
{
    char line[512];
    bool found = false;
    FILE *f = popen(command, "r");

    if (!check(f != NULL))
        return false;
    while (fgets(line, sizeof(line), f)) {
        if (strstr(line, needle))
            found = true;
    }
    return check(pclose(f) == 0) && found;
}

/* Takes the tables apart and puts them together again, in `dir`. */
static void check_with_iasl(const char *dir)
{
    static const char *const tables[] = {"facp", "apic", "dsdt", "xsdt"};
    char command[512];

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        snprintf(command, sizeof(command),
                 "cd %s && iasl -d %s.dat >/dev/null 2>%s.err && iasl -vs "
                 "%s.dsl 2>&1",
                 dir, tables[i], tables[i], tables[i]);
        if (!check(output_has(command, "0 Errors, 0 Warnings")))
            printf("# table %s\n", tables[i]);
    }
}

#define GENID "01234567-89ab-cdef-0123-456789abcdef"

static void with_genid(struct config *c)
{
    c->genid = xstrdup(GENID);
}

static void test_generation_id(void)
{
    static const uint8_t want[16] = {0x67, 0x45, 0x23, 0x01, 0xab, 0x89, 0xef, 0xcd,
                                     0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    uint64_t rsdp;
    struct error err;

    adjust = with_genid;
    set_up(1, 0);
    check_int(acpi_write_tables(&machine, &rsdp, &err), 0);
    check(memcmp(memory_ptr(&machine.memory, X86_GENID, sizeof(want)), want, sizeof(want)) == 0);
    tear_down();
    adjust = NULL;
}

static void no_extras(struct config *c)
{
    c->rtc.absent = true;
    c->pvpanic = false;
}

/* iasl takes any name that is spelled well: what must be there, and what must not. */
static void expect_in(const char *dir, const char *table, const char *text, bool there)
{
    char command[512];

    snprintf(command, sizeof(command), "cat %s/%s.dsl", dir, table);
    if (!check(output_has(command, text) == there))
        printf("# \"%s\" in %s\n", text, table);
}

static void test_acpica_accepts_them(void)
{
    static const struct {
        unsigned cpus, devices;
        void (*adjust)(struct config *config);
    } machines[] = {
        {1, 0, no_extras}, {4, 6, NULL}, {2, 1, with_genid}, {MOST_CPUS, MOST_DEVICES, NULL}};

    if (system("iasl -v >/dev/null 2>&1") != 0) {
        tap_skip("iasl (Debian: acpica-tools) is not here");
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
        bool extras = machines[i].adjust != no_extras;
        char dir[] = "/tmp/vole-acpi-XXXXXX";
        char command[512];

        if (!check(mkdtemp(dir) != NULL))
            return;
        adjust = machines[i].adjust;
        set_up(machines[i].cpus, machines[i].devices);
        walk_tables(machines[i].cpus, dir);
        check_with_iasl(dir);
        expect_in(dir, "dsdt", "Notify (\\_SB.PWRB, 0x80)", true);
        expect_in(dir, "dsdt", "Device (COM1)", true);
        expect_in(dir, "dsdt", "Device (VR05)", machines[i].devices > 5);
        expect_in(dir, "dsdt", "Device (VR24)", machines[i].devices > 0x24);
        expect_in(dir, "dsdt", "Interrupt (ResourceConsumer, Edge, ActiveHigh, Shared",
                  machines[i].devices > 0);
        expect_in(dir, "dsdt", "Device (RTC0)", extras);
        expect_in(dir, "dsdt", "\"QEMU0001\"", extras);
        expect_in(dir, "dsdt", "\"VM_Gen_Counter\"", machines[i].adjust == with_genid);
        expect_in(dir, "dsdt", "0x000FF000", machines[i].adjust == with_genid);
        expect_in(dir, "dsdt", "Name (\\_S5, Package", true);
        expect_in(dir, "facp", "RTC Century Index : 32", extras);
        expect_in(dir, "facp", "CMOS RTC Not Present (V5) : 1", !extras);
        tear_down();
        adjust = NULL;
        snprintf(command, sizeof(command), "rm -r %s", dir);
        check_int(system(command), 0);
    }
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_small_machine),
        TAP(test_largest_machine),
        TAP(test_apic_ids_with_holes),
        TAP(test_apic_ids_that_do_not_fit),
        TAP(test_interrupt_lines),
        TAP(test_generation_id),
        TAP(test_acpica_accepts_them),
        {0},
    });
}
