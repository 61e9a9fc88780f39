/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/backend/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "vmm/backend/disk_priv.h"

#define PAGE_SIZE      4096
#define MAX_BLOCK_SIZE (64 * KiB)

/* ---- opening ---- */

static int look_at_image(struct disk *disk, struct error *err)
{
    struct stat st;
    int mode;

    if (fstat(disk->fd, &st) < 0)
        return error_set_errno(err, errno, "look at disk `%s`", disk->name);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return error_set(err, "disk `%s` is neither a file nor a block device", disk->name);
    /* An inherited descriptor may be open for less than we want. */
    mode = fcntl(disk->fd, F_GETFL) & O_ACCMODE;
    if (mode == O_WRONLY || (!disk->readonly && mode != O_RDWR))
        return error_set(err, "disk `%s` is not open for %s", disk->name,
                         disk->readonly ? "reading" : "reading and writing");
    disk->is_device = S_ISBLK(st.st_mode);
    return 0;
}

static bool is_power_of_two(uint32_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static bool is_block_size(uint32_t size)
{
    return is_power_of_two(size) && size >= DISK_SECTOR && size <= MAX_BLOCK_SIZE;
}

static void find_geometry(struct disk *disk)
{
    struct disk_geometry *g = &disk->geometry;
    unsigned physical = 0;
    unsigned optimal = 0;
    int logical = 0;

    /* A file has no sectors. It is kept in pages, by the host's cache and mostly on its disk. */
    *g = (struct disk_geometry){.logical_block = DISK_SECTOR, .physical_block = PAGE_SIZE};
    if (!disk->is_device)
        return;
    if (ioctl(disk->fd, BLKSSZGET, &logical) == 0 && is_block_size((uint32_t)MAX(logical, 0)))
        g->logical_block = (uint32_t)logical;
    g->physical_block = g->logical_block;
    if (ioctl(disk->fd, BLKPBSZGET, &physical) == 0 && is_block_size(physical))
        g->physical_block = MAX(g->logical_block, physical);
    if (ioctl(disk->fd, BLKIOOPT, &optimal) == 0)
        g->optimal_io = (uint32_t)ALIGN_DOWN((uint64_t)optimal, g->logical_block);
}

/* On a kernel that does not tell: the smallest block that can be read directly. */
static uint32_t try_alignment(const struct disk *disk)
{
    void *buf = NULL;
    uint32_t found = 0;

    if (posix_memalign(&buf, MAX_BLOCK_SIZE, MAX_BLOCK_SIZE) != 0)
        return 0;
    for (uint32_t size = DISK_SECTOR; size <= MAX_BLOCK_SIZE && !found; size *= 2)
        if (pread(disk->fd, buf, size, 0) >= 0)
            found = size;
    free(buf);
    return found;
}

static int find_alignment(struct disk *disk, struct error *err)
{
    struct statx stx = {0};
    uint32_t alignment;
    uint32_t mem_alignment;

    if (statx(disk->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
        (stx.stx_mask & STATX_DIOALIGN)) {
        alignment = stx.stx_dio_offset_align;
        mem_alignment = stx.stx_dio_mem_align;
    } else {
        alignment = try_alignment(disk);
        mem_alignment = alignment;
    }
    /* All there is comes in sectors: what is less never matters. */
    if (!is_power_of_two(alignment) || !is_power_of_two(mem_alignment) ||
        MAX(alignment, mem_alignment) > MAX_BLOCK_SIZE)
        return error_set(err, "disk `%s` cannot be used with direct I/O", disk->name);
    disk->alignment = MAX(alignment, (uint32_t)DISK_SECTOR);
    disk->mem_alignment = mem_alignment;
    disk->geometry.physical_block = MAX(disk->geometry.physical_block, disk->alignment);
    return 0;
}

/* An inherited descriptor may have been given any flags. */
static int set_mode(struct disk *disk, struct error *err)
{
    int flags = fcntl(disk->fd, F_GETFL) & ~(O_NONBLOCK | O_DIRECT | O_APPEND);

    if (fcntl(disk->fd, F_SETFL, flags | (disk->direct ? O_DIRECT : 0)) < 0) {
        if (disk->direct && errno == EINVAL)
            return error_set(err, "disk `%s` cannot be used with direct I/O", disk->name);
        return error_set_errno(err, errno, "set the mode of disk `%s`", disk->name);
    }
    return disk->direct ? find_alignment(disk, err) : 0;
}

static int check_blocks(const struct disk *disk, uint64_t size, struct error *err)
{
    if (size % disk->alignment == 0)
        return 0;
    return error_set(err,
                     "disk `%s` has %" PRIu64 " bytes, which are not whole blocks of %" PRIu32
                     ", as direct I/O needs",
                     disk->name, size, disk->alignment);
}

static int find_size(const struct disk *disk, uint64_t *size, struct error *err)
{
    off_t end = lseek(disk->fd, 0, SEEK_END);

    if (end < 0)
        return error_set_errno(err, errno, "find the size of disk `%s`", disk->name);
    if ((uint64_t)end < DISK_SECTOR)
        return error_set(err, "disk `%s` is empty", disk->name);
    *size = ALIGN_DOWN((uint64_t)end, DISK_SECTOR);
    return check_blocks(disk, *size, err);
}

/* Who hands a descriptor over has locked it in his own way, which may share the image with others:
 * this lock would take the place of his. */
static int lock_image(const struct disk *disk, struct error *err)
{
    return spec_is_fd(disk->name) ? 0 : disk_lock_image(disk->fd, disk->readonly, disk->name, err);
}

struct disk *disk_open(const struct disk_options *options, struct error *err)
{
    struct disk *disk;
    int fd =
        open_path_or_fd(options->source, (options->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC, err);

    if (fd < 0) {
        error_prefix(err, "disk");
        return NULL;
    }
    disk = xcalloc(1, sizeof(*disk));
    *disk = (struct disk){
        .fd = fd,
        .readonly = options->readonly,
        .direct = options->direct,
        .discard = options->discard && !options->readonly,
        .engine = options->engine,
        .alignment = DISK_SECTOR,
        .mem_alignment = 1,
        .name = xstrdup(options->source),
        .engine_name = "",
    };
    pthread_mutex_init(&disk->lock, NULL);
    pthread_mutex_init(&disk->rmw_lock, NULL);
    disk_pool_init(&disk->pool);
    if (look_at_image(disk, err) < 0 || lock_image(disk, err) < 0)
        goto fail;
    find_geometry(disk);
    if (set_mode(disk, err) < 0 || find_size(disk, &disk->size, err) < 0)
        goto fail;
    /* Who insists on it learns at once that it cannot be had. */
    if (disk->engine == DISK_ENGINE_IO_URING && disk_uring_probe(err) < 0) {
        error_prefix(err, "disk `%s`", disk->name);
        goto fail;
    }
    return disk;
fail:
    disk_close(disk);
    return NULL;
}

void disk_close(struct disk *disk)
{
    if (!disk)
        return;
    disk_pool_release(&disk->pool);
    pthread_mutex_destroy(&disk->rmw_lock);
    pthread_mutex_destroy(&disk->lock);
    close(disk->fd);
    free(disk->name);
    free(disk);
}

/* ---- what it is ---- */

uint64_t disk_size(const struct disk *disk)
{
    return __atomic_load_n(&disk->size, __ATOMIC_RELAXED);
}

bool disk_readonly(const struct disk *disk)
{
    return disk->readonly;
}

bool disk_discards(const struct disk *disk)
{
    return disk->discard;
}

const struct disk_geometry *disk_geometry(const struct disk *disk)
{
    return &disk->geometry;
}

const char *disk_engine_name(struct disk *disk)
{
    const char *name;

    pthread_mutex_lock(&disk->lock);
    name = disk->engine_name;
    pthread_mutex_unlock(&disk->lock);
    return name;
}

static int grow_file(const struct disk *disk, uint64_t size, struct error *err)
{
    int r;

    if (size < disk_size(disk))
        return error_set(err, "disk `%s` can be made larger than %" PRIu64 " bytes, not smaller",
                         disk->name, disk_size(disk));
    if (disk->readonly)
        return error_set(err, "disk `%s` is read-only", disk->name);
    if (size > INT64_MAX)
        return error_set_errno(err, EFBIG, "make disk `%s` larger", disk->name);
    do
        r = ftruncate(disk->fd, (off_t)size);
    while (r < 0 && errno == EINTR);
    return r < 0 ? error_set_errno(err, errno, "make disk `%s` larger", disk->name) : 0;
}

int disk_resize(struct disk *disk, uint64_t size, struct error *err)
{
    uint64_t actual = 0;

    if (size % disk->geometry.logical_block != 0)
        return error_set(err, "the size of disk `%s` has to be whole blocks of %" PRIu32 " bytes",
                         disk->name, disk->geometry.logical_block);
    if (check_blocks(disk, size, err) < 0 || find_size(disk, &actual, err) < 0)
        return -1;
    if (disk->is_device) {
        if (size > actual)
            return error_set(err, "disk `%s` is a device of %" PRIu64 " bytes", disk->name, actual);
        size = actual;
    } else if (size < disk_size(disk) || size > actual) {
        /* Somebody who made the file larger already needs nothing but that we see it. */
        if (grow_file(disk, size, err) < 0)
            return -1;
    }
    __atomic_store_n(&disk->size, size, __ATOMIC_RELAXED);
    return 0;
}

/* ---- counting: a queue's counters have one writer, so that no lock is taken ---- */

static void count(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static uint64_t now(struct disk_queue *queue)
{
    if (!queue->now_ns)
        queue->now_ns = monotonic_ns();
    return queue->now_ns;
}

static void count_done(const struct disk_request *req, int result)
{
    struct disk_stats *stats = &req->queue->stats;
    struct disk_op_stats *op = &stats->op[req->op];
    uint64_t len = result == -ECANCELED ? req->progress : req->length;
    uint64_t end = req->offset + len;

    count(&stats->in_flight, UINT64_MAX);
    if (result < 0 && result != -ECANCELED) {
        count(&op->failed, 1);
        return;
    }
    /* One that was canceled comes again, for the rest. */
    count(&op->operations, result == 0);
    count(&op->bytes, len);
    count(&op->total_time_ns, now(req->queue) - req->start_ns);
    if (len > 0 && req->op == DISK_WRITE && end > stats->write_highest_offset)
        __atomic_store_n(&stats->write_highest_offset, end, __ATOMIC_RELAXED);
}

static uint64_t get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void add_stats(struct disk_stats *sum, const struct disk_stats *stats)
{
    for (unsigned i = 0; i < DISK_OPS; i++) {
        sum->op[i].operations += get(&stats->op[i].operations);
        sum->op[i].failed += get(&stats->op[i].failed);
        sum->op[i].bytes += get(&stats->op[i].bytes);
        sum->op[i].total_time_ns += get(&stats->op[i].total_time_ns);
    }
    sum->write_highest_offset = MAX(sum->write_highest_offset, get(&stats->write_highest_offset));
    sum->in_flight += get(&stats->in_flight);
}

void disk_get_stats(struct disk *disk, struct disk_stats *stats)
{
    pthread_mutex_lock(&disk->lock);
    *stats = disk->past;
    for (const struct disk_queue *queue = disk->queues; queue; queue = queue->next)
        add_stats(stats, &queue->stats);
    pthread_mutex_unlock(&disk->lock);
}

/* ---- queues ---- */

struct disk_queue *disk_queue_new(struct disk *disk)
{
    struct disk_queue *queue = xcalloc(1, sizeof(*queue));

    queue->disk = disk;
    queue->pool_fd = -1;
    queue->gathered_tail = &queue->gathered;
    pthread_mutex_lock(&disk->lock);
    queue->next = disk->queues;
    disk->queues = queue;
    pthread_mutex_unlock(&disk->lock);
    return queue;
}

void disk_queue_free(struct disk_queue *queue)
{
    struct disk_queue **p;

    if (!queue)
        return;
    pthread_mutex_lock(&queue->disk->lock);
    for (p = &queue->disk->queues; *p != queue; p = &(*p)->next)
        ;
    *p = queue->next;
    add_stats(&queue->disk->past, &queue->stats);
    pthread_mutex_unlock(&queue->disk->lock);
    free(queue);
}

/* The engines in the order in which they are tried; the last one works everywhere. */
static const struct {
    enum disk_engine_kind kind;
    const struct disk_engine *engine;
} engines[] = {
    {DISK_ENGINE_IO_URING, &disk_engine_uring},
    {DISK_ENGINE_THREADS, &disk_engine_threads},
};

static int start_engine(struct disk_queue *queue, struct error *err)
{
    struct disk *disk = queue->disk;

    for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
        if (disk->engine != DISK_ENGINE_AUTO && disk->engine != engines[i].kind)
            continue;
        if (engines[i].engine->start(queue, err) < 0)
            continue;
        queue->engine = engines[i].engine;
        pthread_mutex_lock(&disk->lock);
        disk->engine_name = queue->engine->name;
        pthread_mutex_unlock(&disk->lock);
        return 0;
    }
    return error_prefix(err, "disk `%s`", disk->name);
}

int disk_queue_start(struct disk_queue *queue, struct loop *loop, void (*batch_done)(void *opaque),
                     void *opaque, struct error *err)
{
    queue->loop = loop;
    queue->batch_done = batch_done;
    queue->opaque = opaque;
    __atomic_store_n(&queue->canceled, false, __ATOMIC_RELAXED);
    if (disk_pool_start(queue, err) < 0)
        return -1;
    if (start_engine(queue, err) < 0) {
        disk_pool_stop(queue);
        return -1;
    }
    return 0;
}

void disk_queue_cancel(struct disk_queue *queue)
{
    if (!queue->engine)
        return;
    __atomic_store_n(&queue->canceled, true, __ATOMIC_RELAXED);
    disk_pool_cancel(queue);
}

void disk_queue_stop(struct disk_queue *queue)
{
    if (!queue->engine)
        return;
    /* What the one has done may have more to do for the other. */
    while (get(&queue->stats.in_flight) > 0) {
        queue->engine->drain(queue);
        disk_pool_drain(queue);
    }
    disk_batch_end(queue);
    queue->engine->stop(queue);
    queue->engine = NULL;
    disk_pool_stop(queue);
}

void disk_submit(struct disk_queue *queue, struct disk_request *req)
{
    req->queue = queue;
    req->progress = 0;
    req->start_ns = now(queue);
    count(&queue->stats.in_flight, 1);
    queue->engine->submit(queue, req);
}

void disk_commit(struct disk_queue *queue)
{
    queue->now_ns = 0;
    queue->engine->commit(queue);
}

/*
 * A flush that failed leaves pages in the host's cache that were not written and pass for written:
 * the next one would succeed, and the data be gone. So from then on all of them fail. Direct I/O
 * has no such pages.
 */
static int flush_result(struct disk *disk, int result)
{
    int none = 0;

    if (disk->direct)
        return result;
    if (result < 0)
        __atomic_compare_exchange_n(&disk->flush_error, &none, result, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
    return __atomic_load_n(&disk->flush_error, __ATOMIC_RELAXED);
}

void disk_request_done(struct disk_request *req, int result)
{
    if (result == -ECANCELED && !disk_queue_is_canceled(req->queue))
        result = -EIO; /* the host's word, not ours */
    if (req->op == DISK_FLUSH && result != -ECANCELED)
        result = flush_result(req->queue->disk, result);
    count_done(req, result);
    if (result == -ECANCELED) {
        req->offset += req->progress;
        req->length -= req->progress;
        req->progress = 0;
    }
    req->done(req, result);
}

void disk_batch_end(struct disk_queue *queue)
{
    queue->now_ns = 0;
    queue->batch_done(queue->opaque);
}

bool disk_request_advance(struct disk_request *req, uint64_t len)
{
    req->progress += len;
    while (req->iov_count > 0 && len >= req->iov->iov_len) {
        len -= req->iov->iov_len;
        req->iov++;
        req->iov_count--;
    }
    if (req->iov_count == 0)
        return false;
    req->iov->iov_base = (uint8_t *)req->iov->iov_base + len;
    req->iov->iov_len -= len;
    return true;
}

unsigned disk_request_piece(const struct disk_request *req)
{
    uint64_t len = req->iov->iov_len;
    unsigned count = 1;

    while (count < MIN(req->iov_count, (unsigned)IOV_MAX) &&
           len + req->iov[count].iov_len <= DISK_PIECE)
        len += req->iov[count++].iov_len;
    return count;
}
