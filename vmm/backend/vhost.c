/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/backend/vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>

static int call(const struct vhost *vhost, unsigned long request, void *arg, const char *what,
                struct error *err)
{
    int r;

    do
        r = ioctl(vhost->fd, request, arg);
    while (r < 0 && errno == EINTR);
    return r < 0 ? error_set_errno(err, errno, "vhost: %s", what) : 0;
}

/* ---- life ---- */

static int set_memory(const struct vhost *vhost, const struct memory *mem, struct error *err)
{
    cleanup_free struct vhost_memory *table =
        xcalloc(1, sizeof(*table) + MEMORY_MAX_REGIONS * sizeof(table->regions[0]));

    table->nregions = mem->count;
    for (unsigned i = 0; i < mem->count; i++) {
        const struct memory_region *region = &mem->regions[i];

        table->regions[i] = (struct vhost_memory_region){
            .guest_phys_addr = region->gpa,
            .memory_size = region->size,
            .userspace_addr = (uintptr_t)region->host,
        };
    }
    return call(vhost, VHOST_SET_MEM_TABLE, table, "tell it of guest memory", err);
}

static int take_possession(struct vhost *vhost, const struct memory *mem, struct error *err)
{
    __u64 features;

    if (call(vhost, VHOST_GET_FEATURES, &features, "not such a device", err) < 0 ||
        call(vhost, VHOST_SET_OWNER, NULL, "take possession", err) < 0 ||
        set_memory(vhost, mem, err) < 0)
        return -1;
    vhost->features = features;
    return 0;
}

int vhost_open(struct vhost *vhost, const char *source, const struct memory *mem, struct error *err)
{
    *vhost = (struct vhost){.fd = open_path_or_fd(source, O_RDWR | O_CLOEXEC, err)};
    if (vhost->fd < 0)
        return -1;
    if (take_possession(vhost, mem, err) == 0)
        return 0;
    vhost_close(vhost);
    return error_prefix(err, "%s", source);
}

void vhost_close(struct vhost *vhost)
{
    if (vhost->fd >= 0)
        close(vhost->fd);
    *vhost = VHOST_CLOSED;
}

/* ---- rings ---- */

int vhost_set_features(const struct vhost *vhost, uint64_t features, struct error *err)
{
    __u64 value = features;

    return call(vhost, VHOST_SET_FEATURES, &value, "set features", err);
}

int vhost_set_ring(const struct vhost *vhost, unsigned index, const struct vhost_ring *ring,
                   struct error *err)
{
    struct vhost_vring_state size = {.index = index, .num = ring->size};
    struct vhost_vring_state base = {.index = index, .num = ring->next_avail};
    struct vhost_vring_addr addr = {
        .index = index,
        .desc_user_addr = (uintptr_t)ring->desc,
        .avail_user_addr = (uintptr_t)ring->avail,
        .used_user_addr = (uintptr_t)ring->used,
    };
    struct vhost_vring_file kick_file = {.index = index, .fd = ring->kick_fd};
    struct vhost_vring_file call_file = {.index = index, .fd = ring->call_fd};
    struct vhost_vring_file err_file = {.index = index, .fd = ring->err_fd};

    if (call(vhost, VHOST_SET_VRING_NUM, &size, "set a ring's size", err) < 0 ||
        call(vhost, VHOST_SET_VRING_BASE, &base, "set a ring's position", err) < 0 ||
        call(vhost, VHOST_SET_VRING_ADDR, &addr, "set a ring's addresses", err) < 0 ||
        call(vhost, VHOST_SET_VRING_ERR, &err_file, "set a ring's error signal", err) < 0 ||
        call(vhost, VHOST_SET_VRING_CALL, &call_file, "set a ring's interrupt", err) < 0)
        return -1;
    /* The last: from here on the guest's doorbell is heard. */
    return call(vhost, VHOST_SET_VRING_KICK, &kick_file, "set a ring's doorbell", err);
}

int vhost_unset_ring(const struct vhost *vhost, unsigned index, uint16_t *next_avail,
                     struct error *err)
{
    struct vhost_vring_state base = {.index = index};
    struct vhost_vring_file nothing = {.index = index, .fd = VHOST_FILE_UNBIND};

    if (call(vhost, VHOST_SET_VRING_KICK, &nothing, "unset a ring's doorbell", err) < 0 ||
        call(vhost, VHOST_GET_VRING_BASE, &base, "get a ring's position", err) < 0)
        return -1;
    *next_avail = (uint16_t)base.num;
    return 0;
}

/* ---- the devices ---- */

int vhost_net_set_backend(const struct vhost *vhost, unsigned index, int tap_fd, struct error *err)
{
    struct vhost_vring_file file = {.index = index, .fd = tap_fd};

    return call(vhost, VHOST_NET_SET_BACKEND, &file,
                tap_fd < 0 ? "let go of the tap" : "take the tap", err);
}

int vhost_vsock_set_cid(const struct vhost *vhost, uint32_t cid, struct error *err)
{
    __u64 value = cid;

    if (ioctl(vhost->fd, VHOST_VSOCK_SET_GUEST_CID, &value) == 0)
        return 0;
    if (errno == EADDRINUSE)
        return error_set(err, "cid %u is another guest's", cid);
    if (errno == ENOTTY)
        return error_set(err, "vhost: not a vhost-vsock");
    return error_set_errno(err, errno, "set cid %u", cid);
}

int vhost_vsock_set_running(const struct vhost *vhost, bool running, struct error *err)
{
    int value = running;

    return call(vhost, VHOST_VSOCK_SET_RUNNING, &value, running ? "start" : "stop", err);
}
