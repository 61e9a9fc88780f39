/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/check_host.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/unit/tap.h"
#include "vmm/arch/arch.h"
#include "vmm/util.h"

/* ---- what is read of files ---- */

static void test_cpuinfo(void)
{
    static const char intel[] = "processor\t: 0\nmodel name\t: X svm Y\n"
                                "flags\t\t: fpu vme vmx sse\nvmx flags\t: ept\n\n"
                                "processor\t: 1\nflags\t\t: fpu vmx\n";

    check_int(host_cpuinfo_has(intel, "flags", "vmx"), 1);
    check_int(host_cpuinfo_has(intel, "flags", "svm"), 0); /* the name is no flag */
    check_int(host_cpuinfo_has(intel, "flags", "vm"), 0);
    check_int(host_cpuinfo_has(intel, "flags", "sse"), 1); /* the last one of its line */
    check_int(host_cpuinfo_has(intel, "flags", "ept"), 0);
    check_int(host_cpuinfo_has("flags : vmx", "flags", "vmx"), 1); /* no newline at the end */
    check_int(host_cpuinfo_has("flags:", "flags", "vmx"), 0);
    check_int(host_cpuinfo_has("flagship : vmx\n", "flags", "vmx"), -1);
    check_int(host_cpuinfo_has("Features\t: fp asimd\n", "flags", "vmx"), -1);
    check_int(host_cpuinfo_has("", "flags", "vmx"), -1);
}

static void test_bracketed_word(void)
{
    char word[8] = "before";

    check(host_bracketed_word("always [madvise] never\n", word, sizeof(word)));
    check_str(word, "madvise");
    check(host_bracketed_word("[always] madvise never", word, sizeof(word)));
    check_str(word, "always");
    check(!host_bracketed_word("[12345678]", word, sizeof(word))); /* does not fit */
    check(!host_bracketed_word("[always", word, sizeof(word)));
    check(!host_bracketed_word("[]", word, sizeof(word)));
    check(!host_bracketed_word("never", word, sizeof(word)));
    check_str(word, "always");
}

static void test_status_capability(void)
{
    static const char status[] = "Name:\tx\nCapInh:\tffffffffffffffff\nCapEff:\t0000000000004001\n";

    check(host_status_has_capability(status, 0));
    check(host_status_has_capability(status, 14));
    check(!host_status_has_capability(status, 1));
    check(!host_status_has_capability(status, 64));
    check(!host_status_has_capability("Name:\tx\n", 0));
}

/* ---- a host of files ---- */

static char root[] = "/tmp/vole-test-XXXXXX";
static struct host_finding findings[HOST_CHECKS];

/* Folders are made on the way. */
static void put(const char *path, const char *text)
{
    cleanup_free char *full = xasprintf("%s%s", root, path);
    cleanup_close int fd = -1;

    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    check_int(write_full(fd, text, strlen(text)), 0);
}

static const struct host_finding *find(const char *name)
{
    static const struct host_finding none = {.name = ""};

    for (unsigned i = 0; i < HOST_CHECKS; i++)
        if (strcmp(findings[i].name, name) == 0)
            return &findings[i];
    return &none;
}

static void check_finding(const char *name, enum host_verdict verdict, const char *text)
{
    check_int(find(name)->verdict, verdict);
    check_str(find(name)->text, text);
}

static void test_bare_host(void)
{
    host_check(root, findings);
    check_finding("kvm", HOST_FAIL, "/dev/kvm cannot be opened: No such file or directory");
    check_str(find("kvm")->hint, arch_traits.kvm_hint);
    check_finding("kvm-interface", HOST_FAIL, "not known: /dev/kvm cannot be used");
    check_finding("kvm-machine", HOST_FAIL, "not known: /dev/kvm cannot be used");
    check_finding("cpus", HOST_FAIL, "not known: /dev/kvm cannot be used");
    check_finding("nested", HOST_WARN, "guests cannot run virtual machines themselves");
    check_finding("tap", HOST_WARN,
                  "/dev/net/tun cannot be opened (No such file or directory): no network device, "
                  "but for a tap that is inherited as fd:N");
    check_str(find("tap")->hint, "modprobe tun");
    check_str(find("vhost-net")->hint, "modprobe vhost_net");
    check_str(find("vhost-vsock")->hint, "modprobe vhost_vsock");
    check_finding("hugepages", HOST_WARN,
                  "the kernel has no huge pages: no --memory ...,hugepages=");
    check_finding("thp", HOST_WARN, "the kernel has no transparent huge pages");
}

static void test_equipped_host(void)
{
    put("/dev/net/tun", "");
    put("/dev/vhost-net", "");
    put("/dev/vhost-vsock", "");
    put("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n");
    put("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "500\n");
    put("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
    host_check(root, findings);
    check_finding("tap", HOST_OK, "/dev/net/tun can be opened: tap interfaces are possible");
    check_finding("vhost-net", HOST_OK,
                  "/dev/vhost-net can be opened: packets can go through the kernel");
    check_finding("vhost-vsock", HOST_OK, "/dev/vhost-vsock can be opened: --vsock is possible");
    check_finding("hugepages", HOST_OK, "500 of 512 pages of 2M are free");
    check_str(find("hugepages")->hint, "");
    check_finding("thp", HOST_OK, "transparent huge pages are on (always)");
}

static void test_host_with_things_turned_off(void)
{
    put("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
    put("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0\n");
    put("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0\n");
    put("/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "nonsense\n");
    put("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
    host_check(root, findings);
    check_finding("hugepages", HOST_WARN, "0 of 0 pages of 2M are free");
    check(strstr(find("hugepages")->hint, "vm.nr_hugepages") != NULL);
    check_finding("thp", HOST_WARN, "transparent huge pages are off: guests are slower");
}

/* Of each architecture; one of them is this one. */
static void test_processor(void)
{
    static const struct {
        const char *arch;
        const char *cpuinfo;
        enum host_verdict verdict;
        const char *text;
    } cases[] = {
        {"x86_64", "", HOST_OK, "/proc/cpuinfo does not tell; KVM decides"},
        {"x86_64", "flags\t: fpu svm\n", HOST_OK, "hardware virtualisation: AMD-V (svm)"},
        {"x86_64", "flags\t: fpu sse\n", HOST_FAIL,
         "no hardware virtualisation (neither vmx nor svm in /proc/cpuinfo): Linux guests do not "
         "boot, even where /dev/kvm is there"},
        {"aarch64", "Features\t: fp asimd\n", HOST_OK,
         "arm64; whether it carries guests, KVM tells"},
        {"aarch64", "Features\t: fp sve paca pacg\n", HOST_OK,
         "arm64, SVE, pointer authentication; whether it carries guests, KVM tells"},
    };
    unsigned tried = 0;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (strcmp(arch_traits.name, cases[i].arch) != 0)
            continue;
        put("/proc/cpuinfo", cases[i].cpuinfo);
        host_check(root, findings);
        check_finding("processor", cases[i].verdict, cases[i].text);
        tried++;
    }
    check(tried > 0);
}

static void test_nested(void)
{
    bool is_pc = strcmp(arch_traits.name, "x86_64") == 0;

    put("/sys/module/kvm_amd/parameters/nested", "0\n");
    host_check(root, findings);
    check_finding("nested", HOST_WARN, "guests cannot run virtual machines themselves");
    check_str(find("nested")->hint, is_pc ? "load the module kvm_amd with nested=1" : "");
    put("/sys/module/kvm_amd/parameters/nested", "1\n");
    host_check(root, findings);
    if (is_pc)
        check_finding("nested", HOST_OK, "guests can run virtual machines themselves");
}

static void test_limits(void)
{
    put("/proc/self/status", "Name:\tx\nCapEff:\t0000000000000000\n");
    check_int(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){64 * KiB, 64 * KiB}), 0);
    check_int(setrlimit(RLIMIT_NOFILE, &(struct rlimit){256, 256}), 0);
    host_check(root, findings);
    check_finding("locked-memory", HOST_WARN,
                  "64 KiB of memory can be locked: no more for --memory ...,lock=on");
    check_finding("open-files", HOST_WARN, "256 open files are too few for many devices or queues");
    check_str(find("open-files")->hint, "raise RLIMIT_NOFILE: ulimit -n 1024");
    put("/proc/self/status", "Name:\tx\nCapEff:\t0000000000004000\n");
    host_check(root, findings);
    check_finding("locked-memory", HOST_OK, "memory can be locked without a limit (CAP_IPC_LOCK)");
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    return remove(path);
}

int main(void)
{
    int rc;

    if (!mkdtemp(root))
        return 1;
    rc = tap_run((struct tap_test[]){
        TAP(test_cpuinfo),
        TAP(test_bracketed_word),
        TAP(test_status_capability),
        TAP(test_bare_host),
        TAP(test_equipped_host),
        TAP(test_host_with_things_turned_off),
        TAP(test_processor),
        TAP(test_nested),
        TAP(test_limits),
        {},
    });
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return rc;
}
