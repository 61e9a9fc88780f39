/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The virtio devices there are. Each constructor makes a device around a back end that stays the
 * caller's and has to live longer; `id` is kept by reference. NULL with `err` set.
 */
#ifndef VOLE_VIRTIO_DEVICES_H
#define VOLE_VIRTIO_DEVICES_H

#include <stdint.h>

#include "vmm/loop.h"
#include "vmm/memory.h"
#include "vmm/throttle.h"
#include "vmm/util.h"

struct chardev;
struct disk;
struct tap;
struct virtio_device;

/* Section 5.2. */
struct virtio_blk_options {
    const char *serial;            /* what VIRTIO_BLK_T_GET_ID answers, at most 20 bytes; or NULL */
    unsigned queues;               /* each has a thread once a driver uses it; 0 means 1 */
    struct throttle_limits limits; /* throttle_check() has nothing against them */
};
struct virtio_device *virtio_blk_new(const char *id, const struct memory *mem, struct disk *disk,
                                     const struct virtio_blk_options *options, struct error *err);
/* The disk has a new size: tells the driver. From any thread but the device's. */
void virtio_blk_resized(struct virtio_device *dev);
/* Holds from now on; what had been used up is forgotten. From any thread. */
void virtio_blk_set_limits(struct virtio_device *dev, const struct throttle_limits *limits);

/* Section 5.1. */
struct virtio_device *virtio_net_new(const char *id, const struct memory *mem, struct tap *tap,
                                     const uint8_t mac[6], struct error *err);
/* Section 5.3, one port. `loop` is the chardev's. */
struct virtio_device *virtio_console_new(const char *id, const struct memory *mem,
                                         struct loop *loop, struct chardev *chr, struct error *err);
/* Section 5.4. `source_fd` gives random bytes; it becomes the device's, also on failure. */
struct virtio_device *virtio_rng_new(const char *id, const struct memory *mem, struct loop *loop,
                                     int source_fd, struct error *err);

#endif
