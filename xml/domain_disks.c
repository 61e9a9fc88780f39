/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <disk>. A microVM has virtio disks only. What is a disk on another bus becomes one; so does a
 * CD-ROM, as a disk that cannot be written to, by which a guest finds what is on it all the same
 * (cloud-init looks for its seed by the file system's label). A drive without a CD-ROM is nothing:
 * tools leave one behind when they take the CD-ROM out, and a guest misses none.
 */
#include <string.h>

#include "xml/domain_devices.h"
#include "xml/domain_values.h"

#define DISK_SERIAL_CHARS DOMAIN_WORD_CHARS " .+"
#define DISK_SERIAL_MAX   20

static bool read_disk_driver(xmlNode *node, void *target, GError **error)
{
    struct domain_disk *disk = ((struct device_parser *)target)->disk;
    g_autofree char *name = xml_attribute(node, "name");
    g_autofree char *type = xml_attribute(node, "type");
    int cache = DOMAIN_DISK_CACHE_ABSENT;
    int io = DOMAIN_DISK_IO_ABSENT;
    int discard = DOMAIN_DISK_DISCARD_ABSENT;

    if (name && strcmp(name, "qemu") != 0)
        return xml_refuse_attribute(error, node, "name", "the driver's name is 'qemu' or absent");
    if (type && strcmp(type, "raw") != 0)
        return xml_refuse_attribute(error, node, "type",
                                    "disk images are raw (qemu-img convert -O raw makes them so)");
    if (!xml_enum_attribute(node, "cache", domain_cache_values, &cache, error) ||
        !xml_enum_attribute(node, "io", domain_disk_io_values, &io, error) ||
        !xml_enum_attribute(node, "discard", domain_discard_values, &discard, error) ||
        !xml_ranged_attribute(node, "queues", 1, DOMAIN_MAX_QUEUES, &disk->queues, error) ||
        !xml_ranged_attribute(node, "iothread", 1, G_MAXUINT, &disk->iothread, error) ||
        !domain_read_facts(node, &disk->facts, error))
        return false;
    disk->driver_name = g_steal_pointer(&name);
    disk->cache = (enum domain_disk_cache)cache;
    disk->io = (enum domain_disk_io)io;
    disk->discard = (enum domain_disk_discard)discard;
    return true;
}

static bool read_volume(xmlNode *node, struct domain_disk *disk, GError **error)
{
    if (!xml_check_attributes(node, "pool volume index", error))
        return false;
    disk->pool = xml_attribute(node, "pool");
    disk->volume = xml_attribute(node, "volume");
    if (!disk->pool || !disk->volume)
        return xml_invalid(error, node, "a volume has the attributes 'pool' and 'volume'");
    return true;
}

static bool read_disk_source(xmlNode *node, void *target, GError **error)
{
    struct device_parser *parser = target;
    struct domain_disk *disk = parser->disk;
    const char *wanted = disk->type == DOMAIN_DISK_FILE ? "file" : "dev";
    const char *allowed = disk->type == DOMAIN_DISK_FILE ? "file index" : "dev index";

    if (disk->type == DOMAIN_DISK_VOLUME)
        return read_volume(node, disk, error);
    if (!xml_check_attributes(node, allowed, error))
        return false;
    disk->source = xml_attribute(node, wanted);
    return !disk->source || domain_check_path(node, disk->source, error);
}

/* What a person knows its source by. */
static const char *source_name(const struct domain_disk *disk)
{
    return disk->source ? disk->source : disk->volume;
}

/* What a disk of another bus would be called as virtio disk: sdb is vdb. NULL for what is no name
 * of a disk. */
static char *virtio_name(const char *dev)
{
    static const char *const prefixes[] = {"vd", "hd", "sd", "xvd"};

    for (unsigned i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        g_autofree char *name = NULL;

        if (!g_str_has_prefix(dev, prefixes[i]))
            continue;
        name = g_strconcat("vd", dev + strlen(prefixes[i]), NULL);
        return domain_disk_index(name) < 0 ? NULL : g_steal_pointer(&name);
    }
    return NULL;
}

static bool read_disk_target(xmlNode *node, void *target, GError **error)
{
    /* Buses that a microVM does not have; the disk is what counts. */
    static const char *const mapped[] = {"virtio", "ide", "sata", "scsi", "usb", "sd", NULL};
    struct device_parser *parser = target;
    g_autofree char *bus = xml_attribute(node, "bus");
    g_autofree char *dev = xml_attribute(node, "dev");
    g_autofree char *name = dev ? virtio_name(dev) : NULL;

    if (bus && !g_strv_contains(mapped, bus))
        return xml_refuse_attribute(error, node, "bus", "a microVM's disks are virtio");
    if (dev && !name)
        return xml_refuse_attribute(error, node, "dev", "a virtio disk is named vda, vdb ...");
    parser->disk->target = g_steal_pointer(&dev);
    return true;
}

/* A place on a bus is nothing that a mapped disk could have. */
static bool read_disk_address(xmlNode *node, void *target, GError **error)
{
    g_autofree char *type = xml_attribute(node, "type");

    if (g_strcmp0(type, "drive") == 0)
        return xml_check_attributes(node, "type controller bus target unit", error);
    return domain_read_address(node, target, error);
}

static bool read_disk_readonly(xmlNode *node, void *target, GError **error)
{
    ((struct device_parser *)target)->disk->readonly = true;
    return true;
}

static bool read_disk_shareable(xmlNode *node, void *target, GError **error)
{
    ((struct device_parser *)target)->disk->shareable = true;
    return true;
}

static bool read_disk_serial(xmlNode *node, void *target, GError **error)
{
    struct domain_disk *disk = ((struct device_parser *)target)->disk;

    disk->serial = xml_text(node);
    if (!disk->serial)
        return true;
    if (disk->serial[strspn(disk->serial, DISK_SERIAL_CHARS)] != '\0')
        return xml_refuse(error, node, "the serial contains unsafe characters");
    if (strlen(disk->serial) > DISK_SERIAL_MAX)
        return xml_refuse(error, node, "a guest sees at most %d characters of a serial",
                          DISK_SERIAL_MAX);
    return true;
}

/* A raw image has nothing beneath it, which is what an empty <backingStore/> says. */
static bool read_nothing(xmlNode *node, void *target, GError **error)
{
    return true;
}

#define ONLY_VIRTIO_BLK "virtio-blk has no such thing"
#define ONLY_RAW        "disk images are raw"

static const struct xml_element disk_elements[] = {
    {"driver",
     "name type cache io discard queues iothread ioeventfd event_idx copy_on_read detect_zeroes "
     "error_policy rerror_policy",
     XML_ONCE | XML_EMPTY, read_disk_driver},
    {"source", "file dev pool volume index", XML_ONCE | XML_EMPTY, read_disk_source},
    {"target", "dev bus", XML_ONCE | XML_EMPTY, read_disk_target},
    {"readonly", NULL, XML_ONCE | XML_EMPTY, read_disk_readonly},
    {"shareable", NULL, XML_ONCE | XML_EMPTY, read_disk_shareable},
    {"serial", NULL, XML_ONCE | XML_TEXT, read_disk_serial},
    {"iotune", NULL, XML_ONCE, domain_read_iotune},
    {"boot", "order", XML_ONCE | XML_EMPTY, domain_read_boot_order},
    {"alias", "name", XML_ONCE | XML_EMPTY, domain_read_alias},
    {"address", DOMAIN_ADDRESS_ATTRIBUTES, XML_ONCE | XML_EMPTY, read_disk_address},
    {"backingStore", NULL, XML_ONCE | XML_EMPTY, read_nothing},
    {"mirror", .refused = ONLY_RAW},
    {"encryption", .refused = ONLY_RAW},
    {"auth", .refused = "a disk is a file or a block device"},
    {"transient", .refused = "what is written to a disk stays written"},
    {"blockio", .refused = "block sizes cannot be chosen"},
    {"geometry", .refused = ONLY_VIRTIO_BLK},
    {"wwn", .refused = ONLY_VIRTIO_BLK},
    {"vendor", .refused = ONLY_VIRTIO_BLK},
    {"product", .refused = ONLY_VIRTIO_BLK},
    {},
};

static bool complete_disk(struct domain_disk *disk, bool is_sought, GError **error)
{
    if (!disk->target) {
        libvirt_error_set(error, VIR_ERR_NO_TARGET, "%s",
                          source_name(disk) ? source_name(disk) : "disk");
        return false;
    }
    if (!source_name(disk) && !is_sought) {
        libvirt_error_set(error, VIR_ERR_NO_SOURCE, "%s", disk->target);
        return false;
    }
    return true;
}

/* Names of other buses are compared as they are written: hda and sda are two disks. */
static bool check_name_free(const GPtrArray *disks, const struct domain_disk *disk, GError **error)
{
    for (guint i = 0; i < disks->len; i++) {
        const struct domain_disk *other = g_ptr_array_index(disks, i);

        if (strcmp(other->target, disk->target) != 0)
            continue;
        libvirt_error_set(error, VIR_ERR_XML_ERROR,
                          "target '%s' duplicated for disk sources '%s' and '%s'", disk->target,
                          source_name(other), source_name(disk));
        return false;
    }
    return true;
}

/* In the order of their names, which is the order in which a guest finds them. */
static void insert_disk(domain_def *def, struct domain_disk *disk)
{
    int index = domain_disk_index(disk->target);
    guint at = 0;

    while (at < def->disks->len && domain_disk_index(domain_disk_at(def, at)->target) < index)
        at++;
    g_ptr_array_insert(def->disks, (gint)at, disk);
}

static bool is_taken(const domain_def *def, const char *target)
{
    for (guint i = 0; i < def->disks->len; i++)
        if (strcmp(domain_disk_at(def, i)->target, target) == 0)
            return true;
    return false;
}

/* The first that nobody has; there are more names of one letter than disks. */
static char *free_name(const domain_def *def)
{
    char *name = g_strdup("vda");

    while (is_taken(def, name))
        name[2]++;
    return name;
}

G_STATIC_ASSERT(DOMAIN_MAX_DISKS <= 26);

/* One that no disk comes after. */
static char *last_name(const domain_def *def)
{
    const struct domain_disk *last =
        def->disks->len ? domain_disk_at(def, def->disks->len - 1) : NULL;
    int index = last ? domain_disk_index(last->target) + 1 : 0;

    if (index < 26)
        return g_strdup_printf("vd%c", 'a' + index);
    if (index < 26 + 26 * 26)
        return g_strdup_printf("vd%c%c", 'a' + index / 26 - 1, 'a' + index % 26);
    return free_name(def);
}

/* The first of `disks`, under that name. */
static void place_disk(domain_def *def, GPtrArray *disks, guint index, char *name)
{
    struct domain_disk *disk = g_ptr_array_steal_index(disks, index);

    g_free(disk->target);
    disk->target = name;
    insert_disk(def, disk);
}

/* Whoever can keeps the letter; only then are the others given new ones. Images of CD-ROMs come
 * last: a disk has the same name with one in the drive and without. */
void domain_place_disks(struct domain_parser *parser)
{
    domain_def *def = parser->def;
    GPtrArray *disks = parser->renamed_disks;

    for (guint i = 0; i < disks->len;) {
        const struct domain_disk *disk = g_ptr_array_index(disks, i);
        g_autofree char *name = virtio_name(disk->target);

        if (is_taken(def, name))
            i++;
        else
            place_disk(def, disks, i, g_steal_pointer(&name));
    }
    while (disks->len > 0)
        place_disk(def, disks, 0, free_name(def));
    while (parser->cdroms->len > 0)
        place_disk(def, parser->cdroms, 0, last_name(def));
}

/* Takes over a disk that is complete. One that comes to others has the letter it asks for or is
 * refused: it will be known by it. */
static bool join_disk(domain_def *def, struct domain_disk *disk, GError **error)
{
    g_autoptr(domain_disk) owned = disk;
    g_autofree char *name = virtio_name(disk->target);

    if (is_taken(def, name)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "target %s already exists", name);
        return false;
    }
    g_free(disk->target);
    disk->target = g_steal_pointer(&name);
    insert_disk(def, g_steal_pointer(&owned));
    return true;
}

enum disk_device { DISK_DEVICE_DISK = 0, DISK_DEVICE_CDROM };

static const struct xml_value disk_devices[] = {
    {"disk", DISK_DEVICE_DISK},
    {"cdrom", DISK_DEVICE_CDROM},
    {"floppy", 0, "a microVM has no floppy drive"},
    {"lun", 0, "SCSI commands are not passed through"},
    {},
};

/* The same as one of several, of which all are looked at before the last gets its name. */
static bool add_disk(struct domain_parser *parser, struct domain_disk *disk,
                     enum disk_device device, GError **error)
{
    g_autoptr(domain_disk) owned = disk;

    if (!check_name_free(parser->def->disks, disk, error) ||
        !check_name_free(parser->renamed_disks, disk, error) ||
        !check_name_free(parser->cdroms, disk, error))
        return false;
    if (device == DISK_DEVICE_CDROM)
        g_ptr_array_add(parser->cdroms, disk);
    else if (domain_disk_index(disk->target) < 0)
        g_ptr_array_add(parser->renamed_disks, disk);
    else
        insert_disk(parser->def, disk);
    g_steal_pointer(&owned);
    return true;
}

bool domain_read_disk(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;
    int type = DOMAIN_DISK_FILE;
    int kind = DISK_DEVICE_DISK;

    if (parser->def->disks->len + parser->renamed_disks->len + parser->cdroms->len ==
        DOMAIN_MAX_DISKS)
        return xml_refuse(error, node, "a microVM has at most %d disks", DOMAIN_MAX_DISKS);
    if (!xml_enum_attribute(node, "type", domain_disk_type_values, &type, error) ||
        !xml_enum_attribute(node, "device", disk_devices, &kind, error))
        return false;
    g_autoptr(domain_disk) disk = g_new0(struct domain_disk, 1);
    struct device_parser device = {.live = parser->live, .info = &disk->info, .disk = disk};

    disk->type = (enum domain_disk_type)type;
    if (!xml_read_children(node, disk_elements, &device, error))
        return false;
    if (kind == DISK_DEVICE_CDROM) {
        disk->readonly = true;
        if (disk->target && !source_name(disk) && !parser->joins)
            return true; /* an empty drive */
    }
    if (!complete_disk(disk, parser->is_sought, error))
        return false;
    if (parser->joins)
        return join_disk(parser->def, g_steal_pointer(&disk), error);
    return add_disk(parser, g_steal_pointer(&disk), (enum disk_device)kind, error);
}
