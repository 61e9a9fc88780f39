/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the ring works. The driver writes descriptors, puts the head of a chain into the available
 * ring and then moves avail->idx; we take chains up to avail->idx, and put what is done into the
 * used ring and then move used->idx. Both indices run freely and wrap at 2^16; a ring's entry is
 * the index modulo the queue's size.
 *
 * Everything in guest memory may change under our hands. So an index or a descriptor is loaded
 * exactly once, into a local, and the local is what is checked and used.
 */
#include "vmm/virtio/queue.h"

#include <linux/virtio_ring.h>

/* ---- access to shared memory; virtio is little-endian ---- */

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "virtio rings are little-endian, and this file does not swap"
#endif

static uint16_t load16(const __virtio16 *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void store16(__virtio16 *p, uint16_t value)
{
    __atomic_store_n(p, value, __ATOMIC_RELAXED);
}

/* With VIRTIO_F_EVENT_IDX the word behind each ring tells the other side when to speak up. */
static __virtio16 *used_event(const struct virtqueue *vq)
{
    return &vq->avail->ring[vq->size];
}

static __virtio16 *avail_event(const struct virtqueue *vq)
{
    return (__virtio16 *)(void *)&vq->used->ring[vq->size];
}

/* ---- life ---- */

int virtq_activate(struct virtqueue *vq, const struct memory *mem, bool event_idx, bool indirect)
{
    uint64_t n = vq->size;

    if (n == 0 || n > vq->max_size || (n & (n - 1)) != 0)
        return -1;
    if (vq->desc_gpa % VRING_DESC_ALIGN_SIZE || vq->avail_gpa % VRING_AVAIL_ALIGN_SIZE ||
        vq->used_gpa % VRING_USED_ALIGN_SIZE)
        return -1;

    vq->mem = mem;
    vq->desc = memory_ptr(mem, vq->desc_gpa, n * sizeof(struct vring_desc));
    vq->avail =
        memory_ptr(mem, vq->avail_gpa, sizeof(struct vring_avail) + (n + 1) * sizeof(__virtio16));
    vq->used = memory_ptr(mem, vq->used_gpa,
                          sizeof(struct vring_used) + n * sizeof(struct vring_used_elem) +
                              sizeof(__virtio16));
    if (!vq->desc || !vq->avail || !vq->used)
        return -1;
    vq->event_idx = event_idx;
    vq->indirect = indirect;
    return 0;
}

void virtq_reset(struct virtqueue *vq)
{
    *vq = (struct virtqueue){
        .max_size = vq->max_size,
        .size = vq->max_size,
        .kick_fd = vq->kick_fd,
    };
}

/* ---- taking chains ---- */

/* A table of descriptors: the ring's own, or an indirect one. */
struct table {
    const struct vring_desc *desc;
    uint32_t size;
};

static bool add_segment(const struct virtqueue *vq, struct virtq_chain *chain,
                        const struct vring_desc *d)
{
    unsigned n = chain->readable + chain->writable;
    void *p = memory_ptr(vq->mem, d->addr, d->len);

    if (!p || n == VIRTQ_MAX_SEGMENTS)
        return false;
    chain->iov[n] = (struct iovec){p, d->len};
    if (d->flags & VRING_DESC_F_WRITE) {
        chain->writable++;
        chain->writable_len += d->len;
    } else {
        if (chain->writable > 0)
            return false;
        chain->readable++;
        chain->readable_len += d->len;
    }
    return true;
}

static struct vring_desc load_desc(const struct vring_desc *p)
{
    struct vring_desc d;

    d.addr = __atomic_load_n(&p->addr, __ATOMIC_RELAXED);
    d.len = __atomic_load_n(&p->len, __ATOMIC_RELAXED);
    d.flags = __atomic_load_n(&p->flags, __ATOMIC_RELAXED);
    d.next = __atomic_load_n(&p->next, __ATOMIC_RELAXED);
    return d;
}

/*
 * Follows a chain from `index`. A loop is found by counting: a chain cannot have more descriptors
 * than its table.
 */
static bool walk(const struct virtqueue *vq, struct table table, uint32_t index, bool may_nest,
                 struct virtq_chain *chain)
{
    for (uint32_t steps = 0; steps < table.size; steps++) {
        struct vring_desc d;

        if (index >= table.size)
            return false;
        d = load_desc(&table.desc[index]);
        if (d.flags & VRING_DESC_F_INDIRECT) {
            struct table inner = {
                .desc = memory_ptr(vq->mem, d.addr, d.len),
                .size = d.len / (uint32_t)sizeof(struct vring_desc),
            };

            /* Only as the last of a chain, never inside another table, in whole descriptors. */
            if (!may_nest || !vq->indirect || (d.flags & VRING_DESC_F_NEXT) || !inner.desc ||
                inner.size == 0 || d.len % sizeof(struct vring_desc) != 0 ||
                d.addr % _Alignof(struct vring_desc) != 0)
                return false;
            return walk(vq, inner, 0, false, chain);
        }
        if (!add_segment(vq, chain, &d))
            return false;
        if (!(d.flags & VRING_DESC_F_NEXT))
            return true;
        index = d.next;
    }
    return false;
}

enum virtq_status virtq_pop(struct virtqueue *vq, struct virtq_chain *chain)
{
    struct table ring = {.desc = vq->desc, .size = vq->size};
    /* Acquire: the ring entry and the descriptors were written before the index. */
    uint16_t avail = __atomic_load_n(&vq->avail->idx, __ATOMIC_ACQUIRE);
    uint16_t pending = (uint16_t)(avail - vq->next_avail);
    uint16_t head;

    vq->seen_avail = avail;
    if (pending == 0)
        return VIRTQ_EMPTY;
    if (pending > vq->size)
        return VIRTQ_BROKEN;

    head = load16(&vq->avail->ring[vq->next_avail % vq->size]);
    chain->head = head;
    chain->readable = chain->writable = 0;
    chain->readable_len = chain->writable_len = 0;
    if (!walk(vq, ring, head, true, chain))
        return VIRTQ_BROKEN;
    vq->next_avail++;
    return VIRTQ_CHAIN;
}

void virtq_unpop(struct virtqueue *vq, unsigned count)
{
    vq->next_avail = (uint16_t)(vq->next_avail - count);
}

/* ---- giving them back ---- */

void virtq_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
    struct vring_used_elem *elem = &vq->used->ring[vq->next_used % vq->size];

    __atomic_store_n(&elem->id, head, __ATOMIC_RELAXED);
    __atomic_store_n(&elem->len, written, __ATOMIC_RELAXED);
    vq->next_used++;
    /* Release: whoever sees the index sees the entry, and the data in the buffers. */
    __atomic_store_n(&vq->used->idx, vq->next_used, __ATOMIC_RELEASE);
}

bool virtq_should_interrupt(struct virtqueue *vq)
{
    uint16_t old = vq->signaled_used;

    if (vq->next_used == old)
        return false;
    vq->signaled_used = vq->next_used;
    /*
     * Our used->idx has to be visible before we look at what the driver wants: it does the opposite
     * (says what it wants, then looks at used->idx), so one of us sees the other.
     */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!vq->event_idx)
        return !(load16(&vq->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
    return vring_need_event(load16(used_event(vq)), vq->next_used, old);
}

void virtq_disable_kicks(struct virtqueue *vq)
{
    /* With an event index there is nothing to switch off: it points at the past. */
    if (!vq->event_idx)
        store16(&vq->used->flags, VRING_USED_F_NO_NOTIFY);
}

bool virtq_enable_kicks(struct virtqueue *vq)
{
    if (vq->event_idx)
        store16(avail_event(vq), vq->seen_avail);
    else
        store16(&vq->used->flags, 0);
    /* The wish has to be visible before we look; see virtq_should_interrupt(). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&vq->avail->idx, __ATOMIC_ACQUIRE) != vq->seen_avail;
}

/* ---- buffers ---- */

unsigned iov_slice(const struct iovec *iov, unsigned count, size_t offset, size_t len,
                   struct iovec *out)
{
    unsigned n = 0;

    for (unsigned i = 0; i < count && len > 0; i++) {
        size_t take;

        if (offset >= iov[i].iov_len) {
            offset -= iov[i].iov_len;
            continue;
        }
        take = MIN(iov[i].iov_len - offset, len);
        out[n++] = (struct iovec){(uint8_t *)iov[i].iov_base + offset, take};
        len -= take;
        offset = 0;
    }
    return n;
}

size_t iov_read(const struct iovec *iov, unsigned count, size_t offset, void *buf, size_t len)
{
    size_t done = 0;

    for (unsigned i = 0; i < count && done < len; i++) {
        size_t take;

        if (offset >= iov[i].iov_len) {
            offset -= iov[i].iov_len;
            continue;
        }
        take = MIN(iov[i].iov_len - offset, len - done);
        memcpy((uint8_t *)buf + done, (const uint8_t *)iov[i].iov_base + offset, take);
        done += take;
        offset = 0;
    }
    return done;
}

size_t iov_write(const struct iovec *iov, unsigned count, size_t offset, const void *buf,
                 size_t len)
{
    size_t done = 0;

    for (unsigned i = 0; i < count && done < len; i++) {
        size_t take;

        if (offset >= iov[i].iov_len) {
            offset -= iov[i].iov_len;
            continue;
        }
        take = MIN(iov[i].iov_len - offset, len - done);
        memcpy((uint8_t *)iov[i].iov_base + offset, (const uint8_t *)buf + done, take);
        done += take;
        offset = 0;
    }
    return done;
}
