/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <iotune>: a disk's limits, by libvirt's names. */
#include <string.h>

#include "xml/domain_devices.h"

/* What a VMM takes (vmm/throttle.c), and libvirt as well. */
#define LIMIT_MAX UINT64_C(1000000000000000)

#define NAMES(suffix)                                                            \
    "total_bytes_sec" suffix, "read_bytes_sec" suffix, "write_bytes_sec" suffix, \
        "total_iops_sec" suffix, "read_iops_sec" suffix, "write_iops_sec" suffix

static const char *const names[] = {NAMES(""), NAMES("_max"), NAMES("_max_length"),
                                    "size_iops_sec"};
G_STATIC_ASSERT(G_N_ELEMENTS(names) == DOMAIN_IOTUNE_LAST);
G_STATIC_ASSERT(DOMAIN_IOTUNE_RATES == 6);

const char *domain_iotune_name(enum domain_iotune_limit limit)
{
    return names[limit];
}

static bool read_limit(xmlNode *node, void *target, GError **error)
{
    struct domain_iotune *iotune = target;
    unsigned i = 0;

    while (strcmp(names[i], (const char *)node->name) != 0)
        i++; /* it is there: iotune_elements has no others but the group's name */
    return xml_text_number(node, LIMIT_MAX, &iotune->limits[i], error);
}

#define LIMITS(suffix)                                                     \
    {"total_bytes_sec" suffix, NULL, XML_ONCE | XML_TEXT, read_limit},     \
        {"read_bytes_sec" suffix, NULL, XML_ONCE | XML_TEXT, read_limit},  \
        {"write_bytes_sec" suffix, NULL, XML_ONCE | XML_TEXT, read_limit}, \
        {"total_iops_sec" suffix, NULL, XML_ONCE | XML_TEXT, read_limit},  \
        {"read_iops_sec" suffix, NULL, XML_ONCE | XML_TEXT, read_limit},   \
    {                                                                      \
        "write_iops_sec" suffix, NULL, XML_ONCE | XML_TEXT, read_limit     \
    }

static const struct xml_element iotune_elements[] = {
    LIMITS(""),
    LIMITS("_max"),
    LIMITS("_max_length"),
    {"size_iops_sec", NULL, XML_ONCE | XML_TEXT, read_limit},
    {"group_name", .refused = "each disk has limits of its own"},
    {},
};

bool domain_read_iotune(xmlNode *node, void *target, GError **error)
{
    struct domain_iotune *iotune = &((struct device_parser *)target)->disk->iotune;

    return xml_read_children(node, iotune_elements, iotune, error) &&
           domain_iotune_check(iotune, error);
}

/* `total` is one of the limits of both directions; those for reads and writes follow it. */
static bool check_total(const uint64_t *limits, unsigned total, const char *what, GError **error)
{
    if (!limits[total] || (!limits[total + 1] && !limits[total + 2]))
        return true;
    libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                      "total and read/write %s cannot be set at the same time", what);
    return false;
}

static bool check_burst(const uint64_t *limits, unsigned rate, GError **error)
{
    unsigned max = DOMAIN_IOTUNE_MAX + rate;
    unsigned length = DOMAIN_IOTUNE_MAX_LENGTH + rate;

    if (limits[max] && !limits[rate])
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "value '%s' cannot be set if '%s' is not set", names[max], names[rate]);
    else if (limits[max] && limits[max] < limits[rate])
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "value '%s' cannot be smaller than '%s'", names[max], names[rate]);
    else if (limits[length] && !limits[max])
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "value '%s' cannot be set if '%s' is not set", names[length], names[max]);
    else if (limits[max] && limits[length] > LIMIT_MAX / limits[max])
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "value '%s' is too long for '%s'",
                          names[length], names[max]);
    else
        return true;
    return false;
}

bool domain_iotune_check(const struct domain_iotune *iotune, GError **error)
{
    const uint64_t *limits = iotune->limits;

    for (unsigned i = 0; i < DOMAIN_IOTUNE_LAST; i++) {
        if (limits[i] <= LIMIT_MAX)
            continue;
        libvirt_error_set(error, VIR_ERR_OVERFLOW,
                          "block I/O throttle limit must be no more than %" G_GUINT64_FORMAT,
                          LIMIT_MAX);
        return false;
    }
    if (!check_total(limits, DOMAIN_IOTUNE_TOTAL_BYTES, "bytes_sec", error) ||
        !check_total(limits, DOMAIN_IOTUNE_TOTAL_IOPS, "iops_sec", error))
        return false;
    for (unsigned i = 0; i < DOMAIN_IOTUNE_RATES; i++)
        if (!check_burst(limits, i, error))
            return false;
    if (limits[DOMAIN_IOTUNE_SIZE_IOPS] && !limits[DOMAIN_IOTUNE_TOTAL_IOPS] &&
        !limits[DOMAIN_IOTUNE_READ_IOPS] && !limits[DOMAIN_IOTUNE_WRITE_IOPS]) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "value 'size_iops_sec' cannot be set if no limit of operations is set");
        return false;
    }
    return true;
}
