/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-console (virtio 1.2, section 5.3), one port. Both directions push back: output that the
 * chardev has no room for stays in the queue until it has, input that the guest has no buffer for
 * stays with the chardev.
 */
#include <linux/virtio_ids.h>

#include "vmm/backend/chardev.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/devices.h"

#define QUEUE_SIZE 64
#define RX         0 /* to the guest */
#define TX         1

struct virtio_console {
    struct virtio_device dev;
    struct chardev *chr;
    struct virtq_chain chain;
    size_t tx_done; /* bytes of the first chain in TX that the chardev has already */
};

static struct virtio_console *to_console(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_console, dev);
}

/* ---- guest to host ---- */

/* Returns whether the whole chain went out; if not, on_writable() goes on with it. */
static bool send_chain(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct virtio_console *console = to_console(dev);
    struct iovec part[VIRTQ_MAX_SEGMENTS];
    unsigned parts =
        iov_slice(chain->iov, chain->readable, console->tx_done,
                  chain->readable_len - MIN(console->tx_done, chain->readable_len), part);

    for (unsigned i = 0; i < parts; i++) {
        size_t n = chardev_write(console->chr, part[i].iov_base, part[i].iov_len);

        console->tx_done += n;
        if (n < part[i].iov_len)
            return false;
    }
    console->tx_done = 0;
    virtq_push(&dev->queues[queue], chain->head, 0);
    return true;
}

static void transmit(struct virtio_console *console)
{
    virtio_serve(&console->dev, TX, &console->chain, send_chain);
}

static void on_writable(void *opaque)
{
    struct virtio_console *console = opaque;

    if (virtio_started(&console->dev, RX))
        transmit(console);
}

/* ---- host to guest ---- */

static size_t on_input(void *opaque, const uint8_t *data, size_t len)
{
    struct virtio_console *console = opaque;
    struct virtqueue *vq = &console->dev.queues[RX];
    size_t done = 0;

    if (!virtio_started(&console->dev, RX))
        return 0;
    while (done < len) {
        const struct virtq_chain *chain = &console->chain;
        size_t n;

        if (!virtio_pop(&console->dev, RX, &console->chain)) {
            /* A buffer that came just now rings no bell: look again. */
            if (virtio_started(&console->dev, RX) && vq->ready && virtq_enable_kicks(vq))
                continue;
            break;
        }
        n = iov_write(chain->iov + chain->readable, chain->writable, 0, data + done, len - done);
        virtq_push(vq, chain->head, (uint32_t)n);
        done += n;
    }
    if (done > 0 && virtio_started(&console->dev, RX))
        virtio_notify(&console->dev, RX);
    return done;
}

/* ---- life ---- */

static void console_kick(struct virtio_device *dev, unsigned queue)
{
    if (queue == TX)
        transmit(to_console(dev));
    else
        chardev_accept_input(to_console(dev)->chr);
}

static void console_start(struct virtio_device *dev, unsigned worker)
{
    chardev_accept_input(to_console(dev)->chr);
    if (dev->queues[TX].ready)
        transmit(to_console(dev));
}

static void console_reset(struct virtio_device *dev)
{
    to_console(dev)->tx_done = 0;
}

static void console_free(struct virtio_device *dev)
{
    chardev_attach(to_console(dev)->chr, NULL, NULL);
    virtio_device_release(dev);
    free(to_console(dev));
}

static const struct virtio_type console_type = {
    .name = "virtio-console",
    .id = VIRTIO_ID_CONSOLE,
    .queue_size = QUEUE_SIZE,
    .start = console_start,
    .kick = console_kick,
    .reset = console_reset,
    .free = console_free,
};

static const struct chardev_events console_events = {
    .input = on_input,
    .writable = on_writable,
};

struct virtio_device *virtio_console_new(const char *id, const struct memory *mem,
                                         struct loop *loop, struct chardev *chr, struct error *err)
{
    struct virtio_console *console = xcalloc(1, sizeof(*console));
    const struct virtio_shape shape = {.queues = 2, .loop = loop};

    console->chr = chr;
    if (virtio_device_init(&console->dev, &console_type, id, mem, &shape, err) < 0) {
        free(console);
        return NULL;
    }
    chardev_attach(chr, &console_events, console);
    return &console->dev;
}
