/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <devices>, in libvirt's order. */
#include "xml/format.h"

static const char *shown_alias(const struct format *f, const struct domain_device_info *info)
{
    return info->alias && (f->live || g_str_has_prefix(info->alias, DOMAIN_USER_ALIAS))
               ? info->alias
               : NULL;
}

static void format_alias(struct format *f, const struct domain_device_info *info)
{
    if (shown_alias(f, info))
        xml_empty(&f->w, "alias", "name", info->alias, NULL);
}

/* What a virtio device ends with. */
void format_info(struct format *f, const struct domain_device_info *info)
{
    if (info->boot_order)
        xml_empty(&f->w, "boot", "order", XML_NUMBER(info->boot_order), NULL);
    format_alias(f, info);
    if (f->live)
        xml_empty(&f->w, "address", "type", "virtio-mmio", NULL);
}

/* ---- disks ---- */

static void format_iotune(struct format *f, const struct domain_iotune *iotune)
{
    xml_open(&f->w, "iotune", NULL);
    for (unsigned i = 0; i < DOMAIN_IOTUNE_LAST; i++)
        if (iotune->limits[i])
            xml_text_element(&f->w, domain_iotune_name((enum domain_iotune_limit)i),
                             XML_NUMBER(iotune->limits[i]), NULL);
    xml_close_or_drop(&f->w, "iotune");
}

static void format_disk_driver(struct format *f, const struct domain_disk *disk)
{
    unsigned facts = disk->facts;

    xml_empty(&f->w, "driver", "name", disk->driver_name, "type", "raw", "cache",
              word_of(domain_cache_values, disk->cache), "error_policy",
              domain_fact_value(facts, DOMAIN_FACT_ERROR_POLICY), "rerror_policy",
              domain_fact_value(facts, DOMAIN_FACT_RERROR_POLICY), "io",
              word_of(domain_disk_io_values, disk->io), "ioeventfd",
              domain_fact_value(facts, DOMAIN_FACT_IOEVENTFD), "event_idx",
              domain_fact_value(facts, DOMAIN_FACT_EVENT_IDX), "copy_on_read",
              domain_fact_value(facts, DOMAIN_FACT_COPY_ON_READ), "discard",
              word_of(domain_discard_values, disk->discard), "iothread",
              XML_NUMBER_OR_NULL(disk->iothread), "detect_zeroes",
              domain_fact_value(facts, DOMAIN_FACT_DETECT_ZEROES), "queues",
              XML_NUMBER_OR_NULL(disk->queues), NULL);
}

static void format_disk(struct format *f, const struct domain_disk *disk)
{
    xml_open(&f->w, "disk", "type", xml_value_name(domain_disk_type_values, (int)disk->type),
             "device", "disk", NULL);
    format_disk_driver(f, disk);
    if (disk->type == DOMAIN_DISK_VOLUME)
        xml_empty(&f->w, "source", "pool", disk->pool, "volume", disk->volume, NULL);
    else
        xml_empty(&f->w, "source", disk->type == DOMAIN_DISK_FILE ? "file" : "dev", disk->source,
                  NULL);
    xml_empty(&f->w, "target", "dev", disk->target, "bus", "virtio", NULL);
    format_iotune(f, &disk->iotune);
    if (disk->readonly)
        xml_empty(&f->w, "readonly", NULL);
    if (disk->shareable)
        xml_empty(&f->w, "shareable", NULL);
    if (disk->serial)
        xml_text_element(&f->w, "serial", disk->serial, NULL);
    format_info(f, &disk->info);
    xml_close(&f->w, "disk");
}

/* ---- controllers ---- */

static void format_controllers(struct format *f, const domain_def *def)
{
    if (def->usb_none)
        xml_empty(&f->w, "controller", "type", "usb", "index", "0", "model", "none", NULL);
    if (domain_has_virtio_serial(def)) {
        xml_open(&f->w, "controller", "type", "virtio-serial", "index", "0", NULL);
        format_info(f, &def->virtio_serial_info);
        xml_close(&f->w, "controller");
    }
}

/* ---- character devices ---- */

/* A pty's path is live data, of a console also as an attribute, where old clients look for it. */
static const char *pty_path(const struct format *f, const struct domain_chardev *source)
{
    return f->live && source->type == DOMAIN_CHARDEV_PTY ? source->path : NULL;
}

static void format_source(struct format *f, const struct domain_chardev *source)
{
    switch (source->type) {
    case DOMAIN_CHARDEV_NULL:
        break;
    case DOMAIN_CHARDEV_PTY:
        if (pty_path(f, source))
            xml_empty(&f->w, "source", "path", source->path, NULL);
        break;
    case DOMAIN_CHARDEV_FILE:
        xml_empty(&f->w, "source", "path", source->path, "append",
                  word_of(domain_switch_values, source->append), NULL);
        break;
    case DOMAIN_CHARDEV_UNIX: /* of a channel also without a path: the driver will find one */
        xml_empty(&f->w, "source", "mode", "bind", "path", source->path, NULL);
        break;
    }
}

static void format_serial(struct format *f, const struct domain_serial *serial,
                          const struct domain_arch *arch)
{
    xml_open(&f->w, "serial", "type",
             xml_value_name(domain_chardev_values, (int)serial->source.type), NULL);
    format_source(f, &serial->source);
    xml_open(&f->w, "target", "type", arch->serial_type, "port", "0", NULL);
    xml_empty(&f->w, "model", "name", arch->serial_model, NULL);
    xml_close(&f->w, "target");
    format_alias(f, &serial->info);
    xml_close(&f->w, "serial");
}

/* Ports of the virtio console device: their numbers follow from their order. */
static void format_port(struct format *f, unsigned number)
{
    if (f->live)
        xml_empty(&f->w, "address", "type", "virtio-serial", "controller", "0", "bus", "0", "port",
                  XML_NUMBER(number), NULL);
}

static void format_console(struct format *f, const struct domain_chardev *source,
                           const struct domain_device_info *info, unsigned port, int virtio_port)
{
    bool is_virtio = virtio_port >= 0;

    xml_open(&f->w, "console", "type", xml_value_name(domain_chardev_values, (int)source->type),
             "tty", pty_path(f, source), NULL);
    format_source(f, source);
    xml_empty(&f->w, "target", "type", is_virtio ? "virtio" : "serial", "port", XML_NUMBER(port),
              NULL);
    format_alias(f, info);
    if (is_virtio)
        format_port(f, (unsigned)virtio_port);
    xml_close(&f->w, "console");
}

static void format_consoles(struct format *f, const domain_def *def)
{
    unsigned port = 0;

    for (; port < def->serials->len; port++) {
        const struct domain_serial *serial = domain_serial_at(def, port);

        format_console(f, &serial->source, &serial->info, port, -1);
    }
    for (guint i = 0; i < def->consoles->len; i++) {
        const struct domain_console *console = domain_console_at(def, i);

        format_console(f, &console->source, &console->info, port + i, (int)i);
    }
}

static void format_channel(struct format *f, const struct domain_channel *channel, unsigned port)
{
    struct domain_chardev source = channel->source;

    if (!f->live && !domain_channel_path_is_users(channel))
        source.path = NULL;
    xml_open(&f->w, "channel", "type", xml_value_name(domain_chardev_values, (int)source.type),
             NULL);
    format_source(f, &source);
    xml_empty(&f->w, "target", "type", "virtio", "name", channel->name, "state",
              f->live ? word_of(domain_channel_state_values, channel->state) : NULL, NULL);
    format_alias(f, &channel->info);
    format_port(f, port);
    xml_close(&f->w, "channel");
}

/* ---- the small ones ---- */

static void format_memballoon(struct format *f, const struct domain_memballoon *balloon)
{
    if (balloon->none) {
        xml_empty(&f->w, "memballoon", "model", "none", NULL);
        return;
    }
    xml_open(&f->w, "memballoon", "model", "virtio", "autodeflate",
             word_of(domain_switch_values, balloon->autodeflate), "freePageReporting",
             word_of(domain_switch_values, balloon->free_page_reporting), NULL);
    if (balloon->stats_period)
        xml_empty(&f->w, "stats", "period", XML_NUMBER(balloon->stats_period), NULL);
    format_info(f, &balloon->info);
    xml_close(&f->w, "memballoon");
}

static void format_rng(struct format *f, const struct domain_rng *rng)
{
    xml_open(&f->w, "rng", "model", "virtio", NULL);
    if (rng->builtin)
        xml_empty(&f->w, "backend", "model", "builtin", NULL);
    else
        xml_text_element(&f->w, "backend", rng->source, "model", "random", NULL);
    format_info(f, &rng->info);
    xml_close(&f->w, "rng");
}

static void format_panic(struct format *f, const struct domain_panic *panic)
{
    xml_open(&f->w, "panic", "model", "isa", NULL);
    format_alias(f, &panic->info);
    if (f->live)
        xml_empty(&f->w, "address", "type", "isa", "iobase", DOMAIN_PANIC_PORT, NULL);
    xml_close(&f->w, "panic");
}

static void format_vsock(struct format *f, const struct domain_vsock *vsock)
{
    bool shows_cid = vsock->cid && (f->live || vsock->auto_cid != DOMAIN_SWITCH_ON);

    xml_open(&f->w, "vsock", "model", "virtio", NULL);
    xml_empty(&f->w, "cid", "auto", word_of(domain_yes_no_values, vsock->auto_cid), "address",
              shows_cid ? XML_NUMBER(vsock->cid) : NULL, NULL);
    format_info(f, &vsock->info);
    xml_close(&f->w, "vsock");
}

static void format_video(struct format *f)
{
    xml_open(&f->w, "video", NULL);
    xml_empty(&f->w, "model", "type", "none", NULL);
    xml_close(&f->w, "video");
}

void format_devices(struct format *f, const domain_def *def)
{
    xml_open(&f->w, "devices", NULL);
    if (def->emulator)
        xml_text_element(&f->w, "emulator", def->emulator, NULL);
    for (guint i = 0; i < def->disks->len; i++)
        format_disk(f, domain_disk_at(def, i));
    format_controllers(f, def);
    for (guint i = 0; i < def->nets->len; i++)
        format_net(f, domain_net_at(def, i));
    for (guint i = 0; i < def->serials->len; i++)
        format_serial(f, domain_serial_at(def, i), domain_arch_find(def->os.arch));
    format_consoles(f, def);
    for (guint i = 0; i < def->channels->len; i++)
        format_channel(f, domain_channel_at(def, i), def->consoles->len + i);
    if (def->video_none)
        format_video(f);
    format_memballoon(f, &def->memballoon);
    for (guint i = 0; i < def->rngs->len; i++)
        format_rng(f, domain_rng_at(def, i));
    for (guint i = 0; i < def->panics->len; i++)
        format_panic(f, domain_panic_at(def, i));
    for (guint i = 0; i < def->vsocks->len; i++)
        format_vsock(f, domain_vsock_at(def, i));
    xml_close(&f->w, "devices");
}
