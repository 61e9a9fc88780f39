/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A chardev for a fuzzed serial port, and the host at its other end, all in one thread. */
#ifndef VOLE_FUZZ_TERMINAL_H
#define VOLE_FUZZ_TERMINAL_H

#include <sys/socket.h>

#include "tests/unit/loop-round.h"
#include "vmm/backend/chardev.h"

struct terminal {
    struct loop_round round;
    struct chardev *chr;
    int host;
};

static inline void terminal_open(struct terminal *t)
{
    struct error err;
    char spec[32];
    int pair[2];

    loop_round_open(&t->round);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    t->host = pair[0];
    snprintf(spec, sizeof(spec), "fd:%d", pair[1]);
    t->chr = chardev_open(spec, "serial0", t->round.loop, &err);
    if (!t->chr)
        abort();
}

/* After the device that uses it. */
static inline void terminal_close(struct terminal *t)
{
    chardev_close(t->chr);
    loop_round_close(&t->round);
    close(t->host);
}

/* The host sends, and takes what was sent to it, as far as that does not wait. */
static inline void terminal_type(struct terminal *t, const uint8_t *bytes, size_t len)
{
    if (send(t->host, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        loop_round_run(&t->round);
}

static inline void terminal_drain(struct terminal *t)
{
    uint8_t drain[64];

    if (recv(t->host, drain, sizeof(drain), MSG_DONTWAIT) > 0)
        loop_round_run(&t->round);
}

#endif
