/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/kvm_stats.h"

#include <errno.h>

/* More than any kernel has; what it says is checked, because it decides what we allocate. */
#define MAX_STATS  1024
#define MAX_NAME   256
#define MAX_VALUES ((size_t)MAX_STATS * 16)

static int read_all(int fd, void *buf, size_t len, uint64_t offset, struct error *err)
{
    while (len > 0) {
        ssize_t n = pread(fd, buf, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set_errno(err, n < 0 ? errno : EIO, "read KVM's statistics");
        buf = (char *)buf + n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static const struct kvm_stats_desc *desc_at(const struct kvm_stats *stats, unsigned i)
{
    const void *desc = stats->descs + i * stats->desc_size;

    return desc;
}

/* How many values there are, and that each descriptor's lie among them. */
static int measure(struct kvm_stats *stats, struct error *err)
{
    for (unsigned i = 0; i < stats->count; i++) {
        const struct kvm_stats_desc *desc = desc_at(stats, i);
        size_t end = desc->offset / sizeof(uint64_t) + desc->size;

        if (desc->offset % sizeof(uint64_t) || end > MAX_VALUES ||
            !memchr(desc->name, '\0', stats->name_size))
            return error_set(err, "KVM describes its statistics in a way that is not understood");
        stats->value_count = MAX(stats->value_count, end);
    }
    return 0;
}

int kvm_stats_open(struct kvm_stats *stats, int fd, struct error *err)
{
    struct kvm_stats_header header;

    *stats = KVM_STATS_CLOSED;
    stats->fd = fd;
    if (read_all(fd, &header, sizeof(header), 0, err) < 0)
        goto fail;
    if (header.num_desc > MAX_STATS || header.name_size > MAX_NAME || header.name_size % 8 != 0) {
        error_set(err, "KVM has %u statistics, which are too many", header.num_desc);
        goto fail;
    }
    stats->data_offset = header.data_offset;
    stats->name_size = header.name_size;
    stats->count = header.num_desc;
    stats->desc_size = sizeof(struct kvm_stats_desc) + header.name_size;
    stats->descs = xcalloc(stats->count + 1, stats->desc_size);
    if (read_all(fd, stats->descs, stats->count * stats->desc_size, header.desc_offset, err) < 0 ||
        measure(stats, err) < 0)
        goto fail;
    stats->values = xcalloc(stats->value_count + 1, sizeof(*stats->values));
    return 0;
fail:
    kvm_stats_close(stats);
    return -1;
}

void kvm_stats_close(struct kvm_stats *stats)
{
    if (stats->fd >= 0)
        close(stats->fd);
    free(stats->descs);
    free(stats->values);
    *stats = KVM_STATS_CLOSED;
}

int kvm_stats_read(struct kvm_stats *stats, struct error *err)
{
    return read_all(stats->fd, stats->values, stats->value_count * sizeof(*stats->values),
                    stats->data_offset, err);
}

struct kvm_stat kvm_stats_get(const struct kvm_stats *stats, unsigned i)
{
    const struct kvm_stats_desc *desc = desc_at(stats, i);

    return (struct kvm_stat){
        .name = desc->name,
        .flags = desc->flags,
        .exponent = desc->exponent,
        .bucket_size = desc->bucket_size,
        .value_count = desc->size,
        .values = stats->values + desc->offset / sizeof(uint64_t),
    };
}
