/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tap interface (Documentation/networking/tuntap.rst): whole Ethernet frames, each behind a
 * struct virtio_net_hdr of 12 bytes. It has never heard of a virtio device.
 *
 * A tap with several queues has a descriptor for each; the host's kernel spreads flows over those
 * that are enabled. Of a fresh tap that is the first.
 */
#ifndef VOLE_BACKEND_TAP_H
#define VOLE_BACKEND_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/util.h"

#define TAP_MAX_QUEUES  16
#define TAP_HEADER_SIZE 12u

/* All zero: closed. */
struct tap {
    unsigned queue_count;
    int fds[TAP_MAX_QUEUES]; /* non-blocking; read and write one frame each */
    bool enabled[TAP_MAX_QUEUES];
    unsigned mtu; /* the interface's, when it was opened; 0: not known */
};

/*
 * `source` is an interface's name (made if it is not there and the caller may) or "fd:N", with
 * `queues` above one "fd:N:M...": a tap that was opened with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
 * and IFF_MULTI_QUEUE where it has several queues. 0, or -1 with `err`.
 */
int tap_open(struct tap *tap, const char *source, unsigned queues, struct error *err);
void tap_close(struct tap *tap);

/* Which offloads the reader of the tap can take; TUN_F_* of linux/if_tun.h. 0 or a negative errno.
 */
int tap_set_offload(const struct tap *tap, unsigned flags);
/* Lets the host's kernel give frames to a queue, or not. A disabled one shows EPOLLERR. 0, also
 * when it is so already, or a negative errno. */
int tap_enable_queue(struct tap *tap, unsigned queue, bool enable);
/* Drops the frames that wait in a queue. */
void tap_drain(const struct tap *tap, unsigned queue);

#endif
