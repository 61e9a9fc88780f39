/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a machine is made of; for machine*.c, vcpu.c and arch/. Everybody else uses machine.h. */
#ifndef VOLE_MACHINE_PRIV_H
#define VOLE_MACHINE_PRIV_H

#include "vmm/arch/arch.h"
#include "vmm/backend/chardev.h"
#include "vmm/backend/netdev.h"
#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/kvm.h"
#include "vmm/kvm_stats.h"
#include "vmm/loop.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/vcpu.h"
#include "vmm/virtio/mmio.h"

/* Disks and network devices; all consoles and ports are one device; rng, balloon, vsock. */
#define MACHINE_MAX_VIRTIO   (CONFIG_MAX_DISKS + CONFIG_MAX_NETS + 4)
#define MACHINE_MAX_CHARDEVS (1 + CONFIG_MAX_CONSOLES + CONFIG_MAX_PORTS)
#define MACHINE_FIXED_LINES  8 /* more than any platform's fixed devices have */
_Static_assert(MACHINE_MAX_VIRTIO + MACHINE_FIXED_LINES <= IRQ_MAX_LINES, "a line for each");

struct arch_platform;

struct machine {
    struct config *config;
    struct loop *loop;    /* the main loop, somebody else's */
    struct loop *io_loop; /* a thread for the devices that move little; NULL when there is none */

    struct memory memory;
    struct kvm kvm;
    struct vcpu_set vcpus;
    struct bus mmio;
    struct bus pio;        /* port I/O; empty where the architecture has none */
    struct irq_lines irqs; /* of all devices */
    struct arch_platform *platform;

    struct chardev *chardevs[MACHINE_MAX_CHARDEVS];
    unsigned chardev_count;
    struct chardev *serial; /* one of the above, or NULL */

    struct virtio_mmio *virtio[MACHINE_MAX_VIRTIO];
    unsigned virtio_count;
    struct disk *disks[CONFIG_MAX_DISKS];   /* in the order of config->disks */
    struct netdev netdevs[CONFIG_MAX_NETS]; /* and of config->nets */

    bool port_open[CONFIG_MAX_PORTS]; /* as it was last told, in the order of config->ports */

    /* Open from the start to the end, because a reset loads them again. -1 when not given. */
    int kernel_fd; /* or the flat binary's */
    int initrd_fd;

    enum machine_state state;
    enum machine_cause exit_cause;

    void (*listener)(void *opaque, const struct machine_event *ev);
    void *listener_opaque;

    /* machine_request(): set from any thread, carried out by the main loop. */
    struct loop_watch request_watch;
    int request_fd;                 /* eventfd */
    struct loop_timer notice_timer; /* the end of a pause in which no notice is told */
    bool notices_wait;
    int requested_reset;    /* enum machine_cause; atomic */
    int requested_shutdown; /* enum machine_cause; atomic, first one wins */
    bool requested_panic;   /* atomic */

    bool panicked;
    bool panic_ignored; /* one was told, and nothing follows: a guest may report any number */
    bool crash_told;    /* since the last reset; atomic */
    struct kvm_stats vm_stats;    /* opened when they are first asked for */
    struct kvm_stats *vcpu_stats; /* of each; NULL as long as nobody asked */
};

/* ---- machine_devices.c ---- */

int machine_open_serial(struct machine *m, struct error *err);
int machine_add_devices(struct machine *m, struct error *err);
/* With all chardevs; harmless on those that were never made. */
void machine_free_devices(struct machine *m);
/* 0, or -1 with `err`. */
int machine_watch_notices(struct machine *m, struct error *err);
/* Makes events of what device threads left to tell, or sees to it that it is done soon. */
void machine_tell_notices(struct machine *m);

/* What fixed devices ask for, in any thread; `opaque` is the machine. */
void machine_on_reset(void *opaque);
void machine_on_power_off(void *opaque);
/* `events` are pvpanic's. */
void machine_on_panic(void *opaque, unsigned events);

/* ---- machine.c ---- */

void machine_tell(const struct machine *m, const struct machine_event *ev);
/* Somebody asked for an end, a reset or a panic's consequence: the gate stays closed until then. */
bool machine_request_pending(const struct machine *m);

/* ---- machine_stats.c ---- */

/* Before the VM goes, which open statistics keep alive. */
void machine_close_stats(struct machine *m);

#endif
