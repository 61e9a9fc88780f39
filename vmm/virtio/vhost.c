/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/virtio/vhost.h"

int virtio_vhost_give(struct virtio_device *dev, unsigned queue, const struct vhost *vhost,
                      unsigned index, int err_fd, struct error *err)
{
    const struct virtqueue *vq = &dev->queues[queue];
    const struct vhost_ring ring = {
        .size = vq->size,
        .next_avail = vq->next_avail,
        .desc = vq->desc,
        .avail = vq->avail,
        .used = vq->used,
        .kick_fd = vq->kick_fd,
        .call_fd = dev->transport.interrupt_fd(dev->transport.opaque),
        .err_fd = err_fd,
    };

    return vhost_set_ring(vhost, index, &ring, err);
}

void virtio_vhost_started(struct virtio_device *dev, unsigned queue)
{
    virtio_kick_again(dev, queue);
}

int virtio_vhost_take(struct virtio_device *dev, unsigned queue, const struct vhost *vhost,
                      unsigned index, struct error *err)
{
    struct virtqueue *vq = &dev->queues[queue];

    if (vhost_unset_ring(vhost, index, &vq->next_avail, err) < 0)
        return -1;
    /* The kernel keeps its place in the used ring there. A driver that wrote something else to it
     * confuses nobody but itself. */
    vq->next_used = __atomic_load_n(&vq->used->idx, __ATOMIC_RELAXED);
    vq->signaled_used = vq->next_used;
    return 0;
}
