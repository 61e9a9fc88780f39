/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many vCPUs a domain has, and what they do. Their number cannot change while it runs. */
#include "libvirt-driver/api/api.h"
#include "libvirt-driver/domain/affinity.h"
#include "libvirt-driver/host.h"

bool api_domain_get_max_vcpus(struct call *call, const wire_dom *in, wire_int *out, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    if (!domain || !domain_check_runs(domain, error))
        return false;
    out->value = (int)domain->live->max_vcpus;
    return true;
}

bool api_domain_get_vcpus_flags(struct call *call, const wire_dom_flags *in, wire_int *out,
                                GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    const domain_def *def;

    if (!api_check_flags(call, in->flags,
                         API_IMPACT | VIR_DOMAIN_VCPU_MAXIMUM | VIR_DOMAIN_VCPU_GUEST, error))
        return false;
    if ((in->flags & VIR_DOMAIN_VCPU_GUEST) && client_is_readonly(call->client)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_DENIED,
                          "read only access prevents virDomainGetVcpusFlags");
        return false;
    }
    domain = api_domain_def(call, &in->dom, in->flags, &def, error);
    if (!domain)
        return false;
    if (in->flags & VIR_DOMAIN_VCPU_GUEST) {
        libvirt_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED,
                          "QEMU guest agent is not configured");
        return false;
    }
    out->value = (int)(in->flags & VIR_DOMAIN_VCPU_MAXIMUM ? def->max_vcpus : def->vcpus);
    return true;
}

/* Where the kernel lets a vCPU's thread run. */
static void fill_map(const struct domain *domain, unsigned vcpu, char *map, guint len)
{
    struct cpuset cpus;

    affinity_of_vcpu(domain, vcpu, &cpus);
    for (guint cpu = 0; cpu < MIN(len * 8, CPUSET_MAX); cpu++) {
        if (cpuset_has(&cpus, cpu))
            map[cpu / 8] |= (char)(1 << (cpu % 8));
    }
}

bool api_domain_get_vcpus(struct call *call, const wire_vcpus_args *in, wire_vcpus *out,
                          GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    guint count;

    if (in->max_info < 0 || in->max_info > WIRE_VCPUS_MAX || in->map_length < 0 ||
        (gint64)in->max_info * in->map_length > WIRE_CPUMAPS_MAX) {
        libvirt_error_set(error, VIR_ERR_RPC, "maxinfo or maplen out of range");
        return false;
    }
    domain = api_domain(call, &in->dom, error);
    if (!domain)
        return false;
    if (!domain_runs(domain)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID,
                          "cannot retrieve vcpu information for inactive domain");
        return false;
    }
    count = MIN(domain->live->vcpus, (guint)in->max_info);
    out->info.info_val = g_new0(wire_vcpu, count + 1);
    out->info.info_len = count;
    for (guint i = 0; i < count; i++) {
        wire_vcpu *vcpu = &out->info.info_val[i];
        struct host_usage used = api_vcpu_usage(domain, i);

        vcpu->number = i;
        vcpu->state = VIR_VCPU_RUNNING;
        vcpu->cpu_time = used.user + used.system;
        vcpu->cpu = used.cpu >= 0 ? used.cpu : VIR_VCPU_INFO_CPU_UNAVAILABLE;
    }
    out->maps.maps_len = count * (guint)in->map_length;
    out->maps.maps_val = g_malloc0(out->maps.maps_len + 1);
    for (guint i = 0; i < count; i++)
        fill_map(domain, i, out->maps.maps_val + (gsize)i * (guint)in->map_length,
                 (guint)in->map_length);
    return true;
}

/* ---- setting ---- */

struct vcpus {
    unsigned count;
    bool maximum;
};

static bool check_count(const domain_def *def, bool running, const struct vcpus *vcpus,
                        GError **error)
{
    unsigned max = vcpus->maximum ? domain_arch_find(def->os.arch)->max_vcpus : def->max_vcpus;

    if (vcpus->count <= max)
        return true;
    if (vcpus->maximum)
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "Maximum CPUs greater than specified machine type limit %u", max);
    else
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "requested vcpus is greater than max allowable vcpus for the %s domain: "
                          "%u > %u",
                          running ? "live" : "persistent", vcpus->count, max);
    return false;
}

static bool edit_vcpus(domain_def *def, bool running, const void *what, GError **error)
{
    const struct vcpus *vcpus = what;

    if (running && vcpus->maximum) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "maximum vcpu count of a live domain can't be modified");
        return false;
    }
    if (!check_count(def, running, vcpus, error))
        return false;
    if (running && vcpus->count != def->vcpus) {
        libvirt_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                          "the number of vCPUs of a running domain cannot change");
        return false;
    }
    if (def->cpu.sockets && vcpus->count != (vcpus->maximum ? def->max_vcpus : def->vcpus)) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "CPU topology doesn't match the desired vcpu count");
        return false;
    }
    if (vcpus->maximum) {
        def->max_vcpus = vcpus->count;
        def->vcpus = MIN(def->vcpus, vcpus->count);
        for (unsigned id = vcpus->count; id < DOMAIN_MAX_VCPUS; id++)
            domain_pin_set(def->cputune.vcpupins, id, &(struct cpuset){0});
    } else {
        def->vcpus = vcpus->count;
    }
    return true;
}

static bool set_vcpus(struct call *call, const wire_domain *dom, unsigned count, unsigned flags,
                      GError **error)
{
    static const struct edit edit = {.edit = edit_vcpus};
    const unsigned known =
        API_IMPACT | VIR_DOMAIN_VCPU_MAXIMUM | VIR_DOMAIN_VCPU_GUEST | VIR_DOMAIN_VCPU_HOTPLUGGABLE;
    struct vcpus vcpus = {.count = count, .maximum = flags & VIR_DOMAIN_VCPU_MAXIMUM};

    if (!api_check_flags(call, flags, known, error))
        return false;
    if (count == 0) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "nvcpus in %s must not be zero",
                          "virDomainSetVcpusFlags");
        return false;
    }
    if (vcpus.maximum && (flags & VIR_DOMAIN_VCPU_GUEST)) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "flags 'VIR_DOMAIN_VCPU_MAXIMUM' and 'VIR_DOMAIN_VCPU_GUEST' are "
                          "mutually exclusive");
        return false;
    }
    if (flags & VIR_DOMAIN_VCPU_GUEST) {
        libvirt_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED,
                          "QEMU guest agent is not configured");
        return false;
    }
    return api_edit(call, dom, &edit, &vcpus, flags, error);
}

bool api_domain_set_vcpus(struct call *call, const wire_dom_uint *in, wire_none *out,
                          GError **error)
{
    return set_vcpus(call, &in->dom, in->value, VIR_DOMAIN_AFFECT_LIVE, error);
}

bool api_domain_set_vcpus_flags(struct call *call, const wire_dom_uint_flags *in, wire_none *out,
                                GError **error)
{
    return set_vcpus(call, &in->dom, in->value, in->flags, error);
}

/* ---- I/O threads ---- */

static guint find_iothread(const domain_def *def, unsigned id)
{
    guint i = 0;

    while (i < def->iothreads->len && domain_iothread_at(def, i) != id)
        i++;
    return i;
}

static bool refuse_live_iothreads(bool running, GError **error)
{
    if (running)
        libvirt_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                          "the I/O threads of a running domain cannot change");
    return running;
}

static bool edit_add_iothread(domain_def *def, bool running, const void *what, GError **error)
{
    unsigned id = *(const unsigned *)what;
    guint at = 0;

    if (refuse_live_iothreads(running, error))
        return false;
    if (find_iothread(def, id) < def->iothreads->len) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "an IOThread is already using iothread_id "
                          "'%u'",
                          id);
        return false;
    }
    if (def->iothreads->len >= DOMAIN_MAX_IOTHREADS) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "a domain has at most %d I/O threads",
                          DOMAIN_MAX_IOTHREADS);
        return false;
    }
    while (at < def->iothreads->len && domain_iothread_at(def, at) < id)
        at++;
    g_array_insert_val(def->iothreads, at, id);
    def->iothread_ids_given = true;
    return true;
}

static bool edit_del_iothread(domain_def *def, bool running, const void *what, GError **error)
{
    unsigned id = *(const unsigned *)what;
    guint at = find_iothread(def, id);

    if (refuse_live_iothreads(running, error))
        return false;
    if (at == def->iothreads->len) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "cannot find IOThread '%u' in iothreadids list", id);
        return false;
    }
    for (guint i = 0; i < def->disks->len; i++) {
        if (domain_disk_at(def, i)->iothread == id) {
            libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                              "cannot remove IOThread %u since it is being used by disk '%s'", id,
                              domain_disk_at(def, i)->target);
            return false;
        }
    }
    g_array_remove_index(def->iothreads, at);
    domain_pin_set(def->cputune.iothreadpins, id, &(struct cpuset){0});
    def->iothread_ids_given = def->iothreads->len > 0;
    return true;
}

static bool edit_iothreads(struct call *call, const wire_dom_uint_flags *in,
                           const struct edit *edit, GError **error)
{
    if (!api_check_flags(call, in->flags, API_IMPACT, error))
        return false;
    if (in->value == 0) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "invalid value of 0 for iothread_id");
        return false;
    }
    return api_edit(call, &in->dom, edit, &in->value, in->flags, error);
}

bool api_domain_add_iothread(struct call *call, const wire_dom_uint_flags *in, wire_none *out,
                             GError **error)
{
    static const struct edit edit = {.edit = edit_add_iothread};

    return edit_iothreads(call, in, &edit, error);
}

bool api_domain_del_iothread(struct call *call, const wire_dom_uint_flags *in, wire_none *out,
                             GError **error)
{
    static const struct edit edit = {.edit = edit_del_iothread};

    return edit_iothreads(call, in, &edit, error);
}
