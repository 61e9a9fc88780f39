/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/macvtap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/netlink.h"
#include "libvirt-driver/vmm/tap.h"

#define NAME_PREFIX "macvtap"
#define MAX_NUMBER  8192

static bool make_named(struct domain_net *net, GError **error)
{
    bool exists;

    return netlink_make_macvtap(net->target, net->dev, net->mode, net->mac, &exists, error);
}

/* Somebody else may take a number while we try it. */
static bool make_numbered(struct domain_net *net, GError **error)
{
    for (guint i = 0; i < MAX_NUMBER; i++) {
        g_autofree char *name = g_strdup_printf(NAME_PREFIX "%u", i);
        bool exists;

        if (if_nametoindex(name))
            continue;
        g_clear_error(error);
        if (netlink_make_macvtap(name, net->dev, net->mode, net->mac, &exists, error)) {
            net->target = g_steal_pointer(&name);
            return true;
        }
        if (!exists)
            return false;
    }
    libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "no name is left for a macvtap");
    return false;
}

/* The kernel makes a character device for it, which is called by the interface's index. */
static int open_queue(const char *name, bool several, GError **error)
{
    g_autofree char *path = g_strdup_printf("/dev/tap%u", if_nametoindex(name));
    auto_close int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

    if (several)
        ifr.ifr_flags |= IFF_MULTI_QUEUE;
    g_strlcpy(ifr.ifr_name, name, sizeof(ifr.ifr_name));
    if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0) {
        libvirt_error_set_errno(error, errno, "cannot open macvtap tap device '%s'", path);
        return -1;
    }
    return steal_fd(&fd);
}

static bool open_queues(const struct domain_net *net, int *fds, guint pairs, GError **error)
{
    guint opened = 0;

    while (opened < pairs) {
        fds[opened] = open_queue(net->target, pairs > 1, error);
        if (fds[opened] < 0)
            break;
        opened++;
    }
    if (opened == pairs)
        return true;
    while (opened > 0)
        close(fds[--opened]);
    return false;
}

/* Whoever has the name now: ours is a macvtap with the guest's address. */
static bool is_ours(const struct domain_net *net)
{
    g_autofree char *kind = g_strdup_printf("/sys/class/net/%s/macvtap", net->target);
    g_autofree char *path = g_strdup_printf("/sys/class/net/%s/address", net->target);
    g_autofree char *address = NULL;
    char mac[18];

    domain_mac_format(net->mac, mac);
    return g_file_test(kind, G_FILE_TEST_IS_DIR) &&
           g_file_get_contents(path, &address, NULL, NULL) && g_str_has_prefix(address, mac);
}

void macvtap_delete(const struct domain_net *net)
{
    g_autoptr(GError) error = NULL;

    if (net->target && is_ours(net) && !netlink_delete(net->target, &error))
        g_warning("%s", error->message);
}

/* One that has its interface for itself is made with that one's address. What it is given
 * afterwards that one has too, until the macvtap is gone: so it hears the guest's frames. */
static bool set_address(const struct domain_net *net, GError **error)
{
    return net->mode != DOMAIN_DIRECT_PASSTHROUGH ||
           netlink_set_address(net->target, net->mac, error);
}

bool macvtap_open(struct domain_net *net, int *fds, guint pairs, GError **error)
{
    /* The domain may have had it before its reboot. */
    macvtap_delete(net);
    if (net->target ? !make_named(net, error) : !make_numbered(net, error))
        return false;
    if (set_address(net, error) && tap_set_up(net->target, net->mtu, error) &&
        open_queues(net, fds, pairs, error))
        return true;
    netlink_delete(net->target, NULL);
    return false;
}
