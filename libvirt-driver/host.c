/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/host.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/launch.h"

#define NODES "/sys/devices/system/node"
#define CPUS  "/sys/devices/system/cpu"
/* A list of numbers in /sys is taken up to this one. */
#define LIST_MAX 65535

static char *read_line(const char *path)
{
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? g_strchomp(text) : NULL;
}

static unsigned read_cpu_number(unsigned cpu, const char *name, unsigned otherwise)
{
    g_autofree char *path = g_strdup_printf(CPUS "/cpu%u/topology/%s", cpu, name);
    g_autofree char *line = read_line(path);
    guint64 number;

    if (!line || !g_ascii_string_to_unsigned(line, 10, 0, G_MAXUINT, &number, NULL))
        return otherwise;
    return (unsigned)number;
}

/* "0-2,5" as 0, 1, 2, 5; empty when it is NULL or makes no sense. */
static GArray *parse_list(const char *text)
{
    GArray *numbers = g_array_new(FALSE, FALSE, sizeof(unsigned));

    while (text && g_ascii_isdigit(*text)) {
        char *end;
        guint64 first = g_ascii_strtoull(text, &end, 10);
        guint64 last = *end == '-' ? g_ascii_strtoull(end + 1, &end, 10) : first;

        for (guint64 n = first; n <= MIN(last, LIST_MAX); n++) {
            unsigned number = (unsigned)n;

            g_array_append_val(numbers, number);
        }
        text = *end == ',' ? end + 1 : NULL;
    }
    return numbers;
}

static GArray *read_list(const char *path)
{
    g_autofree char *line = read_line(path);

    return parse_list(line);
}

/* The number behind "NAME:" in a file like /proc/meminfo; 0 when there is none. */
static uint64_t read_field(const char *path, const char *name)
{
    g_autofree char *text = NULL;
    const char *at;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    at = strstr(text, name);
    at = at ? strchr(at, ':') : NULL;
    return at ? g_ascii_strtoull(at + 1, NULL, 10) : 0;
}

static const char *keep(struct host *host, char *string)
{
    if (string)
        g_ptr_array_add(host->strings, string);
    return string;
}

static void add_cpu(struct host *host, unsigned id)
{
    g_autofree char *path = g_strdup_printf(CPUS "/cpu%u/topology/thread_siblings_list", id);
    char *siblings = read_line(path);
    struct host_cpu cpu = {
        .id = id,
        .socket = read_cpu_number(id, "physical_package_id", 0),
        .die = read_cpu_number(id, "die_id", 0),
        .core = read_cpu_number(id, "core_id", id),
        .siblings = keep(host, siblings ? siblings : g_strdup_printf("%u", id)),
    };

    g_array_append_val(host->cpus, cpu);
}

static void add_cell(struct host *host, unsigned id, const GArray *cpus, uint64_t memory_kib)
{
    struct host_cell cell = {.id = id, .memory_kib = memory_kib, .cpu_count = cpus->len};

    for (guint i = 0; i < cpus->len; i++)
        add_cpu(host, g_array_index(cpus, unsigned, i));
    g_array_append_val(host->cells, cell);
}

static void add_cells(struct host *host)
{
    g_autoptr(GArray) nodes = read_list(NODES "/online");
    guint first = 0;

    for (guint i = 0; i < nodes->len; i++) {
        unsigned node = g_array_index(nodes, unsigned, i);
        g_autofree char *cpulist = g_strdup_printf(NODES "/node%u/cpulist", node);
        g_autofree char *meminfo = g_strdup_printf(NODES "/node%u/meminfo", node);
        g_autoptr(GArray) cpus = read_list(cpulist);

        add_cell(host, node, cpus, read_field(meminfo, "MemTotal"));
    }
    if (!nodes->len) {
        g_autoptr(GArray) cpus = read_list(CPUS "/online");

        add_cell(host, 0, cpus, host->memory_kib);
    }
    /* Now that the array of CPUs does not move any more. */
    for (guint i = 0; i < host->cells->len; i++) {
        struct host_cell *cell = &g_array_index(host->cells, struct host_cell, i);

        cell->cpus = &g_array_index(host->cpus, struct host_cpu, first);
        first += cell->cpu_count;
    }
}

/* How many different values the CPUs have, among those in the first one's socket if asked for. */
static unsigned count_different(const struct host *host, gsize offset, bool one_socket)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

    for (guint i = 0; i < host->cpus->len; i++) {
        const struct host_cpu *cpu = &g_array_index(host->cpus, struct host_cpu, i);
        unsigned value;

        memcpy(&value, (const char *)cpu + offset, sizeof(value));
        if (!one_socket || cpu->socket == g_array_index(host->cpus, struct host_cpu, 0).socket)
            g_hash_table_add(seen, GUINT_TO_POINTER(value));
    }
    return MAX(g_hash_table_size(seen), 1);
}

/* libvirt's topology: equal parts. Where the host is not so regular (CPUs that are off, say), it is
 * told as one socket of single-threaded cores, as libvirt does. */
static void find_topology(struct host *host)
{
    struct host_caps *caps = &host->caps;
    unsigned cells = host->cells->len;
    unsigned sockets = count_different(host, G_STRUCT_OFFSET(struct host_cpu, socket), false);

    host->online_cpus = MAX(host->cpus->len, 1);
    caps->dies = count_different(host, G_STRUCT_OFFSET(struct host_cpu, die), true);
    caps->cores = count_different(host, G_STRUCT_OFFSET(struct host_cpu, core), true);
    caps->sockets = MAX(sockets / cells, 1);
    caps->threads = MAX(host->online_cpus / (cells * caps->sockets * caps->cores), 1);
    if (caps->cores % caps->dies == 0)
        caps->cores /= caps->dies;
    else
        caps->dies = 1;
    if (cells * caps->sockets * caps->dies * caps->cores * caps->threads != host->online_cpus) {
        caps->sockets = 1;
        caps->dies = 1;
        caps->cores = host->online_cpus;
        caps->threads = 1;
    }
}

/* An arm64 host with an old interrupt controller has fewer than the architecture. */
static unsigned most_vcpus(const char *arch)
{
    auto_close int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int of_kvm = fd < 0 ? 0 : ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
    const struct domain_arch *known = domain_arch_find(arch);
    unsigned of_arch = known ? known->max_vcpus : 0;

    return of_kvm > 0 ? MIN((unsigned)of_kvm, of_arch) : of_arch;
}

struct host *host_new(const char *emulator)
{
    struct host *host = g_new0(struct host, 1);
    struct utsname uts;
    char *uuid = read_line("/sys/class/dmi/id/product_uuid");

    host->cpus = g_array_new(FALSE, TRUE, sizeof(struct host_cpu));
    host->cells = g_array_new(FALSE, TRUE, sizeof(struct host_cell));
    host->strings = g_ptr_array_new_with_free_func(g_free);
    host->memory_kib = read_field("/proc/meminfo", "MemTotal");
    host->mhz = (unsigned)read_field("/proc/cpuinfo", "cpu MHz");
    add_cells(host);
    find_topology(host);
    host->caps.uuid = keep(host, uuid ? g_ascii_strdown(uuid, -1) : NULL);
    g_free(uuid);
    host->caps.arch = keep(host, g_strdup(uname(&uts) == 0 ? uts.machine : "x86_64"));
    host->caps.cells = &g_array_index(host->cells, struct host_cell, 0);
    host->caps.cell_count = host->cells->len;
    host->page_kib = (unsigned)(sysconf(_SC_PAGESIZE) / 1024);
    host->caps.page_sizes_kib = &host->page_kib;
    host->caps.page_size_count = 1;
    host->caps.emulator = keep(host, launch_emulator(NULL, emulator, NULL));
    host->caps.max_vcpus = most_vcpus(host->caps.arch);
    return host;
}

void host_free(struct host *host)
{
    g_array_unref(host->cpus);
    g_array_unref(host->cells);
    g_ptr_array_unref(host->strings);
    g_free(host);
}

bool host_kvm_usable(void)
{
    auto_close int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    return fd >= 0;
}

uint64_t host_free_memory(int cell)
{
    g_autofree char *meminfo = g_strdup_printf(NODES "/node%d/meminfo", cell);

    return read_field(cell < 0 ? "/proc/meminfo" : meminfo, "MemFree") * 1024;
}

/* What a small file in /proc holds, in the caller's buffer; false when it cannot be read. */
static bool read_proc(char *text, gsize size, const char *format, ...) G_GNUC_PRINTF(3, 4);

static bool read_proc(char *text, gsize size, const char *format, ...)
{
    char path[64];
    va_list arguments;
    ssize_t n;

    va_start(arguments, format);
    g_vsnprintf(path, sizeof(path), format, arguments);
    va_end(arguments);
    {
        auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

        n = fd < 0 ? -1 : read(fd, text, size - 1);
    }
    text[MAX(n, 0)] = '\0';
    return n > 0;
}

static uint64_t tick_ns(void)
{
    return 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* proc(5)'s fields 14, 15 and 39 of stat, counted from behind the second, a name in parentheses. */
struct host_usage host_usage(pid_t pid, pid_t thread)
{
    char text[1024];
    const char *at;
    unsigned long long user;
    unsigned long long system;
    int cpu;

    /* A process is the sum of its threads; its own directory has that. */
    if (!(thread ? read_proc(text, sizeof(text), "/proc/%d/task/%d/stat", (int)pid, (int)thread)
                 : read_proc(text, sizeof(text), "/proc/%d/stat", (int)pid)) ||
        !(at = strrchr(text, ')')) ||
        sscanf(at + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d "
               "%*u %*u %*d %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %d",
               &user, &system, &cpu) != 3)
        return (struct host_usage){.cpu = -1};
    return (struct host_usage){.user = user * tick_ns(), .system = system * tick_ns(), .cpu = cpu};
}

struct host_schedstat host_schedstat(pid_t pid, pid_t thread)
{
    char text[128];
    unsigned long long ran;
    unsigned long long waited;

    if (!read_proc(text, sizeof(text), "/proc/%d/task/%d/schedstat", (int)pid, (int)thread) ||
        sscanf(text, "%llu %llu", &ran, &waited) != 2) {
        struct host_usage used = host_usage(pid, thread); /* a kernel without such statistics */

        return (struct host_schedstat){.ran = used.user + used.system};
    }
    return (struct host_schedstat){ran, waited};
}

uint64_t host_resident_kib(pid_t pid)
{
    char text[128];
    unsigned long long pages;

    if (!read_proc(text, sizeof(text), "/proc/%d/statm", (int)pid) ||
        sscanf(text, "%*u %llu", &pages) != 1)
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

unsigned host_highest_cpu(const struct host *host)
{
    unsigned highest = 0;

    for (guint i = 0; i < host->cpus->len; i++)
        highest = MAX(highest, g_array_index(host->cpus, struct host_cpu, i).id);
    return highest;
}

bool host_cpu_time(int cpu, struct host_cpu_time *time)
{
    g_autofree char *name = cpu < 0 ? g_strdup("cpu ") : g_strdup_printf("cpu%d ", cpu);
    g_autofree char *text = NULL;
    unsigned long long v[7] = {0};
    const char *at;

    if (!g_file_get_contents("/proc/stat", &text, NULL, NULL))
        return false;
    at = strstr(text, name);
    if (!at || sscanf(at + strlen(name), "%llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2],
                      &v[3], &v[4], &v[5], &v[6]) < 4)
        return false;
    /* user nice system idle iowait irq softirq */
    *time = (struct host_cpu_time){
        .kernel = (v[2] + v[5] + v[6]) * tick_ns(),
        .user = (v[0] + v[1]) * tick_ns(),
        .idle = v[3] * tick_ns(),
        .iowait = v[4] * tick_ns(),
    };
    return true;
}

uint64_t host_meminfo(int cell, const char *name)
{
    g_autofree char *path =
        cell < 0 ? g_strdup("/proc/meminfo") : g_strdup_printf(NODES "/node%d/meminfo", cell);
    g_autofree char *key = g_strdup_printf("%s:", name);

    return read_field(path, key);
}

bool host_free_pages(unsigned cell, unsigned size_kib, uint64_t *count)
{
    unsigned own_kib = (unsigned)sysconf(_SC_PAGESIZE) / 1024;
    g_autofree char *path =
        g_strdup_printf(NODES "/node%u/hugepages/hugepages-%ukB/free_hugepages", cell, size_kib);
    g_autofree char *line = NULL;

    if (size_kib == own_kib) {
        *count = host_meminfo((int)cell, "MemFree") / own_kib;
        return true;
    }
    line = read_line(path);
    return line && g_ascii_string_to_unsigned(line, 10, 0, G_MAXUINT64, count, NULL);
}
