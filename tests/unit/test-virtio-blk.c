/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The block device as a driver sees it: each kind of request, several queues against a copy of the
 * disk in memory, rate limits, changes of size, pauses and resets with requests under way, and what
 * a driver must not do.
 */
#include "tests/unit/tap.h"
#include "tests/unit/virtio-driver.h"
#include "vmm/backend/disk.h"
#include "vmm/virtio/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <sys/stat.h>

#define SIZE    (1 * MiB)
#define SECTORS (SIZE / DISK_SECTOR)
#define QUEUES  3u
#define DEPTH   32u
#define SLOT    (32 * KiB) /* of guest memory, for a request: header, status, then data */
#define DATA    1024       /* in a slot */

#define FEATURES                                                                           \
    (VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) | VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD) |           \
     VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES) | VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE) | \
     VIRTIO_FEATURE(VIRTIO_BLK_F_MQ))

static char path[64];
static struct error err;
static struct driver driver;
static struct disk *disk;
static uint8_t model[SIZE];

/* ---- set up ---- */

static void make_image(void)
{
    int fd;

    snprintf(path, sizeof(path), "/tmp/vole-blk-XXXXXX");
    fd = mkstemp(path);
    for (size_t i = 0; i < SIZE; i++)
        model[i] = (uint8_t)(i / DISK_SECTOR + i);
    check(fd >= 0 && write_full(fd, model, SIZE) == 0);
    close(fd);
}

static void make_device(const struct disk_options *how, const struct virtio_blk_options *options)
{
    struct disk_options disk_options = *how;
    struct virtio_device *dev;

    make_image();
    disk_options.source = path;
    disk = disk_open(&disk_options, &err);
    driver_init(&driver);
    dev = disk ? virtio_blk_new("disk0", &driver.mem, disk, options, &err) : NULL;
    if (!dev) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    driver_attach(&driver, dev);
}

static void set_up(void)
{
    make_device(&(struct disk_options){.discard = true},
                &(struct virtio_blk_options){.serial = "a serial number", .queues = QUEUES});
}

static void read_back(void)
{
    static uint8_t image[SIZE];
    int fd = open(path, O_RDONLY);

    check(fd >= 0 && pread_full(fd, image, SIZE, 0) == 0);
    check(memcmp(image, model, SIZE) == 0);
    close(fd);
}

static void tear_down(void)
{
    driver_release(&driver);
    disk_close(disk);
    check_int(unlink(path), 0);
}

/* ---- requests ---- */

static uint64_t slot_gpa(unsigned queue, unsigned slot)
{
    return DRIVER_DATA + ((uint64_t)queue * DEPTH + slot) * SLOT;
}
_Static_assert(DRIVER_DATA + (uint64_t)QUEUES * DEPTH * SLOT <= DRIVER_RAM, "all slots are in RAM");

static uint8_t *slot_data(unsigned queue, unsigned slot)
{
    return driver_ptr(&driver, slot_gpa(queue, slot) + DATA);
}

static volatile uint8_t *slot_status(unsigned queue, unsigned slot)
{
    return driver_ptr(&driver, slot_gpa(queue, slot) + 512);
}

/* Header, data in up to three buffers, status: in the ring, not rung yet. */
static void add(unsigned queue, unsigned slot, uint32_t type, uint64_t sector, uint32_t len,
                bool to_driver)
{
    uint64_t gpa = slot_gpa(queue, slot);
    struct virtio_blk_outhdr header = {.type = type, .sector = sector};
    struct driver_buffer buffers[4] = {{gpa, sizeof(header), false}};
    unsigned n = 1;

    memory_write(&driver.mem, gpa, &header, sizeof(header));
    *slot_status(queue, slot) = 0xff;
    if (len > 700) { /* an odd place to cut */
        buffers[n++] = (struct driver_buffer){gpa + DATA, 700, to_driver};
        buffers[n++] = (struct driver_buffer){gpa + DATA + 700, len - 700, to_driver};
    } else if (len > 0) {
        buffers[n++] = (struct driver_buffer){gpa + DATA, len, to_driver};
    }
    buffers[n++] = (struct driver_buffer){gpa + 512, 1, true};
    driver_add(&driver, queue, buffers, n);
}

/* One request, to its end; what the device answered. */
static int do_request(uint32_t type, uint64_t sector, uint32_t len, bool to_driver)
{
    add(0, 0, type, sector, len, to_driver);
    driver_kick(&driver, 0);
    if (!check(driver_wait_used(&driver, 0, 1)))
        return -1;
    return *slot_status(0, 0);
}

static uint32_t used_len(unsigned queue)
{
    const struct driver_queue *q = &driver.queues[queue];

    return q->vring.used->ring[(uint16_t)(q->used - 1) % q->vring.num].len;
}

static int do_range(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    struct virtio_blk_discard_write_zeroes range = {sector, sectors, flags};

    memcpy(slot_data(0, 0), &range, sizeof(range));
    return do_request(type, 0, sizeof(range), false);
}

/* ---- what there is ---- */

static uint64_t config_of(size_t offset, unsigned len)
{
    return virtio_device_read_config(driver.dev, offset, len);
}
#define CONFIG(field)                                    \
    config_of(offsetof(struct virtio_blk_config, field), \
              sizeof(((struct virtio_blk_config *)0)->field))

static bool offers(unsigned feature)
{
    return driver.dev->offered & VIRTIO_FEATURE(feature);
}

static void test_configuration(void)
{
    set_up();
    check_int(CONFIG(capacity), SECTORS);
    check_int(CONFIG(seg_max), 126);
    check_int(CONFIG(blk_size), 512);
    check_int(CONFIG(physical_block_exp), 3);
    check_int(CONFIG(num_queues), QUEUES);
    check_int(CONFIG(wce), 1);
    check_int(CONFIG(max_discard_seg), 16);
    check_int(CONFIG(write_zeroes_may_unmap), 1);
    check(offers(VIRTIO_BLK_F_MQ) && offers(VIRTIO_BLK_F_DISCARD) && offers(VIRTIO_BLK_F_FLUSH) &&
          offers(VIRTIO_BLK_F_WRITE_ZEROES) && !offers(VIRTIO_BLK_F_RO));
    tear_down();
    make_device(&(struct disk_options){.readonly = true, .discard = true},
                &(struct virtio_blk_options){0});
    check(!offers(VIRTIO_BLK_F_MQ) && !offers(VIRTIO_BLK_F_DISCARD) &&
          !offers(VIRTIO_BLK_F_WRITE_ZEROES) && offers(VIRTIO_BLK_F_RO));
    check_int(CONFIG(num_queues), 1);
    tear_down();
    make_device(&(struct disk_options){0}, &(struct virtio_blk_options){0});
    check(!offers(VIRTIO_BLK_F_DISCARD) && offers(VIRTIO_BLK_F_WRITE_ZEROES));
    check_int(CONFIG(write_zeroes_may_unmap), 0);
    tear_down();
}

static void test_each_kind_of_request(void)
{
    char id[VIRTIO_BLK_ID_BYTES + 1] = "";

    set_up();
    driver_start(&driver, FEATURES, 1);
    check_int(do_request(VIRTIO_BLK_T_IN, 3, 1024, true), VIRTIO_BLK_S_OK);
    check(memcmp(slot_data(0, 0), model + 3 * DISK_SECTOR, 1024) == 0);
    check_int(used_len(0), 1025);
    memset(slot_data(0, 0), 0x77, 2048);
    memset(model + 512, 0x77, 2048);
    check_int(do_request(VIRTIO_BLK_T_OUT, 1, 2048, false), VIRTIO_BLK_S_OK);
    check_int(used_len(0), 1);
    check_int(do_request(VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
    check_int(do_request(VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES, true), VIRTIO_BLK_S_OK);
    memcpy(id, slot_data(0, 0), VIRTIO_BLK_ID_BYTES);
    check_str(id, "a serial number");
    check_int(do_range(VIRTIO_BLK_T_DISCARD, 16, 16, 0), VIRTIO_BLK_S_OK);
    check_int(do_range(VIRTIO_BLK_T_WRITE_ZEROES, 32, 1, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP),
              VIRTIO_BLK_S_OK);
    check_int(do_range(VIRTIO_BLK_T_WRITE_ZEROES, SECTORS - 1, 1, 0), VIRTIO_BLK_S_OK);
    check_int(do_range(VIRTIO_BLK_T_WRITE_ZEROES, SECTORS, 0, 0), VIRTIO_BLK_S_OK);
    memset(model + 16 * DISK_SECTOR, 0, (16 + 1) * DISK_SECTOR);
    memset(model + SIZE - 512, 0, 512);
    read_back();
    tear_down();
}

/* Header and status share buffers with the data, or are cut into bytes. */
static void test_any_framing(void)
{
    struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_OUT, .sector = 5};
    uint64_t gpa = DRIVER_DATA;
    struct driver_buffer cut[4 + 16];
    unsigned n = 0;

    set_up();
    driver_start(&driver, FEATURES, 1);
    memory_write(&driver.mem, gpa, &header, sizeof(header));
    memset(driver_ptr(&driver, gpa + sizeof(header)), 0x31, 512);
    memset(model + 5 * DISK_SECTOR, 0x31, 512);
    driver_add(&driver, 0,
               (struct driver_buffer[]){{gpa, sizeof(header) + 512, false},
                                        {gpa + 4096, 0, true},
                                        {gpa + 4096, 1, true},
                                        {gpa + 8192, 0, true}},
               4);
    driver_kick(&driver, 0);
    check(driver_wait_used(&driver, 0, 1));
    check_int(*(uint8_t *)driver_ptr(&driver, gpa + 4096), VIRTIO_BLK_S_OK);

    header = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN, .sector = 6};
    memory_write(&driver.mem, gpa, &header, sizeof(header));
    for (; n < sizeof(header); n++)
        cut[n] = (struct driver_buffer){gpa + n, 1, false};
    cut[n++] = (struct driver_buffer){gpa + 4096, 513, true}; /* data and status */
    *(uint8_t *)driver_ptr(&driver, gpa + 4096 + 512) = 0xff;
    driver_add(&driver, 0, cut, n);
    driver_kick(&driver, 0);
    check(driver_wait_used(&driver, 0, 1));
    check_int(*(uint8_t *)driver_ptr(&driver, gpa + 4096 + 512), VIRTIO_BLK_S_OK);
    check(memcmp(driver_ptr(&driver, gpa + 4096), model + 6 * DISK_SECTOR, 512) == 0);
    read_back();
    tear_down();
}

/* ---- several queues ---- */

struct traffic {
    uint32_t seed;
    uint32_t type[DEPTH];
    uint64_t sector[DEPTH];
    uint32_t sectors[DEPTH];
};

static uint32_t next_random(struct traffic *t)
{
    t->seed ^= t->seed << 13;
    t->seed ^= t->seed >> 17;
    t->seed ^= t->seed << 5;
    return t->seed;
}

static void submit_traffic(struct traffic *t, unsigned queue, unsigned slot)
{
    static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_WRITE_ZEROES,
                                     VIRTIO_BLK_T_DISCARD};
    uint64_t part = SECTORS / ((uint64_t)QUEUES * DEPTH);
    uint32_t type = types[next_random(t) % ARRAY_SIZE(types)];
    uint32_t len = 1 + next_random(t) % (uint32_t)part;
    uint64_t sector = ((uint64_t)queue * DEPTH + slot) * part + next_random(t) % (part - len + 1);
    uint8_t *data = slot_data(queue, slot);

    t->type[slot] = type;
    t->sector[slot] = sector;
    t->sectors[slot] = len;
    if (type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_OUT) {
        for (unsigned i = 0; i < len * DISK_SECTOR; i++)
            data[i] = (uint8_t)next_random(t);
        add(queue, slot, type, sector, len * (uint32_t)DISK_SECTOR, type == VIRTIO_BLK_T_IN);
    } else {
        struct virtio_blk_discard_write_zeroes range = {sector, len, 0};

        memcpy(data, &range, sizeof(range));
        add(queue, slot, type, 0, sizeof(range), false);
    }
}

static void check_traffic(const struct traffic *t, unsigned queue, unsigned slot)
{
    uint8_t *at = model + t->sector[slot] * DISK_SECTOR;
    size_t len = t->sectors[slot] * DISK_SECTOR;

    check_int(*slot_status(queue, slot), VIRTIO_BLK_S_OK);
    if (t->type[slot] == VIRTIO_BLK_T_IN)
        check(memcmp(slot_data(queue, slot), at, len) == 0);
    else if (t->type[slot] == VIRTIO_BLK_T_OUT)
        memcpy(at, slot_data(queue, slot), len);
    else
        memset(at, 0, len);
}

static void random_traffic(enum disk_engine_kind engine, bool with_pauses)
{
    static struct traffic traffic[QUEUES];
    struct disk_stats stats;
    uint64_t sum = 0;

    make_device(&(struct disk_options){.discard = true, .engine = engine},
                &(struct virtio_blk_options){.queues = QUEUES});
    driver_start(&driver, FEATURES, QUEUES);
    for (unsigned round = 0; round < 60 && !tap_failed_; round++) {
        for (unsigned q = 0; q < QUEUES; q++) {
            traffic[q].seed = 7 + q + round * QUEUES;
            for (unsigned i = 0; i < DEPTH; i++)
                submit_traffic(&traffic[q], q, i);
            driver_kick(&driver, q);
        }
        if (with_pauses) {
            virtio_device_pause(driver.dev);
            virtio_device_resume(driver.dev);
        }
        for (unsigned q = 0; q < QUEUES; q++) {
            check(driver_wait_used(&driver, q, DEPTH));
            for (unsigned i = 0; i < DEPTH; i++)
                check_traffic(&traffic[q], q, i);
        }
    }
    read_back();
    disk_get_stats(disk, &stats);
    for (unsigned i = 0; i < DISK_OPS; i++)
        sum += stats.op[i].operations;
    check_int(sum, 60 * QUEUES * DEPTH);
    tear_down();
}

static void test_several_queues_auto(void)
{
    random_traffic(DISK_ENGINE_AUTO, false);
}

static void test_several_queues_threads(void)
{
    random_traffic(DISK_ENGINE_THREADS, false);
}

static void test_pauses(void)
{
    random_traffic(DISK_ENGINE_AUTO, true);
    random_traffic(DISK_ENGINE_THREADS, true);
}

/* The driver goes away with requests under way, again and again. */
static void test_resets(void)
{
    set_up();
    for (unsigned round = 0; round < 50; round++) {
        driver_start(&driver, FEATURES, QUEUES);
        for (unsigned q = 0; q < QUEUES; q++) {
            for (unsigned i = 0; i < DEPTH; i++)
                add(q, i, VIRTIO_BLK_T_IN, UINT64_C(8) * i, 4096, true);
            driver_kick(&driver, q);
        }
        driver_reset(&driver);
        check_int(virtio_device_status(driver.dev), 0);
    }
    read_back();
    tear_down();
}

/* ---- flushing ---- */

static uint64_t flushes(void)
{
    struct disk_stats stats;

    disk_get_stats(disk, &stats);
    return stats.op[DISK_FLUSH].operations;
}

static void write_wce(uint8_t value)
{
    virtio_device_write_config(driver.dev, offsetof(struct virtio_blk_config, wce), value, 1);
}

static void test_writes_are_flushed(void)
{
    set_up();
    driver_start(&driver, FEATURES, 1);
    check_int(do_request(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
    check_int(flushes(), 0);
    write_wce(0);
    check_int(CONFIG(wce), 0);
    check_int(do_request(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
    check_int(flushes(), 1);
    check_int(do_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), VIRTIO_BLK_S_OK);
    check_int(flushes(), 2);
    write_wce(5);
    check_int(CONFIG(wce), 1);
    check_int(do_request(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
    check_int(flushes(), 2);
    write_wce(0);
    driver_reset(&driver);
    check_int(CONFIG(wce), 1);
    /* A driver that knows no flush, and may not write to the configuration. */
    driver_start(&driver, 0, 1);
    check_int(do_request(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
    check_int(flushes(), 3);
    write_wce(0);
    check_int(CONFIG(wce), 1);
    tear_down();
}

/* ---- rate limits ---- */

static const struct throttle_limits no_limits;
/* A first request goes through; paying for its 512 bytes takes minutes. */
static const struct throttle_limits tight = {.bucket[THROTTLE_BPS_TOTAL] = {.avg = 1}};

static void set_up_limited(const struct throttle_limits *limits)
{
    make_device(&(struct disk_options){0},
                &(struct virtio_blk_options){.queues = QUEUES, .limits = *limits});
    driver_start(&driver, FEATURES, QUEUES);
}

static void add_reads(unsigned queue, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        add(queue, i, VIRTIO_BLK_T_IN, i, 512, true);
    driver_kick(&driver, queue);
}

static void test_limit_holds_requests_back(void)
{
    set_up_limited(&tight);
    add_reads(0, 5);
    check(driver_wait_used(&driver, 0, 1));
    /* All queues share the limit, and pauses change nothing. */
    add_reads(1, 5);
    virtio_device_pause(driver.dev);
    check_int(driver_used(&driver, 0), 1);
    check_int(driver_used(&driver, 1), 0);
    virtio_device_resume(driver.dev);
    virtio_device_pause(driver.dev);
    virtio_device_resume(driver.dev);
    check_int(driver_used(&driver, 0), 1);
    check_int(driver_used(&driver, 1), 0);
    virtio_blk_set_limits(driver.dev, &no_limits);
    check(driver_wait_used(&driver, 0, 4));
    check(driver_wait_used(&driver, 1, 5));
    for (unsigned i = 0; i < 5; i++)
        check(memcmp(slot_data(1, i), model + i * DISK_SECTOR, 512) == 0);
    tear_down();
}

static void test_reset_while_held_back(void)
{
    set_up_limited(&tight);
    add_reads(0, 5);
    check(driver_wait_used(&driver, 0, 1));
    driver_reset(&driver);
    driver_start(&driver, FEATURES, QUEUES);
    virtio_device_pause(driver.dev);
    check_int(driver_used(&driver, 0), 0);
    virtio_device_resume(driver.dev);
    add_reads(0, 2); /* the limit is the disk's, and outlives the driver */
    virtio_device_pause(driver.dev);
    virtio_device_resume(driver.dev);
    check_int(driver_used(&driver, 0), 0);
    virtio_blk_set_limits(driver.dev, &no_limits);
    check(driver_wait_used(&driver, 0, 2));
    check_int(driver_used(&driver, 0), 2);
    /* And the machine goes away with requests waiting. */
    virtio_blk_set_limits(driver.dev, &tight);
    add_reads(0, 5);
    check(driver_wait_used(&driver, 0, 1));
    tear_down();
}

/* Nobody helps: the timer has to. */
static void test_limit_lets_through(void)
{
    struct throttle_limits limits = {.bucket[THROTTLE_OPS_READ] = {.avg = 50}};

    set_up_limited(&limits);
    add_reads(0, 20);
    add_reads(1, 20);
    check(driver_wait_used(&driver, 0, 20));
    check(driver_wait_used(&driver, 1, 20));
    tear_down();
}

static void test_limit_of_writes_lets_reads_through(void)
{
    struct throttle_limits limits = {.bucket[THROTTLE_BPS_WRITE] = {.avg = 1}};

    set_up_limited(&limits);
    for (unsigned i = 0; i < 10; i++)
        check_int(do_request(VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
    check_int(do_request(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
    check_int(do_request(VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
    check_int(do_request(VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
    /* What is wrong costs nothing. */
    check_int(do_request(VIRTIO_BLK_T_OUT, SECTORS, 512, false), VIRTIO_BLK_S_IOERR);
    tear_down();
}

/* ---- size ---- */

static bool config_has_changed(struct driver *d, unsigned arg)
{
    return d->config_changes >= arg;
}

static void test_resize(void)
{
    uint32_t generation;

    set_up();
    driver_start(&driver, FEATURES, 1);
    generation = virtio_device_config_generation(driver.dev);
    check_int(do_request(VIRTIO_BLK_T_OUT, SECTORS, 512, false), VIRTIO_BLK_S_IOERR);
    check_int(disk_resize(disk, SIZE * 2, &err), 0);
    virtio_blk_resized(driver.dev);
    check(driver_wait(&driver, config_has_changed, 1));
    check(virtio_device_config_generation(driver.dev) != generation);
    check_int(CONFIG(capacity), 2 * SECTORS);
    check_int(do_request(VIRTIO_BLK_T_OUT, SECTORS, 512, false), VIRTIO_BLK_S_OK);
    check_int(do_request(VIRTIO_BLK_T_OUT, 2 * SECTORS, 512, false), VIRTIO_BLK_S_IOERR);
    tear_down();
}

/* The file is shorter than the disk: an error for the driver, and a notice for the machine. */
static void test_host_error(void)
{
    bool reading = false;

    set_up();
    driver_start(&driver, FEATURES, 1);
    check_int(virtio_blk_last_error(driver.dev, &reading), 0);
    check_int(truncate(path, SIZE / 2), 0);
    check_int(do_request(VIRTIO_BLK_T_IN, SECTORS - 1, 512, true), VIRTIO_BLK_S_IOERR);
    check_int(used_len(0), 1);
    check_int(virtio_device_take_notices(driver.dev), VIRTIO_NOTICE_IO_ERROR);
    check_int(virtio_blk_last_error(driver.dev, &reading), EIO);
    check(reading);
    check_int(do_request(VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
    tear_down();
}

/* ---- what a driver must not do ---- */

static void test_bad_requests(void)
{
    static const struct {
        uint32_t type;
        uint64_t sector;
        uint32_t len;
        bool to_driver;
        uint8_t want;
    } cases[] = {
        {VIRTIO_BLK_T_IN, SECTORS, 512, true, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_IN, SECTORS - 1, 1024, true, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_IN, UINT64_MAX, 512, true, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_IN, UINT64_MAX / 512 + 1, 512, true, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_IN, UINT64_C(1) << 55, 512, true, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_IN, 0, 511, true, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_IN, 0, 0, true, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_IN, 0, 512, false, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_OUT, SECTORS, 512, false, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_OUT, UINT64_MAX - 1, 1024, false, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_OUT, 0, 513, false, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_OUT, 0, 512, true, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_DISCARD, 0, 15, false, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_DISCARD, 0, 0, false, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_DISCARD, 0, 16, true, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_DISCARD, 0, 17 * 16, false, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_WRITE_ZEROES, 0, 17 * 16, false, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_SECURE_ERASE, 0, 16, false, VIRTIO_BLK_S_UNSUPP},
        {VIRTIO_BLK_T_SCSI_CMD, 0, 512, true, VIRTIO_BLK_S_UNSUPP},
        {UINT32_MAX, 0, 512, false, VIRTIO_BLK_S_UNSUPP},
    };
    static const struct {
        uint32_t type;
        uint64_t sector;
        uint32_t sectors;
        uint32_t flags;
        uint8_t want;
    } ranges[] = {
        {VIRTIO_BLK_T_DISCARD, SECTORS, 1, 0, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_DISCARD, 1, (uint32_t)SECTORS, 0, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_DISCARD, UINT64_MAX, 2, 0, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_DISCARD, 0, 1, 1, VIRTIO_BLK_S_UNSUPP},
        {VIRTIO_BLK_T_DISCARD, 0, 1, 2, VIRTIO_BLK_S_UNSUPP},
        {VIRTIO_BLK_T_WRITE_ZEROES, SECTORS, 1, 0, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_WRITE_ZEROES, UINT64_MAX, UINT32_MAX, 0, VIRTIO_BLK_S_IOERR},
        {VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 2, VIRTIO_BLK_S_UNSUPP},
    };

    set_up();
    driver_start(&driver, FEATURES, 1);
    memset(slot_data(0, 0), 0, 1024);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (!check_int(do_request(cases[i].type, cases[i].sector, cases[i].len, cases[i].to_driver),
                       cases[i].want))
            printf("# case %zu\n", i);
    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
        if (!check_int(
                do_range(ranges[i].type, ranges[i].sector, ranges[i].sectors, ranges[i].flags),
                ranges[i].want))
            printf("# range %zu\n", i);
    check_int(virtio_device_status(driver.dev) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
    /* Not one of the ranges is touched when one is wrong. */
    memcpy(slot_data(0, 0), (struct virtio_blk_discard_write_zeroes[]){{0, 8, 0}, {SECTORS, 8, 0}},
           32);
    check_int(do_request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 32, false), VIRTIO_BLK_S_IOERR);
    read_back();
    /* What was not negotiated is not there. */
    driver_reset(&driver);
    driver_start(&driver, VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH), 1);
    check_int(do_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
    check_int(do_range(VIRTIO_BLK_T_DISCARD, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
    read_back();
    tear_down();
}

static void test_readonly(void)
{
    make_device(&(struct disk_options){.readonly = true, .discard = true},
                &(struct virtio_blk_options){0});
    driver_start(&driver, VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) | VIRTIO_FEATURE(VIRTIO_BLK_F_RO), 1);
    check_int(do_request(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_IOERR);
    check_int(do_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
    check_int(do_range(VIRTIO_BLK_T_DISCARD, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
    check_int(do_request(VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
    check_int(do_request(VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
    read_back();
    tear_down();
}

/* As many buffers as a request may have, and more. */
static void test_many_segments(void)
{
    struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_IN};
    struct driver_buffer buffers[2 + 254];
    static const struct {
        unsigned count;
        uint8_t want;
    } cases[] = {{126, VIRTIO_BLK_S_OK},
                 {127, VIRTIO_BLK_S_OK},
                 {128, VIRTIO_BLK_S_IOERR},
                 {254, VIRTIO_BLK_S_IOERR}};
    uint64_t gpa = DRIVER_DATA;

    set_up();
    driver_start(&driver, FEATURES, 1);
    memory_write(&driver.mem, gpa, &header, sizeof(header));
    for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
        unsigned n = 0;

        buffers[n++] = (struct driver_buffer){gpa, sizeof(header), false};
        for (unsigned i = 0; i < cases[k].count; i++)
            buffers[n++] = (struct driver_buffer){gpa + 4096 + i * DISK_SECTOR, 512, true};
        buffers[n++] = (struct driver_buffer){gpa + 512, 1, true};
        *slot_status(0, 0) = 0xff;
        driver_add(&driver, 0, buffers, n);
        driver_kick(&driver, 0);
        check(driver_wait_used(&driver, 0, 1));
        check_int(*slot_status(0, 0), cases[k].want);
    }
    check(memcmp(driver_ptr(&driver, gpa + 4096), model, 127 * DISK_SECTOR) == 0);
    tear_down();
}

/* Without a place for the answer, or without a header, the device can only give up. */
static void test_malformed_chains(void)
{
    static const struct driver_buffer chains[][2] = {
        {{DRIVER_DATA, 16, false}, {DRIVER_DATA + 512, 0, true}},    /* status of no length */
        {{DRIVER_DATA, 15, false}, {DRIVER_DATA + 512, 1, true}},    /* half a header */
        {{DRIVER_DATA, 16, false}, {DRIVER_RAM, 1, true}},           /* status outside of RAM */
        {{DRIVER_DATA, 16, false}, {DRIVER_RAM - 512, 513, true}},   /* half outside */
        {{DRIVER_DATA + 512, 1, true}, {DRIVER_DATA, 16, false}},    /* the wrong way round */
        {{DRIVER_DATA, 16, false}, {DRIVER_DATA + 512, 512, false}}, /* nothing to write */
        {{DRIVER_DATA, 16, false}, {UINT64_MAX, 2, true}},
    };

    set_up();
    for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
        driver_start(&driver, FEATURES, QUEUES);
        /* Some that are right, in all queues, go on before it. */
        for (unsigned q = 0; q < QUEUES; q++)
            add_reads(q, 8);
        driver_add(&driver, 1, chains[i], 2);
        driver_kick(&driver, 1);
        if (!check(driver_wait_failed(&driver)))
            printf("# chain %zu\n", i);
        driver_reset(&driver);
        driver_start(&driver, FEATURES, 1);
        check_int(do_request(VIRTIO_BLK_T_IN, 1, 512, true), VIRTIO_BLK_S_OK);
        driver_reset(&driver);
    }
    tear_down();
}

/* In the device's thread, so that nothing of it is done before all has been looked at. */
static void fill_ring_with_head_0(void *opaque)
{
    struct driver_queue *q = &driver.queues[0];
    uint16_t *taken = opaque;

    for (unsigned i = 0; i < q->vring.num; i++)
        q->vring.avail->ring[i] = 0;
    q->vring.avail->idx = (uint16_t)(q->vring.avail->idx + q->vring.num);
    driver.dev->type->kick(driver.dev, 0);
    *taken = driver.dev->queues[0].next_avail;
}

/* Twice as many requests under way as the ring has room for: the device takes what it can, and the
 * rest when some are done. */
static void test_heads_used_twice(void)
{
    unsigned size;
    uint16_t taken = 0;

    make_device(&(struct disk_options){.engine = DISK_ENGINE_THREADS},
                &(struct virtio_blk_options){0});
    driver_start(&driver, FEATURES, 1);
    size = driver.queues[0].vring.num;
    add(0, 0, VIRTIO_BLK_T_IN, 0, 512, true);
    driver.queues[0].vring.avail->idx = 0;
    virtio_device_call(driver.dev, 0, fill_ring_with_head_0, &taken);
    check_int(taken, size);
    virtio_device_call(driver.dev, 0, fill_ring_with_head_0, &taken);
    check(driver_wait_used(&driver, 0, (uint16_t)(2 * size)));
    check_int(virtio_device_status(driver.dev) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
    tear_down();
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_configuration),
        TAP(test_each_kind_of_request),
        TAP(test_any_framing),
        TAP(test_several_queues_auto),
        TAP(test_several_queues_threads),
        TAP(test_pauses),
        TAP(test_resets),
        TAP(test_writes_are_flushed),
        TAP(test_limit_holds_requests_back),
        TAP(test_reset_while_held_back),
        TAP(test_limit_lets_through),
        TAP(test_limit_of_writes_lets_reads_through),
        TAP(test_resize),
        TAP(test_host_error),
        TAP(test_bad_requests),
        TAP(test_readonly),
        TAP(test_many_segments),
        TAP(test_malformed_chains),
        TAP(test_heads_used_twice),
        {0},
    });
}
