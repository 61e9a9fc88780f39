/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-balloon (virtio 1.2, section 5.5). The machine says in config space how many pages it
 * wants back, the driver takes them from its guest and lists them in the inflate queue, and they
 * are given to the host. A page that leaves the balloon needs nothing of us: the host finds one
 * when it is touched. Free page reporting does the same for pages that the guest has no use for
 * just now.
 *
 * The driver may list any page as often as it likes, also pages that are in use: all that it can do
 * is to lose what was in its own memory. What it says about the balloon's size is told on, and
 * nothing relies on it.
 *
 * Statistics come in a buffer that the driver keeps in its queue: giving it back asks for new ones.
 * That is done by the clock, or when somebody looks at the last ones: whoever looks again and again
 * sees them move, and a guest that nobody looks at is left alone.
 *
 * Giving pages back takes time, and a list may have any length. So each round has a budget, and the
 * rest of a chain waits for the next one.
 */
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <time.h>

#include "vmm/virtio/device.h"
#include "vmm/virtio/devices.h"

#define QUEUE_SIZE 128

/* The first two are always there; the others follow in this order without gaps, those that were not
 * negotiated left out. */
#define INFLATE 0
#define DEFLATE 1

#define PAGE_SHIFT VIRTIO_BALLOON_PFN_SHIFT
/* What one round may cost: a run of pages is one, and each further 2 MiB of it another. */
#define BUDGET    4096u
#define COST_STEP (2 * MiB)
/* As many as Linux lists at once. */
#define PFNS 256
/* Who looks once a second, or about that often, finds new statistics each time; who looks more
 * often does not make the guest work more. */
#define STATS_FRESH_NS UINT64_C(500000000)
/* Entries of a statistics buffer that are looked at; there are 16 kinds. */
#define MAX_STATS 64

_Static_assert((int)VIRTIO_BALLOON_STATS >= (int)VIRTIO_BALLOON_S_NR, "all statistics there are");

struct virtio_balloon {
    struct virtio_device dev;
    struct virtq_chain chain;
    unsigned stats_queue; /* 0: this driver has none */
    unsigned report_queue;
    unsigned budget;   /* what is left of this round's */
    size_t inflated;   /* bytes of the first chain in the inflate queue that are done */
    unsigned reported; /* segments of the first chain in the reporting queue */

    /* The statistics buffer, while it is with us. */
    bool has_buffer;
    bool known; /* the next one was with us already, before a pause */
    uint16_t buffer;
    struct loop_timer timer;

    pthread_mutex_t lock; /* over the statistics */
    struct virtio_balloon_stats stats;

    /* The main thread's. */
    unsigned interval; /* seconds */
    uint64_t asked_ns; /* when somebody looked, and the guest was asked for that; 0: never yet */
};

static struct virtio_balloon *to_balloon(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_balloon, dev);
}

/* ---- giving pages back ---- */

/* False when it is not RAM. */
static bool release(struct virtio_balloon *balloon, uint64_t gpa, uint64_t len)
{
    uint64_t cost = 1 + len / COST_STEP;

    balloon->budget -= (unsigned)MIN(cost, balloon->budget);
    return memory_release_range(balloon->dev.mem, gpa, len) == 0;
}

static int compare_pfns(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Neighbours go together, in whatever order the driver found them. */
static bool release_pages(struct virtio_balloon *balloon, uint32_t *pfns, size_t count)
{
    size_t end;

    qsort(pfns, count, sizeof(*pfns), compare_pfns);
    for (size_t i = 0; i < count; i = end) {
        for (end = i + 1; end < count && pfns[end] - pfns[end - 1] <= 1; end++)
            ;
        if (!release(balloon, (uint64_t)pfns[i] << PAGE_SHIFT,
                     ((uint64_t)pfns[end - 1] - pfns[i] + 1) << PAGE_SHIFT))
            return false;
    }
    return true;
}

static bool inflate(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct virtio_balloon *balloon = to_balloon(dev);
    uint32_t pfns[PFNS];
    size_t count;

    while ((count = iov_read(chain->iov, chain->readable, balloon->inflated, pfns, sizeof(pfns)) /
                    sizeof(*pfns)) > 0) {
        if (balloon->budget == 0) {
            virtio_kick_again(dev, queue);
            return false;
        }
        if (!release_pages(balloon, pfns, count)) {
            virtio_device_fail(dev, "a page for the balloon that is not RAM");
            return true;
        }
        balloon->inflated += count * sizeof(*pfns);
    }
    balloon->inflated = 0;
    virtq_push(&dev->queues[queue], chain->head, 0);
    return true;
}

static bool deflate(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    virtq_push(&dev->queues[queue], chain->head, 0);
    return true;
}

/* ---- free page reporting ---- */

/* Where a buffer that a chain has is in the guest. */
static uint64_t gpa_of(const struct memory *mem, const struct iovec *part)
{
    const uint8_t *p = part->iov_base;

    for (unsigned i = 0; i < mem->count; i++) {
        const struct memory_region *r = &mem->regions[i];

        if (p >= r->host && p < r->host + r->size)
            return r->gpa + (uint64_t)(p - r->host);
    }
    return UINT64_MAX;
}

/* A guest that fills free pages with a pattern finds zeroes in those that came back from the host;
 * unless the pattern is zeroes, its pages are left as they are (5.5.6.7). */
static bool must_keep_pattern(struct virtio_device *dev)
{
    uint64_t offset = offsetof(struct virtio_balloon_config, poison_val);

    return virtio_has_feature(dev, VIRTIO_BALLOON_F_PAGE_POISON) &&
           virtio_device_read_config(dev, offset, sizeof(uint32_t)) != 0;
}

static bool report(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct virtio_balloon *balloon = to_balloon(dev);
    const struct iovec *parts = chain->iov + chain->readable;

    if (must_keep_pattern(dev))
        balloon->reported = chain->writable;
    for (; balloon->reported < chain->writable; balloon->reported++) {
        const struct iovec *part = &parts[balloon->reported];

        if (balloon->budget == 0) {
            virtio_kick_again(dev, queue);
            return false;
        }
        if (part->iov_len > 0)
            (void)release(balloon, gpa_of(dev->mem, part), part->iov_len);
    }
    balloon->reported = 0;
    virtq_push(&dev->queues[queue], chain->head, 0);
    return true;
}

/* ---- statistics ---- */

static struct virtio_balloon_stats no_stats(void)
{
    struct virtio_balloon_stats stats = {.updated = 0};

    for (unsigned i = 0; i < VIRTIO_BALLOON_STATS; i++)
        stats.values[i] = VIRTIO_BALLOON_STAT_UNKNOWN;
    return stats;
}

/* In one step: who asks meanwhile sees the old ones or the new ones, whole. */
static void set_stats(struct virtio_balloon *balloon, const struct virtio_balloon_stats *stats)
{
    pthread_mutex_lock(&balloon->lock);
    balloon->stats = *stats;
    pthread_mutex_unlock(&balloon->lock);
}

static void clear_stats(struct virtio_balloon *balloon)
{
    struct virtio_balloon_stats none = no_stats();

    set_stats(balloon, &none);
}

static void read_stats(struct virtio_balloon *balloon, const struct virtq_chain *chain)
{
    struct virtio_balloon_stats stats = no_stats();
    struct virtio_balloon_stat stat;
    size_t offset = 0;

    for (unsigned i = 0; i < MAX_STATS; i++) {
        if (iov_read(chain->iov, chain->readable, offset, &stat, sizeof(stat)) != sizeof(stat))
            break;
        offset += sizeof(stat);
        if (stat.tag < VIRTIO_BALLOON_STATS)
            stats.values[stat.tag] = stat.val;
    }
    stats.updated = time(NULL);
    set_stats(balloon, &stats);
}

static bool take_stats(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct virtio_balloon *balloon = to_balloon(dev);

    /* One buffer is all that a driver has; of several it gets the others back. */
    if (balloon->has_buffer)
        virtq_push(&dev->queues[queue], balloon->buffer, 0);
    balloon->has_buffer = true;
    balloon->buffer = chain->head;
    if (!balloon->known)
        read_stats(balloon, chain);
    balloon->known = false;
    return true;
}

/* Where the driver still has its buffer, statistics are on their way. */
static void request_stats(struct virtio_balloon *balloon)
{
    struct virtio_device *dev = &balloon->dev;

    if (!balloon->has_buffer)
        return;
    balloon->has_buffer = false;
    virtq_push(&dev->queues[balloon->stats_queue], balloon->buffer, 0);
    virtio_notify(dev, balloon->stats_queue);
}

static void on_timer(void *opaque)
{
    request_stats(opaque);
}

/* ---- life ---- */

static void balloon_kick(struct virtio_device *dev, unsigned queue)
{
    struct virtio_balloon *balloon = to_balloon(dev);

    balloon->budget = BUDGET;
    if (queue == INFLATE)
        virtio_serve(dev, queue, &balloon->chain, inflate);
    else if (queue == DEFLATE)
        virtio_serve(dev, queue, &balloon->chain, deflate);
    else if (queue == balloon->stats_queue)
        virtio_serve(dev, queue, &balloon->chain, take_stats);
    else if (queue == balloon->report_queue)
        virtio_serve(dev, queue, &balloon->chain, report);
}

static int balloon_activate(struct virtio_device *dev)
{
    struct virtio_balloon *balloon = to_balloon(dev);
    unsigned next = DEFLATE + 1;

    balloon->stats_queue = virtio_has_feature(dev, VIRTIO_BALLOON_F_STATS_VQ) ? next++ : 0;
    balloon->report_queue = virtio_has_feature(dev, VIRTIO_BALLOON_F_REPORTING) ? next++ : 0;
    return 0;
}

static void balloon_start(struct virtio_device *dev, unsigned worker)
{
    for (unsigned i = 0; i < dev->queue_count; i++)
        balloon_kick(dev, i);
}

/* The statistics buffer goes back to where it was, so that nothing of the ring is only in here. */
static void balloon_stop(struct virtio_device *dev, unsigned worker)
{
    struct virtio_balloon *balloon = to_balloon(dev);

    if (!balloon->has_buffer)
        return;
    virtq_unpop(&dev->queues[balloon->stats_queue], 1);
    balloon->has_buffer = false;
    balloon->known = true;
}

/* Writes one of the fields that are the driver's. True when that changed it. */
static bool store_config(struct virtio_device *dev, unsigned offset, uint32_t value)
{
    bool changed;

    pthread_mutex_lock(&dev->config_lock);
    changed = memcmp(dev->config + offset, &value, sizeof(value)) != 0;
    memcpy(dev->config + offset, &value, sizeof(value));
    pthread_mutex_unlock(&dev->config_lock);
    return changed;
}

static void balloon_write_config(struct virtio_device *dev, unsigned offset, const void *data,
                                 unsigned len)
{
    uint32_t value;

    if (len != sizeof(value))
        return;
    memcpy(&value, data, sizeof(value));
    if (offset == offsetof(struct virtio_balloon_config, actual)) {
        if (store_config(dev, offset, value))
            virtio_notice(dev, VIRTIO_NOTICE_BALLOON);
    } else if (offset == offsetof(struct virtio_balloon_config, poison_val)) {
        store_config(dev, offset, value);
    }
}

/* The balloon of a new driver is empty; what the machine wants of it stays. */
static void balloon_reset(struct virtio_device *dev)
{
    struct virtio_balloon *balloon = to_balloon(dev);

    balloon->inflated = 0;
    balloon->reported = 0;
    balloon->known = false; /* nor is there a buffer: balloon_stop() saw to that, for the timer */
    clear_stats(balloon);
    store_config(dev, offsetof(struct virtio_balloon_config, poison_val), 0);
    if (store_config(dev, offsetof(struct virtio_balloon_config, actual), 0))
        virtio_notice(dev, VIRTIO_NOTICE_BALLOON);
}

static void remove_timer(void *opaque)
{
    struct virtio_balloon *balloon = opaque;

    loop_timer_remove(virtio_loop(&balloon->dev, 0), &balloon->timer);
}

static void destroy(struct virtio_balloon *balloon)
{
    loop_timer_close(&balloon->timer);
    pthread_mutex_destroy(&balloon->lock);
    free(balloon);
}

static void balloon_free(struct virtio_device *dev)
{
    struct virtio_balloon *balloon = to_balloon(dev);

    loop_call(virtio_loop(dev, 0), remove_timer, balloon);
    virtio_device_release(dev);
    destroy(balloon);
}

static const struct virtio_type balloon_type = {
    .name = "virtio-balloon",
    .id = VIRTIO_ID_BALLOON,
    .queue_size = QUEUE_SIZE,
    .start = balloon_start,
    .kick = balloon_kick,
    .stop = balloon_stop,
    .reset = balloon_reset,
    .activate = balloon_activate,
    .write_config = balloon_write_config,
    .free = balloon_free,
};

struct virtio_device *virtio_balloon_new(const char *id, const struct memory *mem,
                                         struct loop *loop, bool deflate_on_oom,
                                         bool free_page_reporting, struct error *err)
{
    struct virtio_balloon *balloon = xcalloc(1, sizeof(*balloon));
    struct virtio_device *dev = &balloon->dev;
    struct virtio_shape shape = {
        .queues = 3,
        .loop = loop,
        .features = VIRTIO_FEATURE(VIRTIO_BALLOON_F_STATS_VQ),
    };

    if (deflate_on_oom)
        shape.features |= VIRTIO_FEATURE(VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
    if (free_page_reporting) {
        shape.queues++;
        shape.features |= VIRTIO_FEATURE(VIRTIO_BALLOON_F_REPORTING) |
                          VIRTIO_FEATURE(VIRTIO_BALLOON_F_PAGE_POISON);
    }
    pthread_mutex_init(&balloon->lock, NULL);
    balloon->timer = LOOP_TIMER_CLOSED;
    if (virtio_device_init(dev, &balloon_type, id, mem, &shape, err) < 0) {
        destroy(balloon);
        return NULL;
    }
    dev->config_size = sizeof(struct virtio_balloon_config);
    clear_stats(balloon);
    if (loop_timer_attach(loop, &balloon->timer, on_timer, balloon, err) < 0) {
        virtio_device_release(dev);
        destroy(balloon);
        return NULL;
    }
    return dev;
}

/* ---- the machine ---- */

static uint64_t all_pages(const struct virtio_device *dev)
{
    return MIN(dev->mem->size >> PAGE_SHIFT, UINT32_MAX);
}

void virtio_balloon_set_target(struct virtio_device *dev, uint64_t bytes)
{
    uint64_t pages = all_pages(dev);
    uint32_t wanted = (uint32_t)(pages - MIN(bytes >> PAGE_SHIFT, pages));

    virtio_set_config(dev, offsetof(struct virtio_balloon_config, num_pages), &wanted,
                      sizeof(wanted));
}

uint64_t virtio_balloon_actual(struct virtio_device *dev)
{
    uint64_t taken = virtio_device_read_config(dev, offsetof(struct virtio_balloon_config, actual),
                                               sizeof(uint32_t));

    return dev->mem->size - (MIN(taken, all_pages(dev)) << PAGE_SHIFT);
}

static void request_in_loop(void *opaque)
{
    request_stats(opaque);
}

/* For who looks next. */
static void refresh_stats(struct virtio_balloon *balloon)
{
    uint64_t now = monotonic_ns();

    if (balloon->interval > 0 ||
        (balloon->asked_ns != 0 && now - balloon->asked_ns < STATS_FRESH_NS))
        return;
    balloon->asked_ns = now;
    virtio_balloon_request_stats(&balloon->dev);
}

void virtio_balloon_stats(struct virtio_device *dev, struct virtio_balloon_stats *stats)
{
    struct virtio_balloon *balloon = to_balloon(dev);

    pthread_mutex_lock(&balloon->lock);
    *stats = balloon->stats;
    pthread_mutex_unlock(&balloon->lock);
    refresh_stats(balloon);
}

void virtio_balloon_request_stats(struct virtio_device *dev)
{
    virtio_device_call(dev, 0, request_in_loop, to_balloon(dev));
}

void virtio_balloon_set_stats_interval(struct virtio_device *dev, unsigned seconds)
{
    struct virtio_balloon *balloon = to_balloon(dev);
    uint64_t ns = seconds * UINT64_C(1000000000);

    balloon->interval = seconds;
    /* Fails for a descriptor that is no timer, or a time that is none. */
    (void)loop_timer_set(&balloon->timer, ns, ns);
    if (seconds > 0)
        virtio_balloon_request_stats(dev);
}

unsigned virtio_balloon_stats_interval(const struct virtio_device *dev)
{
    return container_of(dev, const struct virtio_balloon, dev)->interval;
}
