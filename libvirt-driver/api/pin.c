/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * On which of the host's CPUs a domain's vCPUs, its emulator and its I/O threads run. On the wire a
 * set of CPUs is a bit map, least significant bit first.
 */
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/api/events.h"
#include "libvirt-driver/api/params.h"
#include "libvirt-driver/domain/affinity.h"
#include "libvirt-driver/host.h"

/* ---- maps ---- */

/* Cut off, or filled up with zeros. */
static void write_map(const struct cpuset *cpus, char *map, guint len)
{
    memset(map, 0, len);
    for (guint cpu = 0; cpu < MIN(len * 8, CPUSET_MAX); cpu++) {
        if (cpuset_has(cpus, cpu))
            map[cpu / 8] |= (char)(1 << (cpu % 8));
    }
}

static bool read_map(const char *map, guint len, struct cpuset *cpus, GError **error)
{
    *cpus = (struct cpuset){0};
    for (guint cpu = 0; cpu < len * 8; cpu++) {
        if (!(map[cpu / 8] & (1 << (cpu % 8))))
            continue;
        if (cpu >= CPUSET_MAX) {
            libvirt_error_set(error, VIR_ERR_INVALID_ARG, "CPU %u is beyond the last, %u", cpu,
                              CPUSET_MAX - 1);
            return false;
        }
        cpuset_add(cpus, cpu);
    }
    if (!cpuset_is_empty(cpus))
        return true;
    libvirt_error_set(error, VIR_ERR_INVALID_ARG, "Empty cpu list for pinning");
    return false;
}

/* The first set that says something: its own, the domain's, all of the host. */
static struct cpuset effective(const struct host *host, const domain_def *def,
                               const struct cpuset *own)
{
    struct cpuset all = {0};

    if (own && !cpuset_is_empty(own))
        return *own;
    if (!cpuset_is_empty(&def->cpuset))
        return def->cpuset;
    for (guint i = 0; i < host->cpus->len; i++)
        cpuset_add(&all, g_array_index(host->cpus, struct host_cpu, i).id);
    return all;
}

static struct cpuset effective_pin(const struct host *host, const domain_def *def, GPtrArray *pins,
                                   unsigned id)
{
    const struct domain_pin *pin = domain_pin_find(pins, id);

    return effective(host, def, pin ? &pin->cpus : NULL);
}

/* ---- pinning ---- */

struct pin {
    unsigned id;
    struct cpuset cpus;
};

static bool edit_vcpu(domain_def *def, bool running, const void *what, GError **error)
{
    const struct pin *pin = what;

    if (pin->id >= def->max_vcpus) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "vcpu %u is out of range of %s cpu count %u",
                          pin->id, running ? "live" : "persistent", def->max_vcpus);
        return false;
    }
    domain_pin_set(def->cputune.vcpupins, pin->id, &pin->cpus);
    return true;
}

static bool apply_vcpu(struct domain *domain, const void *what, GError **error)
{
    const struct pin *pin = what;

    /* One that is not plugged in has no thread. */
    return pin->id >= domain->live->vcpus || affinity_set_vcpu(domain, pin->id, &pin->cpus, error);
}

static bool edit_emulator(domain_def *def, bool running, const void *what, GError **error)
{
    def->cputune.emulatorpin = ((const struct pin *)what)->cpus;
    return true;
}

static bool apply_emulator(struct domain *domain, const void *what, GError **error)
{
    return affinity_set_emulator(domain, &((const struct pin *)what)->cpus, error);
}

static bool has_iothread(const domain_def *def, unsigned id)
{
    for (guint i = 0; i < def->iothreads->len; i++) {
        if (domain_iothread_at(def, i) == id)
            return true;
    }
    return false;
}

static bool edit_iothread(domain_def *def, bool running, const void *what, GError **error)
{
    const struct pin *pin = what;

    if (!has_iothread(def, pin->id)) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "iothreadid %u not found", pin->id);
        return false;
    }
    domain_pin_set(def->cputune.iothreadpins, pin->id, &pin->cpus);
    return true;
}

/* Takes the pins from the live definition: a union, which the new one is part of. */
static bool apply_iothread(struct domain *domain, const void *what, GError **error)
{
    return edit_iothread(domain->live, true, what, error) && affinity_set_iothreads(domain, error);
}

static const struct edit vcpu_edit = {edit_vcpu, apply_vcpu};
static const struct edit emulator_edit = {edit_emulator, apply_emulator};
static const struct edit iothread_edit = {edit_iothread, apply_iothread};

/* What was pinned in a running domain is told: "cputune.vcpupin0". */
static void tell(struct domain *domain, const char *what, const struct pin *pin)
{
    g_autofree char *cpus = cpuset_format(&pin->cpus);
    GArray *params = params_new();

    if (strcmp(what, "emulator") == 0)
        params_add_string(params, cpus, VIR_DOMAIN_TUNABLE_CPU_EMULATORPIN);
    else
        params_add_string(params, cpus, "cputune.%spin%u", what, pin->id);
    events_tunable(domain->daemon->events, domain, params);
    params_free(params);
}

static bool set_pin(struct call *call, const wire_domain *dom, const struct edit *edit,
                    const char *what, const struct pin *pin, unsigned flags, GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    bool live = false;
    bool config;
    bool done;

    if (!api_check_flags(call, flags, API_IMPACT, error))
        return false;
    domain = api_domain_with_job(call, dom, error);
    if (!domain)
        return false;
    done = domain_impact(domain, flags, &live, &config, error) &&
           domain_edit(domain, edit, pin, flags, error);
    if (done && live)
        tell(domain, what, pin);
    domain_end_job(domain);
    return done;
}

bool api_domain_pin_vcpu(struct call *call, const wire_pin_vcpu_args *in, wire_none *out,
                         GError **error)
{
    struct pin pin = {.id = in->number};

    return read_map(in->map.map_val, in->map.map_len, &pin.cpus, error) &&
           set_pin(call, &in->dom, &vcpu_edit, "vcpu", &pin, VIR_DOMAIN_AFFECT_LIVE, error);
}

bool api_domain_pin_vcpu_flags(struct call *call, const wire_pin_args *in, wire_none *out,
                               GError **error)
{
    struct pin pin = {.id = in->number};

    return read_map(in->map.map_val, in->map.map_len, &pin.cpus, error) &&
           set_pin(call, &in->dom, &vcpu_edit, "vcpu", &pin, in->flags, error);
}

bool api_domain_pin_emulator(struct call *call, const wire_pin_emulator_args *in, wire_none *out,
                             GError **error)
{
    struct pin pin = {0};

    return read_map(in->map.map_val, in->map.map_len, &pin.cpus, error) &&
           set_pin(call, &in->dom, &emulator_edit, "emulator", &pin, in->flags, error);
}

bool api_domain_pin_iothread(struct call *call, const wire_pin_args *in, wire_none *out,
                             GError **error)
{
    struct pin pin = {.id = in->number};

    return read_map(in->map.map_val, in->map.map_len, &pin.cpus, error) &&
           set_pin(call, &in->dom, &iothread_edit, "iothread", &pin, in->flags, error);
}

/* ---- asking ---- */

static bool check_maps(int count, int length, GError **error)
{
    if (count >= 0 && count <= WIRE_VCPUS_MAX && length > 0 &&
        (gint64)count * length <= WIRE_CPUMAPS_MAX)
        return true;
    libvirt_error_set(error, VIR_ERR_INVALID_ARG, "number or length of the CPU maps out of range");
    return false;
}

bool api_domain_get_vcpu_pin_info(struct call *call, const wire_vcpu_pins_args *in, wire_pins *out,
                                  GError **error)
{
    const struct host *host = call->daemon->host;
    guint length = (guint)in->map_length;
    g_autoptr(locked_domain) domain = NULL;
    const domain_def *def;
    guint count;

    if (!api_check_flags(call, in->flags, API_IMPACT, error) ||
        !check_maps(in->max_maps, in->map_length, error))
        return false;
    domain = api_domain_def(call, &in->dom, in->flags, &def, error);
    if (!domain)
        return false;
    count = MIN(def->max_vcpus, (guint)in->max_maps);
    out->maps.maps_len = count * length;
    out->maps.maps_val = g_malloc0(out->maps.maps_len + 1);
    for (guint i = 0; i < count; i++) {
        struct cpuset cpus = effective_pin(host, def, def->cputune.vcpupins, i);

        write_map(&cpus, out->maps.maps_val + (gsize)i * length, length);
    }
    out->count = (int)count;
    return true;
}

bool api_domain_get_emulator_pin_info(struct call *call, const wire_dom_int_flags *in,
                                      wire_pins *out, GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    const domain_def *def;
    struct cpuset cpus;

    if (!api_check_flags(call, in->flags, API_IMPACT, error) || !check_maps(1, in->value, error))
        return false;
    domain = api_domain_def(call, &in->dom, in->flags, &def, error);
    if (!domain)
        return false;
    cpus = effective(call->daemon->host, def, &def->cputune.emulatorpin);
    out->maps.maps_len = (guint)in->value;
    out->maps.maps_val = g_malloc(out->maps.maps_len);
    write_map(&cpus, out->maps.maps_val, out->maps.maps_len);
    out->count = 1;
    return true;
}

bool api_domain_get_iothread_info(struct call *call, const wire_dom_uint *in, wire_iothreads *out,
                                  GError **error)
{
    const struct host *host = call->daemon->host;
    g_autoptr(locked_domain) domain = NULL;
    const domain_def *def;
    guint length = (host_highest_cpu(host) / 8) + 1;

    if (!api_check_flags(call, in->value, API_IMPACT, error))
        return false;
    domain = api_domain_def(call, &in->dom, in->value, &def, error);
    if (!domain)
        return false;
    out->info.info_val = g_new0(wire_iothread, def->iothreads->len + 1);
    out->info.info_len = def->iothreads->len;
    out->count = def->iothreads->len;
    for (guint i = 0; i < def->iothreads->len; i++) {
        wire_iothread *thread = &out->info.info_val[i];
        unsigned id = domain_iothread_at(def, i);
        struct cpuset cpus = effective_pin(host, def, def->cputune.iothreadpins, id);

        thread->id = id;
        thread->map.map_len = MIN(length, WIRE_CPUMAP_MAX);
        thread->map.map_val = g_malloc(thread->map.map_len);
        write_map(&cpus, thread->map.map_val, thread->map.map_len);
    }
    return true;
}
