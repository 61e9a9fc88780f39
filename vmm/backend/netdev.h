/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's end of a network device: whole Ethernet frames, each behind a struct virtio_net_hdr of
 * 12 bytes, to and from a tap (tap.h) or a process at the other end of a socket (stream.h). It has
 * never heard of a virtio device.
 *
 * One thread at a time uses a queue.
 */
#ifndef VOLE_BACKEND_NETDEV_H
#define VOLE_BACKEND_NETDEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "vmm/util.h"

#define NETDEV_MAX_QUEUES  16
#define NETDEV_HEADER_SIZE 12u
/* Around an MTU: Ethernet's header and a VLAN tag. */
#define NETDEV_FRAME_EXTRA (14 + 4u)
#define NETDEV_MAX_FRAME   (NETDEV_FRAME_EXTRA + (size_t)UINT16_MAX)

struct netdev;
struct net_stream;

struct netdev_ops {
    /* The host's kernel has the frames: it knows offloads, and vhost can take them from it. */
    bool in_kernel;
    /* One frame, as readv() and writev() have it: what does not fit the buffers is lost. -1 with
     * errno, EAGAIN where there is none. A frame that a full tap does not take is lost, too. */
    ssize_t (*read)(struct netdev *dev, unsigned queue, const struct iovec *iov, int count);
    ssize_t (*write)(struct netdev *dev, unsigned queue, const struct iovec *iov, int count);
    /* Whether what was written has left; if not, nothing can be written until the descriptor shows
     * EPOLLOUT. NULL: it always has. */
    bool (*settle)(struct netdev *dev);
    /* POLLIN: there is a frame to read; POLLERR, POLLHUP: there never will be. */
    short (*events)(struct netdev *dev, unsigned queue);
    /* Which offloads the reader can take; TUN_F_* of linux/if_tun.h. 0 or a negative errno. */
    int (*set_offload)(const struct netdev *dev, unsigned flags);
    /* Lets frames come to a queue, or not. A disabled one shows EPOLLERR. 0 or a negative errno. */
    int (*enable_queue)(struct netdev *dev, unsigned queue, bool enable);
    void (*close)(struct netdev *dev);
};

/* All zero: closed. */
struct netdev {
    const struct netdev_ops *ops;
    unsigned queue_count;
    int fds[NETDEV_MAX_QUEUES]; /* non-blocking; EPOLLIN when there may be something to read */
    bool enabled[NETDEV_MAX_QUEUES];
    unsigned mtu; /* the largest of what comes, as far as it is known now; 0: it is not */
    struct net_stream *stream; /* of a socket */
};

/* Harmless on one that is closed. */
void netdev_close(struct netdev *dev);
/* 0, also when it is so already, or a negative errno. */
int netdev_enable_queue(struct netdev *dev, unsigned queue, bool enable);
/* Drops the frames that wait in a queue. */
void netdev_drain(struct netdev *dev, unsigned queue);

static inline ssize_t netdev_read(struct netdev *dev, unsigned queue, const struct iovec *iov,
                                  unsigned count)
{
    return dev->ops->read(dev, queue, iov, (int)count);
}

static inline ssize_t netdev_write(struct netdev *dev, unsigned queue, const struct iovec *iov,
                                   unsigned count)
{
    return dev->ops->write(dev, queue, iov, (int)count);
}

static inline bool netdev_settle(struct netdev *dev)
{
    return !dev->ops->settle || dev->ops->settle(dev);
}

static inline short netdev_events(struct netdev *dev, unsigned queue)
{
    return dev->ops->events(dev, queue);
}

static inline int netdev_set_offload(const struct netdev *dev, unsigned flags)
{
    return dev->ops->set_offload(dev, flags);
}

#endif
