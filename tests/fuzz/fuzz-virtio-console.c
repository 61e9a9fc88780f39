/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The console's queues: two consoles and two ports (or one console alone), chardevs with and
 * without somebody at the other end. */
#include <sys/socket.h>

#include "tests/fuzz/virtio-guest.h"
#include "vmm/backend/chardev.h"
#include "vmm/virtio/devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PORTS 4

struct bench {
    struct guest g;
    struct chardev *chr[PORTS];
    int host[PORTS];
};

static void host_step(struct bench *b, unsigned what)
{
    unsigned i = guest_byte(&b->g) % PORTS;
    uint8_t buf[8192] = {(uint8_t)what};

    if (b->host[i] < 0)
        return;
    if (what % 16 == 13)
        (void)send(b->host[i], buf, guest_word(&b->g) % sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (what % 16 == 14)
        (void)recv(b->host[i], buf, sizeof(buf), MSG_DONTWAIT);
    else if (what & 0x80)
        close(b->host[i]), b->host[i] = -1;
    driver_run(&b->g.d);
    for (unsigned k = 0; k < PORTS; k++)
        (void)virtio_console_port_open(b->g.d.dev, k);
    virtio_device_take_notices(b->g.d.dev);
}

static void bench_open(struct bench *b, unsigned count)
{
    static const char *const names[PORTS] = {NULL, NULL, "first", "second"};
    struct virtio_console_port ports[PORTS];
    struct error err;

    driver_open(&b->g.d);
    for (unsigned i = 0; i < PORTS; i++) {
        char spec[32] = "null";
        int pair[2] = {-1, -1};

        if (i != 1) {
            driver_need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "sockets");
            snprintf(spec, sizeof(spec), "fd:%d", pair[1]);
        }
        b->host[i] = pair[0];
        b->chr[i] = chardev_open(spec, "port", b->g.d.round.loop, &err);
        driver_need(b->chr[i] != NULL, "a chardev");
        ports[i] = (struct virtio_console_port){"port", names[i], b->chr[i]};
    }
    guest_bind(&b->g,
               virtio_console_new("console", &b->g.d.mem, b->g.d.round.loop, ports, count, &err));
}

static void bench_close(struct bench *b)
{
    for (unsigned i = 0; i < PORTS; i++) {
        if (b->host[i] >= 0)
            close(b->host[i]);
    }
    virtio_device_free(b->g.d.dev);
    b->g.d.dev = NULL;
    for (unsigned i = 0; i < PORTS; i++)
        chardev_close(b->chr[i]);
    driver_close(&b->g.d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bench b = {.g = {.data = data, .left = size}};
    unsigned what;

    bench_open(&b, guest_byte(&b.g) % 2 ? 1 : PORTS);
    guest_starts(&b.g);
    while (b.g.left > 0) {
        if (!guest_step(&b.g, &what))
            host_step(&b, what);
    }
    bench_close(&b);
    return 0;
}
