/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtvoled.conf: `key = value` lines in the manner of libvirt's own daemons, with their keys. An
 * unknown key, a value of the wrong kind or out of range is refused by file, line and name.
 */
#ifndef VOLE_SETTINGS_H
#define VOLE_SETTINGS_H

#include <glib.h>
#include <stdbool.h>

struct settings {
    char *unix_sock_group;    /* who may use the read-write socket beside root; NULL: nobody */
    guint unix_sock_ro_perms; /* file modes */
    guint unix_sock_rw_perms; /* 0700, or 0770 with a group */
    guint max_clients;
    guint max_client_requests; /* calls of one client that run at once */
    guint max_workers;
    guint prio_workers;       /* threads for calls that never wait for a VMM */
    guint keepalive_interval; /* seconds; 0: the daemon never asks */
    guint keepalive_count;
    guint start_timeout; /* seconds a VMM has to answer after it was started */
    guint stop_timeout;  /* seconds it has to go after SIGTERM, before SIGKILL */
};

void settings_init(struct settings *settings);
void settings_clear(struct settings *settings);
/* A file that does not exist leaves all as it is. False with `error` set. */
bool settings_load(struct settings *settings, const char *path, GError **error);
/* The file's text; `path` names it in errors. */
bool settings_parse(struct settings *settings, const char *text, const char *path, GError **error);

#endif
