/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-console (virtio 1.2, section 5.3): one device with all consoles and all named ports of the
 * machine, each with a queue for either direction and a chardev. A single console needs nothing
 * beyond that; with more the ports are negotiated over two control queues (console_ctrl.c).
 *
 * Both directions push back: output that the chardev has no room for stays in the queue until it
 * has, input that the guest has no buffer for, or whose port nobody has open there, stays with the
 * chardev. Output to a port with nobody at its other end is thrown away, as on a serial port.
 */
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stddef.h>

#include "vmm/backend/chardev.h"
#include "vmm/virtio/console_priv.h"
#include "vmm/virtio/devices.h"

#define QUEUE_SIZE 64
/* Bytes to the host in one go, after which others in the loop get their turn: a chain may be as
 * long as a guest likes, and a file takes everything. */
#define SEND_BUDGET (256 * KiB)

static unsigned rx_queue(const struct console_port *port)
{
    return port->number == 0 ? 0 : 2 * port->number + 2;
}

static unsigned tx_queue(const struct console_port *port)
{
    return rx_queue(port) + 1;
}

static struct console_port *port_of_queue(struct virtio_console *console, unsigned queue)
{
    return &console->ports[queue < 2 ? 0 : queue / 2 - 1];
}

/* ---- guest to host ---- */

/* Returns whether the whole chain went out; if not, it has been seen to that somebody goes on. */
static bool send_chain(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct virtio_console *console = to_console(dev);
    struct console_port *port = port_of_queue(console, queue);
    size_t left = chain->readable_len - MIN(port->sent, chain->readable_len);
    struct iovec part[VIRTQ_MAX_SEGMENTS];
    unsigned parts =
        iov_slice(chain->iov, chain->readable, port->sent, MIN(left, console->budget), part);

    for (unsigned i = 0; i < parts; i++) {
        size_t n = chardev_write(port->chr, part[i].iov_base, part[i].iov_len);

        port->sent += n;
        console->budget -= n;
        left -= n;
        if (n < part[i].iov_len)
            return false; /* on_writable() goes on */
    }
    if (left > 0) {
        virtio_kick_again(dev, queue);
        return false;
    }
    port->sent = 0;
    virtq_push(&dev->queues[queue], chain->head, 0);
    return true;
}

static void transmit(struct console_port *port)
{
    struct virtio_console *console = port->console;

    if (!port->chr || !console_can_use(console, tx_queue(port)))
        return;
    console->budget = SEND_BUDGET;
    virtio_serve(&console->dev, tx_queue(port), &console->chain, send_chain);
}

static void on_writable(void *opaque)
{
    transmit(opaque);
}

/* ---- host to guest ---- */

static size_t on_input(void *opaque, const uint8_t *data, size_t len)
{
    struct console_port *port = opaque;
    struct virtio_console *console = port->console;
    const struct virtq_chain *chain = &console->chain;
    unsigned queue = rx_queue(port);
    struct virtqueue *vq = &console->dev.queues[queue];
    size_t done = 0;
    unsigned left;

    if (!console_can_use(console, queue) || !__atomic_load_n(&port->guest_open, __ATOMIC_RELAXED))
        return 0;
    /* Buffers without room are no reason to stay here for ever. */
    for (left = vq->size; done < len && left > 0; left--) {
        size_t n;

        if (!virtio_pop(&console->dev, queue, &console->chain)) {
            /* A buffer that came just now rings no bell: look again. */
            if (console_can_use(console, queue) && virtq_enable_kicks(vq))
                continue;
            break;
        }
        n = iov_write(chain->iov + chain->readable, chain->writable, 0, data + done, len - done);
        virtq_push(vq, chain->head, (uint32_t)n);
        done += n;
    }
    if (left == 0)
        virtio_kick_again(&console->dev, queue);
    if (virtio_started(&console->dev, queue))
        virtio_notify(&console->dev, queue);
    return done;
}

static void receive(struct console_port *port)
{
    if (port->chr)
        chardev_accept_input(port->chr);
}

/* ---- open and closed ---- */

void console_set_guest_open(struct console_port *port, bool open)
{
    bool was = __atomic_exchange_n(&port->guest_open, open, __ATOMIC_ACQ_REL);

    if (was != open && port->name)
        virtio_notice(&port->console->dev, VIRTIO_NOTICE_PORT);
    if (open)
        receive(port);
}

/* A console is a line: whether anybody looks at it is no concern of the guest's. */
static void on_connected(void *opaque, bool is_connected)
{
    struct console_port *port = opaque;

    if (port->name && chardev_tells_clients(port->chr))
        console_set_host_open(port, is_connected);
}

static bool is_always_open(const struct console_port *port)
{
    return !port->name || !chardev_tells_clients(port->chr);
}

bool virtio_console_port_open(const struct virtio_device *dev, unsigned port)
{
    const struct virtio_console *console = container_of(dev, const struct virtio_console, dev);

    port += console->first;
    return port < console->port_count &&
           __atomic_load_n(&console->ports[port].guest_open, __ATOMIC_ACQUIRE);
}

/* ---- life ---- */

static void console_kick(struct virtio_device *dev, unsigned queue)
{
    struct virtio_console *console = to_console(dev);

    if (queue == CONTROL_RX || queue == CONTROL_TX)
        console_control_kick(console, queue);
    else if (queue % 2 == 0)
        receive(port_of_queue(console, queue));
    else
        transmit(port_of_queue(console, queue));
}

/* What the driver before this one was told and had open is nothing to the new one. */
static void forget_driver(struct virtio_console *console)
{
    for (unsigned i = 0; i < console->port_count; i++) {
        struct console_port *port = &console->ports[i];

        port->ready = false;
        port->told_open = false;
        port->owed = 0;
        port->sent = 0;
    }
    /* Without control messages the one port is open as long as the driver is there. */
    if (!virtio_has_feature(&console->dev, VIRTIO_CONSOLE_F_MULTIPORT))
        console_set_guest_open(&console->ports[0], true);
}

static void console_start(struct virtio_device *dev, unsigned worker)
{
    struct virtio_console *console = to_console(dev);

    if (console->fresh)
        forget_driver(console);
    console->fresh = false;
    console_control_kick(console, CONTROL_TX);
    for (unsigned i = 0; i < console->port_count; i++) {
        receive(&console->ports[i]);
        transmit(&console->ports[i]);
    }
}

static void console_reset(struct virtio_device *dev)
{
    struct virtio_console *console = to_console(dev);

    console->fresh = true;
    for (unsigned i = 0; i < console->port_count; i++)
        console_set_guest_open(&console->ports[i], false);
}

/* The emergency write: one character, from a driver that has set up nothing yet, or from a guest
 * that dies. */
static void console_write_config(struct virtio_device *dev, unsigned offset, const void *data,
                                 unsigned len)
{
    if (offset == offsetof(struct virtio_console_config, emerg_wr) &&
        (dev->offered & VIRTIO_FEATURE(VIRTIO_CONSOLE_F_EMERG_WRITE)))
        (void)chardev_write(to_console(dev)->ports[0].chr, data, 1);
}

static void console_free(struct virtio_device *dev)
{
    struct virtio_console *console = to_console(dev);

    for (unsigned i = 0; i < console->port_count; i++) {
        if (console->ports[i].chr)
            chardev_attach(console->ports[i].chr, NULL, NULL);
    }
    virtio_device_release(dev);
    free(console);
}

static const struct virtio_type console_type = {
    .name = "virtio-console",
    .id = VIRTIO_ID_CONSOLE,
    .queue_size = QUEUE_SIZE,
    .start = console_start,
    .kick = console_kick,
    .reset = console_reset,
    .write_config = console_write_config,
    .free = console_free,
};

static const struct chardev_events port_events = {
    .input = on_input,
    .writable = on_writable,
    .connected = on_connected,
};

static void make_port(struct virtio_console *console, unsigned number,
                      const struct virtio_console_port *spec)
{
    struct console_port *port = &console->ports[number];

    port->id = spec->id;
    port->name = spec->name;
    port->chr = spec->chr;
    port->host_open = is_always_open(port);
}

struct virtio_device *virtio_console_new(const char *id, const struct memory *mem,
                                         struct loop *loop, const struct virtio_console_port *ports,
                                         unsigned count, struct error *err)
{
    /* Port 0 is a console to every driver, and to one without MULTIPORT all there is. */
    unsigned first = count > 0 && !ports[0].name ? 0 : 1;
    unsigned port_count = first + count;
    bool multiport = port_count > 1;
    struct virtio_shape shape = {
        .queues = multiport ? 2 * (port_count + 1) : 2,
        .loop = loop,
        .features = (multiport ? VIRTIO_FEATURE(VIRTIO_CONSOLE_F_MULTIPORT) : 0) |
                    (first == 0 ? VIRTIO_FEATURE(VIRTIO_CONSOLE_F_EMERG_WRITE) : 0),
    };
    struct virtio_console_config config = {.max_nr_ports = port_count};
    struct virtio_console *console;

    if (shape.queues > VIRTIO_MAX_QUEUES) {
        error_set(err, "more than %d ports", VIRTIO_MAX_QUEUES / 2 - 1);
        return NULL;
    }
    console = xcalloc(1, sizeof(*console) + port_count * sizeof(console->ports[0]));
    console->first = first;
    console->port_count = port_count;
    console->fresh = true;
    if (virtio_device_init(&console->dev, &console_type, id, mem, &shape, err) < 0) {
        free(console);
        return NULL;
    }
    memcpy(console->dev.config, &config, sizeof(config));
    console->dev.config_size = sizeof(config);
    for (unsigned i = 0; i < port_count; i++)
        console->ports[i] = (struct console_port){.console = console, .number = i};
    for (unsigned i = 0; i < count; i++)
        make_port(console, first + i, &ports[i]);
    /* Last: from here on the loop calls us. */
    for (unsigned i = 0; i < count; i++)
        chardev_attach(ports[i].chr, &port_events, &console->ports[first + i]);
    return &console->dev;
}
