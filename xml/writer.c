/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/writer.h"

#include <stdarg.h>

void xml_writer_init(struct xml_writer *w)
{
    w->out = g_string_new(NULL);
    w->depth = 0;
}

char *xml_writer_finish(struct xml_writer *w)
{
    GString *out = w->out;

    w->out = NULL;
    return g_string_free(out, FALSE);
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

    va_start(attributes, name);
    begin(w, name, attributes);
    va_end(attributes);
    g_string_append(w->out, ">\n");
    w->depth++;
}

void xml_close(struct xml_writer *w, const char *name)
{
    w->depth--;
    g_string_append_printf(w->out, "%*s</%s>\n", (int)w->depth * 2, "", name);
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
