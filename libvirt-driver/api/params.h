/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Typed parameters (virTypedParameter): a name, one of seven types, a value. Answers are made with
 * a params_builder; what a client sends is checked against a table of the names that a call knows.
 */
#ifndef VOLE_API_PARAMS_H
#define VOLE_API_PARAMS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvirt-driver/rpc/protocol.h"

/* ---- making a list ---- */

/* A GArray of wire_param; params_take() hands its memory to a result. */
GArray *params_new(void);
void params_add_int(GArray *params, int value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void params_add_uint(GArray *params, unsigned value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void params_add_long(GArray *params, int64_t value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void params_add_ulong(GArray *params, uint64_t value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void params_add_string(GArray *params, const char *value, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
wire_param *params_take(GArray *params, u_int *len);
void params_free(GArray *params);
/* `room` 0: only the count goes out; otherwise at most that many, and their count. Frees `params`.
 */
void params_answer(GArray *params, int room, wire_params_count *out);

/* ---- reading a list ---- */

/* As it came from a client, who owns it. */
struct params {
    const wire_param *list;
    guint len;
};

struct param_spec {
    const char *name;
    int type; /* virTypedParameterType */
};

/* False with VIR_ERR_INVALID_ARG for a name that is not in the table, a value of another type than
 * the table's, or a name that is there twice. */
bool params_check(const struct params *params, const struct param_spec *specs, gsize spec_count,
                  GError **error);
/* NULL when it is not there. */
const wire_param *params_find(const struct params *params, const char *name);

#endif
