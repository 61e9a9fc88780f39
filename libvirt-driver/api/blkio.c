/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Block I/O parameters: what a domain may have of the host's block devices, which its control group
 * carries out. Limits of devices come as one string, "/dev/sda,1000,/dev/sdb,2000". Only what is
 * named changes, and 0 takes a device's limit away.
 */
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/api/params.h"
#include "libvirt-driver/vmm/cgroup.h"

/* What the kernel has without a limit. */
#define WEIGHT_DEFAULT 100
#define DEVICES_MAX    256

static const char *const limit_names[] = {
    [DOMAIN_BLKIO_READ_BYTES] = VIR_DOMAIN_BLKIO_DEVICE_READ_BPS,
    [DOMAIN_BLKIO_WRITE_BYTES] = VIR_DOMAIN_BLKIO_DEVICE_WRITE_BPS,
    [DOMAIN_BLKIO_READ_IOPS] = VIR_DOMAIN_BLKIO_DEVICE_READ_IOPS,
    [DOMAIN_BLKIO_WRITE_IOPS] = VIR_DOMAIN_BLKIO_DEVICE_WRITE_IOPS,
};
G_STATIC_ASSERT(G_N_ELEMENTS(limit_names) == DOMAIN_BLKIO_LIMITS);

static const struct param_spec specs[] = {
    {VIR_DOMAIN_BLKIO_WEIGHT, VIR_TYPED_PARAM_UINT},
    {VIR_DOMAIN_BLKIO_DEVICE_WEIGHT, VIR_TYPED_PARAM_STRING},
    {VIR_DOMAIN_BLKIO_DEVICE_READ_IOPS, VIR_TYPED_PARAM_STRING},
    {VIR_DOMAIN_BLKIO_DEVICE_WRITE_IOPS, VIR_TYPED_PARAM_STRING},
    {VIR_DOMAIN_BLKIO_DEVICE_READ_BPS, VIR_TYPED_PARAM_STRING},
    {VIR_DOMAIN_BLKIO_DEVICE_WRITE_BPS, VIR_TYPED_PARAM_STRING},
};

/* ---- changing ---- */

static bool bad_value(GError **error, const char *text, const char *parameter)
{
    libvirt_error_set(error, VIR_ERR_INVALID_ARG, "unable to parse blkio device '%s' '%s'",
                      parameter, text);
    return false;
}

/* `limit` of DOMAIN_BLKIO_LIMITS is the weight. */
static bool set_one(domain_def *def, const char *path, const char *number, unsigned limit,
                    GError **error)
{
    bool is_weight = limit == DOMAIN_BLKIO_LIMITS;
    uint64_t max = is_weight ? G_MAXUINT : domain_blkio_limit_max(limit);
    struct domain_blkio_device *device;
    guint64 value;

    if (path[0] != '/' || !number || !g_ascii_string_to_unsigned(number, 10, 0, max, &value, NULL))
        return bad_value(error, number ? number : path, is_weight ? "weight" : limit_names[limit]);
    if (is_weight && value && !domain_blkio_weight_check(value, error))
        return false;
    device = domain_blkio_add(def, path);
    if (is_weight)
        device->weight = (unsigned)value;
    else
        device->limits[limit] = value;
    return true;
}

static bool edit_devices(domain_def *def, const char *text, unsigned limit, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", 2 * DEVICES_MAX + 1);

    for (guint i = 0; words[i]; i += 2) {
        if (i == 2 * DEVICES_MAX)
            return bad_value(error, words[i], "list");
        if (!set_one(def, words[i], words[i + 1], limit, error))
            return false;
        if (!words[i + 1])
            break;
    }
    return true;
}

static const char *string_of(const struct params *params, const char *name)
{
    const wire_param *param = params_find(params, name);

    return param ? param->value.wire_value_u.s : NULL;
}

static const wire_param *weight_of(const struct params *params)
{
    return params_find(params, VIR_DOMAIN_BLKIO_WEIGHT);
}

/* Devices without limits stay in the list: what holds for them in the kernel has to go, too. */
static bool edit_all(domain_def *def, const struct params *params, GError **error)
{
    const wire_param *weight = weight_of(params);
    const char *weights = string_of(params, VIR_DOMAIN_BLKIO_DEVICE_WEIGHT);

    if (weight) {
        if (!domain_blkio_weight_check(weight->value.wire_value_u.ui, error))
            return false;
        def->blkio_weight = weight->value.wire_value_u.ui;
    }
    if (weights && !edit_devices(def, weights, DOMAIN_BLKIO_LIMITS, error))
        return false;
    for (unsigned i = 0; i < DOMAIN_BLKIO_LIMITS; i++) {
        const char *text = string_of(params, limit_names[i]);

        if (text && !edit_devices(def, text, i, error))
            return false;
    }
    return true;
}

static bool edit_blkio(domain_def *def, bool running, const void *what, GError **error)
{
    if (!edit_all(def, what, error))
        return false;
    domain_blkio_drop_empty(def);
    return true;
}

static bool apply_blkio(struct domain *domain, const void *what, GError **error)
{
    g_autoptr(domain_def) wanted = domain_def_copy(domain->live);

    if (!edit_all(wanted, what, error))
        return false;
    if (weight_of(what) && !cgroup_set_io_weight(domain->cgroup, wanted->blkio_weight, error))
        return false;
    for (guint i = 0; i < wanted->blkio_devices->len; i++) {
        if (!cgroup_set_io(domain->cgroup, domain_blkio_device_at(wanted, i), error))
            return false;
    }
    return true;
}

bool api_domain_set_blkio_parameters(struct call *call, const wire_set_params_flags_args *in,
                                     wire_none *out, GError **error)
{
    static const struct edit edit = {edit_blkio, apply_blkio};
    const struct params params = {in->params.params_val, in->params.params_len};

    return api_check_flags(call, in->flags, API_IMPACT, error) &&
           params_check(&params, specs, G_N_ELEMENTS(specs), error) &&
           api_edit(call, &in->dom, &edit, &params, in->flags, error);
}

/* ---- asking ---- */

static uint64_t value_of(const struct domain_blkio_device *device, unsigned limit)
{
    return limit == DOMAIN_BLKIO_LIMITS ? device->weight : device->limits[limit];
}

static void add_devices(GArray *params, const domain_def *def, const char *name, unsigned limit)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < def->blkio_devices->len; i++) {
        const struct domain_blkio_device *device = domain_blkio_device_at(def, i);

        if (value_of(device, limit))
            g_string_append_printf(text, "%s%s,%" G_GUINT64_FORMAT, text->len ? "," : "",
                                   device->path, value_of(device, limit));
    }
    params_add_string(params, text->str, "%s", name);
}

bool api_domain_get_blkio_parameters(struct call *call, const wire_params_args *in,
                                     wire_params_count *out, GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    const domain_def *def;
    GArray *params;

    domain = api_domain_def_for_params(call, &in->dom, in->flags, &def, error);
    if (!domain)
        return false;
    if (def == domain->live && !cgroup_has(domain->cgroup, CGROUP_IO)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "blkio cgroup isn't mounted");
        return false;
    }
    params = params_new();
    params_add_uint(params, def->blkio_weight ? def->blkio_weight : WEIGHT_DEFAULT, "%s",
                    VIR_DOMAIN_BLKIO_WEIGHT);
    add_devices(params, def, VIR_DOMAIN_BLKIO_DEVICE_WEIGHT, DOMAIN_BLKIO_LIMITS);
    add_devices(params, def, VIR_DOMAIN_BLKIO_DEVICE_READ_IOPS, DOMAIN_BLKIO_READ_IOPS);
    add_devices(params, def, VIR_DOMAIN_BLKIO_DEVICE_WRITE_IOPS, DOMAIN_BLKIO_WRITE_IOPS);
    add_devices(params, def, VIR_DOMAIN_BLKIO_DEVICE_READ_BPS, DOMAIN_BLKIO_READ_BYTES);
    add_devices(params, def, VIR_DOMAIN_BLKIO_DEVICE_WRITE_BPS, DOMAIN_BLKIO_WRITE_BYTES);
    params_answer(params, in->room, out);
    return true;
}
