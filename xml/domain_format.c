/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The definition as XML, in libvirt's order of elements. Everything the parser accepts and keeps is
 * written here; `live` decides about what is true only while the domain runs.
 */
#include <libvirt/libvirt.h>
#include <string.h>

#include "xml/domain_priv.h"
#include "xml/domain_values.h"
#include "xml/writer.h"

struct format {
    struct xml_writer w;
    bool live;
};

static const char *switch_name(const struct xml_value *values, enum domain_switch value)
{
    return value == DOMAIN_SWITCH_ABSENT ? NULL : xml_value_name(values, (int)value);
}

static void format_number(struct format *f, const char *name, uint64_t number,
                          const char *attribute, const char *value)
{
    char text[32];

    g_snprintf(text, sizeof(text), "%" G_GUINT64_FORMAT, number);
    xml_text_element(&f->w, name, text, attribute, value, NULL);
}

static void format_ids(struct format *f, const domain_def *def)
{
    char uuid[DOMAIN_UUID_TEXT];

    domain_uuid_format(def->uuid, uuid);
    xml_text_element(&f->w, "name", def->name, NULL);
    xml_text_element(&f->w, "uuid", uuid, NULL);
    if (def->title)
        xml_text_element(&f->w, "title", def->title, NULL);
    if (def->description)
        xml_text_element(&f->w, "description", def->description, NULL);
    if (def->metadata)
        xml_raw(&f->w, def->metadata);
}

static void format_sizes(struct format *f, const domain_def *def)
{
    char current[16];

    g_snprintf(current, sizeof(current), "%u", def->vcpus);
    format_number(f, "memory", def->memory_kib, "unit", "KiB");
    format_number(f, "currentMemory", def->current_memory_kib, "unit", "KiB");
    g_autofree char *max = g_strdup_printf("%u", def->max_vcpus);

    xml_text_element(&f->w, "vcpu", max, "placement", "static", "current",
                     def->vcpus != def->max_vcpus ? current : NULL, NULL);
}

static void format_os(struct format *f, const struct domain_os *os)
{
    xml_open(&f->w, "os", NULL);
    xml_text_element(&f->w, "type", "hvm", "arch", os->arch, "machine", os->machine, NULL);
    xml_text_element(&f->w, "kernel", os->kernel, NULL);
    if (os->initrd)
        xml_text_element(&f->w, "initrd", os->initrd, NULL);
    if (os->cmdline)
        xml_text_element(&f->w, "cmdline", os->cmdline, NULL);
    for (unsigned i = 0; i < os->boot_count; i++)
        xml_empty(&f->w, "boot", "dev", xml_value_name(domain_boot_values, (int)os->boot[i]), NULL);
    xml_close(&f->w, "os");
}

static void format_features(struct format *f, const enum domain_switch *features)
{
    if (!features[DOMAIN_FEATURE_ACPI] && !features[DOMAIN_FEATURE_APIC] &&
        !features[DOMAIN_FEATURE_PAE] && !features[DOMAIN_FEATURE_VMPORT])
        return;
    xml_open(&f->w, "features", NULL);
    if (features[DOMAIN_FEATURE_ACPI])
        xml_empty(&f->w, "acpi", NULL);
    if (features[DOMAIN_FEATURE_APIC])
        xml_empty(&f->w, "apic", NULL);
    if (features[DOMAIN_FEATURE_PAE])
        xml_empty(&f->w, "pae", NULL);
    if (features[DOMAIN_FEATURE_VMPORT])
        xml_empty(&f->w, "vmport", "state",
                  switch_name(domain_switch_values, features[DOMAIN_FEATURE_VMPORT]), NULL);
    xml_close(&f->w, "features");
}

static void format_cpu(struct format *f, const domain_def *def)
{
    if (def->cpu.mode == DOMAIN_CPU_ABSENT)
        return;
    xml_empty(&f->w, "cpu", "mode", xml_value_name(domain_cpu_values, (int)def->cpu.mode), "check",
              def->cpu.check ? xml_value_name(domain_cpu_check_values, (int)def->cpu.check) : NULL,
              "migratable", switch_name(domain_switch_values, def->cpu.migratable), NULL);
}

static void format_clock(struct format *f, const domain_def *def)
{
    const char *offset = xml_value_name(domain_clock_values, 0);

    if (!def->clock.timers[DOMAIN_TIMER_HPET].given) {
        xml_empty(&f->w, "clock", "offset", offset, NULL);
        return;
    }
    xml_open(&f->w, "clock", "offset", offset, NULL);
    xml_empty(&f->w, "timer", "name", "hpet", "present", "no", NULL);
    xml_close(&f->w, "clock");
}

static void format_events(struct format *f, const domain_def *def)
{
    xml_text_element(&f->w, "on_poweroff",
                     xml_value_name(domain_poweroff_values, (int)def->on_poweroff), NULL);
    xml_text_element(&f->w, "on_reboot", xml_value_name(domain_reboot_values, (int)def->on_reboot),
                     NULL);
    xml_text_element(&f->w, "on_crash", xml_value_name(domain_crash_values, (int)def->on_crash),
                     NULL);
}

static void format_pm(struct format *f, const domain_def *def)
{
    if (!def->suspend_to_mem && !def->suspend_to_disk)
        return;
    xml_open(&f->w, "pm", NULL);
    if (def->suspend_to_mem)
        xml_empty(&f->w, "suspend-to-mem", "enabled",
                  switch_name(domain_yes_no_values, def->suspend_to_mem), NULL);
    if (def->suspend_to_disk)
        xml_empty(&f->w, "suspend-to-disk", "enabled",
                  switch_name(domain_yes_no_values, def->suspend_to_disk), NULL);
    xml_close(&f->w, "pm");
}

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
static void format_info(struct format *f, const struct domain_device_info *info)
{
    if (info->boot_order) {
        g_autofree char *order = g_strdup_printf("%u", info->boot_order);

        xml_empty(&f->w, "boot", "order", order, NULL);
    }
    format_alias(f, info);
    if (f->live || info->mmio_address)
        xml_empty(&f->w, "address", "type", "virtio-mmio", NULL);
}

static void format_disk(struct format *f, const struct domain_disk *disk)
{
    bool is_file = disk->type == DOMAIN_DISK_FILE;

    xml_open(&f->w, "disk", "type", xml_value_name(domain_disk_type_values, (int)disk->type),
             "device", "disk", NULL);
    xml_empty(&f->w, "driver", "name", disk->driver_name, "type", "raw", "cache",
              disk->cache ? xml_value_name(domain_cache_values, (int)disk->cache) : NULL, "discard",
              disk->discard == DOMAIN_DISK_DISCARD_IGNORE ? "ignore" : NULL, NULL);
    xml_empty(&f->w, "source", is_file ? "file" : "dev", disk->source, NULL);
    xml_empty(&f->w, "target", "dev", disk->target, "bus", "virtio", NULL);
    if (disk->readonly)
        xml_empty(&f->w, "readonly", NULL);
    if (disk->shareable)
        xml_empty(&f->w, "shareable", NULL);
    if (disk->serial)
        xml_text_element(&f->w, "serial", disk->serial, NULL);
    format_info(f, &disk->info);
    xml_close(&f->w, "disk");
}

static void format_net(struct format *f, const struct domain_net *net)
{
    char mac[18];

    domain_mac_format(net->mac, mac);
    xml_open(&f->w, "interface", "type", xml_value_name(domain_net_type_values, (int)net->type),
             NULL);
    xml_empty(&f->w, "mac", "address", mac, NULL);
    if (net->type == DOMAIN_NET_BRIDGE)
        xml_empty(&f->w, "source", "bridge", net->bridge, NULL);
    if (net->target && (f->live || domain_net_target_is_users(net)))
        xml_empty(&f->w, "target", "dev", net->target, "managed",
                  switch_name(domain_yes_no_values, net->managed), NULL);
    xml_empty(&f->w, "model", "type", "virtio", NULL);
    if (net->link == DOMAIN_NET_LINK_UP)
        xml_empty(&f->w, "link", "state", "up", NULL);
    format_info(f, &net->info);
    xml_close(&f->w, "interface");
}

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
                  switch_name(domain_switch_values, source->append), NULL);
        break;
    case DOMAIN_CHARDEV_UNIX:
        xml_empty(&f->w, "source", "mode", "bind", "path", source->path, NULL);
        break;
    }
}

static void format_serial(struct format *f, const struct domain_serial *serial)
{
    xml_open(&f->w, "serial", "type",
             xml_value_name(domain_chardev_values, (int)serial->source.type), NULL);
    format_source(f, &serial->source);
    xml_open(&f->w, "target", "type", "isa-serial", "port", "0", NULL);
    xml_empty(&f->w, "model", "name", "isa-serial", NULL);
    xml_close(&f->w, "target");
    format_alias(f, &serial->info);
    xml_close(&f->w, "serial");
}

static void format_console(struct format *f, const struct domain_chardev *source,
                           const struct domain_device_info *info, unsigned port, bool is_virtio)
{
    char number[16];

    g_snprintf(number, sizeof(number), "%u", port);
    xml_open(&f->w, "console", "type", xml_value_name(domain_chardev_values, (int)source->type),
             "tty", pty_path(f, source), NULL);
    format_source(f, source);
    xml_empty(&f->w, "target", "type", is_virtio ? "virtio" : "serial", "port", number, NULL);
    if (is_virtio)
        format_info(f, info);
    else
        format_alias(f, info);
    xml_close(&f->w, "console");
}

static void format_consoles(struct format *f, const domain_def *def)
{
    unsigned port = 0;

    for (; port < def->serials->len; port++) {
        const struct domain_serial *serial = domain_serial_at(def, port);

        format_console(f, &serial->source, &serial->info, port, false);
    }
    for (guint i = 0; i < def->consoles->len; i++) {
        const struct domain_console *console = domain_console_at(def, i);

        format_console(f, &console->source, &console->info, port + i, true);
    }
}

static void format_rng(struct format *f, const struct domain_rng *rng)
{
    xml_open(&f->w, "rng", "model", "virtio", NULL);
    xml_text_element(&f->w, "backend", rng->source, "model", "random", NULL);
    format_info(f, &rng->info);
    xml_close(&f->w, "rng");
}

static void format_devices(struct format *f, const domain_def *def)
{
    xml_open(&f->w, "devices", NULL);
    if (def->emulator)
        xml_text_element(&f->w, "emulator", def->emulator, NULL);
    for (guint i = 0; i < def->disks->len; i++)
        format_disk(f, domain_disk_at(def, i));
    if (def->usb_none)
        xml_empty(&f->w, "controller", "type", "usb", "index", "0", "model", "none", NULL);
    for (guint i = 0; i < def->nets->len; i++)
        format_net(f, domain_net_at(def, i));
    for (guint i = 0; i < def->serials->len; i++)
        format_serial(f, domain_serial_at(def, i));
    format_consoles(f, def);
    xml_empty(&f->w, "memballoon", "model", "none", NULL);
    for (guint i = 0; i < def->rngs->len; i++)
        format_rng(f, domain_rng_at(def, i));
    xml_close(&f->w, "devices");
}

char *domain_def_format(const domain_def *def, unsigned flags)
{
    struct format f = {.live = def->id > 0 && !(flags & VIR_DOMAIN_XML_INACTIVE)};
    g_autofree char *id = f.live ? g_strdup_printf("%d", def->id) : NULL;

    xml_writer_init(&f.w);
    xml_open(&f.w, "domain", "type", "kvm", "id", id, NULL);
    format_ids(&f, def);
    format_sizes(&f, def);
    format_os(&f, &def->os);
    format_features(&f, def->features);
    format_cpu(&f, def);
    format_clock(&f, def);
    format_events(&f, def);
    format_pm(&f, def);
    format_devices(&f, def);
    if (def->seclabel_none)
        xml_empty(&f.w, "seclabel", "type", "none", NULL);
    xml_close(&f.w, "domain");
    return xml_writer_finish(&f.w);
}
