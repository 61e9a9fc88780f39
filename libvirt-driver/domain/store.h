/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lies on disk: the configuration of each persistent domain (NAME.xml), whether it starts at
 * boot (a link to it in autostart/), and in the run directory the state of each that runs
 * (NAME.json). Files are replaced as a whole; what is found broken is told and left alone.
 *
 * No locks: for one domain at a time whoever has its job calls here.
 */
#ifndef VOLE_DOMAIN_STORE_H
#define VOLE_DOMAIN_STORE_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "libvirt-driver/paths.h"
#include "xml/domain.h"

bool store_save_config(const struct paths *paths, const domain_def *def, GError **error);
bool store_has_config(const struct paths *paths, const char *name);
/* The autostart link goes too. True when there was nothing. */
bool store_remove_config(const struct paths *paths, const char *name, GError **error);
bool store_set_autostart(const struct paths *paths, const char *name, bool autostart,
                         GError **error);

/* Calls `found` for every configuration that can be read; takes over `def`. */
void store_load_configs(const struct paths *paths,
                        void (*found)(gpointer opaque, domain_def *def, bool autostart),
                        gpointer opaque);

/* A running domain, as a later daemon has to know it. */
struct status {
    int state;
    int reason;
    pid_t pid; /* 0: the VMM was about to be started */
    guint64 start_time;
    char *monitor_path;
    GArray *companions; /* of struct companion */
    char *cgroup;       /* or NULL */
    bool reboot_asked;
    domain_def *live;
};
void status_clear(struct status *status);

bool store_save_status(const struct paths *paths, const struct status *status, GError **error);
void store_remove_status(const struct paths *paths, const char *name);
/* Calls `found` for every state that can be read; it is `found`'s to clear. */
void store_load_statuses(const struct paths *paths,
                         void (*found)(gpointer opaque, struct status *status), gpointer opaque);

#endif
