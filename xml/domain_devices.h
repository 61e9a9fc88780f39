/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the readers of <devices> share. */
#ifndef VOLE_XML_DOMAIN_DEVICES_H
#define VOLE_XML_DOMAIN_DEVICES_H

#include "xml/domain_priv.h"

typedef struct domain_disk domain_disk;
typedef struct domain_net domain_net;
typedef struct domain_serial domain_serial;
typedef struct domain_console domain_console;
typedef struct domain_channel domain_channel;
typedef struct domain_rng domain_rng;
typedef struct domain_vsock domain_vsock;
typedef struct domain_panic domain_panic;
typedef struct parsed_chardev parsed_chardev;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(domain_disk, domain_disk_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(domain_net, domain_net_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(domain_serial, domain_serial_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(domain_console, domain_console_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(domain_channel, domain_channel_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(domain_rng, domain_rng_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(domain_vsock, domain_vsock_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(domain_panic, domain_panic_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(parsed_chardev, parsed_chardev_free)

/* The target of the handlers of a device's children: the device that is being read. */
struct device_parser {
    bool live; /* DOMAIN_PARSE_LIVE */
    struct domain_device_info *info;
    union {
        struct domain_disk *disk;
        struct domain_net *net;
        struct domain_rng *rng;
        struct domain_memballoon *memballoon;
        struct domain_vsock *vsock;
        struct parsed_chardev *chardev;
    };
    bool has_mac;
};

/* Devices of which a definition has an array. */
enum domain_device_kind {
    DOMAIN_DEVICE_DISK = 0,
    DOMAIN_DEVICE_NET,
    DOMAIN_DEVICE_SERIAL,
    DOMAIN_DEVICE_CONSOLE,
    DOMAIN_DEVICE_CHANNEL,
    DOMAIN_DEVICE_RNG,
    DOMAIN_DEVICE_VSOCK,
    DOMAIN_DEVICE_PANIC,
    DOMAIN_DEVICE_KINDS,
};

GPtrArray *domain_devices(const domain_def *def, enum domain_device_kind kind);
const struct domain_device_info *domain_device_info_at(const domain_def *def,
                                                       enum domain_device_kind kind, guint index);
/* Whether it is the name of a device's element, understood or not. */
bool domain_is_device(const char *element);

/* All that an address may have on some bus; only virtio-mmio, which has none, is accepted. */
#define DOMAIN_ADDRESS_ATTRIBUTES                                                             \
    "type domain bus slot function multifunction controller unit target port reg cssid ssid " \
    "devno "                                                                                  \
    "iobase irq base"

#define DOMAIN_NO_SOUND "a microVM has no sound"

#define DOMAIN_WORD_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

/* Handlers of children that several devices have. */
bool domain_read_alias(xmlNode *node, void *device_parser, GError **error);
bool domain_read_address(xmlNode *node, void *device_parser, GError **error);

bool domain_read_vlan(xmlNode *node, void *device_parser, GError **error);
bool domain_read_net_port(xmlNode *node, void *device_parser, GError **error);
bool domain_read_net_backend(xmlNode *node, void *device_parser, GError **error);
bool domain_read_net_ip(xmlNode *node, void *device_parser, GError **error);
bool domain_read_port_forward(xmlNode *node, void *device_parser, GError **error);
/* VIR_ERR_CONFIG_UNSUPPORTED for what the kernel would not take as an interface's name. */
bool domain_check_ifname(xmlNode *node, const char *attribute, const char *name, GError **error);
bool domain_read_iotune(xmlNode *node, void *device_parser, GError **error);
bool domain_read_boot_order(xmlNode *node, void *device_parser, GError **error);

/* Handlers of devices. */
bool domain_read_disk(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_interface(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_serial(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_console(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_channel(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_rng(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_memballoon(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_vsock(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_panic(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_controller(xmlNode *node, void *domain_parser, GError **error);
/* Handlers of devices that are accepted and left out (domain_dropped.c). */
bool domain_read_graphics(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_video(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_input(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_sound(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_redirdev(xmlNode *node, void *domain_parser, GError **error);
/* <channel type='spicevmc'>, by which a guest's agent reaches a display. */
bool domain_read_display_agent(xmlNode *node, GError **error);
/* When all are read: disks that were named for another bus get a virtio disk's name. */
void domain_place_disks(struct domain_parser *parser);
/* When all are read: which console is which port's. */
bool domain_pair_consoles(struct domain_parser *parser, GError **error);

#endif
