/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disk images: their size and how it changes, who else has them, and those that are refused. */
#include "tests/unit/disk-image.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define SIZE (512 * KiB)

/* ---- size ---- */

static void test_resize(void)
{
    struct disk *disk;
    struct stat st;

    make_image(SIZE);
    disk = open_image(path, false);
    if (!check(disk != NULL))
        return;
    check_int(disk_resize(disk, SIZE + 1024, &err), 0);
    check_int(disk_size(disk), SIZE + 1024);
    check_int(stat(path, &st), 0);
    check_int(st.st_size, SIZE + 1024);
    check_int(disk_resize(disk, SIZE, &err), -1);
    check(strstr(err.msg, "not smaller") != NULL);
    check_int(disk_resize(disk, SIZE + 1000, &err), -1);
    check(strstr(err.msg, "whole blocks") != NULL);
    check_int(disk_resize(disk, 0, &err), -1);
    check_int(disk_resize(disk, ALIGN_DOWN(UINT64_MAX, 512), &err), -1);
    check(strstr(err.msg, path) != NULL);
    check_int(disk_size(disk), SIZE + 1024);
    /* Somebody else made it larger. */
    check_int(truncate(path, SIZE * 2), 0);
    check_int(disk_resize(disk, SIZE * 2, &err), 0);
    check_int(disk_size(disk), SIZE * 2);
    disk_close(disk);
    remove_image();
}

static void test_resize_readonly(void)
{
    struct disk *disk;

    make_image(SIZE);
    disk = open_image(path, true);
    if (!check(disk != NULL))
        return;
    check_int(disk_resize(disk, SIZE * 2, &err), -1);
    check(strstr(err.msg, "read-only") != NULL);
    check_int(truncate(path, SIZE * 2), 0);
    check_int(disk_resize(disk, SIZE * 2, &err), 0);
    check_int(disk_size(disk), SIZE * 2);
    disk_close(disk);
    remove_image();
}

static void test_size_is_whole_blocks(void)
{
    struct disk *disk;

    make_image(1025);
    disk = open_image(path, true);
    check(disk != NULL);
    if (disk) {
        check_int(disk_size(disk), 1024);
        check_int(disk_geometry(disk)->logical_block, 512);
        disk->alignment = 4096;
        check_int(disk_resize(disk, 1024, &err), -1);
        check(strstr(err.msg, "whole blocks of 4096") != NULL);
    }
    disk_close(disk);
    remove_image();
}

/* ---- opening ---- */

static void test_one_writer(void)
{
    struct disk *a;
    struct disk *b;

    make_image(SIZE);
    a = open_image(path, false);
    check(a && !disk_readonly(a) && disk_size(a) == SIZE);
    check(!open_image(path, false));
    check(strstr(err.msg, "is in use by another disk of this machine") != NULL);
    check(!open_image(path, true));
    disk_close(a);
    a = open_image(path, true);
    b = open_image(path, true);
    check(a && b && disk_readonly(b));
    check(!open_image(path, false));
    disk_close(a);
    disk_close(b);
    remove_image();
}

/* Another process has it: we are told which. */
static void test_holder_is_named(void)
{
    int ready[2] = {-1, -1};
    int leave[2] = {-1, -1};
    char want[64];
    char byte;
    pid_t pid;

    make_image(SIZE);
    check(pipe(ready) == 0 && pipe(leave) == 0);
    pid = fork();
    if (pid == 0) {
        struct disk *disk = open_image(path, false);

        close(leave[1]);
        if (disk && write(ready[1], "x", 1) == 1)
            (void)!read(leave[0], &byte, 1);
        _exit(0);
    }
    close(ready[1]);
    close(leave[0]);
    check_int(read(ready[0], &byte, 1), 1);
    check(!open_image(path, false));
    snprintf(want, sizeof(want), "is in use by another process: %.15s, pid %d",
             program_invocation_short_name, (int)pid);
    if (!check(strstr(err.msg, want) != NULL))
        printf("# %s\n", err.msg);
    close(leave[1]);
    check_int(waitpid(pid, NULL, 0), pid);
    close(ready[0]);
    remove_image();
}

/* A lock on a file that no process has open, for it is on its way from one to another: nobody can
 * be named, and waiting has an end. */
static void test_holder_is_nobody(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = "";
    struct iovec iov = {(char[]){"x"}, 1};
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
    int pair[2] = {-1, -1};
    struct disk *disk;
    int fd;

    make_image(SIZE);
    check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fd = open(path, O_RDWR);
    check_int(fcntl(fd, F_OFD_SETLK, &lock), 0);
    *cmsg = (struct cmsghdr){CMSG_LEN(sizeof(fd)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
    check_int(sendmsg(pair[0], &message, 0), 1);
    close(fd);
    check(!open_image(path, false));
    check(strstr(err.msg, "is in use by another process") != NULL);
    close(pair[0]);
    close(pair[1]);
    disk = open_image(path, false);
    check(disk != NULL);
    disk_close(disk);
    remove_image();
}

/* Who hands a descriptor over locks it, and may have locked less of it. */
static void test_inherited_lock(void)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1};
    struct flock other = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 200, .l_len = 1};
    char spec[32];
    struct disk *disk;
    int fd;
    int stranger;

    make_image(SIZE);
    fd = open(path, O_RDWR);
    stranger = open(path, O_RDWR);
    check_int(fcntl(fd, F_OFD_SETLK, &lock), 0);
    snprintf(spec, sizeof(spec), "fd:%d", fd);
    disk = open_image(spec, false);
    check(disk != NULL);
    check_int(fcntl(stranger, F_OFD_GETLK, &other), 0);
    check_int(other.l_type, F_UNLCK);
    other = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    check_int(fcntl(stranger, F_OFD_GETLK, &other), 0);
    check_int(other.l_type, F_RDLCK);
    check_int(other.l_start, 100);
    close(stranger);
    disk_close(disk);
    remove_image();
}

static void test_inherited_descriptor(void)
{
    char spec[32];
    struct disk *disk;
    int fd;

    make_image(SIZE);
    fd = open(path, O_RDWR | O_NONBLOCK | O_APPEND);
    snprintf(spec, sizeof(spec), "fd:%d", fd);
    disk = open_image(spec, false);
    check(disk != NULL);
    /* Flags that would change what a write means are gone. */
    check_int(fcntl(fd, F_GETFL) & (O_NONBLOCK | O_APPEND), 0);
    disk_close(disk);
    check_int(fcntl(fd, F_GETFD), -1);
    remove_image();
}

static void test_refused_images(void)
{
    char spec[32];
    int fd;

    make_image(0);
    check(!open_image(path, false));
    check(strstr(err.msg, "is empty") != NULL);
    fd = open(path, O_RDONLY);
    snprintf(spec, sizeof(spec), "fd:%d", fd);
    check_int(truncate(path, SIZE), 0);
    check(!open_image(spec, false));
    check(strstr(err.msg, spec) != NULL);
    remove_image();
    check(!open_image(path, false));
    check(strstr(err.msg, path) != NULL);
    check(!open_image("fd:999", false));
    check(!open_image("fd:x", false));
    check(!open_image("", false));
    check(!open_image("/tmp", true));
    check(strstr(err.msg, "neither a file nor a block device") != NULL);
    check(!open_image("/dev/null", true));
    check(
        !disk_open(&(struct disk_options){.source = "/proc/self/status", .readonly = true}, &err));
    check(!disk_open(
        &(struct disk_options){.source = "/proc/self/status", .readonly = true, .direct = true},
        &err));
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_resize),
        TAP(test_resize_readonly),
        TAP(test_size_is_whole_blocks),
        TAP(test_one_writer),
        TAP(test_holder_is_named),
        TAP(test_holder_is_nobody),
        TAP(test_inherited_lock),
        TAP(test_inherited_descriptor),
        TAP(test_refused_images),
        {0},
    });
}
