/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/domain.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "xml/domain_priv.h"

void domain_chardev_clear(struct domain_chardev *source)
{
    g_clear_pointer(&source->path, g_free);
}

void domain_device_info_clear(struct domain_device_info *info)
{
    g_clear_pointer(&info->alias, g_free);
}

void domain_disk_free(struct domain_disk *disk)
{
    domain_device_info_clear(&disk->info);
    g_free(disk->driver_name);
    g_free(disk->source);
    g_free(disk->target);
    g_free(disk->serial);
    g_free(disk);
}

void domain_net_free(struct domain_net *net)
{
    domain_device_info_clear(&net->info);
    g_free(net->bridge);
    g_free(net->target);
    g_free(net);
}

void domain_serial_free(struct domain_serial *serial)
{
    domain_device_info_clear(&serial->info);
    domain_chardev_clear(&serial->source);
    g_free(serial);
}

void domain_console_free(struct domain_console *console)
{
    domain_device_info_clear(&console->info);
    domain_chardev_clear(&console->source);
    g_free(console);
}

void domain_rng_free(struct domain_rng *rng)
{
    domain_device_info_clear(&rng->info);
    g_free(rng->source);
    g_free(rng);
}

domain_def *domain_def_new(void)
{
    domain_def *def = g_new0(domain_def, 1);

    def->id = -1;
    def->max_vcpus = 1;
    def->vcpus = 1;
    def->on_reboot = DOMAIN_ACTION_RESTART;
    def->disks = g_ptr_array_new_with_free_func((GDestroyNotify)domain_disk_free);
    def->nets = g_ptr_array_new_with_free_func((GDestroyNotify)domain_net_free);
    def->serials = g_ptr_array_new_with_free_func((GDestroyNotify)domain_serial_free);
    def->consoles = g_ptr_array_new_with_free_func((GDestroyNotify)domain_console_free);
    def->rngs = g_ptr_array_new_with_free_func((GDestroyNotify)domain_rng_free);
    return def;
}

void domain_def_free(domain_def *def)
{
    if (!def)
        return;
    g_free(def->name);
    g_free(def->title);
    g_free(def->description);
    g_free(def->metadata);
    g_free(def->os.arch);
    g_free(def->os.machine);
    g_free(def->os.kernel);
    g_free(def->os.initrd);
    g_free(def->os.cmdline);
    g_free(def->emulator);
    g_ptr_array_unref(def->disks);
    g_ptr_array_unref(def->nets);
    g_ptr_array_unref(def->serials);
    g_ptr_array_unref(def->consoles);
    g_ptr_array_unref(def->rngs);
    g_free(def);
}

/*
 * The copies: members that are values come with the struct's assignment, those that are pointers
 * follow one by one. The tests copy every definition they know and compare the XML.
 */
static void *duplicate(const void *from, size_t size)
{
    return memcpy(g_malloc(size), from, size);
}

static void *copy_disk(const void *from, void *unused)
{
    struct domain_disk *disk = duplicate(from, sizeof(*disk));

    disk->info.alias = g_strdup(disk->info.alias);
    disk->driver_name = g_strdup(disk->driver_name);
    disk->source = g_strdup(disk->source);
    disk->target = g_strdup(disk->target);
    disk->serial = g_strdup(disk->serial);
    return disk;
}

static void *copy_net(const void *from, void *unused)
{
    struct domain_net *net = duplicate(from, sizeof(*net));

    net->info.alias = g_strdup(net->info.alias);
    net->bridge = g_strdup(net->bridge);
    net->target = g_strdup(net->target);
    return net;
}

static void *copy_serial(const void *from, void *unused)
{
    struct domain_serial *serial = duplicate(from, sizeof(*serial));

    serial->info.alias = g_strdup(serial->info.alias);
    serial->source.path = g_strdup(serial->source.path);
    return serial;
}

static void *copy_console(const void *from, void *unused)
{
    struct domain_console *console = duplicate(from, sizeof(*console));

    console->info.alias = g_strdup(console->info.alias);
    console->source.path = g_strdup(console->source.path);
    return console;
}

static void *copy_rng(const void *from, void *unused)
{
    struct domain_rng *rng = duplicate(from, sizeof(*rng));

    rng->info.alias = g_strdup(rng->info.alias);
    rng->source = g_strdup(rng->source);
    return rng;
}

domain_def *domain_def_copy(const domain_def *def)
{
    domain_def *copy = duplicate(def, sizeof(*def));

    copy->name = g_strdup(def->name);
    copy->title = g_strdup(def->title);
    copy->description = g_strdup(def->description);
    copy->metadata = g_strdup(def->metadata);
    copy->os.arch = g_strdup(def->os.arch);
    copy->os.machine = g_strdup(def->os.machine);
    copy->os.kernel = g_strdup(def->os.kernel);
    copy->os.initrd = g_strdup(def->os.initrd);
    copy->os.cmdline = g_strdup(def->os.cmdline);
    copy->emulator = g_strdup(def->emulator);
    /* g_ptr_array_copy() takes the free function along. */
    copy->disks = g_ptr_array_copy(def->disks, copy_disk, NULL);
    copy->nets = g_ptr_array_copy(def->nets, copy_net, NULL);
    copy->serials = g_ptr_array_copy(def->serials, copy_serial, NULL);
    copy->consoles = g_ptr_array_copy(def->consoles, copy_console, NULL);
    copy->rngs = g_ptr_array_copy(def->rngs, copy_rng, NULL);
    return copy;
}

static void assign_alias(struct domain_device_info *info, const char *kind, unsigned index)
{
    if (!info->alias)
        info->alias = g_strdup_printf("%s%u", kind, index);
}

void domain_def_assign_aliases(domain_def *def)
{
    for (unsigned i = 0; i < def->disks->len; i++) {
        struct domain_disk *disk = domain_disk_at(def, i);

        assign_alias(&disk->info, "virtio-disk", (unsigned)domain_disk_index(disk->target));
    }
    for (unsigned i = 0; i < def->nets->len; i++)
        assign_alias(&domain_net_at(def, i)->info, "net", i);
    for (unsigned i = 0; i < def->serials->len; i++)
        assign_alias(&domain_serial_at(def, i)->info, "serial", i);
    /* The serial port's console is number 0, where there is one. */
    for (unsigned i = 0; i < def->consoles->len; i++)
        assign_alias(&domain_console_at(def, i)->info, "console", i + def->serials->len);
    for (unsigned i = 0; i < def->rngs->len; i++)
        assign_alias(&domain_rng_at(def, i)->info, "rng", i);
}

bool domain_net_target_is_users(const struct domain_net *net)
{
    /* With managed='no' the tap exists before the domain does, whatever it is called. */
    return net->managed == DOMAIN_SWITCH_OFF || !g_str_has_prefix(net->target, "vnet");
}

int domain_disk_index(const char *target)
{
    int index = 0;

    if (!g_str_has_prefix(target, "vd") || !target[2] || strlen(target) > 4)
        return -1;
    for (const char *c = target + 2; *c; c++) {
        if (!g_ascii_islower(*c))
            return -1;
        index = index * 26 + (*c - 'a' + 1);
    }
    return index - 1;
}

void domain_uuid_format(const uint8_t uuid[DOMAIN_UUID_BYTES], char text[DOMAIN_UUID_TEXT])
{
    static const char hex[] = "0123456789abcdef";
    char *out = text;

    for (int i = 0; i < DOMAIN_UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = hex[uuid[i] >> 4];
        *out++ = hex[uuid[i] & 15];
    }
    *out = '\0';
}

bool domain_uuid_parse(const char *text, uint8_t uuid[DOMAIN_UUID_BYTES])
{
    while (g_ascii_isspace(*text))
        text++;
    for (int i = 0; i < DOMAIN_UUID_BYTES; text += 2, i++) {
        while (*text == '-' || *text == ' ')
            text++;
        if (!g_ascii_isxdigit(text[0]) || !g_ascii_isxdigit(text[1]))
            return false;
        uuid[i] = (uint8_t)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
    }
    while (g_ascii_isspace(*text))
        text++;
    return *text == '\0';
}

void domain_uuid_generate(uint8_t uuid[DOMAIN_UUID_BYTES])
{
    /* At most 256 bytes never fail and are never short once the kernel's pool is ready. */
    if (getrandom(uuid, DOMAIN_UUID_BYTES, 0) != DOMAIN_UUID_BYTES)
        g_error("getrandom: %s", g_strerror(errno));
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40); /* version 4, RFC 9562 */
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

void domain_mac_generate(uint8_t mac[6])
{
    mac[0] = 0x52;
    mac[1] = 0x54;
    mac[2] = 0x00;
    if (getrandom(mac + 3, 3, 0) != 3)
        g_error("getrandom: %s", g_strerror(errno));
}

void domain_mac_format(const uint8_t mac[6], char text[18])
{
    g_snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
               mac[5]);
}
