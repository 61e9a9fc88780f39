/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image with known bytes in it, a queue or several to read and write it by, and a way to do one
 * request: for the tests of disks.
 */
#ifndef VOLE_TESTS_DISK_BENCH_H
#define VOLE_TESTS_DISK_BENCH_H

#include <fcntl.h>

#include "tests/unit/disk-image.h"

#define SIZE    (512 * KiB)
#define DEPTH   32
#define LARGEST (24 * KiB)
#define QUEUES  3

struct slot {
    struct disk_request req;
    struct iovec iov[3];
    uint8_t data[LARGEST + 64] __attribute__((aligned(4096)));
    size_t len;
    bool busy;
    int result;
};

/* One queue with its own part of the disk. */
struct bench {
    struct loop *loop;
    struct disk *disk;
    struct disk_queue *queue;
    struct slot slots[DEPTH];
    unsigned batches;
    uint32_t seed;
    uint64_t begin; /* of this queue's part of the disk */
    uint64_t size;
    unsigned rounds;
    uint8_t *model; /* of the whole disk */
    uint64_t counted[DISK_OPS];
};

static uint8_t model[SIZE];
static struct bench benches[QUEUES];

static inline uint32_t next_random(struct bench *b)
{
    b->seed ^= b->seed << 13;
    b->seed ^= b->seed >> 17;
    b->seed ^= b->seed << 5;
    return b->seed;
}

static inline void on_done(struct disk_request *req, int result)
{
    struct slot *slot = container_of(req, struct slot, req);

    check(slot->busy);
    slot->busy = false;
    slot->result = result;
}

static inline void on_batch(void *opaque)
{
    struct bench *b = opaque;

    b->batches++;
}

/* Three buffers of random lengths at a random place, one of which may be empty. */
static inline void cut(struct bench *b, struct slot *slot)
{
    uint8_t *data = slot->data + (next_random(b) % 2 ? next_random(b) % 64 : 0);
    size_t grain = next_random(b) % 2 ? 1 : DISK_SECTOR;
    size_t first = next_random(b) % (slot->len / grain + 1) * grain;
    size_t second = next_random(b) % ((slot->len - first) / grain + 1) * grain;

    slot->iov[0] = (struct iovec){data, first};
    slot->iov[1] = (struct iovec){data + first, second};
    slot->iov[2] = (struct iovec){data + first + second, slot->len - first - second};
    slot->req.iov = slot->iov;
    slot->req.iov_count = 3;
}

static inline void read_back(void)
{
    static uint8_t image[SIZE];
    int fd = open(path, O_RDONLY);

    check(fd >= 0 && pread_full(fd, image, SIZE, 0) == 0);
    check(memcmp(image, model, SIZE) == 0);
    close(fd);
}

static inline void set_up_queue(struct bench *b, struct disk *disk, unsigned index, unsigned count)
{
    memset(b, 0, sizeof(*b));
    b->disk = disk;
    b->seed = 20261121 + index;
    b->size = ALIGN_DOWN(SIZE / count, DEPTH * DISK_SECTOR);
    b->begin = index * b->size;
    b->model = model;
    b->loop = loop_thread_start("test", &err);
    b->queue = disk_queue_new(disk);
    check(b->loop != NULL);
}

static inline void tear_down_queue(struct bench *b)
{
    loop_thread_stop(b->loop);
    disk_queue_free(b->queue);
}

static inline struct disk *set_up(const struct disk_options *how)
{
    struct disk_options options = *how;
    struct disk *disk;

    memset(model, 0, sizeof(model));
    make_image(SIZE);
    options.source = path;
    disk = disk_open(&options, &err);
    if (!disk && strstr(err.msg, "io_uring"))
        tap_skip(getenv("VOLE_EMULATED") ? "the emulator has no io_uring" : err.msg);
    else if (!disk && strstr(err.msg, "direct I/O"))
        tap_skip(getenv("VOLE_EMULATED") ? "the emulator does not tell what direct I/O needs"
                                         : err.msg);
    else
        check(disk != NULL);
    if (disk)
        set_up_queue(&benches[0], disk, 0, 1);
    else
        remove_image();
    return disk;
}

static inline void tear_down(void)
{
    tear_down_queue(&benches[0]);
    disk_close(benches[0].disk);
    remove_image();
}

struct single {
    struct disk_request req;
    int result;
};

static inline void do_single(void *opaque)
{
    struct single *single = opaque;
    struct bench *b = &benches[0];
    struct slot *slot = &b->slots[0];

    slot->req = single->req;
    slot->req.done = on_done;
    slot->len = single->req.length;
    slot->busy = true;
    if (slot->req.op == DISK_READ || slot->req.op == DISK_WRITE)
        cut(b, slot);
    check_int(disk_queue_start(b->queue, b->loop, on_batch, b, &err), 0);
    disk_submit(b->queue, &slot->req);
    disk_commit(b->queue);
    disk_queue_stop(b->queue);
    single->result = slot->result;
}

static inline int result_of(enum disk_op op, uint64_t offset, uint64_t length, bool unmap)
{
    struct single single = {
        .req = {.op = op, .offset = offset, .length = length, .unmap = unmap},
        .result = 1,
    };

    loop_call(benches[0].loop, do_single, &single);
    return single.result;
}

static inline void fill_image(void)
{
    int fd = open(path, O_WRONLY);

    memset(model, 0x5a, SIZE);
    check(fd >= 0 && write_full(fd, model, SIZE) == 0 && fsync(fd) == 0);
    close(fd);
}

#endif
