/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One device by itself, as clients send it to have it added to a domain's definition, taken out of
 * it or changed in it. Which device of a definition is meant is decided as libvirt's qemu driver
 * does: a disk goes by its target, an interface by its MAC address, others by what is at the host's
 * end of them; an alias that is given has to be the device's, too.
 *
 * Functions that can fail return false or NULL with `error` set (LIBVIRT_ERROR): for the XML that
 * of domain_def_parse(), for the rest what libvirt's qemu driver answers. A definition is only
 * looked at as a whole by domain_def_check(), which belongs behind each change.
 */
#ifndef VOLE_XML_DEVICE_H
#define VOLE_XML_DEVICE_H

#include "xml/domain.h"

typedef struct domain_device domain_device;

/* `xml` is one element, and need not end in NUL. */
domain_device *domain_device_parse(const char *xml, gsize len, GError **error);
void domain_device_free(domain_device *device);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(domain_device, domain_device_free)

/* "disk". */
const char *domain_device_element(const domain_device *device);
/* The device as it was read; NULL when it is no interface. */
const struct domain_net *domain_device_net(const domain_device *device);

/* These change `def`, and when they fail may have changed parts of it. */
bool domain_def_attach(domain_def *def, const domain_device *device, GError **error);
bool domain_def_detach(domain_def *def, const domain_device *device, GError **error);
bool domain_def_detach_alias(domain_def *def, const char *alias, GError **error);
/* Puts a disk or an interface into the place of the one that it is meant for. */
bool domain_def_replace(domain_def *def, const domain_device *device, GError **error);

#endif
