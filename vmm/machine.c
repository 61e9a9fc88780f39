/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a machine comes and goes.
 *
 * machine_new() does what is done once: opens files, makes RAM, devices and vCPU threads.
 * power_on() does what every start has to do, the first as well as each after a reset: a fresh VM,
 * its interrupt wiring, vCPUs, the kernel in RAM. A reset is therefore power_off() and power_on()
 * with the same descriptors, threads and devices; nothing that KVM holds is carried over, so
 * nothing of it can be forgotten.
 *
 * vCPU and device threads never change the machine. They leave a wish (machine_request) that also
 * closes the vCPUs' gate, so that no guest code runs on after it asked for its end; the main loop
 * carries it out.
 */
#include "vmm/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

#include "vmm/arch/arch.h"
#include "vmm/machine_priv.h"

/* ---- names ---- */

static const struct {
    const char *name;
    bool guest;
    enum vole_exit status;
} causes[] = {
    [CAUSE_NONE] = {"none", false, EXIT_OK},
    [CAUSE_HOST_QMP_QUIT] = {"host-qmp-quit", false, EXIT_OK},
    [CAUSE_HOST_QMP_RESET] = {"host-qmp-system-reset", false, EXIT_OK},
    [CAUSE_HOST_SIGNAL] = {"host-signal", false, EXIT_OK},
    [CAUSE_GUEST_SHUTDOWN] = {"guest-shutdown", true, EXIT_OK},
    [CAUSE_GUEST_RESET] = {"guest-reset", true, EXIT_OK},
    [CAUSE_GUEST_PANIC] = {"guest-panic", true, EXIT_PANIC},
    [CAUSE_GUEST_TRIPLE_FAULT] = {"guest-triple-fault", true, EXIT_TRIPLE_FAULT},
    [CAUSE_HOST_ERROR] = {"host-error", false, EXIT_ERROR},
};
_Static_assert(ARRAY_SIZE(causes) == MACHINE_CAUSES, "one row a cause");

const char *machine_cause_name(enum machine_cause cause)
{
    return causes[cause].name;
}

bool machine_cause_is_guest(enum machine_cause cause)
{
    return causes[cause].guest;
}

/* ---- parts ---- */

static int open_boot_files(struct machine *m, struct error *err)
{
    const struct config *c = m->config;

    m->kernel_fd = open_path_or_fd(c->flat ? c->flat : c->kernel, O_RDONLY | O_CLOEXEC, err);
    if (m->kernel_fd < 0)
        return error_prefix(err, "kernel");
    if (!c->initrd)
        return 0;
    m->initrd_fd = open_path_or_fd(c->initrd, O_RDONLY | O_CLOEXEC, err);
    return m->initrd_fd < 0 ? error_prefix(err, "initrd") : 0;
}

/* ---- power ---- */

static void power_off(struct machine *m)
{
    machine_close_stats(m);
    vcpu_set_destroy(&m->vcpus, &m->kvm);
    kvm_vm_destroy(&m->kvm);
}

static int wire_devices(struct machine *m, struct error *err)
{
    if (arch_platform_wire(m, err) < 0)
        return -1;
    for (unsigned i = 0; i < m->virtio_count; i++) {
        if (virtio_mmio_wire(m->virtio[i], &m->kvm, err) < 0)
            return -1;
    }
    return 0;
}

static int create_vm(struct machine *m, struct error *err)
{
    const struct memory_region *top = &m->memory.regions[m->memory.count - 1];
    unsigned long type;

    if (arch_vm_type(&m->kvm, top->gpa + top->size, &type, err) < 0)
        return -1;
    return kvm_vm_create(&m->kvm, type, &m->memory, err);
}

/* Interrupt controllers may have to know all vCPUs before they take lines, so these come first. */
static int power_on(struct machine *m, struct error *err)
{
    struct arch_entry entry;

    if (create_vm(m, err) < 0 || arch_vm_setup(m, err) < 0 ||
        vcpu_set_create(&m->vcpus, &m->kvm, err) < 0 || wire_devices(m, err) < 0 ||
        arch_boot_load(m, &entry, err) < 0)
        return -1;
    for (unsigned i = 0; i < m->vcpus.count; i++) {
        if (arch_vcpu_setup(&m->vcpus.vcpus[i], &entry, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- running and standing still ---- */

static void halt(struct machine *m)
{
    vcpu_set_close_gate(&m->vcpus);
    vcpu_set_wait_closed(&m->vcpus);
    for (unsigned i = 0; i < m->virtio_count; i++)
        virtio_device_pause(virtio_mmio_device(m->virtio[i]));
}

bool machine_request_pending(const struct machine *m)
{
    return __atomic_load_n(&m->requested_reset, __ATOMIC_ACQUIRE) != CAUSE_NONE ||
           __atomic_load_n(&m->requested_shutdown, __ATOMIC_ACQUIRE) != CAUSE_NONE ||
           __atomic_load_n(&m->requested_panic, __ATOMIC_ACQUIRE);
}

static void go(struct machine *m)
{
    /* A request closed the gate for good reason; carrying it out opens it again, or not. */
    if (machine_request_pending(m))
        return;
    for (unsigned i = 0; i < m->virtio_count; i++)
        virtio_device_resume(virtio_mmio_device(m->virtio[i]));
    vcpu_set_open_gate(&m->vcpus);
}

void machine_tell(const struct machine *m, const struct machine_event *ev)
{
    if (m->listener)
        m->listener(m->listener_opaque, ev);
}

static void tell(const struct machine *m, enum machine_event_kind kind, enum machine_cause cause)
{
    machine_tell(m, &(struct machine_event){.kind = kind, .cause = cause});
}

int machine_cont(struct machine *m, struct error *err)
{
    if (m->state == MACHINE_SHUTDOWN)
        return error_set(err, "the machine is shut down");
    if (m->state == MACHINE_RUNNING)
        return 0;
    m->state = MACHINE_RUNNING;
    m->panicked = false;
    go(m);
    tell(m, MACHINE_EVENT_RESUME, CAUSE_NONE);
    return 0;
}

int machine_stop(struct machine *m, struct error *err)
{
    if (m->state == MACHINE_SHUTDOWN)
        return error_set(err, "the machine is shut down");
    if (m->state != MACHINE_RUNNING)
        return 0;
    halt(m);
    m->state = MACHINE_PAUSED;
    tell(m, MACHINE_EVENT_STOP, CAUSE_NONE);
    return 0;
}

void machine_quit(struct machine *m, enum machine_cause cause)
{
    if (m->state == MACHINE_SHUTDOWN)
        return;
    vcpu_set_close_gate(&m->vcpus);
    m->notices_wait = false; /* for nothing: this is the end */
    machine_tell_notices(m);
    m->state = MACHINE_SHUTDOWN;
    m->exit_cause = cause;
    /* Told before anything is waited for: storage that hangs can hold up the rest. */
    tell(m, MACHINE_EVENT_SHUTDOWN, cause);
    halt(m);
    loop_quit(m->loop);
}

int machine_reset(struct machine *m, enum machine_cause cause, struct error *err)
{
    if (m->state == MACHINE_SHUTDOWN)
        return error_set(err, "the machine is shut down");
    if (m->config->on_reboot == ON_REBOOT_EXIT) {
        machine_quit(m, cause);
        return 0;
    }

    halt(m);
    power_off(m);
    for (unsigned i = 0; i < m->virtio_count; i++)
        virtio_mmio_reset(m->virtio[i]);
    arch_platform_reset(m);
    memory_discard(&m->memory);
    __atomic_store_n(&m->requested_reset, CAUSE_NONE, __ATOMIC_RELEASE);
    __atomic_store_n(&m->requested_panic, false, __ATOMIC_RELEASE);
    m->panicked = m->panic_ignored = m->crash_told = false;
    if (power_on(m, err) < 0) {
        machine_quit(m, CAUSE_HOST_ERROR);
        return -1;
    }
    tell(m, MACHINE_EVENT_RESET, cause);
    if (m->state == MACHINE_RUNNING)
        go(m);
    return 0;
}

int machine_powerdown(struct machine *m, struct error *err)
{
    if (m->state == MACHINE_SHUTDOWN)
        return error_set(err, "the machine is shut down");
    arch_power_button(m);
    tell(m, MACHINE_EVENT_POWERDOWN, CAUSE_NONE);
    return 0;
}

/* ---- wishes of other threads ---- */

void machine_request(struct machine *m, enum machine_request request, enum machine_cause cause)
{
    int *slot = request == MACHINE_REQUEST_RESET ? &m->requested_reset : &m->requested_shutdown;
    int expected = CAUSE_NONE;

    if (request == MACHINE_REQUEST_PANIC)
        __atomic_store_n(&m->requested_panic, true, __ATOMIC_RELEASE);
    else
        __atomic_compare_exchange_n(slot, &expected, (int)cause, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE);
    vcpu_set_close_gate(&m->vcpus);
    (void)eventfd_write(m->request_fd, 1);
}

/* After a request that has no consequence: opens the gate that it closed, or is about to close. A
 * vCPU that has not come to the gate yet would never see that it is told to go on. */
static void run_on(struct machine *m)
{
    if (m->state != MACHINE_RUNNING)
        return;
    vcpu_set_close_gate(&m->vcpus);
    vcpu_set_wait_closed(&m->vcpus);
    go(m);
}

/* The guest said that it panicked. */
static int carry_out_panic(struct machine *m, struct error *err)
{
    static const char *const actions[] = {
        [ON_PANIC_EXIT] = "shutdown",
        [ON_PANIC_PAUSE] = "pause",
        [ON_PANIC_RESTART] = "reset",
        [ON_PANIC_IGNORE] = "run",
    };

    __atomic_store_n(&m->requested_panic, false, __ATOMIC_RELEASE);
    if (m->panic_ignored) {
        run_on(m);
        return 0;
    }
    log_warn("the guest reports a panic");
    m->panicked = true;
    machine_tell(m, &(struct machine_event){.kind = MACHINE_EVENT_PANICKED,
                                            .action = actions[m->config->on_panic]});
    switch (m->config->on_panic) {
    case ON_PANIC_EXIT:
        machine_quit(m, CAUSE_GUEST_PANIC);
        return 0;
    case ON_PANIC_PAUSE:
        return machine_stop(m, err);
    case ON_PANIC_RESTART:
        return machine_reset(m, CAUSE_GUEST_PANIC, err);
    default:
        m->panicked = false;
        m->panic_ignored = true;
        run_on(m);
        return 0;
    }
}

static void carry_out(struct machine *m)
{
    int reset = __atomic_load_n(&m->requested_reset, __ATOMIC_ACQUIRE);
    int shutdown = __atomic_load_n(&m->requested_shutdown, __ATOMIC_ACQUIRE);
    struct error err;

    if (shutdown != CAUSE_NONE)
        machine_quit(m, (enum machine_cause)shutdown);
    else if (reset != CAUSE_NONE && machine_reset(m, (enum machine_cause)reset, &err) < 0)
        log_warn("reset: %s", err.msg);
    else if (__atomic_load_n(&m->requested_panic, __ATOMIC_ACQUIRE) && carry_out_panic(m, &err) < 0)
        log_warn("panic: %s", err.msg);
}

static void on_request(void *opaque, uint32_t events)
{
    struct machine *m = opaque;
    eventfd_t count;

    (void)events;
    (void)eventfd_read(m->request_fd, &count);
    machine_tell_notices(m);
    if (m->state != MACHINE_SHUTDOWN)
        carry_out(m);
}

static int watch_requests(struct machine *m, struct error *err)
{
    m->request_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->request_fd < 0)
        return error_set_errno(err, errno, "make an eventfd");
    return loop_add(m->loop, &m->request_watch, m->request_fd, EPOLLIN, on_request, m, err);
}

/* ---- life ---- */

/* A description may be good and yet not be one of this architecture. */
static int check_traits(const struct config *c, struct error *err)
{
    if (c->flat && !arch_traits.has_flat)
        return error_set(err, "flat: there are no real-mode binaries for %s; give a kernel",
                         arch_traits.name);
    if (c->debug_port >= 0 && !arch_traits.has_ports)
        return error_set(err, "debug_port: %s has no I/O ports", arch_traits.name);
    return 0;
}

static int build(struct machine *m, struct error *err)
{
    struct memory_region regions[MEMORY_MAX_REGIONS];
    unsigned region_count = arch_memory_layout(m->config->memory, regions);

    if (check_traits(m->config, err) < 0 || watch_requests(m, err) < 0 ||
        machine_watch_notices(m, err) < 0 ||
        kvm_open(&m->kvm, m->config->kvm ? m->config->kvm : CONFIG_KVM, err) < 0 ||
        arch_cpu_check(m, err) < 0 || open_boot_files(m, err) < 0 ||
        memory_init(&m->memory, regions, region_count, &m->config->memory_backing, err) < 0 ||
        machine_open_serial(m, err) < 0 || arch_platform_new(m, err) < 0)
        return -1;
    if (!m->config->flat && machine_add_devices(m, err) < 0)
        return -1;
    if (vcpu_set_init(&m->vcpus, m, m->config->cpus, err) < 0)
        return -1;
    return power_on(m, err);
}

struct machine *machine_new(struct config *config, struct loop *main_loop, struct error *err)
{
    struct machine *m = xcalloc(1, sizeof(*m));

    m->config = config;
    m->loop = main_loop;
    m->kvm = (struct kvm){.fd = -1, .vm = -1};
    m->vm_stats = KVM_STATS_CLOSED;
    m->kernel_fd = m->initrd_fd = m->request_fd = m->request_watch.fd = -1;
    m->notice_timer = LOOP_TIMER_CLOSED;
    m->state = MACHINE_CREATED;
    if (build(m, err) < 0) {
        machine_free(m);
        return NULL;
    }
    return m;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

void machine_free(struct machine *m)
{
    if (!m)
        return;
    if (m->vcpus.vcpus) {
        vcpu_set_close_gate(&m->vcpus);
        vcpu_set_wait_closed(&m->vcpus);
        power_off(m);
    }
    machine_free_devices(m);
    vcpu_set_release(&m->vcpus);
    kvm_close(&m->kvm);
    memory_release(&m->memory);
    loop_remove(m->loop, &m->request_watch);
    loop_timer_detach(m->loop, &m->notice_timer);
    close_if_open(m->request_fd);
    close_if_open(m->kernel_fd);
    close_if_open(m->initrd_fd);
    free(m);
}

/* ---- questions ---- */

void machine_listen(struct machine *m, void (*event)(void *opaque, const struct machine_event *ev),
                    void *opaque)
{
    m->listener = event;
    m->listener_opaque = opaque;
}

enum machine_state machine_state(const struct machine *m)
{
    return m->state;
}

const struct config *machine_config(const struct machine *m)
{
    return m->config;
}

enum vole_exit machine_exit_status(const struct machine *m)
{
    return causes[m->exit_cause].status;
}

pid_t machine_vcpu_tid(const struct machine *m, unsigned index)
{
    return index < m->vcpus.count ? m->vcpus.vcpus[index].tid : 0;
}

struct chardev *machine_chardev(const struct machine *m, unsigned index)
{
    return index < m->chardev_count ? m->chardevs[index] : NULL;
}

struct disk *machine_disk(const struct machine *m, unsigned index)
{
    return index < CONFIG_MAX_DISKS ? m->disks[index] : NULL;
}

struct virtio_device *machine_device(const struct machine *m, uint32_t type, const char *id)
{
    for (unsigned i = 0; i < m->virtio_count; i++) {
        struct virtio_device *dev = virtio_mmio_device(m->virtio[i]);

        if (dev->type->id == type && strcmp(dev->id, id) == 0)
            return dev;
    }
    return NULL;
}

bool machine_panicked(const struct machine *m)
{
    return m->panicked;
}
