/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading XML that somebody else wrote.
 *
 * A text becomes libxml2's tree under limits (size, depth, number of nodes); document types, and so
 * entities and anything external, are refused before they are looked at. The tree is then walked by
 * tables: a struct xml_element for each child that is understood says which attributes it may have,
 * how often it may come, and what reads it. Whatever is in no table is an error that names the
 * element's path and line, so a new element needs one line in a table, and none is ever overlooked.
 *
 * All functions that can fail return false or NULL with `error` set (LIBVIRT_ERROR).
 */
#ifndef VOLE_XML_READER_H
#define VOLE_XML_READER_H

#include <glib.h>
#include <libxml/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "xml/error.h"

#define XML_MAX_BYTES (4u << 20) /* libvirt's longest string in a packet */
#define XML_MAX_NODES 8192
#define XML_MAX_DEPTH 64

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

/*
 * `text` is UTF-8, whatever encoding it declares. `label` stands for the file's name in messages,
 * as in "(domain_definition):3: ...".
 */
xmlDoc *xml_document_parse(const char *text, gsize len, const char *label, GError **error);

enum xml_element_flags {
    XML_ONCE = 1 << 0,  /* at most one such child */
    XML_EMPTY = 1 << 1, /* no children and no text: attributes say all */
    XML_TEXT = 1 << 2,  /* text, but no children */
};

/* Reads one element into `target`, whose type the table's user knows. */
typedef bool (*xml_handler)(xmlNode *node, void *target, GError **error);

/* A table ends with an entry whose name is NULL. */
struct xml_element {
    const char *name;
    const char *attributes; /* those understood, separated by blanks; NULL: none */
    unsigned flags;
    xml_handler read;    /* NULL: refused, and `refused` says why */
    const char *refused; /* "a microVM has no display" */
};

/* Every child element of `node` through its entry in `table`; stray text is an error. */
bool xml_read_children(xmlNode *node, const struct xml_element *table, void *target,
                       GError **error);
/* `node` has no attribute but these (as in struct xml_element). */
bool xml_check_attributes(xmlNode *node, const char *attributes, GError **error);

/* The text in an element, or NULL when there is none but blanks; as it was written otherwise. */
char *xml_text(xmlNode *node);
/* The same for an attribute; NULL when it is absent, "" when it is empty. */
char *xml_attribute(xmlNode *node, const char *name);

/* A text cut, between characters, to a length that fits in an error message; it need not be UTF-8,
 * and what is returned is. */
char *xml_excerpt(const char *text);

/* The names of an enum's values. One that libvirt knows and vole does not have has its reason here.
 */
struct xml_value {
    const char *name; /* NULL ends the table */
    int value;
    const char *refused;
};

/*
 * The attribute's value by `values`; absent, `*value` is left as it is. A name that is in no table
 * is VIR_ERR_XML_ERROR in libvirt's words, one that is refused VIR_ERR_CONFIG_UNSUPPORTED.
 */
bool xml_enum_attribute(xmlNode *node, const char *name, const struct xml_value *values, int *value,
                        GError **error);
/* A decimal number, blanks around it allowed; absent, `*value` is left as it is. */
bool xml_unsigned_attribute(xmlNode *node, const char *name, unsigned *value, GError **error);
/* The same within bounds: VIR_ERR_CONFIG_UNSUPPORTED, naming them, for what is beyond. */
bool xml_ranged_attribute(xmlNode *node, const char *name, unsigned min, unsigned max,
                          unsigned *value, GError **error);
/* An element's text as a decimal number; VIR_ERR_XML_ERROR for what is none. */
bool xml_text_number(xmlNode *node, uint64_t max, uint64_t *value, GError **error);
bool xml_parse_unsigned(const char *text, uint64_t max, uint64_t *value);
bool xml_parse_signed(const char *text, int64_t *value);
/* A size in bytes: the number `text` in the unit that the element's attribute names, in pieces of
 * `scale` bytes where it has none. Units are libvirt's (virScaleInteger): K and KiB are 1024 bytes,
 * KB is 1000, b and bytes are 1. No more than G_MAXINT64. */
bool xml_scaled_size(xmlNode *node, const char *text, uint64_t scale, uint64_t *bytes,
                     GError **error);
const char *xml_value_name(const struct xml_value *values, int value);

/* VIR_ERR_CONFIG_UNSUPPORTED: "<devices><graphics> (line 9): " and the reason. Returns false. */
bool xml_refuse(GError **error, xmlNode *node, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* The same, naming an attribute with its value: "<disk><driver io='native'> (line 9): ". */
bool xml_refuse_attribute(GError **error, xmlNode *node, const char *name, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
/* VIR_ERR_XML_ERROR with a place in the same form. Returns false. */
bool xml_invalid(GError **error, xmlNode *node, const char *format, ...) G_GNUC_PRINTF(3, 4);

#endif
