/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What of the host's memory a domain may have, which its control group carries out, and the limits
 * of its disks, which the VMM does. Only what is named changes, and 0 (or for memory "unlimited")
 * takes a limit away.
 */
#include <inttypes.h>
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/api/events.h"
#include "libvirt-driver/api/params.h"
#include "libvirt-driver/domain/process.h"
#include "libvirt-driver/vmm/cgroup.h"

/* ---- memory ---- */

static const struct param_spec memory_specs[] = {
    {VIR_DOMAIN_MEMORY_HARD_LIMIT, VIR_TYPED_PARAM_ULLONG},
    {VIR_DOMAIN_MEMORY_SOFT_LIMIT, VIR_TYPED_PARAM_ULLONG},
    {VIR_DOMAIN_MEMORY_SWAP_HARD_LIMIT, VIR_TYPED_PARAM_ULLONG},
};

static void take_limit(const struct params *params, const char *name, uint64_t *limit)
{
    const wire_param *param = params_find(params, name);
    uint64_t value = param ? param->value.wire_value_u.ul : 0;

    if (param)
        *limit = value >= VIR_DOMAIN_MEMORY_PARAM_UNLIMITED ? 0 : value;
}

static bool edit_memory(domain_def *def, bool running, const void *what, GError **error)
{
    struct domain_memtune *memtune = &def->memtune;

    take_limit(what, VIR_DOMAIN_MEMORY_HARD_LIMIT, &memtune->hard_limit_kib);
    take_limit(what, VIR_DOMAIN_MEMORY_SOFT_LIMIT, &memtune->soft_limit_kib);
    take_limit(what, VIR_DOMAIN_MEMORY_SWAP_HARD_LIMIT, &memtune->swap_hard_limit_kib);
    if (!memtune->swap_hard_limit_kib ||
        (memtune->hard_limit_kib && memtune->hard_limit_kib <= memtune->swap_hard_limit_kib))
        return true;
    libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                      "memory hard_limit tunable value must be lower than or equal to "
                      "swap_hard_limit");
    return false;
}

static bool apply_memory(struct domain *domain, const void *what, GError **error)
{
    g_autoptr(domain_def) wanted = domain_def_copy(domain->live);

    return edit_memory(wanted, true, what, error) &&
           cgroup_set_memory(domain->cgroup, &wanted->memtune, error);
}

bool api_domain_set_memory_parameters(struct call *call, const wire_set_params_flags_args *in,
                                      wire_none *out, GError **error)
{
    static const struct edit edit = {edit_memory, apply_memory};
    const struct params params = {in->params.params_val, in->params.params_len};

    return api_check_flags(call, in->flags, API_IMPACT, error) &&
           params_check(&params, memory_specs, G_N_ELEMENTS(memory_specs), error) &&
           api_edit(call, &in->dom, &edit, &params, in->flags, error);
}

static uint64_t or_unlimited(uint64_t kib)
{
    return kib ? kib : VIR_DOMAIN_MEMORY_PARAM_UNLIMITED;
}

bool api_domain_get_memory_parameters(struct call *call, const wire_params_args *in,
                                      wire_params_count *out, GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    const domain_def *def;
    GArray *params;

    domain = api_domain_def_for_params(call, &in->dom, in->flags, &def, error);
    if (!domain)
        return false;
    if (def == domain->live && !cgroup_has(domain->cgroup, CGROUP_MEMORY)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID,
                          "cgroup memory controller is not mounted");
        return false;
    }
    params = params_new();
    params_add_ulong(params, or_unlimited(def->memtune.hard_limit_kib),
                     VIR_DOMAIN_MEMORY_HARD_LIMIT);
    params_add_ulong(params, or_unlimited(def->memtune.soft_limit_kib),
                     VIR_DOMAIN_MEMORY_SOFT_LIMIT);
    params_add_ulong(params, or_unlimited(def->memtune.swap_hard_limit_kib),
                     VIR_DOMAIN_MEMORY_SWAP_HARD_LIMIT);
    params_answer(params, in->room, out);
    return true;
}

/* ---- disks ---- */

struct iotune {
    const char *disk;
    struct params params;
};

static struct domain_disk *find_disk(const domain_def *def, const char *name, GError **error)
{
    struct domain_disk *disk = api_find_disk(def, name);

    if (!disk)
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "disk '%s' was not found in the domain config", name);
    return disk;
}

/* A limit in all and one for reads or writes exclude each other. */
static const enum domain_iotune_limit families[][3] = {
    {DOMAIN_IOTUNE_TOTAL_BYTES, DOMAIN_IOTUNE_READ_BYTES, DOMAIN_IOTUNE_WRITE_BYTES},
    {DOMAIN_IOTUNE_TOTAL_IOPS, DOMAIN_IOTUNE_READ_IOPS, DOMAIN_IOTUNE_WRITE_IOPS},
};

static bool is_asked(const struct params *params, unsigned limit)
{
    const wire_param *param = params_find(params, domain_iotune_name(limit));

    return param && param->value.wire_value_u.ul;
}

/* Not both in one call. */
static bool check_families(const struct params *params, GError **error)
{
    static const char *const names[][2] = {{"bytes_sec", "iops_sec"},
                                           {"bytes_sec_max", "iops_sec_max"}};

    for (unsigned i = 0; i < 2 * G_N_ELEMENTS(families); i++) {
        const enum domain_iotune_limit *family = families[i % 2];
        unsigned base = i < 2 ? 0 : DOMAIN_IOTUNE_MAX;

        if (is_asked(params, base + family[0]) &&
            (is_asked(params, base + family[1]) || is_asked(params, base + family[2]))) {
            libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                              "total and read/write of %s cannot be set at the same time",
                              names[i / 2][i % 2]);
            return false;
        }
    }
    return true;
}

/* To set the one takes the other away. */
static void make_way(struct domain_iotune *iotune, enum domain_iotune_limit limit)
{
    unsigned rate = limit % DOMAIN_IOTUNE_RATES;
    unsigned base = limit - rate;

    if (limit >= DOMAIN_IOTUNE_MAX_LENGTH)
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(families); i++) {
        if (rate == (unsigned)families[i][0]) {
            iotune->limits[base + families[i][1]] = 0;
            iotune->limits[base + families[i][2]] = 0;
        } else if (rate == (unsigned)families[i][1] || rate == (unsigned)families[i][2]) {
            iotune->limits[base + families[i][0]] = 0;
        }
    }
}

static bool edit_iotune(domain_def *def, bool running, const void *what, GError **error)
{
    const struct iotune *change = what;
    struct domain_disk *disk = find_disk(def, change->disk, error);

    if (!disk)
        return false;
    for (unsigned i = 0; i < DOMAIN_IOTUNE_LAST; i++) {
        const wire_param *param = params_find(&change->params, domain_iotune_name(i));

        if (!param)
            continue;
        if (param->value.wire_value_u.ul > G_MAXINT64) {
            libvirt_error_set(error, VIR_ERR_OVERFLOW,
                              "block I/O throttle limit must be no more "
                              "than %" PRId64,
                              G_MAXINT64);
            return false;
        }
        disk->iotune.limits[i] = param->value.wire_value_u.ul;
        if (disk->iotune.limits[i])
            make_way(&disk->iotune, i);
    }
    return domain_iotune_check(&disk->iotune, error);
}

/* The VMM's names of the same limits. */
static json_t *throttle_arguments(const struct domain_disk *disk)
{
    static const char *const names[] = {"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"};
    json_t *arguments = json_pack("{s:s}", "id", disk->info.alias);

    G_STATIC_ASSERT(G_N_ELEMENTS(names) == DOMAIN_IOTUNE_RATES);
    for (unsigned i = 0; i < DOMAIN_IOTUNE_RATES; i++) {
        const uint64_t *limits = disk->iotune.limits;
        g_autofree char *max = g_strconcat(names[i], "_max", NULL);
        g_autofree char *length = g_strconcat(names[i], "_max_length", NULL);

        json_object_set_new(arguments, names[i], json_integer((json_int_t)limits[i]));
        if (!limits[DOMAIN_IOTUNE_MAX + i])
            continue;
        json_object_set_new(arguments, max,
                            json_integer((json_int_t)limits[DOMAIN_IOTUNE_MAX + i]));
        if (limits[DOMAIN_IOTUNE_MAX_LENGTH + i])
            json_object_set_new(arguments, length,
                                json_integer((json_int_t)limits[DOMAIN_IOTUNE_MAX_LENGTH + i]));
    }
    if (disk->iotune.limits[DOMAIN_IOTUNE_SIZE_IOPS])
        json_object_set_new(arguments, "iops_size",
                            json_integer((json_int_t)disk->iotune.limits[DOMAIN_IOTUNE_SIZE_IOPS]));
    return arguments;
}

static bool apply_iotune(struct domain *domain, const void *what, GError **error)
{
    const struct iotune *change = what;
    g_autoptr(domain_def) wanted = domain_def_copy(domain->live);
    struct domain_disk *disk;

    if (!edit_iotune(wanted, true, what, error))
        return false;
    disk = find_disk(wanted, change->disk, error);
    return disk &&
           domain_command(domain, "block_set_io_throttle", throttle_arguments(disk), NULL, error);
}

static void tell_iotune(struct domain *domain, const struct iotune *change)
{
    GArray *params = params_new();

    params_add_string(params, change->disk, VIR_DOMAIN_TUNABLE_BLKDEV_DISK);
    for (guint i = 0; i < change->params.len; i++)
        params_add_ulong(params, change->params.list[i].value.wire_value_u.ul, "blkdeviotune.%s",
                         change->params.list[i].field);
    events_tunable(domain->daemon->events, domain, params);
    params_free(params);
}

static bool check_iotune(const struct params *params, GError **error)
{
    struct param_spec specs[DOMAIN_IOTUNE_LAST];

    for (unsigned i = 0; i < DOMAIN_IOTUNE_LAST; i++)
        specs[i] = (struct param_spec){domain_iotune_name(i), VIR_TYPED_PARAM_ULLONG};
    return params_check(params, specs, G_N_ELEMENTS(specs), error) && check_families(params, error);
}

bool api_domain_set_block_io_tune(struct call *call, const wire_set_params_str_args *in,
                                  wire_none *out, GError **error)
{
    static const struct edit edit = {edit_iotune, apply_iotune};
    const struct iotune change = {in->name, {in->params.params_val, in->params.params_len}};
    g_autoptr(locked_domain) domain = NULL;
    bool live = false;
    bool config;
    bool done;

    if (!api_check_flags(call, in->flags, API_IMPACT, error) ||
        !check_iotune(&change.params, error))
        return false;
    domain = api_domain_with_job(call, &in->dom, error);
    if (!domain)
        return false;
    done = domain_impact(domain, in->flags, &live, &config, error) &&
           domain_edit(domain, &edit, &change, in->flags, error);
    if (done && live)
        tell_iotune(domain, &change);
    domain_end_job(domain);
    return done;
}

bool api_domain_get_block_io_tune(struct call *call, const wire_params_opt_str_args *in,
                                  wire_params_count *out, GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    const struct domain_disk *disk = NULL;
    const domain_def *def;
    GArray *params;

    domain = api_domain_def_for_params(call, &in->dom, in->flags, &def, error);
    if (!domain)
        return false;
    /* Without a disk only the number of parameters is asked for. */
    if (in->name || in->room) {
        disk = find_disk(def, in->name ? *in->name : "", error);
        if (!disk)
            return false;
    }
    params = params_new();
    for (unsigned i = 0; i < DOMAIN_IOTUNE_LAST; i++)
        params_add_ulong(params, disk ? disk->iotune.limits[i] : 0, "%s", domain_iotune_name(i));
    params_answer(params, in->room, out);
    return true;
}
