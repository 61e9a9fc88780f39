/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/outfit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/chardev.h"
#include "libvirt-driver/vmm/image.h"
#include "libvirt-driver/vmm/macvtap.h"
#include "libvirt-driver/vmm/passt.h"
#include "libvirt-driver/vmm/tap.h"

#define KVM         "/dev/kvm"
#define VHOST_NET   "/dev/vhost-net"
#define VHOST_VSOCK "/dev/vhost-vsock"

const char *outfit_add(struct outfit *outfit, int fd, const char *what)
{
    return fd < 0 ? NULL : inherit_add(outfit->inherit, fd, what);
}

/* True and *name NULL for a device that needs no descriptor. */
static bool add_chardev(struct outfit *outfit, struct domain_chardev *chardev, int *terminal,
                        const char **name, GError **error)
{
    int fd = chardev_open(chardev, terminal, error);

    *name = outfit_add(outfit, fd, chardev->path);
    return *name || fd == CHARDEV_NEEDS_NONE;
}

static bool add_boot(struct outfit *outfit, const domain_def *def, GError **error)
{
    outfit->sources.kernel =
        outfit_add(outfit, image_open_plain(def->os.kernel, "kernel", error), def->os.kernel);
    if (!outfit->sources.kernel)
        return false;
    if (!def->os.initrd)
        return true;
    outfit->sources.initrd =
        outfit_add(outfit, image_open_plain(def->os.initrd, "initrd", error), def->os.initrd);
    return outfit->sources.initrd != NULL;
}

static bool add_disks(struct outfit *outfit, const domain_def *live, GError **error)
{
    for (guint i = 0; i < live->disks->len; i++) {
        const struct domain_disk *disk = domain_disk_at(live, i);

        outfit->disks[i] = outfit_add(outfit, image_open_disk(disk, error), disk->source);
        if (!outfit->disks[i])
            return false;
    }
    outfit->sources.disks = outfit->disks;
    return true;
}

/* ---- interfaces ---- */

/* Several descriptors have one name in the document, "fd:3:4". */
static const char *add_several(struct outfit *outfit, const int *fds, guint count, const char *what)
{
    GString *name = g_string_new("fd");

    for (guint i = 0; i < count; i++) {
        const char *each = inherit_add(outfit->inherit, fds[i], what);

        g_string_append(name, each + sizeof("fd") - 1);
    }
    return inherit_keep(outfit->inherit, g_string_free(name, FALSE));
}

/* vhost-net where the definition asks for it, or lets it be taken and the host has it. */
static bool add_vhost(struct outfit *outfit, const struct domain_net *net, guint pairs,
                      const char **name, GError **error)
{
    int fds[DOMAIN_MAX_QUEUES];

    *name = NULL;
    if (net->driver == DOMAIN_NET_DRIVER_QEMU)
        return true;
    for (guint i = 0; i < pairs; i++) {
        fds[i] = open(VHOST_NET, O_RDWR | O_CLOEXEC);
        if (fds[i] >= 0)
            continue;
        if (net->driver == DOMAIN_NET_DRIVER_VHOST)
            libvirt_error_set_errno(error, errno, "interface '%s': cannot open '%s'", net->target,
                                    VHOST_NET);
        while (i > 0)
            close(fds[--i]);
        return net->driver != DOMAIN_NET_DRIVER_VHOST;
    }
    *name = add_several(outfit, fds, pairs, VHOST_NET);
    return true;
}

static bool add_user_net(struct outfit *outfit, const struct domain_net *net, guint index,
                         GError **error)
{
    struct companion companion;
    int fd = passt_start(net, outfit->cgroup, &companion, error);

    if (fd < 0)
        return false;
    g_array_append_val(outfit->companions, companion);
    outfit->nets[index] = outfit_add(outfit, fd, "passt");
    return true;
}

static bool add_net(struct outfit *outfit, struct domain_net *net, guint index, GError **error)
{
    bool is_macvtap =
        net->type == DOMAIN_NET_DIRECT || (net->type == DOMAIN_NET_NETWORK && net->dev);
    guint pairs = MAX(net->queues, 1);
    int fds[DOMAIN_MAX_QUEUES];

    if (net->type == DOMAIN_NET_USER)
        return add_user_net(outfit, net, index, error);
    if (is_macvtap ? !macvtap_open(net, fds, pairs, error) : !tap_open(net, fds, pairs, error))
        return false;
    outfit->nets[index] = add_several(outfit, fds, pairs, net->target);
    return add_vhost(outfit, net, pairs, &outfit->vhosts[index], error);
}

static bool add_nets(struct outfit *outfit, domain_def *live, GError **error)
{
    for (guint i = 0; i < live->nets->len; i++) {
        if (!add_net(outfit, domain_net_at(live, i), i, error))
            return false;
    }
    outfit->sources.nets = outfit->nets;
    outfit->sources.vhosts = outfit->vhosts;
    return true;
}

/* ---- character devices ---- */

/* A socket that the user gave no path is made where only the daemon's user comes to it. */
static bool make_channel_path(const struct paths *paths, const domain_def *live,
                              struct domain_channel *channel, GError **error)
{
    g_autofree char *dir = NULL;

    if (channel->source.type != DOMAIN_CHARDEV_UNIX)
        return true;
    if (!channel->source.path)
        channel->source.path = domain_channel_make_path(paths->run, live, channel);
    else if (!g_str_has_prefix(channel->source.path, paths->run))
        return true;
    dir = g_path_get_dirname(channel->source.path);
    if (g_mkdir_with_parents(dir, 0700) == 0)
        return true;
    libvirt_error_set_errno(error, errno, "cannot create directory '%s'", dir);
    return false;
}

void outfit_clean(const struct paths *paths, const domain_def *live)
{
    for (guint i = 0; i < live->channels->len; i++) {
        const struct domain_chardev *source = &domain_channel_at(live, i)->source;

        if (source->type == DOMAIN_CHARDEV_UNIX && source->path &&
            g_str_has_prefix(source->path, paths->run)) {
            g_autofree char *dir = g_path_get_dirname(source->path);

            unlink(source->path);
            rmdir(dir); /* once it is empty */
        }
    }
}

static bool add_chardevs(struct outfit *outfit, const struct paths *paths, domain_def *live,
                         struct terminals *terminals, GError **error)
{
    int *masters = terminals->masters;

    for (guint i = 0; i < live->serials->len; i++) {
        if (!add_chardev(outfit, &domain_serial_at(live, i)->source, &masters[TERMINAL_SERIAL],
                         &outfit->sources.serial, error))
            return false;
    }
    for (guint i = 0; i < live->consoles->len; i++) {
        if (!add_chardev(outfit, &domain_console_at(live, i)->source,
                         &masters[TERMINAL_CONSOLES + i], &outfit->consoles[i], error))
            return false;
    }
    for (guint i = 0; i < live->channels->len; i++) {
        struct domain_channel *channel = domain_channel_at(live, i);

        if (!make_channel_path(paths, live, channel, error) ||
            !add_chardev(outfit, &channel->source, &masters[TERMINAL_CHANNELS + i],
                         &outfit->channels[i], error))
            return false;
    }
    outfit->sources.consoles = outfit->consoles;
    outfit->sources.channels = outfit->channels;
    return true;
}

/* ---- the others ---- */

static bool add_kvm(struct outfit *outfit, GError **error)
{
    int fd = open(KVM, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        libvirt_error_set_errno(error, errno, "cannot open '%s'", KVM);
    outfit->sources.kvm = outfit_add(outfit, fd, KVM);
    return outfit->sources.kvm != NULL;
}

static bool add_rng(struct outfit *outfit, const domain_def *live, GError **error)
{
    const char *source;
    int fd;

    if (!live->rngs->len)
        return true;
    source = domain_rng_at(live, 0)->source;
    fd = open(source, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        libvirt_error_set_errno(error, errno, "cannot open '%s'", source);
    outfit->sources.rng = outfit_add(outfit, fd, source);
    return outfit->sources.rng != NULL;
}

/* The kernel knows which addresses are taken: it refuses those. */
static bool find_cid(int fd, struct domain_vsock *vsock, GError **error)
{
    for (guint64 cid = DOMAIN_MIN_CID; cid <= DOMAIN_MAX_CID; cid++) {
        if (ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, &cid) == 0) {
            vsock->cid = (uint32_t)cid;
            return true;
        }
        if (errno != EADDRINUSE)
            break;
    }
    libvirt_error_set_errno(error, errno, "failed to acquire guest cid");
    return false;
}

static bool add_vsock(struct outfit *outfit, domain_def *live, GError **error)
{
    struct domain_vsock *vsock;
    auto_close int fd = -1;

    if (!live->vsocks->len)
        return true;
    vsock = domain_vsock_at(live, 0);
    fd = open(VHOST_VSOCK, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        libvirt_error_set_errno(error, errno, "cannot open '%s'", VHOST_VSOCK);
        return false;
    }
    if (vsock->auto_cid == DOMAIN_SWITCH_ON && !find_cid(fd, vsock, error))
        return false;
    outfit->sources.vsock = outfit_add(outfit, steal_fd(&fd), VHOST_VSOCK);
    return true;
}

bool outfit_fill(struct outfit *outfit, const struct paths *paths, domain_def *live,
                 struct terminals *terminals, GError **error)
{
    return add_boot(outfit, live, error) && add_disks(outfit, live, error) &&
           add_nets(outfit, live, error) && add_chardevs(outfit, paths, live, terminals, error) &&
           add_rng(outfit, live, error) && add_vsock(outfit, live, error) && add_kvm(outfit, error);
}
