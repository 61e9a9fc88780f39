/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the two halves of virtio-console know of each other: console.c moves the ports' data,
 * console_ctrl.c speaks about the ports with a driver that has VIRTIO_CONSOLE_F_MULTIPORT.
 *
 * All but what is marked otherwise belongs to the worker's loop, which is also the chardevs'.
 */
#ifndef VOLE_VIRTIO_CONSOLE_PRIV_H
#define VOLE_VIRTIO_CONSOLE_PRIV_H

#include "vmm/virtio/device.h"

/* Port 0 has the first two queues, the control queues come next, then the other ports'. */
#define CONTROL_RX 2 /* to the guest */
#define CONTROL_TX 3

/* A message to the driver that is owed, but for which it has given no buffer yet. One bit each, so
 * that what is owed has a bound; sent in this order. */
enum console_message {
    CONSOLE_SAY_ADD,
    CONSOLE_SAY_CONSOLE,
    CONSOLE_SAY_NAME,
    CONSOLE_SAY_CLOSE, /* before OPEN: a client that went and another that came are both told */
    CONSOLE_SAY_OPEN,
    CONSOLE_MESSAGES,
};

struct console_port {
    struct virtio_console *console;
    unsigned number;
    const char *id;
    const char *name;    /* NULL: a console (hvc0 ...) */
    struct chardev *chr; /* NULL: number 0, where the machine has no console */
    bool host_open;      /* somebody is at the chardev's other end */
    bool guest_open;     /* atomic; a program in the guest, or its kernel, has it open */
    bool ready;          /* the driver knows the port */
    bool told_open;      /* the driver's idea of host_open */
    unsigned owed;       /* 1 << enum console_message */
    size_t sent;         /* bytes of the first chain to the host that the chardev has already */
};

struct virtio_console {
    struct virtio_device dev;
    struct virtq_chain chain;
    size_t budget;  /* bytes that may still go out in this round */
    bool fresh;     /* the device was reset; set in the vCPU's thread while nothing runs */
    unsigned first; /* the number of the first port that was asked for */
    unsigned port_count;
    struct console_port ports[]; /* by number */
};

static inline struct virtio_console *to_console(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_console, dev);
}

/* The driver's queue, or the device's: nothing is there before the driver came. */
static inline bool console_can_use(struct virtio_console *console, unsigned queue)
{
    return virtio_started(&console->dev, queue) && console->dev.queues[queue].ready;
}

void console_set_guest_open(struct console_port *port, bool open);

/* ---- console_ctrl.c ---- */

/* The driver rang for one of the two control queues. */
void console_control_kick(struct virtio_console *console, unsigned queue);
void console_set_host_open(struct console_port *port, bool open);

#endif
