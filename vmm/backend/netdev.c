/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/backend/netdev.h"

#include <errno.h>

/* More frames than a queue holds where nobody made it longer: the drain has an end even while
 * somebody fills it. */
#define DRAIN_MAX 4096

void netdev_close(struct netdev *dev)
{
    if (dev->ops)
        dev->ops->close(dev);
    dev->ops = NULL;
    dev->queue_count = 0;
}

int netdev_enable_queue(struct netdev *dev, unsigned queue, bool enable)
{
    int r;

    if (dev->enabled[queue] == enable)
        return 0;
    r = dev->ops->enable_queue(dev, queue, enable);
    if (r == 0)
        dev->enabled[queue] = enable;
    return r;
}

void netdev_drain(struct netdev *dev, unsigned queue)
{
    char start[64]; /* of a frame; its rest is dropped with it */
    const struct iovec iov = {start, sizeof(start)};

    for (unsigned i = 0; i < DRAIN_MAX; i++) {
        ssize_t n = netdev_read(dev, queue, &iov, 1);

        if (n == 0 || (n < 0 && errno != EINTR))
            return;
    }
}
