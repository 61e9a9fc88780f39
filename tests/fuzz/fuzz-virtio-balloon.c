/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The balloon's queues and its config space. */
#include "tests/fuzz/virtio-guest.h"
#include "vmm/virtio/devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void host_step(struct guest *g, unsigned what)
{
    struct virtio_balloon_stats stats;

    switch (what % 16) {
    case 13:
        virtio_balloon_set_target(g->d.dev, guest_long(g));
        break;
    case 14:
        virtio_balloon_request_stats(g->d.dev);
        break;
    default:
        virtio_balloon_stats(g->d.dev, &stats);
        virtio_device_take_notices(g->d.dev);
    }
    if (virtio_balloon_actual(g->d.dev) > DRIVER_RAM)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guest g = {.data = data, .left = size};
    struct error err;
    unsigned what;

    driver_open(&g.d);
    what = guest_byte(&g);
    guest_bind(
        &g, virtio_balloon_new("balloon", &g.d.mem, g.d.round.loop, what & 1, !(what & 2), &err));
    guest_starts(&g);
    while (g.left > 0) {
        if (!guest_step(&g, &what))
            host_step(&g, what);
    }
    driver_close(&g.d);
    return 0;
}
