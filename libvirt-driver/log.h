/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the daemon's messages go. They come from GLib's g_debug(), g_info(), g_message(),
 * g_warning() and g_critical(), which libvirt's levels stand for: 1 debug, 2 info, 3 warning, 4
 * error.
 *
 *     log_level    what goes anywhere at all
 *     log_filters  "1:rpc 4:vmm.monitor": another level for sources whose name holds the word; a
 *                  source file's name is its path with dots, "rpc.dispatch"
 *     log_outputs  "3:stderr 1:file:/var/log/x 2:journald 2:syslog:virtvoled": what goes where
 *
 * Without outputs, messages go to the journal when standard error is connected to it, to standard
 * error when somebody may read that, and to the daemon's own file otherwise.
 */
#ifndef VOLE_LOG_H
#define VOLE_LOG_H

#include <glib.h>

#include "libvirt-driver/paths.h"
#include "libvirt-driver/settings.h"

struct log;

/* NULL with `error` set for outputs or filters that make no sense, or a file that cannot be opened.
 */
struct log *log_new(const struct settings *settings, const struct paths *paths, GError **error);
void log_free(struct log *log);
/* From now on GLib's messages go there, from every thread, until the process ends; GLib takes such
 * a writer once and for all. */
void log_take_over(struct log *log);

#endif
