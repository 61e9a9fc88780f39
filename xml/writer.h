/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing XML in libvirt's layout: two blanks a level, one element a line, single quotes. All text
 * and values are escaped here, so that what is read back is what was given.
 *
 *     xml_open(&w, "disk", "type", "file", "serial", NULL, NULL);      <disk type='file'>
 *     xml_empty(&w, "target", "dev", "vda", NULL);                       <target dev='vda'/>
 *     xml_close(&w, "disk");                                           </disk>
 *
 * Attributes are pairs of strings; a pair whose value is NULL is left out, a NULL name ends them.
 */
#ifndef VOLE_XML_WRITER_H
#define VOLE_XML_WRITER_H

#include <glib.h>
#include <libxml/tree.h>
#include <stdbool.h>
#include <stdint.h>

struct xml_writer {
    GString *out;
    unsigned depth;
    gsize start; /* where the element that was opened last begins, */
    gsize inner; /* and where its content does */
};

void xml_writer_init(struct xml_writer *w);
/* The text; the writer is empty afterwards. */
char *xml_writer_finish(struct xml_writer *w);

/* `name` comes first; a pair whose name is NULL ends the attributes, whatever its value. */
void xml_open(struct xml_writer *w, const char *name, ...) G_GNUC_NULL_TERMINATED;
/* An element that nothing was written into becomes an empty one, */
void xml_close(struct xml_writer *w, const char *name);
/* or is left out: for one without attributes, which then says nothing. */
void xml_close_or_drop(struct xml_writer *w, const char *name);
void xml_empty(struct xml_writer *w, const char *name, ...) G_GNUC_NULL_TERMINATED;
/* An element with text. */
void xml_text_element(struct xml_writer *w, const char *name, const char *text,
                      ...) G_GNUC_NULL_TERMINATED;
/* A number as text, which lives until the end of the expression that it stands in. */
struct xml_number {
    char text[24];
};
struct xml_number xml_number(int64_t value);
#define XML_NUMBER(value) (xml_number((int64_t)(value)).text)
/* The same, and NULL for 0: as an attribute's value it leaves the attribute out. */
#define XML_NUMBER_OR_NULL(value) ((value) ? XML_NUMBER(value) : NULL)

/* Whether text can be written at all: it is UTF-8, and has no character that XML has no way to say
 * (most control characters). What comes from XML is so; what comes from a client, a guest or a disk
 * has to be looked at. */
bool xml_can_hold(const char *text);

/* A line that is XML already. */
void xml_raw(struct xml_writer *w, const char *xml);

/*
 * An element and all in it as XML, as it was written but for quotes and references, with the
 * namespaces it uses declared in it. The element must be no deeper than XML_MAX_DEPTH.
 */
char *xml_node_to_text(xmlNode *node);

#endif
