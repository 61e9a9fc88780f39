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
#include "vmm/util.h"

struct chardev;
struct disk;
struct tap;
struct virtio_device;

/* Section 5.2. `serial` (NULL: none) is what VIRTIO_BLK_T_GET_ID answers. */
struct virtio_device *virtio_blk_new(const char *id, const struct memory *mem, struct disk *disk,
                                     const char *serial, struct error *err);
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
