/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Definitions of domains: define, undefine, rename, their XML, autostart, lifecycle actions. */
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/api/events.h"
#include "libvirt-driver/domain/change.h"
#include "libvirt-driver/domain/list.h"
#include "libvirt-driver/domain/store.h"

/* Flags that are newer than the oldest libvirt whose headers this builds with. */
#define UNDEFINE_TPM      (1u << 5)
#define UNDEFINE_KEEP_TPM (1u << 6)

static bool define(struct call *call, const char *xml, wire_dom *out, GError **error)
{
    g_autoptr(domain_def) def = domain_def_parse(xml, strlen(xml), DOMAIN_PARSE_DEFINITION, error);
    g_autoptr(locked_domain) domain = def ? api_domain_for(call, def, error) : NULL;
    bool saved;

    if (!domain)
        return false;
    domain_begin_wait(domain);
    saved = store_save_config(&call->daemon->paths, def, error);
    domain_end_wait(domain);
    if (saved) {
        int detail =
            domain->config ? VIR_DOMAIN_EVENT_DEFINED_UPDATED : VIR_DOMAIN_EVENT_DEFINED_ADDED;

        domain->updated = domain_runs(domain);
        g_clear_pointer(&domain->config, domain_def_free);
        domain->config = g_steal_pointer(&def);
        events_lifecycle(call->daemon->events, domain, VIR_DOMAIN_EVENT_DEFINED, detail);
        api_fill_domain(&out->dom, domain);
    } else {
        domain_list_remove_void(call->daemon->domains, domain);
    }
    domain_end_job(domain);
    return saved;
}

bool api_domain_define_xml(struct call *call, const wire_str *in, wire_dom *out, GError **error)
{
    return define(call, in->value, out, error);
}

/* Every definition is checked as VIR_DOMAIN_DEFINE_VALIDATE asks: what is not known is refused. */
bool api_domain_define_xml_flags(struct call *call, const wire_str_flags *in, wire_dom *out,
                                 GError **error)
{
    return api_check_flags(call, in->flags, VIR_DOMAIN_DEFINE_VALIDATE, error) &&
           define(call, in->value, out, error);
}

static bool undefine(struct call *call, const wire_domain *dom, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain_with_job(call, dom, error);
    bool removed = false;

    if (!domain)
        return false;
    if (!domain->config) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "cannot undefine transient domain");
    } else {
        domain_begin_wait(domain);
        removed = store_remove_config(&call->daemon->paths, domain->name, error);
        domain_end_wait(domain);
    }
    if (removed) {
        g_clear_pointer(&domain->config, domain_def_free);
        domain->autostart = false;
        domain->updated = false;
        /* Before it is told: who hears it may want the name for another one. */
        domain_list_remove_void(call->daemon->domains, domain);
        events_lifecycle(call->daemon->events, domain, VIR_DOMAIN_EVENT_UNDEFINED,
                         VIR_DOMAIN_EVENT_UNDEFINED_REMOVED);
    }
    domain_end_job(domain);
    return removed;
}

bool api_domain_undefine(struct call *call, const wire_dom *in, wire_none *out, GError **error)
{
    return undefine(call, &in->dom, error);
}

bool api_domain_undefine_flags(struct call *call, const wire_dom_flags *in, wire_none *out,
                               GError **error)
{
    /* There are no saved states, snapshots, NVRAMs or TPMs that these could keep or remove. */
    const unsigned known =
        VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
        VIR_DOMAIN_UNDEFINE_NVRAM | VIR_DOMAIN_UNDEFINE_KEEP_NVRAM |
        VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | UNDEFINE_TPM | UNDEFINE_KEEP_TPM;

    return api_check_flags(call, in->flags, known, error) && undefine(call, &in->dom, error);
}

bool api_domain_get_xml_desc(struct call *call, const wire_dom_flags *in, wire_str *out,
                             GError **error)
{
    const unsigned sensitive = VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE;
    g_autoptr(locked_domain) domain = NULL;
    const domain_def *def;

    if (!api_check_flags(call, in->flags,
                         sensitive | VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_UPDATE_CPU, error))
        return false;
    if ((in->flags & sensitive) && client_is_readonly(call->client)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_DENIED, "virDomainGetXMLDesc with secure flag");
        return false;
    }
    domain = api_domain(call, &in->dom, error);
    if (!domain)
        return false;
    def = domain_current_def(domain);
    if ((in->flags & VIR_DOMAIN_XML_INACTIVE) && domain->config)
        def = domain->config;
    out->value = domain_def_format(def, in->flags);
    return true;
}

bool api_domain_get_autostart(struct call *call, const wire_dom *in, wire_int *out, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, &in->dom, error);

    if (domain)
        out->value = domain->autostart;
    return domain != NULL;
}

bool api_domain_set_autostart(struct call *call, const wire_dom_int *in, wire_none *out,
                              GError **error)
{
    g_autoptr(locked_domain) domain = api_domain_with_job(call, &in->dom, error);
    bool wanted = in->value != 0;
    bool done = false;

    if (!domain)
        return false;
    if (!domain->config) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID,
                          "cannot set autostart for transient domain");
    } else {
        domain_begin_wait(domain);
        done = store_set_autostart(&call->daemon->paths, domain->name, wanted, error);
        domain_end_wait(domain);
    }
    if (done)
        domain->autostart = wanted;
    domain_end_job(domain);
    return done;
}

/* ---- another name ---- */

/* The definition under its new name, checked as one that a client sends. */
static domain_def *renamed(const domain_def *def, const char *name, GError **error)
{
    g_autoptr(domain_def) copy = domain_def_copy(def);
    g_autofree char *xml = NULL;

    g_free(copy->name);
    copy->name = g_strdup(name);
    xml = domain_def_format(copy, VIR_DOMAIN_XML_INACTIVE);
    return domain_def_parse(xml, strlen(xml), DOMAIN_PARSE_DEFINITION, error);
}

static bool may_be_renamed(const struct domain *domain, const char *name, GError **error)
{
    if (domain_runs(domain))
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "cannot rename active domain");
    else if (strcmp(name, domain->name) == 0)
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "Can't rename domain to itself");
    else
        return true;
    return false;
}

/* A name never changes in a struct domain: the one with the new name takes the place of the other
 * in the list, with its UUID. */
static bool rename_domain(struct call *call, struct domain *domain, const char *name,
                          GError **error)
{
    const struct paths *paths = &call->daemon->paths;
    bool autostart = domain->autostart;
    g_autoptr(domain_def) def = NULL;
    g_autoptr(held_domain) other = NULL;
    g_autoptr(GError) left_over = NULL;
    bool saved;

    if (!may_be_renamed(domain, name, error))
        return false;
    def = renamed(domain->config, name, error);
    other = def ? domain_list_reserve_name(call->daemon, domain, name, error) : NULL;
    if (!other)
        return false;
    domain_begin_wait(domain);
    saved = store_save_config(paths, def, error) &&
            (!autostart || store_set_autostart(paths, name, true, error));
    if (!saved)
        store_remove_config(paths, name, NULL);
    else if (!store_remove_config(paths, domain->name, &left_over))
        g_warning("domain '%s' was renamed: %s", name, left_over->message);
    domain_end_wait(domain);
    if (!saved) {
        domain_list_drop_name(call->daemon->domains, other);
        return false;
    }
    domain_lock(other);
    other->config = g_steal_pointer(&def);
    other->autostart = autostart;
    other->reason = domain->reason;
    g_clear_pointer(&domain->config, domain_def_free);
    domain_list_replace(call->daemon->domains, domain, other);
    events_lifecycle(call->daemon->events, domain, VIR_DOMAIN_EVENT_UNDEFINED,
                     VIR_DOMAIN_EVENT_UNDEFINED_RENAMED);
    events_lifecycle(call->daemon->events, other, VIR_DOMAIN_EVENT_DEFINED,
                     VIR_DOMAIN_EVENT_DEFINED_RENAMED);
    domain_unlock(other);
    return true;
}

bool api_domain_rename(struct call *call, const wire_dom_opt_str_flags *in, wire_int *out,
                       GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    bool done;

    if (!api_check_flags(call, in->flags, 0, error))
        return false;
    if (!in->value) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "new_name in virDomainRename must not be NULL");
        return false;
    }
    domain = api_domain_with_job(call, &in->dom, error);
    if (!domain)
        return false;
    done = rename_domain(call, domain, *in->value, error);
    domain_end_job(domain);
    return done;
}

/* ---- what follows an end ---- */

static bool edit_lifecycle(domain_def *def, bool running, const void *what, GError **error)
{
    const wire_lifecycle_action_args *in = what;

    switch (in->type) {
    case VIR_DOMAIN_LIFECYCLE_POWEROFF:
        def->on_poweroff = (enum domain_action)in->action;
        return true;
    case VIR_DOMAIN_LIFECYCLE_REBOOT:
        if (running && def->on_reboot != (enum domain_action)in->action) {
            libvirt_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                              "what a reboot does cannot change while the domain runs");
            return false;
        }
        def->on_reboot = (enum domain_action)in->action;
        return true;
    default:
        /* Whether a panic ends the VMM or halts the guest was settled when it was started. */
        if (running && (def->on_crash == DOMAIN_ACTION_PRESERVE) !=
                           (in->action == VIR_DOMAIN_LIFECYCLE_ACTION_PRESERVE)) {
            libvirt_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                              "'preserve' cannot be set or unset while the domain runs");
            return false;
        }
        def->on_crash = (enum domain_action)in->action;
        return true;
    }
}

/* Nothing is left of a guest that has powered off or rebooted; a crashed one can be kept. */
static bool check_action(const wire_lifecycle_action_args *in, GError **error)
{
    static const char *const events[] = {"poweroff", "reboot", "crash"};
    static const char *const actions[] = {
        "destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart",
    };

    switch (in->action) {
    case VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY:
    case VIR_DOMAIN_LIFECYCLE_ACTION_RESTART:
        return true;
    case VIR_DOMAIN_LIFECYCLE_ACTION_PRESERVE:
        if (in->type == VIR_DOMAIN_LIFECYCLE_CRASH)
            return true;
        G_GNUC_FALLTHROUGH;
    default:
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "Lifecycle event '%s' doesn't support '%s' action", events[in->type],
                          actions[in->action]);
        return false;
    }
}

bool api_domain_set_lifecycle_action(struct call *call, const wire_lifecycle_action_args *in,
                                     wire_none *out, GError **error)
{
    static const struct edit edit = {.edit = edit_lifecycle};

    if (!api_check_flags(call, in->flags, API_IMPACT, error))
        return false;
    if (in->type > VIR_DOMAIN_LIFECYCLE_CRASH) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "Lifecycle event type %u is not valid",
                          in->type);
        return false;
    }
    if (in->action > VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_RESTART) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "Lifecycle action %u is not valid",
                          in->action);
        return false;
    }
    if (!check_action(in, error))
        return false;
    return api_edit(call, &in->dom, &edit, in, in->flags, error);
}
