/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file that a VMM's output goes to. When it is longer than `max_log_size` it is put aside as
 * NAME.log.0, what was that as NAME.log.1 and so on, up to `max_log_files`: by renaming before a
 * VMM starts, and by copying while one writes to it, which has no other way to be told.
 */
#ifndef VOLE_DRIVER_VMM_LOG_FILE_H
#define VOLE_DRIVER_VMM_LOG_FILE_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/settings.h"

/* For a VMM that is about to start; to append to. -1 with `error` set. */
int log_file_open(const char *path, const struct settings *settings, GError **error);

bool log_file_is_long(const char *path, const struct settings *settings);
/* Leaves it empty. A line that is written in the very moment may be lost. False with `error` set;
 * the file is then as it was. */
bool log_file_cut(const char *path, const struct settings *settings, GError **error);

#endif
