/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Split virtqueues, device side (virtio 1.2, section 2.7), with indirect descriptors and event
 * index.
 *
 * A device sees only chains that have been checked: every buffer lies in guest RAM, readable
 * buffers come before writable ones, no chain is longer than VIRTQ_MAX_SEGMENTS, no loop. A ring
 * that breaks a rule is reported as such by virtq_pop(), and the one answer to that is
 * virtio_device_fail(); a device never sees an index or a descriptor.
 *
 * A queue belongs to one thread, the device's loop, from activation until it is reset.
 */
#ifndef VOLE_VIRTIO_QUEUE_H
#define VOLE_VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/memory.h"
#include "vmm/util.h"

#define VIRTQ_MAX_SIZE     256
#define VIRTQ_MAX_SEGMENTS 256

struct vring_desc;
struct vring_avail;
struct vring_used;

struct virtqueue {
    /* Set by the driver through the transport, while not ready. */
    uint16_t size; /* a power of two, at most max_size */
    bool ready;
    uint64_t desc_gpa;
    uint64_t avail_gpa;
    uint64_t used_gpa;

    /* Fixed when the device is made. */
    uint16_t max_size;
    int kick_fd; /* eventfd: the driver rang the doorbell */

    /* Valid after virtq_activate(). */
    const struct memory *mem;
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    bool event_idx;
    bool indirect;
    uint16_t next_avail;    /* head of the next chain to take, free running */
    uint16_t seen_avail;    /* avail->idx as the last virtq_pop() saw it */
    uint16_t next_used;     /* free running, as the driver sees it after virtq_push() */
    uint16_t signaled_used; /* next_used when we last decided on an interrupt */
};

/* One request of the driver's: first the buffers to read, then those to write. */
struct virtq_chain {
    uint16_t head;
    unsigned readable; /* iov[0 .. readable) */
    unsigned writable; /* iov[readable .. readable + writable) */
    size_t readable_len;
    size_t writable_len;
    struct iovec iov[VIRTQ_MAX_SEGMENTS];
};

enum virtq_status {
    VIRTQ_EMPTY,
    VIRTQ_CHAIN,
    VIRTQ_BROKEN,
};

/* Resolves the three parts of the ring. -1 when they are not where a ring may be. */
int virtq_activate(struct virtqueue *vq, const struct memory *mem, bool event_idx, bool indirect);
/* As after power-on; kick_fd and max_size stay. */
void virtq_reset(struct virtqueue *vq);

/* Takes the next chain. `chain` is filled only for VIRTQ_CHAIN. */
enum virtq_status virtq_pop(struct virtqueue *vq, struct virtq_chain *chain);
/* Puts the last `count` chains that were popped, and not pushed, back. */
void virtq_unpop(struct virtqueue *vq, unsigned count);
/* Gives a chain back, of whose writable part `written` bytes were filled. */
void virtq_push(struct virtqueue *vq, uint16_t head, uint32_t written);
/* After a batch of virtq_push(): whether the driver wants to be interrupted for it. */
bool virtq_should_interrupt(struct virtqueue *vq);

/* While the device is at work anyway, the driver need not ring. */
void virtq_disable_kicks(struct virtqueue *vq);
/* Asks for a ring when there is more than virtq_pop() saw; true when there is already, so that the
 * caller has to look once more. */
bool virtq_enable_kicks(struct virtqueue *vq);

/* Copies between a flat buffer and an iov; return how many bytes there were. */
size_t iov_read(const struct iovec *iov, unsigned count, size_t offset, void *buf, size_t len);
size_t iov_write(const struct iovec *iov, unsigned count, size_t offset, const void *buf,
                 size_t len);
/* The part of an iov from `offset` on, `len` bytes at most, into `out` (room for `count`).
 * Returns the number of entries. */
unsigned iov_slice(const struct iovec *iov, unsigned count, size_t offset, size_t len,
                   struct iovec *out);

#endif
