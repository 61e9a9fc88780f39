/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain: what a name and a UUID stand for while the daemon knows them.
 *
 * It has a configuration when it is persistent, and a live definition when it runs; one of the two
 * is always there once it is known to clients. Its lock guards everything but the name, the UUID
 * and the id, and is never held while anything waits. Who changes a domain (starts, stops, defines
 * it ...) takes its job first, and keeps the job while the lock is released to wait for the VMM, so
 * that such changes happen one after another. Whoever has waited, or just got the job, looks again
 * at whether the domain still runs.
 */
#ifndef VOLE_DOMAIN_DOMAIN_H
#define VOLE_DOMAIN_DOMAIN_H

#include <glib.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvirt-driver/daemon.h"
#include "libvirt-driver/vmm/launch.h"
#include "xml/domain.h"

struct client;
struct vmm;

/* How long a call waits for another one on the same domain. */
#define DOMAIN_JOB_TIMEOUT_SECONDS 30
/* So many calls wait for the others on one domain. */
#define DOMAIN_JOB_MAX_QUEUED 50

struct domain {
    gatomicrefcount refs;
    struct daemon *daemon;
    char *name; /* these two never change */
    uint8_t uuid[DOMAIN_UUID_BYTES];
    gint id; /* atomic; -1 when it does not run */

    GMutex lock; /* for what follows */
    GCond job_ended;
    const char *job;  /* what the present job does; NULL: none */
    gint64 job_since; /* monotonic time */
    unsigned queued;  /* who wait for the job */
    bool removed;     /* no longer in the list: nobody may find it any more */

    domain_def *config; /* NULL: transient */
    domain_def *live;   /* NULL: it does not run */
    struct vmm *vmm;    /* its process; with `live`, but for moments inside a job */
    char *cgroup;       /* the process's control group, or NULL */
    virDomainState state;
    int reason; /* virDomainShutoffReason and so on, as `state` says */
    bool autostart;
    bool status_due;            /* the state is about to be written down */
    bool updated;               /* the configuration changed while it ran */
    unsigned destroyers;        /* who have killed the VMM, or try to, and will clean up */
    bool abandoned;             /* it is to end: the client that it ends with is gone */
    bool reboot_asked;          /* the next poweroff is half of a reboot */
    char *shutdown_cause;       /* what the VMM said when it ended: "guest-shutdown" */
    int pause_reason;           /* virDomainPausedReason of the next STOP */
    int run_reason;             /* virDomainRunningReason of the next RESUME */
    struct terminals terminals; /* the job's, not the lock's */
    struct client *autodestroy; /* only compared: it ends with this client */
    GArray *companions;         /* of struct companion: processes besides the VMM; the job's */
    GArray *vcpu_threads;       /* of pid_t; empty when it does not run */
};

struct domain *domain_new(struct daemon *daemon, const char *name,
                          const uint8_t uuid[DOMAIN_UUID_BYTES]);
struct domain *domain_ref(struct domain *domain);
void domain_unref(struct domain *domain);
/* Leaves its VMM, if it has one, to itself: the daemon ends. */
void domain_leave(struct domain *domain);

typedef struct domain held_domain; /* referenced until the end of the scope */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(held_domain, domain_unref)

void domain_lock(struct domain *domain);
void domain_unlock(struct domain *domain);
/* The same two the other way round, for a worker that waits for others (a VMM, a daemon of the
 * host, a disk): while it does, there is one more worker in its place. */
void domain_begin_wait(struct domain *domain);
void domain_end_wait(struct domain *domain);

/* A domain that is locked and referenced; both end with the scope. */
typedef struct domain locked_domain;
void domain_release(locked_domain *domain);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(locked_domain, domain_release)

/* All that follows is for who holds the lock. */

/*
 * Takes the job; waits (without the lock) while somebody else has it. False with
 * VIR_ERR_OPERATION_TIMEOUT when that takes too long, VIR_ERR_OPERATION_FAILED when too many wait
 * already, VIR_ERR_NO_DOMAIN when the domain went away meanwhile.
 */
bool domain_begin_job(struct domain *domain, const char *what, GError **error);
/* The same, however long it takes: for what has to be done. False when the domain went away. */
bool domain_begin_job_patiently(struct domain *domain, const char *what);
void domain_end_job(struct domain *domain);

bool domain_runs(const struct domain *domain);
/* False with VIR_ERR_OPERATION_INVALID when it does not run. */
bool domain_check_runs(const struct domain *domain, GError **error);
/* Neither configured nor running: about to come, or just gone. */
bool domain_is_void(const struct domain *domain);
/* The live definition, or the configuration when there is none. */
const domain_def *domain_current_def(const struct domain *domain);

#endif
