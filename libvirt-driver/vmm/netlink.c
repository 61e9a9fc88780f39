/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A request is put together in a buffer of fixed size: a header, the family's own header, and
 * attributes, some of which hold others (nest(), unnest()). The kernel answers with an error
 * number, 0 for success; a dump is many messages, the last of which says that it is.
 */
#include "libvirt-driver/vmm/netlink.h"

#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "libvirt-driver/util.h"

#define REQUEST_BYTES 1024
#define REPLY_BYTES   32768
#define DEFAULT_VLAN  1 /* that the kernel puts each new port into */

struct request {
    struct nlmsghdr header;
    char body[REQUEST_BYTES];
};

/* As many messages as fit. */
union reply {
    struct nlmsghdr header;
    char bytes[REPLY_BYTES];
};

/* ---- requests ---- */

static void *append(struct request *request, size_t size)
{
    size_t at = NLMSG_ALIGN(request->header.nlmsg_len);

    g_assert(at + size <= sizeof(*request)); /* no request depends on what others say */
    request->header.nlmsg_len = (uint32_t)(at + size);
    return (char *)request + at;
}

static void start(struct request *request, uint16_t type, uint16_t flags, const void *header,
                  size_t header_size)
{
    *request = (struct request){
        .header = {.nlmsg_len = NLMSG_HDRLEN,
                   .nlmsg_type = type,
                   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags)},
    };
    memcpy(append(request, header_size), header, header_size);
}

static void add(struct request *request, unsigned short type, const void *data, size_t size)
{
    struct rtattr *attribute = append(request, RTA_LENGTH(size));

    *attribute = (struct rtattr){.rta_len = (unsigned short)RTA_LENGTH(size), .rta_type = type};
    memcpy(RTA_DATA(attribute), data, size);
}

static struct rtattr *nest(struct request *request, unsigned short type)
{
    struct rtattr *attribute = append(request, RTA_LENGTH(0));

    *attribute = (struct rtattr){.rta_len = RTA_LENGTH(0), .rta_type = type};
    return attribute;
}

static void unnest(const struct request *request, struct rtattr *nested)
{
    const char *end = (const char *)request + request->header.nlmsg_len;

    nested->rta_len = (unsigned short)(end - (const char *)nested);
}

/* ---- the kernel's answers ---- */

static int open_netlink(void)
{
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

static bool send_request(int sock, const struct request *request)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t n;

    do
        n = sendto(sock, request, request->header.nlmsg_len, 0, (const struct sockaddr *)&kernel,
                   sizeof(kernel));
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)request->header.nlmsg_len;
}

static ssize_t receive(int sock, union reply *reply)
{
    ssize_t n;

    do
        n = recv(sock, reply, sizeof(*reply), 0);
    while (n < 0 && errno == EINTR);
    return n;
}

/* 0, or the kernel's errno. */
static int talk(const struct request *request)
{
    auto_close int sock = open_netlink();
    union reply reply;
    const struct nlmsgerr *answer = NLMSG_DATA(&reply.header);
    ssize_t n;

    if (sock < 0 || !send_request(sock, request))
        return errno;
    n = receive(sock, &reply);
    if (n < 0)
        return errno;
    if (n < (ssize_t)NLMSG_LENGTH(sizeof(*answer)) || reply.header.nlmsg_type != NLMSG_ERROR)
        return EPROTO;
    return -answer->error;
}

static int index_of(const char *name, GError **error)
{
    int index = (int)if_nametoindex(name);

    if (!index)
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "Unable to get index for interface %s: %s",
                          name, g_strerror(errno));
    return index;
}

/* ---- macvtaps ---- */

static uint32_t macvlan_mode(enum domain_direct_mode mode)
{
    switch (mode) {
    case DOMAIN_DIRECT_PRIVATE:
        return MACVLAN_MODE_PRIVATE;
    case DOMAIN_DIRECT_BRIDGE:
        return MACVLAN_MODE_BRIDGE;
    case DOMAIN_DIRECT_PASSTHROUGH:
        return MACVLAN_MODE_PASSTHRU;
    case DOMAIN_DIRECT_VEPA:
    case DOMAIN_DIRECT_ABSENT:
        break;
    }
    return MACVLAN_MODE_VEPA;
}

bool netlink_make_macvtap(const char *name, const char *lower, enum domain_direct_mode mode,
                          const uint8_t mac[6], bool *exists, GError **error)
{
    const struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
    uint32_t number = macvlan_mode(mode);
    int lower_index = index_of(lower, error);
    struct request request;
    struct rtattr *info;
    struct rtattr *data;
    int failed;

    *exists = false;
    if (!lower_index)
        return false;
    start(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof(link));
    add(&request, IFLA_IFNAME, name, strlen(name) + 1);
    add(&request, IFLA_LINK, &lower_index, sizeof(lower_index));
    add(&request, IFLA_ADDRESS, mac, 6);
    info = nest(&request, IFLA_LINKINFO);
    add(&request, IFLA_INFO_KIND, "macvtap", strlen("macvtap"));
    data = nest(&request, IFLA_INFO_DATA);
    add(&request, IFLA_MACVLAN_MODE, &number, sizeof(number));
    unnest(&request, data);
    unnest(&request, info);
    failed = talk(&request);
    *exists = failed == EEXIST;
    if (failed)
        libvirt_error_set_errno(error, failed, "error creating macvtap interface %s@%s", name,
                                lower);
    return failed == 0;
}

bool netlink_set_address(const char *name, const uint8_t mac[6], GError **error)
{
    const struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_index = index_of(name, error)};
    struct request request;
    int failed;

    if (!link.ifi_index)
        return false;
    start(&request, RTM_SETLINK, 0, &link, sizeof(link));
    add(&request, IFLA_ADDRESS, mac, 6);
    failed = talk(&request);
    if (failed)
        libvirt_error_set_errno(error, failed,
                                "cannot set the MAC address of network interface '%s'", name);
    return failed == 0;
}

bool netlink_delete(const char *name, GError **error)
{
    const struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_index = (int)if_nametoindex(name)};
    struct request request;
    int failed;

    if (!link.ifi_index)
        return true;
    start(&request, RTM_DELLINK, 0, &link, sizeof(link));
    failed = talk(&request);
    if (!failed || failed == ENODEV)
        return true;
    libvirt_error_set_errno(error, failed, "cannot delete network interface '%s'", name);
    return false;
}

/* ---- ports of bridges ---- */

static bool set_port_flags(const char *port, const unsigned short *flags, unsigned count,
                           uint8_t value, GError **error)
{
    const struct ifinfomsg link = {.ifi_family = PF_BRIDGE, .ifi_index = index_of(port, error)};
    struct request request;
    struct rtattr *info;
    int failed;

    if (!link.ifi_index)
        return false;
    start(&request, RTM_SETLINK, 0, &link, sizeof(link));
    info = nest(&request, IFLA_PROTINFO | NLA_F_NESTED);
    for (unsigned i = 0; i < count; i++)
        add(&request, flags[i], &value, sizeof(value));
    unnest(&request, info);
    failed = talk(&request);
    if (failed)
        libvirt_error_set_errno(error, failed, "cannot set up bridge port '%s'", port);
    return failed == 0;
}

bool netlink_isolate(const char *port, GError **error)
{
    static const unsigned short flags[] = {IFLA_BRPORT_ISOLATED};

    return set_port_flags(port, flags, G_N_ELEMENTS(flags), 1, error);
}

bool netlink_set_static_mac(const char *port, const uint8_t mac[6], GError **error)
{
    static const unsigned short flags[] = {IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD};
    const struct ndmsg neighbour = {
        .ndm_family = PF_BRIDGE,
        .ndm_ifindex = index_of(port, error),
        .ndm_state = NUD_NOARP,
        .ndm_flags = NTF_MASTER,
    };
    struct request request;
    int failed;

    if (!neighbour.ndm_ifindex || !set_port_flags(port, flags, G_N_ELEMENTS(flags), 0, error))
        return false;
    start(&request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &neighbour, sizeof(neighbour));
    add(&request, NDA_LLADDR, mac, 6);
    failed = talk(&request);
    if (failed)
        libvirt_error_set_errno(error, failed, "error adding fdb entry for %s", port);
    return failed == 0;
}

static void add_vlan(struct request *request, unsigned id, uint16_t flags)
{
    const struct bridge_vlan_info info = {.flags = flags, .vid = (uint16_t)id};

    add(request, IFLA_BRIDGE_VLAN_INFO, &info, sizeof(info));
}

/* Frames without a tag belong to the native VLAN, and leave without one unless it is "tagged"; a
 * port that is no trunk has one VLAN, and its guest does not see the tag. */
static uint16_t vlan_flags(const struct domain_vlan *vlan, const struct domain_vlan_tag *tag)
{
    const uint16_t access = BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED;

    if (!vlan->trunk)
        return access;
    switch (tag->native) {
    case DOMAIN_VLAN_NATIVE_UNTAGGED:
        return access;
    case DOMAIN_VLAN_NATIVE_TAGGED:
        return BRIDGE_VLAN_INFO_PVID;
    case DOMAIN_VLAN_NATIVE_ABSENT:
        break;
    }
    return 0;
}

static int change_vlans(int port, uint16_t type, const struct domain_vlan *vlan)
{
    const struct ifinfomsg link = {.ifi_family = PF_BRIDGE, .ifi_index = port};
    struct request request;
    struct rtattr *spec;

    start(&request, type, 0, &link, sizeof(link));
    spec = nest(&request, IFLA_AF_SPEC | NLA_F_NESTED);
    for (unsigned i = 0; i < vlan->count; i++)
        add_vlan(&request, vlan->tags[i].id,
                 type == RTM_DELLINK ? 0 : vlan_flags(vlan, &vlan->tags[i]));
    unnest(&request, spec);
    return talk(&request);
}

bool netlink_set_vlans(const char *port, const struct domain_vlan *vlan, GError **error)
{
    static const struct domain_vlan old = {.count = 1, .tags = {{.id = DEFAULT_VLAN}}};
    int index = index_of(port, error);
    int failed;

    if (!index)
        return false;
    /* It need not be in one: a bridge may have no default. */
    (void)change_vlans(index, RTM_DELLINK, &old);
    failed = change_vlans(index, RTM_SETLINK, vlan);
    if (failed)
        libvirt_error_set_errno(error, failed, "cannot set the VLANs of bridge port '%s'", port);
    return failed == 0;
}

/* ---- neighbours ---- */

/* RTA_NEXT() and NLMSG_NEXT(), which cast from a char pointer: the kernel aligns what it sends. */
static const struct rtattr *next_attribute(const struct rtattr *attribute, unsigned *left)
{
    unsigned step = RTA_ALIGN(attribute->rta_len);

    *left = *left > step ? *left - step : 0;
    return (const void *)((const char *)attribute + step);
}

static const struct nlmsghdr *next_message(const struct nlmsghdr *message, unsigned *left)
{
    unsigned step = NLMSG_ALIGN(message->nlmsg_len);

    *left = *left > step ? *left - step : 0;
    return (const void *)((const char *)message + step);
}

struct neighbours {
    void (*found)(gpointer opaque, int family, const void *address, const uint8_t mac[6]);
    gpointer opaque;
};

static void read_neighbour(const struct neighbours *neighbours, const struct nlmsghdr *message)
{
    const struct ndmsg *neighbour = NLMSG_DATA(message);
    const struct rtattr *attribute =
        (const void *)((const char *)neighbour + NLMSG_ALIGN(sizeof(*neighbour)));
    unsigned left = message->nlmsg_len - (unsigned)NLMSG_LENGTH(sizeof(*neighbour));
    const void *address = NULL;
    const uint8_t *mac = NULL;

    for (; RTA_OK(attribute, left); attribute = next_attribute(attribute, &left)) {
        size_t size = neighbour->ndm_family == AF_INET ? 4 : 16;

        if (attribute->rta_type == NDA_DST && RTA_PAYLOAD(attribute) == size)
            address = RTA_DATA(attribute);
        else if (attribute->rta_type == NDA_LLADDR && RTA_PAYLOAD(attribute) == 6)
            mac = RTA_DATA(attribute);
    }
    if (address && mac && neighbour->ndm_state != NUD_FAILED &&
        (neighbour->ndm_family == AF_INET || neighbour->ndm_family == AF_INET6))
        neighbours->found(neighbours->opaque, neighbour->ndm_family, address, mac);
}

/* Whether more are to come; *failed is set when that is because of an error. */
static bool read_neighbours(const struct neighbours *neighbours, const struct nlmsghdr *message,
                            size_t size, int *failed)
{
    unsigned left = (unsigned)size;

    for (; NLMSG_OK(message, left); message = next_message(message, &left)) {
        if (message->nlmsg_type == NLMSG_DONE)
            return false;
        if (message->nlmsg_type == NLMSG_ERROR) {
            const struct nlmsgerr *answer = NLMSG_DATA(message);

            *failed = message->nlmsg_len < NLMSG_LENGTH(sizeof(*answer)) ? EPROTO : -answer->error;
            return false;
        }
        if (message->nlmsg_type == RTM_NEWNEIGH &&
            message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ndmsg)))
            read_neighbour(neighbours, message);
    }
    return true;
}

bool netlink_neighbours(void (*found)(gpointer opaque, int family, const void *address,
                                      const uint8_t mac[6]),
                        gpointer opaque, GError **error)
{
    const struct neighbours neighbours = {found, opaque};
    const struct ndmsg all = {.ndm_family = AF_UNSPEC};
    union reply reply;
    auto_close int sock = open_netlink();
    struct request request;
    int failed = 0;
    ssize_t n;

    start(&request, RTM_GETNEIGH, NLM_F_DUMP, &all, sizeof(all));
    if (sock < 0 || !send_request(sock, &request))
        failed = errno;
    while (!failed) {
        n = receive(sock, &reply);
        if (n <= 0)
            failed = n < 0 ? errno : EPROTO;
        else if (!read_neighbours(&neighbours, &reply.header, (size_t)n, &failed))
            break;
    }
    if (failed)
        libvirt_error_set_errno(error, failed, "cannot read the host's neighbours");
    return failed == 0;
}
