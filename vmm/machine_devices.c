/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The devices of a machine: made in the order in which the guest finds them, each out of its part
 * of the configuration, put on the bus, and taken apart again. Device threads leave notices (a
 * guest broke a rule, the balloon moved); the main loop picks them up here and makes events of
 * them.
 */
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <sys/eventfd.h>

#include "vmm/backend/disk.h"
#include "vmm/backend/stream.h"
#include "vmm/backend/tap.h"
#include "vmm/devices/pvpanic.h"
#include "vmm/machine_priv.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/net.h"

static struct chardev *open_chardev(struct machine *m, const char *spec, const char *label,
                                    struct loop *loop, struct error *err)
{
    struct chardev *chr = chardev_open(spec, label, loop, err);

    if (chr)
        m->chardevs[m->chardev_count++] = chr;
    return chr;
}

int machine_open_serial(struct machine *m, struct error *err)
{
    if (!m->config->serial || strcmp(m->config->serial, "none") == 0)
        return 0;
    m->serial = open_chardev(m, m->config->serial, "serial0", m->loop, err);
    return m->serial ? 0 : -1;
}

/* From any thread. */
static void on_notice(void *opaque)
{
    struct machine *m = opaque;

    (void)eventfd_write(m->request_fd, 1);
}

/* Puts a device on the bus. Takes over `dev`, which may be NULL (then `err` is set already). */
static int add_virtio(struct machine *m, struct virtio_device *dev, struct error *err)
{
    struct arch_virtio_slot slot = arch_virtio_slot(m->virtio_count);
    struct virtio_mmio *mmio;
    struct irq_line *irq;

    if (!dev)
        return -1;
    irq = irq_lines_get(&m->irqs, slot.gsi, err);
    if (!irq) {
        virtio_device_free(dev);
        return -1;
    }
    mmio = virtio_mmio_new(dev, slot.base, irq);
    m->virtio[m->virtio_count++] = mmio;
    dev->notify = on_notice;
    dev->notify_opaque = m;
    return bus_add(&m->mmio, slot.base, VIRTIO_MMIO_SIZE, 0, virtio_mmio_bus_device(mmio), err);
}

static int add_disk(struct machine *m, unsigned i, struct error *err)
{
    const struct config_disk *c = &m->config->disks[i];
    const struct disk_options options = {
        .source = c->source,
        .readonly = c->readonly,
        .direct = c->direct,
        .discard = c->discard,
        .engine = c->engine,
    };
    const struct virtio_blk_options blk_options = {
        .serial = c->serial,
        .queues = c->queues,
        .limits = c->limits,
    };

    m->disks[i] = disk_open(&options, err);
    if (!m->disks[i])
        return -1;
    return add_virtio(m, virtio_blk_new(c->id, &m->memory, m->disks[i], &blk_options, err), err);
}

static int add_net(struct machine *m, unsigned i, struct error *err)
{
    const struct config_net *c = &m->config->nets[i];
    struct netdev *dev = &m->netdevs[i];
    int r = c->socket ? stream_open(dev, c->socket, err) : tap_open(dev, c->tap, c->queues, err);

    if (r < 0)
        return error_prefix(err, "net `%s`", c->id);
    return add_virtio(m, virtio_net_new(c, &m->memory, dev, err), err);
}

/* One device for all consoles and ports. */
static int add_console(struct machine *m, struct error *err)
{
    const struct config *c = m->config;
    struct virtio_console_port ports[CONFIG_MAX_CONSOLES + CONFIG_MAX_PORTS];
    unsigned count = 0;

    for (unsigned i = 0; i < c->console_count + c->port_count; i++) {
        const struct config_port *port = &c->ports[i - MIN(i, c->console_count)];
        bool is_console = i < c->console_count;
        const char *id = is_console ? c->consoles[i].id : port->id;
        struct chardev *chr = open_chardev(m, is_console ? c->consoles[i].chardev : port->chardev,
                                           id, m->io_loop, err);

        if (!chr)
            return -1;
        ports[count++] = (struct virtio_console_port){id, is_console ? NULL : port->name, chr};
    }
    return add_virtio(m, virtio_console_new(ports[0].id, &m->memory, m->io_loop, ports, count, err),
                      err);
}

static int add_rng(struct machine *m, struct error *err)
{
    int fd = open_path_or_fd(m->config->rng_source, O_RDONLY | O_CLOEXEC | O_NONBLOCK, err);

    if (fd < 0)
        return error_prefix(err, "rng");
    return add_virtio(m, virtio_rng_new(CONFIG_RNG_ID, &m->memory, m->io_loop, fd, err), err);
}

static int add_balloon(struct machine *m, struct error *err)
{
    const struct config_memory_backing *backing = &m->config->memory_backing;
    const struct config_balloon *c = &m->config->balloon;
    /* Pages that were asked for in advance are not given back unasked; huge ones cannot be. */
    bool reporting = c->free_page_reporting && !backing->prealloc && !backing->hugepages;

    return add_virtio(m,
                      virtio_balloon_new(CONFIG_BALLOON_ID, &m->memory, m->io_loop,
                                         c->deflate_on_oom, reporting, err),
                      err);
}

static int add_vsock(struct machine *m, struct error *err)
{
    const struct config_vsock *c = &m->config->vsock;

    return add_virtio(
        m, virtio_vsock_new(CONFIG_VSOCK_ID, &m->memory, m->io_loop, c->cid, c->vhost, err), err);
}

/* The devices in the order in which the guest finds them. */
int machine_add_devices(struct machine *m, struct error *err)
{
    const struct config *c = m->config;

    if (c->console_count > 0 || c->port_count > 0 || c->rng_source || c->balloon.present ||
        c->vsock.cid) {
        m->io_loop = loop_thread_start("vole/io", err);
        if (!m->io_loop)
            return -1;
    }
    for (unsigned i = 0; i < c->disk_count; i++) {
        if (add_disk(m, i, err) < 0)
            return -1;
    }
    for (unsigned i = 0; i < c->net_count; i++) {
        if (add_net(m, i, err) < 0)
            return -1;
    }
    if ((c->console_count > 0 || c->port_count > 0) && add_console(m, err) < 0)
        return -1;
    if (c->rng_source && add_rng(m, err) < 0)
        return -1;
    if (c->balloon.present && add_balloon(m, err) < 0)
        return -1;
    return c->vsock.cid ? add_vsock(m, err) : 0;
}

/* ---- what fixed devices ask for ---- */

void machine_on_reset(void *opaque)
{
    machine_request(opaque, MACHINE_REQUEST_RESET, CAUSE_GUEST_RESET);
}

void machine_on_power_off(void *opaque)
{
    machine_request(opaque, MACHINE_REQUEST_SHUTDOWN, CAUSE_GUEST_SHUTDOWN);
}

/* A guest may tell of any number of crashes; one is told on, or it could fill the log. */
void machine_on_panic(void *opaque, unsigned events)
{
    struct machine *m = opaque;

    if (events & PVPANIC_PANICKED)
        machine_request(m, MACHINE_REQUEST_PANIC, CAUSE_GUEST_PANIC);
    else if (!__atomic_exchange_n(&m->crash_told, true, __ATOMIC_RELAXED))
        log_warn("the guest panicked, and its crash kernel takes over");
}

/* ---- what device threads left to tell ---- */

bool machine_chardev_is_open(const struct machine *m, unsigned index)
{
    unsigned first_port = (m->serial ? 1 : 0) + m->config->console_count;

    if (index < first_port)
        return true;
    for (unsigned i = 0; i < m->virtio_count; i++) {
        const struct virtio_device *dev = virtio_mmio_device(m->virtio[i]);

        if (dev->type->id == VIRTIO_ID_CONSOLE)
            return virtio_console_port_open(dev, m->config->console_count + index - first_port);
    }
    return false;
}

/* Which of the named ports it was is found by comparing; one that went both ways is as it was. */
static void tell_ports(struct machine *m, struct virtio_device *dev)
{
    for (unsigned i = 0; i < m->config->port_count; i++) {
        bool open = virtio_console_port_open(dev, m->config->console_count + i);

        if (open == m->port_open[i])
            continue;
        m->port_open[i] = open;
        machine_tell(m, &(struct machine_event){.kind = MACHINE_EVENT_PORT,
                                                .device = m->config->ports[i].id,
                                                .open = open});
    }
}

/* To the guest it is a cable that was pulled, and nobody can plug it in again. */
static void tell_link_lost(struct machine *m, const struct virtio_device *dev)
{
    struct error err;

    for (unsigned i = 0; i < m->config->net_count; i++) {
        const struct config_net *net = &m->config->nets[i];

        if (strcmp(net->id, dev->id) != 0 || net->link_down)
            continue;
        (void)machine_set_link(m, i, false, &err);
        machine_tell(m,
                     &(struct machine_event){.kind = MACHINE_EVENT_PEER_LOST, .device = net->id});
    }
}

/* Whether there was anything. */
static bool tell_notices_of(struct machine *m, struct virtio_device *dev)
{
    static const struct {
        enum virtio_notice notice;
        enum machine_event_kind kind;
    } events[] = {
        {VIRTIO_NOTICE_FAILED, MACHINE_EVENT_DEVICE_FAILED},
        {VIRTIO_NOTICE_RX_FILTER, MACHINE_EVENT_RX_FILTER},
    };
    unsigned notices = virtio_device_take_notices(dev);

    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        if (notices & events[i].notice)
            machine_tell(m, &(struct machine_event){.kind = events[i].kind, .device = dev->id});
    }
    if (notices & VIRTIO_NOTICE_BALLOON)
        machine_tell(m, &(struct machine_event){.kind = MACHINE_EVENT_BALLOON,
                                                .value = virtio_balloon_actual(dev)});
    if (notices & VIRTIO_NOTICE_PORT)
        tell_ports(m, dev);
    if (notices & VIRTIO_NOTICE_IO_ERROR) {
        struct machine_event ev = {.kind = MACHINE_EVENT_IO_ERROR, .device = dev->id};

        ev.error = virtio_blk_last_error(dev, &ev.reading);
        machine_tell(m, &ev);
    }
    if (notices & VIRTIO_NOTICE_LINK_LOST)
        tell_link_lost(m, dev);
    return notices != 0;
}

/* A guest can give reason for a notice with each write to a register, and who listens would be
 * buried under events. So what follows a notice too soon is told after a pause, once. */
#define NOTICE_PAUSE_NS 50000000

void machine_tell_notices(struct machine *m)
{
    bool any = false;

    if (m->notices_wait || m->state == MACHINE_SHUTDOWN)
        return;
    for (unsigned i = 0; i < m->virtio_count; i++)
        any |= tell_notices_of(m, virtio_mmio_device(m->virtio[i]));
    m->notices_wait = any && loop_timer_set(&m->notice_timer, NOTICE_PAUSE_NS, 0) == 0;
}

static void on_pause_over(void *opaque)
{
    struct machine *m = opaque;

    m->notices_wait = false;
    machine_tell_notices(m);
}

int machine_watch_notices(struct machine *m, struct error *err)
{
    return loop_timer_attach(m->loop, &m->notice_timer, on_pause_over, m, err);
}

/* ---- changes to a running machine ---- */

int machine_resize_disk(struct machine *m, unsigned index, uint64_t size, struct error *err)
{
    if (disk_resize(m->disks[index], size, err) < 0)
        return -1;
    virtio_blk_resized(machine_device(m, VIRTIO_ID_BLOCK, m->config->disks[index].id));
    return 0;
}

void machine_set_disk_limits(struct machine *m, unsigned index,
                             const struct throttle_limits *limits)
{
    m->config->disks[index].limits = *limits;
    virtio_blk_set_limits(machine_device(m, VIRTIO_ID_BLOCK, m->config->disks[index].id), limits);
}

int machine_set_link(struct machine *m, unsigned index, bool up, struct error *err)
{
    struct config_net *c = &m->config->nets[index];
    struct virtio_device *dev = machine_device(m, VIRTIO_ID_NET, c->id);
    const char *broken = virtio_net_broken(dev);

    if (up && broken)
        return error_set(err, "the link of '%s' stays down: %s", c->id, broken);
    c->link_down = !up;
    virtio_net_set_link(dev, up);
    return 0;
}

int machine_set_net_limits(struct machine *m, unsigned index, const struct throttle_limits *rx,
                           const struct throttle_limits *tx, struct error *err)
{
    struct config_net *c = &m->config->nets[index];

    if (virtio_net_set_limits(machine_device(m, VIRTIO_ID_NET, c->id), rx, tx, err) < 0)
        return -1;
    c->rx_limits = *rx;
    c->tx_limits = *tx;
    return 0;
}

/* ---- the end ---- */

/* Devices first: their threads use what comes behind. */
void machine_free_devices(struct machine *m)
{
    for (unsigned i = 0; i < m->virtio_count; i++)
        virtio_mmio_free(m->virtio[i]);
    arch_platform_free(m);
    irq_lines_close(&m->irqs);
    for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++)
        disk_close(m->disks[i]);
    for (unsigned i = 0; i < CONFIG_MAX_NETS; i++)
        netdev_close(&m->netdevs[i]);
    if (m->io_loop)
        loop_thread_stop(m->io_loop);
    for (unsigned i = 0; i < m->chardev_count; i++)
        chardev_close(m->chardevs[i]);
}
