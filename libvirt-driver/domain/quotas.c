/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/domain/quotas.h"

#include "libvirt-driver/domain/affinity.h"
#include "libvirt-driver/vmm/cgroup.h"

static bool limit_threads(const struct domain *domain, const char *name, const pid_t *threads,
                          guint count, uint64_t period, int64_t quota, GError **error)
{
    g_autofree char *group = cgroup_make_threads(domain->cgroup, name, error);

    if (!group || !cgroup_set_quota(group, period, quota, error))
        return false;
    for (guint i = 0; i < count; i++) {
        if (!cgroup_add_thread(group, threads[i], error))
            return false;
    }
    return true;
}

static bool limit_vcpus(const struct domain *domain, uint64_t period, int64_t quota, GError **error)
{
    for (guint i = 0; i < domain->vcpu_threads->len; i++) {
        g_autofree char *name = g_strdup_printf("vcpu%u", i);

        if (!limit_threads(domain, name, &g_array_index(domain->vcpu_threads, pid_t, i), 1, period,
                           quota, error))
            return false;
    }
    return true;
}

static bool limit_kind(const struct domain *domain, const char *name, enum thread_kind kind,
                       uint64_t period, int64_t quota, GError **error)
{
    g_autoptr(GArray) threads = affinity_threads(domain, kind);

    return limit_threads(domain, name, (const pid_t *)(const void *)threads->data, threads->len,
                         period, quota, error);
}

bool quotas_set(const struct domain *domain, enum domain_quota_kind kind,
                const struct domain_cpu_quota *quota, GError **error)
{
    uint64_t period = quota->period ? quota->period : QUOTA_PERIOD_DEFAULT;
    int64_t limit = quota->quota ? quota->quota : -1;

    switch (kind) {
    case DOMAIN_QUOTA_VCPU:
        return limit_vcpus(domain, period, limit, error);
    case DOMAIN_QUOTA_GLOBAL:
        return cgroup_set_quota(domain->cgroup, period, limit, error);
    case DOMAIN_QUOTA_EMULATOR:
        return limit_kind(domain, "emulator", THREAD_EMULATOR, period, limit, error);
    case DOMAIN_QUOTA_IOTHREAD:
        return limit_kind(domain, "iothreads", THREAD_IO, period, limit, error);
    case DOMAIN_QUOTA_LAST:
        break;
    }
    return true;
}

/* The whole domain's is set already: it holds from the VMM's first instruction. */
bool quotas_apply(const struct domain *domain, GError **error)
{
    for (unsigned i = 0; i < DOMAIN_QUOTA_LAST; i++) {
        const struct domain_cpu_quota *quota = &domain->live->cputune.quotas[i];

        if (i != DOMAIN_QUOTA_GLOBAL && quota->quota > 0 && !quotas_set(domain, i, quota, error))
            return false;
    }
    return true;
}

void quotas_get(const struct domain *domain, enum domain_quota_kind kind,
                struct domain_cpu_quota *quota)
{
    static const char *const groups[] = {
        [DOMAIN_QUOTA_VCPU] = "vcpu0",
        [DOMAIN_QUOTA_GLOBAL] = "",
        [DOMAIN_QUOTA_EMULATOR] = "emulator",
        [DOMAIN_QUOTA_IOTHREAD] = "iothreads",
    };
    g_autofree char *group = NULL;

    if (!domain->cgroup)
        return;
    group = g_build_filename(domain->cgroup, groups[kind], NULL);
    cgroup_get_quota(group, &quota->period, &quota->quota);
}
