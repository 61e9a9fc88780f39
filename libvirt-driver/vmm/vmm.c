/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/vmm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/monitor.h"
#include "libvirt-driver/watch.h"
#include "xml/error.h"

struct vmm {
    gatomicrefcount refs;
    pid_t pid;
    guint64 start_time;
    guint command_timeout_ms;
    int pidfd;
    char *monitor_path;
    struct monitor *monitor;
    const struct vmm_callbacks *callbacks;
    gpointer opaque;

    struct watches *watches;
    GMutex lock;   /* for what follows */
    guint64 watch; /* of the pidfd; 0 once detached */
    bool reaped;
    struct vmm_end end;
};

struct vmm *vmm_ref(struct vmm *vmm)
{
    g_atomic_ref_count_inc(&vmm->refs);
    return vmm;
}

void vmm_unref(struct vmm *vmm)
{
    if (!g_atomic_ref_count_dec(&vmm->refs))
        return;
    g_clear_pointer(&vmm->monitor, monitor_free);
    vmm->callbacks->destroy(vmm->opaque);
    close(vmm->pidfd);
    g_mutex_clear(&vmm->lock);
    g_free(vmm->monitor_path);
    g_free(vmm);
}

guint64 vmm_process_start_time(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *stat = NULL;
    const char *at;
    unsigned long long start;

    if (!g_file_get_contents(path, &stat, NULL, NULL))
        return 0;
    /* The second field is a name in parentheses that may hold anything; the start time is the
     * twenty-second. */
    at = strrchr(stat, ')');
    if (!at || sscanf(at + 1,
                      " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                      "%*d %llu",
                      &start) != 1)
        return 0;
    return start;
}

static void on_monitor_event(gpointer opaque, const char *event, json_t *data)
{
    struct vmm *vmm = opaque;

    vmm->callbacks->event(vmm, vmm->opaque, event, data);
}

static bool on_process_end(gpointer data)
{
    g_autoptr(held_vmm) vmm = vmm_ref(data);

    /* What it had to say about its end lies in the socket still. */
    monitor_drain(vmm->monitor);
    vmm->callbacks->ended(vmm, vmm->opaque);
    return false;
}

static int open_pidfd(pid_t pid, guint64 start_time, GError **error)
{
    auto_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (fd < 0 && errno != ESRCH) {
        libvirt_error_set_errno(error, errno, "cannot watch process %d", (int)pid);
        return -1;
    }
    /* Checked with the descriptor in hand: the pid cannot change its meaning any more. */
    if (fd < 0 || (start_time && vmm_process_start_time(pid) != start_time)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "process %d has ended", (int)pid);
        return -1;
    }
    return steal_fd(&fd);
}

static bool watch_process(struct vmm *vmm, GError **error)
{
    hold_lock(&vmm->lock);

    vmm->watch = watch_begin(vmm->watches, vmm->pidfd, on_process_end, vmm_ref(vmm),
                             (GDestroyNotify)vmm_unref, error);
    return vmm->watch != 0;
}

struct vmm *vmm_attach(struct watches *watches, pid_t pid, guint64 start_time,
                       const char *monitor_path, guint timeout_ms,
                       const struct vmm_callbacks *callbacks, gpointer opaque, GError **error)
{
    struct vmm *vmm = g_new0(struct vmm, 1);

    g_atomic_ref_count_init(&vmm->refs);
    g_mutex_init(&vmm->lock);
    vmm->watches = watches;
    vmm->pid = pid;
    vmm->command_timeout_ms = timeout_ms;
    vmm->callbacks = callbacks;
    vmm->opaque = opaque;
    vmm->monitor_path = g_strdup(monitor_path);
    vmm->pidfd = open_pidfd(pid, start_time, error);
    if (vmm->pidfd < 0) {
        vmm_unref(vmm);
        return NULL;
    }
    vmm->start_time = vmm_process_start_time(pid);
    vmm->monitor = monitor_connect(watches, monitor_path, on_monitor_event, vmm_ref(vmm),
                                   (GDestroyNotify)vmm_unref, error);
    if (vmm->monitor && watch_process(vmm, error))
        return vmm;
    if (vmm->monitor)
        monitor_close(vmm->monitor);
    vmm_unref(vmm);
    return NULL;
}

void vmm_detach(struct vmm *vmm)
{
    guint64 watch;

    g_mutex_lock(&vmm->lock);
    watch = vmm->watch;
    vmm->watch = 0;
    g_mutex_unlock(&vmm->lock);
    if (!watch)
        return;
    monitor_close(vmm->monitor);
    watch_end(vmm->watches, watch);
}

pid_t vmm_pid(const struct vmm *vmm)
{
    return vmm->pid;
}

guint64 vmm_start_time(const struct vmm *vmm)
{
    return vmm->start_time;
}

const char *vmm_monitor_path(const struct vmm *vmm)
{
    return vmm->monitor_path;
}

bool vmm_wait_ready(struct vmm *vmm, guint timeout_ms, GError **error)
{
    return monitor_wait_ready(vmm->monitor, timeout_ms, error);
}

bool vmm_execute(struct vmm *vmm, const char *command, json_t *arguments, json_t **ret,
                 GError **error)
{
    return monitor_execute(vmm->monitor, command, arguments, vmm->command_timeout_ms, ret, error);
}

bool vmm_begin(struct vmm *vmm, struct monitor_call *call, const char *command, json_t *arguments,
               GError **error)
{
    return monitor_begin(vmm->monitor, call, command, arguments, error);
}

bool vmm_finish(struct vmm *vmm, struct monitor_call *call, gint64 deadline, json_t **ret,
                GError **error)
{
    return monitor_finish(vmm->monitor, call, deadline, ret, error);
}

gint64 vmm_overdue(struct vmm *vmm)
{
    return monitor_overdue(vmm->monitor);
}

int vmm_copy_fd(const struct vmm *vmm, int fd)
{
    return (int)syscall(SYS_pidfd_getfd, vmm->pidfd, fd, 0);
}

bool vmm_has_thread(const struct vmm *vmm, gint64 thread)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/task/%" G_GINT64_FORMAT, (int)vmm->pid, thread);

    return thread > 0 && access(path, F_OK) == 0;
}

bool vmm_signal(struct vmm *vmm, int signal)
{
    return syscall(SYS_pidfd_send_signal, vmm->pidfd, signal, NULL, 0) == 0 || errno == ESRCH;
}

bool vmm_kill(pid_t pid, guint64 start_time, guint timeout_ms)
{
    auto_close int pidfd = start_time ? open_pidfd(pid, start_time, NULL) : -1;

    if (pidfd < 0 || wait_for_fd(pidfd, POLLIN, 0) ||
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0)
        return false;
    if (!wait_for_fd(pidfd, POLLIN, timeout_ms))
        g_warning("process %d does not end", (int)pid);
    return true;
}

/* Takes the exit status of a process that has ended, if it is ours to take. */
static void reap(struct vmm *vmm)
{
    hold_lock(&vmm->lock);
    siginfo_t info = {0};

    if (vmm->reaped || waitid(P_PIDFD, (id_t)vmm->pidfd, &info, WEXITED | WNOHANG) < 0 ||
        info.si_pid == 0)
        return;
    vmm->reaped = true;
    vmm->end = (struct vmm_end){
        .known = true,
        .signalled = info.si_code != CLD_EXITED,
        .code = info.si_status,
    };
}

bool vmm_wait_end(struct vmm *vmm, guint timeout_ms)
{
    bool ended = wait_for_fd(vmm->pidfd, POLLIN, timeout_ms);

    if (ended)
        reap(vmm);
    return ended;
}

struct vmm_end vmm_end(struct vmm *vmm)
{
    reap(vmm);
    return vmm->end;
}
