/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keeps the logs of running domains from growing without end, whatever a guest makes its VMM say.
 * The kernel tells when one is written to (inotify on their folder): nothing wakes up otherwise.
 * All of it is the main thread's.
 */
#ifndef VOLE_DOMAIN_LOG_WATCH_H
#define VOLE_DOMAIN_LOG_WATCH_H

#include "libvirt-driver/daemon.h"

struct log_watch;

/* NULL, after a warning, when the folder cannot be watched, or logs may grow. */
struct log_watch *log_watch_new(struct daemon *daemon);
/* The server has stopped: no worker is under way any more. NULL is fine. */
void log_watch_free(struct log_watch *watch);

#endif
