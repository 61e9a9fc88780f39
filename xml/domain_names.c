/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What things are called: UUIDs, MAC addresses, disks, taps, sockets, aliases. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "xml/domain_priv.h"

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
    for (unsigned i = 0; i < def->channels->len; i++)
        assign_alias(&domain_channel_at(def, i)->info, "channel", i);
    for (unsigned i = 0; i < def->rngs->len; i++)
        assign_alias(&domain_rng_at(def, i)->info, "rng", i);
    for (unsigned i = 0; i < def->vsocks->len; i++)
        assign_alias(&domain_vsock_at(def, i)->info, "vsock", i);
    for (unsigned i = 0; i < def->panics->len; i++)
        assign_alias(&domain_panic_at(def, i)->info, "panic", i);
    if (!def->memballoon.none)
        assign_alias(&def->memballoon.info, "balloon", 0);
    if (domain_has_virtio_serial(def))
        assign_alias(&def->virtio_serial_info, "virtio-serial", 0);
}

bool domain_has_virtio_serial(const domain_def *def)
{
    return def->virtio_serial || def->consoles->len || def->channels->len;
}

bool domain_net_target_is_users(const struct domain_net *net)
{
    /* With managed='no' the tap exists before the domain does, whatever it is called. */
    return net->managed == DOMAIN_SWITCH_OFF ||
           !(g_str_has_prefix(net->target, "vnet") || g_str_has_prefix(net->target, "macvtap"));
}

#define CHANNEL_DIR   "/channel/target/domain-"
#define NAME_PART_MAX 20 /* characters of the domain's name: a socket's path is short */

char *domain_channel_make_path(const char *dir, const domain_def *def,
                               const struct domain_channel *channel)
{
    g_autofree char *valid = g_utf8_make_valid(def->name, -1);
    g_autofree char *part = NULL;

    if (g_utf8_strlen(valid, -1) > NAME_PART_MAX)
        part = g_utf8_substring(valid, 0, NAME_PART_MAX);
    return g_strdup_printf("%s" CHANNEL_DIR "%d-%s/%s", dir, def->id, part ? part : valid,
                           channel->name);
}

bool domain_channel_path_is_users(const struct domain_channel *channel)
{
    const char *made = channel->source.path ? strstr(channel->source.path, CHANNEL_DIR) : NULL;
    const char *name = made ? strchr(made + strlen(CHANNEL_DIR), '/') : NULL;

    return channel->source.type != DOMAIN_CHARDEV_UNIX ||
           (channel->source.path && !(name && strcmp(name + 1, channel->name) == 0));
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
