/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/writer.h"

#include <stdarg.h>
#include <string.h>

void xml_writer_init(struct xml_writer *w)
{
    w->out = g_string_new(NULL);
    w->depth = 0;
    w->start = w->inner = 0;
}

char *xml_writer_finish(struct xml_writer *w)
{
    GString *out = w->out;

    w->out = NULL;
    return g_string_free(out, FALSE);
}

bool xml_can_hold(const char *text)
{
    for (; *text; text = g_utf8_next_char(text)) {
        gunichar c = g_utf8_get_char_validated(text, -1);

        /* What is no character of UTF-8 is beyond all of them. */
        if (c > 0x10ffff || (c < 0x20 && !strchr("\t\n\r", (int)c)) || c == 0xfffe || c == 0xffff)
            return false;
    }
    return true;
}

struct xml_number xml_number(int64_t value)
{
    struct xml_number number = {.text = ""};

    g_snprintf(number.text, sizeof(number.text), "%" G_GINT64_FORMAT, value);
    return number;
}

/*
 * A parser turns line ends in attributes into blanks, and a lone CR anywhere into LF: those that
 * are really meant have to be written as references.
 */
static const char *escape_of(char c, gboolean in_attribute)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '\r':
        return "&#13;";
    case '\'':
        return in_attribute ? "&apos;" : NULL;
    case '\n':
        return in_attribute ? "&#10;" : NULL;
    case '\t':
        return in_attribute ? "&#9;" : NULL;
    default:
        return NULL;
    }
}

static void append_escaped(GString *out, const char *text, gboolean in_attribute)
{
    for (; *text; text++) {
        const char *escape = escape_of(*text, in_attribute);

        if (escape)
            g_string_append(out, escape);
        else
            g_string_append_c(out, *text);
    }
}

static void begin(struct xml_writer *w, const char *name, va_list attributes)
{
    const char *attribute;

    g_string_append_printf(w->out, "%*s<%s", (int)w->depth * 2, "", name);
    while ((attribute = va_arg(attributes, const char *))) {
        const char *value = va_arg(attributes, const char *);

        if (!value)
            continue;
        g_string_append_printf(w->out, " %s='", attribute);
        append_escaped(w->out, value, TRUE);
        g_string_append_c(w->out, '\'');
    }
}

void xml_open(struct xml_writer *w, const char *name, ...)
{
    va_list attributes;

    w->start = w->out->len;
    va_start(attributes, name);
    begin(w, name, attributes);
    va_end(attributes);
    g_string_append(w->out, ">\n");
    w->inner = w->out->len;
    w->depth++;
}

void xml_close(struct xml_writer *w, const char *name)
{
    w->depth--;
    if (w->out->len == w->inner) {
        g_string_truncate(w->out, w->inner - strlen(">\n"));
        g_string_append(w->out, "/>\n");
    } else {
        g_string_append_printf(w->out, "%*s</%s>\n", (int)w->depth * 2, "", name);
    }
}

void xml_close_or_drop(struct xml_writer *w, const char *name)
{
    if (w->out->len == w->inner) {
        w->depth--;
        g_string_truncate(w->out, w->start);
    } else {
        xml_close(w, name);
    }
}

void xml_empty(struct xml_writer *w, const char *name, ...)
{
    va_list attributes;

    va_start(attributes, name);
    begin(w, name, attributes);
    va_end(attributes);
    g_string_append(w->out, "/>\n");
}

void xml_text_element(struct xml_writer *w, const char *name, const char *text, ...)
{
    va_list attributes;

    va_start(attributes, text);
    begin(w, name, attributes);
    va_end(attributes);
    g_string_append_c(w->out, '>');
    append_escaped(w->out, text, FALSE);
    g_string_append_printf(w->out, "</%s>\n", name);
}

void xml_raw(struct xml_writer *w, const char *xml)
{
    g_string_append_printf(w->out, "%*s%s\n", (int)w->depth * 2, "", xml);
}

/* ---- what is kept as it was read ---- */

/*
 * libxml2's own serializer is not used: older ones write a namespace's name without escaping, so
 * that a '&' in it makes a document that nobody can read again.
 */
static void append_name(GString *out, const xmlNs *ns, const xmlChar *name)
{
    if (ns && ns->prefix)
        g_string_append_printf(out, "%s:", (const char *)ns->prefix);
    g_string_append(out, (const char *)name);
}

static void append_quoted(GString *out, const char *value)
{
    g_string_append(out, "='");
    append_escaped(out, value, TRUE);
    g_string_append_c(out, '\'');
}

static void append_declaration(GString *out, const xmlNs *ns)
{
    g_string_append(out, ns->prefix ? " xmlns:" : " xmlns");
    g_string_append(out, ns->prefix ? (const char *)ns->prefix : "");
    append_quoted(out, ns->href ? (const char *)ns->href : "");
}

static void append_attribute(GString *out, xmlAttr *attr)
{
    xmlChar *value = xmlNodeGetContent((xmlNode *)attr);

    g_string_append_c(out, ' ');
    append_name(out, attr->ns, attr->name);
    append_quoted(out, value ? (const char *)value : "");
    xmlFree(value);
}

static void append_node(GString *out, xmlNode *node);

static void append_element(GString *out, xmlNode *node)
{
    g_string_append_c(out, '<');
    append_name(out, node->ns, node->name);
    for (const xmlNs *ns = node->nsDef; ns; ns = ns->next)
        append_declaration(out, ns);
    for (xmlAttr *attr = node->properties; attr; attr = attr->next)
        append_attribute(out, attr);
    if (!node->children) {
        g_string_append(out, "/>");
        return;
    }
    g_string_append_c(out, '>');
    for (xmlNode *child = node->children; child; child = child->next)
        append_node(out, child);
    g_string_append(out, "</");
    append_name(out, node->ns, node->name);
    g_string_append_c(out, '>');
}

static void append_node(GString *out, xmlNode *node)
{
    const char *content = node->content ? (const char *)node->content : "";

    switch (node->type) {
    case XML_ELEMENT_NODE:
        append_element(out, node);
        break;
    case XML_TEXT_NODE:
        append_escaped(out, content, FALSE);
        break;
    case XML_CDATA_SECTION_NODE:
        g_string_append_printf(out, "<![CDATA[%s]]>", content);
        break;
    case XML_COMMENT_NODE:
        g_string_append_printf(out, "<!--%s-->", content);
        break;
    case XML_PI_NODE:
        g_string_append_printf(out, "<?%s%s%s?>", (const char *)node->name, *content ? " " : "",
                               content);
        break;
    default: /* the reader makes no others: there are no entities */
        break;
    }
}

char *xml_node_to_text(xmlNode *node)
{
    /* A copy of its own brings along the declarations that stand further up in the document. */
    xmlNode *copy = xmlDocCopyNode(node, node->doc, 1);
    GString *out = g_string_new(NULL);

    if (copy)
        append_element(out, copy);
    xmlFreeNode(copy);
    return g_string_free(out, copy == NULL);
}
