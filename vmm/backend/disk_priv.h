/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the disk's parts share; for disk*.c and their tests only. */
#ifndef VOLE_BACKEND_DISK_PRIV_H
#define VOLE_BACKEND_DISK_PRIV_H

#include <pthread.h>

#include "vmm/backend/disk.h"

#define DISK_POOL_THREADS 8
/* What one call carries at most, so that to wait for it is bearable; more than any driver asks for
 * that we know. */
#define DISK_PIECE (4 * MiB)

/*
 * The threads of a disk that do what may wait. Jobs are done in the order in which they come, by as
 * many threads as there are jobs, up to the limit; threads are made when they are first needed.
 */
struct disk_pool {
    pthread_mutex_t lock; /* over all below, and each queue's `pool_done` */
    pthread_cond_t work;
    pthread_cond_t done; /* a job of somebody's is done */
    struct disk_request *jobs;
    struct disk_request **jobs_tail;
    unsigned job_count; /* that no thread has taken yet */
    pthread_t threads[DISK_POOL_THREADS];
    unsigned thread_count;
    unsigned idle; /* threads that wait for work, or are about to look for it */
    bool quit;
};

struct disk {
    int fd;
    bool readonly;
    bool direct;
    bool discard;
    bool is_device; /* a block device, not a file */
    enum disk_engine_kind engine;
    struct disk_geometry geometry;
    char *name;             /* the source, for messages */
    uint32_t alignment;     /* direct: of offsets and lengths in the image */
    uint32_t mem_alignment; /* direct: of buffers */
    uint64_t size;          /* bytes; atomic */
    int flush_error;        /* of the first flush that failed, 0 while none has; atomic */

    struct disk_pool pool;
    pthread_mutex_t rmw_lock; /* direct: over reading a block, changing a part,
                                 writing it back */

    pthread_mutex_t lock;      /* over all below */
    struct disk_queue *queues; /* that there are */
    struct disk_stats past;    /* of those that were */
    const char *engine_name;
};

/* A way to get a queue's requests done. All calls come from the thread of the queue's loop. */
struct disk_engine {
    const char *name;
    int (*start)(struct disk_queue *queue, struct error *err); /* -1: the host does not have it */
    void (*stop)(struct disk_queue *queue);                    /* nothing is in flight */
    void (*submit)(struct disk_queue *queue, struct disk_request *req);
    void (*commit)(struct disk_queue *queue);
    void (*drain)(struct disk_queue *queue); /* waits for all that the engine itself has */
};

extern const struct disk_engine disk_engine_uring;
extern const struct disk_engine disk_engine_threads;

struct disk_queue {
    struct disk *disk;
    struct disk_queue *next;          /* in disk->queues */
    const struct disk_engine *engine; /* NULL while stopped */
    void *engine_state;
    struct loop *loop;
    void (*batch_done)(void *opaque);
    void *opaque;
    uint64_t now_ns;         /* of this batch; 0: not looked at the clock yet */
    struct disk_stats stats; /* written by the queue's thread alone, atomic for readers */
    bool canceled;           /* until the next start; atomic */

    /* What is with the pool. */
    struct loop_watch pool_watch;
    int pool_fd;                   /* eventfd: `pool_done` is not empty */
    unsigned pool_in_flight;       /* gathered, or given to the pool */
    struct disk_request *gathered; /* since the last commit */
    struct disk_request **gathered_tail;
    unsigned gathered_count;
    struct disk_request *pool_done; /* under the pool's lock */
};

/* ---- disk.c ---- */

/* Counts, and calls `done`. */
void disk_request_done(struct disk_request *req, int result);
/* After one or more of them. */
void disk_batch_end(struct disk_queue *queue);
/* Takes `len` transferred bytes off a request. Returns whether something is left to do. */
bool disk_request_advance(struct disk_request *req, uint64_t len);
/* How many buffers of a transfer the next call carries; of a single one at most DISK_PIECE. There
 * is one. */
unsigned disk_request_piece(const struct disk_request *req);
/* From any thread: what is not begun any more comes back with -ECANCELED. */
static inline bool disk_queue_is_canceled(const struct disk_queue *queue)
{
    return __atomic_load_n(&queue->canceled, __ATOMIC_RELAXED);
}

/* ---- disk_lock.c ---- */

/* Keeps others off the image for as long as it is open. */
int disk_lock_image(int fd, bool readonly, const char *source, struct error *err);

/* ---- disk_uring.c ---- */

/* Whether the host has io_uring. 0, or -1 with `err`. */
int disk_uring_probe(struct error *err);

/* ---- disk_blocking.c: in any thread ---- */

/* Whether the kernel takes the transfer as it is: always, but for direct I/O that is not aligned.
 * */
bool disk_transfer_is_straight(const struct disk *disk, const struct disk_request *req);
/* Does the request, or what is left of it. 0, or a negative errno. */
int disk_do_blocking(struct disk *disk, struct disk_request *req);

/* ---- disk_threads.c ---- */

void disk_pool_init(struct disk_pool *pool);
/* No job is left. */
void disk_pool_release(struct disk_pool *pool);
int disk_pool_start(struct disk_queue *queue, struct error *err);
void disk_pool_stop(struct disk_queue *queue);
void disk_pool_submit(struct disk_queue *queue, struct disk_request *req);
void disk_pool_commit(struct disk_queue *queue);
/* Gives back what no thread has begun. */
void disk_pool_cancel(struct disk_queue *queue);
void disk_pool_drain(struct disk_queue *queue);

#endif
