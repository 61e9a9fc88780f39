/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any driver of the block device: chains of all shapes, bytes written anywhere into the rings and
 * the rest of guest memory while requests are under way, doorbells, resets, pauses, and a file that
 * gets shorter. What must hold: whenever the device stands still, it keeps no more chains than it
 * has requests for (those that it parked until it goes on), unless it says that it needs a reset;
 * and after a reset, which drops what is parked, it serves a request.
 *
 * Bytes are read off the input one after the other: first an action, then what it needs.
 */
#include <linux/virtio_blk.h>
#include <stdint.h>
#include <sys/mman.h>

#include "tests/fuzz/input.h"
#include "tests/unit/virtio-driver.h"
#include "vmm/backend/disk.h"
#include "vmm/virtio/devices.h"

#define SIZE   (64 * KiB)
#define QUEUES 2
#define RING   (UINT64_C(3) * 4096) /* what of a queue's place its three parts use */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One device for all inputs: what it keeps from one to the next is part of the test. */
struct bench {
    struct driver driver;
    struct disk *disk;
    int image;
};

static struct bench *get_bench(void)
{
    static struct bench bench;
    struct bench *b = &bench;
    struct virtio_blk_options options = {.serial = "fuzz", .queues = QUEUES};
    struct disk_options disk_options = {.discard = true, .engine = DISK_ENGINE_THREADS};
    struct virtio_device *dev;
    struct error err;
    char spec[32];

    if (b->disk)
        return b;
    b->image = memfd_create("image", MFD_CLOEXEC);
    require(b->image >= 0 && ftruncate(b->image, SIZE) == 0);
    snprintf(spec, sizeof(spec), "fd:%d", dup(b->image));
    disk_options.source = spec;
    b->disk = disk_open(&disk_options, &err);
    require(b->disk != NULL);
    driver_init(&b->driver);
    dev = virtio_blk_new("disk0", &b->driver.mem, b->disk, &options, &err);
    require(dev != NULL);
    driver_attach(&b->driver, dev);
    /* What a guest may provoke in the log is not of interest here. */
    dev->complaints = UINT32_MAX / 2;
    return b;
}

/* ---- reading the input ---- */

/* Small mostly, and from all of 64 bits at times. */
static uint64_t next_number(struct input *in)
{
    uint8_t kind = next8(in);
    uint64_t value = next16(in);

    if (kind < 0xc0)
        return value % 160; /* the disk has 128 sectors */
    return kind & 1 ? value << (kind % 49) : UINT64_MAX - (value << (kind % 49));
}

/* ---- what a driver does ---- */

static void start(struct bench *b, struct input *in)
{
    uint64_t features = (uint64_t)next16(in) | (uint64_t)next16(in) << 16;

    driver_reset(&b->driver);
    driver_start(&b->driver, features, QUEUES);
}

static void add_chain(struct bench *b, struct input *in)
{
    static const uint32_t types[] = {
        VIRTIO_BLK_T_IN,     VIRTIO_BLK_T_OUT,     VIRTIO_BLK_T_FLUSH,
        VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
    };
    struct driver *d = &b->driver;
    uint8_t what = next8(in);
    uint64_t at = DRIVER_DATA + next16(in);
    struct driver_buffer buffers[8];
    unsigned count = 1 + next8(in) % 8;
    struct virtio_blk_outhdr header = {
        .type = what < 250 ? types[what % ARRAY_SIZE(types)] : next16(in),
        .sector = next_number(in),
    };
    struct virtio_blk_discard_write_zeroes range = {
        .sector = next_number(in),
        .num_sectors = (uint32_t)next_number(in),
        .flags = next8(in) % 4,
    };

    memory_write(&d->mem, at, &header, sizeof(header));
    memory_write(&d->mem, at + sizeof(header), &range, sizeof(range));
    buffers[0] = (struct driver_buffer){at, sizeof(header), false};
    for (unsigned i = 1; i < count; i++) {
        uint8_t kind = next8(in);
        uint32_t len = kind & 1 ? next8(in) : 512u * (next8(in) % 8);

        buffers[i] = (struct driver_buffer){at + (kind & 0xf0u), len, kind & 2};
    }
    if (!(what & 0x80)) /* as it should be: the last one is the status */
        buffers[count - 1] = (struct driver_buffer){at + 512, 1, true};
    driver_add(d, what & 1, buffers, count);
}

static void poke(struct bench *b, struct input *in)
{
    uint64_t at = next16(in) % (QUEUES * RING);
    uint8_t bytes[16];
    size_t len = 1 + next8(in) % sizeof(bytes);

    /* Mostly into the rings: each has its parts in the first pages of its own place. */
    at = DRIVER_RING_SIZE * (1 + at / RING) + at % RING;
    for (size_t i = 0; i < len; i++)
        bytes[i] = next8(in);
    memory_write(&b->driver.mem, at, bytes, len);
}

static void stand_still(struct bench *b)
{
    const struct virtio_device *dev = b->driver.dev;

    virtio_device_pause(b->driver.dev);
    if (!(virtio_device_status(dev) & VIRTIO_CONFIG_S_NEEDS_RESET))
        for (unsigned i = 0; i < QUEUES; i++)
            require((uint16_t)(dev->queues[i].next_avail - dev->queues[i].next_used) <=
                    VIRTQ_MAX_SIZE);
    virtio_device_resume(b->driver.dev);
}

static void set_limits(struct bench *b, struct input *in)
{
    struct throttle_limits limits = {.iops_size = 0};

    limits.bucket[next8(in) % THROTTLE_BUCKETS].avg = next8(in) % 4 ? 0 : next16(in);
    if (!throttle_check(&limits))
        virtio_blk_set_limits(b->driver.dev, &limits);
}

static void step(struct bench *b, struct input *in)
{
    switch (next8(in) % 16) {
    case 0:
        start(b, in);
        break;
    case 1:
        poke(b, in);
        break;
    case 2:
        stand_still(b);
        break;
    case 3:
        set_limits(b, in);
        break;
    case 4:
        virtio_device_write_config(b->driver.dev, next8(in), next16(in), 1u << next8(in) % 4);
        break;
    case 5:
        require(ftruncate(b->image, next8(in) % 2 ? SIZE : SIZE / 2) == 0);
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        driver_kick(&b->driver, next8(in) % QUEUES);
        break;
    default:
        add_chain(b, in);
        break;
    }
}

/* Whatever was before. */
static void check_that_it_serves(struct bench *b)
{
    struct driver *d = &b->driver;
    struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_IN};
    const struct driver_buffer buffers[] = {
        {DRIVER_DATA, sizeof(header), false},
        {DRIVER_DATA + 4096, 512, true},
        {DRIVER_DATA + 8192, 1, true},
    };

    require(ftruncate(b->image, SIZE) == 0);
    virtio_blk_set_limits(d->dev, &(struct throttle_limits){.iops_size = 0});
    driver_reset(d);
    driver_start(d, 0, QUEUES);
    memory_write(&d->mem, DRIVER_DATA, &header, sizeof(header));
    driver_add(d, 0, buffers, ARRAY_SIZE(buffers));
    driver_kick(d, 0);
    require(driver_wait_used(d, 0, 1));
    require(*(uint8_t *)driver_ptr(d, DRIVER_DATA + 8192) == VIRTIO_BLK_S_OK);
    require(disk_size(b->disk) == SIZE);
    driver_reset(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bench *b = get_bench();
    struct input in = {data, size};

    start(b, &in);
    while (in.left > 0)
        step(b, &in);
    stand_still(b);
    check_that_it_serves(b);
    return 0;
}
