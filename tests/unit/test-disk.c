/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disk images: the same random traffic of all operations through each engine, cached and direct,
 * against a copy kept in memory; several queues at once; cancels; a host that has no
 * io_uring, or too little of it.
 */
#include "tests/unit/disk-image.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SIZE    (512 * KiB)
#define DEPTH   32
#define LARGEST (24 * KiB)
#define QUEUES  3

/* ---- traffic ---- */

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

/* Three buffers of random lengths at a random place, one of which may be empty. */
static void cut(struct bench *b, struct slot *slot)
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

static enum disk_op random_op(struct bench *b)
{
    static const enum disk_op ops[] = {
        DISK_FLUSH, DISK_READ,  DISK_READ,    DISK_READ,         DISK_WRITE,
        DISK_WRITE, DISK_WRITE, DISK_DISCARD, DISK_WRITE_ZEROES, DISK_WRITE_ZEROES,
    };

    return ops[next_random(b) % ARRAY_SIZE(ops)];
}

static void fill(struct bench *b, struct slot *slot)
{
    enum disk_op op = slot->req.op;

    memset(slot->data, 0xee, sizeof(slot->data));
    if (op == DISK_WRITE)
        for (unsigned i = 0; i < slot->req.iov_count; i++)
            for (size_t k = 0; k < slot->iov[i].iov_len; k++)
                ((uint8_t *)slot->iov[i].iov_base)[k] = (uint8_t)next_random(b);
}

/*
 * A round submits up to DEPTH requests that do not overlap (each has its own part of the disk), and
 * waits for all by stopping the queue. Reads must show the model, and the others change it. A file
 * that takes a discard reads as zeroes there.
 */
static void one_round(struct bench *b)
{
    uint64_t part = b->size / DEPTH;
    unsigned n = 1 + next_random(b) % DEPTH;
    uint8_t *data[DEPTH];

    check_int(disk_queue_start(b->queue, b->loop, on_batch, b, &err), 0);
    for (unsigned i = 0; i < n; i++) {
        struct slot *slot = &b->slots[i];

        slot->len = DISK_SECTOR * (1 + next_random(b) % (MIN(part, LARGEST) / DISK_SECTOR));
        slot->req = (struct disk_request){
            .op = random_op(b),
            .unmap = next_random(b) % 2,
            .offset = b->begin + i * part +
                      DISK_SECTOR * (next_random(b) % ((part - slot->len) / DISK_SECTOR + 1)),
            .length = slot->len,
            .done = on_done,
        };
        b->counted[slot->req.op]++;
        if (slot->req.op == DISK_FLUSH)
            slot->req.length = 0;
        slot->busy = true;
        slot->result = 1;
        cut(b, slot);
        fill(b, slot);
        data[i] = slot->iov[0].iov_base;
        disk_submit(b->queue, &slot->req);
        check(slot->busy); /* never from inside of the submission */
        if (next_random(b) % 16 == 0)
            disk_commit(b->queue);
    }
    disk_commit(b->queue);
    disk_queue_stop(b->queue);
    for (unsigned i = 0; i < n; i++) {
        struct slot *slot = &b->slots[i];
        uint8_t *at = b->model + slot->req.offset;

        check(!slot->busy);
        check_int(slot->result, 0);
        if (slot->req.op == DISK_READ)
            check(memcmp(data[i], at, slot->len) == 0);
        else if (slot->req.op == DISK_WRITE)
            memcpy(at, data[i], slot->len);
        else if (slot->req.op != DISK_FLUSH)
            memset(at, 0, slot->len);
    }
}

static void all_rounds(void *opaque)
{
    struct bench *b = opaque;

    for (unsigned i = 0; i < b->rounds && !tap_failed_; i++)
        one_round(b);
}

static void read_back(void)
{
    static uint8_t image[SIZE];
    int fd = open(path, O_RDONLY);

    check(fd >= 0 && pread_full(fd, image, SIZE, 0) == 0);
    check(memcmp(image, model, SIZE) == 0);
    close(fd);
}

static void set_up_queue(struct bench *b, struct disk *disk, unsigned index, unsigned count)
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

static void tear_down_queue(struct bench *b)
{
    loop_thread_stop(b->loop);
    disk_queue_free(b->queue);
}

static struct disk *set_up(const struct disk_options *how)
{
    struct disk_options options = *how;
    struct disk *disk;

    memset(model, 0, sizeof(model));
    make_image(SIZE);
    options.source = path;
    disk = disk_open(&options, &err);
    if (!disk && (strstr(err.msg, "io_uring") || strstr(err.msg, "direct I/O")))
        tap_skip(err.msg);
    else
        check(disk != NULL);
    if (disk)
        set_up_queue(&benches[0], disk, 0, 1);
    else
        remove_image();
    return disk;
}

static void tear_down(void)
{
    tear_down_queue(&benches[0]);
    disk_close(benches[0].disk);
    remove_image();
}

static void check_stats(struct disk *disk, unsigned queues)
{
    struct disk_stats stats;

    disk_get_stats(disk, &stats);
    check_int(stats.in_flight, 0);
    for (unsigned op = 0; op < DISK_OPS; op++) {
        uint64_t counted = 0;

        for (unsigned i = 0; i < queues; i++)
            counted += benches[i].counted[op];
        check_int(stats.op[op].operations, counted);
        check_int(stats.op[op].failed, 0);
        check((op == DISK_FLUSH) == (stats.op[op].bytes == 0));
        check(stats.op[op].total_time_ns > 0);
    }
    check(stats.write_highest_offset > 0 && stats.write_highest_offset <= SIZE);
}

static void random_traffic(const struct disk_options *options, uint32_t alignment)
{
    struct disk *disk = set_up(options);
    struct bench *b = &benches[0];

    if (!disk)
        return;
    if (alignment) { /* as a device with large blocks has it */
        disk->alignment = alignment;
        disk->mem_alignment = alignment;
    }
    /* The parts of the disk are not whole blocks of the host's: neighbours meet in one. */
    b->size -= DEPTH * DISK_SECTOR;
    b->rounds = options->direct ? 60 : 200;
    loop_call(b->loop, all_rounds, b);
    check(b->batches > 0);
    check_str(disk_engine_name(disk),
              options->engine == DISK_ENGINE_THREADS ? "threads" : "io_uring");
    check_stats(disk, 1);
    read_back();
    tear_down();
}

static void test_random_traffic_threads(void)
{
    random_traffic(&(struct disk_options){.engine = DISK_ENGINE_THREADS, .discard = true}, 0);
}

static void test_random_traffic_uring(void)
{
    random_traffic(&(struct disk_options){.engine = DISK_ENGINE_IO_URING, .discard = true}, 0);
}

static void test_direct_threads(void)
{
    random_traffic(
        &(struct disk_options){.engine = DISK_ENGINE_THREADS, .discard = true, .direct = true}, 0);
}

static void test_direct_uring(void)
{
    random_traffic(
        &(struct disk_options){.engine = DISK_ENGINE_IO_URING, .discard = true, .direct = true}, 0);
}

static void test_direct_with_large_blocks(void)
{
    random_traffic(
        &(struct disk_options){.engine = DISK_ENGINE_IO_URING, .discard = true, .direct = true},
        4096);
}

/* Each queue has a thread and a part of the disk; the pool is everybody's. */
static void *queue_thread(void *opaque)
{
    struct bench *b = opaque;

    loop_call(b->loop, all_rounds, b);
    return NULL;
}

static void several_queues(enum disk_engine_kind engine)
{
    struct disk *disk = set_up(&(struct disk_options){.engine = engine, .discard = true});
    pthread_t threads[QUEUES];

    if (!disk)
        return;
    tear_down_queue(&benches[0]);
    for (unsigned i = 0; i < QUEUES; i++) {
        set_up_queue(&benches[i], disk, i, QUEUES);
        benches[i].rounds = 100;
        check_int(pthread_create(&threads[i], NULL, queue_thread, &benches[i]), 0);
    }
    for (unsigned i = 0; i < QUEUES; i++)
        pthread_join(threads[i], NULL);
    read_back();
    check_stats(disk, QUEUES);
    for (unsigned i = 1; i < QUEUES; i++)
        tear_down_queue(&benches[i]);
    check_stats(disk, QUEUES); /* what queues counted outlives them */
    tear_down();
}

static void test_several_queues_threads(void)
{
    several_queues(DISK_ENGINE_THREADS);
}

static void test_several_queues_uring(void)
{
    several_queues(DISK_ENGINE_IO_URING);
}

/* ---- completion by way of the loop ---- */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned done;
};

static struct waiter waiter = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

static void submit_again(struct disk_request *req, int result)
{
    on_done(req, result);
    if (req->op == DISK_FLUSH)
        return;
    /* A request that follows from another is handed over without a commit. */
    *req = (struct disk_request){.op = DISK_FLUSH, .done = submit_again};
    container_of(req, struct slot, req)->busy = true;
    disk_submit(benches[0].queue, req);
}

static void count_idle(void *opaque)
{
    struct bench *b = opaque;
    unsigned busy = 0;

    for (unsigned i = 0; i < DEPTH; i++)
        busy += b->slots[i].busy;
    if (busy > 0)
        return;
    pthread_mutex_lock(&waiter.lock);
    waiter.done++;
    pthread_cond_broadcast(&waiter.cond);
    pthread_mutex_unlock(&waiter.lock);
}

static void submit_and_leave(void *opaque)
{
    struct bench *b = opaque;

    check_int(disk_queue_start(b->queue, b->loop, count_idle, b, &err), 0);
    for (unsigned i = 0; i < DEPTH; i++) {
        struct slot *slot = &b->slots[i];

        slot->len = 4096;
        slot->req = (struct disk_request){
            .op = i % 2 ? DISK_WRITE_ZEROES : DISK_WRITE,
            .offset = (uint64_t)i * 4096,
            .length = slot->len,
            .done = submit_again,
        };
        cut(b, slot);
        slot->busy = true;
        disk_submit(b->queue, &slot->req);
    }
    disk_commit(b->queue);
}

static void stop(void *opaque)
{
    disk_queue_stop(((struct bench *)opaque)->queue);
}

/* Nobody stops the queue: the loop itself has to bring it all back. */
static void through_the_loop(enum disk_engine_kind engine)
{
    struct disk *disk = set_up(&(struct disk_options){.engine = engine});
    struct timespec deadline;
    int r = 0;

    if (!disk)
        return;
    waiter.done = 0;
    loop_call(benches[0].loop, submit_and_leave, &benches[0]);
    (void)clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 60;
    pthread_mutex_lock(&waiter.lock);
    while (waiter.done == 0 && r == 0)
        r = pthread_cond_timedwait(&waiter.cond, &waiter.lock, &deadline);
    pthread_mutex_unlock(&waiter.lock);
    check_int(r, 0);
    loop_call(benches[0].loop, stop, &benches[0]);
    for (unsigned i = 0; i < DEPTH; i++)
        check_int(benches[0].slots[i].result, 0);
    tear_down();
}

static void test_through_the_loop_threads(void)
{
    through_the_loop(DISK_ENGINE_THREADS);
}

static void test_through_the_loop_uring(void)
{
    through_the_loop(DISK_ENGINE_IO_URING);
}

/* ---- one request at a time ---- */

struct single {
    struct disk_request req;
    int result;
};

static void do_single(void *opaque)
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

static int result_of(enum disk_op op, uint64_t offset, uint64_t length, bool unmap)
{
    struct single single = {
        .req = {.op = op, .offset = offset, .length = length, .unmap = unmap},
        .result = 1,
    };

    loop_call(benches[0].loop, do_single, &single);
    return single.result;
}

/* A host that could not write once has forgotten what: it may not say later that all is well. */
static void failed_flush(const struct disk_options *options)
{
    struct disk *disk = set_up(options);
    int pipe_fds[2]; /* which cannot be flushed */
    int image;

    if (!disk)
        return;
    image = dup(disk->fd);
    check_int(pipe(pipe_fds), 0);
    check_int(result_of(DISK_FLUSH, 0, 0, false), 0);
    check(dup2(pipe_fds[1], disk->fd) >= 0);
    check_int(result_of(DISK_FLUSH, 0, 0, false), -EINVAL);
    check(dup2(image, disk->fd) >= 0);
    check_int(result_of(DISK_WRITE, 0, 4096, false), 0);
    check_int(result_of(DISK_FLUSH, 0, 0, false), options->direct ? 0 : -EINVAL);
    close(image);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    tear_down();
}

static void test_failed_flush(void)
{
    failed_flush(&(struct disk_options){.engine = DISK_ENGINE_THREADS});
    failed_flush(&(struct disk_options){.engine = DISK_ENGINE_IO_URING});
    failed_flush(&(struct disk_options){.engine = DISK_ENGINE_IO_URING, .direct = true});
}

/* The file is shorter than the disk believes: an error, not zeroes, and not a hang. */
static void shrunken_image(const struct disk_options *options)
{
    struct disk *disk = set_up(options);
    struct disk_stats stats;

    if (!disk)
        return;
    check_int(truncate(path, SIZE / 2), 0);
    check_int(result_of(DISK_READ, SIZE / 2 - 512, 1024, false), -EIO);
    check_int(result_of(DISK_READ, SIZE / 2, 512, false), -EIO);
    check_int(result_of(DISK_READ, SIZE / 2 - 512, 512, false), 0);
    disk_get_stats(disk, &stats);
    check_int(stats.op[DISK_READ].failed, 2);
    check_int(stats.op[DISK_READ].operations, 1);
    tear_down();
}

static void test_shrunken_image(void)
{
    shrunken_image(&(struct disk_options){.engine = DISK_ENGINE_THREADS});
    shrunken_image(&(struct disk_options){.engine = DISK_ENGINE_IO_URING});
    shrunken_image(&(struct disk_options){.engine = DISK_ENGINE_THREADS, .direct = true});
    shrunken_image(&(struct disk_options){.engine = DISK_ENGINE_IO_URING, .direct = true});
}

static uint64_t blocks_used(void)
{
    struct stat st;

    check_int(stat(path, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

static void fill_image(void)
{
    int fd = open(path, O_WRONLY);

    memset(model, 0x5a, SIZE);
    check(fd >= 0 && write_full(fd, model, SIZE) == 0 && fsync(fd) == 0);
    close(fd);
}

/* Space goes back where that was asked for, and only there. */
static void test_space(void)
{
    struct disk *disk = set_up(&(struct disk_options){.discard = true});

    if (!disk)
        return;
    fill_image();
    check_int(blocks_used(), SIZE);
    check_int(result_of(DISK_DISCARD, 0, SIZE / 4, false), 0);
    check_int(blocks_used(), SIZE * 3 / 4);
    check_int(result_of(DISK_WRITE_ZEROES, SIZE / 4, SIZE / 4, true), 0);
    check_int(blocks_used(), SIZE / 2);
    check_int(result_of(DISK_WRITE_ZEROES, SIZE / 2, SIZE / 2, false), 0);
    check_int(blocks_used(), SIZE / 2);
    check_int(result_of(DISK_WRITE_ZEROES, 0, 0, false), 0);
    check_int(result_of(DISK_DISCARD, 0, 0, false), 0);
    memset(model, 0, SIZE);
    read_back();
    tear_down();

    disk = set_up(&(struct disk_options){.discard = false});
    fill_image();
    check(!disk_discards(disk));
    check_int(result_of(DISK_DISCARD, 0, SIZE / 4, false), 0);
    check_int(result_of(DISK_WRITE_ZEROES, SIZE / 4, SIZE / 4, true), 0);
    check_int(blocks_used(), SIZE);
    memset(model + SIZE / 4, 0, SIZE / 4);
    read_back();
    tear_down();
}

/* A disk that says it is a device is asked with ioctls, which a file refuses: so zeroes are
 * written, and discards are let be. */
static void test_zeroes_by_hand(void)
{
    for (unsigned direct = 0; direct < 2; direct++) {
        struct disk *disk = set_up(&(struct disk_options){.discard = true, .direct = direct});

        if (!disk)
            return;
        fill_image();
        disk->is_device = true;
        check_int(result_of(DISK_DISCARD, 0, SIZE / 4, false), 0);
        check_int(result_of(DISK_WRITE_ZEROES, 512, SIZE / 2, false), 0);
        check_int(blocks_used(), SIZE);
        memset(model + 512, 0, SIZE / 2);
        read_back();
        tear_down();
    }
}

/* ---- what is canceled goes on later ---- */

#define SHARE (SIZE / DEPTH)

static void submit_slots(struct bench *b, int with_result)
{
    for (unsigned i = 0; i < DEPTH; i++) {
        struct slot *slot = &b->slots[i];

        if (slot->result != with_result)
            continue;
        slot->busy = true;
        disk_submit(b->queue, &slot->req);
    }
}

static unsigned count_slots(const struct bench *b, int with_result)
{
    unsigned count = 0;

    for (unsigned i = 0; i < DEPTH; i++)
        count += !b->slots[i].busy && b->slots[i].result == with_result;
    return count;
}

static void fill_slots(struct bench *b, uint32_t seed)
{
    for (unsigned i = 0; i < DEPTH; i++) {
        struct slot *slot = &b->slots[i];

        slot->len = SHARE;
        slot->result = 0;
        slot->req = (struct disk_request){
            .op = i % 3 ? DISK_WRITE : DISK_WRITE_ZEROES,
            .offset = (uint64_t)i * SHARE,
            .length = SHARE,
            .done = on_done,
        };
        memset(slot->data, (int)(seed + i), sizeof(slot->data));
        memset(model + i * SHARE, i % 3 ? (int)(seed + i) : 0, SHARE);
        if (i % 3)
            cut(b, slot);
    }
}

/* Before a commit nothing is begun with threads, and all of it comes back; after it, what was not
 * begun. */
static void cancel_and_go_on(void *opaque)
{
    struct bench *b = opaque;
    bool uring = b->disk->engine == DISK_ENGINE_IO_URING;

    disk_queue_cancel(b->queue); /* nothing to cancel */
    for (unsigned round = 0; round < 100 && !tap_failed_; round++) {
        fill_slots(b, round);
        check_int(disk_queue_start(b->queue, b->loop, on_batch, b, &err), 0);
        submit_slots(b, 0);
        if (round % 2)
            disk_commit(b->queue);
        disk_queue_cancel(b->queue);
        disk_queue_stop(b->queue);
        check_int(count_slots(b, 0) + count_slots(b, -ECANCELED), DEPTH);
        if (round % 2 == 0 && !uring)
            check_int(count_slots(b, -ECANCELED), DEPTH);
        check_int(disk_queue_start(b->queue, b->loop, on_batch, b, &err), 0);
        submit_slots(b, -ECANCELED);
        disk_commit(b->queue);
        disk_queue_stop(b->queue);
        check_int(count_slots(b, 0), DEPTH);
        read_back();
    }
}

static void test_cancel(void)
{
    static const enum disk_engine_kind kinds[] = {DISK_ENGINE_THREADS, DISK_ENGINE_IO_URING};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct disk *disk = set_up(&(struct disk_options){.engine = kinds[i]});
        struct disk_stats stats;

        if (!disk)
            return;
        disk->is_device = true; /* zeroes are written by hand */
        loop_call(benches[0].loop, cancel_and_go_on, &benches[0]);
        disk_get_stats(disk, &stats);
        check_int(stats.op[DISK_WRITE].operations + stats.op[DISK_WRITE_ZEROES].operations,
                  100 * DEPTH);
        check_int(stats.op[DISK_WRITE].bytes + stats.op[DISK_WRITE_ZEROES].bytes,
                  UINT64_C(100) * DEPTH * SHARE);
        check_int(stats.in_flight, 0);
        tear_down();
    }
}

/* ---- transfers that no one call carries ---- */

#define HUGE (2 * DISK_PIECE + 4096)

static struct disk_request huge;
static struct iovec huge_iov[2];
static int huge_result;

static void on_huge_done(struct disk_request *req, int result)
{
    (void)req;
    huge_result = result;
}

static void do_huge(void *opaque)
{
    struct bench *b = opaque;

    check_int(disk_queue_start(b->queue, b->loop, on_batch, b, &err), 0);
    disk_submit(b->queue, &huge);
    disk_commit(b->queue);
    disk_queue_cancel(b->queue);
    disk_queue_stop(b->queue);
    if (huge_result == -ECANCELED) {
        check_int(disk_queue_start(b->queue, b->loop, on_batch, b, &err), 0);
        disk_submit(b->queue, &huge);
        disk_queue_stop(b->queue);
    }
    check_int(huge_result, 0);
}

static void huge_transfer(enum disk_engine_kind engine, uint8_t *data, uint8_t *back)
{
    struct disk *disk = set_up(&(struct disk_options){.engine = engine});

    if (!disk)
        return;
    check_int(disk_resize(disk, HUGE, &err), 0);
    for (unsigned buffers = 1; buffers <= 2; buffers++) {
        for (size_t i = 0; i < HUGE; i++)
            data[i] = (uint8_t)(i / 4096 * buffers + i);
        memset(back, 0, HUGE);
        for (unsigned reads = 0; reads < 2; reads++) {
            uint8_t *buf = reads ? back : data;
            size_t first = buffers == 1 ? HUGE : 4096;

            huge_iov[0] = (struct iovec){buf, first};
            huge_iov[1] = (struct iovec){buf + first, HUGE - first};
            huge = (struct disk_request){
                .op = reads ? DISK_READ : DISK_WRITE,
                .length = HUGE,
                .iov = huge_iov,
                .iov_count = buffers,
                .done = on_huge_done,
            };
            loop_call(benches[0].loop, do_huge, &benches[0]);
        }
        check(memcmp(data, back, HUGE) == 0);
    }
    tear_down();
}

static void test_huge_transfers(void)
{
    uint8_t *data = xcalloc(2, HUGE);

    huge_transfer(DISK_ENGINE_THREADS, data, data + HUGE);
    huge_transfer(DISK_ENGINE_IO_URING, data, data + HUGE);
    free(data);
}

/* ---- a ring that the kernel takes nothing from ---- */

static int submit_error; /* 0: the library's own */

/* In the place of liburing's. */
int io_uring_submit(struct io_uring *ring)
{
    int (*real)(struct io_uring *) =
        (int (*)(struct io_uring *))(uintptr_t)dlsym(RTLD_NEXT, "io_uring_submit");

    return submit_error ? submit_error : real(ring);
}

static void test_ring_that_takes_nothing(void)
{
    static const int errors[] = {-EAGAIN, -ENOMEM, -EBUSY, 0};
    struct disk *disk = set_up(&(struct disk_options){.engine = DISK_ENGINE_IO_URING});

    if (!disk)
        return;
    fill_image();
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        submit_error = errors[i];
        check_int(result_of(DISK_READ, 512, 8192, false), 0);
        check_int(result_of(DISK_FLUSH, 0, 0, false), 0);
        submit_error = 0;
        check_int(result_of(DISK_READ, 512, 8192, false), 0);
    }
    read_back();
    tear_down();
}

/* ---- a process that is killed ---- */

static void submit_and_die(void *opaque)
{
    struct bench *b = opaque;

    check_int(disk_queue_start(b->queue, b->loop, on_batch, b, &err), 0);
    for (unsigned i = 0; i < DEPTH; i++) {
        struct slot *slot = &b->slots[i];

        slot->len = LARGEST / 2;
        slot->req = (struct disk_request){
            .op = i % 2 ? DISK_WRITE : DISK_READ,
            .offset = (uint64_t)i * slot->len,
            .length = slot->len,
            .done = on_done,
        };
        cut(b, slot);
        slot->busy = true;
        disk_submit(b->queue, &slot->req);
    }
    disk_commit(b->queue);
    (void)kill(getpid(), SIGKILL);
}

/* The lock is gone when the process is, so that the machine can be started again at once. */
static void test_lock_ends_with_the_process(void)
{
    make_image(SIZE);
    for (unsigned round = 0; round < 10; round++) {
        struct disk *disk;
        pid_t pid = fork();

        if (pid == 0) {
            set_up_queue(&benches[0], open_image(path, false), 0, 1);
            loop_call(benches[0].loop, submit_and_die, &benches[0]);
            _exit(1);
        }
        check_int(waitpid(pid, NULL, 0), pid);
        disk = open_image(path, false);
        if (!check(disk != NULL))
            printf("# %s\n", err.msg);
        disk_close(disk);
    }
    remove_image();
}

/* ---- a host without io_uring ---- */

/* Of this process from now on: the call fails as on a kernel that does not have it. */
static int forbid_io_uring(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void without_io_uring(void)
{
    struct disk *disk;

    if (!check_int(forbid_io_uring(), 0))
        return;
    disk = set_up(&(struct disk_options){.engine = DISK_ENGINE_AUTO});
    if (!check(disk != NULL))
        return;
    check_int(result_of(DISK_WRITE, 512, 4096, false), 0);
    check_int(result_of(DISK_READ, 512, 4096, false), 0);
    check_str(disk_engine_name(disk), "threads");
    tear_down();
    /* Who insists is told when the disk is opened. */
    make_image(SIZE);
    check(!disk_open(&(struct disk_options){.source = path, .engine = DISK_ENGINE_IO_URING}, &err));
    check(strstr(err.msg, "io_uring: Function not implemented") && strstr(err.msg, path));
    remove_image();
}

static void test_without_io_uring(void)
{
    pid_t pid;
    int status = -1;

    if (tap_skip_emulated("the emulator has no seccomp"))
        return;
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        without_io_uring();
        (void)fflush(stdout);
        _exit(tap_failed_);
    }
    check_int(waitpid(pid, &status, 0), pid);
    check_int(status, 0);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_random_traffic_threads),
        TAP(test_random_traffic_uring),
        TAP(test_direct_threads),
        TAP(test_direct_uring),
        TAP(test_direct_with_large_blocks),
        TAP(test_several_queues_threads),
        TAP(test_several_queues_uring),
        TAP(test_through_the_loop_threads),
        TAP(test_through_the_loop_uring),
        TAP(test_failed_flush),
        TAP(test_shrunken_image),
        TAP(test_space),
        TAP(test_zeroes_by_hand),
        TAP(test_cancel),
        TAP(test_huge_transfers),
        TAP(test_ring_that_takes_nothing),
        TAP(test_lock_ends_with_the_process),
        TAP(test_without_io_uring),
        {0},
    });
}
