/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A definition as the machine document that a VMM is started with (docs/machine-config.md).
 */
#ifndef VOLE_XML_LAUNCH_H
#define VOLE_XML_LAUNCH_H

#include <glib.h>
#include <jansson.h>

#include "xml/domain.h"

/*
 * What to write instead of the definition's own paths: "fd:7" for a descriptor that the VMM
 * inherits. NULL, for a member or for one entry of an array, means the definition's path (its tap's
 * name; "pty", "unix:PATH" ... for a character device; for vhost, that the VMM opens it). An array
 * that is not NULL has an entry for every device in the definition's array of the same name.
 */
struct launch_sources {
    const char *kernel;
    const char *initrd;
    const char *const *disks;
    const char *const *nets;
    const char *serial;
    const char *const *consoles;
    const char *const *channels;
    const char *const *vhosts; /* of nets: "fd:8:9", /dev/vhost-net for each pair of queues */
    const char *rng;
    const char *vsock;      /* /dev/vhost-vsock */
    const char *kvm;        /* /dev/kvm */
    const char *const *qmp; /* NULL-terminated: "unix:PATH", "fd:9"; no qmp sockets when NULL */
};

enum launch_flags {
    LAUNCH_PAUSED = 1 << 0, /* wait for `cont` */
};

/*
 * The document as JSON text, to be freed with g_free(); NULL with `error` set when the definition
 * lacks what only a start can supply (VIR_ERR_INTERNAL_ERROR, naming it): an interface's tap, a
 * channel's socket, a vsock's address; when it cannot start (domain_def_check_start()); or when a
 * source is not UTF-8. `sources` may be NULL.
 */
char *launch_document(const domain_def *def, const struct launch_sources *sources, unsigned flags,
                      GError **error);

/* A bandwidth as the document's limits of a network device (a new reference): "bps", "bps_max",
 * "bps_max_length"; an empty object for none. */
json_t *launch_net_limits(const struct domain_bandwidth *bandwidth);

#endif
