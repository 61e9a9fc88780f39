/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <blkiotune>: what a domain may have of the host's block devices, whichever disks are on them. */
#include <string.h>

#include "xml/domain_priv.h"

#define WEIGHT_MIN 1
#define WEIGHT_MAX 10000 /* cgroup v2's io.weight */

static const char *const names[] = {
    [DOMAIN_BLKIO_READ_BYTES] = "read_bytes_sec",
    [DOMAIN_BLKIO_WRITE_BYTES] = "write_bytes_sec",
    [DOMAIN_BLKIO_READ_IOPS] = "read_iops_sec",
    [DOMAIN_BLKIO_WRITE_IOPS] = "write_iops_sec",
};
G_STATIC_ASSERT(G_N_ELEMENTS(names) == DOMAIN_BLKIO_LIMITS);

const char *domain_blkio_name(enum domain_blkio_limit limit)
{
    return names[limit];
}

void domain_blkio_device_free(struct domain_blkio_device *device)
{
    if (device)
        g_free(device->path);
    g_free(device);
}

static struct domain_blkio_device *find_device(const domain_def *def, const char *path)
{
    for (guint i = 0; i < def->blkio_devices->len; i++) {
        struct domain_blkio_device *device = domain_blkio_device_at(def, i);

        if (strcmp(device->path, path) == 0)
            return device;
    }
    return NULL;
}

struct domain_blkio_device *domain_blkio_add(domain_def *def, const char *path)
{
    struct domain_blkio_device *device = find_device(def, path);

    if (!device) {
        device = g_new0(struct domain_blkio_device, 1);
        device->path = g_strdup(path);
        g_ptr_array_add(def->blkio_devices, device);
    }
    return device;
}

void domain_blkio_drop_empty(domain_def *def)
{
    static const uint64_t none[DOMAIN_BLKIO_LIMITS];

    for (guint i = def->blkio_devices->len; i-- > 0;) {
        const struct domain_blkio_device *device = domain_blkio_device_at(def, i);

        if (!device->weight && memcmp(device->limits, none, sizeof(none)) == 0)
            g_ptr_array_remove_index(def->blkio_devices, i);
    }
}

bool domain_blkio_weight_check(uint64_t weight, GError **error)
{
    if (weight >= WEIGHT_MIN && weight <= WEIGHT_MAX)
        return true;
    libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                      "Invalid value '%" G_GUINT64_FORMAT
                      "' for 'blkio.weight': must be in range [%d, %d]",
                      weight, WEIGHT_MIN, WEIGHT_MAX);
    return false;
}

static bool read_weight(xmlNode *node, unsigned *weight, GError **error)
{
    uint64_t value = 0;

    if (!xml_text_number(node, G_MAXUINT, &value, error))
        return false;
    *weight = (unsigned)value;
    return value == 0 || domain_blkio_weight_check(value, error);
}

static bool read_own_weight(xmlNode *node, void *target, GError **error)
{
    return read_weight(node, &((domain_def *)target)->blkio_weight, error);
}

static bool read_device_weight(xmlNode *node, void *target, GError **error)
{
    return read_weight(node, &((struct domain_blkio_device *)target)->weight, error);
}

static bool read_path(xmlNode *node, void *target, GError **error)
{
    return domain_read_path(node, &((struct domain_blkio_device *)target)->path, error);
}

static bool read_limit(xmlNode *node, void *target, GError **error)
{
    struct domain_blkio_device *device = target;
    unsigned i = 0;

    while (strcmp(names[i], (const char *)node->name) != 0)
        i++; /* it is there: device_elements has no others */
    return xml_text_number(node, domain_blkio_limit_max(i), &device->limits[i], error);
}

uint64_t domain_blkio_limit_max(enum domain_blkio_limit limit)
{
    return limit == DOMAIN_BLKIO_READ_BYTES || limit == DOMAIN_BLKIO_WRITE_BYTES ? G_MAXINT64
                                                                                 : G_MAXUINT;
}

static const struct xml_element device_elements[] = {
    {"path", NULL, XML_ONCE | XML_TEXT, read_path},
    {"weight", NULL, XML_ONCE | XML_TEXT, read_device_weight},
    {"read_bytes_sec", NULL, XML_ONCE | XML_TEXT, read_limit},
    {"write_bytes_sec", NULL, XML_ONCE | XML_TEXT, read_limit},
    {"read_iops_sec", NULL, XML_ONCE | XML_TEXT, read_limit},
    {"write_iops_sec", NULL, XML_ONCE | XML_TEXT, read_limit},
    {},
};

static bool read_device(xmlNode *node, void *target, GError **error)
{
    domain_def *def = target;
    struct domain_blkio_device *device = g_new0(struct domain_blkio_device, 1);
    bool ok = xml_read_children(node, device_elements, device, error);

    if (ok && !device->path) {
        xml_invalid(error, node, "a device is named by its <path>");
    } else if (ok && find_device(def, device->path)) {
        xml_invalid(error, node, "the device '%s' is given twice", device->path);
    } else if (ok) {
        g_ptr_array_add(def->blkio_devices, device);
        return true;
    }
    domain_blkio_device_free(device);
    return false;
}

static const struct xml_element blkiotune_elements[] = {
    {"weight", NULL, XML_ONCE | XML_TEXT, read_own_weight},
    {"device", NULL, 0, read_device},
    {},
};

bool domain_read_blkiotune(xmlNode *node, void *target, GError **error)
{
    domain_def *def = ((struct domain_parser *)target)->def;

    if (!xml_read_children(node, blkiotune_elements, def, error))
        return false;
    domain_blkio_drop_empty(def);
    return true;
}
