/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * KVM's statistics of this machine. They are opened when somebody first asks: most machines live
 * without, and a start has nothing to do for them. A vCPU's descriptor can only be had while the
 * vCPU is outside of the guest, so the gate is closed for that moment; to the guest it is no more
 * than a missed turn of its processor.
 */
#include "vmm/machine_priv.h"

static int open_vm_stats(struct machine *m, struct error *err)
{
    int fd;

    if (m->vm_stats.fd >= 0)
        return 0;
    fd = kvm_vm_ioctl(&m->kvm, KVM_GET_STATS_FD, NULL);
    if (fd < 0)
        return error_set_errno(err, -fd, "this host's KVM tells no statistics");
    return kvm_stats_open(&m->vm_stats, fd, err);
}

static void get_vcpu_fds(struct machine *m, int *fds)
{
    vcpu_set_close_gate(&m->vcpus);
    vcpu_set_wait_closed(&m->vcpus);
    for (unsigned i = 0; i < m->vcpus.count; i++)
        fds[i] = vcpu_ioctl(&m->vcpus.vcpus[i], KVM_GET_STATS_FD, NULL);
    if (m->state == MACHINE_RUNNING && !machine_request_pending(m))
        vcpu_set_open_gate(&m->vcpus);
}

static int open_vcpu_stats(struct machine *m, struct error *err)
{
    int fds[CONFIG_MAX_CPUS] = {-1};
    int rc = 0;

    if (m->vcpu_stats)
        return 0;
    m->vcpu_stats = xcalloc(m->vcpus.count, sizeof(*m->vcpu_stats));
    get_vcpu_fds(m, fds);
    for (unsigned i = 0; i < m->vcpus.count; i++) {
        m->vcpu_stats[i] = KVM_STATS_CLOSED;
        if (fds[i] < 0)
            rc = error_set_errno(err, -fds[i], "this host's KVM tells no statistics of a vCPU");
        else if (kvm_stats_open(&m->vcpu_stats[i], fds[i], err) < 0)
            rc = -1;
    }
    if (rc < 0)
        machine_close_stats(m);
    return rc;
}

const struct kvm_stats *machine_stats(struct machine *m, int vcpu, struct error *err)
{
    struct kvm_stats *stats;

    if (m->state == MACHINE_SHUTDOWN) {
        error_set(err, "the machine is shut down");
        return NULL;
    }
    if ((vcpu < 0 ? open_vm_stats(m, err) : open_vcpu_stats(m, err)) < 0)
        return NULL;
    stats = vcpu < 0 ? &m->vm_stats : &m->vcpu_stats[vcpu];
    return kvm_stats_read(stats, err) < 0 ? NULL : stats;
}

void machine_close_stats(struct machine *m)
{
    kvm_stats_close(&m->vm_stats);
    for (unsigned i = 0; m->vcpu_stats && i < m->vcpus.count; i++)
        kvm_stats_close(&m->vcpu_stats[i]);
    free(m->vcpu_stats);
    m->vcpu_stats = NULL;
}
