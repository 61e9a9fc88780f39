/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/unit/tap.h"

static void test_errors(void)
{
    struct error err;
    char longer[1000];

    check_int(error_set(&err, "%s is %d", "x", 3), -1);
    check_str(err.msg, "x is 3");
    check_int(error_prefix(&err, "disk \"%s\"", "d"), -1);
    check_str(err.msg, "disk \"d\": x is 3");
    check_int(error_set_errno(&err, ENOENT, "/a/b"), -1);
    check_str(err.msg, "/a/b: No such file or directory");

    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    error_set_errno(&err, ENOENT, "%s", longer);
    check(strstr(err.msg, "aaa: No such file or directory") != NULL);
    error_prefix(&err, "%s", longer);
    check_int(strlen(err.msg), sizeof(err.msg) - 1);
}

static void test_parse_size(void)
{
    static const char *const bad[] = {"",          "M",
                                      "-1",        "1.5G",
                                      "1MB",       "1m",
                                      " 1",        "1 ",
                                      "0x10",      "18446744073709551616",
                                      "16777216T", "99999999999999999999999"};
    uint64_t n;

    check(parse_size("0", &n) == 0 && n == 0);
    check(parse_size("4096", &n) == 0 && n == 4096);
    check(parse_size("3K", &n) == 0 && n == 3 * KiB);
    check(parse_size("256M", &n) == 0 && n == 256 * MiB);
    check(parse_size("7G", &n) == 0 && n == 7 * GiB);
    check(parse_size("2T", &n) == 0 && n == 2048 * GiB);
    check(parse_size("18446744073709551615", &n) == 0 && n == UINT64_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (!check(parse_size(bad[i], &n) == -1))
            printf("# \"%s\" was taken\n", bad[i]);
}

static void test_parse_number(void)
{
    uint64_t n;

    check(parse_number("254", 254, &n) == 0 && n == 254);
    check_int(parse_number("255", 254, &n), -1);
    check_int(parse_number("", 254, &n), -1);
    check_int(parse_number("+1", 254, &n), -1);
    check_int(parse_number("1a", 254, &n), -1);
}

static void test_open_path_or_fd(void)
{
    struct error err;
    cleanup_close int dev_null = open("/dev/null", O_RDONLY);
    char spec[32];

    check_int(open_path_or_fd("/nonexistent/x", O_RDONLY, &err), -1);
    check_str(err.msg, "/nonexistent/x: No such file or directory");
    check_int(open_path_or_fd("fd:", O_RDONLY, &err), -1);
    check_str(err.msg, "\"fd:\" is not fd:N, the number of a descriptor");
    check_int(open_path_or_fd("fd:99999999999", O_RDONLY, &err), -1);
    check_int(open_path_or_fd("fd:7x", O_RDONLY, &err), -1);
    check_int(open_path_or_fd("fd:1000", O_RDONLY, &err), -1);
    check_str(err.msg, "fd:1000: vole was started without such an open descriptor");

    snprintf(spec, sizeof(spec), "fd:%d", dev_null);
    check_int(open_path_or_fd(spec, O_RDWR, &err), -1);
    check(strstr(err.msg, "the descriptor is open for reading only") != NULL);
    check_int(fcntl(dev_null, F_GETFD), -1); /* closed, it was ours */
    dev_null = open("/dev/null", O_RDONLY);
    snprintf(spec, sizeof(spec), "fd:%d", dev_null);
    check_int(open_path_or_fd(spec, O_RDONLY, &err), dev_null);
    check_int(fcntl(dev_null, F_GETFD), FD_CLOEXEC);
}

/* The other end may never come; alarm() tells. */
static void test_opening_does_not_wait(void)
{
    char folder[] = "/tmp/vole-test-XXXXXX";
    cleanup_free char *fifo = NULL;
    struct error err;
    int fd;

    check(mkdtemp(folder) != NULL);
    fifo = xasprintf("%s/fifo", folder);
    check_int(mkfifo(fifo, 0600), 0);
    fd = open_path_or_fd(fifo, O_RDONLY, &err);
    check(fd >= 0);
    check_int(fcntl(fd, F_GETFL) & O_NONBLOCK, 0); /* which was for the opening alone */
    check_int(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
    fd = open_path_or_fd(fifo, O_RDONLY | O_NONBLOCK, &err);
    check_int(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    close(fd);
    unlink(fifo);
    rmdir(folder);
}

static void test_pread_full(void)
{
    char name[] = "/tmp/vole-test-XXXXXX";
    cleanup_close int fd = mkstemp(name);
    char buf[8];

    unlink(name);
    check_int(write_full(fd, "abcdef", 6), 0);
    check_int(pread_full(fd, buf, 3, 2), 0);
    check(memcmp(buf, "cde", 3) == 0);
    check_int(pread_full(fd, buf, 4, 3), -ENODATA);
    check_int(pread_full(-1, buf, 4, 3), -EBADF);
}

int main(void)
{
    alarm(300);
    return tap_run((struct tap_test[]){
        TAP(test_errors),
        TAP(test_parse_size),
        TAP(test_parse_number),
        TAP(test_open_path_or_fd),
        TAP(test_opening_does_not_wait),
        TAP(test_pread_full),
        {},
    });
}
