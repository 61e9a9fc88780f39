/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The addresses of a guest, as far as others know them: who leased them out, or its neighbours. */
#include <arpa/inet.h>
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/host_libvirt.h"
#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/netlink.h"

#define MAX_ADDRESSES 2048 /* that a client takes; of interfaces, too */

/* ---- what is found ---- */

struct guest_address {
    int type; /* virIPAddrType */
    char *text;
    unsigned prefix;
};

struct guest_interface {
    char *name;
    uint8_t mac[6];
    GArray *addresses; /* of struct guest_address */
};

static void address_clear(gpointer data)
{
    g_free(((struct guest_address *)data)->text);
}

static void interface_clear(gpointer data)
{
    struct guest_interface *interface = data;

    g_free(interface->name);
    g_array_unref(interface->addresses);
}

static void note_address(struct guest_interface *interface, int type, const char *text,
                         unsigned prefix)
{
    struct guest_address address = {type, g_strdup(text), prefix};

    if (interface->addresses->len < MAX_ADDRESSES)
        g_array_append_val(interface->addresses, address);
    else
        g_free(address.text);
}

/* A copy of what has to be known of the domain's interfaces while nobody has its lock. */
static GArray *list_interfaces(const domain_def *def)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(struct guest_interface));

    g_array_set_clear_func(list, interface_clear);
    for (guint i = 0; i < def->nets->len; i++) {
        const struct domain_net *net = domain_net_at(def, i);
        struct guest_interface interface = {
            .name = g_strdup(net->target ? net->target : net->info.alias),
            .addresses = g_array_new(FALSE, FALSE, sizeof(struct guest_address)),
        };

        memcpy(interface.mac, net->mac, sizeof(interface.mac));
        g_array_set_clear_func(interface.addresses, address_clear);
        g_array_append_val(list, interface);
    }
    return list;
}

/* ---- leases ---- */

/* A step for each interface that is in a network; `indices` says which one. */
static json_t *lease_steps(const domain_def *def, GArray *indices)
{
    json_t *steps = json_array();

    for (guint i = 0; i < def->nets->len; i++) {
        const struct domain_net *net = domain_net_at(def, i);
        char mac[18];

        if (net->type != DOMAIN_NET_NETWORK)
            continue;
        domain_mac_format(net->mac, mac);
        json_array_append_new(steps, json_pack("{s:s, s:s, s:s}", "do", "leases", "network",
                                               net->network, "mac", mac));
        g_array_append_val(indices, i);
    }
    return steps;
}

static void note_leases(struct guest_interface *interface, const json_t *result)
{
    json_t *lease;
    size_t i;

    json_array_foreach(json_object_get(result, "leases"), i, lease)
    {
        const char *text = json_string_value(json_object_get(lease, "address"));

        if (text)
            note_address(interface, (int)json_integer_value(json_object_get(lease, "type")), text,
                         (unsigned)json_integer_value(json_object_get(lease, "prefix")));
    }
}

/* Releases the domain's lock while the network's daemon is asked. */
static bool find_leases(struct domain *domain, GArray *interfaces, GError **error)
{
    g_autoptr(GArray) indices = g_array_new(FALSE, FALSE, sizeof(guint));
    json_t *steps = lease_steps(domain->live, indices);
    g_autoptr(json_ref) results = NULL;

    if (!indices->len) {
        json_decref(steps);
        return true;
    }
    domain_begin_wait(domain);
    results = host_libvirt_ask(domain->daemon, steps, error);
    domain_end_wait(domain);
    for (guint i = 0; results && i < indices->len; i++)
        note_leases(
            &g_array_index(interfaces, struct guest_interface, g_array_index(indices, guint, i)),
            json_array_get(results, i));
    return results != NULL;
}

/* ---- neighbours ---- */

static void note_neighbour(gpointer opaque, int family, const void *address, const uint8_t mac[6])
{
    GArray *interfaces = opaque;
    bool is_ipv6 = family == AF_INET6;
    char text[INET6_ADDRSTRLEN];

    for (guint i = 0; i < interfaces->len; i++) {
        struct guest_interface *interface = &g_array_index(interfaces, struct guest_interface, i);

        if (memcmp(interface->mac, mac, sizeof(interface->mac)) == 0 &&
            inet_ntop(family, address, text, sizeof(text)))
            note_address(interface, is_ipv6 ? VIR_IP_ADDR_TYPE_IPV6 : VIR_IP_ADDR_TYPE_IPV4, text,
                         0);
    }
}

/* ---- the agent ---- */

/* As the qemu driver answers: agents are not talked to. */
static bool refuse_agent(const domain_def *def, GError **error)
{
    for (guint i = 0; i < def->channels->len; i++) {
        if (strcmp(domain_channel_at(def, i)->name, "org.qemu.guest_agent.0") == 0) {
            libvirt_error_set(error, VIR_ERR_AGENT_UNRESPONSIVE,
                              "QEMU guest agent is not connected");
            return false;
        }
    }
    libvirt_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "QEMU guest agent is not configured");
    return false;
}

/* ---- the call ---- */

static void fill_interface(wire_interface *out, const struct guest_interface *interface)
{
    char mac[18];

    domain_mac_format(interface->mac, mac);
    out->name = g_strdup(interface->name);
    out->hwaddr = g_new0(wire_string, 1);
    *out->hwaddr = g_strdup(mac);
    out->addrs.addrs_val = g_new0(wire_ip_address, interface->addresses->len);
    out->addrs.addrs_len = interface->addresses->len;
    for (guint i = 0; i < interface->addresses->len; i++) {
        const struct guest_address *address =
            &g_array_index(interface->addresses, struct guest_address, i);

        out->addrs.addrs_val[i] = (wire_ip_address){
            .type = address->type,
            .addr = g_strdup(address->text),
            .prefix = address->prefix,
        };
    }
}

/* Those of which something is known. */
static void fill(wire_interface_addresses *out, const GArray *interfaces)
{
    out->ifaces.ifaces_val = g_new0(wire_interface, interfaces->len + 1);
    for (guint i = 0; i < interfaces->len; i++) {
        const struct guest_interface *interface =
            &g_array_index(interfaces, struct guest_interface, i);

        if (interface->addresses->len)
            fill_interface(&out->ifaces.ifaces_val[out->ifaces.ifaces_len++], interface);
    }
}

static bool find_addresses(struct domain *domain, unsigned source, GArray *interfaces,
                           GError **error)
{
    switch (source) {
    case VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE:
        return find_leases(domain, interfaces, error);
    case VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP:
        return netlink_neighbours(note_neighbour, interfaces, error);
    case VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT:
        return refuse_agent(domain->live, error);
    default:
        libvirt_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "Unknown IP address data source %u",
                          source);
        return false;
    }
}

bool api_domain_interface_addresses(struct call *call, const wire_dom_uint_flags *in,
                                    wire_interface_addresses *out, GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    g_autoptr(GArray) interfaces = NULL;

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    domain = api_domain(call, &in->dom, error);
    if (!domain || !domain_check_runs(domain, error))
        return false;
    interfaces = list_interfaces(domain->live);
    if (!find_addresses(domain, in->value, interfaces, error))
        return false;
    fill(out, interfaces);
    return true;
}
