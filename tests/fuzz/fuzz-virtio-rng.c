/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The entropy device's queue, with a source that has something only now and then, and ends. */
#include <fcntl.h>

#include "tests/fuzz/virtio-guest.h"
#include "vmm/virtio/devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void host_step(struct guest *g, int *source, unsigned what)
{
    uint8_t buf[256] = {(uint8_t)what};

    if (*source >= 0 && what % 16 < 15) {
        if (write(*source, buf, 1 + guest_byte(g) % sizeof(buf)) < 0)
            return;
    } else if (*source >= 0 && (what & 0x80)) {
        close(*source);
        *source = -1;
    }
    driver_run(&g->d);
    virtio_device_take_notices(g->d.dev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guest g = {.data = data, .left = size};
    struct error err;
    unsigned what;
    int source[2];

    driver_open(&g.d);
    driver_need(pipe2(source, O_CLOEXEC | O_NONBLOCK) == 0, "a pipe");
    guest_bind(&g, virtio_rng_new("rng", &g.d.mem, g.d.round.loop, source[0], &err));
    guest_starts(&g);
    while (g.left > 0) {
        if (!guest_step(&g, &what))
            host_step(&g, &source[1], what);
    }
    driver_close(&g.d);
    if (source[1] >= 0)
        close(source[1]);
    return 0;
}
