/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The MMIO transport (virtio 1.2, section 4.2.2, version 2: no legacy interface). Doorbells arrive
 * by ioeventfd and interrupts leave by irqfd; what comes through the registers is configuration,
 * and two accesses for each interrupt that the driver takes.
 */
#ifndef VOLE_VIRTIO_MMIO_H
#define VOLE_VIRTIO_MMIO_H

#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/kvm.h"
#include "vmm/virtio/device.h"

struct virtio_mmio;

#define VIRTIO_MMIO_SIZE UINT64_C(0x1000) /* of the registers, in bytes */

/* Takes over `dev`, whose registers are to be at `base`, a guest physical address. `irq` stays the
 * caller's, and may be shared with other devices. */
struct virtio_mmio *virtio_mmio_new(struct virtio_device *dev, uint64_t base,
                                    const struct irq_line *irq);
void virtio_mmio_free(struct virtio_mmio *mmio);

struct bus_device *virtio_mmio_bus_device(struct virtio_mmio *mmio);
struct virtio_device *virtio_mmio_device(const struct virtio_mmio *mmio);
/* Gives the doorbells to a fresh VM. 0, or -1 with `err`. */
int virtio_mmio_wire(struct virtio_mmio *mmio, const struct kvm *kvm, struct error *err);
/* As after power-on. */
void virtio_mmio_reset(struct virtio_mmio *mmio);

#endif
