/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/domain/affinity.h"

#include <errno.h>
#include <sched.h>

#include "libvirt-driver/vmm/vmm.h"

G_STATIC_ASSERT(CPUSET_MAX == CPU_SETSIZE);

static void to_kernel(const struct cpuset *cpus, cpu_set_t *set)
{
    CPU_ZERO(set);
    for (unsigned cpu = 0; cpu < CPUSET_MAX; cpu++) {
        if (cpuset_has(cpus, cpu))
            CPU_SET(cpu, set);
    }
}

/* A thread that has ended meanwhile needs no CPU any more. */
static bool set_thread(pid_t thread, const struct cpuset *cpus, GError **error)
{
    g_autofree char *list = NULL;
    cpu_set_t set;

    to_kernel(cpus, &set);
    if (sched_setaffinity(thread, sizeof(set), &set) == 0 || errno == ESRCH)
        return true;
    list = cpuset_format(cpus);
    libvirt_error_set_errno(error, errno, "cannot set CPU affinity on process %d to '%s'",
                            (int)thread, list);
    return false;
}

static enum thread_kind kind_of(const struct domain *domain, pid_t thread)
{
    for (guint i = 0; i < domain->vcpu_threads->len; i++) {
        if (g_array_index(domain->vcpu_threads, pid_t, i) == thread)
            return THREAD_VCPU;
    }
    return thread == vmm_pid(domain->vmm) || !domain->live->iothreads->len ? THREAD_EMULATOR
                                                                           : THREAD_IO;
}

GArray *affinity_threads(const struct domain *domain, enum thread_kind kind)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task", (int)vmm_pid(domain->vmm));
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    GArray *threads = g_array_new(FALSE, FALSE, sizeof(pid_t));
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        pid_t thread = (pid_t)g_ascii_strtoll(name, NULL, 10);

        if (thread > 0 && kind_of(domain, thread) == kind)
            g_array_append_val(threads, thread);
    }
    return threads;
}

static bool set_kind(const struct domain *domain, enum thread_kind kind, const struct cpuset *cpus,
                     GError **error)
{
    g_autoptr(GArray) threads = affinity_threads(domain, kind);

    for (guint i = 0; i < threads->len; i++) {
        if (!set_thread(g_array_index(threads, pid_t, i), cpus, error))
            return false;
    }
    return true;
}

bool affinity_set_vcpu(const struct domain *domain, unsigned vcpu, const struct cpuset *cpus,
                       GError **error)
{
    if (vcpu < domain->vcpu_threads->len) {
        pid_t thread = g_array_index(domain->vcpu_threads, pid_t, vcpu);

        /* A VMM that let it end on its own may have left the number to another process. */
        if (vmm_has_thread(domain->vmm, thread))
            return set_thread(thread, cpus, error);
    }
    libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "vCPU %u has no thread", vcpu);
    return false;
}

bool affinity_set_emulator(const struct domain *domain, const struct cpuset *cpus, GError **error)
{
    return set_kind(domain, THREAD_EMULATOR, cpus, error);
}

bool affinity_set_iothreads(const struct domain *domain, GError **error)
{
    GPtrArray *pins = domain->live->cputune.iothreadpins;
    struct cpuset all = {0};

    for (guint i = 0; i < pins->len; i++) {
        for (gsize word = 0; word < G_N_ELEMENTS(all.words); word++)
            all.words[word] |= domain_pin_at(pins, i)->cpus.words[word];
    }
    return cpuset_is_empty(&all) || set_kind(domain, THREAD_IO, &all, error);
}

bool affinity_apply(const struct domain *domain, GError **error)
{
    const domain_def *def = domain->live;
    GPtrArray *pins = def->cputune.vcpupins;
    const struct cpuset *emulator = &def->cputune.emulatorpin;

    if (cpuset_is_empty(emulator))
        emulator = &def->cpuset;
    if (!cpuset_is_empty(&def->cpuset) && (!set_kind(domain, THREAD_VCPU, &def->cpuset, error) ||
                                           !set_kind(domain, THREAD_IO, &def->cpuset, error)))
        return false;
    if (!cpuset_is_empty(emulator) && !set_kind(domain, THREAD_EMULATOR, emulator, error))
        return false;
    for (guint i = 0; i < pins->len; i++) {
        const struct domain_pin *pin = domain_pin_at(pins, i);

        if (pin->id < domain->vcpu_threads->len &&
            !affinity_set_vcpu(domain, pin->id, &pin->cpus, error))
            return false;
    }
    return affinity_set_iothreads(domain, error);
}

bool affinity_of_vcpu(const struct domain *domain, unsigned vcpu, struct cpuset *cpus)
{
    cpu_set_t set;

    *cpus = (struct cpuset){0};
    if (vcpu >= domain->vcpu_threads->len ||
        sched_getaffinity(g_array_index(domain->vcpu_threads, pid_t, vcpu), sizeof(set), &set) < 0)
        return false;
    for (unsigned cpu = 0; cpu < CPUSET_MAX; cpu++) {
        if (CPU_ISSET(cpu, &set))
            cpuset_add(cpus, cpu);
    }
    return true;
}
