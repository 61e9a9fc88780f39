/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading. What the socket has comes in one piece into a buffer that holds at least one frame of
 * the largest size, and frames are taken out of it; so a poll of the socket alone does not tell
 * whether there is one, stream_events() does.
 *
 * Writing. A frame goes to the socket at once. Of one that the socket takes only in part the rest
 * is kept, and until it has left too nothing else can be written: a full peer holds its guest up,
 * and no frame is lost.
 *
 * Breaking. The descriptor stays open until the device is closed, for it may be in an epoll set;
 * it is shut down, so that the peer knows.
 */
#include "vmm/backend/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vmm/socket.h"

#define LENGTH_SIZE sizeof(uint32_t)
#define WIRE_MAX    (LENGTH_SIZE + NETDEV_MAX_FRAME)
#define MIN_FRAME   14u /* Ethernet's header; less is dropped, as by a cable */
#define MAX_IOV     1024

struct net_stream {
    const char *broken; /* atomic */

    size_t rx_start;
    size_t rx_end;
    size_t tx_start;
    size_t tx_end;
    uint8_t rx[2 * WIRE_MAX];
    uint8_t tx[WIRE_MAX]; /* what is left of a frame */
};

const char *stream_broken(const struct netdev *dev)
{
    return dev->stream ? __atomic_load_n(&dev->stream->broken, __ATOMIC_ACQUIRE) : NULL;
}

static void break_off(struct netdev *dev, const char *why)
{
    struct net_stream *s = dev->stream;

    if (s->broken)
        return;
    s->rx_start = s->rx_end = 0;
    s->tx_start = s->tx_end = 0;
    (void)shutdown(dev->fds[0], SHUT_RDWR);
    __atomic_store_n(&s->broken, why, __ATOMIC_RELEASE);
}

void stream_hung_up(struct netdev *dev)
{
    break_off(dev, "its peer is gone");
}

/* ---- reading ---- */

/* The length of the frame at the front, or 0 when not all of it is here. */
static size_t front_frame(struct netdev *dev)
{
    struct net_stream *s = dev->stream;
    size_t have = s->rx_end - s->rx_start;
    uint32_t wire;
    size_t len;

    if (have < LENGTH_SIZE)
        return 0;
    memcpy(&wire, s->rx + s->rx_start, sizeof(wire));
    len = ntohl(wire);
    if (len == 0 || len > NETDEV_MAX_FRAME) {
        break_off(dev, "its peer sent a length that no frame has");
        return 0;
    }
    return have - LENGTH_SIZE >= len ? len : 0;
}

/* Whether anything came. */
static bool fill(struct netdev *dev)
{
    struct net_stream *s = dev->stream;
    ssize_t n;

    if (s->rx_start > 0) {
        memmove(s->rx, s->rx + s->rx_start, s->rx_end - s->rx_start);
        s->rx_end -= s->rx_start;
        s->rx_start = 0;
    }
    do
        n = recv(dev->fds[0], s->rx + s->rx_end, sizeof(s->rx) - s->rx_end, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        break_off(dev, "its peer is gone");
    else if (n < 0 && errno != EAGAIN)
        break_off(dev, "its peer cannot be read from");
    s->rx_end += n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* The front frame into `iov`, behind a header that says nothing. */
static ssize_t take_front(struct net_stream *s, size_t len, const struct iovec *iov, int count)
{
    static const uint8_t header[NETDEV_HEADER_SIZE];
    const struct iovec parts[] = {
        {(void *)(uintptr_t)header, sizeof(header)},
        {s->rx + s->rx_start + LENGTH_SIZE, len},
    };
    size_t done = 0;
    size_t offset = 0; /* in iov[0] */

    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        const uint8_t *from = parts[i].iov_base;
        size_t left = parts[i].iov_len;

        while (left > 0 && count > 0) {
            size_t part = MIN(left, iov->iov_len - offset);

            memcpy((uint8_t *)iov->iov_base + offset, from, part);
            from += part;
            left -= part;
            done += part;
            offset += part;
            if (offset == iov->iov_len) {
                iov++;
                count--;
                offset = 0;
            }
        }
    }
    s->rx_start += LENGTH_SIZE + len;
    return (ssize_t)done;
}

static ssize_t stream_read(struct netdev *dev, unsigned queue, const struct iovec *iov, int count)
{
    struct net_stream *s = dev->stream;
    size_t len = 0;

    (void)queue;
    while (!s->broken) {
        len = front_frame(dev);
        if (len >= MIN_FRAME)
            return take_front(s, len, iov, count);
        if (len > 0)
            s->rx_start += LENGTH_SIZE + len;
        else if (!s->broken && !fill(dev) && !s->broken)
            break;
    }
    errno = s->broken ? EPIPE : EAGAIN;
    return -1;
}

static short stream_events(struct netdev *dev, unsigned queue)
{
    struct pollfd p = {.fd = dev->fds[0], .events = POLLIN};

    (void)queue;
    if (!dev->stream->broken && front_frame(dev) > 0)
        return POLLIN;
    if (dev->stream->broken)
        return POLLHUP;
    return (short)(poll(&p, 1, 0) > 0 ? p.revents : 0);
}

/* ---- writing ---- */

static ssize_t send_some(struct netdev *dev, const struct iovec *iov, unsigned count)
{
    const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};
    ssize_t n;

    do
        n = sendmsg(dev->fds[0], &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    if (errno != EAGAIN)
        break_off(dev, "its peer takes nothing any more");
    return 0;
}

static bool stream_settle(struct netdev *dev)
{
    struct net_stream *s = dev->stream;
    const struct iovec rest = {s->tx + s->tx_start, s->tx_end - s->tx_start};

    if (rest.iov_len > 0)
        s->tx_start += (size_t)send_some(dev, &rest, 1);
    if (s->tx_start < s->tx_end)
        return false;
    s->tx_start = s->tx_end = 0;
    return true;
}

/* What comes behind the first `sent` bytes. */
static void keep_rest(struct net_stream *s, const struct iovec *iov, unsigned count, size_t sent)
{
    for (unsigned i = 0; i < count; i++) {
        size_t skip = MIN(sent, iov[i].iov_len);

        memcpy(s->tx + s->tx_end, (const uint8_t *)iov[i].iov_base + skip, iov[i].iov_len - skip);
        s->tx_end += iov[i].iov_len - skip;
        sent -= skip;
    }
}

/* A frame's buffers without virtio's header, behind its length: in `out`, whose number is returned.
 */
static unsigned frame_parts(const struct iovec *iov, int count, struct iovec *out)
{
    size_t skip = NETDEV_HEADER_SIZE;
    unsigned n = 1;

    for (int i = 0; i < count; i++) {
        size_t part = MIN(skip, iov[i].iov_len);

        if (iov[i].iov_len > part)
            out[n++] = (struct iovec){(uint8_t *)iov[i].iov_base + part, iov[i].iov_len - part};
        skip -= part;
    }
    return n;
}

static ssize_t stream_write(struct netdev *dev, unsigned queue, const struct iovec *iov, int count)
{
    struct iovec parts[MAX_IOV + 1];
    uint32_t wire;
    size_t len = 0;
    unsigned n;
    size_t sent;

    (void)queue;
    if (dev->stream->broken || count > MAX_IOV || dev->stream->tx_end > 0) {
        errno = dev->stream->broken ? EPIPE : EAGAIN;
        return -1;
    }
    n = frame_parts(iov, count, parts);
    for (unsigned i = 1; i < n; i++)
        len += parts[i].iov_len;
    if (len == 0 || len > NETDEV_MAX_FRAME) {
        errno = EMSGSIZE;
        return -1;
    }
    wire = htonl((uint32_t)len);
    parts[0] = (struct iovec){&wire, sizeof(wire)};
    sent = (size_t)send_some(dev, parts, n);
    if (sent < len + sizeof(wire) && !dev->stream->broken)
        keep_rest(dev->stream, parts, n, sent);
    return (ssize_t)(NETDEV_HEADER_SIZE + len);
}

/* ---- the others ---- */

static int stream_set_offload(const struct netdev *dev, unsigned flags)
{
    (void)dev;
    return flags == 0 ? 0 : -EOPNOTSUPP;
}

static int stream_enable_queue(struct netdev *dev, unsigned queue, bool enable)
{
    (void)dev;
    (void)queue;
    (void)enable;
    return 0;
}

static void stream_close(struct netdev *dev)
{
    close(dev->fds[0]);
    free(steal_ptr(&dev->stream));
}

static const struct netdev_ops stream_ops = {
    .read = stream_read,
    .write = stream_write,
    .settle = stream_settle,
    .events = stream_events,
    .set_offload = stream_set_offload,
    .enable_queue = stream_enable_queue,
    .close = stream_close,
};

static int connect_to(const char *path, struct error *err)
{
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, "`%s` is too long for a socket's path", path);
    memcpy(address.sun_path, path, strlen(path));
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return error_set_errno(err, errno, "connect to `%s`", path);
    return steal_fd(&fd);
}

static int adopt(const char *source, struct error *err)
{
    cleanup_close int fd = inherit_fd(source, err);

    if (fd < 0)
        return -1;
    if (socket_role(fd) != SOCKET_CONNECTED)
        return error_set(err, "`%s` is no stream socket that is connected", source);
    return steal_fd(&fd);
}

int stream_open(struct netdev *dev, const char *source, struct error *err)
{
    int fd = spec_is_fd(source) ? adopt(source, err) : connect_to(source + strlen("unix:"), err);

    if (fd < 0)
        return -1;
    *dev = (struct netdev){
        .ops = &stream_ops,
        .queue_count = 1,
        .fds = {fd},
        .enabled = {true},
        .mtu = UINT16_MAX,
        .stream = xcalloc(1, sizeof(struct net_stream)),
    };
    return 0;
}
