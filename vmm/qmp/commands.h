/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What QMP can be asked, apart from how the question arrives: one table of commands, from which
 * requests are checked and carried out, query-commands is answered, and docs/qmp.md is written.
 */
#ifndef VOLE_QMP_COMMANDS_H
#define VOLE_QMP_COMMANDS_H

#include <jansson.h>
#include <stdbool.h>

#include "vmm/machine.h"

/* The first message to each client. A new reference, as all of the below. */
json_t *qmp_greeting(void);

/* {"error": {"class": "GenericError", "desc": desc}} */
json_t *qmp_generic_error(const char *desc);

struct qmp_reply {
    json_t *message;
    /* To be called once the message is on its way: what ends the machine. NULL: nothing. */
    void (*then)(struct machine *m);
};

/*
 * Carries out one request, whatever JSON value it is. `negotiated` is the client's state: false
 * until it has sent qmp_capabilities. The reply carries the request's id.
 */
struct qmp_reply qmp_dispatch(struct machine *m, bool *negotiated, const json_t *request);

#endif
