/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/identity.h"
#include "xml/error.h"

#define FIRST_FD 3

struct inherit {
    GArray *fds;      /* the i-th is FIRST_FD + i in the child */
    GPtrArray *names; /* "fd:3" ... */
    GPtrArray *whats;
    GPtrArray *kept;
};

struct inherit *inherit_new(void)
{
    struct inherit *inherit = g_new(struct inherit, 1);

    inherit->fds = g_array_new(FALSE, FALSE, sizeof(int));
    inherit->names = g_ptr_array_new_with_free_func(g_free);
    inherit->whats = g_ptr_array_new_with_free_func(g_free);
    inherit->kept = g_ptr_array_new_with_free_func(g_free);
    return inherit;
}

void inherit_close(struct inherit *inherit)
{
    for (guint i = 0; i < inherit->fds->len; i++)
        close(g_array_index(inherit->fds, int, i));
    g_array_set_size(inherit->fds, 0);
}

void inherit_free(struct inherit *inherit)
{
    inherit_close(inherit);
    g_array_unref(inherit->fds);
    g_ptr_array_unref(inherit->names);
    g_ptr_array_unref(inherit->whats);
    g_ptr_array_unref(inherit->kept);
    g_free(inherit);
}

const char *inherit_add(struct inherit *inherit, int fd, const char *what)
{
    char *name = g_strdup_printf("fd:%u", FIRST_FD + inherit->fds->len);

    g_array_append_val(inherit->fds, fd);
    g_ptr_array_add(inherit->names, name);
    g_ptr_array_add(inherit->whats, g_strdup(what ? what : name));
    return name;
}

const char *inherit_keep(struct inherit *inherit, char *string)
{
    g_ptr_array_add(inherit->kept, string);
    return string;
}

char *inherit_translate(const struct inherit *inherit, const char *text)
{
    GString *out = g_string_new(NULL);

    while (*text) {
        const char *digits = g_str_has_prefix(text, "fd:") ? text + 3 : text;
        char *end = (char *)(uintptr_t)digits;
        guint64 number = digits > text ? g_ascii_strtoull(digits, &end, 10) : 0;

        if (end > digits && number >= FIRST_FD && number - FIRST_FD < inherit->whats->len) {
            g_string_append(out, g_ptr_array_index(inherit->whats, number - FIRST_FD));
            text = end;
        } else {
            g_string_append_c(out, *text++);
        }
    }
    return g_string_free(out, FALSE);
}

/* The daemon's own environment, without what systemd meant for the daemon alone. */
static char **child_environment(void)
{
    char **env = g_get_environ();

    env = g_environ_unsetenv(env, "NOTIFY_SOCKET");
    return g_environ_setenv(env, "LC_ALL", "C", TRUE);
}

/*
 * The child is made by clone3() because only that puts it into its control group at once; to move a
 * process afterwards takes the kernel many milliseconds, and is done only where clone3() is not to
 * be had: filters of containers and emulators refuse it. Memory is copied on write, as by fork():
 * between the two calls the child runs on what it got, and may do no more than a signal handler
 * may, because other threads of the daemon held locks that nobody in it will ever release.
 */
struct birth {
    const char *const *argv;
    char *const *env;
    const int *fds; /* the i-th becomes FIRST_FD + i; all are above that */
    guint fd_count;
    int null;
    int output;
    const struct identity *identity;
    bool locks_memory;
    int report; /* a pipe that exec closes; errno goes there when something fails */
    int cgroup; /* that it is to be in; -1: its parent's */
    bool moves; /* and has to enter by itself */
};

static void default_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL); /* some cannot be changed, and need not be */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The system calls themselves: those of the C library would tell threads that are not here. */
static bool become_user(const struct identity *identity)
{
    return !identity->other ||
           (syscall(SYS_setgroups, 0, NULL) == 0 &&
            syscall(SYS_setresgid, identity->gid, identity->gid, identity->gid) == 0 &&
            syscall(SYS_setresuid, identity->uid, identity->uid, identity->uid) == 0);
}

static bool enter_cgroup(int cgroup)
{
    auto_close int procs = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);

    return procs >= 0 && write(procs, "0", 1) == 1;
}

static void become(const struct birth *birth)
{
    const struct rlimit no_limit = {RLIM_INFINITY, RLIM_INFINITY};
    unsigned first_free = FIRST_FD + birth->fd_count;

    default_signals();
    if (birth->moves && !enter_cgroup(birth->cgroup))
        return;
    if (setsid() < 0 || dup2(birth->null, STDIN_FILENO) < 0 ||
        dup2(birth->output, STDOUT_FILENO) < 0 || dup2(birth->output, STDERR_FILENO) < 0)
        return;
    for (guint i = 0; i < birth->fd_count; i++) {
        if (dup2(birth->fds[i], FIRST_FD + (int)i) < 0)
            return;
    }
    /* Closed by exec, which then also tells the parent that all is well. */
    if (syscall(SYS_close_range, first_free, ~0U, CLOSE_RANGE_CLOEXEC) < 0 || chdir("/") < 0)
        return;
    if (birth->locks_memory)
        setrlimit(RLIMIT_MEMLOCK, &no_limit); /* the program tells when that is not enough */
    if (!become_user(birth->identity))
        return;
    /* exec only reads its arguments; its prototype is older than const. */
    execve(birth->argv[0], (char *const *)(uintptr_t)birth->argv, birth->env);
}

static pid_t clone_child(struct birth *birth)
{
    struct clone_args args = {
        .flags = birth->cgroup >= 0 ? CLONE_INTO_CGROUP : 0,
        .exit_signal = SIGCHLD,
        .cgroup = birth->cgroup >= 0 ? (guint64)birth->cgroup : 0,
    };
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

    if (pid >= 0 || (errno != ENOSYS && errno != EPERM))
        return pid;
    birth->moves = birth->cgroup >= 0;
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

/* 0 when the child runs its program, or the errno that kept it from that. */
static int wait_for_exec(int pipe_end, pid_t pid)
{
    int failed = 0;
    ssize_t n;

    do {
        n = read(pipe_end, &failed, sizeof(failed));
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        return 0;
    waitpid(pid, NULL, 0);
    return n == sizeof(failed) ? failed : EIO;
}

static pid_t give_birth(struct birth *birth, int *failed)
{
    int pipe_fds[2];
    pid_t pid;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        *failed = errno;
        return -1;
    }
    birth->report = fcntl(pipe_fds[1], F_DUPFD_CLOEXEC, FIRST_FD + (int)birth->fd_count);
    close(pipe_fds[1]);
    pid = birth->report < 0 ? -1 : clone_child(birth);
    *failed = errno;
    if (pid == 0) {
        become(birth);
        *failed = errno;
        if (write(birth->report, failed, sizeof(*failed)) < 0)
            _exit(126);
        _exit(127);
    }
    if (birth->report >= 0)
        close(birth->report);
    if (pid > 0)
        *failed = wait_for_exec(pipe_fds[0], pid);
    close(pipe_fds[0]);
    return *failed ? -1 : pid;
}

/* Above the numbers that they will have in the child, so that giving one its number cannot
 * overwrite another. */
static bool move_up(const struct inherit *inherit, int fd, GArray *moved)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD + (int)inherit->fds->len);

    if (copy >= 0)
        g_array_append_val(moved, copy);
    return copy >= 0;
}

static pid_t spawn(const struct inherit *inherit, const char *const *argv,
                   const struct surroundings *surroundings, GArray *moved, int *failed)
{
    g_auto(GStrv) env = child_environment();
    auto_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct birth birth = {
        .argv = argv,
        .env = env,
        .fd_count = inherit->fds->len,
        .identity = surroundings->identity,
        .locks_memory = surroundings->locks_memory,
        .cgroup = surroundings->cgroup,
    };
    bool ok = null >= 0;

    for (guint i = 0; i < inherit->fds->len && ok; i++)
        ok = move_up(inherit, g_array_index(inherit->fds, int, i), moved);
    ok = ok && move_up(inherit, surroundings->output, moved) && move_up(inherit, null, moved);
    if (!ok) {
        *failed = errno;
        return -1;
    }
    birth.fds = (const int *)(void *)moved->data;
    birth.output = birth.fds[birth.fd_count];
    birth.null = birth.fds[birth.fd_count + 1];
    return give_birth(&birth, failed);
}

pid_t inherit_spawn(const struct inherit *inherit, const char *const *argv,
                    const struct surroundings *surroundings, GError **error)
{
    g_autoptr(GArray) moved = g_array_new(FALSE, FALSE, sizeof(int));
    int failed = 0;
    pid_t pid = spawn(inherit, argv, surroundings, moved, &failed);

    for (guint i = 0; i < moved->len; i++)
        close(g_array_index(moved, int, i));
    if (pid < 0)
        libvirt_error_set_errno(error, failed, "cannot run '%s'", argv[0]);
    return pid;
}
