/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/backend/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

/* ---- use ---- */

static ssize_t tap_read(struct netdev *tap, unsigned queue, const struct iovec *iov, int count)
{
    ssize_t len;

    do
        len = readv(tap->fds[queue], iov, count);
    while (len < 0 && errno == EINTR);
    return len;
}

static ssize_t tap_write(struct netdev *tap, unsigned queue, const struct iovec *iov, int count)
{
    ssize_t len;

    do
        len = writev(tap->fds[queue], iov, count);
    while (len < 0 && errno == EINTR);
    return len;
}

static short tap_events(struct netdev *tap, unsigned queue)
{
    struct pollfd p = {.fd = tap->fds[queue], .events = POLLIN};

    return (short)(poll(&p, 1, 0) > 0 ? p.revents : 0);
}

static int tap_set_offload(const struct netdev *tap, unsigned flags)
{
    return ioctl(tap->fds[0], TUNSETOFFLOAD, (unsigned long)flags) < 0 ? -errno : 0;
}

static int tap_enable_queue(struct netdev *tap, unsigned queue, bool enable)
{
    struct ifreq ifr = {.ifr_flags = enable ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};

    return ioctl(tap->fds[queue], TUNSETQUEUE, &ifr) < 0 ? -errno : 0;
}

static void tap_close(struct netdev *tap)
{
    for (unsigned i = 0; i < tap->queue_count; i++)
        close(tap->fds[i]);
}

const struct netdev_ops tap_ops = {
    .in_kernel = true,
    .read = tap_read,
    .write = tap_write,
    .events = tap_events,
    .set_offload = tap_set_offload,
    .enable_queue = tap_enable_queue,
    .close = tap_close,
};

/* ---- one descriptor ---- */

static int open_by_name(const char *name, short flags, struct error *err)
{
    cleanup_close int fd = -1;
    struct ifreq ifr = {.ifr_flags = flags};

    if (*name == '\0' || strlen(name) >= sizeof(ifr.ifr_name))
        return error_set(err, "`%s` cannot be an interface's name", name);
    fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "open /dev/net/tun for tap `%s`", name);
    memcpy(ifr.ifr_name, name, strlen(name));
    if (ioctl(fd, TUNSETIFF, &ifr) == 0)
        return steal_fd(&fd);
    if (errno != EINVAL)
        return error_set_errno(err, errno, "open tap `%s`", name);
    /* An interface that is there already is of one kind or the other. */
    if (flags & IFF_MULTI_QUEUE)
        return error_set(err,
                         "`%s` is no tap that can have several queues (made with "
                         "`ip tuntap add ... multi_queue`)",
                         name);
    ifr.ifr_flags = (short)(flags | IFF_MULTI_QUEUE);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0)
        return error_set_errno(err, errno, "open tap `%s`", name);
    return steal_fd(&fd);
}

static int check_inherited(int fd, const char *source, bool several, struct error *err)
{
    struct ifreq ifr = {0};

    if (ioctl(fd, TUNGETIFF, &ifr) < 0)
        return error_set(err, "`%s` is not a tap", source);
    if ((ifr.ifr_flags & TAP_FLAGS) != TAP_FLAGS)
        return error_set(err, "tap `%s` was not opened with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR",
                         source);
    if (several && !(ifr.ifr_flags & IFF_MULTI_QUEUE))
        return error_set(err, "tap `%s` was not opened with IFF_MULTI_QUEUE", source);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return error_set_errno(err, errno, "make tap `%s` non-blocking", source);
    return 0;
}

/* From now on netdev_close() closes it. */
static void add_queue(struct netdev *tap, int fd)
{
    tap->enabled[tap->queue_count] = true;
    tap->fds[tap->queue_count++] = fd;
}

static int set_header_size(int fd, const char *source, struct error *err)
{
    int header = (int)NETDEV_HEADER_SIZE;

    if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
        return error_set_errno(err, errno, "set the header size of tap `%s`", source);
    return 0;
}

/* ---- all of them ---- */

static int open_queues(struct netdev *tap, const char *source, unsigned queues, struct error *err)
{
    short flags = (short)(TAP_FLAGS | (queues > 1 ? IFF_MULTI_QUEUE : 0));

    while (tap->queue_count < queues) {
        int fd = open_by_name(source, flags, err);

        if (fd < 0)
            return -1;
        add_queue(tap, fd);
        if (set_header_size(fd, source, err) < 0)
            return -1;
    }
    return 0;
}

/* "fd:N:M..." */
static int adopt_queues(struct netdev *tap, const char *source, unsigned queues, struct error *err)
{
    int fds[NETDEV_MAX_QUEUES];
    int count = spec_list_fds(source, fds, NETDEV_MAX_QUEUES, err);

    if (count < 0)
        return -1;
    if ((unsigned)count > queues)
        return error_set(err, "`%s` has more than %u descriptors", source, queues);
    for (int i = 0; i < count; i++) {
        char spec[16];
        int fd;

        snprintf(spec, sizeof(spec), "fd:%d", fds[i]);
        fd = inherit_fd(spec, err);
        if (fd < 0)
            return -1;
        add_queue(tap, fd);
        if (check_inherited(fd, spec, queues > 1, err) < 0 || set_header_size(fd, spec, err) < 0)
            return -1;
    }
    if (tap->queue_count < queues)
        return error_set(err, "`%s` has fewer than %u descriptors", source, queues);
    return 0;
}

/* The interface may be in another network namespace than we are; then it stays unknown. */
static unsigned read_mtu(int tap_fd)
{
    cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq ifr = {0};

    if (fd < 0 || ioctl(tap_fd, TUNGETIFF, &ifr) < 0 || ioctl(fd, SIOCGIFMTU, &ifr) < 0)
        return 0;
    return ifr.ifr_mtu > 0 ? (unsigned)ifr.ifr_mtu : 0;
}

static int set_up(struct netdev *tap, const char *source, unsigned queues, struct error *err)
{
    int r = spec_is_fd(source) ? adopt_queues(tap, source, queues, err)
                               : open_queues(tap, source, queues, err);

    if (r < 0)
        return -1;
    if (netdev_set_offload(tap, 0) < 0)
        return error_set(err, "tap `%s` has no offloads to set", source);
    for (unsigned i = 1; i < queues; i++) {
        r = netdev_enable_queue(tap, i, false);
        if (r < 0)
            return error_set_errno(err, -r, "disable queue %u of tap `%s`", i, source);
    }
    tap->mtu = read_mtu(tap->fds[0]);
    return 0;
}

int tap_open(struct netdev *tap, const char *source, unsigned queues, struct error *err)
{
    *tap = (struct netdev){.ops = &tap_ops};
    if (queues == 0 || queues > NETDEV_MAX_QUEUES)
        return error_set(err, "a tap has 1 to %d queues, not %u", NETDEV_MAX_QUEUES, queues);
    if (set_up(tap, source, queues, err) == 0)
        return 0;
    netdev_close(tap);
    return -1;
}
