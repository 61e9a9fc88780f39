/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/devices/debug_port.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "tests/unit/tap.h"

struct board {
    struct bus bus;
    struct debug_port *port;
};

static void board_open(struct board *b, int fd)
{
    struct error err;

    *b = (struct board){.port = debug_port_new(fd)};
    check_int(bus_add(&b->bus, 0xe9, 1, 0, debug_port_bus_device(b->port), &err), 0);
}

static void put(const struct board *b, const char *text)
{
    for (; *text; text++)
        bus_write(&b->bus, 0xe9, (uint8_t)*text, 1);
}

static void check_reads(int fd, const char *text)
{
    char got[64] = "";

    check_int(read(fd, got, sizeof(got) - 1), strlen(text));
    check_str(got, text);
}

static void test_bytes_go_out(void)
{
    struct board b;
    int ends[2];
    char rest;

    check_int(pipe(ends), 0);
    board_open(&b, ends[1]);
    check_int(bus_read(&b.bus, 0xe9, 1), 0xe9);
    put(&b, "hello");
    check_reads(ends[0], "hello");
    check_int(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0); /* others who share it see no change */
    close(ends[1]);
    debug_port_free(b.port);
    check_int(read(ends[0], &rest, 1), 0); /* nothing of ours keeps it open */
    close(ends[0]);
}

static void test_file_keeps_its_position(void)
{
    char name[] = "/tmp/vole-test-XXXXXX";
    int fd = mkstemp(name);
    struct board b;

    unlink(name);
    check_int(write(fd, "before ", 7), 7);
    board_open(&b, fd);
    put(&b, "after");
    check_int(lseek(fd, 0, SEEK_SET), 0);
    check_reads(fd, "before after");
    debug_port_free(b.port);
    close(fd);
}

/* Nobody reads: the vCPU comes back from each byte; alarm() tells if not. */
static void check_never_blocks(int fd, int reader)
{
    static char data[64 * 1024];
    struct board b;

    board_open(&b, fd);
    check_int(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (write(fd, data, sizeof(data)) > 0)
        ;
    while (write(fd, data, 1) > 0)
        ;
    check_int(fcntl(fd, F_SETFL, 0), 0);
    for (int i = 0; i < 300; i++) /* waits once, not for each */
        put(&b, "lost");

    check_int(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
    while (read(reader, data, sizeof(data)) > 0)
        ;
    put(&b, "found");
    check_reads(reader, "found");
    debug_port_free(b.port);
    close(fd);
    close(reader);
}

static void test_reader_that_stops(void)
{
    int ends[2];

    check_int(pipe(ends), 0);
    check_never_blocks(ends[1], ends[0]);
    check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    check_never_blocks(ends[1], ends[0]);
}

int main(void)
{
    alarm(300);
    return tap_run((struct tap_test[]){
        TAP(test_bytes_go_out),
        TAP(test_file_keeps_its_position),
        TAP(test_reader_that_stops),
        {},
    });
}
