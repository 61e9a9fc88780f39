/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes that a guest need not wait for (KVM's coalesced MMIO and port I/O): an index that selects
 * a register, an address of which the second half follows. KVM puts them into a ring and the guest
 * runs on; they are done, in the order in which the guest made them, before the next exit of any
 * vCPU is answered. So only such writes will do that have no effect by themselves: whatever shows
 * their effect must be an exit.
 */
#ifndef VOLE_COALESCED_H
#define VOLE_COALESCED_H

#include <pthread.h>
#include <stdint.h>

#include "vmm/bus.h"
#include "vmm/kvm.h"

struct coalesced {
    pthread_mutex_t lock;                 /* over taking writes out of the ring and doing them */
    struct kvm_coalesced_mmio_ring *ring; /* NULL while there is no VM, or KVM has none */
    uint32_t capacity;
};

void coalesced_init(struct coalesced *c);
void coalesced_destroy(struct coalesced *c);
/* Finds the VM's ring, which every vCPU's shared memory has. With NULL there is none any more. */
void coalesced_attach(struct coalesced *c, const struct kvm *kvm, void *run);

/* Does what is in the ring. From any vCPU's thread, before it answers an exit; and once more when
 * the machine has come to a stand. Returns when writes that other threads are doing are done. */
void coalesced_flush(struct coalesced *c, const struct bus *mmio, const struct bus *pio);

#endif
