/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtvoled.conf (the daemon: sockets, who may use them, limits, logs) and vole.conf (domains):
 * `key = value` lines in the manner of libvirt's own daemons, with their keys where they have them.
 * A value is a number or a string in quotes; what follows a '#' is a comment. An unknown key, a
 * value of the wrong kind or out of range is refused by file, line and name.
 */
#ifndef VOLE_SETTINGS_H
#define VOLE_SETTINGS_H

#include <glib.h>
#include <stdbool.h>

enum auth { AUTH_NONE = 0, AUTH_POLKIT = 2 }; /* numbers of the protocol */

struct settings {
    /* virtvoled.conf */
    char *unix_sock_group;    /* who may use the read-write socket beside root; NULL: nobody */
    guint unix_sock_ro_perms; /* file modes */
    guint unix_sock_rw_perms;
    guint auth_unix_ro; /* enum auth: what a client has to pass beyond opening the socket */
    guint auth_unix_rw;
    guint max_clients;
    guint max_anonymous_clients; /* that have not yet passed what auth_unix_* asks for */
    guint max_client_requests;   /* calls of one client that run at once */
    guint max_workers;
    guint prio_workers;       /* threads for calls that never wait for a VMM */
    guint keepalive_interval; /* seconds; 0: the daemon never asks */
    guint keepalive_count;
    guint host_daemon_timeout; /* seconds a daemon of the host's has to let a client in */
    guint log_level;           /* 1 (all) to 4 (errors) */
    char *log_outputs;
    char *log_filters;

    /* vole.conf */
    char *emulator;        /* the VMM's program where a definition names none; NULL: find it */
    char *user;            /* whom VMMs run as, names or numbers; NULL: as the daemon */
    char *group;           /* NULL: the user's own */
    char *cgroup;          /* below which control groups are made; NULL: none are */
    guint max_log_size;    /* bytes; of a domain's log, at its start or while it runs; 0: any */
    guint max_log_files;   /* so many older ones are kept */
    guint start_timeout;   /* seconds a VMM has to answer after it was started */
    guint command_timeout; /* seconds it has to answer a command */
    guint stop_timeout;    /* seconds it has to go after SIGTERM, before SIGKILL */
    char *network_uri;     /* libvirt's connection that has networks; NULL: the usual one */
    char *storage_uri;     /* and storage pools */
    guint libvirt_timeout; /* seconds those connections have to answer */
};

void settings_init(struct settings *settings);
void settings_clear(struct settings *settings);

/* The two files, each with its own keys. */
enum settings_file { SETTINGS_DAEMON, SETTINGS_DOMAINS };
/* A file that does not exist leaves all as it is. False with `error` set. */
bool settings_load(struct settings *settings, enum settings_file file, const char *path,
                   GError **error);
/* The file's text; `path` names it in errors. */
bool settings_parse(struct settings *settings, enum settings_file file, const char *text,
                    const char *path, GError **error);

#endif
