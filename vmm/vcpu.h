/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPU threads and their run loop.
 *
 * A vCPU thread lives as long as the machine. It runs guest code while the gate is open and waits
 * at the gate otherwise; the VM can be taken away and made anew while all threads wait there. The
 * gate is closed by whoever wants the machine to stand still: closing marks every vCPU's kvm_run
 * for an immediate exit and sends its thread a signal, so that a vCPU that is just about to enter
 * the guest comes back as well as one that is inside.
 */
#ifndef VOLE_VCPU_H
#define VOLE_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "vmm/coalesced.h"
#include "vmm/kvm.h"
#include "vmm/util.h"

struct machine;

struct vcpu {
    struct machine *machine;
    unsigned index;
    int fd;              /* -1 while there is no VM */
    struct kvm_run *run; /* shared with KVM */
    pthread_t thread;
    pid_t tid;
    bool has_thread;
};

enum gate_want {
    GATE_CLOSED,
    GATE_OPEN,
    GATE_END, /* the threads end */
};

struct vcpu_gate {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* `want` did, or a vCPU arrived */
    enum gate_want want;    /* written under the lock; vCPUs read it without */
    unsigned waiting;       /* vCPUs that stand at the gate */
};

struct vcpu_set {
    struct vcpu *vcpus;
    unsigned count;
    struct vcpu_gate gate;
    struct coalesced coalesced;
};

/* What a vCPU does after an exit was handled. */
enum vcpu_next {
    VCPU_CONTINUE,
    VCPU_UNKNOWN_EXIT, /* nobody knows this exit: the machine ends with a host error */
};

/* Starts `count` threads, which wait at the closed gate. 0, or -1 with `err`. */
int vcpu_set_init(struct vcpu_set *set, struct machine *machine, unsigned count, struct error *err);
/* Ends and joins the threads. */
void vcpu_set_release(struct vcpu_set *set);

/* Makes the vCPUs in a fresh VM, or takes them out of it. Only while all wait at the gate. */
int vcpu_set_create(struct vcpu_set *set, const struct kvm *kvm, struct error *err);
void vcpu_set_destroy(struct vcpu_set *set, const struct kvm *kvm);

void vcpu_set_open_gate(struct vcpu_set *set);
/* From any thread, a vCPU's own included: returns before the vCPUs have arrived. */
void vcpu_set_close_gate(struct vcpu_set *set);
/* Returns once every vCPU waits. Not from a vCPU's thread. */
void vcpu_set_wait_closed(struct vcpu_set *set);

/* An ioctl on a vCPU: 0 or more, or a negative errno. */
int vcpu_ioctl(const struct vcpu *vcpu, unsigned long request, void *arg);

#endif
