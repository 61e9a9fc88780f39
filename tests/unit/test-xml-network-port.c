/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A network's port: what is asked for, and what the network made of it. */
#include "xml/network_port.h"

#include <string.h>

#include "tests/unit/tap.h"

#define ID   "5a6b7c8d-0000-4000-8000-000000000001"
#define UUID "6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6c0027"

static domain_def *def;
static struct domain_net *net;

static void set_up(const char *interface)
{
    g_autofree char *xml = g_strconcat(
        "<domain type='kvm'><name>web1</name><uuid>" UUID "</uuid><memory>65536</memory>"
        "<os><type>hvm</type><kernel>/k</kernel></os><devices><interface type='network'>"
        "<mac address='52:54:00:6b:3c:01'/>",
        interface, "</interface></devices></domain>", NULL);
    g_autoptr(GError) error = NULL;

    def = domain_def_parse(xml, strlen(xml), DOMAIN_PARSE_DEFINITION, &error);
    if (!def)
        g_error("%s", error->message);
    net = domain_net_at(def, 0);
    net->port_id = g_strdup(ID);
}

static void tear_down(void)
{
    g_clear_pointer(&def, domain_def_free);
}

/* The XML is cut at its line breaks, which are not what is tested. */
static void check_xml(const char *want)
{
    g_autofree char *xml = network_port_format(def, net);
    g_auto(GStrv) lines = g_strsplit(xml, "\n", -1);
    g_autofree char *joined = NULL;

    for (char **line = lines; *line; line++)
        g_strstrip(*line);
    joined = g_strjoinv("", lines);
    check_str(joined, want);
}

static void test_asks(void)
{
    set_up("<source network='default'/>");
    check_xml("<networkport><uuid>" ID "</uuid><owner><name>web1</name><uuid>" UUID
              "</uuid></owner>"
              "<mac address='52:54:00:6b:3c:01'/></networkport>");
    tear_down();
}

static void test_asks_for_all(void)
{
    set_up("<source network='default' portgroup='a&amp;b'/><vlan><tag id='5'/></vlan>"
           "<bandwidth><inbound average='10' floor='5'/></bandwidth><port isolated='yes'/>");
    check_xml("<networkport><uuid>" ID "</uuid><owner><name>web1</name><uuid>" UUID
              "</uuid></owner>"
              "<group>a&amp;b</group><mac address='52:54:00:6b:3c:01'/>"
              "<bandwidth><inbound average='10' floor='5'/></bandwidth>"
              "<vlan><tag id='5'/></vlan><port isolated='yes'/></networkport>");
    tear_down();
}

static void test_a_bridge(void)
{
    set_up("<source network='default'/>");
    check(network_port_apply("<networkport><uuid>" ID "</uuid><plug type='network' bridge='virbr0' "
                             "macTableManager='libvirt'/><news/></networkport>",
                             net, NULL));
    check_str(net->bridge, "virbr0");
    check(net->static_macs && !net->host_bridge);
    tear_down();
}

static void test_a_macvtap(void)
{
    set_up("<source network='default'/>");
    check(network_port_apply(
        "<networkport><plug type='direct' dev='eth0' mode='bridge'/></networkport>", net, NULL));
    check_str(net->dev, "eth0");
    check_str(net->bridge, NULL);
    check_int(net->mode, DOMAIN_DIRECT_BRIDGE);
    tear_down();
}

/* What the portgroup says replaces what was there; a floor stays, the network keeps it. */
static void test_a_portgroup(void)
{
    set_up("<source network='default'/><bandwidth><inbound average='10' floor='5'/></bandwidth>");
    check(network_port_apply(
        "<networkport><bandwidth classID='3'><inbound average='100' peak='200'/>"
        "<outbound average='50' burst='7'/></bandwidth><vlan trunk='yes'><tag id='9'/></vlan>"
        "<port isolated='yes'/><plug type='bridge' bridge='br0'/></networkport>",
        net, NULL));
    check_int(net->inbound.average, 100);
    check_int(net->inbound.peak, 200);
    check_int(net->inbound.floor, 5);
    check_int(net->outbound.burst, 7);
    check_int(net->vlan->tags[0].id, 9);
    check_int(net->isolated, DOMAIN_SWITCH_ON);
    check(net->host_bridge);
    tear_down();
}

static void test_what_cannot_be_plugged_into(void)
{
    static const char *const replies[] = {
        "<networkport/>",
        "<networkport><plug type='hostdev-pci'/></networkport>",
        "<networkport><plug type='network'/></networkport>",
        "<networkport><plug type='network' bridge='../etc'/></networkport>",
        "<networkport><plug type='direct' dev='eth0' mode='what'/></networkport>",
        "<networkport><vlan/><plug type='network' bridge='b'/></networkport>",
        "<networkport>",
        "",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(replies); i++) {
        g_autoptr(GError) error = NULL;

        set_up("<source network='default'/>");
        check(!network_port_apply(replies[i], net, &error));
        check(error != NULL);
        tear_down();
    }
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_asks),
        TAP(test_asks_for_all),
        TAP(test_a_bridge),
        TAP(test_a_macvtap),
        TAP(test_a_portgroup),
        TAP(test_what_cannot_be_plugged_into),
        {},
    });
}
