/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * KVM's own statistics of a VM or a vCPU (Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD): what
 * there is, and how it is to be read, is described by the kernel.
 */
#ifndef VOLE_KVM_STATS_H
#define VOLE_KVM_STATS_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/util.h"

struct kvm_stats {
    int fd; /* -1: not open */
    uint32_t data_offset;
    uint32_t name_size;
    unsigned count;
    unsigned char *descs; /* `count` descriptors, each with a name behind it */
    size_t desc_size;
    uint64_t *values; /* as of the last kvm_stats_read() */
    size_t value_count;
};

#define KVM_STATS_CLOSED ((struct kvm_stats){.fd = -1})

/* One statistic; all pointers lead into struct kvm_stats. */
struct kvm_stat {
    const char *name;
    uint32_t flags; /* KVM_STATS_TYPE_*, _UNIT_*, _BASE_* of linux/kvm.h */
    int16_t exponent;
    uint32_t bucket_size;
    unsigned value_count; /* 1, or the buckets of a histogram */
    const uint64_t *values;
};

/* Takes over `fd`, which KVM_GET_STATS_FD gave, also on failure. 0, or -1 with `err`. */
int kvm_stats_open(struct kvm_stats *stats, int fd, struct error *err);
/* Harmless on one that is closed. */
void kvm_stats_close(struct kvm_stats *stats);
/* Fetches all values. 0, or -1 with `err`. */
int kvm_stats_read(struct kvm_stats *stats, struct error *err);
/* The i-th, for i below stats->count. */
struct kvm_stat kvm_stats_get(const struct kvm_stats *stats, unsigned i);

#endif
