/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One VMM process: started by this daemon, or by an earlier one and found again. It is known by its
 * pid and start time together (pids come back), watched through a pidfd, and talked to through its
 * monitor. The process lives in a session of its own and does not end with the daemon.
 *
 * Reference counted, and thread-safe. The two callbacks come in the main thread and may come late:
 * whoever gets them compares the struct with the one it expects.
 */
#ifndef VOLE_DRIVER_VMM_VMM_H
#define VOLE_DRIVER_VMM_VMM_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "libvirt-driver/vmm/monitor.h"

struct vmm;

struct vmm_callbacks {
    /* An event from the monitor; `data` is borrowed and may be NULL. */
    void (*event)(struct vmm *vmm, gpointer opaque, const char *event, json_t *data);
    /* The process has ended, and all its events have been told. */
    void (*ended)(struct vmm *vmm, gpointer opaque);
    GDestroyNotify destroy; /* of `opaque`, once nothing can be called any more */
};

/* How a process ended. */
struct vmm_end {
    bool known; /* false when it was no child of this daemon */
    bool signalled;
    int code; /* exit status, or the signal */
};

/*
 * Watches a process and connects to its monitor. False from the checks (a pid that belongs to
 * another process by now, VIR_ERR_OPERATION_FAILED) gives NULL with `error` set. The struct takes
 * `opaque` over; with NULL it has been destroyed. `timeout_ms` is what a command may take.
 */
struct vmm *vmm_attach(struct watches *watches, pid_t pid, guint64 start_time,
                       const char *monitor_path, guint timeout_ms,
                       const struct vmm_callbacks *callbacks, gpointer opaque, GError **error);
struct vmm *vmm_ref(struct vmm *vmm);
void vmm_unref(struct vmm *vmm);
typedef struct vmm held_vmm; /* until the end of the scope */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(held_vmm, vmm_unref)

/* No callback begins after this; whoever waits for a command is told that the VMM went away. */
void vmm_detach(struct vmm *vmm);

pid_t vmm_pid(const struct vmm *vmm);
guint64 vmm_start_time(const struct vmm *vmm);
const char *vmm_monitor_path(const struct vmm *vmm);

/* As monitor_wait_ready() and monitor_execute(). */
bool vmm_wait_ready(struct vmm *vmm, guint timeout_ms, GError **error);
bool vmm_execute(struct vmm *vmm, const char *command, json_t *arguments, json_t **ret,
                 GError **error);

/* As monitor_begin(), monitor_finish() and monitor_overdue(). */
bool vmm_begin(struct vmm *vmm, struct monitor_call *call, const char *command, json_t *arguments,
               GError **error);
bool vmm_finish(struct vmm *vmm, struct monitor_call *call, gint64 deadline, json_t **ret,
                GError **error);
gint64 vmm_overdue(struct vmm *vmm);

/* A copy of one of its descriptors, or -1 with errno: the process is another's, or has ended. */
int vmm_copy_fd(const struct vmm *vmm, int fd);

/* Whether a thread is one of the process's: what a VMM says of that itself may be a guest's lie. */
bool vmm_has_thread(const struct vmm *vmm, gint64 thread);

/* Ends, with SIGKILL, a process that vmm_attach() could not watch, and waits for its end. False
 * when there was nothing to end: it had gone before, and may be another by now. */
bool vmm_kill(pid_t pid, guint64 start_time, guint timeout_ms);

/* True when the signal was sent, or the process has ended already. */
bool vmm_signal(struct vmm *vmm, int signal);
/* Waits for the process to end. False when it has not after `timeout_ms`. */
bool vmm_wait_end(struct vmm *vmm, guint timeout_ms);
/* Of a process that has ended. */
struct vmm_end vmm_end(struct vmm *vmm);

/* When the kernel started a process, in its clock ticks since boot; 0 when there is no such one. */
guint64 vmm_process_start_time(pid_t pid);

#endif
