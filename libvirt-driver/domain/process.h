/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain's life: from nothing to a running VMM and back, and what the VMM's own events make of
 * it.
 *
 *                start                   STOP
 *     shutoff ----------> running <--------------> paused
 *        ^                   |         RESUME        |
 *        |    (shutdown) <---+-----------------------+
 *        +--------'      SHUTDOWN, end of the process
 *
 * State and events are libvirt's, as its qemu driver has them. A guest's reset happens inside the
 * VMM and is told as a reboot event. A poweroff that ends a reboot (virsh reboot), or that the
 * definition turns into a restart, replaces the VMM by a new one: to clients the domain runs on,
 * with its id and its open consoles, and a reboot event is all they see.
 *
 * All functions are for who holds the domain's lock, and where it says so its job. Those that wait
 * release the lock meanwhile.
 */
#ifndef VOLE_DOMAIN_PROCESS_H
#define VOLE_DOMAIN_PROCESS_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "libvirt-driver/domain/domain.h"

/* Job. Starts a VMM for `def`, which is taken over; `paused`: it stays before its first
 * instruction. False with `error` set: the domain is as it was. */
bool domain_start(struct domain *domain, domain_def *def, bool paused, GError **error);

/* Job. Gives the VMM a command and waits for the reply; `arguments` are taken over, `ret` may be
 * NULL. True means that the domain still runs. */
bool domain_command(struct domain *domain, const char *command, json_t *arguments, json_t **ret,
                    GError **error);
/* Job. Stop and go on; nothing happens when it is so already. */
bool domain_pause(struct domain *domain, int reason, GError **error);
bool domain_unpause(struct domain *domain, int reason, GError **error);

/* No job: it may be what has to be ended. Ends the VMM, with SIGTERM and, unless `graceful`, with
 * SIGKILL after a while. */
bool domain_end(struct domain *domain, bool graceful, GError **error);

/* The same for who cannot do more about a failure than tell of it: the client that it was to end
 * with is gone. */
void domain_end_abandoned(struct domain *domain);

/* Job. Joins the VMM that an earlier daemon started; live definition, state and reason are what
 * that daemon wrote down. False when the process is not there any more or does not answer; the
 * domain is then shut off, or about to be. */
bool domain_rejoin(struct domain *domain, pid_t pid, guint64 start_time, const char *monitor_path);

/* Ends whoever is left in a control group, and takes it away, in a worker of its own. Takes over
 * the path. */
void cgroup_clear_detached(struct daemon *daemon, char *path);

/* A client is gone: ends what was to end with it. Main thread, no lock held. */
void domain_autodestroy(struct daemon *daemon, struct client *client);

/* Writes down what a later daemon needs to know of the running domain. */
bool domain_save_status(struct domain *domain, GError **error);

#endif
