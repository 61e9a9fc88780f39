/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any peer of a network device's socket: bytes in any pieces, with frames written in between. What
 * must hold: each frame that comes out is one that went in, of a length that a frame may have, and
 * after what is none nothing comes any more.
 *
 * The input is pieces: a byte with the length of the piece, then its bytes; a length of 0 is a
 * frame written instead.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "vmm/backend/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void take_frames(struct netdev *dev, uint8_t *frame, size_t size)
{
    static const uint8_t header[NETDEV_HEADER_SIZE];
    const struct iovec iov[] = {{frame, 5}, {frame + 5, size - 5}};
    ssize_t n;

    while ((n = netdev_read(dev, 0, iov, ARRAY_SIZE(iov))) >= 0) {
        require((size_t)n > NETDEV_HEADER_SIZE + 13);
        require((size_t)n <= NETDEV_HEADER_SIZE + NETDEV_MAX_FRAME);
        require(memcmp(frame, header, sizeof(header)) == 0);
    }
    require(errno == (stream_broken(dev) ? EPIPE : EAGAIN));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t frame[NETDEV_HEADER_SIZE + NETDEV_MAX_FRAME + 64];
    const struct iovec out = {frame, NETDEV_HEADER_SIZE + 60};
    struct netdev dev;
    struct error err;
    char spec[32];
    int pair[2];

    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    snprintf(spec, sizeof(spec), "fd:%d", pair[1]);
    require(stream_open(&dev, spec, &err) == 0);
    while (size > 0) {
        size_t piece = MIN((size_t)*data, size - 1);

        if (*data == 0 && netdev_settle(&dev))
            (void)netdev_write(&dev, 0, &out, 1);
        (void)send(pair[0], data + 1, piece, MSG_NOSIGNAL);
        data += 1 + piece;
        size -= 1 + piece;
        take_frames(&dev, frame, sizeof(frame));
    }
    close(pair[0]);
    take_frames(&dev, frame, sizeof(frame));
    require(stream_broken(&dev) != NULL);
    netdev_close(&dev);
    return 0;
}
