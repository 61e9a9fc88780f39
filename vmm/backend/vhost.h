/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A device whose queues the host's kernel serves: vhost-net and vhost-vsock (linux/vhost.h). The
 * kernel's thread reads and writes guest RAM by itself, from a ring's start until its stop has
 * returned; doorbell and interrupt are eventfds, so that nothing of it passes through this process.
 *
 * All functions may be called from any one thread at a time. They return 0, or -1 with `err`.
 */
#ifndef VOLE_BACKEND_VHOST_H
#define VOLE_BACKEND_VHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/memory.h"
#include "vmm/util.h"

struct vhost {
    int fd;            /* -1: closed */
    uint64_t features; /* that the kernel can do; numbered as virtio's */
};

#define VHOST_CLOSED ((struct vhost){.fd = -1})

/* A ring, in this process's addresses. */
struct vhost_ring {
    uint16_t size;
    uint16_t next_avail; /* where to go on */
    const void *desc;
    const void *avail;
    void *used;
    int kick_fd; /* eventfds */
    int call_fd;
    int err_fd; /* signalled when the ring is broken */
};

/* `source` is a path or "fd:N", one of this device alone. Takes possession of it for this process
 * and tells it where guest RAM is. */
int vhost_open(struct vhost *vhost, const char *source, const struct memory *mem,
               struct error *err);
void vhost_close(struct vhost *vhost);

/* While no ring runs. */
int vhost_set_features(const struct vhost *vhost, uint64_t features, struct error *err);
int vhost_set_ring(const struct vhost *vhost, unsigned index, const struct vhost_ring *ring,
                   struct error *err);
/* Of a stopped ring: no longer hears the doorbell, and tells which entry of the available ring the
 * kernel would have taken next. */
int vhost_unset_ring(const struct vhost *vhost, unsigned index, uint16_t *next_avail,
                     struct error *err);

/* Starts one ring of a vhost-net, with a tap's descriptor, or stops it: -1. */
int vhost_net_set_backend(const struct vhost *vhost, unsigned index, int tap_fd, struct error *err);

int vhost_vsock_set_cid(const struct vhost *vhost, uint32_t cid, struct error *err);
/* Starts or stops both rings of a vhost-vsock. */
int vhost_vsock_set_running(const struct vhost *vhost, bool running, struct error *err);

#endif
