/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-console's control queues (virtio 1.2, section 5.3.6.2). The driver says that it is there;
 * each port is offered to it, and each that it takes is described: a console or a name, and whether
 * somebody is at the other end. From then on both sides tell when their end opens or closes.
 *
 * What the driver should hear is kept as bits of state and not as a queue of messages. A driver
 * that gives no buffers costs nothing, and hears how things stand when it does.
 */
#include <linux/virtio_console.h>

#include "vmm/virtio/console_priv.h"

#define OWES(message) (1u << (message))

/* ---- to the driver ---- */

static const struct {
    uint16_t event;
    uint16_t value;
} messages[] = {
    [CONSOLE_SAY_ADD] = {VIRTIO_CONSOLE_PORT_ADD, 1},
    [CONSOLE_SAY_CONSOLE] = {VIRTIO_CONSOLE_CONSOLE_PORT, 1},
    [CONSOLE_SAY_NAME] = {VIRTIO_CONSOLE_PORT_NAME, 1},
    [CONSOLE_SAY_CLOSE] = {VIRTIO_CONSOLE_PORT_OPEN, 0},
    [CONSOLE_SAY_OPEN] = {VIRTIO_CONSOLE_PORT_OPEN, 1},
};
_Static_assert(ARRAY_SIZE(messages) == CONSOLE_MESSAGES, "one row a message");

/* Puts the message into the chain that was popped. A name goes without a NUL. */
static bool write_message(struct console_port *port, enum console_message message)
{
    const struct virtq_chain *chain = &port->console->chain;
    const struct iovec *room = chain->iov + chain->readable;
    const struct virtio_console_control control = {
        .id = port->number,
        .event = messages[message].event,
        .value = messages[message].value,
    };
    size_t name = message == CONSOLE_SAY_NAME ? strlen(port->name) : 0;

    if (chain->writable_len < sizeof(control) + name)
        return false;
    iov_write(room, chain->writable, 0, &control, sizeof(control));
    iov_write(room, chain->writable, sizeof(control), port->name, name);
    virtq_push(&port->console->dev.queues[CONTROL_RX], chain->head,
               (uint32_t)(sizeof(control) + name));
    return true;
}

/* Sends the port's next message. False when the driver has given no buffer. */
static bool send_next(struct console_port *port)
{
    struct virtio_console *console = port->console;
    enum console_message message = (enum console_message)__builtin_ctz(port->owed);

    if (!virtio_pop(&console->dev, CONTROL_RX, &console->chain)) {
        /* True when one came just now, for which no bell was asked. */
        return console_can_use(console, CONTROL_RX) &&
               virtq_enable_kicks(&console->dev.queues[CONTROL_RX]);
    }
    if (!write_message(port, message)) {
        virtio_device_fail(&console->dev, "a control buffer is too small for a message");
        return false;
    }
    port->owed &= ~OWES(message);
    if (message == CONSOLE_SAY_OPEN)
        port->told_open = true;
    else if (message == CONSOLE_SAY_CLOSE)
        port->told_open = false;
    return true;
}

/* First whether the driver is there at all: while it is not, what it negotiates is not ours. */
static bool is_multiport(struct virtio_console *console)
{
    return virtio_started(&console->dev, 0) &&
           virtio_has_feature(&console->dev, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* Sends what is owed, as far as the driver has given buffers. */
static void send_owed(struct virtio_console *console)
{
    bool room = true;

    if (!is_multiport(console) || !console_can_use(console, CONTROL_RX))
        return;
    for (unsigned i = 0; i < console->port_count && room; i++) {
        while (console->ports[i].owed != 0 && room)
            room = send_next(&console->ports[i]);
    }
    if (virtio_started(&console->dev, CONTROL_RX))
        virtio_notify(&console->dev, CONTROL_RX);
}

void console_set_host_open(struct console_port *port, bool open)
{
    if (port->host_open == open)
        return;
    port->host_open = open;
    if (!port->ready)
        return;
    if (open)
        port->owed |= OWES(CONSOLE_SAY_OPEN);
    else
        port->owed &= ~OWES(CONSOLE_SAY_OPEN);
    if (!open && port->told_open)
        port->owed |= OWES(CONSOLE_SAY_CLOSE);
    send_owed(port->console);
}

/* ---- from the driver ---- */

static void offer_ports(struct virtio_console *console)
{
    for (unsigned i = 0; i < console->port_count; i++) {
        struct console_port *port = &console->ports[i];

        if (!port->chr)
            continue;
        port->ready = false;
        port->owed = OWES(CONSOLE_SAY_ADD);
    }
}

static void describe_port(struct console_port *port)
{
    port->ready = true;
    port->told_open = false;
    port->owed |= port->name ? OWES(CONSOLE_SAY_NAME) : OWES(CONSOLE_SAY_CONSOLE);
    if (port->host_open)
        port->owed |= OWES(CONSOLE_SAY_OPEN);
}

/* Nothing that the driver can say wrong here does harm, so that it is told in the log and no more.
 */
static void take_message(struct virtio_console *console, const struct virtio_console_control *c)
{
    struct console_port *port = NULL;

    if (c->event == VIRTIO_CONSOLE_DEVICE_READY) {
        if (c->value)
            offer_ports(console);
        else
            virtio_log(&console->dev, "the driver could not set up the device");
        return;
    }
    if (c->id < console->port_count && console->ports[c->id].chr)
        port = &console->ports[c->id];
    if (!port) {
        virtio_log(&console->dev, "a message about port %u, which does not exist", c->id);
        return;
    }
    switch (c->event) {
    case VIRTIO_CONSOLE_PORT_READY:
        if (c->value)
            describe_port(port);
        else
            virtio_log(&console->dev, "the driver could not add port %u", c->id);
        break;
    case VIRTIO_CONSOLE_PORT_OPEN:
        console_set_guest_open(port, c->value != 0);
        break;
    default:
        virtio_log(&console->dev, "message %u about port %u is none of a driver's", c->event,
                   c->id);
    }
}

static bool take_chain(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct virtio_console_control control;

    if (iov_read(chain->iov, chain->readable, 0, &control, sizeof(control)) == sizeof(control))
        take_message(to_console(dev), &control);
    else
        virtio_log(dev, "a control message of %zu bytes", chain->readable_len);
    virtq_push(&dev->queues[queue], chain->head, 0);
    return true;
}

void console_control_kick(struct virtio_console *console, unsigned queue)
{
    if (!is_multiport(console))
        return;
    if (queue == CONTROL_TX)
        virtio_serve(&console->dev, queue, &console->chain, take_chain);
    send_owed(console);
}
