/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the handlers of all families share: flags, the domain of a call, definitions and changes. */
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/domain/list.h"

bool api_check_flags(struct call *call, unsigned flags, unsigned known, GError **error)
{
    const struct rpc_procedure *procedure = rpc_procedure_find(call->header.procedure);
    g_autofree char *function = NULL;

    if (!(flags & ~known))
        return true;
    function = rpc_procedure_function(procedure);
    libvirt_error_set(error, VIR_ERR_INVALID_ARG, "unsupported flags (0x%x) in function %s",
                      flags & ~known, function);
    return false;
}

locked_domain *api_domain_by_uuid(struct call *call, const uint8_t *uuid)
{
    struct domain *domain;

    while ((domain = domain_list_by_uuid(call->daemon->domains, uuid))) {
        bool replaced;

        domain_lock(domain);
        if (!domain_is_void(domain))
            return domain;
        replaced = domain->removed;
        domain_release(domain);
        if (!replaced)
            break;
        /* It got another name between the two locks, or is gone: the list knows. */
    }
    return NULL;
}

locked_domain *api_domain(struct call *call, const wire_domain *dom, GError **error)
{
    const uint8_t *uuid = (const uint8_t *)dom->uuid;
    locked_domain *domain = api_domain_by_uuid(call, uuid);
    char text[DOMAIN_UUID_TEXT];

    if (domain)
        return domain;
    domain_uuid_format(uuid, text);
    libvirt_error_set(error, VIR_ERR_NO_DOMAIN, "no domain with matching uuid '%s' (%s)", text,
                      dom->name);
    return NULL;
}

/* Takes the job of a domain, or lets go of that. `*gone`: it is none any more, and there is no
 * error yet. */
static bool begin_job(struct call *call, locked_domain *domain, bool *gone, GError **error)
{
    const struct rpc_procedure *procedure = rpc_procedure_find(call->header.procedure);
    GError *failed = NULL;

    if (domain_begin_job(domain, procedure->name, &failed))
        return true;
    domain_release(domain);
    *gone = g_error_matches(failed, LIBVIRT_ERROR, VIR_ERR_NO_DOMAIN);
    if (*gone)
        g_error_free(failed);
    else
        g_propagate_error(error, failed);
    return false;
}

locked_domain *api_domain_with_job(struct call *call, const wire_domain *dom, GError **error)
{
    locked_domain *domain;
    bool gone = true;

    /* Gone while we waited for its job: it may have another name now. */
    while (gone && (domain = api_domain(call, dom, error))) {
        if (begin_job(call, domain, &gone, error))
            return domain;
    }
    return NULL;
}

locked_domain *api_domain_for(struct call *call, const domain_def *def, GError **error)
{
    locked_domain *domain;
    bool gone = true;

    /* Gone while we waited for its job: then this is a new one. */
    while (gone && (domain = domain_list_add(call->daemon, def, error))) {
        if (begin_job(call, domain, &gone, error))
            return domain;
    }
    return NULL;
}

bool api_edit(struct call *call, const wire_domain *dom, const struct edit *edit, const void *what,
              unsigned flags, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain_with_job(call, dom, error);
    bool done;

    if (!domain)
        return false;
    done = domain_edit(domain, edit, what, flags, error);
    domain_end_job(domain);
    return done;
}

void api_fill_domain(wire_domain *wire, const struct domain *domain)
{
    wire->name = g_strdup(domain->name);
    memcpy(wire->uuid, domain->uuid, sizeof(wire->uuid));
    wire->id = g_atomic_int_get(&domain->id);
}

static const domain_def *def_of(const struct domain *domain, unsigned flags, GError **error)
{
    bool live = flags & VIR_DOMAIN_AFFECT_LIVE;
    bool config = flags & VIR_DOMAIN_AFFECT_CONFIG;

    if (live && config) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "flags 'VIR_DOMAIN_AFFECT_LIVE' and 'VIR_DOMAIN_AFFECT_CONFIG' are "
                          "mutually exclusive");
        return NULL;
    }
    if (live && !domain_check_runs(domain, error))
        return NULL;
    if (config && !domain->config) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID,
                          "transient domains do not have any persistent config");
        return NULL;
    }
    return config ? domain->config : domain_current_def(domain);
}

locked_domain *api_domain_def(struct call *call, const wire_domain *dom, unsigned flags,
                              const domain_def **def, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, dom, error);

    *def = domain ? def_of(domain, flags, error) : NULL;
    return *def ? g_steal_pointer(&domain) : NULL;
}

locked_domain *api_domain_def_for_params(struct call *call, const wire_domain *dom, unsigned flags,
                                         const domain_def **def, GError **error)
{
    if (!api_check_flags(call, flags, API_IMPACT | VIR_TYPED_PARAM_STRING_OKAY, error))
        return NULL;
    return api_domain_def(call, dom, flags, def, error);
}

struct domain_disk *api_find_disk(const domain_def *def, const char *path)
{
    for (guint i = 0; i < def->disks->len; i++) {
        struct domain_disk *disk = domain_disk_at(def, i);

        if (strcmp(disk->target, path) == 0 || g_strcmp0(disk->source, path) == 0)
            return disk;
    }
    return NULL;
}

static bool is_active(const struct domain *domain)
{
    return domain_runs(domain);
}

static bool is_persistent(const struct domain *domain)
{
    return domain->config != NULL;
}

static bool is_autostart(const struct domain *domain)
{
    return domain->autostart;
}

static bool never(const struct domain *domain)
{
    return false;
}

/* The states of a listing are one group: any one of those that were asked for is enough. */
static bool state_matches(const struct domain *domain, unsigned flags)
{
    const unsigned all = VIR_CONNECT_LIST_DOMAINS_RUNNING | VIR_CONNECT_LIST_DOMAINS_PAUSED |
                         VIR_CONNECT_LIST_DOMAINS_SHUTOFF | VIR_CONNECT_LIST_DOMAINS_OTHER;

    if (!(flags & all))
        return true;
    switch (domain->state) {
    case VIR_DOMAIN_RUNNING:
        return flags & VIR_CONNECT_LIST_DOMAINS_RUNNING;
    case VIR_DOMAIN_PAUSED:
        return flags & VIR_CONNECT_LIST_DOMAINS_PAUSED;
    case VIR_DOMAIN_SHUTOFF:
        return flags & VIR_CONNECT_LIST_DOMAINS_SHUTOFF;
    default:
        return flags & VIR_CONNECT_LIST_DOMAINS_OTHER;
    }
}

bool api_domain_matches(const struct domain *domain, unsigned flags)
{
    static const struct {
        unsigned yes;
        unsigned no;
        bool (*property)(const struct domain *domain);
    } groups[] = {
        {VIR_CONNECT_LIST_DOMAINS_ACTIVE, VIR_CONNECT_LIST_DOMAINS_INACTIVE, is_active},
        {VIR_CONNECT_LIST_DOMAINS_PERSISTENT, VIR_CONNECT_LIST_DOMAINS_TRANSIENT, is_persistent},
        {VIR_CONNECT_LIST_DOMAINS_AUTOSTART, VIR_CONNECT_LIST_DOMAINS_NO_AUTOSTART, is_autostart},
        {VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE, VIR_CONNECT_LIST_DOMAINS_NO_MANAGEDSAVE, never},
        {VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT, VIR_CONNECT_LIST_DOMAINS_NO_SNAPSHOT, never},
        {VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT, VIR_CONNECT_LIST_DOMAINS_NO_CHECKPOINT, never},
    };

    if (domain_is_void(domain) || !state_matches(domain, flags))
        return false;
    for (gsize i = 0; i < G_N_ELEMENTS(groups); i++) {
        bool yes = flags & groups[i].yes;
        bool no = flags & groups[i].no;

        if (yes != no && groups[i].property(domain) != yes)
            return false;
    }
    return true;
}

const json_t *api_device_stats(const json_t *reply, const char *alias)
{
    const json_t *entry;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)reply, i, entry)
    {
        if (g_strcmp0(json_string_value(json_object_get(entry, "device")), alias) == 0)
            return json_object_get(entry, "stats");
    }
    return NULL;
}

int64_t api_stat(const json_t *stats, const char *name)
{
    return json_integer_value(json_object_get(stats, name));
}
