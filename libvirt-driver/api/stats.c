/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Statistics of many domains in one call, and of one domain's CPU time.
 *
 * Most of it the host's kernel knows. What only the VMMs know is asked of all of them first, and
 * the answers are collected afterwards, so that two hundred of them are asked in the time of one.
 * They share one deadline; of a VMM that does not answer by then, or has left an earlier question
 * open, the rest is told without its part.
 */
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/api/block.h"
#include "libvirt-driver/api/interface.h"
#include "libvirt-driver/api/memory.h"
#include "libvirt-driver/api/params.h"
#include "libvirt-driver/domain/list.h"
#include "libvirt-driver/host.h"
#include "libvirt-driver/server.h"
#include "libvirt-driver/vmm/vmm.h"

#define ANSWERS_WITHIN_SECONDS 5

struct host_usage api_usage(const struct domain *domain)
{
    if (!domain->vmm)
        return (struct host_usage){.cpu = -1};
    return host_usage(vmm_pid(domain->vmm), 0);
}

struct host_usage api_vcpu_usage(const struct domain *domain, unsigned vcpu)
{
    if (!domain->vmm || vcpu >= domain->vcpu_threads->len)
        return (struct host_usage){.cpu = -1};
    return host_usage(vmm_pid(domain->vmm), g_array_index(domain->vcpu_threads, pid_t, vcpu));
}

/* One domain of the answer. */
struct subject {
    struct domain *domain;
    struct vmm *vmm; /* the one that is asked; NULL: none is */
    struct monitor_call ask_blocks;
    struct monitor_call ask_nets;
    struct monitor_call ask_memory;
    json_t *blocks; /* the answers, or NULL */
    json_t *nets;
    json_t *memory;
    GPtrArray *images;        /* of struct domain_disk: copies of source and type */
    struct block_size *sizes; /* of the images; capacity 0 when it cannot be told */
};

static void image_free(gpointer data)
{
    struct domain_disk *image = data;

    g_free(image->source);
    g_free(image);
}

static void subject_clear(gpointer data)
{
    struct subject *subject = data;

    g_clear_pointer(&subject->blocks, json_decref);
    g_clear_pointer(&subject->nets, json_decref);
    g_clear_pointer(&subject->memory, json_decref);
    g_clear_pointer(&subject->images, g_ptr_array_unref);
    g_clear_pointer(&subject->sizes, g_free);
    g_clear_pointer(&subject->vmm, vmm_unref);
    g_clear_pointer(&subject->domain, domain_unref);
}

/* ---- asking; the domain is locked ---- */

static void note_images(struct subject *subject, const domain_def *def)
{
    subject->images = g_ptr_array_new_with_free_func(image_free);
    for (guint i = 0; i < def->disks->len; i++) {
        struct domain_disk *image = g_new0(struct domain_disk, 1);

        image->source = g_strdup(domain_disk_at(def, i)->source);
        g_ptr_array_add(subject->images, image);
    }
}

/* What goes through a tap the host's kernel counts. */
static bool has_net_without_tap(const domain_def *def)
{
    for (guint i = 0; i < def->nets->len; i++)
        if (!domain_net_at(def, i)->target)
            return true;
    return false;
}

static void ask(struct subject *subject, unsigned stats)
{
    const struct domain *domain = subject->domain;
    const domain_def *def = domain_current_def(domain);

    if (stats & VIR_DOMAIN_STATS_BLOCK)
        note_images(subject, def);
    if (!domain->vmm || domain->destroyers)
        return;
    subject->vmm = vmm_ref(domain->vmm);
    if ((stats & VIR_DOMAIN_STATS_BLOCK) && def->disks->len)
        vmm_begin(subject->vmm, &subject->ask_blocks, "query-blockstats", NULL, NULL);
    if ((stats & VIR_DOMAIN_STATS_INTERFACE) && has_net_without_tap(def))
        vmm_begin(subject->vmm, &subject->ask_nets, "query-netstats", NULL, NULL);
    if ((stats & VIR_DOMAIN_STATS_BALLOON) && !def->memballoon.none)
        vmm_begin(subject->vmm, &subject->ask_memory, "qom-get", memory_stats_arguments(), NULL);
}

/* ---- collecting; no lock ---- */

static void finish(struct subject *subject, struct monitor_call *asked, json_t **answer,
                   gint64 deadline)
{
    g_autoptr(GError) error = NULL;

    if (asked->command && !vmm_finish(subject->vmm, asked, deadline, answer, &error))
        g_info("domain '%s': %s", subject->domain->name, error->message);
}

static void collect(struct subject *subject, gint64 deadline)
{
    finish(subject, &subject->ask_blocks, &subject->blocks, deadline);
    finish(subject, &subject->ask_nets, &subject->nets, deadline);
    finish(subject, &subject->ask_memory, &subject->memory, deadline);
    if (!subject->images)
        return;
    subject->sizes = g_new0(struct block_size, subject->images->len + 1);
    for (guint i = 0; i < subject->images->len; i++)
        block_size_read(g_ptr_array_index(subject->images, i), &subject->sizes[i], NULL);
}

/* ---- telling; the domain is locked ---- */

static void add_state(const struct subject *subject, GArray *params)
{
    params_add_int(params, subject->domain->state, "state.state");
    params_add_int(params, subject->domain->reason, "state.reason");
}

static void add_cpu_total(const struct subject *subject, GArray *params)
{
    struct host_usage used = api_usage(subject->domain);

    if (!domain_runs(subject->domain))
        return;
    params_add_ulong(params, used.user + used.system, "cpu.time");
    params_add_ulong(params, used.user, "cpu.user");
    params_add_ulong(params, used.system, "cpu.system");
}

static void add_memory_stat(gpointer opaque, int tag, const char *name, uint64_t value)
{
    params_add_ulong(opaque, value, "balloon.%s", name);
}

static void add_balloon(const struct subject *subject, GArray *params)
{
    const domain_def *def = domain_current_def(subject->domain);

    params_add_ulong(params, def->current_memory_kib, "balloon.current");
    params_add_ulong(params, def->memory_kib, "balloon.maximum");
    if (subject->memory)
        memory_stats_read(subject->memory, add_memory_stat, params);
    if (subject->domain->vmm)
        params_add_ulong(params, host_resident_kib(vmm_pid(subject->domain->vmm)), "balloon.rss");
}

static void add_vcpu(const struct subject *subject, GArray *params)
{
    const struct domain *domain = subject->domain;
    const domain_def *def = domain_current_def(domain);

    params_add_uint(params, def->vcpus, "vcpu.current");
    params_add_uint(params, def->max_vcpus, "vcpu.maximum");
    for (guint i = 0; domain->vmm && i < domain->vcpu_threads->len; i++) {
        struct host_schedstat spent =
            host_schedstat(vmm_pid(domain->vmm), g_array_index(domain->vcpu_threads, pid_t, i));

        params_add_int(params, VIR_VCPU_RUNNING, "vcpu.%u.state", i);
        params_add_ulong(params, spent.ran, "vcpu.%u.time", i);
        params_add_ulong(params, spent.waited, "vcpu.%u.delay", i);
    }
}

static void add_interface(const struct subject *subject, GArray *params)
{
    const domain_def *def = subject->domain->live;

    if (!def)
        return;
    params_add_uint(params, def->nets->len, "net.count");
    for (guint i = 0; i < def->nets->len; i++) {
        const struct domain_net *net = domain_net_at(def, i);
        struct tap_stats stats;
        const char *name = net->target;
        char mac[18];

        if (!name) { /* what domifstat knows it by */
            domain_mac_format(net->mac, mac);
            name = mac;
        }
        params_add_string(params, name, "net.%u.name", i);
        if (net->target ? !tap_read_stats(net, &stats, NULL)
                        : !net_stats_read(subject->nets, net->info.alias, &stats))
            continue;
        /* What the guest received is what its tap sent. */
        params_add_ulong(params, (uint64_t)stats.tx.bytes, "net.%u.rx.bytes", i);
        params_add_ulong(params, (uint64_t)stats.tx.packets, "net.%u.rx.pkts", i);
        params_add_ulong(params, (uint64_t)stats.tx.errors, "net.%u.rx.errs", i);
        params_add_ulong(params, (uint64_t)stats.tx.dropped, "net.%u.rx.drop", i);
        params_add_ulong(params, (uint64_t)stats.rx.bytes, "net.%u.tx.bytes", i);
        params_add_ulong(params, (uint64_t)stats.rx.packets, "net.%u.tx.pkts", i);
        params_add_ulong(params, (uint64_t)stats.rx.errors, "net.%u.tx.errs", i);
        params_add_ulong(params, (uint64_t)stats.rx.dropped, "net.%u.tx.drop", i);
    }
}

static void add_block_counts(const struct subject *subject, const char *alias, guint i,
                             GArray *params)
{
    struct block_stats stats = {0};

    if (!subject->blocks || !block_stats_read(subject->blocks, alias, &stats))
        return;
    params_add_ulong(params, (uint64_t)stats.rd_req, "block.%u.rd.reqs", i);
    params_add_ulong(params, (uint64_t)stats.rd_bytes, "block.%u.rd.bytes", i);
    params_add_ulong(params, (uint64_t)stats.rd_times, "block.%u.rd.times", i);
    params_add_ulong(params, (uint64_t)stats.wr_req, "block.%u.wr.reqs", i);
    params_add_ulong(params, (uint64_t)stats.wr_bytes, "block.%u.wr.bytes", i);
    params_add_ulong(params, (uint64_t)stats.wr_times, "block.%u.wr.times", i);
    params_add_ulong(params, (uint64_t)stats.flush_req, "block.%u.fl.reqs", i);
    params_add_ulong(params, (uint64_t)stats.flush_times, "block.%u.fl.times", i);
}

static void add_block(const struct subject *subject, GArray *params)
{
    const domain_def *def = domain_current_def(subject->domain);

    params_add_uint(params, def->disks->len, "block.count");
    for (guint i = 0; i < def->disks->len; i++) {
        const struct domain_disk *disk = domain_disk_at(def, i);
        const struct block_size *size =
            i < subject->images->len ? &subject->sizes[i] : &(struct block_size){0};

        params_add_string(params, disk->target, "block.%u.name", i);
        if (disk->source)
            params_add_string(params, disk->source, "block.%u.path", i);
        add_block_counts(subject, disk->info.alias, i, params);
        if (!size->capacity)
            continue;
        params_add_ulong(params, size->allocation, "block.%u.allocation", i);
        params_add_ulong(params, size->capacity, "block.%u.capacity", i);
        params_add_ulong(params, size->physical, "block.%u.physical", i);
    }
}

static void add_iothread(const struct subject *subject, GArray *params)
{
    if (domain_runs(subject->domain))
        params_add_uint(params, subject->domain->live->iothreads->len, "iothread.count");
}

static const struct {
    unsigned flag;
    void (*add)(const struct subject *subject, GArray *params);
} groups[] = {
    {VIR_DOMAIN_STATS_STATE, add_state},         {VIR_DOMAIN_STATS_CPU_TOTAL, add_cpu_total},
    {VIR_DOMAIN_STATS_BALLOON, add_balloon},     {VIR_DOMAIN_STATS_VCPU, add_vcpu},
    {VIR_DOMAIN_STATS_INTERFACE, add_interface}, {VIR_DOMAIN_STATS_BLOCK, add_block},
    {VIR_DOMAIN_STATS_IOTHREAD, add_iothread},
};

static void tell(const struct subject *subject, unsigned stats, wire_stats_record *record)
{
    GArray *params = params_new();

    api_fill_domain(&record->dom, subject->domain);
    for (gsize i = 0; i < G_N_ELEMENTS(groups); i++) {
        if (stats & groups[i].flag)
            groups[i].add(subject, params);
    }
    record->params.params_val = params_take(params, &record->params.params_len);
}

/* ---- the call ---- */

/* Which groups are meant: 0 asks for all that there are. */
static bool check_stats(unsigned *stats, unsigned flags, GError **error)
{
    unsigned known = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(groups); i++)
        known |= groups[i].flag;
    if ((flags & VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS) && (*stats & ~known)) {
        libvirt_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED,
                          "Stats types bits 0x%x are not supported by this daemon",
                          *stats & ~known);
        return false;
    }
    *stats = *stats ? *stats & known : known;
    return true;
}

/* Those that were named, or all; who does not exist is left out, as libvirt does. */
/* Each but once, however often it is named: a VMM is asked for it. */
static GPtrArray *named_domains(struct call *call, const wire_stats_args *in)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    GPtrArray *domains;

    if (!in->doms.doms_len)
        return domain_list_all(call->daemon->domains);
    domains = g_ptr_array_new_with_free_func((GDestroyNotify)domain_unref);
    for (guint i = 0; i < in->doms.doms_len; i++) {
        const uint8_t *uuid = (const uint8_t *)in->doms.doms_val[i].uuid;
        struct domain *domain = domain_list_by_uuid(call->daemon->domains, uuid);

        if (domain && g_hash_table_add(seen, domain))
            g_ptr_array_add(domains, domain);
        else if (domain)
            domain_unref(domain);
    }
    return domains;
}

/* Those of them that the filters leave, and what is asked of their VMMs. */
static GArray *ask_all(struct call *call, const wire_stats_args *in, unsigned stats,
                       unsigned filters)
{
    g_autoptr(GPtrArray) domains = named_domains(call, in);
    /* Calls under way are known by their address: the array must not move. */
    GArray *subjects = g_array_sized_new(FALSE, TRUE, sizeof(struct subject), domains->len);

    g_array_set_clear_func(subjects, subject_clear);
    for (guint i = 0; i < domains->len && subjects->len < WIRE_LIST_MAX; i++) {
        struct domain *domain = g_ptr_array_index(domains, i);

        domain_lock(domain);
        if (api_domain_matches(domain, in->flags & filters)) {
            struct subject subject = {.domain = domain_ref(domain)};

            g_array_append_val(subjects, subject);
            ask(&g_array_index(subjects, struct subject, subjects->len - 1), stats);
        }
        domain_unlock(domain);
    }
    return subjects;
}

static void tell_all(const GArray *subjects, unsigned stats, wire_stats *out)
{
    out->records.records_val = g_new0(wire_stats_record, subjects->len + 1);
    for (guint i = 0; i < subjects->len; i++) {
        const struct subject *subject = &g_array_index(subjects, struct subject, i);

        domain_lock(subject->domain);
        if (!domain_is_void(subject->domain))
            tell(subject, stats, &out->records.records_val[out->records.records_len++]);
        domain_unlock(subject->domain);
    }
}

bool api_connect_get_all_domain_stats(struct call *call, const wire_stats_args *in, wire_stats *out,
                                      GError **error)
{
    const unsigned filters = VIR_CONNECT_LIST_DOMAINS_ACTIVE | VIR_CONNECT_LIST_DOMAINS_INACTIVE |
                             VIR_CONNECT_LIST_DOMAINS_PERSISTENT |
                             VIR_CONNECT_LIST_DOMAINS_TRANSIENT | VIR_CONNECT_LIST_DOMAINS_RUNNING |
                             VIR_CONNECT_LIST_DOMAINS_PAUSED | VIR_CONNECT_LIST_DOMAINS_SHUTOFF |
                             VIR_CONNECT_LIST_DOMAINS_OTHER;
    const unsigned others = VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT |
                            VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING |
                            VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS;
    gint64 deadline = g_get_monotonic_time() + ANSWERS_WITHIN_SECONDS * (gint64)G_USEC_PER_SEC;
    g_autoptr(GArray) subjects = NULL;
    unsigned stats = in->stats;

    if (!api_check_flags(call, in->flags, filters | others, error) ||
        !check_stats(&stats, in->flags, error))
        return false;
    subjects = ask_all(call, in, stats, filters);
    server_worker_waits(call->daemon->server, true);
    for (guint i = 0; i < subjects->len; i++)
        collect(&g_array_index(subjects, struct subject, i), deadline);
    server_worker_waits(call->daemon->server, false);
    tell_all(subjects, stats, out);
    return true;
}

/* ---- one domain's CPU time ---- */

bool api_domain_get_cpu_stats(struct call *call, const wire_cpu_stats_args *in, wire_cpu_stats *out,
                              GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    struct host_usage used;
    GArray *params;

    if (!api_check_flags(call, in->flags, VIR_TYPED_PARAM_STRING_OKAY, error))
        return false;
    domain = api_domain(call, &in->dom, error);
    if (!domain || !domain_check_runs(domain, error))
        return false;
    if (in->first != -1) {
        /* Which of the host's CPUs a process used is nowhere counted. */
        libvirt_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                          "statistics of single host CPUs are not available");
        return false;
    }
    used = api_usage(domain);
    params = params_new();
    params_add_ulong(params, used.user + used.system, VIR_DOMAIN_CPU_STATS_CPUTIME);
    params_add_ulong(params, used.user, VIR_DOMAIN_CPU_STATS_USERTIME);
    params_add_ulong(params, used.system, VIR_DOMAIN_CPU_STATS_SYSTEMTIME);
    out->count = (int)params->len;
    if (in->room < params->len) {
        params_free(params); /* only the number was asked for, or there is no room */
        return true;
    }
    out->params.params_val = params_take(params, &out->params.params_len);
    return true;
}
