/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine: owner of everything that makes up one microVM, and its state machine.
 *
 *               cont                 stop
 *   created ----------> running <----------> paused         (stop and cont are idempotent)
 *      |                   |        cont        |
 *      +-------------------+--------------------+--> shutdown     guest or `quit`; final
 *
 * A guest that reports a panic is paused, where the configuration wants it so, in the same way.
 *
 * A reset keeps the state it found: a running machine starts again from its first instruction, a
 * paused one waits there. All functions are for the main loop's thread, but for
 * machine_request(), which is how vCPU and device threads ask for something.
 */
#ifndef VOLE_MACHINE_H
#define VOLE_MACHINE_H

#include <stdbool.h>
#include <sys/types.h>

#include "vmm/config.h"
#include "vmm/loop.h"
#include "vmm/util.h"

struct machine;
struct chardev;
struct disk;
struct kvm_stats;
struct virtio_device;

enum machine_state {
    MACHINE_CREATED,
    MACHINE_RUNNING,
    MACHINE_PAUSED,
    MACHINE_SHUTDOWN,
    MACHINE_STATES,
};

/* Why the machine was shut down or reset; the words are QMP's ShutdownCause where it has them. */
enum machine_cause {
    CAUSE_NONE,
    CAUSE_HOST_QMP_QUIT,
    CAUSE_HOST_QMP_RESET,
    CAUSE_HOST_SIGNAL,
    CAUSE_GUEST_SHUTDOWN,
    CAUSE_GUEST_RESET,
    CAUSE_GUEST_PANIC,
    CAUSE_GUEST_TRIPLE_FAULT,
    CAUSE_HOST_ERROR,
    MACHINE_CAUSES,
};

const char *machine_cause_name(enum machine_cause cause); /* "guest-shutdown" */
bool machine_cause_is_guest(enum machine_cause cause);

/* The process's exit status for each way to end; docs/man/vole.1 lists them. */
enum vole_exit {
    EXIT_OK = 0,           /* guest poweroff, quit, or a signal that asks to end */
    EXIT_ERROR = 1,        /* the machine could not be made, or the host failed */
    EXIT_USAGE = 2,        /* the command line */
    EXIT_TRIPLE_FAULT = 3, /* the guest's processor gave up */
    EXIT_PANIC = 4,        /* the guest said that it panicked */
};

enum machine_event_kind {
    MACHINE_EVENT_STOP,
    MACHINE_EVENT_RESUME,
    MACHINE_EVENT_RESET,
    MACHINE_EVENT_POWERDOWN,
    MACHINE_EVENT_SHUTDOWN,
    MACHINE_EVENT_PANICKED,      /* the guest said so */
    MACHINE_EVENT_DEVICE_FAILED, /* its driver broke a rule, it needs a reset */
    MACHINE_EVENT_BALLOON,       /* the balloon's size changed */
    MACHINE_EVENT_PORT,          /* a guest opened or closed a console port */
    MACHINE_EVENT_RX_FILTER,     /* a network device's receive filter changed */
    MACHINE_EVENT_IO_ERROR,      /* the host failed a disk's request, and so did the disk */
    MACHINE_EVENT_PEER_LOST,     /* nobody is at the other end of a network device any more */
    MACHINE_EVENTS,
};

struct machine_event {
    enum machine_event_kind kind;
    enum machine_cause cause; /* of RESET and SHUTDOWN */
    const char *device;       /* of those about a device: its id */
    uint64_t value;           /* BALLOON: bytes of RAM that the guest has left */
    bool open;                /* PORT */
    int error;                /* IO_ERROR: the errno */
    bool reading;             /* IO_ERROR */
    const char *action;       /* PANICKED: what follows, "shutdown", "pause", "reset" or "run" */
};

/* Makes the machine, loads the guest, and starts the vCPU threads; no instruction runs before
 * machine_cont(). `config` stays the caller's, must live as long, and is
 * kept true to what is changed later. NULL with `err` set. */
struct machine *machine_new(struct config *config, struct loop *main_loop, struct error *err);
/* Stops the vCPUs and takes all apart. */
void machine_free(struct machine *m);

/* One listener; called in the main loop's thread. */
void machine_listen(struct machine *m, void (*event)(void *opaque, const struct machine_event *ev),
                    void *opaque);

enum machine_state machine_state(const struct machine *m);
const struct config *machine_config(const struct machine *m);

/* Each fails with `err` set, and changes nothing, where the state does not allow it. */
int machine_cont(struct machine *m, struct error *err);
int machine_stop(struct machine *m, struct error *err);
int machine_reset(struct machine *m, enum machine_cause cause, struct error *err);
/* Presses the power button: the guest is asked, and may ignore it. */
int machine_powerdown(struct machine *m, struct error *err);
/* Ends the main loop; the state becomes MACHINE_SHUTDOWN, and the listener is told so first, for it
 * then waits for what the host still has to do for the devices. Always works. */
void machine_quit(struct machine *m, enum machine_cause cause);

/* What the process should exit with; valid once the state is MACHINE_SHUTDOWN. */
enum vole_exit machine_exit_status(const struct machine *m);

/* For the query commands. Indices run from 0; a getter returns NULL or 0 past the end. */
pid_t machine_vcpu_tid(const struct machine *m, unsigned index);
struct chardev *machine_chardev(const struct machine *m, unsigned index);
/* Whether the guest has it open: a named port, of which EVENT_PORT tells that it changes. All
 * others always are. */
bool machine_chardev_is_open(const struct machine *m, unsigned index);
/* The image of config.disks[index]. */
struct disk *machine_disk(const struct machine *m, unsigned index);
/* Changes to a running machine; config.disks[index] and so on say what holds from then on. */
int machine_resize_disk(struct machine *m, unsigned index, uint64_t size, struct error *err);
void machine_set_disk_limits(struct machine *m, unsigned index,
                             const struct throttle_limits *limits);
int machine_set_link(struct machine *m, unsigned index, bool up, struct error *err);
int machine_set_net_limits(struct machine *m, unsigned index, const struct throttle_limits *rx,
                           const struct throttle_limits *tx, struct error *err);
/* The virtio device of that configured id and type (VIRTIO_ID_*), or NULL. */
struct virtio_device *machine_device(const struct machine *m, uint32_t type, const char *id);
/* True from a guest's report of its panic until it runs again or is reset. */
bool machine_panicked(const struct machine *m);
/* KVM's figures of a vCPU, or of the VM (-1); the machine's, valid until the next call. NULL with
 * `err` set where the host has none. */
const struct kvm_stats *machine_stats(struct machine *m, int vcpu, struct error *err);

/*
 * From any thread, any number of times: the guest (or a device thread) asks for a reset or an end.
 * It returns at once and is carried out in the main loop; the first end that was asked for wins.
 */
enum machine_request {
    MACHINE_REQUEST_RESET,
    MACHINE_REQUEST_SHUTDOWN,
    MACHINE_REQUEST_PANIC, /* whose consequence the configuration decides; no cause is needed */
};
void machine_request(struct machine *m, enum machine_request request, enum machine_cause cause);

#endif
