/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pool of threads, and the engine that leaves everything to it, for hosts without io_uring.
 *
 * A queue gathers its jobs, and at the commit puts them behind the jobs that the pool has, under
 * one lock. What is done is put on its queue's list; an eventfd in the queue's loop tells of the
 * first one on it, so that what is done meanwhile is given back in one batch.
 */
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "vmm/backend/disk_priv.h"

void disk_pool_init(struct disk_pool *pool)
{
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->jobs_tail = &pool->jobs;
}

void disk_pool_release(struct disk_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->quit = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
}

/* ---- the threads ---- */

static struct disk_request *take_job_locked(struct disk_pool *pool)
{
    struct disk_request *req = pool->jobs;

    if (!req)
        return NULL;
    pool->jobs = req->next;
    pool->job_count--;
    if (!pool->jobs)
        pool->jobs_tail = &pool->jobs;
    return req;
}

/* All of it under the lock: without it the queue may take its request, stop and be gone. */
static void give_back_locked(struct disk_pool *pool, struct disk_request *req)
{
    struct disk_queue *queue = req->queue;

    if (!queue->pool_done)
        (void)eventfd_write(queue->pool_fd, 1);
    req->next = queue->pool_done;
    queue->pool_done = req;
    pthread_cond_broadcast(&pool->done);
}

static void *pool_main(void *opaque)
{
    struct disk *disk = opaque;
    struct disk_pool *pool = &disk->pool;
    struct disk_request *req;

    pthread_mutex_lock(&pool->lock);
    pool->idle--;
    for (;;) {
        while (!pool->jobs && !pool->quit) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->idle--;
        }
        req = take_job_locked(pool);
        if (!req)
            break;
        pthread_mutex_unlock(&pool->lock);
        req->result = disk_do_blocking(disk, req);
        pthread_mutex_lock(&pool->lock);
        give_back_locked(pool, req);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static int add_thread_locked(struct disk *disk)
{
    struct disk_pool *pool = &disk->pool;
    pthread_t *thread = &pool->threads[pool->thread_count];
    sigset_t all;
    sigset_t saved;
    int r;

    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    r = pthread_create(thread, NULL, pool_main, disk);
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    if (r != 0)
        return -r;
    (void)pthread_setname_np(*thread, "vole-disk");
    pool->thread_count++;
    pool->idle++; /* until it runs, so that it is counted on */
    return 0;
}

/* ---- a queue's side ---- */

static void finish_done(struct disk_queue *queue)
{
    struct disk_pool *pool = &queue->disk->pool;
    struct disk_request *req;

    pthread_mutex_lock(&pool->lock);
    req = queue->pool_done;
    queue->pool_done = NULL;
    pthread_mutex_unlock(&pool->lock);
    while (req) {
        struct disk_request *next = req->next;

        queue->pool_in_flight--;
        disk_request_done(req, req->result);
        req = next;
    }
}

static void on_pool_done(void *opaque, uint32_t events)
{
    struct disk_queue *queue = opaque;
    eventfd_t count;

    (void)events;
    (void)eventfd_read(queue->pool_fd, &count);
    finish_done(queue);
    queue->engine->commit(queue); /* what a `done` submitted */
    disk_batch_end(queue);
}

int disk_pool_start(struct disk_queue *queue, struct error *err)
{
    queue->pool_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->pool_fd < 0)
        return error_set_errno(err, errno, "make an eventfd for disk `%s`", queue->disk->name);
    if (loop_add(queue->loop, &queue->pool_watch, queue->pool_fd, EPOLLIN, on_pool_done, queue,
                 err) < 0) {
        close(steal_fd(&queue->pool_fd));
        return -1;
    }
    return 0;
}

void disk_pool_stop(struct disk_queue *queue)
{
    loop_remove(queue->loop, &queue->pool_watch);
    close(steal_fd(&queue->pool_fd));
}

void disk_pool_submit(struct disk_queue *queue, struct disk_request *req)
{
    req->next = NULL;
    *queue->gathered_tail = req;
    queue->gathered_tail = &req->next;
    queue->pool_in_flight++;
    queue->gathered_count++;
}

void disk_pool_commit(struct disk_queue *queue)
{
    struct disk *disk = queue->disk;
    struct disk_pool *pool = &disk->pool;
    int r = 0;

    if (!queue->gathered)
        return;
    pthread_mutex_lock(&pool->lock);
    *pool->jobs_tail = queue->gathered;
    pool->jobs_tail = queue->gathered_tail;
    pool->job_count += queue->gathered_count;
    while (r == 0 && pool->job_count > pool->idle && pool->thread_count < DISK_POOL_THREADS)
        r = add_thread_locked(disk);
    for (unsigned i = 0; i < MIN(pool->idle, queue->gathered_count); i++)
        pthread_cond_signal(&pool->work);
    /* Fewer threads than we wanted will do, none will not. */
    while (pool->thread_count == 0 && pool->jobs) {
        struct disk_request *req = take_job_locked(pool);

        req->result = r;
        give_back_locked(pool, req);
    }
    pthread_mutex_unlock(&pool->lock);
    queue->gathered = NULL;
    queue->gathered_tail = &queue->gathered;
    queue->gathered_count = 0;
}

void disk_pool_cancel(struct disk_queue *queue)
{
    struct disk_pool *pool = &queue->disk->pool;
    struct disk_request **p = &pool->jobs;
    struct disk_request *req;

    pthread_mutex_lock(&pool->lock);
    while ((req = *p)) {
        if (req->queue != queue) {
            p = &req->next;
            continue;
        }
        *p = req->next;
        pool->job_count--;
        req->result = -ECANCELED;
        give_back_locked(pool, req);
    }
    pool->jobs_tail = p;
    pthread_mutex_unlock(&pool->lock);
}

void disk_pool_drain(struct disk_queue *queue)
{
    struct disk_pool *pool = &queue->disk->pool;

    while (queue->pool_in_flight > 0) {
        disk_pool_commit(queue);
        pthread_mutex_lock(&pool->lock);
        while (!queue->pool_done)
            pthread_cond_wait(&pool->done, &pool->lock);
        pthread_mutex_unlock(&pool->lock);
        finish_done(queue);
    }
}

/* ---- the engine ---- */

static int threads_start(struct disk_queue *queue, struct error *err)
{
    (void)queue;
    (void)err;
    return 0;
}

static void threads_stop(struct disk_queue *queue)
{
    (void)queue;
}

static void threads_drain(struct disk_queue *queue)
{
    (void)queue; /* has nothing but what is with the pool */
}

const struct disk_engine disk_engine_threads = {
    .name = "threads",
    .start = threads_start,
    .stop = threads_stop,
    .submit = disk_pool_submit,
    .commit = disk_pool_commit,
    .drain = threads_drain,
};
