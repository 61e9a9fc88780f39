/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What people and programs write down about a domain: its title, its description, and elements of
 * their own in <metadata>, one for each XML namespace. Nothing here means anything to a VMM.
 */
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/api/events.h"
#include "libvirt-driver/domain/change.h"
#include "xml/writer.h"

#define XML_OPTIONS (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)

typedef xmlDoc xml_doc;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xml_doc, xmlFreeDoc)

static xml_doc *parse(const char *text)
{
    return text ? xmlReadMemory(text, (int)strlen(text), NULL, NULL, XML_OPTIONS) : NULL;
}

/* The child of <metadata> that belongs to the namespace. */
static xmlNode *find_element(xmlNode *root, const char *uri)
{
    for (xmlNode *node = root ? root->children : NULL; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE && node->ns &&
            strcmp((const char *)node->ns->href, uri) == 0)
            return node;
    }
    return NULL;
}

static char *node_text(xmlDoc *doc, xmlNode *node)
{
    xmlBuffer *buffer = xmlBufferCreate();
    char *text;

    xmlNodeDump(buffer, doc, node, 0, 0);
    text = g_strdup((const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    return text;
}

/* ---- reading ---- */

static void leave_namespace(xmlNode *node, const char *uri)
{
    if (node->ns && strcmp((const char *)node->ns->href, uri) == 0)
        node->ns = NULL;
    for (xmlNode *child = node->children; child; child = child->next) {
        if (child->type == XML_ELEMENT_NODE)
            leave_namespace(child, uri);
    }
}

/* As text, without the namespace that it was asked for by. */
static char *read_element(const char *metadata, const char *uri)
{
    g_autoptr(xml_doc) doc = parse(metadata);
    xmlNode *node = find_element(doc ? xmlDocGetRootElement(doc) : NULL, uri);

    if (!node)
        return NULL;
    leave_namespace(node, uri);
    for (xmlNs **ns = &node->nsDef; *ns; ns = &(*ns)->next) {
        if (strcmp((const char *)(*ns)->href, uri) == 0) {
            xmlNs *gone = *ns;

            *ns = gone->next;
            xmlFreeNs(gone);
            break;
        }
    }
    return node_text(doc, node);
}

bool api_domain_get_metadata(struct call *call, const wire_metadata_args *in, wire_str *out,
                             GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    const domain_def *def;

    if (!api_check_flags(call, in->flags, API_IMPACT, error))
        return false;
    domain = api_domain_def(call, &in->dom, in->flags, &def, error);
    if (!domain)
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
            out->value = read_element(def->metadata, *in->uri);
        break;
    default:
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "unknown metadata type '%d'", in->type);
        return false;
    }
    if (!out->value) {
        libvirt_error_set(error, VIR_ERR_NO_DOMAIN_METADATA,
                          "Requested metadata element is not present");
    }
    return out->value != NULL;
}

/* ---- writing ---- */

static void enter_namespace(xmlNode *node, xmlNs *ns)
{
    if (!node->ns)
        node->ns = ns;
    for (xmlNode *child = node->children; child; child = child->next) {
        if (child->type == XML_ELEMENT_NODE)
            enter_namespace(child, ns);
    }
}

/* What the client sent, as an element of its namespace. */
static xml_doc *parse_element(const wire_set_metadata_args *in, GError **error)
{
    g_autoptr(xml_doc) doc = parse(*in->metadata);
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    xmlNs *ns;

    if (!root || doc->intSubset) {
        libvirt_error_set(error, VIR_ERR_XML_DETAIL, "(metadata_xml): it is no XML element");
        return NULL;
    }
    if (xmlValidateNCName((const xmlChar *)*in->key, 1) != 0) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR,
                          "failed to validate prefix for a new XML namespace");
        return NULL;
    }
    ns = xmlNewNs(root, (const xmlChar *)*in->uri, (const xmlChar *)*in->key);
    if (!ns) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "failed to create a new XML namespace");
        return NULL;
    }
    enter_namespace(root, ns);
    return g_steal_pointer(&doc);
}

static bool set_element(domain_def *def, const wire_set_metadata_args *in, GError **error)
{
    g_autoptr(xml_doc) element = NULL;
    g_autoptr(xml_doc) doc = parse(def->metadata ? def->metadata : "<metadata/>");
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    xmlNode *node;

    if (!root) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "the domain's metadata is no XML");
        return false;
    }
    if (in->metadata) {
        element = parse_element(in, error);
        if (!element)
            return false;
    }
    while ((node = find_element(root, *in->uri))) {
        xmlUnlinkNode(node);
        xmlFreeNode(node);
    }
    if (element)
        xmlAddChild(root, xmlDocCopyNode(xmlDocGetRootElement(element), doc, 1));
    g_free(def->metadata);
    def->metadata = xmlFirstElementChild(root) ? node_text(doc, root) : NULL;
    return true;
}

static void set_text(char **text, const wire_opt_string *value)
{
    g_free(*text);
    *text = *value && ***value ? g_strdup(**value) : NULL;
}

static bool edit_metadata(domain_def *def, bool running, const void *what, GError **error)
{
    const wire_set_metadata_args *in = what;

    switch (in->type) {
    case VIR_DOMAIN_METADATA_DESCRIPTION:
        set_text(&def->description, &in->metadata);
        return true;
    case VIR_DOMAIN_METADATA_TITLE:
        set_text(&def->title, &in->metadata);
        return true;
    default:
        return set_element(def, in, error);
    }
}

static bool check_metadata(const wire_set_metadata_args *in, GError **error)
{
    const char *text = in->metadata ? *in->metadata : "";

    switch (in->type) {
    case VIR_DOMAIN_METADATA_DESCRIPTION:
        break;
    case VIR_DOMAIN_METADATA_TITLE:
        if (!strchr(text, '\n'))
            break;
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "metadata title can't contain newlines");
        return false;
    case VIR_DOMAIN_METADATA_ELEMENT:
        if (in->uri && (!in->metadata || in->key))
            return true; /* an element's text is looked at when it is parsed */
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "a metadata element takes a namespace and a key");
        return false;
    default:
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "unknown metadata type '%d'", in->type);
        return false;
    }
    if (xml_can_hold(text))
        return true;
    libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                      "metadata holds a character that XML does not allow");
    return false;
}

bool api_domain_set_metadata(struct call *call, const wire_set_metadata_args *in, wire_none *out,
                             GError **error)
{
    static const struct edit edit = {.edit = edit_metadata};
    g_autoptr(locked_domain) domain = NULL;
    bool done;

    if (!api_check_flags(call, in->flags, API_IMPACT, error) || !check_metadata(in, error))
        return false;
    domain = api_domain_with_job(call, &in->dom, error);
    if (!domain)
        return false;
    done = domain_edit(domain, &edit, in, in->flags, error);
    if (done)
        events_metadata(call->daemon->events, domain, in->type, in->uri ? *in->uri : NULL);
    domain_end_job(domain);
    return done;
}
