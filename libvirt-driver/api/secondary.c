/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Networks, where the host has no daemon that serves them: there are none. Clients that count
 * before they list take "not supported" for a broken connection. */
#include "libvirt-driver/api/api.h"

bool api_connect_num_of_nothing(struct call *call, const wire_none *in, wire_int *out,
                                GError **error)
{
    out->value = 0;
    return true;
}

bool api_connect_list_nothing(struct call *call, const wire_int *in, wire_names *out,
                              GError **error)
{
    out->names.names_len = 0;
    return true;
}

bool api_connect_list_all_nothing(struct call *call, const wire_list_args *in, wire_empty_list *out,
                                  GError **error)
{
    out->length = 0;
    return true;
}
