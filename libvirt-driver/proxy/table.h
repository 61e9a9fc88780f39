/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which procedures of libvirt's remote program are answered by the host's own libvirt daemons, and
 * by which of their drivers (proxy/procedures.def). Functions are reentrant.
 */
#ifndef VOLE_PROXY_TABLE_H
#define VOLE_PROXY_TABLE_H

#include <glib.h>
#include <stdbool.h>

enum proxy_driver {
    PROXY_NETWORK,
    PROXY_STORAGE,
    PROXY_NODEDEV,
    PROXY_INTERFACE,
    PROXY_SECRET,
    PROXY_NWFILTER,
    PROXY_DRIVERS,
    PROXY_NONE = PROXY_DRIVERS,
};

enum proxy_kind { PROXY_CALL, PROXY_STREAM, PROXY_REGISTER, PROXY_DEREGISTER, PROXY_EVENT };

struct proxy_procedure {
    const char *name; /* NETWORK_CREATE_XML; NULL: not the proxy's */
    enum proxy_driver driver;
    enum proxy_kind kind;
};

/* NULL when it is not the proxy's. */
const struct proxy_procedure *proxy_procedure_find(int number);
/* True for a message that a driver may send: one of its own, or one that is newer than the table.
 */
bool proxy_event_allowed(enum proxy_driver driver, int number);
/* "network": the scheme of its URI, and part of its daemon's name. */
const char *proxy_driver_name(enum proxy_driver driver);

/* All of them, for tests: one more than the largest number. */
const struct proxy_procedure *proxy_procedures(gsize *count);

#endif
