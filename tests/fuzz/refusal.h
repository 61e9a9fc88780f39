/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What holds of every error that a client is told, whatever it has sent. */
#ifndef VOLE_FUZZ_REFUSAL_H
#define VOLE_FUZZ_REFUSAL_H

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "xml/error.h"

#define MESSAGE_MAX 16384 /* a path is told as a whole, its parts are not */

static inline void check_refusal(const GError *error)
{
    g_autofree char *message = NULL;

    if (!error)
        abort();
    message = libvirt_error_message(error);
    if (!*message || strlen(message) > MESSAGE_MAX || !g_utf8_validate(message, -1, NULL))
        abort();
}

#endif
