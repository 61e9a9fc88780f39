/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The MMIO transport (virtio 1.2, section 4.2.2, version 2: no legacy interface). Doorbells arrive
 * by ioeventfd and interrupts leave by irqfd; what comes through the registers is configuration,
 * and two accesses for each interrupt that the driver takes.
 */
#ifndef VOLE_VIRTIO_MMIO_H
#define VOLE_VIRTIO_MMIO_H

#include "vmm/arch/arch.h"
#include "vmm/bus.h"
#include "vmm/kvm.h"
#include "vmm/virtio/device.h"

struct virtio_mmio;

/* Takes over `dev`. The slot's interrupt line stays the platform's. */
struct virtio_mmio *virtio_mmio_new(struct virtio_device *dev, const struct arch_virtio_slot *slot);
void virtio_mmio_free(struct virtio_mmio *mmio);

struct bus_device *virtio_mmio_bus_device(struct virtio_mmio *mmio);
const struct arch_virtio_slot *virtio_mmio_slot(const struct virtio_mmio *mmio);
struct virtio_device *virtio_mmio_device(const struct virtio_mmio *mmio);
/* Gives the doorbells to a fresh VM. 0, or -1 with `err`. */
int virtio_mmio_wire(struct virtio_mmio *mmio, const struct kvm *kvm, struct error *err);
/* As after power-on. */
void virtio_mmio_reset(struct virtio_mmio *mmio);

#endif
