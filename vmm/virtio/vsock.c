/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio socket device (virtio 1.2, section 5.10) by way of vhost-vsock: the host's kernel serves
 * the receive and transmit queues and knows all connections; here are the guest's address, start
 * and stop.
 *
 * Of events there is but one, "your address or your host is another": for guests that were moved.
 * A guest that is reset begins without connections, and its host's kernel answers what it does not
 * know with a reset; so the event queue only holds the driver's buffers.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <sys/eventfd.h>

#include "vmm/virtio/device.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/vhost.h"

#define VHOST_VSOCK "/dev/vhost-vsock"
#define QUEUE_SIZE  128
#define RINGS       2 /* receive and transmit, which are vhost's; events come after them */

struct virtio_vsock {
    struct virtio_device dev;
    struct vhost vhost;
    unsigned rings; /* that are vhost's right now */
    int err_fd;     /* eventfd: the driver broke a ring */
    struct loop_watch err_watch;
};

static struct virtio_vsock *to_vsock(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_vsock, dev);
}

static int vsock_activate(struct virtio_device *dev)
{
    for (unsigned i = 0; i < RINGS; i++) {
        if (!dev->queues[i].ready)
            return -1;
        dev->watches[i].external = true;
    }
    return 0;
}

static void on_broken_ring(void *opaque, uint32_t events)
{
    struct virtio_vsock *vsock = opaque;
    eventfd_t count;

    (void)events;
    if (eventfd_read(vsock->err_fd, &count) == 0)
        virtio_device_fail(&vsock->dev, "the driver's ring is broken, vhost says");
}

static int start(struct virtio_vsock *vsock, struct error *err)
{
    struct virtio_device *dev = &vsock->dev;

    if (loop_add(virtio_loop(dev, 0), &vsock->err_watch, vsock->err_fd, EPOLLIN, on_broken_ring,
                 vsock, err) < 0 ||
        vhost_set_features(&vsock->vhost, dev->acked & vsock->vhost.features, err) < 0)
        return -1;
    for (; vsock->rings < RINGS; vsock->rings++) {
        if (virtio_vhost_give(dev, vsock->rings, &vsock->vhost, vsock->rings, vsock->err_fd, err) <
            0)
            return -1;
    }
    return vhost_vsock_set_running(&vsock->vhost, true, err);
}

static void vsock_start(struct virtio_device *dev, unsigned worker)
{
    struct error err;

    (void)worker;
    if (start(to_vsock(dev), &err) < 0) {
        virtio_device_fail(dev, err.msg);
        return;
    }
    for (unsigned i = 0; i < RINGS; i++)
        virtio_vhost_started(dev, i);
}

static void vsock_stop(struct virtio_device *dev, unsigned worker)
{
    struct virtio_vsock *vsock = to_vsock(dev);
    struct error err;

    (void)worker;
    loop_remove(virtio_loop(dev, 0), &vsock->err_watch);
    if (vhost_vsock_set_running(&vsock->vhost, false, &err) < 0)
        virtio_log(dev, "%s", err.msg);
    while (vsock->rings > 0) {
        vsock->rings--;
        if (virtio_vhost_take(dev, vsock->rings, &vsock->vhost, vsock->rings, &err) < 0)
            virtio_log(dev, "%s", err.msg);
    }
}

/* Of the event queue: there are no events to fill its buffers with. */
static void vsock_kick(struct virtio_device *dev, unsigned queue)
{
    (void)dev;
    (void)queue;
}

static void vsock_reset(struct virtio_device *dev)
{
    eventfd_t count;

    /* Broken rings of one driver are no concern of the next one's. */
    (void)eventfd_read(to_vsock(dev)->err_fd, &count);
}

static void vsock_free(struct virtio_device *dev)
{
    struct virtio_vsock *vsock = to_vsock(dev);

    virtio_device_release(dev);
    vhost_close(&vsock->vhost);
    if (vsock->err_fd >= 0)
        close(vsock->err_fd);
    free(vsock);
}

static const struct virtio_type vsock_type = {
    .name = "virtio-vsock",
    .id = VIRTIO_ID_VSOCK,
    .queue_size = QUEUE_SIZE,
    .activate = vsock_activate,
    .start = vsock_start,
    .kick = vsock_kick,
    .stop = vsock_stop,
    .reset = vsock_reset,
    .free = vsock_free,
};

/* Why there is no such file is most often the same, and easily helped. */
static int open_vhost(struct virtio_vsock *vsock, const char *source, struct error *err)
{
    if (!source) {
        source = VHOST_VSOCK;
        if (access(source, F_OK) < 0 && errno == ENOENT)
            return error_set(err,
                             "%s is not there: the host needs the vhost_vsock module "
                             "(modprobe vhost_vsock)",
                             source);
    }
    return vhost_open(&vsock->vhost, source, vsock->dev.mem, err);
}

static int set_up(struct virtio_vsock *vsock, uint32_t cid, const char *source, struct error *err)
{
    const struct virtio_vsock_config config = {.guest_cid = cid};

    if (open_vhost(vsock, source, err) < 0 || vhost_vsock_set_cid(&vsock->vhost, cid, err) < 0)
        return -1;
    if (!(vsock->vhost.features & VIRTIO_FEATURE(VIRTIO_F_VERSION_1)))
        return error_set(err, "the host's vhost-vsock knows no virtio 1");
    vsock->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (vsock->err_fd < 0)
        return error_set_errno(err, errno, "make an eventfd");
    vsock->dev.offered &= ~VIRTIO_VHOST_RING_FEATURES | vsock->vhost.features;
    vsock->dev.offered |= vsock->vhost.features & VIRTIO_FEATURE(VIRTIO_VSOCK_F_SEQPACKET);
    memcpy(vsock->dev.config, &config, sizeof(config));
    vsock->dev.config_size = sizeof(config);
    return 0;
}

struct virtio_device *virtio_vsock_new(const char *id, const struct memory *mem, struct loop *loop,
                                       uint32_t cid, const char *vhost, struct error *err)
{
    struct virtio_vsock *vsock = xcalloc(1, sizeof(*vsock));
    const struct virtio_shape shape = {.queues = RINGS + 1, .loop = loop};

    vsock->vhost = VHOST_CLOSED;
    vsock->err_fd = vsock->err_watch.fd = -1;
    if (virtio_device_init(&vsock->dev, &vsock_type, id, mem, &shape, err) < 0) {
        free(vsock);
        return NULL;
    }
    if (set_up(vsock, cid, vhost, err) < 0) {
        error_prefix(err, "vsock");
        vsock_free(&vsock->dev);
        return NULL;
    }
    return &vsock->dev;
}
