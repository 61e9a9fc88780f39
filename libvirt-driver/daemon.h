/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon: the one struct that holds everything else, passed to whoever needs it.
 *
 * Threads. The main thread runs the GLib main loop and reads from sockets, consoles and VMM
 * monitors; it never waits for anything else. Calls from clients, and what has to wait (starting a
 * VMM, finding one again, cleaning up after one), run in the server's worker threads. Locks are
 * taken in this order and held only for short, non-blocking work:
 *
 *     a domain's lock > the domain list's lock > the event registry's lock > a client's lock
 *     the storage driver's lock > the registry of pool events > a client's lock
 */
#ifndef VOLE_DAEMON_H
#define VOLE_DAEMON_H

#include <glib.h>

#include "libvirt-driver/paths.h"
#include "libvirt-driver/settings.h"
#include "libvirt-driver/vmm/identity.h"

struct watches;
struct server;
struct domain_list;
struct events;
struct consoles;
struct host;
struct cpus;
struct cgroups;
struct storage;

struct daemon {
    struct paths paths;
    struct settings settings;
    struct identity vmm_identity;
    GMainLoop *loop;
    struct watches *watches;
    struct server *server;
    struct domain_list *domains;
    struct events *events;
    struct consoles *consoles;
    struct host *host;
    struct cpus *cpus;
    struct cgroups *cgroups;
    struct storage *storage;
};

#endif
