/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each check of the table at the end fills one finding. They stand by themselves, but for what they
 * share in struct host: a check that cannot be made because /dev/kvm does not open says so, and
 * leaves the advice to the one that found it out.
 */
#include "vmm/check_host.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <jansson.h>
#include <liburing.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "vmm/arch/arch.h"
#include "vmm/check_host_priv.h"
#include "vmm/machine.h"

/* ---- findings ---- */

void host_say(struct host_finding *f, enum host_verdict verdict, const char *fmt, ...)
{
    va_list ap;

    f->verdict = verdict;
    va_start(ap, fmt);
    vsnprintf(f->text, sizeof(f->text), fmt, ap);
    va_end(ap);
}

void host_advise(struct host_finding *f, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(f->hint, sizeof(f->hint), fmt, ap);
    va_end(ap);
}

/* ---- the host's files ---- */

#define FILE_MAX (256 * KiB) /* of /proc/cpuinfo the first processors are enough */

static int open_file(const struct host *h, const char *path, int flags)
{
    cleanup_free char *full = xasprintf("%s%s", h->root, path);

    return open(full, flags | O_CLOEXEC);
}

char *host_read_file(const struct host *h, const char *path)
{
    cleanup_close int fd = open_file(h, path, O_RDONLY);
    cleanup_free char *text = NULL;
    size_t len = 0;
    ssize_t n;

    if (fd < 0)
        return NULL;
    text = xcalloc(1, FILE_MAX + 1);
    while (len < FILE_MAX && (n = read(fd, text + len, FILE_MAX - len)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return NULL;
        len += (size_t)n;
    }
    return steal_ptr(&text);
}

/* The number that a file begins with; false where there is none. */
static bool read_number(const struct host *h, const char *path, uint64_t *out)
{
    cleanup_free char *text = host_read_file(h, path);

    if (!text)
        return false;
    text[strcspn(text, "\n")] = '\0';
    return parse_number(text, UINT64_MAX, out) == 0;
}

/* Up to the line's end. */
static bool has_word(const char *line, const char *word)
{
    size_t len = strlen(word);
    const char *end = strchrnul(line, '\n');

    for (const char *p = line; p < end;) {
        size_t n = strcspn(p, " \t\n:");

        if (n == len && strncmp(p, word, len) == 0)
            return true;
        p += n + 1;
    }
    return false;
}

int host_cpuinfo_has(const char *cpuinfo, const char *key, const char *word)
{
    size_t len = strlen(key);
    int found = -1;

    for (const char *line = cpuinfo; *line;) {
        const char *end = strchrnul(line, '\n');

        if (strncmp(line, key, len) == 0 && strchr(" \t:", line[len])) {
            if (has_word(line + len, word))
                return 1;
            found = 0;
        }
        line = *end ? end + 1 : end;
    }
    return found;
}

bool host_bracketed_word(const char *text, char *word, size_t size)
{
    const char *start = strchr(text, '[');
    size_t len;

    if (!start)
        return false;
    len = strcspn(++start, "]\n");
    if (len == 0 || start[len] != ']' || len >= size)
        return false;
    memcpy(word, start, len);
    word[len] = '\0';
    return true;
}

bool host_status_has_capability(const char *status, unsigned bit)
{
    const char *line = strstr(status, "\nCapEff:");

    return line && bit < 64 && strtoull(line + strlen("\nCapEff:"), NULL, 16) >> bit & 1;
}

static bool have_capability(const struct host *h, unsigned bit)
{
    cleanup_free char *status = host_read_file(h, "/proc/self/status");

    return status && host_status_has_capability(status, bit);
}

/* ---- KVM ---- */

static const char *const no_kvm = "not known: /dev/kvm cannot be used";

/* Who may open the device: its group, unless that is root's. */
static void advise_about_group(const struct host *h, const char *path, struct host_finding *f)
{
    cleanup_free char *full = xasprintf("%s%s", h->root, path);
    const struct group *group;
    struct stat st;

    if (stat(full, &st) < 0 || st.st_gid == 0 || !(st.st_mode & S_IWGRP)) {
        host_advise(f, "give a group access to it: chgrp kvm %s; chmod 660 %s", path, path);
        return;
    }
    group = getgrgid(st.st_gid);
    if (group)
        host_advise(f, "add the user to the group %s: usermod -aG %s NAME; then log in anew",
                    group->gr_name, group->gr_name);
    else
        host_advise(f, "the user has to be in the group %u", st.st_gid);
}

static void check_kvm(struct host *h, struct host_finding *f)
{
    cleanup_close int fd = open_file(h, "/dev/kvm", O_RDWR);

    h->kvm_opens = fd >= 0;
    if (h->kvm_opens) {
        host_say(f, HOST_OK, "/dev/kvm can be opened");
        return;
    }
    host_say(f, HOST_FAIL, "/dev/kvm cannot be opened: %s", strerror(errno));
    if (errno == EACCES || errno == EPERM)
        advise_about_group(h, "/dev/kvm", f);
    else
        host_advise(f, "%s", arch_traits.kvm_hint);
}

static void check_kvm_interface(struct host *h, struct host_finding *f)
{
    struct error err;

    if (!h->kvm_opens) {
        host_say(f, HOST_FAIL, "%s", no_kvm);
        return;
    }
    if (kvm_open(&h->kvm, CONFIG_KVM, &err) == 0) {
        host_say(f, HOST_OK,
                 "KVM API version %d, with irqfd, ioeventfd, interrupt routing, immediate "
                 "exit",
                 KVM_API_VERSION);
        return;
    }
    host_say(f, HOST_FAIL, "%s", err.msg);
    host_advise(f, "Linux 4.13 or newer is needed");
}

static void check_vm(struct host *h, struct host_finding *f)
{
    struct memory nothing = {.count = 0};
    struct kvm kvm = h->kvm;
    unsigned long type;
    struct error err;

    if (h->kvm.fd < 0) {
        host_say(f, HOST_FAIL, "%s", no_kvm);
        return;
    }
    if (arch_vm_type(&kvm, 0, &type, &err) == 0 && kvm_vm_create(&kvm, type, &nothing, &err) == 0) {
        host_say(f, HOST_OK, "KVM makes virtual machines");
        kvm_vm_destroy(&kvm);
        return;
    }
    host_say(f, HOST_FAIL, "KVM makes no virtual machine: %s", err.msg);
    host_advise(f, errno == EBUSY
                       ? "another hypervisor holds the processor's virtualisation: end it"
                       : "see the kernel's log: dmesg");
}

static void check_vcpus(struct host *h, struct host_finding *f)
{
    int most;

    if (h->kvm.fd < 0) {
        host_say(f, HOST_FAIL, "%s", no_kvm);
        return;
    }
    most = kvm_check(&h->kvm, KVM_CAP_MAX_VCPUS);
    host_say(f, HOST_OK, "up to %d virtual processors a machine (%ld of the host are online)",
             MIN(most ? most : 4, (int)arch_traits.max_cpus), sysconf(_SC_NPROCESSORS_ONLN));
}

/* ---- the host's devices for ours ---- */

/* A device that one kind of virtio device needs, and no other. */
static void check_device(const struct host *h, struct host_finding *f, const char *path,
                         const char *module, const char *with, const char *without)
{
    cleanup_close int fd = open_file(h, path, O_RDWR);

    if (fd >= 0) {
        host_say(f, HOST_OK, "%s can be opened: %s", path, with);
        return;
    }
    host_say(f, HOST_WARN, "%s cannot be opened (%s): %s", path, strerror(errno), without);
    if (errno == EACCES || errno == EPERM)
        advise_about_group(h, path, f);
    else
        host_advise(f, "modprobe %s", module);
}

static void check_tun(struct host *h, struct host_finding *f)
{
    check_device(h, f, "/dev/net/tun", "tun", "tap interfaces are possible",
                 "no network device, but for a tap that is inherited as fd:N");
}

static void check_vhost_net(struct host *h, struct host_finding *f)
{
    check_device(h, f, "/dev/vhost-net", "vhost_net", "packets can go through the kernel",
                 "packets go through vole itself");
}

static void check_vhost_vsock(struct host *h, struct host_finding *f)
{
    check_device(h, f, "/dev/vhost-vsock", "vhost_vsock", "--vsock is possible", "no --vsock");
}

static void check_io_uring(struct host *h, struct host_finding *f)
{
    struct io_uring ring;
    uint64_t disabled = 0;
    int r = io_uring_queue_init(2, &ring, 0);

    if (r == 0) {
        io_uring_queue_exit(&ring);
        host_say(f, HOST_OK, "disks can use io_uring");
        return;
    }
    host_say(f, HOST_WARN, "no io_uring (%s): disks use threads", strerror(-r));
    if (read_number(h, "/proc/sys/kernel/io_uring_disabled", &disabled) && disabled)
        host_advise(f, "it is disabled for %s: sysctl kernel.io_uring_disabled=0",
                    disabled == 1 ? "users outside kernel.io_uring_group" : "everybody");
    else if (r == -ENOMEM)
        host_advise(f, "raise the limit of locked memory: ulimit -l");
    else
        host_advise(f, "a kernel that has it and a sandbox that allows it are needed");
}

/* ---- memory ---- */

static void check_huge_pages(struct host *h, struct host_finding *f)
{
    static const struct {
        unsigned kib;
        const char *name;
    } sizes[] = {{2048, "2M"}, {1048576, "1G"}};
    uint64_t reserved = 0;
    size_t len = 0;

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        cleanup_free char *folder =
            xasprintf("/sys/kernel/mm/hugepages/hugepages-%ukB", sizes[i].kib);
        cleanup_free char *total_path = xasprintf("%s/nr_hugepages", folder);
        cleanup_free char *free_path = xasprintf("%s/free_hugepages", folder);
        uint64_t total;
        uint64_t unused;

        if (!read_number(h, total_path, &total) || !read_number(h, free_path, &unused))
            continue;
        reserved += total;
        if (len < sizeof(f->text))
            len += (size_t)snprintf(f->text + len, sizeof(f->text) - len,
                                    "%s%" PRIu64 " of %" PRIu64 " pages of %s are free",
                                    len ? ", " : "", unused, total, sizes[i].name);
    }
    f->verdict = reserved ? HOST_OK : HOST_WARN;
    if (len == 0)
        host_say(f, HOST_WARN, "the kernel has no huge pages: no --memory ...,hugepages=");
    else if (!reserved)
        host_advise(f, "for --memory ...,hugepages=2M reserve some: sysctl vm.nr_hugepages=N");
}

static void check_thp(struct host *h, struct host_finding *f)
{
    cleanup_free char *text = host_read_file(h, "/sys/kernel/mm/transparent_hugepage/enabled");
    char mode[16];

    if (!text || !host_bracketed_word(text, mode, sizeof(mode))) {
        host_say(f, HOST_WARN, "the kernel has no transparent huge pages");
    } else if (strcmp(mode, "never") == 0) {
        host_say(f, HOST_WARN, "transparent huge pages are off: guests are slower");
        host_advise(f, "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
    } else {
        host_say(f, HOST_OK, "transparent huge pages are on (%s)", mode);
    }
}

/* ---- limits ---- */

static void check_memlock(struct host *h, struct host_finding *f)
{
    struct rlimit limit;

    if (have_capability(h, CAP_IPC_LOCK)) {
        host_say(f, HOST_OK, "memory can be locked without a limit (CAP_IPC_LOCK)");
    } else if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0) {
        host_say(f, HOST_WARN, "RLIMIT_MEMLOCK is not known: %s", strerror(errno));
    } else if (limit.rlim_cur == RLIM_INFINITY) {
        host_say(f, HOST_OK, "memory can be locked without a limit");
    } else {
        host_say(f, HOST_WARN,
                 "%" PRIu64 " KiB of memory can be locked: no more for --memory ...,lock=on",
                 (uint64_t)limit.rlim_cur / KiB);
        host_advise(f, "raise RLIMIT_MEMLOCK: ulimit -l, or memlock in /etc/security/limits.conf");
    }
}

/* A few for the machine, and for each queue of each device two eventfds and its backend's. */
#define FILES_ENOUGH 1024

static void check_nofile(struct host *h, struct host_finding *f)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        host_say(f, HOST_WARN, "RLIMIT_NOFILE is not known: %s", strerror(errno));
    } else if (limit.rlim_cur < FILES_ENOUGH) {
        host_say(f, HOST_WARN, "%" PRIu64 " open files are too few for many devices or queues",
                 (uint64_t)limit.rlim_cur);
        host_advise(f, "raise RLIMIT_NOFILE: ulimit -n %d", FILES_ENOUGH);
    } else {
        host_say(f, HOST_OK, "%" PRIu64 " open files are possible", (uint64_t)limit.rlim_cur);
    }
}

/* ---- the table ---- */

static const struct {
    const char *name;
    void (*check)(struct host *h, struct host_finding *f);
} checks[] = {
    {"processor", arch_check_processor},
    {"kvm", check_kvm},
    {"kvm-interface", check_kvm_interface}, /* opens it for those that follow */
    {"kvm-machine", check_vm},
    {"cpus", check_vcpus},
    {"nested", arch_check_nested},
    {"tap", check_tun},
    {"vhost-net", check_vhost_net},
    {"vhost-vsock", check_vhost_vsock},
    {"io_uring", check_io_uring},
    {"hugepages", check_huge_pages},
    {"thp", check_thp},
    {"locked-memory", check_memlock},
    {"open-files", check_nofile},
};
static_assert(ARRAY_SIZE(checks) == HOST_CHECKS, "room for each finding");

void host_check(const char *root, struct host_finding findings[HOST_CHECKS])
{
    struct host h = {.root = root, .kvm = {.fd = -1, .vm = -1}};

    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        findings[i] = (struct host_finding){.name = checks[i].name};
        checks[i].check(&h, &findings[i]);
    }
    kvm_close(&h.kvm);
}

/* ---- the command ---- */

static const char *verdict_name(enum host_verdict verdict)
{
    static const char *const names[] = {
        [HOST_OK] = "OK",
        [HOST_WARN] = "WARN",
        [HOST_FAIL] = "FAIL",
    };

    return names[verdict];
}

static void print_text(const struct host_finding *findings, unsigned failed)
{
    for (unsigned i = 0; i < HOST_CHECKS; i++) {
        const struct host_finding *f = &findings[i];

        printf("%-5s %-14s %s\n", verdict_name(f->verdict), f->name, f->text);
        if (f->hint[0])
            printf("%21s-> %s\n", "", f->hint);
    }
    printf("\n%s\n", failed ? "This host cannot run virtual machines: see FAIL above."
                            : "This host can run virtual machines.");
}

static void print_json(const struct host_finding *findings)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < HOST_CHECKS; i++) {
        const struct host_finding *f = &findings[i];
        json_t *object = json_pack("{s:s, s:s, s:s}", "name", f->name, "verdict",
                                   verdict_name(f->verdict), "text", f->text);

        if (f->hint[0])
            json_object_set_new(object, "hint", json_string(f->hint));
        json_array_append_new(list, object);
    }
    json_dumpf(list, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(list);
}

int check_host_command(int argc, char **argv)
{
    struct host_finding findings[HOST_CHECKS];
    bool as_json = false;
    unsigned failed = 0;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") != 0) {
            log_warn("check-host: \"%s\" is not understood: there is only --json", argv[i]);
            return EXIT_USAGE;
        }
        as_json = true;
    }
    host_check("", findings);
    for (unsigned i = 0; i < HOST_CHECKS; i++)
        failed += findings[i].verdict == HOST_FAIL;
    if (as_json)
        print_json(findings);
    else
        print_text(findings, failed);
    return failed ? EXIT_ERROR : EXIT_OK;
}
