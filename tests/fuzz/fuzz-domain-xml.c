/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domain XML, as a client sends it or (when the first byte is '!') as a status file holds it. What
 * is accepted can be written, is read back as the same, and can be started; what is refused has an
 * error of one line. When the first byte is '+', it is the XML of one device for a domain that has
 * one of most.
 */
#include <glib.h>
#include <libvirt/libvirt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/refusal.h"
#include "xml/device.h"
#include "xml/domain.h"
#include "xml/launch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The XML of `text` read again with the same flags. */
static void check_fixed_point(const char *text, unsigned parse_flags, unsigned format_flags)
{
    g_autoptr(domain_def) def = domain_def_parse(text, strlen(text), parse_flags, NULL);
    g_autoptr(domain_def) copy = def ? domain_def_copy(def) : NULL;
    g_autofree char *again = def ? domain_def_format(copy, format_flags) : NULL;

    if (!again || strcmp(again, text) != 0)
        abort();
}

static void check_start(domain_def *def)
{
    g_autofree char *document = NULL;
    g_autofree char *live = NULL;

    domain_def_assign_aliases(def);
    def->id = 1;
    for (guint i = 0; i < def->nets->len; i++)
        if (!domain_net_at(def, i)->target)
            domain_net_at(def, i)->target = g_strdup_printf("vnet%u", i);
    for (guint i = 0; i < def->channels->len; i++) {
        struct domain_channel *channel = domain_channel_at(def, i);

        if (!channel->source.path && channel->source.type == DOMAIN_CHARDEV_UNIX)
            channel->source.path = domain_channel_make_path("/run/vole", def, channel);
    }
    for (guint i = 0; i < def->vsocks->len; i++)
        if (!domain_vsock_at(def, i)->cid)
            domain_vsock_at(def, i)->cid = DOMAIN_MIN_CID;
    document = launch_document(def, NULL, 0, NULL);
    if (!document && domain_def_check_start(def, NULL))
        abort();
    live = domain_def_format(def, 0);
    check_fixed_point(live, DOMAIN_PARSE_LIVE, 0);
    g_clear_pointer(&live, g_free);
    live = domain_def_format(def, VIR_DOMAIN_XML_INACTIVE);
    check_fixed_point(live, DOMAIN_PARSE_DEFINITION, 0);
}

/* A change that goes well leaves a definition, or what domain_def_check() refuses. */
static void check_change(const domain_device *device,
                         bool (*change)(domain_def *def, const domain_device *device,
                                        GError **error))
{
    static const char base[] =
        "<domain type='kvm'><name>a</name><memory>65536</memory><iothreads>1</iothreads>"
        "<os><type>hvm</type><kernel>/k</kernel></os><devices>"
        "<disk type='file'><source file='/a'/><target dev='vda'/></disk>"
        "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>"
        "<interface type='user'><mac address='52:54:00:00:00:02'/></interface>"
        "<serial type='pty'/><console type='pty'><target type='virtio'/></console>"
        "<channel type='unix'><target type='virtio' name='a'/></channel>"
        "<rng model='virtio'><backend model='builtin'/></rng></devices></domain>";
    g_autoptr(domain_def) def = domain_def_parse(base, strlen(base), DOMAIN_PARSE_DEFINITION, NULL);
    g_autoptr(GError) error = NULL;

    if (change(def, device, &error) && domain_def_check(def, &error)) {
        g_autofree char *text = domain_def_format(def, 0);

        check_fixed_point(text, DOMAIN_PARSE_DEFINITION, 0);
    } else {
        check_refusal(error);
    }
}

static void check_device(const char *xml, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(domain_device) device = domain_device_parse(xml, size, &error);

    if (!device) {
        check_refusal(error);
        return;
    }
    check_change(device, domain_def_attach);
    check_change(device, domain_def_detach);
    check_change(device, domain_def_replace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned flags = DOMAIN_PARSE_DEFINITION;
    g_autoptr(GError) error = NULL;
    g_autoptr(domain_def) def = NULL;
    g_autofree char *text = NULL;

    if (size > 0 && data[0] == '+') {
        check_device((const char *)data + 1, size - 1);
        return 0;
    }
    if (size > 0 && data[0] == '!') {
        flags = DOMAIN_PARSE_LIVE;
        data++;
        size--;
    }
    def = domain_def_parse((const char *)data, size, flags, &error);
    if (!def) {
        check_refusal(error);
        return 0;
    }
    text = domain_def_format(def, 0);
    check_fixed_point(text, flags, 0);
    if (flags == DOMAIN_PARSE_DEFINITION)
        check_start(def);
    return 0;
}
