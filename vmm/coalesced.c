/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/coalesced.h"

void coalesced_init(struct coalesced *c)
{
    *c = (struct coalesced){.ring = NULL};
    pthread_mutex_init(&c->lock, NULL);
}

void coalesced_destroy(struct coalesced *c)
{
    pthread_mutex_destroy(&c->lock);
}

void coalesced_attach(struct coalesced *c, const struct kvm *kvm, void *run)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    /* How many pages into the shared memory. */
    size_t offset = run ? (size_t)kvm_check(kvm, KVM_CAP_COALESCED_MMIO) * page : 0;

    c->ring = NULL;
    if (offset == 0 || offset + page > kvm->run_size)
        return;
    c->ring = (void *)((uint8_t *)run + offset);
    c->capacity = (uint32_t)((page - sizeof(*c->ring)) / sizeof(c->ring->coalesced_mmio[0]));
}

static void do_write(const struct kvm_coalesced_mmio *entry, const struct bus *bus)
{
    uint64_t value = 0;
    unsigned len = MIN(entry->len, (uint32_t)sizeof(entry->data));

    memcpy(&value, entry->data, len);
    bus_write(bus, entry->phys_addr, value, len);
}

void coalesced_flush(struct coalesced *c, const struct bus *mmio, const struct bus *pio)
{
    struct kvm_coalesced_mmio_ring *ring = c->ring;

    /* Nearly always. An entry leaves the ring when it is done, so "empty" means that nobody is at
     * it any more. */
    if (!ring || __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE) ==
                     __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE))
        return;
    pthread_mutex_lock(&c->lock);
    while (ring->first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
        const struct kvm_coalesced_mmio *entry = &ring->coalesced_mmio[ring->first % c->capacity];

        do_write(entry, entry->pio ? pio : mmio);
        __atomic_store_n(&ring->first, (ring->first + 1) % c->capacity, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&c->lock);
}
