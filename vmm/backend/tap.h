/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tap interface (Documentation/networking/tuntap.rst): whole Ethernet frames, each behind a
 * struct virtio_net_hdr of 12 bytes. It has never heard of a virtio device.
 */
#ifndef VOLE_BACKEND_TAP_H
#define VOLE_BACKEND_TAP_H

#include <stdint.h>

#include "vmm/util.h"

struct tap {
    int fd; /* non-blocking; read and write one frame each */
};

#define TAP_HEADER_SIZE 12u

/*
 * `source` is an interface's name (made if it is not there and the caller may) or "fd:N", a tap
 * that was opened with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR. 0, or -1 with `err`.
 */
int tap_open(struct tap *tap, const char *source, struct error *err);
void tap_close(struct tap *tap);

/* Which offloads the reader of the tap can take; TUN_F_* of linux/if_tun.h. 0 or a negative errno.
 */
int tap_set_offload(const struct tap *tap, unsigned flags);

#endif
