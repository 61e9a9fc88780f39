/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "vmm/arch/arch.h"
#include "vmm/bus.h"
#include "vmm/machine_priv.h"

/* Interrupts KVM_RUN; the handler has nothing to do. */
#define KICK_SIGNAL SIGRTMIN

static void on_kick(int sig)
{
    (void)sig;
}

int vcpu_ioctl(const struct vcpu *vcpu, unsigned long request, void *arg)
{
    int r;

    do
        r = ioctl(vcpu->fd, request, arg);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

/* Waits at the gate. Returns false when the thread is to end. */
static bool gate_pass(struct vcpu *vcpu)
{
    struct vcpu_gate *gate = &vcpu->machine->vcpus.gate;
    bool open;

    pthread_mutex_lock(&gate->lock);
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (gate->want == GATE_CLOSED)
        pthread_cond_wait(&gate->changed, &gate->lock);
    gate->waiting--;
    open = gate->want == GATE_OPEN;
    /* Under the lock, so that a close that comes next is not undone. */
    if (open)
        vcpu->run->immediate_exit = 0;
    pthread_mutex_unlock(&gate->lock);
    return open;
}

static bool gate_is_open(const struct vcpu *vcpu)
{
    return __atomic_load_n(&vcpu->machine->vcpus.gate.want, __ATOMIC_ACQUIRE) == GATE_OPEN;
}

static void handle_mmio(struct vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    uint64_t value = 0;
    unsigned len = MIN(run->mmio.len, (uint32_t)sizeof(run->mmio.data));

    if (run->mmio.is_write) {
        memcpy(&value, run->mmio.data, len);
        bus_write(&vcpu->machine->mmio, run->mmio.phys_addr, value, len);
    } else {
        value = bus_read(&vcpu->machine->mmio, run->mmio.phys_addr, len);
        memcpy(run->mmio.data, &value, len);
    }
}

/* False for one that only some architecture has. */
static bool handle_system_event(struct vcpu *vcpu)
{
    switch (vcpu->run->system_event.type) {
    case KVM_SYSTEM_EVENT_RESET:
        machine_request(vcpu->machine, MACHINE_REQUEST_RESET, CAUSE_GUEST_RESET);
        return true;
    case KVM_SYSTEM_EVENT_CRASH:
        machine_request(vcpu->machine, MACHINE_REQUEST_SHUTDOWN, CAUSE_GUEST_PANIC);
        return true;
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        machine_request(vcpu->machine, MACHINE_REQUEST_SHUTDOWN, CAUSE_GUEST_SHUTDOWN);
        return true;
    default:
        return false;
    }
}

static void log_state(const struct vcpu *vcpu, const char *what)
{
    char state[256];

    arch_vcpu_describe(vcpu, state, sizeof(state));
    log_warn("vCPU %u: %s at %s", vcpu->index, what, state);
}

/* The host's KVM gave up on this vCPU: the log gets all there is to know, the machine ends. */
static void host_error(struct vcpu *vcpu, const char *what, uint64_t detail)
{
    char text[96];

    snprintf(text, sizeof(text), "%s (0x%llx)", what, (unsigned long long)detail);
    log_state(vcpu, text);
    machine_request(vcpu->machine, MACHINE_REQUEST_SHUTDOWN, CAUSE_HOST_ERROR);
}

/* Before anything else: what the guest wrote earlier, but did not wait for. */
static void catch_up(struct vcpu *vcpu)
{
    struct machine *m = vcpu->machine;

    coalesced_flush(&m->vcpus.coalesced, &m->mmio, &m->pio);
}

static void handle_arch_exit(struct vcpu *vcpu)
{
    if (arch_vcpu_exit(vcpu) == VCPU_UNKNOWN_EXIT)
        host_error(vcpu, "unknown exit", vcpu->run->exit_reason);
}

static void handle_exit(struct vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;

    catch_up(vcpu);
    switch (run->exit_reason) {
    case KVM_EXIT_MMIO:
        handle_mmio(vcpu);
        break;
    case KVM_EXIT_INTR:
        break;
    case KVM_EXIT_HLT:
        /* Only comes out to us where KVM has no interrupt controller that could end it. */
        machine_request(vcpu->machine, MACHINE_REQUEST_SHUTDOWN, CAUSE_GUEST_SHUTDOWN);
        break;
    case KVM_EXIT_SHUTDOWN:
        log_state(vcpu, "triple fault");
        machine_request(vcpu->machine, MACHINE_REQUEST_SHUTDOWN, CAUSE_GUEST_TRIPLE_FAULT);
        break;
    case KVM_EXIT_INTERNAL_ERROR:
        host_error(vcpu, "KVM internal error", run->internal.suberror);
        break;
    case KVM_EXIT_FAIL_ENTRY:
        host_error(vcpu, "the processor refused to enter the guest",
                   run->fail_entry.hardware_entry_failure_reason);
        break;
    case KVM_EXIT_SYSTEM_EVENT:
        if (!handle_system_event(vcpu))
            handle_arch_exit(vcpu);
        break;
    default:
        handle_arch_exit(vcpu);
    }
}

/* Whoever started us may have blocked the signal, and a blocked one stays so across exec. */
static void accept_kicks(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, KICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void *vcpu_main(void *opaque)
{
    struct vcpu *vcpu = opaque;
    char name[16];

    snprintf(name, sizeof(name), "CPU %u/KVM", vcpu->index);
    pthread_setname_np(pthread_self(), name);
    vcpu->tid = (pid_t)syscall(SYS_gettid);
    accept_kicks();

    while (gate_pass(vcpu)) {
        while (gate_is_open(vcpu)) {
            int r = ioctl(vcpu->fd, KVM_RUN, 0UL);

            if (r == 0)
                handle_exit(vcpu);
            else if (errno != EINTR && errno != EAGAIN)
                host_error(vcpu, "KVM_RUN failed", (uint64_t)errno);
        }
        catch_up(vcpu);
        arch_vcpu_stopped(vcpu);
    }
    return NULL;
}

/* A vCPU's thread uses little stack; hundreds of them should not reserve gigabytes. */
#define VCPU_STACK (256 * KiB)

static int start_thread(struct vcpu *vcpu, struct error *err)
{
    pthread_attr_t attr;
    int r;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, VCPU_STACK);
    r = pthread_create(&vcpu->thread, &attr, vcpu_main, vcpu);
    pthread_attr_destroy(&attr);
    if (r != 0)
        return error_set_errno(err, r, "start the thread of vCPU %u", vcpu->index);
    vcpu->has_thread = true;
    return 0;
}

int vcpu_set_init(struct vcpu_set *set, struct machine *machine, unsigned count, struct error *err)
{
    struct sigaction kick = {.sa_handler = on_kick};

    sigaction(KICK_SIGNAL, &kick, NULL);
    *set = (struct vcpu_set){.vcpus = xcalloc(count, sizeof(struct vcpu)), .count = count};
    pthread_mutex_init(&set->gate.lock, NULL);
    pthread_cond_init(&set->gate.changed, NULL);
    coalesced_init(&set->coalesced);
    for (unsigned i = 0; i < count; i++)
        set->vcpus[i] = (struct vcpu){.machine = machine, .index = i, .fd = -1};

    for (unsigned i = 0; i < count; i++) {
        if (start_thread(&set->vcpus[i], err) < 0) {
            vcpu_set_release(set);
            return -1;
        }
    }
    /* Thread ids are theirs to find out, and query-cpus-fast may come at once. */
    vcpu_set_wait_closed(set);
    return 0;
}

void vcpu_set_release(struct vcpu_set *set)
{
    if (!set->vcpus)
        return;
    pthread_mutex_lock(&set->gate.lock);
    __atomic_store_n(&set->gate.want, GATE_END, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&set->gate.changed);
    pthread_mutex_unlock(&set->gate.lock);
    for (unsigned i = 0; i < set->count; i++) {
        if (set->vcpus[i].has_thread)
            pthread_join(set->vcpus[i].thread, NULL);
    }
    coalesced_destroy(&set->coalesced);
    pthread_cond_destroy(&set->gate.changed);
    pthread_mutex_destroy(&set->gate.lock);
    free(set->vcpus);
    *set = (struct vcpu_set){0};
}

static int create_one(struct vcpu *vcpu, const struct kvm *kvm, struct error *err)
{
    void *run;

    vcpu->fd =
        ioctl(kvm->vm, KVM_CREATE_VCPU, (unsigned long)arch_vcpu_id(vcpu->machine, vcpu->index));
    if (vcpu->fd < 0)
        return error_set_errno(err, errno, "create vCPU %u", vcpu->index);
    run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (run == MAP_FAILED)
        return error_set_errno(err, errno, "map vCPU %u", vcpu->index);
    vcpu->run = run;
    return 0;
}

int vcpu_set_create(struct vcpu_set *set, const struct kvm *kvm, struct error *err)
{
    int most = kvm_check(kvm, KVM_CAP_MAX_VCPUS);

    if (most > 0 && set->count > (unsigned)most)
        return error_set(err, "%u vCPUs: this host's KVM gives a machine at most %d", set->count,
                         most);
    for (unsigned i = 0; i < set->count; i++) {
        if (create_one(&set->vcpus[i], kvm, err) < 0) {
            vcpu_set_destroy(set, kvm);
            return -1;
        }
    }
    coalesced_attach(&set->coalesced, kvm, set->vcpus[0].run);
    return 0;
}

void vcpu_set_destroy(struct vcpu_set *set, const struct kvm *kvm)
{
    coalesced_attach(&set->coalesced, kvm, NULL);
    for (unsigned i = 0; i < set->count; i++) {
        struct vcpu *vcpu = &set->vcpus[i];

        if (vcpu->run)
            munmap(vcpu->run, kvm->run_size);
        if (vcpu->fd >= 0)
            close(vcpu->fd);
        vcpu->run = NULL;
        vcpu->fd = -1;
    }
}

void vcpu_set_open_gate(struct vcpu_set *set)
{
    pthread_mutex_lock(&set->gate.lock);
    __atomic_store_n(&set->gate.want, GATE_OPEN, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&set->gate.changed);
    pthread_mutex_unlock(&set->gate.lock);
}

void vcpu_set_close_gate(struct vcpu_set *set)
{
    pthread_mutex_lock(&set->gate.lock);
    if (set->gate.want == GATE_OPEN) {
        __atomic_store_n(&set->gate.want, GATE_CLOSED, __ATOMIC_RELEASE);
        for (unsigned i = 0; i < set->count; i++) {
            set->vcpus[i].run->immediate_exit = 1;
            /* A vCPU that closes the gate is not in the guest, and looks at it next. */
            if (!pthread_equal(set->vcpus[i].thread, pthread_self()))
                pthread_kill(set->vcpus[i].thread, KICK_SIGNAL);
        }
    }
    pthread_mutex_unlock(&set->gate.lock);
}

void vcpu_set_wait_closed(struct vcpu_set *set)
{
    pthread_mutex_lock(&set->gate.lock);
    while (set->gate.waiting < set->count)
        pthread_cond_wait(&set->gate.changed, &set->gate.lock);
    pthread_mutex_unlock(&set->gate.lock);
}
