/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Uploads to and downloads from volumes: streams (rpc/stream.h) whose other end is a file. Disks
 * may let one wait, so all reading and writing is done by workers, a piece at a time; the main
 * thread only hands packets over. While a piece is under way the client's next ones wait, and when
 * too many do, nothing more is read from it.
 *
 * With `sparse`, holes travel as such: a download sends them instead of zeroes, an upload makes
 * them.
 */
#ifndef VOLE_STORAGE_TRANSFER_H
#define VOLE_STORAGE_TRANSFER_H

#include <glib.h>
#include <stdbool.h>

#include "libvirt-driver/rpc/dispatch.h"
#include "libvirt-driver/storage/storage.h"

struct transfer_args {
    bool upload;
    bool sparse;
    guint64 offset;
    guint64 length; /* 0: to the end */
};

/* Opens the volume, which is in use until the stream ends. NULL with `error` set. A worker. */
struct stream *transfer_new(struct call *call, const struct volume_key *key,
                            const struct transfer_args *args, GError **error);

#endif
