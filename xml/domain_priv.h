/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files behind xml/domain.h share. */
#ifndef VOLE_XML_DOMAIN_PRIV_H
#define VOLE_XML_DOMAIN_PRIV_H

#include "xml/domain.h"
#include "xml/reader.h"

/* The target of the handlers of <domain>'s children. */
typedef struct domain_parser domain_parser;
struct domain_parser {
    domain_def *def;
    bool live;      /* DOMAIN_PARSE_LIVE */
    bool joins;     /* one device comes to those that `def` has */
    bool is_sought; /* it is only to be found again: a disk needs no source */
    bool has_uuid;
    unsigned iothread_count;
    struct parsed_chardev *serial_console; /* the <console> that stands for the serial port */
    GPtrArray *renamed_disks; /* of struct domain_disk: named for another bus; no place yet */
    GPtrArray *cdroms;        /* the same: images of CD-ROMs */
};

void domain_parser_init(struct domain_parser *parser, domain_def *def);
void domain_parser_clear(struct domain_parser *parser);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(domain_parser, domain_parser_clear)

domain_def *domain_def_new(void);
void domain_disk_free(struct domain_disk *disk);
void domain_net_free(struct domain_net *net);
void domain_serial_free(struct domain_serial *serial);
void domain_console_free(struct domain_console *console);
void domain_channel_free(struct domain_channel *channel);
void domain_rng_free(struct domain_rng *rng);
void domain_vsock_free(struct domain_vsock *vsock);
void domain_panic_free(struct domain_panic *panic);
void domain_blkio_device_free(struct domain_blkio_device *device);

/* An alias that begins so is the user's; others are made when the domain starts. */
#define DOMAIN_USER_ALIAS "ua-"
/* False for a tap's name of the kind that is made when the domain starts. */
bool domain_net_target_is_users(const struct domain_net *net);
/* False for a socket's path of the kind that is made when the domain starts, and for none. */
bool domain_channel_path_is_users(const struct domain_channel *channel);
/* There is a device of which consoles and channels are ports. */
bool domain_has_virtio_serial(const domain_def *def);

/* "vdb" is 1; -1 for what is no virtio disk's name. */
int domain_disk_index(const char *target);
void domain_uuid_generate(uint8_t uuid[DOMAIN_UUID_BYTES]);
/* 52:54:00 and three random bytes. */
void domain_mac_generate(uint8_t mac[6]);

void parsed_chardev_free(struct parsed_chardev *chardev);

/* The port by which a guest tells that it panicked. */
#define DOMAIN_PANIC_PORT "0x505"

#define DOMAIN_NO_FIRMWARE "a microVM boots its kernel directly, without firmware"

/* Handlers of <domain>'s children; their target is a struct domain_parser. */
bool domain_read_os(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_features(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_cpu(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_cpu_node(xmlNode *node, struct domain_cpu *cpu, GError **error);
bool domain_read_clock(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_devices(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_max_memory(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_memory(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_current_memory(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_memory_backing(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_memtune(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_numatune(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_blkiotune(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_vcpu(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_iothreads(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_iothreadids(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_cputune(xmlNode *node, void *domain_parser, GError **error);
/* These are accepted in one form, and left out (domain_dropped.c). */
bool domain_read_sysinfo(xmlNode *node, void *domain_parser, GError **error);
bool domain_read_smbios(xmlNode *node, void *os, GError **error);

/* What can be said only when all has been read: defaults, and what has to fit together. */
bool domain_check_memory(domain_def *def, GError **error);
void domain_fill_iothreads(domain_def *def, unsigned count);
bool domain_check_vcpus(const domain_def *def, GError **error);
bool domain_check_devices(const domain_def *def, GError **error);
/* In KiB; 0 when the memory is not of huge pages. */
uint64_t domain_hugepage_kib(const domain_def *def);
bool domain_has_iothread(const domain_def *def, unsigned id);

/* An element whose text is an absolute path, into `*path`. */
bool domain_read_path(xmlNode *node, char **path, GError **error);
bool domain_check_path(xmlNode *node, const char *path, GError **error);

#endif
