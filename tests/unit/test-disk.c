/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disk images: the same random traffic through each engine, against a copy kept in memory; and the
 * images that are refused.
 */
#include "tests/unit/tap.h"
#include "vmm/backend/disk_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define SIZE    (256 * KiB)
#define DEPTH   32
#define LARGEST (24 * KiB)

static char path[64];
static struct error err;

static void make_image(uint64_t size)
{
    int fd;

    snprintf(path, sizeof(path), "/tmp/vole-disk-XXXXXX");
    fd = mkstemp(path);
    check(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    close(fd);
}

static void remove_image(void)
{
    check_int(unlink(path), 0);
}

struct slot {
    struct disk_request req;
    struct iovec iov[3];
    uint8_t data[LARGEST];
    size_t len;
    bool busy;
    int result;
};

struct bench {
    struct loop *loop;
    struct disk *disk;
    const struct disk_engine *engine;
    struct slot slots[DEPTH];
    unsigned in_flight;
    unsigned batches;
    uint32_t seed;
    uint8_t model[SIZE];
    uint64_t limit; /* requests stay below it */
};

static uint32_t next_random(struct bench *b)
{
    b->seed ^= b->seed << 13;
    b->seed ^= b->seed >> 17;
    b->seed ^= b->seed << 5;
    return b->seed;
}

static void on_done(struct disk_request *req, int result)
{
    struct slot *slot = container_of(req, struct slot, req);

    check(slot->busy);
    slot->busy = false;
    slot->result = result;
}

static void on_batch(void *opaque)
{
    struct bench *b = opaque;

    b->batches++;
}

/* Three buffers of random lengths, one of which may be empty. */
static void cut(struct bench *b, struct slot *slot)
{
    size_t first = next_random(b) % (slot->len + 1);
    size_t second = next_random(b) % (slot->len - first + 1);

    slot->iov[0] = (struct iovec){slot->data, first};
    slot->iov[1] = (struct iovec){slot->data + first, second};
    slot->iov[2] = (struct iovec){slot->data + first + second, slot->len - first - second};
    slot->req.iov = slot->iov;
    slot->req.iov_count = 3;
}

/*
 * A round submits up to DEPTH requests that do not overlap (each has its own part of the disk), and
 * waits for all by stopping the disk. Reads must show the model, and writes change it.
 */
static void one_round(void *opaque)
{
    struct bench *b = opaque;
    uint64_t part = b->limit / DEPTH;
    unsigned n = 1 + next_random(b) % DEPTH;

    check_int(disk_start(b->disk, b->loop, on_batch, b, &err), 0);
    check(b->disk->engine == b->engine);
    for (unsigned i = 0; i < n; i++) {
        struct slot *slot = &b->slots[i];
        uint32_t kind = next_random(b) % 8;

        slot->req.op = kind == 0 ? DISK_FLUSH : kind < 4 ? DISK_WRITE : DISK_READ;
        slot->len = DISK_SECTOR * (1 + next_random(b) % (part / DISK_SECTOR));
        slot->req.offset =
            i * part + DISK_SECTOR * (next_random(b) % ((part - slot->len) / DISK_SECTOR + 1));
        slot->req.done = on_done;
        slot->busy = true;
        slot->result = 1;
        if (slot->req.op == DISK_WRITE) {
            for (size_t k = 0; k < slot->len; k++)
                slot->data[k] = (uint8_t)next_random(b);
            memcpy(b->model + slot->req.offset, slot->data, slot->len);
        } else {
            memset(slot->data, 0xee, sizeof(slot->data));
        }
        cut(b, slot);
        disk_submit(b->disk, &slot->req);
    }
    disk_commit(b->disk);
    disk_stop(b->disk);
    for (unsigned i = 0; i < n; i++) {
        struct slot *slot = &b->slots[i];

        check(!slot->busy);
        check_int(slot->result, 0);
    }
}

static void read_back(struct bench *b)
{
    static uint8_t image[SIZE];
    int fd = open(path, O_RDONLY);

    check(fd >= 0 && pread_full(fd, image, SIZE, 0) == 0);
    check(memcmp(image, b->model, SIZE) == 0);
    close(fd);
}

static struct bench bench;

static bool set_up(const struct disk_engine *engine)
{
    struct bench *b = &bench;

    memset(b, 0, sizeof(*b));
    b->engine = engine;
    b->seed = 20261121;
    b->limit = SIZE;
    b->loop = loop_thread_start("test", &err);
    b->disk = disk_open(path, false, &err);
    if (!check(b->loop && b->disk))
        return false;
    if (engine->open(b->disk, &err) < 0) {
        tap_skip(err.msg);
        disk_close(b->disk);
        loop_thread_stop(b->loop);
        return false;
    }
    b->disk->engine = engine;
    return true;
}

static void tear_down(void)
{
    disk_close(bench.disk);
    loop_thread_stop(bench.loop);
}

static void random_traffic(const struct disk_engine *engine)
{
    make_image(SIZE);
    if (set_up(engine)) {
        for (unsigned i = 0; i < 300 && !tap_failed_; i++)
            loop_call(bench.loop, one_round, &bench);
        check(bench.batches > 0);
        tear_down();
        read_back(&bench);
    }
    remove_image();
}

/* The file is shorter than the disk believes: an error, not zeroes, and not a hang. */
static void shrunken_round(void *opaque)
{
    struct bench *b = opaque;
    struct slot *slot = &b->slots[0];

    check_int(disk_start(b->disk, b->loop, on_batch, b, &err), 0);
    slot->req = (struct disk_request){.op = DISK_READ, .offset = SIZE / 2 - 512, .done = on_done};
    slot->len = 1024;
    slot->busy = true;
    cut(b, slot);
    disk_submit(b->disk, &slot->req);
    disk_commit(b->disk);
    disk_stop(b->disk);
    check_int(slot->result, -EIO);
}

static void shrunken_image(const struct disk_engine *engine)
{
    make_image(SIZE);
    if (set_up(engine)) {
        check_int(truncate(path, SIZE / 2), 0);
        loop_call(bench.loop, shrunken_round, &bench);
        tear_down();
    }
    remove_image();
}

static void test_random_traffic_sync(void)
{
    random_traffic(&disk_engine_sync);
}

static void test_random_traffic_uring(void)
{
    random_traffic(&disk_engine_uring);
}

static void test_shrunken_image_sync(void)
{
    shrunken_image(&disk_engine_sync);
}

static void test_shrunken_image_uring(void)
{
    shrunken_image(&disk_engine_uring);
}

static void test_one_writer(void)
{
    struct disk *a;
    struct disk *b;

    make_image(SIZE);
    a = disk_open(path, false, &err);
    check(a && !disk_readonly(a) && disk_size(a) == SIZE);
    check(!disk_open(path, false, &err));
    check(strstr(err.msg, "is in use by another process") != NULL);
    check(!disk_open(path, true, &err));
    disk_close(a);
    a = disk_open(path, true, &err);
    b = disk_open(path, true, &err);
    check(a && b && disk_readonly(b));
    check(!disk_open(path, false, &err));
    disk_close(a);
    disk_close(b);
    remove_image();
}

static void test_refused_images(void)
{
    char spec[32];
    int fd;

    make_image(0);
    check(!disk_open(path, false, &err));
    check(strstr(err.msg, "is empty") != NULL);
    fd = open(path, O_RDONLY);
    snprintf(spec, sizeof(spec), "fd:%d", fd);
    check_int(truncate(path, SIZE), 0);
    check(!disk_open(spec, false, &err));
    check(strstr(err.msg, spec) != NULL);
    remove_image();
    check(!disk_open(path, false, &err));
    check(strstr(err.msg, path) != NULL);
    check(!disk_open("/tmp", true, &err));
    check(strstr(err.msg, "neither a file nor a block device") != NULL);
    check(!disk_open("/dev/null", true, &err));
}

static void test_size_is_whole_sectors(void)
{
    struct disk *disk;

    make_image(1025);
    disk = disk_open(path, true, &err);
    check(disk != NULL);
    if (disk)
        check_int(disk_size(disk), 1024);
    disk_close(disk);
    remove_image();
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_random_traffic_sync),
        TAP(test_random_traffic_uring),
        TAP(test_shrunken_image_sync),
        TAP(test_shrunken_image_uring),
        TAP(test_one_writer),
        TAP(test_refused_images),
        TAP(test_size_is_whole_sectors),
        {0},
    });
}
