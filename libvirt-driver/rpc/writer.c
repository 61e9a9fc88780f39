/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/rpc/writer.h"

#include <errno.h>
#include <sys/socket.h>

void rpc_writer_add(struct rpc_writer *writer, GBytes *packet)
{
    g_queue_push_tail(&writer->packets, packet);
    writer->bytes += g_bytes_get_size(packet);
}

bool rpc_writer_send(struct rpc_writer *writer, int fd, gsize *sent)
{
    *sent = 0;
    while (writer->bytes > 0) {
        gsize len;
        const guint8 *data = g_bytes_get_data(g_queue_peek_head(&writer->packets), &len);
        ssize_t n =
            send(fd, data + writer->offset, len - writer->offset, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        *sent += (gsize)n;
        writer->offset += (gsize)n;
        writer->bytes -= (gsize)n;
        if (writer->offset == len) {
            writer->offset = 0;
            g_bytes_unref(g_queue_pop_head(&writer->packets));
        }
    }
    return true;
}

void rpc_writer_clear(struct rpc_writer *writer)
{
    g_queue_clear_full(&writer->packets, (GDestroyNotify)g_bytes_unref);
    *writer = (struct rpc_writer){.packets = G_QUEUE_INIT};
}
