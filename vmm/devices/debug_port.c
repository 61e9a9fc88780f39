/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/devices/debug_port.h"

#include <fcntl.h>
#include <poll.h>

#define DEBUG_PORT_ID 0xe9
#define PATIENCE_MS   1000

struct debug_port {
    struct bus_device bus; /* its lock is over `stalled` */
    int fd;
    int own_fd; /* to be closed, or -1 */
    bool stalled;
};

static uint64_t debug_port_read(struct bus_device *dev, uint64_t offset, unsigned len)
{
    return DEBUG_PORT_ID;
}

static void debug_port_write(struct bus_device *dev, uint64_t offset, uint64_t value, unsigned len)
{
    struct debug_port *port = container_of(dev, struct debug_port, bus);
    struct pollfd p = {.fd = port->fd, .events = POLLOUT};
    uint8_t byte = (uint8_t)value;
    ssize_t n;

    /* Not repeated: a signal means that the machine wants its vCPU back, and a debug message is
     * not worth more than that. */
    n = poll(&p, 1, port->stalled ? 0 : PATIENCE_MS);
    if (n >= 0)
        port->stalled = n == 0;
    if (n > 0)
        n = write(port->fd, &byte, 1);
    (void)n;
}

static const struct bus_ops debug_port_ops = {
    .read = debug_port_read,
    .write = debug_port_write,
};

struct debug_port *debug_port_new(int fd)
{
    struct debug_port *port = xcalloc(1, sizeof(*port));

    bus_device_init(&port->bus, &debug_port_ops);
    port->own_fd = reopen_nonblocking(fd, O_WRONLY);
    port->fd = port->own_fd >= 0 ? port->own_fd : fd;
    return port;
}

void debug_port_free(struct debug_port *port)
{
    if (!port)
        return;
    if (port->own_fd >= 0)
        close(port->own_fd);
    pthread_mutex_destroy(&port->bus.lock);
    free(port);
}

struct bus_device *debug_port_bus_device(struct debug_port *port)
{
    return &port->bus;
}
