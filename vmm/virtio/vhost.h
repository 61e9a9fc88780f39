/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Handing a device's queue to a vhost of the host's kernel, and taking it back. Whoever does so
 * starts and stops the vhost itself, and marks the queue `external`, so that no worker touches it.
 */
#ifndef VOLE_VIRTIO_VHOST_H
#define VOLE_VIRTIO_VHOST_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "vmm/backend/vhost.h"
#include "vmm/virtio/device.h"

/* The features that a vhost has a say in: of the ring itself. */
#define VIRTIO_VHOST_RING_FEATURES                                                  \
    (VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) | \
     VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC))

/* Before the start: tells ring `index` of `vhost` all about an activated queue. `err_fd` is an
 * eventfd for a ring that the driver broke. 0, or -1 with `err`. */
int virtio_vhost_give(struct virtio_device *dev, unsigned queue, const struct vhost *vhost,
                      unsigned index, int err_fd, struct error *err);
/* After the start: what the driver rang for while nobody listened. */
void virtio_vhost_started(struct virtio_device *dev, unsigned queue);
/* After the stop: the queue goes on, here or with vhost, where the kernel left off. 0, or -1 with
 * `err`. */
int virtio_vhost_take(struct virtio_device *dev, unsigned queue, const struct vhost *vhost,
                      unsigned index, struct error *err);

#endif
