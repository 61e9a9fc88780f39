/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/domain/domain.h"

#include <string.h>

#include "libvirt-driver/server.h"
#include "libvirt-driver/vmm/passt.h"
#include "libvirt-driver/vmm/vmm.h"

struct domain *domain_new(struct daemon *daemon, const char *name,
                          const uint8_t uuid[DOMAIN_UUID_BYTES])
{
    struct domain *domain = g_new0(struct domain, 1);

    g_atomic_ref_count_init(&domain->refs);
    domain->daemon = daemon;
    domain->name = g_strdup(name);
    memcpy(domain->uuid, uuid, DOMAIN_UUID_BYTES);
    domain->id = -1;
    terminals_init(&domain->terminals);
    domain->vcpu_threads = g_array_new(FALSE, FALSE, sizeof(pid_t));
    domain->companions = g_array_new(FALSE, FALSE, sizeof(struct companion));
    g_mutex_init(&domain->lock);
    g_cond_init(&domain->job_ended);
    domain->state = VIR_DOMAIN_SHUTOFF;
    domain->reason = VIR_DOMAIN_SHUTOFF_UNKNOWN;
    return domain;
}

struct domain *domain_ref(struct domain *domain)
{
    g_atomic_ref_count_inc(&domain->refs);
    return domain;
}

void domain_unref(struct domain *domain)
{
    if (!g_atomic_ref_count_dec(&domain->refs))
        return;
    terminals_close(&domain->terminals);
    g_clear_pointer(&domain->vmm, vmm_unref);
    g_clear_pointer(&domain->config, domain_def_free);
    g_clear_pointer(&domain->live, domain_def_free);
    g_array_unref(domain->vcpu_threads);
    g_array_unref(domain->companions);
    g_mutex_clear(&domain->lock);
    g_cond_clear(&domain->job_ended);
    g_free(domain->shutdown_cause);
    g_free(domain->cgroup);
    g_free(domain->name);
    g_free(domain);
}

void domain_leave(struct domain *domain)
{
    if (!domain->vmm)
        return;
    vmm_detach(domain->vmm);
    g_clear_pointer(&domain->vmm, vmm_unref);
}

void domain_lock(struct domain *domain)
{
    g_mutex_lock(&domain->lock);
}

void domain_unlock(struct domain *domain)
{
    g_mutex_unlock(&domain->lock);
}

void domain_begin_wait(struct domain *domain)
{
    domain_unlock(domain);
    server_worker_waits(domain->daemon->server, true);
}

void domain_end_wait(struct domain *domain)
{
    server_worker_waits(domain->daemon->server, false);
    domain_lock(domain);
}

void domain_release(locked_domain *domain)
{
    domain_unlock(domain);
    domain_unref(domain);
}

static void set_no_domain_error(const struct domain *domain, GError **error)
{
    char uuid[DOMAIN_UUID_TEXT];

    domain_uuid_format(domain->uuid, uuid);
    libvirt_error_set(error, VIR_ERR_NO_DOMAIN, "no domain with matching uuid '%s' (%s)", uuid,
                      domain->name);
}

/* False after `deadline`, in monotonic time (0: there is none), if somebody has it still. */
static bool wait_for_job(struct domain *domain, gint64 deadline)
{
    bool in_time = true;

    domain->queued++;
    /* However many wait for a domain that hangs: calls on others find a worker. */
    server_worker_waits(domain->daemon->server, true);
    while (domain->job && in_time) {
        if (deadline)
            in_time = g_cond_wait_until(&domain->job_ended, &domain->lock, deadline);
        else
            g_cond_wait(&domain->job_ended, &domain->lock);
    }
    server_worker_waits(domain->daemon->server, false);
    domain->queued--;
    return !domain->job;
}

static bool begin_job(struct domain *domain, const char *what, gint64 deadline, GError **error)
{
    if (domain->job && deadline && domain->queued >= DOMAIN_JOB_MAX_QUEUED) {
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED,
                          "cannot acquire state change lock (held by %s): %u calls wait for it",
                          domain->job, domain->queued);
        return false;
    }
    if (domain->job && !wait_for_job(domain, deadline)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                          "cannot acquire state change lock (held by %s)", domain->job);
        return false;
    }
    if (domain->removed) {
        set_no_domain_error(domain, error);
        return false;
    }
    domain->job = what;
    domain->job_since = g_get_monotonic_time();
    return true;
}

bool domain_begin_job(struct domain *domain, const char *what, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + DOMAIN_JOB_TIMEOUT_SECONDS * (gint64)G_USEC_PER_SEC;

    return begin_job(domain, what, deadline, error);
}

bool domain_begin_job_patiently(struct domain *domain, const char *what)
{
    return begin_job(domain, what, 0, NULL);
}

void domain_end_job(struct domain *domain)
{
    domain->job = NULL;
    g_cond_broadcast(&domain->job_ended);
}

bool domain_runs(const struct domain *domain)
{
    return domain->live != NULL;
}

bool domain_check_runs(const struct domain *domain, GError **error)
{
    if (domain_runs(domain))
        return true;
    libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "domain is not running");
    return false;
}

bool domain_is_void(const struct domain *domain)
{
    return !domain->config && !domain->live;
}

const domain_def *domain_current_def(const struct domain *domain)
{
    return domain->live ? domain->live : domain->config;
}
