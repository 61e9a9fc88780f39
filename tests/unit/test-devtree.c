/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The device tree, read back by libfdt, and by dtc, which must have nothing to say. */
#include <libfdt.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/unit/tap.h"
#include "vmm/arch/aarch64/devtree.h"

static uint8_t tree[DEVTREE_MAX];
static struct error err;

static const struct devtree_virtio virtio[] = {{0xa000000, 0x1000, 16}, {0xa001000, 0x1000, 17}};

static struct devtree small(void)
{
    return (struct devtree){
        .cpus = 1,
        .cores = 1,
        .threads = 1,
        .gic = GIC_V3,
        .memory = 128 * MiB,
        .chosen.cmdline = "",
    };
}

static struct devtree full(void)
{
    return (struct devtree){
        .cpus = 8,
        .cores = 2,
        .threads = 2,
        .gic = GIC_V3,
        .has_its = true,
        .has_pmu = true,
        .memory = 300 * GiB,
        .chosen.initrd = 0x7f000000,
        .chosen.initrd_size = 12345,
        .chosen.cmdline = "console=ttyAMA0 root=/dev/vda",
        .chosen.rng_seed = {1, 2, 3},
        .chosen.kaslr_seed = 0x1122334455667788,
        .has_uart = true,
        .has_rtc = true,
        .has_pvpanic = true,
        .has_genid = true,
        .virtio = virtio,
        .virtio_count = ARRAY_SIZE(virtio),
    };
}

static const void *property(const char *path, const char *name, int *len)
{
    int node = fdt_path_offset(tree, path);

    *len = -1;
    return node < 0 ? NULL : fdt_getprop(tree, node, name, len);
}

static void check_text(const char *path, const char *name, const char *want)
{
    int len;

    check_str(property(path, name, &len), want);
}

static void check_cells(const char *path, const char *name, const uint32_t *want, int count)
{
    int len;
    const fdt32_t *cells = property(path, name, &len);

    if (!check_int(len, count * 4))
        printf("# of %s:%s\n", path, name);
    for (int i = 0; cells && i < len / 4 && i < count; i++)
        check_int(fdt32_to_cpu(cells[i]), want[i]);
}
#define CHECK_CELLS(path, name, ...)                         \
    check_cells(path, name, (const uint32_t[]){__VA_ARGS__}, \
                (int)(sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)))

static void test_small(void)
{
    struct devtree dt = small();
    int size = devtree_write(&dt, tree, sizeof(tree), &err);

    check(size > 0 && size < 4096);
    check_int(fdt_check_full(tree, (size_t)size), 0);
    check_text("/", "compatible", "linux,dummy-virt");
    CHECK_CELLS("/memory@40000000", "reg", 0, 0x40000000, 0, 128 * MiB);
    check(fdt_path_offset(tree, "/serial@9000000") < 0);
    check(fdt_path_offset(tree, "/rtc@9010000") < 0);
    check(fdt_path_offset(tree, "/pmu") < 0);
    check(fdt_path_offset(tree, "/cpus/cpu-map/socket0/cluster0/core0/thread0") < 0);
    check(fdt_path_offset(tree, "/cpus/cpu-map/socket0/cluster0/core0") >= 0);
    check_text("/chosen", "stdout-path", NULL);
    check_text("/chosen", "linux,initrd-start", NULL);
}

static void test_full(void)
{
    struct devtree dt = full();
    int size = devtree_write(&dt, tree, sizeof(tree), &err);
    int len;

    check_int(fdt_check_full(tree, (size_t)size), 0);
    CHECK_CELLS("/memory@40000000", "reg", 0, 0x40000000, 0x4b, 0);
    check_text("/chosen", "bootargs", "console=ttyAMA0 root=/dev/vda");
    check_text("/chosen", "stdout-path", "/serial@9000000");
    CHECK_CELLS("/chosen", "kaslr-seed", 0x11223344, 0x55667788);
    CHECK_CELLS("/chosen", "linux,initrd-start", 0, 0x7f000000);
    CHECK_CELLS("/chosen", "linux,initrd-end", 0, 0x7f000000 + 12345);
    check(property("/chosen", "rng-seed", &len) && len == 64);
    CHECK_CELLS("/interrupt-controller@8000000", "reg", 0, 0x8000000, 0, 0x10000, 0, 0x10000000, 0,
                8 * 0x20000);
    check_text("/interrupt-controller@8000000/msi-controller@8080000", "compatible",
               "arm,gic-v3-its");
    CHECK_CELLS("/virtio_mmio@a001000", "interrupts", 0, 17, 1);
    CHECK_CELLS("/vmgenid@9050000", "reg", 0, 0x9050000, 0, 0x10000);
    CHECK_CELLS("/vmgenid@9050000", "interrupts", 0, 4, 1);
    CHECK_CELLS("/cpus/cpu@7", "reg", 7);
    /* the last thread of the second core of the second socket is the eighth vCPU */
    CHECK_CELLS("/cpus/cpu-map/socket1/cluster0/core1/thread1", "cpu",
                fdt_get_phandle(tree, fdt_path_offset(tree, "/cpus/cpu@7")));
    CHECK_CELLS("/gpio-keys/key-power", "gpios",
                fdt_get_phandle(tree, fdt_path_offset(tree, "/gpio@9030000")), 3, 0);
}

static void test_gicv2(void)
{
    struct devtree dt = full();

    dt.gic = GIC_V2;
    dt.has_its = false;
    check(devtree_write(&dt, tree, sizeof(tree), &err) > 0);
    check_text("/interrupt-controller@8000000", "compatible", "arm,cortex-a15-gic");
    CHECK_CELLS("/interrupt-controller@8000000", "reg", 0, 0x8000000, 0, 0x10000, 0, 0x8010000, 0,
                0x2000);
    CHECK_CELLS("/pmu", "interrupts", 1, 7, 0xff04);
}

static void test_most_processors(void)
{
    struct devtree dt = full();

    dt.cpus = 512;
    dt.cores = 512;
    dt.threads = 1;
    check(devtree_write(&dt, tree, sizeof(tree), &err) > 0);
    CHECK_CELLS("/cpus/cpu@1f0f", "reg", 0x1f0f);
    /* all redistributors in one region, which ends before RAM begins */
    CHECK_CELLS("/interrupt-controller@8000000", "reg", 0, 0x8000000, 0, 0x10000, 0, 0x10000000, 0,
                512 * 0x20000);
    check(fdt_path_offset(tree, "/cpus/cpu-map/socket0/cluster0/core511") > 0);
    dt.cores = 1;
    check(devtree_write(&dt, tree, sizeof(tree), &err) > 0);
    check(fdt_path_offset(tree, "/cpus/cpu-map/socket511/cluster0/core0") > 0);
}

static void test_no_room(void)
{
    struct devtree dt = full();
    int size = devtree_write(&dt, tree, sizeof(tree), &err);

    for (int room = 0; room < size; room += 100)
        check_int(devtree_write(&dt, tree, (size_t)room, &err), -1);
    devtree_write(&dt, tree, 1024, &err);
    check_str(err.msg, "the device tree does not fit into 1 KiB (FDT_ERR_NOSPACE)");
}

/* Back to source text, which must be the whole of what dtc says. */
static void test_dtc_has_no_warning(void)
{
    struct devtree trees[] = {small(), full(), full(), full(), full(), full()};
    static const unsigned cores[] = {4, 64, 512};
    char folder[] = "/tmp/vole-test-XXXXXX";

    if (system("command -v dtc >/dev/null") != 0) {
        tap_skip("there is no dtc");
        return;
    }
    trees[2].gic = GIC_V2;
    trees[2].has_its = false;
    for (unsigned i = 0; i < ARRAY_SIZE(cores); i++) {
        trees[3 + i].cpus = trees[3 + i].cores = cores[i];
        trees[3 + i].threads = 1;
    }
    check(mkdtemp(folder) != NULL);
    for (size_t i = 0; i < ARRAY_SIZE(trees); i++) {
        cleanup_free char *path = xasprintf("%s/tree.dtb", folder);
        cleanup_free char *command =
            xasprintf("dtc -I dtb -O dts -o %s/tree.dts %s 2>%s/said", folder, path, folder);
        cleanup_free char *said = xasprintf("%s/said", folder);
        int size = devtree_write(&trees[i], tree, sizeof(tree), &err);
        FILE *out = fopen(path, "w");
        struct stat st;

        check(out && fwrite(tree, (size_t)size, 1, out) == 1 && fclose(out) == 0);
        check_int(system(command), 0);
        check(stat(said, &st) == 0 && st.st_size == 0);
        if (st.st_size) {
            cleanup_free char *show = xasprintf("sed 's/^/# /' %s", said);

            check_int(system(show), 0);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        static const char *const names[] = {"tree.dtb", "tree.dts", "said"};
        cleanup_free char *path = xasprintf("%s/%s", folder, names[i]);

        unlink(path);
    }
    rmdir(folder);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_small),
        TAP(test_full),
        TAP(test_gicv2),
        TAP(test_most_processors),
        TAP(test_no_room),
        TAP(test_dtc_has_no_warning),
        {},
    });
}
