/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host: what it has, and what domains may have of it. */
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/cpus.h"
#include "libvirt-driver/host.h"

bool api_node_get_info(struct call *call, const wire_none *in, wire_node_info *out, GError **error)
{
    const struct host *host = call->daemon->host;
    const struct host_caps *caps = &host->caps;

    for (gsize i = 0; i < G_N_ELEMENTS(out->model) - 1 && caps->arch[i]; i++)
        out->model[i] = (guint8)caps->arch[i];
    out->memory = host->memory_kib;
    out->cpus = (int)host->online_cpus;
    out->mhz = (int)host->mhz;
    out->nodes = (int)caps->cell_count;
    out->sockets = (int)(caps->sockets * caps->dies);
    out->cores = (int)caps->cores;
    out->threads = (int)caps->threads;
    return true;
}

/* /dev/kvm may come and go: a module is loaded, rights change. */
static struct host_caps current_caps(struct call *call)
{
    struct host_caps caps = call->daemon->host->caps;

    caps.kvm_usable = host_kvm_usable();
    cpus_fill_caps(call->daemon->cpus, &caps);
    return caps;
}

bool api_connect_get_capabilities(struct call *call, const wire_none *in, wire_str *out,
                                  GError **error)
{
    struct host_caps caps = current_caps(call);

    out->value = caps_format(&caps);
    return true;
}

static const char *optional(wire_opt_string string)
{
    return string ? *string : NULL;
}

bool api_connect_get_domain_capabilities(struct call *call, const wire_domcaps_args *in,
                                         wire_str *out, GError **error)
{
    struct host_caps caps = current_caps(call);

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    out->value = domain_caps_format(&caps, optional(in->emulator), optional(in->arch),
                                    optional(in->machine), optional(in->virttype), error);
    return out->value != NULL;
}

bool api_node_get_free_memory(struct call *call, const wire_none *in, wire_ulong *out,
                              GError **error)
{
    out->value = host_free_memory(-1);
    return true;
}

bool api_node_get_cells_free_memory(struct call *call, const wire_cells_args *in, wire_cells *out,
                                    GError **error)
{
    const struct host_caps *caps = &call->daemon->host->caps;
    guint first = (guint)in->first;
    guint count;

    if (in->first < 0 || first >= caps->cell_count) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "start cell %d out of range (0-%u)",
                          in->first, caps->cell_count - 1);
        return false;
    }
    if (in->max < 0 || in->max > WIRE_CELLS_MAX) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "maxCells too large");
        return false;
    }
    count = MIN(caps->cell_count - first, (guint)in->max);
    out->free.free_val = g_new0(u_quad_t, count + 1);
    out->free.free_len = count;
    for (guint i = 0; i < count; i++)
        out->free.free_val[i] = host_free_memory((int)caps->cells[first + i].id);
    return true;
}

/* No security driver: domains are not confined by labels. */
bool api_node_get_security_model(struct call *call, const wire_none *in, wire_security_model *out,
                                 GError **error)
{
    static const char model[] = "none";
    static const char doi[] = "0";

    out->model.model_len = sizeof(model);
    out->model.model_val = g_new(int, sizeof(model));
    for (gsize i = 0; i < sizeof(model); i++)
        out->model.model_val[i] = (guint8)model[i];
    out->doi.doi_len = sizeof(doi);
    out->doi.doi_val = g_new(int, sizeof(doi));
    for (gsize i = 0; i < sizeof(doi); i++)
        out->doi.doi_val[i] = (guint8)doi[i];
    return true;
}

bool api_node_get_cpu_map(struct call *call, const wire_cpu_map_args *in, wire_cpu_map *out,
                          GError **error)
{
    const struct host *host = call->daemon->host;
    guint highest = host_highest_cpu(host);
    guint bytes = highest / 8 + 1;

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    if (in->need_map && bytes <= WIRE_CPUMAP_MAX) {
        out->map.map_val = g_malloc0(bytes);
        out->map.map_len = bytes;
        for (guint i = 0; i < host->cpus->len; i++) {
            guint id = g_array_index(host->cpus, struct host_cpu, i).id;

            out->map.map_val[id / 8] |= (char)(1 << (id % 8));
        }
    }
    out->online = in->need_online ? host->online_cpus : 0;
    out->count = (int)highest + 1;
    return true;
}

static void add_stat(wire_node_stats *out, const char *field, uint64_t value)
{
    out->stats.stats_val[out->stats.stats_len++] =
        (wire_node_stat){.field = g_strdup(field), .value = value};
}

/* Who asks with no room only wants to know how much there is; true when there is more to do. */
static bool room_for(wire_node_stats *out, int room, int count, GError **error)
{
    if (room == 0) {
        out->count = count;
        return false;
    }
    if (room != count) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "nparams must be equal to %d", count);
        return false;
    }
    out->stats.stats_val = g_new0(wire_node_stat, (gsize)count);
    out->count = count;
    return true;
}

bool api_node_get_cpu_stats(struct call *call, const wire_node_cpu_stats_args *in,
                            wire_node_stats *out, GError **error)
{
    struct host_cpu_time time;

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    if (in->cpu < VIR_NODE_CPU_STATS_ALL_CPUS || !host_cpu_time(in->cpu, &time)) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "Invalid cpuNum %d", in->cpu);
        return false;
    }
    if (!room_for(out, in->room, 4, error))
        return in->room == 0;
    add_stat(out, VIR_NODE_CPU_STATS_KERNEL, time.kernel);
    add_stat(out, VIR_NODE_CPU_STATS_USER, time.user);
    add_stat(out, VIR_NODE_CPU_STATS_IDLE, time.idle);
    add_stat(out, VIR_NODE_CPU_STATS_IOWAIT, time.iowait);
    return true;
}

static bool check_cell(const struct host_caps *caps, int cell, GError **error)
{
    for (guint i = 0; i < caps->cell_count; i++) {
        if ((int)caps->cells[i].id == cell)
            return true;
    }
    libvirt_error_set(error, VIR_ERR_INVALID_ARG, "cellNum %d is no cell of this host", cell);
    return false;
}

bool api_node_get_memory_stats(struct call *call, const wire_node_memory_stats_args *in,
                               wire_node_stats *out, GError **error)
{
    bool all = in->cell == VIR_NODE_MEMORY_STATS_ALL_CELLS;

    if (!api_check_flags(call, in->flags, 0, error) ||
        (!all && !check_cell(&call->daemon->host->caps, in->cell, error)))
        return false;
    if (!room_for(out, in->room, all ? 4 : 2, error))
        return in->room == 0;
    add_stat(out, VIR_NODE_MEMORY_STATS_TOTAL, host_meminfo(in->cell, "MemTotal"));
    add_stat(out, VIR_NODE_MEMORY_STATS_FREE, host_meminfo(in->cell, "MemFree"));
    if (all) {
        add_stat(out, VIR_NODE_MEMORY_STATS_BUFFERS, host_meminfo(-1, "Buffers"));
        add_stat(out, VIR_NODE_MEMORY_STATS_CACHED, host_meminfo(-1, "Cached"));
    }
    return true;
}

bool api_node_get_free_pages(struct call *call, const wire_free_pages_args *in,
                             wire_free_pages *out, GError **error)
{
    const struct host_caps *caps = &call->daemon->host->caps;
    guint sizes = in->sizes.sizes_len;
    guint cells;

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    if (in->first < 0 || (guint)in->first >= caps->cell_count) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "start cell %d out of range (0-%u)",
                          in->first, caps->cell_count - 1);
        return false;
    }
    cells = MIN(caps->cell_count - (guint)in->first, in->cells);
    if ((guint64)cells * sizes > WIRE_CELLS_MAX) {
        libvirt_error_set(error, VIR_ERR_RPC, "too many page counts asked for");
        return false;
    }
    out->counts.counts_val = g_new0(u_quad_t, (gsize)cells * sizes + 1);
    for (guint cell = 0; cell < cells; cell++) {
        for (guint i = 0; i < sizes; i++) {
            uint64_t count;

            if (!host_free_pages(caps->cells[(guint)in->first + cell].id, in->sizes.sizes_val[i],
                                 &count)) {
                libvirt_error_set(error, VIR_ERR_OPERATION_FAILED,
                                  "page size %u KiB is not available on this host",
                                  in->sizes.sizes_val[i]);
                return false;
            }
            out->counts.counts_val[out->counts.counts_len++] = count;
        }
    }
    return true;
}
