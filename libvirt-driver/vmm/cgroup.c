/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "libvirt-driver/util.h"

/* How much of a domain's name is in its group's. */
#define NAME_CHARS 64

#define PREFIX "vole-"
/* Microseconds; the kernel's own. */
#define DEFAULT_PERIOD 100000
/* How long those who were killed may take to end. */
#define CLEAR_TIMEOUT_MS 10000

struct cgroups {
    char *partition; /* its directory, or NULL: there are no groups */
    char *suffix;    /* of the names of this daemon's groups */
};

/* Where cgroup v2 is mounted: alone, or beside the old one. */
static char *find_mount(void)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents("/proc/self/mountinfo", &text, NULL, NULL))
        return NULL;
    lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        g_auto(GStrv) words = g_strsplit(lines[i], " ", -1);
        const char *type = strstr(lines[i], " - cgroup2 ");

        if (type && g_strv_length(words) > 4)
            return g_strcompress(words[4]); /* \040 is a blank */
    }
    return NULL;
}

/* 0, or an errno. */
static int put_value(const char *group, const char *name, const char *value)
{
    g_autofree char *path = g_build_filename(group, name, NULL);
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value) ? 0 : errno;
}

static bool write_value(const char *group, const char *name, const char *value, GError **error)
{
    int errnum = put_value(group, name, value);

    if (errnum)
        libvirt_error_set_errno(error, errnum, "Unable to write '%s' to '%s/%s'", value, group,
                                name);
    return !errnum;
}

static char *read_value(const char *group, const char *name)
{
    g_autofree char *path = group ? g_build_filename(group, name, NULL) : NULL;
    char *text = NULL;

    return path && g_file_get_contents(path, &text, NULL, NULL) ? g_strchomp(text) : NULL;
}

/* One at a time: a controller that the host does not have must not keep the others away. */
static void enable_controllers(const char *group)
{
    static const char *const wanted[] = {"+cpu", "+memory", "+io", "+cpuset"};

    for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++)
        write_value(group, "cgroup.subtree_control", wanted[i], NULL);
}

static bool make_partition(const char *path)
{
    g_autofree char *parent = g_path_get_dirname(path);

    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return false;
    enable_controllers(parent);
    enable_controllers(path);
    return true;
}

struct cgroups *cgroups_new(const char *partition, const char *owner)
{
    struct cgroups *cgroups = g_new0(struct cgroups, 1);
    g_autofree char *mount = partition ? find_mount() : NULL;

    if (!mount)
        return cgroups;
    cgroups->suffix = g_strdup_printf(".%08x", g_str_hash(owner));
    cgroups->partition = g_build_filename(mount, partition, NULL);
    if (!make_partition(cgroups->partition)) {
        g_info("domains run without control groups: '%s': %s", cgroups->partition,
               g_strerror(errno));
        g_clear_pointer(&cgroups->partition, g_free);
    }
    return cgroups;
}

void cgroups_free(struct cgroups *cgroups)
{
    /* Only if nobody needs it any more. */
    if (cgroups->partition)
        rmdir(cgroups->partition);
    g_free(cgroups->partition);
    g_free(cgroups->suffix);
    g_free(cgroups);
}

/* With the groups of threads in it, which hold nobody once the process has ended. */
static bool remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        if (g_file_test(child, G_FILE_TEST_IS_DIR))
            rmdir(child);
    }
    return rmdir(path) == 0 || errno == ENOENT;
}

int cgroup_make(struct cgroups *cgroups, const domain_def *def, char **path)
{
    g_autofree char *name = g_strndup(def->name, NAME_CHARS);

    *path = NULL;
    if (!cgroups->partition)
        return -1;
    *path =
        g_strdup_printf("%s/" PREFIX "%d-%s%s", cgroups->partition, def->id, name, cgroups->suffix);
    remove_tree(*path); /* an empty one that an earlier daemon left */
    /* The partition goes when it is empty and somebody tidies up: then it is made again. */
    if (mkdir(*path, 0755) == 0 ||
        (errno == ENOENT && make_partition(cgroups->partition) && mkdir(*path, 0755) == 0)) {
        int fd = open(*path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0)
            return fd;
    }
    g_warning("domain '%s' runs without a control group: '%s': %s", def->name, *path,
              g_strerror(errno));
    g_clear_pointer(path, g_free);
    return -1;
}

bool cgroup_remove(const char *path)
{
    return !path || remove_tree(path);
}

GPtrArray *cgroups_list(const struct cgroups *cgroups)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = cgroups->partition ? g_dir_open(cgroups->partition, 0, NULL) : NULL;
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        if (g_str_has_prefix(name, PREFIX) && g_str_has_suffix(name, cgroups->suffix))
            g_ptr_array_add(paths, g_build_filename(cgroups->partition, name, NULL));
    }
    return paths;
}

int cgroup_domain_id(const char *path)
{
    g_autofree char *name = g_path_get_basename(path);

    return g_str_has_prefix(name, PREFIX) ? atoi(name + strlen(PREFIX)) : 0;
}

/* The kernel says when "populated" changes. */
static bool wait_until_empty(const char *path)
{
    g_autofree char *file = g_build_filename(path, "cgroup.events", NULL);
    auto_close int events = open(file, O_RDONLY | O_CLOEXEC);

    while (events >= 0) {
        char text[256];
        ssize_t n = pread(events, text, sizeof(text) - 1, 0);

        text[MAX(n, 0)] = '\0';
        if (strstr(text, "populated 0"))
            return true;
        if (!wait_for_fd(events, POLLPRI, CLEAR_TIMEOUT_MS))
            return false;
    }
    return false;
}

void cgroup_clear(const char *path)
{
    if (cgroup_remove(path))
        return;
    g_message("ending what is left in '%s'", path);
    write_value(path, "cgroup.kill", "1", NULL);
    if (!wait_until_empty(path) || !remove_tree(path))
        g_warning("cannot remove '%s': %s", path, g_strerror(errno));
}

/* ---- controllers ---- */

static const char *const key_files[] = {
    [CGROUP_CPU] = "cpu.weight",
    [CGROUP_MEMORY] = "memory.max",
    [CGROUP_IO] = "io.max",
    [CGROUP_CPUSET] = "cpuset.mems",
};
static const char *const controller_names[] = {[CGROUP_CPU] = "CPU",
                                               [CGROUP_MEMORY] = "memory",
                                               [CGROUP_IO] = "io",
                                               [CGROUP_CPUSET] = "cpuset"};

bool cgroup_has(const char *path, enum cgroup_controller controller)
{
    g_autofree char *file = path ? g_build_filename(path, key_files[controller], NULL) : NULL;

    return file && access(file, W_OK) == 0;
}

static bool check_has(const char *path, enum cgroup_controller controller, GError **error)
{
    if (cgroup_has(path, controller))
        return true;
    libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "cgroup %s controller is not mounted",
                      controller_names[controller]);
    return false;
}

static bool write_number(const char *path, const char *name, uint64_t value, GError **error)
{
    char text[32];

    g_snprintf(text, sizeof(text), "%" PRIu64, value);
    return write_value(path, name, text, error);
}

bool cgroup_set_shares(const char *path, unsigned shares, GError **error)
{
    return check_has(path, CGROUP_CPU, error) && write_number(path, "cpu.weight", shares, error);
}

bool cgroup_set_quota(const char *path, uint64_t period, int64_t quota, GError **error)
{
    char text[64];

    if (!check_has(path, CGROUP_CPU, error))
        return false;
    if (quota < 0)
        g_snprintf(text, sizeof(text), "max %" PRIu64, period);
    else
        g_snprintf(text, sizeof(text), "%" PRId64 " %" PRIu64, quota, period);
    return write_value(path, "cpu.max", text, error);
}

static bool write_limit(const char *path, const char *name, uint64_t kib, GError **error)
{
    return kib ? write_number(path, name, kib * 1024, error)
               : write_value(path, name, "max", error);
}

/* libvirt counts memory and swap together, cgroup v2 swap alone. */
static bool set_swap(const char *path, const struct domain_memtune *memtune, GError **error)
{
    g_autofree char *present = read_value(path, "memory.swap.max");

    if (!memtune->swap_hard_limit_kib)
        return !present || write_value(path, "memory.swap.max", "max", error);
    return write_limit(path, "memory.swap.max",
                       MAX(memtune->swap_hard_limit_kib - memtune->hard_limit_kib, 1), error);
}

bool cgroup_set_memory(const char *path, const struct domain_memtune *memtune, GError **error)
{
    return check_has(path, CGROUP_MEMORY, error) &&
           write_limit(path, "memory.max", memtune->hard_limit_kib, error) &&
           write_limit(path, "memory.high", memtune->soft_limit_kib, error) &&
           set_swap(path, memtune, error);
}

bool cgroup_set_memory_nodes(const char *path, const struct cpuset *nodes, GError **error)
{
    g_autofree char *list = cpuset_format(nodes);

    return check_has(path, CGROUP_CPUSET, error) && write_value(path, "cpuset.mems", list, error);
}

/* ---- block devices ---- */

/*
 * Weights are kept by the I/O cost controller and by BFQ, each for the devices that it has; a host
 * may have both, and each wants to know, as far as it goes. `weight` 0: what holds for other
 * devices. False with `error` set when nobody keeps them.
 */
static bool set_weight(const char *path, const char *device, unsigned weight, GError **error)
{
    static const struct {
        const char *file;
        unsigned max;
    } keepers[] = {{"io.weight", 10000}, {"io.bfq.weight", 1000}};
    bool kept = false;

    for (gsize i = 0; i < G_N_ELEMENTS(keepers); i++) {
        g_autofree char *value = weight
                                     ? g_strdup_printf("%s %u", device, MIN(weight, keepers[i].max))
                                     : g_strdup_printf("%s default", device);
        int errnum = put_value(path, keepers[i].file, value);

        /* Not there, or not for this device. */
        if (errnum == ENOENT || errnum == EACCES || errnum == EOPNOTSUPP)
            continue;
        if (errnum) {
            libvirt_error_set_errno(error, errnum, "Unable to write '%s' to '%s/%s'", value, path,
                                    keepers[i].file);
            return false;
        }
        kept = true;
    }
    if (!kept)
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID,
                          "nothing in this host's kernel keeps weights of block device '%s'",
                          device);
    return kept;
}

bool cgroup_set_io_weight(const char *path, unsigned weight, GError **error)
{
    return check_has(path, CGROUP_IO, error) && set_weight(path, "default", weight, error);
}

static void append_limit(GString *text, const char *key, uint64_t value)
{
    if (value)
        g_string_append_printf(text, " %s=%" PRIu64, key, value);
    else
        g_string_append_printf(text, " %s=max", key);
}

bool cgroup_set_io(const char *path, const struct domain_blkio_device *device, GError **error)
{
    static const char *const keys[] = {
        [DOMAIN_BLKIO_READ_BYTES] = "rbps",
        [DOMAIN_BLKIO_WRITE_BYTES] = "wbps",
        [DOMAIN_BLKIO_READ_IOPS] = "riops",
        [DOMAIN_BLKIO_WRITE_IOPS] = "wiops",
    };
    g_autoptr(GString) limits = g_string_new(NULL);
    g_autofree char *number = NULL;
    struct stat st;

    G_STATIC_ASSERT(G_N_ELEMENTS(keys) == DOMAIN_BLKIO_LIMITS);
    if (!check_has(path, CGROUP_IO, error))
        return false;
    if (stat(device->path, &st) < 0) {
        libvirt_error_set_errno(error, errno, "Path '%s' is not accessible", device->path);
        return false;
    }
    if (!S_ISBLK(st.st_mode)) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "Path '%s' must be a block device",
                          device->path);
        return false;
    }
    number = g_strdup_printf("%u:%u", major(st.st_rdev), minor(st.st_rdev));
    g_string_append(limits, number);
    for (unsigned i = 0; i < DOMAIN_BLKIO_LIMITS; i++)
        append_limit(limits, keys[i], device->limits[i]);
    if (!write_value(path, "io.max", limits->str, error))
        return false;
    /* Where nobody keeps weights, there is none to be taken away. */
    return set_weight(path, number, device->weight, device->weight ? error : NULL) ||
           !device->weight;
}

static bool apply_io(const char *path, const domain_def *def, GError **error)
{
    if (def->blkio_weight && !cgroup_set_io_weight(path, def->blkio_weight, error))
        return false;
    for (guint i = 0; i < def->blkio_devices->len; i++) {
        if (!cgroup_set_io(path, domain_blkio_device_at(def, i), error))
            return false;
    }
    return true;
}

bool cgroup_apply(const char *path, const domain_def *def, GError **error)
{
    const struct domain_cputune *tune = &def->cputune;
    const struct domain_cpu_quota *global = &tune->quotas[DOMAIN_QUOTA_GLOBAL];
    const struct domain_memtune *memory = &def->memtune;

    if (tune->shares && !cgroup_set_shares(path, tune->shares, error))
        return false;
    if (global->quota > 0 &&
        !cgroup_set_quota(path, global->period ? global->period : DEFAULT_PERIOD, global->quota,
                          error))
        return false;
    if ((memory->hard_limit_kib || memory->soft_limit_kib || memory->swap_hard_limit_kib) &&
        !cgroup_set_memory(path, memory, error))
        return false;
    if (def->numatune.mode && !cgroup_set_memory_nodes(path, &def->numatune.nodes, error))
        return false;
    return apply_io(path, def, error);
}

/* ---- groups of threads ---- */

/*
 * A group whose children hold threads of the process that is in it: they become "threaded", and it
 * the root of these. That may be while the process runs; then it has to be put anew for each of
 * its threads where that one belongs.
 */
char *cgroup_make_threads(const char *path, const char *name, GError **error)
{
    g_autofree char *group = NULL;

    if (!check_has(path, CGROUP_CPU, error))
        return NULL;
    group = g_build_filename(path, name, NULL);
    if (mkdir(group, 0755) < 0) {
        if (errno == EEXIST)
            return g_steal_pointer(&group);
        libvirt_error_set_errno(error, errno, "Failed to create cgroup '%s'", group);
        return NULL;
    }
    if (write_value(group, "cgroup.type", "threaded", error) &&
        write_value(path, "cgroup.subtree_control", "+cpu", error))
        return g_steal_pointer(&group);
    rmdir(group);
    return NULL;
}

bool cgroup_add_thread(const char *group, pid_t thread, GError **error)
{
    char text[16];
    int errnum;

    g_snprintf(text, sizeof(text), "%d", (int)thread);
    errnum = put_value(group, "cgroup.threads", text);
    if (errnum && errnum != ESRCH)
        libvirt_error_set_errno(error, errnum, "cannot move thread %s to '%s'", text, group);
    return !errnum || errnum == ESRCH;
}

bool cgroup_get_shares(const char *path, unsigned *shares)
{
    g_autofree char *text = read_value(path, "cpu.weight");
    guint64 value;

    if (!text || !g_ascii_string_to_unsigned(text, 10, 1, 10000, &value, NULL))
        return false;
    *shares = (unsigned)value;
    return true;
}

bool cgroup_get_quota(const char *path, uint64_t *period, int64_t *quota)
{
    g_autofree char *text = read_value(path, "cpu.max");
    char first[32];

    if (!text || sscanf(text, "%31s %" SCNu64, first, period) != 2)
        return false;
    *quota = strcmp(first, "max") == 0 ? -1 : g_ascii_strtoll(first, NULL, 10);
    return true;
}
