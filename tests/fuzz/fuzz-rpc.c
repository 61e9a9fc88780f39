/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whatever a client sends, as far as it is looked at before anybody acts on it: framing, header,
 * and the arguments of the procedure that the header names. Arguments that can be read can be
 * written again, and then read as the same.
 */
#include <stdint.h>
#include <stdlib.h>

#include "libvirt-driver/rpc/dispatch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_packet(GBytes *packet)
{
    struct rpc_header header;
    const struct rpc_procedure *procedure;
    g_autofree void *args = NULL;
    g_autoptr(GBytes) again = NULL;

    rpc_header_decode(packet, &header);
    procedure = rpc_procedure_find(header.procedure);
    if (!procedure || !procedure->args->size)
        return;
    args = g_malloc(procedure->args->size);
    if (!rpc_payload_decode(packet, procedure->args, args))
        return;
    again = rpc_packet_new(&header, procedure->args, args);
    rpc_value_clear(procedure->args, args);
    if (!again || g_bytes_get_size(again) > g_bytes_get_size(packet) ||
        !rpc_payload_decode(again, procedure->args, args))
        abort();
    rpc_value_clear(procedure->args, args);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rpc_reader reader = {0};
    GBytes *packet;

    rpc_reader_add(&reader, data, size);
    while (rpc_reader_next(&reader, &packet) == 1) {
        take_packet(packet);
        g_bytes_unref(packet);
    }
    rpc_reader_clear(&reader);
    return 0;
}
