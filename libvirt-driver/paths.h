/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the daemon keeps things, laid out as libvirt's own drivers do it. The system daemon (run by
 * root) uses /etc, /run and /var; a user's session daemon uses the XDG base directories; --root DIR
 * puts the system's layout below DIR, whoever runs it.
 */
#ifndef VOLE_PATHS_H
#define VOLE_PATHS_H

#include <glib.h>
#include <stdbool.h>

struct paths {
    bool session;          /* serves vole:///session */
    char *socket_dir;      /* .../libvirt: the sockets that clients look for */
    char *config;          /* NAME.xml of every persistent domain */
    char *autostart;       /* links to those that start at boot */
    char *run;             /* state of running domains, monitors; gone after a boot */
    char *state;           /* what outlives a boot */
    char *boot;            /* where tools put what a machine is installed from; no session's */
    char *log;             /* NAME.log: what a domain's VMM had to say */
    char *daemon_log;      /* virtvoled.log, when it runs in the background */
    char *settings;        /* virtvoled.conf */
    char *domain_settings; /* vole.conf */
};

/* `root` may be NULL. Makes no directory. */
void paths_init(struct paths *paths, bool session, const char *root);
/* Makes them all; readable by their owner alone but for the socket directory's parents. */
bool paths_make(const struct paths *paths, GError **error);
void paths_clear(struct paths *paths);

/* True when nobody has asked that of `what` since the host came up: the run directory does not
 * outlive a boot. */
bool paths_is_first_time(const struct paths *paths, const char *what);

/* "DIR/NAME" with the suffix behind it; to be freed. A domain's name holds no '/'. */
char *paths_file(const char *dir, const char *name, const char *suffix);

#endif
