/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the limits work: libxml2 tells of each node through SAX callbacks before it becomes part of
 * the tree. Those of them that make nodes are wrapped to count first and to stop the parser when
 * the text asks for too much, so memory is bounded by the limits and not by the sender. Only an
 * element's attributes are gathered, and each compared with all others, before the callback can
 * count them; so there is a bound on '=' in the text as well. For that to count, the text has to be
 * what it looks like: it is read as UTF-8, whatever encoding it declares or seems to be in.
 */
#include "xml/reader.h"

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <string.h>

/* How much of somebody's text an error message repeats. */
#define QUOTED_VALUE_MAX   64
#define PARSER_MESSAGE_MAX 256

#define TOO_MANY_NODES "there are too many elements and attributes"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlParserCtxt, xmlFreeParserCtxt)

struct limits {
    unsigned nodes;
    unsigned depth;
    const char *exceeded; /* what is wrong, or NULL */
    int line;
};

/* Clients send what is no UTF-8, too, and the end of that lies where GLib's steps from character to
 * character do not see it. */
static char *cut(const char *text, glong max)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    if (g_utf8_strlen(valid, -1) <= max)
        return g_steal_pointer(&valid);
    g_autofree char *head = g_utf8_substring(valid, 0, max);

    return g_strconcat(head, "...", NULL);
}

char *xml_excerpt(const char *text)
{
    return cut(text, QUOTED_VALUE_MAX);
}

static void stop(xmlParserCtxt *ctxt, const char *what)
{
    struct limits *limits = ctxt->_private;

    if (!limits->exceeded) {
        limits->exceeded = what;
        limits->line = ctxt->input ? ctxt->input->line : 0;
    }
    xmlStopParser(ctxt);
}

static bool count_nodes(xmlParserCtxt *ctxt, unsigned n)
{
    struct limits *limits = ctxt->_private;

    limits->nodes += n;
    if (limits->nodes > XML_MAX_NODES)
        stop(ctxt, TOO_MANY_NODES);
    return !limits->exceeded;
}

static void on_doctype(void *opaque, const xmlChar *name, const xmlChar *public_id,
                       const xmlChar *system_id)
{
    stop(opaque, "document type declarations are not accepted");
}

static void on_start_element(void *opaque, const xmlChar *name, const xmlChar *prefix,
                             const xmlChar *uri, int namespace_count, const xmlChar **namespaces,
                             int attribute_count, int default_count, const xmlChar **attributes)
{
    xmlParserCtxt *ctxt = opaque;
    struct limits *limits = ctxt->_private;

    if (++limits->depth > XML_MAX_DEPTH) {
        stop(ctxt, "elements are nested too deeply");
        return;
    }
    if (count_nodes(ctxt, 1 + (unsigned)attribute_count + (unsigned)namespace_count))
        xmlSAX2StartElementNs(opaque, name, prefix, uri, namespace_count, namespaces,
                              attribute_count, default_count, attributes);
}

static void on_end_element(void *opaque, const xmlChar *name, const xmlChar *prefix,
                           const xmlChar *uri)
{
    xmlParserCtxt *ctxt = opaque;
    struct limits *limits = ctxt->_private;

    limits->depth--;
    xmlSAX2EndElementNs(opaque, name, prefix, uri);
}

static void on_comment(void *opaque, const xmlChar *text)
{
    if (count_nodes(opaque, 1))
        xmlSAX2Comment(opaque, text);
}

static void on_instruction(void *opaque, const xmlChar *target, const xmlChar *data)
{
    if (count_nodes(opaque, 1))
        xmlSAX2ProcessingInstruction(opaque, target, data);
}

static void on_cdata(void *opaque, const xmlChar *text, int len)
{
    if (count_nodes(opaque, 1))
        xmlSAX2CDataBlock(opaque, text, len);
}

static void set_parser_error(GError **error, const char *label, xmlParserCtxt *ctxt)
{
    const xmlError *last = xmlCtxtGetLastError(ctxt);

    if (!last || !last->message) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "failed to parse xml document '%s'", label);
        return;
    }
    /* It may have several lines, and repeats what the sender wrote. */
    g_autofree char *line = g_strdelimit(g_strchomp(g_strdup(last->message)), "\r\n", ' ');
    g_autofree char *message = cut(line, PARSER_MESSAGE_MAX);

    libvirt_error_set(error, VIR_ERR_XML_DETAIL, "%s:%d: %s", label, last->line, message);
}

static bool check_text(const char *text, gsize len, const char *label, GError **error)
{
    unsigned signs = 0;

    if (len > XML_MAX_BYTES) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "%s: more than %u bytes", label, XML_MAX_BYTES);
        return false;
    }
    for (gsize i = 0; i < len; i++)
        signs += text[i] == '=';
    if (signs > XML_MAX_NODES) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "%s: " TOO_MANY_NODES, label);
        return false;
    }
    return true;
}

/* libxml2 wants this done before threads use it; whichever of them comes first does it here. */
static void init_parser(void)
{
    static gsize done;

    if (g_once_init_enter(&done)) {
        xmlInitParser();
        g_once_init_leave(&done, 1);
    }
}

xmlDoc *xml_document_parse(const char *text, gsize len, const char *label, GError **error)
{
    struct limits limits = {0};

    if (!check_text(text, len, label, error))
        return NULL;
    init_parser();
    g_autoptr(xmlParserCtxt) ctxt = xmlNewParserCtxt();

    if (!ctxt) {
        libvirt_error_set(error, VIR_ERR_NO_MEMORY, NULL);
        return NULL;
    }
    ctxt->_private = &limits;
    ctxt->sax->internalSubset = on_doctype;
    ctxt->sax->startElementNs = on_start_element;
    ctxt->sax->endElementNs = on_end_element;
    ctxt->sax->comment = on_comment;
    ctxt->sax->processingInstruction = on_instruction;
    ctxt->sax->cdataBlock = on_cdata;

    /* NOENT: without it '&amp;' in a namespace's name stays a reference. There are no other
     * entities that could be put in, as there is no document type. */
    g_autoptr(xmlDoc) doc =
        xmlCtxtReadMemory(ctxt, text, (int)len, label, "UTF-8",
                          XML_PARSE_IGNORE_ENC | XML_PARSE_NONET | XML_PARSE_NOENT |
                              XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_BIG_LINES);

    if (limits.exceeded) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "%s:%d: %s", label, limits.line,
                          limits.exceeded);
        return NULL;
    }
    if (!doc) {
        set_parser_error(error, label, ctxt);
        return NULL;
    }
    if (!xmlDocGetRootElement(doc)) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "missing root element");
        return NULL;
    }
    return g_steal_pointer(&doc);
}

static char *qualified_name(const xmlNs *ns, const xmlChar *name)
{
    const char *prefix = ns && ns->prefix ? (const char *)ns->prefix : NULL;
    g_autofree char *full =
        g_strconcat(prefix ? prefix : "", prefix ? ":" : "", (const char *)name, NULL);

    return xml_excerpt(full);
}

static void append_tag(GString *out, xmlNode *node, const char *attribute)
{
    g_autofree char *name = qualified_name(node->ns, node->name);

    g_string_append_printf(out, "<%s", name);
    if (attribute) {
        g_autofree char *value = xml_attribute(node, attribute);
        g_autofree char *shown = xml_excerpt(value ? value : "");
        g_autofree char *shown_name = xml_excerpt(attribute);

        g_string_append_printf(out, " %s='%s'", shown_name, shown);
    }
    g_string_append_c(out, '>');
}

/* "<devices><disk><driver io='native'> (line 9)"; the root element goes without saying. */
static char *place_of(xmlNode *node, const char *attribute)
{
    GString *out = g_string_new(NULL);
    xmlNode *chain[XML_MAX_DEPTH];
    unsigned depth = 0;

    for (xmlNode *at = node; at && at->type == XML_ELEMENT_NODE && depth < XML_MAX_DEPTH;
         at = at->parent)
        chain[depth++] = at;
    if (depth > 1)
        depth--;
    while (depth-- > 0)
        append_tag(out, chain[depth], depth == 0 ? attribute : NULL);
    g_string_append_printf(out, " (line %ld)", xmlGetLineNo(node));
    return g_string_free(out, FALSE);
}

static void set_error_at(GError **error, virErrorNumber code, xmlNode *node, const char *attribute,
                         const char *format, va_list args) G_GNUC_PRINTF(5, 0);
static void set_error_at(GError **error, virErrorNumber code, xmlNode *node, const char *attribute,
                         const char *format, va_list args)
{
    g_autofree char *place = place_of(node, attribute);
    g_autofree char *what = g_strdup_vprintf(format, args);

    libvirt_error_set(error, code, "%s: %s", place, what);
}

bool xml_refuse(GError **error, xmlNode *node, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_error_at(error, VIR_ERR_CONFIG_UNSUPPORTED, node, NULL, format, args);
    va_end(args);
    return false;
}

bool xml_refuse_attribute(GError **error, xmlNode *node, const char *name, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_error_at(error, VIR_ERR_CONFIG_UNSUPPORTED, node, name, format, args);
    va_end(args);
    return false;
}

bool xml_invalid(GError **error, xmlNode *node, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_error_at(error, VIR_ERR_XML_ERROR, node, NULL, format, args);
    va_end(args);
    return false;
}

/* Whether `word` is one of the blank-separated `words`. */
static bool is_word_of(const char *word, const char *words)
{
    size_t len = strlen(word);

    for (const char *at = words; at && *at; at += *at == ' ') {
        size_t n = strcspn(at, " ");

        if (n == len && memcmp(at, word, n) == 0)
            return true;
        at += n;
    }
    return false;
}

bool xml_check_attributes(xmlNode *node, const char *attributes, GError **error)
{
    for (xmlAttr *attr = node->properties; attr; attr = attr->next) {
        const char *name = (const char *)attr->name;
        g_autofree char *shown = qualified_name(attr->ns, attr->name);

        if (attr->ns)
            return xml_refuse(error, node, "attribute '%s' is not understood", shown);
        if (!is_word_of(name, attributes))
            return xml_refuse_attribute(error, node, name, "attribute '%s' is not understood",
                                        shown);
    }
    return true;
}

static const struct xml_element *find_element(const struct xml_element *table, xmlNode *node)
{
    if (node->ns)
        return NULL;
    for (; table->name; table++)
        if (strcmp(table->name, (const char *)node->name) == 0)
            return table;
    return NULL;
}

static bool is_text(const xmlNode *node)
{
    return node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE;
}

static bool check_content(xmlNode *node, const struct xml_element *element, GError **error)
{
    for (xmlNode *child = node->children; child; child = child->next) {
        if (child->type == XML_ELEMENT_NODE && element->flags & (XML_EMPTY | XML_TEXT))
            return xml_refuse(error, child, "element is not understood");
        if (is_text(child) && !(element->flags & XML_TEXT) && !xmlIsBlankNode(child))
            return xml_invalid(error, node, "text has no meaning here");
    }
    return true;
}

static bool is_repeated(xmlNode *node)
{
    for (xmlNode *at = node->prev; at; at = at->prev)
        if (at->type == XML_ELEMENT_NODE && !at->ns && xmlStrEqual(at->name, node->name))
            return true;
    return false;
}

static bool read_child(xmlNode *node, const struct xml_element *table, void *target, GError **error)
{
    const struct xml_element *element = find_element(table, node);

    if (!element)
        return xml_refuse(error, node, "element is not understood");
    if (!element->read)
        return xml_refuse(error, node, "%s", element->refused);
    if (element->flags & XML_ONCE && is_repeated(node))
        return xml_invalid(error, node, "element '%s' can only appear once", element->name);
    if (!xml_check_attributes(node, element->attributes, error) ||
        !check_content(node, element, error))
        return false;
    return element->read(node, target, error);
}

bool xml_read_children(xmlNode *node, const struct xml_element *table, void *target, GError **error)
{
    for (xmlNode *child = node->children; child; child = child->next)
        if (child->type == XML_ELEMENT_NODE && !read_child(child, table, target, error))
            return false;
    return true;
}

static char *take_xml_string(xmlChar *text)
{
    char *copy = g_strdup((const char *)text);

    xmlFree(text);
    return copy;
}

char *xml_text(xmlNode *node)
{
    char *text = take_xml_string(xmlNodeGetContent(node));

    if (text && text[strspn(text, " \t\r\n")] == '\0')
        g_clear_pointer(&text, g_free);
    return text;
}

char *xml_attribute(xmlNode *node, const char *name)
{
    return take_xml_string(xmlGetNoNsProp(node, BAD_CAST name));
}

static bool invalid_attribute(GError **error, xmlNode *node, const char *name, const char *value)
{
    g_autofree char *shown = xml_excerpt(value);

    libvirt_error_set(error, VIR_ERR_XML_ERROR,
                      "Invalid value for attribute '%s' in element '%s': '%s'.", name,
                      (const char *)node->name, shown);
    return false;
}

bool xml_enum_attribute(xmlNode *node, const char *name, const struct xml_value *values, int *value,
                        GError **error)
{
    g_autofree char *text = xml_attribute(node, name);

    if (!text)
        return true;
    for (; values->name; values++) {
        if (strcmp(values->name, text) != 0)
            continue;
        if (values->refused)
            return xml_refuse_attribute(error, node, name, "%s", values->refused);
        *value = values->value;
        return true;
    }
    return invalid_attribute(error, node, name, text);
}

bool xml_parse_unsigned(const char *text, uint64_t max, uint64_t *value)
{
    g_autofree char *trimmed = g_strstrip(g_strdup(text));
    guint64 number;

    if (!g_ascii_string_to_unsigned(trimmed, 10, 0, max, &number, NULL))
        return false;
    *value = number;
    return true;
}

bool xml_parse_signed(const char *text, int64_t *value)
{
    g_autofree char *trimmed = g_strstrip(g_strdup(text));
    gint64 number;

    if (!g_ascii_string_to_signed(trimmed, 10, G_MININT64, G_MAXINT64, &number, NULL))
        return false;
    *value = number;
    return true;
}

bool xml_unsigned_attribute(xmlNode *node, const char *name, unsigned *value, GError **error)
{
    g_autofree char *text = xml_attribute(node, name);
    uint64_t number;

    if (!text)
        return true;
    if (!xml_parse_unsigned(text, G_MAXUINT, &number))
        return invalid_attribute(error, node, name, text);
    *value = (unsigned)number;
    return true;
}

bool xml_ranged_attribute(xmlNode *node, const char *name, unsigned min, unsigned max,
                          unsigned *value, GError **error)
{
    unsigned number = min;

    if (!xml_unsigned_attribute(node, name, &number, error))
        return false;
    if (number < min || number > max)
        return xml_refuse_attribute(error, node, name, "it must be %u to %u", min, max);
    if (xmlHasProp(node, BAD_CAST name))
        *value = number;
    return true;
}

/* False for what is no unit. */
static bool unit_scale(const char *unit, uint64_t *scale)
{
    static const char prefixes[] = "kmgtpe";
    const char *prefix;
    uint64_t base;

    if (!g_ascii_strcasecmp(unit, "b") || !g_ascii_strcasecmp(unit, "byte") ||
        !g_ascii_strcasecmp(unit, "bytes")) {
        *scale = 1;
        return true;
    }
    prefix = strchr(prefixes, g_ascii_tolower(unit[0]));
    if (!unit[1] || !g_ascii_strcasecmp(unit + 1, "ib"))
        base = 1024;
    else if (!g_ascii_strcasecmp(unit + 1, "b"))
        base = 1000;
    else
        return false;
    if (!prefix)
        return false;
    *scale = base;
    for (; prefix > prefixes; prefix--)
        *scale *= base;
    return true;
}

bool xml_scaled_size(xmlNode *node, const char *text, uint64_t scale, uint64_t *bytes,
                     GError **error)
{
    g_autofree char *unit = xml_attribute(node, "unit");
    uint64_t number = 0;

    if (!xml_parse_unsigned(text, G_MAXUINT64, &number))
        return xml_invalid(error, node, "not a size");
    if (unit && *unit && !unit_scale(unit, &scale)) {
        g_autofree char *shown = xml_excerpt(unit);

        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "unknown suffix '%s'", shown);
        return false;
    }
    if (number > G_MAXINT64 / scale) {
        libvirt_error_set(error, VIR_ERR_OVERFLOW, "value too large: %" G_GUINT64_FORMAT "%s",
                          number, unit ? unit : "");
        return false;
    }
    *bytes = number * scale;
    return true;
}

bool xml_text_number(xmlNode *node, uint64_t max, uint64_t *value, GError **error)
{
    g_autofree char *text = xml_text(node);

    if (!text || !xml_parse_unsigned(text, max, value))
        return xml_invalid(error, node, "not a number from 0 to %" G_GUINT64_FORMAT, max);
    return true;
}

const char *xml_value_name(const struct xml_value *values, int value)
{
    for (; values->name; values++)
        if (!values->refused && values->value == value)
            return values->name;
    return NULL;
}
