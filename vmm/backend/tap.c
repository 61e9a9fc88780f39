/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/backend/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdbool.h>
#include <sys/ioctl.h>

#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

static int open_by_name(const char *name, struct error *err)
{
    cleanup_close int fd = -1;
    struct ifreq ifr = {.ifr_flags = TAP_FLAGS};

    if (*name == '\0' || strlen(name) >= sizeof(ifr.ifr_name))
        return error_set(err, "`%s` cannot be an interface's name", name);
    fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "open /dev/net/tun for tap `%s`", name);
    memcpy(ifr.ifr_name, name, strlen(name));
    if (ioctl(fd, TUNSETIFF, &ifr) < 0)
        return error_set_errno(err, errno, "open tap `%s`", name);
    return steal_fd(&fd);
}

static int check_inherited(int fd, const char *source, struct error *err)
{
    struct ifreq ifr = {0};

    if (ioctl(fd, TUNGETIFF, &ifr) < 0)
        return error_set(err, "`%s` is not a tap", source);
    if ((ifr.ifr_flags & TAP_FLAGS) != TAP_FLAGS)
        return error_set(err, "tap `%s` was not opened with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR",
                         source);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return error_set_errno(err, errno, "make tap `%s` non-blocking", source);
    return 0;
}

int tap_open(struct tap *tap, const char *source, struct error *err)
{
    bool inherited = spec_is_fd(source);
    cleanup_close int fd = inherited ? open_path_or_fd(source, 0, err) : open_by_name(source, err);
    int header = (int)TAP_HEADER_SIZE;

    if (fd < 0)
        return -1;
    if (inherited && check_inherited(fd, source, err) < 0)
        return -1;
    if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
        return error_set_errno(err, errno, "set the header size of tap `%s`", source);
    tap->fd = steal_fd(&fd);
    return tap_set_offload(tap, 0) < 0 ? error_set(err, "tap `%s` has no offloads to set", source)
                                       : 0;
}

void tap_close(struct tap *tap)
{
    if (tap->fd >= 0)
        close(tap->fd);
    tap->fd = -1;
}

int tap_set_offload(const struct tap *tap, unsigned flags)
{
    return ioctl(tap->fd, TUNSETOFFLOAD, (unsigned long)flags) < 0 ? -errno : 0;
}
