/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disk images: the same random traffic of all operations through each engine, cached and direct,
 * against a copy kept in memory; several queues at once; cancels.
 */
#include "tests/unit/disk-bench.h"

#include <errno.h>

/* ---- traffic ---- */

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
        TAP(test_cancel),
        {0},
    });
}
