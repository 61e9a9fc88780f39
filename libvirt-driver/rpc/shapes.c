/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/rpc/shapes.h"

#include <string.h>

#define DEFINE_SHAPE(shape)                           \
    static bool filter_##shape(XDR *xdr, void *value) \
    {                                                 \
        return xdr_wire_##shape(xdr, value);          \
    }                                                 \
    const struct rpc_shape rpc_shape_##shape = {      \
        .name = #shape,                               \
        .size = sizeof(wire_##shape),                 \
        .filter = filter_##shape,                     \
    };
RPC_SHAPES(DEFINE_SHAPE)

static bool filter_none(XDR *xdr, void *value)
{
    (void)xdr;
    (void)value;
    return true;
}

const struct rpc_shape rpc_shape_none = {.name = "none", .size = 0, .filter = filter_none};

void rpc_value_clear(const struct rpc_shape *shape, void *value)
{
    XDR xdr = {.x_op = XDR_FREE};

    if (!shape->size)
        return;
    shape->filter(&xdr, value);
    memset(value, 0, shape->size);
}
