/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices that are soon said: <rng>, <memballoon>, <vsock> and <panic>. */
#include <string.h>

#include "xml/domain_devices.h"
#include "xml/domain_values.h"

#define ONLY_MODERN "devices are virtio 1.x without a bus; the model is 'virtio'"
#define NO_DRIVER   "the device cannot be tuned"

static const struct xml_value virtio_models[] = {
    {"virtio", 0},
    {"virtio-transitional", 0, ONLY_MODERN},
    {"virtio-non-transitional", 0, ONLY_MODERN},
    {},
};

/* ---- <rng> ---- */

static bool read_rng_backend(xmlNode *node, void *target, GError **error)
{
    static const struct xml_value models[] = {
        {"random", false},
        {"builtin", true},
        {"egd", 0, "entropy is read from a file of the host"},
        {},
    };
    struct domain_rng *rng = ((struct device_parser *)target)->rng;
    int builtin = -1;

    if (!xml_enum_attribute(node, "model", models, &builtin, error))
        return false;
    if (builtin < 0)
        return xml_invalid(error, node, "missing RNG device backend model");
    if (!domain_read_path(node, &rng->source, error))
        return false;
    if (builtin && rng->source)
        return xml_invalid(error, node, "the backend 'builtin' has no path");
    rng->builtin = builtin;
    return true;
}

static const struct xml_element rng_elements[] = {
    {"backend", "model", XML_ONCE | XML_TEXT, read_rng_backend},
    {"alias", "name", XML_ONCE | XML_EMPTY, domain_read_alias},
    {"address", DOMAIN_ADDRESS_ATTRIBUTES, XML_ONCE | XML_EMPTY, domain_read_address},
    {"rate", .refused = "the rate is not limited"},
    {"driver", .refused = NO_DRIVER},
    {},
};

bool domain_read_rng(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;
    int model = -1;

    if (parser->def->rngs->len > 0)
        return xml_refuse(error, node, "a microVM has at most one entropy device");
    if (!xml_enum_attribute(node, "model", virtio_models, &model, error))
        return false;
    if (model < 0) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "missing RNG device model");
        return false;
    }
    g_autoptr(domain_rng) rng = g_new0(struct domain_rng, 1);
    struct device_parser device = {.live = parser->live, .info = &rng->info, .rng = rng};

    if (!xml_read_children(node, rng_elements, &device, error))
        return false;
    if (!rng->source)
        rng->source = g_strdup("/dev/urandom");
    g_ptr_array_add(parser->def->rngs, g_steal_pointer(&rng));
    return true;
}

/* ---- <memballoon> ---- */

static bool read_stats(xmlNode *node, void *target, GError **error)
{
    struct domain_memballoon *balloon = ((struct device_parser *)target)->memballoon;

    if (!xmlHasProp(node, BAD_CAST "period"))
        return xml_invalid(error, node, "missing attribute 'period'");
    return xml_ranged_attribute(node, "period", 0, G_MAXINT, &balloon->stats_period, error);
}

static const struct xml_element memballoon_elements[] = {
    {"stats", "period", XML_ONCE | XML_EMPTY, read_stats},
    {"alias", "name", XML_ONCE | XML_EMPTY, domain_read_alias},
    {"address", DOMAIN_ADDRESS_ATTRIBUTES, XML_ONCE | XML_EMPTY, domain_read_address},
    {"driver", .refused = NO_DRIVER},
    {},
};

static const struct xml_element no_memballoon_elements[] = {{}};

bool domain_read_memballoon(xmlNode *node, void *target, GError **error)
{
    static const struct xml_value models[] = {
        {"virtio", false},
        {"none", true},
        {"virtio-transitional", 0, ONLY_MODERN},
        {"virtio-non-transitional", 0, ONLY_MODERN},
        {"xen", 0, "the model is 'virtio' or 'none'"},
        {},
    };
    struct domain_parser *parser = target;
    struct domain_memballoon *balloon = &parser->def->memballoon;
    struct device_parser device = {
        .live = parser->live, .info = &balloon->info, .memballoon = balloon};
    int none = -1;
    int autodeflate = DOMAIN_SWITCH_ABSENT;
    int reporting = DOMAIN_SWITCH_ABSENT;

    if (!xml_enum_attribute(node, "model", models, &none, error))
        return false;
    if (none < 0)
        return xml_invalid(error, node, "missing attribute 'model'");
    balloon->none = none;
    if (none)
        return xml_check_attributes(node, "model", error) &&
               xml_read_children(node, no_memballoon_elements, NULL, error);
    if (!xml_enum_attribute(node, "autodeflate", domain_switch_values, &autodeflate, error) ||
        !xml_enum_attribute(node, "freePageReporting", domain_switch_values, &reporting, error))
        return false;
    balloon->autodeflate = (enum domain_switch)autodeflate;
    balloon->free_page_reporting = (enum domain_switch)reporting;
    return xml_read_children(node, memballoon_elements, &device, error);
}

/* ---- <vsock> ---- */

static bool read_cid(xmlNode *node, void *target, GError **error)
{
    struct device_parser *parser = target;
    struct domain_vsock *vsock = parser->vsock;
    int auto_cid = DOMAIN_SWITCH_ABSENT;
    unsigned address = 0;

    if (!xml_enum_attribute(node, "auto", domain_yes_no_values, &auto_cid, error) ||
        !xml_ranged_attribute(node, "address", DOMAIN_MIN_CID, DOMAIN_MAX_CID, &address, error))
        return false;
    vsock->auto_cid = (enum domain_switch)auto_cid;
    if (auto_cid != DOMAIN_SWITCH_ON || parser->live)
        vsock->cid = address;
    return true;
}

static const struct xml_element vsock_elements[] = {
    {"cid", "auto address", XML_ONCE | XML_EMPTY, read_cid},
    {"alias", "name", XML_ONCE | XML_EMPTY, domain_read_alias},
    {"address", DOMAIN_ADDRESS_ATTRIBUTES, XML_ONCE | XML_EMPTY, domain_read_address},
    {"driver", .refused = NO_DRIVER},
    {},
};

bool domain_read_vsock(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;
    int model;

    if (parser->def->vsocks->len > 0)
        return xml_refuse(error, node, "a microVM has at most one vsock device");
    if (!xml_enum_attribute(node, "model", virtio_models, &model, error))
        return false;
    g_autoptr(domain_vsock) vsock = g_new0(struct domain_vsock, 1);
    struct device_parser device = {.live = parser->live, .info = &vsock->info, .vsock = vsock};

    if (!xml_read_children(node, vsock_elements, &device, error))
        return false;
    /* As in libvirt, who gives no address wants one to be found. */
    if (vsock->auto_cid == DOMAIN_SWITCH_ABSENT)
        vsock->auto_cid = vsock->cid ? DOMAIN_SWITCH_OFF : DOMAIN_SWITCH_ON;
    if (vsock->auto_cid == DOMAIN_SWITCH_OFF && !vsock->cid)
        return xml_invalid(error, node, "there is no address, and none is to be found");
    g_ptr_array_add(parser->def->vsocks, g_steal_pointer(&vsock));
    return true;
}

/* ---- <panic> ---- */

static bool read_panic_address(xmlNode *node, void *target, GError **error)
{
    g_autofree char *type = xml_attribute(node, "type");
    g_autofree char *iobase = xml_attribute(node, "iobase");

    if (!type || strcmp(type, "isa") != 0)
        return xml_refuse(error, node, "a panic device is a port: its address is of type 'isa'");
    if (iobase && strcmp(iobase, DOMAIN_PANIC_PORT) != 0)
        return xml_refuse_attribute(error, node, "iobase",
                                    "a panic device's port is " DOMAIN_PANIC_PORT);
    return true;
}

static const struct xml_element panic_elements[] = {
    {"alias", "name", XML_ONCE | XML_EMPTY, domain_read_alias},
    {"address", "type iobase", XML_ONCE | XML_EMPTY, read_panic_address},
    {},
};

bool domain_read_panic(xmlNode *node, void *target, GError **error)
{
    static const struct xml_value models[] = {
        {"isa", 0},
        {"pvpanic", 0},
        {"pseries", 0, "this is for other architectures; the model is 'isa'"},
        {"hyperv", 0, "this is for guests that are not Linux; the model is 'isa'"},
        {"s390", 0, "this is for other architectures; the model is 'isa'"},
        {},
    };
    struct domain_parser *parser = target;
    int model;

    if (parser->def->panics->len > 0)
        return xml_refuse(error, node, "a microVM has at most one panic device");
    if (!xml_enum_attribute(node, "model", models, &model, error))
        return false;
    g_autoptr(domain_panic) panic = g_new0(struct domain_panic, 1);
    struct device_parser device = {.live = parser->live, .info = &panic->info};

    if (!xml_read_children(node, panic_elements, &device, error))
        return false;
    g_ptr_array_add(parser->def->panics, g_steal_pointer(&panic));
    return true;
}
