/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The functions of vmm/machine.h that the monitor calls, before a machine that only remembers what
 * it was told. Included by the one file of a program that wants it instead of vmm/machine.c.
 */
#ifndef VOLE_TESTS_FAKE_MACHINE_H
#define VOLE_TESTS_FAKE_MACHINE_H

#include <stdio.h>
#include <sys/mman.h>

#include "vmm/backend/disk.h"
#include "vmm/machine.h"
#include "vmm/qmp/qmp.h"

struct machine {
    struct config config;
    enum machine_state state;
    struct qmp *qmp;
    struct chardev *chardevs[2];
    enum machine_cause reset_cause;
    enum machine_cause quit_cause;
    unsigned powerdowns;
    bool panicked;
    uint64_t resized;
    bool resets_fail;
};

static void tell(struct machine *m, enum machine_event_kind kind, enum machine_cause cause)
{
    qmp_machine_event(m->qmp, &(struct machine_event){.kind = kind, .cause = cause});
}

const char *machine_cause_name(enum machine_cause cause)
{
    return cause == CAUSE_HOST_QMP_QUIT ? "host-qmp-quit" : "guest-panic";
}

bool machine_cause_is_guest(enum machine_cause cause)
{
    return cause == CAUSE_GUEST_PANIC;
}

enum machine_state machine_state(const struct machine *m)
{
    return m->state;
}

const struct config *machine_config(const struct machine *m)
{
    return &m->config;
}

int machine_cont(struct machine *m, struct error *err)
{
    m->state = MACHINE_RUNNING;
    tell(m, MACHINE_EVENT_RESUME, CAUSE_NONE);
    return 0;
}

int machine_stop(struct machine *m, struct error *err)
{
    m->state = MACHINE_PAUSED;
    tell(m, MACHINE_EVENT_STOP, CAUSE_NONE);
    return 0;
}

int machine_reset(struct machine *m, enum machine_cause cause, struct error *err)
{
    if (m->resets_fail)
        return error_set(err, "no\nreset");
    m->reset_cause = cause;
    return 0;
}

int machine_powerdown(struct machine *m, struct error *err)
{
    m->powerdowns++;
    return 0;
}

void machine_quit(struct machine *m, enum machine_cause cause)
{
    m->quit_cause = cause;
    m->state = MACHINE_SHUTDOWN;
    tell(m, MACHINE_EVENT_SHUTDOWN, cause);
}

pid_t machine_vcpu_tid(const struct machine *m, unsigned index)
{
    return index < m->config.cpus ? 1000 + (pid_t)index : 0;
}

struct chardev *machine_chardev(const struct machine *m, unsigned index)
{
    return index < ARRAY_SIZE(m->chardevs) ? m->chardevs[index] : NULL;
}

/* The first one only. */
bool machine_chardev_is_open(const struct machine *m, unsigned index)
{
    return index == 0;
}

/* Ten GiB of nothing. */
struct disk *machine_disk(const struct machine *m, unsigned index)
{
    static struct disk *disk;
    char source[16];
    struct error err;
    int fd;

    if (index >= m->config.disk_count || disk)
        return disk;
    fd = memfd_create("disk", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)(10 * GiB)) < 0)
        return NULL;
    snprintf(source, sizeof(source), "fd:%d", fd);
    disk = disk_open(&(struct disk_options){.source = source}, &err);
    return disk;
}

int machine_resize_disk(struct machine *m, unsigned index, uint64_t size, struct error *err)
{
    if (size % DISK_SECTOR)
        return error_set(err, "half a sector");
    m->resized = size;
    return 0;
}

void machine_set_disk_limits(struct machine *m, unsigned index,
                             const struct throttle_limits *limits)
{
    m->config.disks[index].limits = *limits;
}

int machine_set_link(struct machine *m, unsigned index, bool up, struct error *err)
{
    (void)err;
    m->config.nets[index].link_down = !up;
    return 0;
}

int machine_set_net_limits(struct machine *m, unsigned index, const struct throttle_limits *rx,
                           const struct throttle_limits *tx, struct error *err)
{
    m->config.nets[index].rx_limits = *rx;
    m->config.nets[index].tx_limits = *tx;
    return 0;
}

struct virtio_device *machine_device(const struct machine *m, uint32_t type, const char *id)
{
    return NULL;
}

bool machine_panicked(const struct machine *m)
{
    return m->panicked;
}

const struct kvm_stats *machine_stats(struct machine *m, int vcpu, struct error *err)
{
    error_set(err, "this machine has no statistics");
    return NULL;
}

#endif
