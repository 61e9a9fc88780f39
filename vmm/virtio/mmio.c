/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/virtio/mmio.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <sys/eventfd.h>

#define MMIO_MAGIC   0x74726976 /* "virt" */
#define MMIO_VERSION 2
#define MMIO_VENDOR  0x454c4f56 /* "VOLE" */

struct virtio_mmio {
    struct bus_device bus;
    struct virtio_device *dev;
    uint64_t base; /* guest physical */
    const struct irq_line *irq;
    uint32_t interrupt_status; /* atomic: set by the device's thread, cleared by the driver */
    uint32_t sticky_interrupt; /* atomic: bits that always show: the host's kernel interrupts by
                                  itself */
    uint32_t features_select;
    uint32_t driver_features_select;
    uint32_t queue_select;
};

/* ---- towards the driver ---- */

static void mmio_interrupt(void *opaque, int queue)
{
    struct virtio_mmio *mmio = opaque;
    uint32_t bit = queue == VIRTIO_CONFIG_CHANGED ? VIRTIO_MMIO_INT_CONFIG : VIRTIO_MMIO_INT_VRING;

    __atomic_fetch_or(&mmio->interrupt_status, bit, __ATOMIC_ACQ_REL);
    irq_line_raise(mmio->irq);
}

/* A back end in the kernel raises the line without setting the status that the driver reads; so the
 * status says from now on that queues may have something. A look too many costs the driver little.
 */
static int mmio_interrupt_fd(void *opaque)
{
    struct virtio_mmio *mmio = opaque;

    __atomic_store_n(&mmio->sticky_interrupt, VIRTIO_MMIO_INT_VRING, __ATOMIC_RELEASE);
    return mmio->irq->eventfd;
}

/* ---- registers ---- */

/* The selected queue, or NULL where the device has none of that number. */
static struct virtqueue *selected_queue(struct virtio_mmio *mmio)
{
    return mmio->queue_select < mmio->dev->queue_count ? &mmio->dev->queues[mmio->queue_select]
                                                       : NULL;
}

static uint32_t read_register(struct virtio_mmio *mmio, uint64_t offset)
{
    struct virtio_device *dev = mmio->dev;
    const struct virtqueue *vq = selected_queue(mmio);

    switch (offset) {
    case VIRTIO_MMIO_MAGIC_VALUE:
        return MMIO_MAGIC;
    case VIRTIO_MMIO_VERSION:
        return MMIO_VERSION;
    case VIRTIO_MMIO_DEVICE_ID:
        return dev->type->id;
    case VIRTIO_MMIO_VENDOR_ID:
        return MMIO_VENDOR;
    case VIRTIO_MMIO_DEVICE_FEATURES:
        return mmio->features_select < 2 ? (uint32_t)(dev->offered >> (32 * mmio->features_select))
                                         : 0;
    case VIRTIO_MMIO_QUEUE_NUM_MAX:
        return vq ? vq->max_size : 0;
    case VIRTIO_MMIO_QUEUE_READY:
        return vq ? vq->ready : 0;
    case VIRTIO_MMIO_INTERRUPT_STATUS:
        return __atomic_load_n(&mmio->interrupt_status, __ATOMIC_ACQUIRE) |
               __atomic_load_n(&mmio->sticky_interrupt, __ATOMIC_ACQUIRE);
    case VIRTIO_MMIO_STATUS:
        return virtio_device_status(dev);
    case VIRTIO_MMIO_SHM_LEN_LOW:
    case VIRTIO_MMIO_SHM_LEN_HIGH:
    case VIRTIO_MMIO_SHM_BASE_LOW:
    case VIRTIO_MMIO_SHM_BASE_HIGH:
        return UINT32_MAX; /* no shared memory regions */
    case VIRTIO_MMIO_CONFIG_GENERATION:
        return virtio_device_config_generation(dev);
    default:
        return 0;
    }
}

static uint64_t mmio_read(struct bus_device *bus, uint64_t offset, unsigned len)
{
    struct virtio_mmio *mmio = container_of(bus, struct virtio_mmio, bus);

    if (offset >= VIRTIO_MMIO_CONFIG)
        return virtio_device_read_config(mmio->dev, offset - VIRTIO_MMIO_CONFIG, len);
    return len == 4 ? read_register(mmio, offset) : 0;
}

static void set_half(uint64_t *address, bool high, uint32_t value)
{
    *address = high ? (*address & UINT32_MAX) | (uint64_t)value << 32
                    : (*address & ~(uint64_t)UINT32_MAX) | value;
}

/* What makes up a queue can be changed only while neither it nor the device is live. */
static void write_queue(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
    struct virtqueue *vq = selected_queue(mmio);

    if (!vq || (virtio_device_status(mmio->dev) & VIRTIO_CONFIG_S_DRIVER_OK))
        return;
    if (offset == VIRTIO_MMIO_QUEUE_READY) {
        vq->ready = value & 1;
        return;
    }
    if (vq->ready)
        return;
    switch (offset) {
    case VIRTIO_MMIO_QUEUE_NUM:
        vq->size = value <= vq->max_size ? (uint16_t)value : 0;
        break;
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
        set_half(&vq->desc_gpa, offset == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
        break;
    case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
    case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
        set_half(&vq->avail_gpa, offset == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, value);
        break;
    case VIRTIO_MMIO_QUEUE_USED_LOW:
    case VIRTIO_MMIO_QUEUE_USED_HIGH:
        set_half(&vq->used_gpa, offset == VIRTIO_MMIO_QUEUE_USED_HIGH, value);
        break;
    default:
        break;
    }
}

static void write_driver_features(struct virtio_mmio *mmio, uint32_t value)
{
    if (virtio_device_status(mmio->dev) & VIRTIO_CONFIG_S_FEATURES_OK)
        return;
    if (mmio->driver_features_select < 2)
        set_half(&mmio->dev->acked, mmio->driver_features_select == 1, value);
}

/* Only doorbells that no ioeventfd took come here, of a width that it does not match. */
static void ring_doorbell(struct virtio_mmio *mmio, uint32_t queue)
{
    if (queue < mmio->dev->queue_count)
        (void)eventfd_write(mmio->dev->queues[queue].kick_fd, 1);
}

static void mmio_write(struct bus_device *bus, uint64_t offset, uint64_t value, unsigned len)
{
    struct virtio_mmio *mmio = container_of(bus, struct virtio_mmio, bus);
    uint32_t v = (uint32_t)value;

    if (offset == VIRTIO_MMIO_QUEUE_NOTIFY) {
        ring_doorbell(mmio, v);
        return;
    }
    if (offset >= VIRTIO_MMIO_CONFIG) {
        virtio_device_write_config(mmio->dev, offset - VIRTIO_MMIO_CONFIG, value, len);
        return;
    }
    if (len != 4)
        return;
    switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
        mmio->features_select = v;
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
        mmio->driver_features_select = v;
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES:
        write_driver_features(mmio, v);
        break;
    case VIRTIO_MMIO_QUEUE_SEL:
        mmio->queue_select = v;
        break;
    case VIRTIO_MMIO_INTERRUPT_ACK:
        __atomic_fetch_and(&mmio->interrupt_status, ~v, __ATOMIC_ACQ_REL);
        break;
    case VIRTIO_MMIO_STATUS:
        if (v == 0)
            __atomic_store_n(&mmio->sticky_interrupt, 0, __ATOMIC_RELEASE);
        virtio_device_set_status(mmio->dev, v);
        if (v == 0)
            __atomic_store_n(&mmio->interrupt_status, 0, __ATOMIC_RELEASE);
        break;
    default:
        write_queue(mmio, offset, v);
    }
}

static const struct bus_ops mmio_ops = {
    .read = mmio_read,
    .write = mmio_write,
};

/* ---- life ---- */

struct virtio_mmio *virtio_mmio_new(struct virtio_device *dev, uint64_t base,
                                    const struct irq_line *irq)
{
    struct virtio_mmio *mmio = xcalloc(1, sizeof(*mmio));

    bus_device_init(&mmio->bus, &mmio_ops);
    mmio->dev = dev;
    mmio->base = base;
    mmio->irq = irq;
    dev->transport = (struct virtio_transport){
        .interrupt = mmio_interrupt, .interrupt_fd = mmio_interrupt_fd, .opaque = mmio};
    return mmio;
}

void virtio_mmio_free(struct virtio_mmio *mmio)
{
    if (!mmio)
        return;
    virtio_device_free(mmio->dev);
    free(mmio);
}

struct bus_device *virtio_mmio_bus_device(struct virtio_mmio *mmio)
{
    return &mmio->bus;
}

struct virtio_device *virtio_mmio_device(const struct virtio_mmio *mmio)
{
    return mmio->dev;
}

int virtio_mmio_wire(struct virtio_mmio *mmio, const struct kvm *kvm, struct error *err)
{
    const struct virtio_device *dev = mmio->dev;

    /* Selectors, features and queues' sizes and addresses show when something is read or the status
     * is written. */
    kvm_coalesce_mmio(kvm, mmio->base + VIRTIO_MMIO_DEVICE_FEATURES_SEL,
                      VIRTIO_MMIO_QUEUE_READY + 4 - VIRTIO_MMIO_DEVICE_FEATURES_SEL);
    kvm_coalesce_mmio(kvm, mmio->base + VIRTIO_MMIO_QUEUE_DESC_LOW,
                      VIRTIO_MMIO_QUEUE_USED_HIGH + 4 - VIRTIO_MMIO_QUEUE_DESC_LOW);
    for (unsigned i = 0; i < dev->queue_count; i++) {
        if (kvm_ioeventfd(kvm, dev->queues[i].kick_fd, mmio->base + VIRTIO_MMIO_QUEUE_NOTIFY, i,
                          err) < 0)
            return -1;
    }
    return 0;
}

void virtio_mmio_reset(struct virtio_mmio *mmio)
{
    virtio_device_reset(mmio->dev);
    mmio->features_select = 0;
    mmio->driver_features_select = 0;
    mmio->queue_select = 0;
    __atomic_store_n(&mmio->sticky_interrupt, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&mmio->interrupt_status, 0, __ATOMIC_RELEASE);
}
