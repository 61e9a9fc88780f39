/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files that write definitions share. */
#ifndef VOLE_XML_FORMAT_H
#define VOLE_XML_FORMAT_H

#include "xml/domain_priv.h"
#include "xml/domain_values.h"
#include "xml/writer.h"

struct format {
    struct xml_writer w;
    bool live; /* what is true only while the domain runs is written, too */
};

/* The word of a value, or NULL (which leaves an attribute out) for 0: it was not given. */
static inline const char *word_of(const struct xml_value *values, unsigned value)
{
    return value ? xml_value_name(values, (int)value) : NULL;
}

/* What a virtio device ends with. */
void format_info(struct format *f, const struct domain_device_info *info);
/* <bandwidth> and <vlan> of an interface or a network's port; nothing where there is none. */
void format_bandwidth(struct format *f, const struct domain_net *net);
void format_vlan(struct format *f, const struct domain_vlan *vlan);
void format_net(struct format *f, const struct domain_net *net);
void format_devices(struct format *f, const domain_def *def);

#endif
