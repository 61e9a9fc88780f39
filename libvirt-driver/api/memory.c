/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain's memory. Its size is fixed while it runs; how much of it the guest has is the balloon's
 * business: it is asked to give some back, does so in its own time, and says how far it came
 * (BALLOON_CHANGE), which is when the live definition changes.
 */
#include "libvirt-driver/api/memory.h"

#include <inttypes.h>
#include <libvirt/libvirt.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/domain/process.h"
#include "libvirt-driver/host.h"
#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/vmm.h"

bool api_domain_get_max_memory(struct call *call, const wire_dom *in, wire_ulong *out,
                               GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    if (domain)
        out->value = domain_current_def(domain)->memory_kib;
    return domain != NULL;
}

/* ---- setting ---- */

static bool edit_maximum(domain_def *def, bool running, const void *what, GError **error)
{
    uint64_t kib = *(const uint64_t *)what;

    if (running) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID,
                          "cannot resize the maximum memory on an active domain");
        return false;
    }
    if (kib < DOMAIN_MIN_MEMORY || kib > DOMAIN_MAX_MEMORY) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "memory must be between %" PRIu64 " and %" PRIu64 " KiB",
                          DOMAIN_MIN_MEMORY, DOMAIN_MAX_MEMORY);
        return false;
    }
    def->memory_kib = kib;
    def->current_memory_kib = MIN(def->current_memory_kib, kib);
    if (def->max_memory_kib)
        def->max_memory_kib = kib;
    return true;
}

static bool edit_current(domain_def *def, bool running, const void *what, GError **error)
{
    uint64_t kib = *(const uint64_t *)what;

    if (kib > def->memory_kib) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "cannot set memory higher than max memory");
        return false;
    }
    if (!running)
        def->current_memory_kib = kib;
    return true;
}

static bool apply_current(struct domain *domain, const void *what, GError **error)
{
    uint64_t kib = *(const uint64_t *)what;

    if (domain->live->memballoon.none) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID,
                          "Unable to change memory of active domain without the balloon device "
                          "and guest OS balloon driver");
        return false;
    }
    return domain_command(domain, "balloon", json_pack("{s:I}", "value", (json_int_t)kib * 1024),
                          NULL, error);
}

static bool set_memory(struct call *call, const wire_domain *dom, uint64_t kib, unsigned flags,
                       GError **error)
{
    static const struct edit maximum = {.edit = edit_maximum};
    static const struct edit current = {.edit = edit_current, .apply = apply_current};

    if (!api_check_flags(call, flags, API_IMPACT | VIR_DOMAIN_MEM_MAXIMUM, error))
        return false;
    if (kib == 0 || kib > G_MAXINT64 / 1024) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "memory size %" PRIu64 " KiB is out of range",
                          kib);
        return false;
    }
    return api_edit(call, dom, flags & VIR_DOMAIN_MEM_MAXIMUM ? &maximum : &current, &kib, flags,
                    error);
}

bool api_domain_set_memory(struct call *call, const wire_dom_ulong *in, wire_none *out,
                           GError **error)
{
    return set_memory(call, &in->dom, in->value, VIR_DOMAIN_AFFECT_LIVE, error);
}

bool api_domain_set_max_memory(struct call *call, const wire_dom_ulong *in, wire_none *out,
                               GError **error)
{
    return set_memory(call, &in->dom, in->value, VIR_DOMAIN_MEM_MAXIMUM, error);
}

bool api_domain_set_memory_flags(struct call *call, const wire_dom_ulong_flags *in, wire_none *out,
                                 GError **error)
{
    return set_memory(call, &in->dom, in->value, in->flags, error);
}

/* ---- statistics ---- */

static bool edit_period(domain_def *def, bool running, const void *what, GError **error)
{
    if (def->memballoon.none) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID,
                          "Memory balloon model must be virtio to set the collection period");
        return false;
    }
    def->memballoon.stats_period = (unsigned)*(const int *)what;
    return true;
}

static bool apply_period(struct domain *domain, const void *what, GError **error)
{
    return domain_command(domain, "qom-set",
                          json_pack("{s:s, s:s, s:i}", "path", "/machine/peripheral/balloon0",
                                    "property", "guest-stats-polling-interval", "value",
                                    *(const int *)what),
                          NULL, error);
}

bool api_domain_set_memory_stats_period(struct call *call, const wire_dom_int_flags *in,
                                        wire_none *out, GError **error)
{
    static const struct edit edit = {edit_period, apply_period};

    if (!api_check_flags(call, in->flags, API_IMPACT, error))
        return false;
    if (in->value < 0) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "the period must not be negative: %d",
                          in->value);
        return false;
    }
    return api_edit(call, &in->dom, &edit, &in->value, in->flags, error);
}

json_t *memory_stats_arguments(void)
{
    return json_pack("{s:s, s:s}", "path", "/machine/peripheral/balloon0", "property",
                     "guest-stats");
}

void memory_stats_read(const json_t *reply,
                       void (*found)(gpointer opaque, int tag, const char *name, uint64_t value),
                       gpointer opaque)
{
    static const struct {
        const char *from; /* in the reply */
        int tag;
        const char *name;
        unsigned unit;
    } known[] = {
        {"stat-swap-in", VIR_DOMAIN_MEMORY_STAT_SWAP_IN, "swap_in", 1024},
        {"stat-swap-out", VIR_DOMAIN_MEMORY_STAT_SWAP_OUT, "swap_out", 1024},
        {"stat-major-faults", VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT, "major_fault", 1},
        {"stat-minor-faults", VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT, "minor_fault", 1},
        {"stat-free-memory", VIR_DOMAIN_MEMORY_STAT_UNUSED, "unused", 1024},
        {"stat-total-memory", VIR_DOMAIN_MEMORY_STAT_AVAILABLE, "available", 1024},
        {"stat-available-memory", VIR_DOMAIN_MEMORY_STAT_USABLE, "usable", 1024},
        {"stat-disk-caches", VIR_DOMAIN_MEMORY_STAT_DISK_CACHES, "disk_caches", 1024},
        {"stat-htlb-pgalloc", VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC, "hugetlb_pgalloc", 1},
        {"stat-htlb-pgfail", VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL, "hugetlb_pgfail", 1},
    };
    const json_t *stats = json_object_get(reply, "stats");
    json_int_t updated = json_integer_value(json_object_get(reply, "last-update"));

    for (gsize i = 0; i < G_N_ELEMENTS(known); i++) {
        const json_t *value = json_object_get(stats, known[i].from);

        /* -1: the guest does not tell. */
        if (json_is_integer(value) && json_integer_value(value) >= 0)
            found(opaque, known[i].tag, known[i].name,
                  (uint64_t)json_integer_value(value) / known[i].unit);
    }
    if (updated > 0)
        found(opaque, VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE, "last-update", (uint64_t)updated);
}

struct collected {
    wire_memory_stats *out;
    guint room;
};

static void collect(gpointer opaque, int tag, const char *name, uint64_t value)
{
    struct collected *collected = opaque;
    wire_memory_stats *out = collected->out;

    if (out->stats.stats_len < collected->room)
        out->stats.stats_val[out->stats.stats_len++] =
            (wire_memory_stat){.tag = tag, .value = value};
}

/* Job. */
static bool read_stats(struct domain *domain, struct collected *collected, GError **error)
{
    g_autoptr(json_ref) reply = NULL;

    if (!domain_check_runs(domain, error))
        return false;
    if (!domain->live->memballoon.none &&
        !domain_command(domain, "qom-get", memory_stats_arguments(), &reply, error))
        return false;
    collect(collected, VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON, "", domain->live->current_memory_kib);
    if (reply)
        memory_stats_read(reply, collect, collected);
    collect(collected, VIR_DOMAIN_MEMORY_STAT_RSS, "", host_resident_kib(vmm_pid(domain->vmm)));
    return true;
}

bool api_domain_memory_stats(struct call *call, const wire_dom_uint_flags *in,
                             wire_memory_stats *out, GError **error)
{
    struct collected collected = {out, MIN(in->value, WIRE_MEMORY_STATS_MAX)};
    g_autoptr(locked_domain) domain = NULL;
    bool done;

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    domain = api_domain_with_job(call, &in->dom, error);
    if (!domain)
        return false;
    out->stats.stats_val = g_new0(wire_memory_stat, collected.room + 1);
    done = read_stats(domain, &collected, error);
    domain_end_job(domain);
    return done;
}
