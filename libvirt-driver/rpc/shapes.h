/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A shape is a group of fields of protocol.x as data: its size in memory and its XDR filter, so
 * that one piece of code decodes, encodes and releases what any procedure takes or gives.
 */
#ifndef VOLE_RPC_SHAPES_H
#define VOLE_RPC_SHAPES_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/rpc/protocol.h"

struct rpc_shape {
    const char *name;
    gsize size;
    bool (*filter)(XDR *xdr, void *value);
};

/* No arguments, or no result. */
typedef void wire_none;

/* Every shape that a packet's payload can have. */
#define RPC_SHAPES(SHAPE)           \
    SHAPE(auth_types)               \
    SHAPE(callback_dom)             \
    SHAPE(callback_lifecycle_event) \
    SHAPE(cells)                    \
    SHAPE(cells_args)               \
    SHAPE(console_args)             \
    SHAPE(cpu_map)                  \
    SHAPE(cpu_map_args)             \
    SHAPE(dom)                      \
    SHAPE(dom_flags)                \
    SHAPE(dom_info)                 \
    SHAPE(dom_int)                  \
    SHAPE(dom_state)                \
    SHAPE(domains)                  \
    SHAPE(domcaps_args)             \
    SHAPE(error)                    \
    SHAPE(event_register_args)      \
    SHAPE(identity)                 \
    SHAPE(int)                      \
    SHAPE(ints)                     \
    SHAPE(lifecycle_event)          \
    SHAPE(list_args)                \
    SHAPE(messages)                 \
    SHAPE(metadata_args)            \
    SHAPE(names)                    \
    SHAPE(node_info)                \
    SHAPE(opt_str)                  \
    SHAPE(opt_str_flags)            \
    SHAPE(security_label)           \
    SHAPE(security_model)           \
    SHAPE(stats)                    \
    SHAPE(stats_args)               \
    SHAPE(str)                      \
    SHAPE(str_flags)                \
    SHAPE(ulong)                    \
    SHAPE(uuid)                     \
    SHAPE(vcpus)                    \
    SHAPE(vcpus_args)

#define RPC_DECLARE_SHAPE(shape) extern const struct rpc_shape rpc_shape_##shape;
RPC_SHAPES(RPC_DECLARE_SHAPE)
#undef RPC_DECLARE_SHAPE
extern const struct rpc_shape rpc_shape_none;

/* Frees what a value points to and zeroes it; the memory of the value itself is the caller's.
 * Strings and arrays in it come from malloc, which is what GLib's allocators use too. */
void rpc_value_clear(const struct rpc_shape *shape, void *value);

#endif
