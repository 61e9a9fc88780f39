/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The virtio devices there are. Each constructor makes a device around a back end that stays the
 * caller's and has to live longer; `id` is kept by reference. NULL with `err` set.
 */
#ifndef VOLE_VIRTIO_DEVICES_H
#define VOLE_VIRTIO_DEVICES_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/loop.h"
#include "vmm/memory.h"
#include "vmm/throttle.h"
#include "vmm/util.h"

struct chardev;
struct disk;
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
/* The errno of the request that the host failed last (VIRTIO_NOTICE_IO_ERROR tells of it), 0 if
 * there was none, and whether it was to read. Any thread. */
int virtio_blk_last_error(struct virtio_device *dev, bool *reading);
/* Holds from now on; what had been used up is forgotten. From any thread. */
void virtio_blk_set_limits(struct virtio_device *dev, const struct throttle_limits *limits);

/* Section 5.1: virtio/net.h. */

/* Section 5.3. One device has all consoles (hvc0 and so on in the guest), and after them all named
 * ports (/dev/virtio-ports/NAME). `loop` is the chardevs'; ids and names are kept by reference. */
struct virtio_console_port {
    const char *id;
    const char *name; /* NULL: a console */
    struct chardev *chr;
};
struct virtio_device *virtio_console_new(const char *id, const struct memory *mem,
                                         struct loop *loop, const struct virtio_console_port *ports,
                                         unsigned count, struct error *err);
/* Whether the guest has ports[port] open; VIRTIO_NOTICE_PORT tells that it changed for one of the
 * named ones. Any thread. */
bool virtio_console_port_open(const struct virtio_device *dev, unsigned port);

/* Section 5.10, served by the host's kernel. `cid` is the guest's address; `vhost` is a path or
 * "fd:N", or NULL for /dev/vhost-vsock. `loop` is any. */
struct virtio_device *virtio_vsock_new(const char *id, const struct memory *mem, struct loop *loop,
                                       uint32_t cid, const char *vhost, struct error *err);

/* Section 5.4. `source_fd` gives random bytes; it becomes the device's, also on failure. */
struct virtio_device *virtio_rng_new(const char *id, const struct memory *mem, struct loop *loop,
                                     int source_fd, struct error *err);

/* Section 5.5. `loop` is any; what the guest gives up goes to memory_release_range(). */
struct virtio_device *virtio_balloon_new(const char *id, const struct memory *mem,
                                         struct loop *loop, bool deflate_on_oom,
                                         bool free_page_reporting, struct error *err);

/* What the guest tells about its memory (5.5.6.4): bytes, or counts of events since its start. */
enum virtio_balloon_stat_kind {
    BALLOON_STAT_SWAP_IN,
    BALLOON_STAT_SWAP_OUT,
    BALLOON_STAT_MAJOR_FAULTS,
    BALLOON_STAT_MINOR_FAULTS,
    BALLOON_STAT_FREE_MEMORY,
    BALLOON_STAT_TOTAL_MEMORY,
    BALLOON_STAT_AVAILABLE_MEMORY,
    BALLOON_STAT_DISK_CACHES,
    BALLOON_STAT_HTLB_PGALLOC,
    BALLOON_STAT_HTLB_PGFAIL,
    BALLOON_STAT_OOM_KILLS, /* this and those below: Linux 6.12 and later */
    BALLOON_STAT_ALLOC_STALLS,
    BALLOON_STAT_ASYNC_SCANS,
    BALLOON_STAT_DIRECT_SCANS,
    BALLOON_STAT_ASYNC_RECLAIMS,
    BALLOON_STAT_DIRECT_RECLAIMS,
    VIRTIO_BALLOON_STATS,
};
#define VIRTIO_BALLOON_STAT_UNKNOWN UINT64_MAX /* the guest does not tell */

struct virtio_balloon_stats {
    uint64_t values[VIRTIO_BALLOON_STATS];
    int64_t updated; /* seconds since 1970; 0: not since the driver came */
};

/*
 * The machine's side; main thread. Sizes are what the guest is left with, in bytes; a target beyond
 * its RAM is an empty balloon. The target stays over a reset, and `actual` is what the guest
 * claims: VIRTIO_NOTICE_BALLOON tells that it changed.
 */
void virtio_balloon_set_target(struct virtio_device *dev, uint64_t bytes);
uint64_t virtio_balloon_actual(struct virtio_device *dev);
/* What came last. Unless the guest is asked every so many seconds anyway it is asked now, for who
 * looks next; at most twice a second. */
void virtio_balloon_stats(struct virtio_device *dev, struct virtio_balloon_stats *stats);
/* Asks the guest for new ones: now, or now and every so many seconds (0: not any more). */
void virtio_balloon_request_stats(struct virtio_device *dev);
void virtio_balloon_set_stats_interval(struct virtio_device *dev, unsigned seconds);
unsigned virtio_balloon_stats_interval(const struct virtio_device *dev);

#endif
