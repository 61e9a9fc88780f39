/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * passt goes into the background when it is ready: the process that was started ends, with an
 * error when it is not, and what remains writes its pid into a file. passt may have become nobody
 * by then, and a security module may confine it to few directories, so the file is made for it
 * under /tmp, in a directory of our own, and is gone again when this is over. Its path stands among
 * passt's arguments for everybody to see, and the process of that pid is killed one day: so the
 * file is that user's alone, and the process has to be.
 */
#include "libvirt-driver/vmm/passt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/identity.h"
#include "libvirt-driver/vmm/inherit.h"
#include "libvirt-driver/vmm/vmm.h"

#define PROGRAM           "passt"
#define START_TIMEOUT_MS  30000
#define END_TIMEOUT_MS    2000  /* by itself, when its VMM has ended */
#define KILLED_TIMEOUT_MS 30000 /* up to the kernel alone */
#define WORDS_BYTES       2048

/* ---- its words ---- */

static void add_word(GPtrArray *argv, const char *word)
{
    g_ptr_array_add(argv, g_strdup(word));
}

static void add_option(GPtrArray *argv, const char *option, const char *value)
{
    add_word(argv, option);
    add_word(argv, value);
}

/* "[ADDRESS[%DEV]/]RANGE,RANGE...", a range being "[~]START[-END][:TO[-TO_END]]". */
static char *forward_spec(const struct domain_forward *forward)
{
    GString *spec = g_string_new(forward->address);

    if (forward->dev[0])
        g_string_append_printf(spec, "%%%s", forward->dev);
    if (spec->len)
        g_string_append_c(spec, '/');
    if (!forward->range_count)
        g_string_append(spec, spec->len ? "1-65535" : "all");
    for (unsigned i = 0; i < forward->range_count; i++) {
        const struct domain_range *range = &forward->ranges[i];

        g_string_append_printf(spec, "%s%s%u", i ? "," : "", range->exclude ? "~" : "",
                               range->start);
        if (range->end)
            g_string_append_printf(spec, "-%u", range->end);
        if (range->to)
            g_string_append_printf(spec, ":%u", range->to);
        if (range->to && range->end)
            g_string_append_printf(spec, "-%u", range->to + range->end - range->start);
    }
    return g_string_free(spec, FALSE);
}

static GPtrArray *make_argv(const char *program, const struct domain_net *net, const char *socket,
                            const char *pid_file)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
    const struct domain_user_net *user = net->user;

    add_word(argv, program);
    add_option(argv, "--fd", socket);
    add_option(argv, "--pid", pid_file);
    if (net->log_file)
        add_option(argv, "--log-file", net->log_file);
    if (net->dev)
        add_option(argv, "--interface", net->dev);
    if (user->ipv4.address[0])
        add_option(argv, "--address", user->ipv4.address);
    if (user->ipv4.prefix) {
        g_autofree char *prefix = g_strdup_printf("%u", user->ipv4.prefix);

        add_option(argv, "--netmask", prefix);
    }
    if (user->ipv6.address[0])
        add_option(argv, "--address", user->ipv6.address);
    for (unsigned i = 0; i < user->forward_count; i++) {
        g_autofree char *spec = forward_spec(&user->forwards[i]);

        add_option(argv, user->forwards[i].udp ? "--udp-ports" : "--tcp-ports", spec);
    }
    g_ptr_array_add(argv, NULL);
    return argv;
}

/* ---- processes ---- */

/* What it said last, on one line. */
static char *last_words(int output)
{
    char text[WORDS_BYTES + 1];
    off_t size = lseek(output, 0, SEEK_END);
    ssize_t n = pread(output, text, WORDS_BYTES, MAX(size - WORDS_BYTES, 0));
    g_autofree char *valid = NULL;
    char *line;

    text[MAX(n, 0)] = '\0';
    g_strchomp(text);
    line = strrchr(text, '\n');
    valid = g_utf8_make_valid(line ? line + 1 : text, -1);
    return *valid ? g_steal_pointer(&valid) : g_strdup("it said nothing");
}

/* True when the one that was started has ended well: another one serves in its place. */
static bool wait_until_ready(pid_t pid, int output, GError **error)
{
    auto_close int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    g_autofree char *words = NULL;
    siginfo_t info = {0};
    bool in_time = pidfd >= 0 && wait_for_fd(pidfd, POLLIN, START_TIMEOUT_MS);

    if (!in_time)
        kill(pid, SIGKILL);
    if (waitid(P_PID, (id_t)pid, &info, WEXITED) == 0 && in_time && info.si_code == CLD_EXITED &&
        info.si_status == 0)
        return true;
    words = last_words(output);
    libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "Could not start 'passt': %s",
                      in_time ? words : "it did not become ready");
    return false;
}

/* Whom passt(1) runs as when it is started by us: root of the host gives way to nobody. */
static uid_t passt_user(void)
{
    g_autofree char *map = NULL;
    char text[1024];
    struct passwd entry;
    struct passwd *nobody = NULL;
    unsigned inside;
    unsigned outside;
    unsigned count;

    if (geteuid() != 0 || !g_file_get_contents("/proc/self/uid_map", &map, NULL, NULL) ||
        sscanf(map, "%u %u %u", &inside, &outside, &count) != 3 || inside || outside ||
        count != G_MAXUINT)
        return geteuid();
    (void)getpwnam_r("nobody", &entry, text, sizeof(text), &nobody);
    return nobody ? nobody->pw_uid : geteuid();
}

static bool runs_as(pid_t pid, uid_t user)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)pid);
    g_autofree char *text = NULL;
    const char *line = NULL;

    if (g_file_get_contents(path, &text, NULL, NULL))
        line = strstr(text, "\nUid:");
    return line && g_ascii_strtoull(line + strlen("\nUid:"), NULL, 10) == user;
}

static bool read_pid(const char *path, struct companion *companion, GError **error)
{
    g_autofree char *text = NULL;
    guint64 pid = 0;

    if (g_file_get_contents(path, &text, NULL, NULL))
        pid = g_ascii_strtoull(text, NULL, 10);
    *companion = (struct companion){.pid = (pid_t)pid};
    if (pid > 0 && pid <= G_MAXINT && runs_as(companion->pid, passt_user()))
        companion->start_time = vmm_process_start_time(companion->pid);
    if (companion->start_time)
        return true;
    libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "Could not start 'passt': it ended");
    return false;
}

/* ---- starting ---- */

struct start {
    const struct domain_net *net;
    const char *program;
    int cgroup;
    int output; /* a file in memory */
    char *dir;
    char *pid_file;
};

static bool make_pid_file(struct start *start, GError **error)
{
    auto_close int fd = -1;

    start->dir = g_strdup("/tmp/vole-passt-XXXXXX");
    if (!g_mkdtemp_full(start->dir, 0711)) {
        libvirt_error_set_errno(error, errno, "cannot create directory '%s'", start->dir);
        g_clear_pointer(&start->dir, g_free);
        return false;
    }
    start->pid_file = g_build_filename(start->dir, "pid", NULL);
    fd = open(start->pid_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0 && fchown(fd, passt_user(), (gid_t)-1) == 0)
        return true;
    libvirt_error_set_errno(error, errno, "cannot create '%s'", start->pid_file);
    return false;
}

static void start_clear(struct start *start)
{
    if (start->pid_file)
        unlink(start->pid_file);
    if (start->dir)
        rmdir(start->dir);
    g_free(start->pid_file);
    g_free(start->dir);
    if (start->output >= 0)
        close(start->output);
}

static bool run(const struct start *start, int socket, struct companion *companion, GError **error)
{
    struct inherit *inherit = inherit_new();
    const char *name = inherit_add(inherit, socket, "socket") + strlen("fd:");
    static const struct identity own = {0};
    const struct surroundings surroundings = {
        .output = start->output, .cgroup = start->cgroup, .identity = &own};
    g_autoptr(GPtrArray) argv = make_argv(start->program, start->net, name, start->pid_file);
    pid_t pid = inherit_spawn(inherit, (const char *const *)argv->pdata, &surroundings, error);

    inherit_free(inherit);
    return pid > 0 && wait_until_ready(pid, start->output, error) &&
           read_pid(start->pid_file, companion, error);
}

int passt_start(const struct domain_net *net, int cgroup, struct companion *companion,
                GError **error)
{
    g_autofree char *program = g_find_program_in_path(PROGRAM);
    struct start start = {
        .net = net,
        .program = program,
        .cgroup = cgroup,
        .output = memfd_create("vole-passt", MFD_CLOEXEC),
    };
    int ends[2];
    bool ok;

    if (!program) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "an interface of type user needs 'passt', which is not installed");
        start_clear(&start);
        return -1;
    }
    if (start.output < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        libvirt_error_set_errno(error, errno, "cannot make a socket for 'passt'");
        start_clear(&start);
        return -1;
    }
    ok = make_pid_file(&start, error);
    if (ok)
        ok = run(&start, ends[1], companion, error); /* and closes its end */
    else
        close(ends[1]);
    start_clear(&start);
    if (ok)
        return ends[0];
    close(ends[0]);
    return -1;
}

void companion_end(const struct companion *companion)
{
    auto_close int pidfd = (int)syscall(SYS_pidfd_open, companion->pid, 0);

    /* Checked with the descriptor in hand: the pid cannot change its meaning any more. */
    if (pidfd < 0 || vmm_process_start_time(companion->pid) != companion->start_time)
        return;
    if (wait_for_fd(pidfd, POLLIN, END_TIMEOUT_MS))
        return;
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    wait_for_fd(pidfd, POLLIN, KILLED_TIMEOUT_MS);
}
