/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt's errors as GErrors: domain LIBVIRT_ERROR, code a virErrorNumber, message the *detail*
 * alone ("domain 'web1' is already running"). A client is sent three strings made from it, as
 * libvirt's own daemons do: the code's format ("Requested operation is not valid: %s"), the detail,
 * and both together, which is what virsh prints.
 */
#ifndef VOLE_XML_ERROR_H
#define VOLE_XML_ERROR_H

#include <glib.h>
#include <libvirt/virterror.h>

#define LIBVIRT_ERROR (libvirt_error_quark())
GQuark libvirt_error_quark(void);

/*
 * Sets `error` (which may be NULL). What of the text is no UTF-8 is replaced. A NULL `format` makes
 * an error without a detail: libvirt has a text of its own for these ("out of memory").
 */
void libvirt_error_set(GError **error, virErrorNumber code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* VIR_ERR_SYSTEM_ERROR; the detail is the formatted text, ": " and what `errnum` means. */
void libvirt_error_set_errno(GError **error, int errnum, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* The virErrorNumber; an error of another domain (GIO's, say) is VIR_ERR_INTERNAL_ERROR. */
virErrorNumber libvirt_error_code(const GError *error);
/* The code's format: with one "%s" for a detail, or the text that stands without. Never NULL. */
const char *libvirt_error_format(virErrorNumber code, gboolean with_detail);
/* Format and detail together: what users know. To be freed by the caller. */
char *libvirt_error_message(const GError *error);

#endif
