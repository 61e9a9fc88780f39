/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The transport's registers as a driver, honest or not, uses them. */
#include "tests/unit/tap.h"
#include "vmm/virtio/mmio.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <sys/resource.h>

#define RAM          (64 * KiB)
#define QUEUES       2
#define FAKE_FEATURE 5 /* a feature of the device type's */
#define STATUS_UP_TO_FEATURES \
    (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)

struct fake {
    struct virtio_device dev;
    int starts, stops, kicks, resets, activations;
};

static struct fake *to_fake(struct virtio_device *dev)
{
    return container_of(dev, struct fake, dev);
}

static void fake_start(struct virtio_device *dev, unsigned worker)
{
    (void)worker;
    __atomic_fetch_add(&to_fake(dev)->starts, 1, __ATOMIC_RELAXED);
}

static void fake_stop(struct virtio_device *dev, unsigned worker)
{
    (void)worker;
    __atomic_fetch_add(&to_fake(dev)->stops, 1, __ATOMIC_RELAXED);
}

static void fake_kick(struct virtio_device *dev, unsigned queue)
{
    (void)queue;
    __atomic_fetch_add(&to_fake(dev)->kicks, 1, __ATOMIC_RELAXED);
}

static void fake_reset(struct virtio_device *dev)
{
    to_fake(dev)->resets++;
}

static int fake_activate(struct virtio_device *dev)
{
    to_fake(dev)->activations++;
    return 0;
}

/* One byte can be written by the driver, the others cannot. */
static void fake_write_config(struct virtio_device *dev, unsigned offset, const void *data,
                              unsigned len)
{
    if (offset == 0 && len == 1)
        dev->config[0] = *(const uint8_t *)data;
}

static void fake_free(struct virtio_device *dev)
{
    virtio_device_release(dev);
}

static const struct virtio_type fake_type = {
    .name = "virtio-fake",
    .id = 42,
    .queue_size = 64,
    .start = fake_start,
    .stop = fake_stop,
    .kick = fake_kick,
    .reset = fake_reset,
    .activate = fake_activate,
    .write_config = fake_write_config,
    .free = fake_free,
};

struct bench {
    struct memory mem;
    struct loop *loop;
    struct fake fake;
    struct irq_line irq;
    struct virtio_mmio *mmio;
    struct bus bus;
};

static void set_up_shape(struct bench *b, unsigned workers)
{
    struct virtio_shape shape = {
        .queues = QUEUES,
        .workers = workers,
        .features = VIRTIO_FEATURE(FAKE_FEATURE),
    };
    const uint64_t base = 0xd0000000;
    struct memory_region region = {.gpa = 0, .size = RAM};
    struct error err;

    memset(b, 0, sizeof(*b));
    check(memory_init(&b->mem, &region, 1, NULL, &err) == 0);
    b->loop = loop_thread_start("test", &err);
    check(b->loop != NULL);
    shape.loop = workers == 1 ? b->loop : NULL;
    check(virtio_device_init(&b->fake.dev, &fake_type, "fake0", &b->mem, &shape, &err) == 0);
    for (unsigned i = 0; i < QUEUES; i++)
        b->fake.dev.watches[i].worker = i % workers;
    memcpy(b->fake.dev.config, "configuration!", 14);
    b->fake.dev.config_size = 14;
    check(irq_line_init(&b->irq, 16, &err) == 0);
    b->mmio = virtio_mmio_new(&b->fake.dev, base, &b->irq);
    check(bus_add(&b->bus, base, VIRTIO_MMIO_SIZE, 0, virtio_mmio_bus_device(b->mmio), &err) == 0);
}

static void set_up(struct bench *b)
{
    set_up_shape(b, 1);
}

static void tear_down(struct bench *b)
{
    virtio_mmio_free(b->mmio);
    irq_line_close(&b->irq);
    loop_thread_stop(b->loop);
    memory_release(&b->mem);
}

static uint32_t rd(struct bench *b, uint64_t reg)
{
    return (uint32_t)bus_read(&b->bus, 0xd0000000 + reg, 4);
}

static void wr(struct bench *b, uint64_t reg, uint32_t value)
{
    bus_write(&b->bus, 0xd0000000 + reg, value, 4);
}

static void ack_features(struct bench *b, uint64_t features)
{
    wr(b, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    wr(b, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
    wr(b, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    wr(b, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static void set_queue(struct bench *b, uint32_t queue, uint32_t size, uint64_t at)
{
    wr(b, VIRTIO_MMIO_QUEUE_SEL, queue);
    wr(b, VIRTIO_MMIO_QUEUE_NUM, size);
    wr(b, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)at);
    wr(b, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(at >> 32));
    wr(b, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)(at + 0x1000));
    wr(b, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)((at + 0x1000) >> 32));
    wr(b, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)(at + 0x2000));
    wr(b, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)((at + 0x2000) >> 32));
    wr(b, VIRTIO_MMIO_QUEUE_READY, 1);
}

static void drive(struct bench *b)
{
    wr(b, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    wr(b, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    ack_features(b, VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(FAKE_FEATURE));
    wr(b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES);
}

static void test_identity(void)
{
    struct bench b;

    set_up(&b);
    check_int(rd(&b, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
    check_int(rd(&b, VIRTIO_MMIO_VERSION), 2);
    check_int(rd(&b, VIRTIO_MMIO_DEVICE_ID), 42);
    wr(&b, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    check(rd(&b, VIRTIO_MMIO_DEVICE_FEATURES) & (1u << FAKE_FEATURE));
    wr(&b, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    check_int(rd(&b, VIRTIO_MMIO_DEVICE_FEATURES), 1);
    wr(&b, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
    check_int(rd(&b, VIRTIO_MMIO_DEVICE_FEATURES), 0);
    tear_down(&b);
}

static void test_driver_comes_and_goes(void)
{
    struct bench b;

    set_up(&b);
    drive(&b);
    check_int(rd(&b, VIRTIO_MMIO_STATUS), STATUS_UP_TO_FEATURES);
    set_queue(&b, 0, 64, 0x1000);
    wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
    check_int(b.fake.starts, 1);
    wr(&b, VIRTIO_MMIO_STATUS, 0);
    check_int(b.fake.stops, 1);
    check_int(b.fake.resets, 1);
    check_int(rd(&b, VIRTIO_MMIO_STATUS), 0);
    wr(&b, VIRTIO_MMIO_QUEUE_SEL, 0);
    check_int(rd(&b, VIRTIO_MMIO_QUEUE_READY), 0);
    drive(&b);
    wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
    check_int(b.fake.starts, 2);
    tear_down(&b);
}

static void test_features_are_checked(void)
{
    struct bench b;

    set_up(&b);
    wr(&b, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    /* one that was not offered */
    ack_features(&b, VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(7));
    wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES);
    check(!(rd(&b, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK));
    /* a legacy driver */
    ack_features(&b, VIRTIO_FEATURE(FAKE_FEATURE));
    wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES);
    check(!(rd(&b, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK));
    /* DRIVER_OK does not come without FEATURES_OK */
    wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
    check(!(rd(&b, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_DRIVER_OK));
    check_int(b.fake.starts, 0);
    /* and what was settled stays settled */
    ack_features(&b, VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
    wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES);
    check(rd(&b, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK);
    ack_features(&b, UINT64_MAX);
    check_int(b.fake.dev.acked, VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
    tear_down(&b);
}

/* Every register, written with every kind of value, while the device is live. */
static void test_nothing_of_a_live_queue_changes(void)
{
    struct bench b;
    static const uint32_t values[] = {0,      1,      2,       7,          256,
                                      0x8000, 0xffff, 0x10000, 0x80000000, UINT32_MAX};
    struct virtqueue before;

    set_up(&b);
    drive(&b);
    set_queue(&b, 0, 64, 0x1000);
    wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
    before = b.fake.dev.queues[0];
    for (uint64_t reg = 0; reg < 0x200; reg += 4) {
        if (reg == VIRTIO_MMIO_STATUS)
            continue;
        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
            wr(&b, VIRTIO_MMIO_QUEUE_SEL, 0);
            wr(&b, reg, values[i]);
            check(b.fake.dev.queues[0].size == before.size);
            check(b.fake.dev.queues[0].ready == before.ready);
            check(b.fake.dev.queues[0].desc_gpa == before.desc_gpa);
            check(b.fake.dev.queues[0].avail_gpa == before.avail_gpa);
            check(b.fake.dev.queues[0].used_gpa == before.used_gpa);
            check(b.fake.dev.queues[0].desc == before.desc);
        }
    }
    check_int(rd(&b, VIRTIO_MMIO_STATUS), STATUS_UP_TO_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
    tear_down(&b);
}

static void test_queues_that_do_not_exist(void)
{
    struct bench b;
    static const uint32_t none[] = {QUEUES, 0xffff, 0x80000000, UINT32_MAX};

    set_up(&b);
    drive(&b);
    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        set_queue(&b, none[i], 64, 0x1000);
        check_int(rd(&b, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
        check_int(rd(&b, VIRTIO_MMIO_QUEUE_READY), 0);
        wr(&b, VIRTIO_MMIO_QUEUE_NOTIFY, none[i]);
    }
    tear_down(&b);
}

static void test_unusable_queue_fails_the_device(void)
{
    struct bench b;
    static const struct {
        uint32_t size;
        uint64_t at;
    } bad[] = {{0, 0x1000}, {3, 0x1000},  {65, 0x1000},         {0x10040, 0x1000},
               {64, RAM},   {64, 0x1008}, {64, UINT64_MAX - 15}};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        set_up(&b);
        drive(&b);
        set_queue(&b, 1, bad[i].size, bad[i].at);
        wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
        if (!check(rd(&b, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET))
            printf("# case %zu\n", i);
        check(rd(&b, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
        check_int(b.fake.starts, 0);
        wr(&b, VIRTIO_MMIO_STATUS, 0);
        check_int(rd(&b, VIRTIO_MMIO_STATUS), 0);
        check_int(rd(&b, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
        tear_down(&b);
    }
}

static void test_config_space_has_an_end(void)
{
    struct bench b;
    static const unsigned lens[] = {1, 2, 4, 8};

    set_up(&b);
    check_int(bus_read(&b.bus, 0xd0000000 + VIRTIO_MMIO_CONFIG, 1), 'c');
    check_int(bus_read(&b.bus, 0xd0000000 + VIRTIO_MMIO_CONFIG + 13, 1), '!');
    for (uint64_t offset = 0; offset < VIRTIO_MMIO_SIZE - VIRTIO_MMIO_CONFIG; offset++) {
        for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
            uint64_t addr = 0xd0000000 + VIRTIO_MMIO_CONFIG + offset;

            bus_write(&b.bus, addr, UINT64_MAX, lens[i]);
            if (offset + lens[i] > 14 && addr + lens[i] <= 0xd0000000 + VIRTIO_MMIO_SIZE)
                check_int(bus_read(&b.bus, addr, lens[i]), 0);
        }
    }
    check_int(b.fake.dev.config[0], 0xff); /* the one byte that a driver may write */
    check(memcmp(b.fake.dev.config + 1, "onfiguration!", 13) == 0);
    tear_down(&b);
}

static void count_interrupts(struct bench *b, int *count)
{
    b->fake.dev.transport.interrupt(b->fake.dev.transport.opaque, 0);
    *count = (int)rd(b, VIRTIO_MMIO_INTERRUPT_STATUS);
}

static void test_interrupt_status(void)
{
    struct bench b;
    int status;

    set_up(&b);
    count_interrupts(&b, &status);
    check_int(status, VIRTIO_MMIO_INT_VRING);
    wr(&b, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
    check_int(rd(&b, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
    wr(&b, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
    check_int(rd(&b, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    tear_down(&b);
}

/* Paused, the device leaves guest memory alone; what was rung for meanwhile is not forgotten. */
static void test_pause(void)
{
    struct bench b;

    set_up(&b);
    drive(&b);
    set_queue(&b, 0, 64, 0x1000);
    wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
    virtio_device_pause(&b.fake.dev);
    check(!virtio_started(&b.fake.dev, 0));
    wr(&b, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    virtio_device_pause(&b.fake.dev);
    check_int(b.fake.kicks, 0);
    check_int(b.fake.stops, 1);
    virtio_device_resume(&b.fake.dev);
    virtio_device_resume(&b.fake.dev);
    check_int(b.fake.starts, 2);
    /* The doorbell is in the loop again; a call that comes behind it finds it served. */
    virtio_device_pause(&b.fake.dev);
    check_int(b.fake.stops, 2);
    tear_down(&b);
}

/* A driver has read config space when it says that it is ready: what changes before it does is not
 * lost on it. */
static void test_config_changes_while_a_driver_comes(void)
{
    struct bench b;

    set_up(&b);
    drive(&b);
    virtio_set_config(&b.fake.dev, 0, "C", 1);
    check_int(rd(&b, VIRTIO_MMIO_INTERRUPT_STATUS), 0); /* it is not ready for that */
    wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
    check_int(rd(&b, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
    /* The next one comes after it, and reads what there is. */
    wr(&b, VIRTIO_MMIO_STATUS, 0);
    drive(&b);
    wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
    check_int(rd(&b, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    tear_down(&b);
}

/* Config space: the device changes it and the driver is told; the driver changes what it may. */
static void test_config_changes(void)
{
    struct bench b;
    uint32_t generation;

    set_up(&b);
    generation = (uint32_t)rd(&b, VIRTIO_MMIO_CONFIG_GENERATION);
    virtio_set_config(&b.fake.dev, 0, "configuration!", 14);
    check_int(rd(&b, VIRTIO_MMIO_CONFIG_GENERATION), generation);
    virtio_set_config(&b.fake.dev, 0, "C", 1);
    check_int(rd(&b, VIRTIO_MMIO_CONFIG_GENERATION), generation + 1);
    check_int(rd(&b, VIRTIO_MMIO_INTERRUPT_STATUS), 0); /* no driver yet */
    drive(&b);
    wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
    virtio_set_config(&b.fake.dev, 1, "O", 1);
    check_int(rd(&b, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
    check_int(virtio_device_read_config(&b.fake.dev, 0, 2), 'C' | 'O' << 8);
    virtio_device_write_config(&b.fake.dev, 0, 'x', 1);
    virtio_device_write_config(&b.fake.dev, 1, 'x', 1);
    virtio_device_write_config(&b.fake.dev, 14, 'x', 1);
    virtio_device_write_config(&b.fake.dev, 13, 'x', 2);
    virtio_device_write_config(&b.fake.dev, UINT64_MAX, 'x', 2);
    check_int(virtio_device_read_config(&b.fake.dev, 0, 2), 'x' | 'O' << 8);
    check_int(virtio_device_read_config(&b.fake.dev, 13, 1), '!');
    check_int(virtio_device_read_config(&b.fake.dev, 13, 2), 0);
    tear_down(&b);
}

static void count_notice(void *opaque)
{
    __atomic_fetch_add((int *)opaque, 1, __ATOMIC_RELAXED);
}

static void do_nothing(void *opaque)
{
    (void)opaque;
}

/* A broken rule in one worker's queue ends all workers; the machine is told once. */
static void test_workers(void)
{
    struct bench b;
    int notices = 0;

    set_up_shape(&b, QUEUES);
    b.fake.dev.notify = count_notice;
    b.fake.dev.notify_opaque = &notices;
    drive(&b);
    for (unsigned i = 0; i < QUEUES; i++)
        set_queue(&b, i, 64, 0x1000 + 0x4000 * i);
    check(!b.fake.dev.workers[0].loop);
    wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
    check_int(b.fake.starts, QUEUES);
    check(b.fake.dev.workers[0].loop != b.fake.dev.workers[1].loop);
    virtio_device_fail(&b.fake.dev, "a test");
    virtio_device_fail(&b.fake.dev, "a test");
    /* A call may come ahead of the doorbell that told the worker to stop, but then both are in one
     * round of the loop, and the second call is in a later one. */
    for (unsigned i = 0; i < 2 * QUEUES; i++)
        virtio_device_call(&b.fake.dev, i / 2, do_nothing, NULL);
    check_int(b.fake.stops + b.fake.kicks, QUEUES);
    check_int(notices, 1);
    check_int(virtio_device_take_notices(&b.fake.dev), VIRTIO_NOTICE_FAILED);
    check_int(virtio_device_take_notices(&b.fake.dev), 0);
    check(rd(&b, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
    wr(&b, VIRTIO_MMIO_STATUS, 0);
    check_int(b.fake.stops, QUEUES);
    tear_down(&b);
}

/* A back end in the kernel interrupts by itself: the driver is always told to look. */
static void test_interrupt_fd(void)
{
    struct bench b;

    set_up(&b);
    check(b.fake.dev.transport.interrupt_fd(b.fake.dev.transport.opaque) >= 0);
    wr(&b, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
    check_int(rd(&b, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
    wr(&b, VIRTIO_MMIO_STATUS, 0);
    check_int(rd(&b, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    tear_down(&b);
}

/* Threads are what an activation needs last: one that gets none is undone. */
static void test_no_thread_to_be_had(void)
{
    struct rlimit limit = {0};
    struct rlimit none;
    struct bench b;

    set_up_shape(&b, QUEUES);
    drive(&b);
    set_queue(&b, 0, 16, 0);
    check_int(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 3; /* no descriptor for a loop */
    check_int(setrlimit(RLIMIT_NOFILE, &none), 0);
    wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
    check_int(setrlimit(RLIMIT_NOFILE, &limit), 0);
    check(rd(&b, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
    check_int(b.fake.activations, 1);
    check_int(b.fake.resets, 1);
    check_int(b.fake.starts, 0);
    /* And the driver may try again. */
    wr(&b, VIRTIO_MMIO_STATUS, 0);
    drive(&b);
    set_queue(&b, 0, 16, 0);
    wr(&b, VIRTIO_MMIO_STATUS, STATUS_UP_TO_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
    check(!(rd(&b, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET));
    check_int(b.fake.activations, 2);
    tear_down(&b);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_config_changes),
        TAP(test_config_changes_while_a_driver_comes),
        TAP(test_workers),
        TAP(test_interrupt_fd),
        TAP(test_identity),
        TAP(test_driver_comes_and_goes),
        TAP(test_features_are_checked),
        TAP(test_nothing_of_a_live_queue_changes),
        TAP(test_queues_that_do_not_exist),
        TAP(test_unusable_queue_fails_the_device),
        TAP(test_config_space_has_an_end),
        TAP(test_interrupt_status),
        TAP(test_pause),
        TAP(test_no_thread_to_be_had),
        {0},
    });
}
