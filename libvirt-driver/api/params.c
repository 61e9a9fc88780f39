/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/api/params.h"

#include <libvirt/libvirt.h>
#include <string.h>

#include "libvirt-driver/rpc/shapes.h"
#include "xml/error.h"

GArray *params_new(void)
{
    return g_array_new(FALSE, TRUE, sizeof(wire_param));
}

/* Everything in wire_params is freed with the array's memory. */
void params_free(GArray *params)
{
    wire_params all = {.params.params_len = params->len};

    all.params.params_val = (wire_param *)(void *)g_array_free(params, FALSE);
    rpc_value_clear(&rpc_shape_params, &all);
}

wire_param *params_take(GArray *params, u_int *len)
{
    *len = params->len;
    return (wire_param *)(void *)g_array_free(params, FALSE);
}

void params_answer(GArray *params, int room, wire_params_count *out)
{
    out->count = (int)params->len;
    if (room <= 0) {
        params_free(params);
        return;
    }
    while (params->len > (guint)room) {
        g_free(g_array_index(params, wire_param, params->len - 1).field);
        g_array_set_size(params, params->len - 1);
    }
    out->params.params_val = params_take(params, &out->params.params_len);
    out->count = (int)out->params.params_len;
}

/* The value of a new member whose name comes from a format and its arguments. */
#define ADD(params, wire_type, format)                                            \
    ({                                                                            \
        wire_param added = {.value.type = (wire_type)};                           \
        va_list arguments;                                                        \
                                                                                  \
        va_start(arguments, format);                                              \
        added.field = g_strdup_vprintf(format, arguments);                        \
        va_end(arguments);                                                        \
        g_array_append_val(params, added);                                        \
        &g_array_index(params, wire_param, (params)->len - 1).value.wire_value_u; \
    })

void params_add_int(GArray *params, int value, const char *format, ...)
{
    ADD(params, VIR_TYPED_PARAM_INT, format)->i = value;
}

void params_add_uint(GArray *params, unsigned value, const char *format, ...)
{
    ADD(params, VIR_TYPED_PARAM_UINT, format)->ui = value;
}

void params_add_long(GArray *params, int64_t value, const char *format, ...)
{
    ADD(params, VIR_TYPED_PARAM_LLONG, format)->l = value;
}

void params_add_ulong(GArray *params, uint64_t value, const char *format, ...)
{
    ADD(params, VIR_TYPED_PARAM_ULLONG, format)->ul = value;
}

void params_add_string(GArray *params, const char *value, const char *format, ...)
{
    ADD(params, VIR_TYPED_PARAM_STRING, format)->s = g_strdup(value);
}

static const char *type_name(int type)
{
    static const char *const names[] = {
        [VIR_TYPED_PARAM_INT] = "int",       [VIR_TYPED_PARAM_UINT] = "uint",
        [VIR_TYPED_PARAM_LLONG] = "llong",   [VIR_TYPED_PARAM_ULLONG] = "ullong",
        [VIR_TYPED_PARAM_DOUBLE] = "double", [VIR_TYPED_PARAM_BOOLEAN] = "boolean",
        [VIR_TYPED_PARAM_STRING] = "string",
    };

    return type > 0 && (gsize)type < G_N_ELEMENTS(names) ? names[type] : "unknown";
}

static const struct param_spec *find_spec(const char *name, const struct param_spec *specs,
                                          gsize count)
{
    for (gsize i = 0; i < count; i++) {
        if (strcmp(specs[i].name, name) == 0)
            return &specs[i];
    }
    return NULL;
}

bool params_check(const struct params *params, const struct param_spec *specs, gsize spec_count,
                  GError **error)
{
    for (guint i = 0; i < params->len; i++) {
        const wire_param *param = &params->list[i];
        const struct params before = {params->list, i};
        const struct param_spec *spec = find_spec(param->field, specs, spec_count);

        if (!spec) {
            libvirt_error_set(error, VIR_ERR_INVALID_ARG, "parameter '%s' not supported",
                              param->field);
            return false;
        }
        if (spec->type != param->value.type) {
            libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                              "invalid type '%s' for parameter '%s', expected '%s'",
                              type_name(param->value.type), param->field, type_name(spec->type));
            return false;
        }
        if (params_find(&before, param->field)) {
            libvirt_error_set(error, VIR_ERR_INVALID_ARG, "parameter '%s' occurs multiple times",
                              param->field);
            return false;
        }
    }
    return true;
}

const wire_param *params_find(const struct params *params, const char *name)
{
    for (guint i = 0; i < params->len; i++) {
        if (strcmp(params->list[i].field, name) == 0)
            return &params->list[i];
    }
    return NULL;
}
