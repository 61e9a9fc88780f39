/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Single requests, and hosts on which they go wrong. */
#include "tests/unit/disk-bench.h"

#include <dlfcn.h>
#include <errno.h>
#include <liburing.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- one request at a time ---- */

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
        TAP(test_failed_flush),
        TAP(test_shrunken_image),
        TAP(test_space),
        TAP(test_zeroes_by_hand),
        TAP(test_huge_transfers),
        TAP(test_ring_that_takes_nothing),
        TAP(test_lock_ends_with_the_process),
        TAP(test_without_io_uring),
        {0},
    });
}
