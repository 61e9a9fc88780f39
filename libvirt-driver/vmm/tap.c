/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/netlink.h"

#define TUN_DEVICE "/dev/net/tun"
/* The kernel puts a number in its place. */
#define NAME_PATTERN "vnet%d"

static bool set_name(struct ifreq *ifr, const char *name, GError **error)
{
    memset(ifr, 0, sizeof(*ifr));
    if (g_strlcpy(ifr->ifr_name, name, sizeof(ifr->ifr_name)) < sizeof(ifr->ifr_name))
        return true;
    libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "network interface name '%s' is too long",
                      name);
    return false;
}

static bool fail(GError **error, const char *doing, const char *name)
{
    libvirt_error_set_errno(error, errno, "cannot %s network interface '%s'", doing, name);
    return false;
}

/* A bridge takes the lowest MAC address of its ports for its own: with 0xfe in front, no guest's
 * tap can become that. */
static bool set_mac(int sock, const char *name, const uint8_t mac[6], GError **error)
{
    struct ifreq ifr;

    if (!set_name(&ifr, name, error))
        return false;
    ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
    ifr.ifr_hwaddr.sa_data[0] = (char)0xfe;
    return ioctl(sock, SIOCSIFHWADDR, &ifr) == 0 || fail(error, "set the MAC address of", name);
}

static bool set_up(int sock, const char *name, GError **error)
{
    struct ifreq ifr;

    if (!set_name(&ifr, name, error))
        return false;
    if (ioctl(sock, SIOCGIFFLAGS, &ifr) < 0)
        return fail(error, "look at", name);
    ifr.ifr_flags |= IFF_UP;
    return ioctl(sock, SIOCSIFFLAGS, &ifr) == 0 || fail(error, "bring up", name);
}

static bool set_mtu(int sock, const char *name, int mtu, GError **error)
{
    struct ifreq ifr;

    if (!set_name(&ifr, name, error))
        return false;
    ifr.ifr_mtu = mtu;
    return ioctl(sock, SIOCSIFMTU, &ifr) == 0 || fail(error, "set the MTU of", name);
}

static bool join_bridge(int sock, const char *name, const char *bridge, bool take_mtu,
                        GError **error)
{
    struct ifreq ifr;

    if (!set_name(&ifr, bridge, error))
        return false;
    if (ioctl(sock, SIOCGIFMTU, &ifr) < 0)
        return fail(error, "find bridge", bridge);
    if (take_mtu && !set_mtu(sock, name, ifr.ifr_mtu, error))
        return false;
    if (!set_name(&ifr, bridge, error))
        return false;
    ifr.ifr_ifindex = (int)if_nametoindex(name);
    if (ioctl(sock, SIOCBRADDIF, &ifr) == 0)
        return true;
    libvirt_error_set_errno(error, errno, "cannot add network interface '%s' to bridge '%s'", name,
                            bridge);
    return false;
}

/* Tags mean nothing to a bridge that does not look at them. */
static bool set_vlans(const struct domain_net *net, const char *name, GError **error)
{
    g_autofree char *path = g_strdup_printf("/sys/class/net/%s/bridge/vlan_filtering", net->bridge);
    g_autofree char *text = NULL;

    if (!net->vlan)
        return true;
    if (g_file_get_contents(path, &text, NULL, NULL) && *text == '0') {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "interface '%s' has VLANs, and bridge '%s' does not filter by VLAN", name,
                          net->bridge);
        return false;
    }
    return netlink_set_vlans(name, net->vlan, error);
}

static bool set_up_port(int sock, const struct domain_net *net, const char *name, GError **error)
{
    return !net->bridge ||
           (join_bridge(sock, name, net->bridge, !net->mtu, error) && set_vlans(net, name, error) &&
            (net->isolated != DOMAIN_SWITCH_ON || netlink_isolate(name, error)) &&
            (!net->static_macs || netlink_set_static_mac(name, net->mac, error)));
}

bool tap_set_up(const char *name, unsigned mtu, GError **error)
{
    auto_close int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (sock < 0)
        return fail(error, "set up", name);
    return (!mtu || set_mtu(sock, name, (int)mtu, error)) && set_up(sock, name, error);
}

static bool set_up_own(const struct domain_net *net, const char *name, GError **error)
{
    auto_close int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (sock < 0)
        return fail(error, "set up", name);
    return set_mac(sock, name, net->mac, error) &&
           (!net->mtu || set_mtu(sock, name, (int)net->mtu, error)) &&
           set_up_port(sock, net, name, error) && set_up(sock, name, error);
}

static int open_queue(const char *name, short flags, struct ifreq *ifr, bool exists, GError **error)
{
    auto_close int fd = open(TUN_DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        libvirt_error_set_errno(error, errno, "cannot open '%s'", TUN_DEVICE);
        return -1;
    }
    if (!set_name(ifr, name, error))
        return -1;
    ifr->ifr_flags = flags;
    if (ioctl(fd, TUNSETIFF, ifr) < 0) {
        fail(error, exists ? "open" : "create", name);
        return -1;
    }
    return steal_fd(&fd);
}

static bool check_open(const struct domain_net *net, bool exists, GError **error)
{
    if (!exists || if_nametoindex(net->target ? net->target : "") != 0)
        return true;
    libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                      "there is no network interface '%s', and the domain is not to make it",
                      net->target ? net->target : "");
    return false;
}

bool tap_open(struct domain_net *net, int *fds, guint pairs, GError **error)
{
    bool exists = net->managed == DOMAIN_SWITCH_OFF;
    const char *name = net->target ? net->target : NAME_PATTERN;
    short flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    struct ifreq ifr = {0};
    guint opened = 0;

    if (!check_open(net, exists, error))
        return false;
    if (pairs > 1)
        flags |= IFF_MULTI_QUEUE;
    /* Only the first opening makes it; the others join. */
    fds[0] = open_queue(name, exists ? flags : (short)(flags | (short)IFF_TUN_EXCL), &ifr, exists,
                        error);
    opened = fds[0] >= 0;
    while (opened && opened < pairs) {
        char own[IFNAMSIZ];

        g_strlcpy(own, ifr.ifr_name, sizeof(own));
        fds[opened] = open_queue(own, flags, &ifr, true, error);
        if (fds[opened] < 0)
            break;
        opened++;
    }
    if (opened == pairs && (exists || set_up_own(net, ifr.ifr_name, error))) {
        g_free(net->target);
        net->target = g_strdup(ifr.ifr_name);
        return true;
    }
    while (opened > 0)
        close(fds[--opened]);
    return false;
}

/* ---- counters ---- */

static bool read_counter(int dir, const char *name, int64_t *value)
{
    auto_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    char text[32];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (n <= 0)
        return false;
    text[n] = '\0';
    *value = (int64_t)g_ascii_strtoull(text, NULL, 10);
    return true;
}

static bool read_counts(int dir, struct tap_stats *stats)
{
    return read_counter(dir, "rx_bytes", &stats->rx.bytes) &&
           read_counter(dir, "rx_packets", &stats->rx.packets) &&
           read_counter(dir, "rx_errors", &stats->rx.errors) &&
           read_counter(dir, "rx_dropped", &stats->rx.dropped) &&
           read_counter(dir, "tx_bytes", &stats->tx.bytes) &&
           read_counter(dir, "tx_packets", &stats->tx.packets) &&
           read_counter(dir, "tx_errors", &stats->tx.errors) &&
           read_counter(dir, "tx_dropped", &stats->tx.dropped);
}

bool tap_read_stats(const struct domain_net *net, struct tap_stats *stats, GError **error)
{
    g_autofree char *path = g_strdup_printf("/sys/class/net/%s/statistics", net->target);
    auto_close int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool is_macvtap =
        net->type == DOMAIN_NET_DIRECT || (net->type == DOMAIN_NET_NETWORK && net->dev);
    struct tap_stats seen;

    if (dir < 0 || !read_counts(dir, &seen))
        return fail(error, "read the counters of", net->target);
    *stats = is_macvtap ? (struct tap_stats){.rx = seen.tx, .tx = seen.rx} : seen;
    return true;
}
