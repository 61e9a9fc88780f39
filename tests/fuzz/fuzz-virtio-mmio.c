/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any accesses to the transport's registers, of a device with two workers that answers whatever
 * chain it gets; writes to the rings in between. What must hold after each: an impossible status,
 * or a queue that is live and not what was checked, is never seen.
 */
#include "tests/fuzz/virtio-guest.h"
#include "vmm/virtio/mmio.h"

#include <linux/virtio_mmio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define QUEUES 3
#define BASE   0xd0000000

struct fake {
    struct virtio_device dev;
    struct virtq_chain chain;
    int events; /* between start and stop */
};

static struct fake *to_fake(struct virtio_device *dev)
{
    return container_of(dev, struct fake, dev);
}

static bool answer(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    if (chain->writable_len == 12345)
        return false;
    virtq_push(&dev->queues[queue], chain->head, (uint32_t)chain->writable_len);
    return true;
}

static void fake_kick(struct virtio_device *dev, unsigned queue)
{
    if (!virtio_started(dev, queue))
        abort();
    virtio_serve(dev, queue, &to_fake(dev)->chain, answer);
}

static void fake_start(struct virtio_device *dev, unsigned worker)
{
    if (to_fake(dev)->events++ != 0)
        abort();
    for (unsigned i = 0; i < QUEUES; i++)
        fake_kick(dev, i);
}

static void fake_stop(struct virtio_device *dev, unsigned worker)
{
    if (--to_fake(dev)->events != 0)
        abort();
}

static void fake_write_config(struct virtio_device *dev, unsigned offset, const void *data,
                              unsigned len)
{
    memcpy(dev->config + offset, data, len);
}

static void fake_free(struct virtio_device *dev)
{
    virtio_device_release(dev);
}

static const struct virtio_type fake_type = {
    .name = "virtio-fake",
    .id = 42,
    .queue_size = 64,
    .start = fake_start,
    .stop = fake_stop,
    .kick = fake_kick,
    .write_config = fake_write_config,
    .free = fake_free,
};

struct bench {
    struct guest g;
    struct fake fake;
    struct irq_line irq;
    struct virtio_mmio *mmio;
    struct bus bus;
};

static void check_device(struct bench *b)
{
    const struct virtio_device *dev = &b->fake.dev;
    uint64_t status = bus_read(&b->bus, BASE + VIRTIO_MMIO_STATUS, 4);

    if (status & ~(uint64_t)0xcf)
        abort();
    if ((status & VIRTIO_CONFIG_S_DRIVER_OK) && !(status & VIRTIO_CONFIG_S_FEATURES_OK))
        abort();
    if ((status & VIRTIO_CONFIG_S_FEATURES_OK) && (dev->acked & ~dev->offered))
        abort();
    if (b->fake.events && !(status & VIRTIO_CONFIG_S_DRIVER_OK))
        abort();
    for (unsigned i = 0; i < QUEUES && b->fake.events; i++) {
        if (dev->queues[i].ready && (!dev->queues[i].desc || dev->queues[i].size == 0))
            abort();
    }
}

/* A driver's way to a live device, which bytes alone would hardly find. */
static void drive(struct bench *b)
{
    guest_starts(&b->g);
    driver_run(&b->g.d);
}

static void access_register(struct bench *b, unsigned what)
{
    static const unsigned widths[] = {4, 4, 4, 4, 1, 2, 8, 4};
    unsigned width = widths[what >> 5];
    uint64_t reg = (uint64_t)guest_byte(&b->g) * 4 % VIRTIO_MMIO_SIZE;

    if (width != 4)
        reg += guest_byte(&b->g) % 4;
    if (what & 16)
        bus_write(&b->bus, BASE + reg, guest_long(&b->g), width);
    else
        bus_read(&b->bus, BASE + reg, width);
    driver_run(&b->g.d);
}

static void step(struct bench *b)
{
    unsigned what = guest_byte(&b->g);

    switch (what % 8) {
    case 0:
        drive(b);
        break;
    case 1:
        guest_gives_chain(&b->g);
        break;
    case 2:
        guest_writes(&b->g, DRIVER_QUEUE(guest_queue(&b->g)) + guest_word(&b->g) % 0x3000);
        break;
    case 3:
        virtio_mmio_reset(b->mmio);
        break;
    default:
        access_register(b, what);
    }
    check_device(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench b;
    struct virtio_shape shape = {.queues = QUEUES, .features = 0x55};
    struct error err;

    b = (struct bench){.g = {.data = data, .left = size}};
    driver_open(&b.g.d);
    shape.loop = b.g.d.round.loop;
    driver_need(irq_line_init(&b.irq, 5, &err) == 0, "an interrupt");
    driver_need(virtio_device_init(&b.fake.dev, &fake_type, "fake", &b.g.d.mem, &shape, &err) == 0,
                "a device");
    b.fake.dev.config_size = 14;
    guest_bind(&b.g, &b.fake.dev);
    b.mmio = virtio_mmio_new(&b.fake.dev, BASE, &b.irq);
    driver_need(bus_add(&b.bus, BASE, VIRTIO_MMIO_SIZE, 0, virtio_mmio_bus_device(b.mmio), &err) ==
                    0,
                "a bus");
    while (b.g.left > 0)
        step(&b);
    virtio_mmio_free(b.mmio);
    b.g.d.dev = NULL;
    driver_close(&b.g.d);
    irq_line_close(&b.irq);
    return 0;
}
