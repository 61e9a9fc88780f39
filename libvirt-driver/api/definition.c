/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Definitions of domains: define, undefine, their XML, autostart. */
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/api/events.h"
#include "libvirt-driver/domain/list.h"
#include "libvirt-driver/domain/store.h"

/* Flags that are newer than the oldest libvirt whose headers this builds with. */
#define UNDEFINE_TPM      (1u << 5)
#define UNDEFINE_KEEP_TPM (1u << 6)

/* The domain that a definition is for, locked, with its job: the one that is there, or a new one.
 */
static locked_domain *domain_to_define(struct call *call, const domain_def *def, GError **error)
{
    for (;;) {
        locked_domain *domain = domain_list_add(call->daemon, def, error);
        g_autoptr(GError) failed = NULL;

        if (!domain)
            return NULL;
        if (domain_begin_job(domain, "DOMAIN_DEFINE_XML", &failed))
            return domain;
        domain_release(domain);
        /* Gone while we waited for its job: then this is a new one. */
        if (!g_error_matches(failed, LIBVIRT_ERROR, VIR_ERR_NO_DOMAIN)) {
            g_propagate_error(error, g_steal_pointer(&failed));
            return NULL;
        }
    }
}

static bool define(struct call *call, const char *xml, wire_dom *out, GError **error)
{
    g_autoptr(domain_def) def = domain_def_parse(xml, strlen(xml), DOMAIN_PARSE_DEFINITION, error);
    g_autoptr(locked_domain) domain = def ? domain_to_define(call, def, error) : NULL;
    bool saved;

    if (!domain)
        return false;
    domain_unlock(domain);
    saved = store_save_config(&call->daemon->paths, def, error);
    domain_lock(domain);
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
        domain_unlock(domain);
        removed = store_remove_config(&call->daemon->paths, domain->name, error);
        domain_lock(domain);
    }
    if (removed) {
        events_lifecycle(call->daemon->events, domain, VIR_DOMAIN_EVENT_UNDEFINED,
                         VIR_DOMAIN_EVENT_UNDEFINED_REMOVED);
        g_clear_pointer(&domain->config, domain_def_free);
        domain->autostart = false;
        domain->updated = false;
        domain_list_remove_void(call->daemon->domains, domain);
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

/* The child of <metadata> that belongs to the namespace, as text. */
static char *metadata_element(const char *metadata, const char *uri)
{
    xmlDoc *doc = metadata
                      ? xmlReadMemory(metadata, (int)strlen(metadata), NULL, NULL,
                                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)
                      : NULL;
    const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    char *text = NULL;

    for (xmlNode *node = root ? root->children : NULL; node && !text; node = node->next) {
        if (node->type == XML_ELEMENT_NODE && node->ns &&
            strcmp((const char *)node->ns->href, uri) == 0) {
            xmlBuffer *buffer = xmlBufferCreate();

            xmlNodeDump(buffer, doc, node, 0, 1);
            text = g_strdup((const char *)xmlBufferContent(buffer));
            xmlBufferFree(buffer);
        }
    }
    xmlFreeDoc(doc);
    return text;
}

bool api_domain_get_metadata(struct call *call, const wire_metadata_args *in, wire_str *out,
                             GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    const domain_def *def;

    if (!api_check_flags(call, in->flags, VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG, error))
        return false;
    domain = api_domain(call, &in->dom, error);
    def = domain ? api_def(domain, in->flags, error) : NULL;
    if (!def)
        return false;
    switch (in->type) {
    case VIR_DOMAIN_METADATA_DESCRIPTION:
        out->value = g_strdup(def->description);
        break;
    case VIR_DOMAIN_METADATA_TITLE:
        out->value = g_strdup(def->title);
        break;
    case VIR_DOMAIN_METADATA_ELEMENT:
        if (in->uri)
            out->value = metadata_element(def->metadata, *in->uri);
        break;
    default:
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "unknown metadata type %d", in->type);
        return false;
    }
    if (!out->value) {
        libvirt_error_set(error, VIR_ERR_NO_DOMAIN_METADATA,
                          "Requested metadata element is not present");
    }
    return out->value != NULL;
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
        domain_unlock(domain);
        done = store_set_autostart(&call->daemon->paths, domain->name, wanted, error);
        domain_lock(domain);
    }
    if (done)
        domain->autostart = wanted;
    domain_end_job(domain);
    return done;
}
