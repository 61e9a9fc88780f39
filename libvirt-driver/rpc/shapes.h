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
#define RPC_SHAPES(SHAPE)               \
    SHAPE(auth_types)                   \
    SHAPE(balloon_event)                \
    SHAPE(baseline_cpu_args)            \
    SHAPE(baseline_hypervisor_cpu_args) \
    SHAPE(block_info)                   \
    SHAPE(block_resize_args)            \
    SHAPE(block_stats)                  \
    SHAPE(callback_agent_event)         \
    SHAPE(callback_balloon_event)       \
    SHAPE(callback_dom)                 \
    SHAPE(callback_io_error_event)      \
    SHAPE(callback_io_reason_event)     \
    SHAPE(callback_lifecycle_event)     \
    SHAPE(callback_metadata_event)      \
    SHAPE(callback_tunable_event)       \
    SHAPE(cells)                        \
    SHAPE(cells_args)                   \
    SHAPE(console_args)                 \
    SHAPE(control_info)                 \
    SHAPE(cpu_map)                      \
    SHAPE(cpu_map_args)                 \
    SHAPE(cpu_models)                   \
    SHAPE(cpu_models_args)              \
    SHAPE(cpu_stats)                    \
    SHAPE(cpu_stats_args)               \
    SHAPE(disk_errors)                  \
    SHAPE(dom)                          \
    SHAPE(dom_flags)                    \
    SHAPE(dom_info)                     \
    SHAPE(dom_int)                      \
    SHAPE(dom_int_flags)                \
    SHAPE(dom_opt_str_flags)            \
    SHAPE(dom_state)                    \
    SHAPE(dom_str)                      \
    SHAPE(dom_str_flags)                \
    SHAPE(dom_uint)                     \
    SHAPE(dom_uint_flags)               \
    SHAPE(dom_ulong)                    \
    SHAPE(dom_ulong_flags)              \
    SHAPE(domains)                      \
    SHAPE(domcaps_args)                 \
    SHAPE(empty_list)                   \
    SHAPE(error)                        \
    SHAPE(event_register_args)          \
    SHAPE(flags)                        \
    SHAPE(free_pages)                   \
    SHAPE(free_pages_args)              \
    SHAPE(hypervisor_cpu_args)          \
    SHAPE(identity)                     \
    SHAPE(int)                          \
    SHAPE(interface_addresses)          \
    SHAPE(interface_stats)              \
    SHAPE(ints)                         \
    SHAPE(io_error_event)               \
    SHAPE(io_reason_event)              \
    SHAPE(iothreads)                    \
    SHAPE(job_info)                     \
    SHAPE(job_stats)                    \
    SHAPE(lifecycle_action_args)        \
    SHAPE(lifecycle_event)              \
    SHAPE(list_args)                    \
    SHAPE(memory_stats)                 \
    SHAPE(messages)                     \
    SHAPE(metadata_args)                \
    SHAPE(names)                        \
    SHAPE(node_cpu_stats_args)          \
    SHAPE(node_info)                    \
    SHAPE(node_memory_stats_args)       \
    SHAPE(node_stats)                   \
    SHAPE(opt_str)                      \
    SHAPE(opt_str_flags)                \
    SHAPE(params)                       \
    SHAPE(params_args)                  \
    SHAPE(params_count)                 \
    SHAPE(params_opt_str_args)          \
    SHAPE(params_str_args)              \
    SHAPE(pin_args)                     \
    SHAPE(pin_emulator_args)            \
    SHAPE(pin_vcpu_args)                \
    SHAPE(pins)                         \
    SHAPE(pool_args)                    \
    SHAPE(pool_event)                   \
    SHAPE(pool_event_args)              \
    SHAPE(pool_flags)                   \
    SHAPE(pool_info)                    \
    SHAPE(pool_int)                     \
    SHAPE(pool_list_args)               \
    SHAPE(pool_refresh_event)           \
    SHAPE(pool_sources_args)            \
    SHAPE(pool_str)                     \
    SHAPE(pool_str_flags)               \
    SHAPE(pools)                        \
    SHAPE(scheduler)                    \
    SHAPE(security_label)               \
    SHAPE(security_labels)              \
    SHAPE(security_model)               \
    SHAPE(set_metadata_args)            \
    SHAPE(set_params_args)              \
    SHAPE(set_params_flags_args)        \
    SHAPE(set_params_str_args)          \
    SHAPE(stats)                        \
    SHAPE(stats_args)                   \
    SHAPE(str)                          \
    SHAPE(str_flags)                    \
    SHAPE(ulong)                        \
    SHAPE(uuid)                         \
    SHAPE(vcpu_pins_args)               \
    SHAPE(vcpus)                        \
    SHAPE(vcpus_args)                   \
    SHAPE(volume_args)                  \
    SHAPE(volume_clone_args)            \
    SHAPE(volume_flags)                 \
    SHAPE(volume_info)                  \
    SHAPE(volume_resize_args)           \
    SHAPE(volume_transfer_args)         \
    SHAPE(volume_wipe_args)             \
    SHAPE(volumes)

#define RPC_DECLARE_SHAPE(shape) extern const struct rpc_shape rpc_shape_##shape;
RPC_SHAPES(RPC_DECLARE_SHAPE)
#undef RPC_DECLARE_SHAPE
extern const struct rpc_shape rpc_shape_none;

/* Frees what a value points to and zeroes it; the memory of the value itself is the caller's.
 * Strings and arrays in it come from malloc, which is what GLib's allocators use too. */
void rpc_value_clear(const struct rpc_shape *shape, void *value);

#endif
