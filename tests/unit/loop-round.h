/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A loop that runs in the caller's thread, a round at a time: what is ready is done, and no more.
 * What cannot be set up ends the program.
 */
#ifndef VOLE_TESTS_LOOP_ROUND_H
#define VOLE_TESTS_LOOP_ROUND_H

#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/loop.h"

struct loop_round {
    struct loop *loop;
    struct loop_watch watch;
    int fd; /* readable: the round has an end */
};

static inline void loop_round_end_(void *opaque, uint32_t events)
{
    struct loop_round *round = opaque;
    eventfd_t count;

    (void)events;
    (void)eventfd_read(round->fd, &count);
    loop_quit(round->loop);
}

/* Makes the loop. */
static inline void loop_round_open(struct loop_round *round)
{
    struct error err = {""};

    *round =
        (struct loop_round){.loop = loop_new(&err), .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (round->loop &&
        loop_add(round->loop, &round->watch, round->fd, EPOLLIN, loop_round_end_, round, &err) == 0)
        return;
    printf("Bail out! a loop: %s\n", err.msg);
    abort();
}

static inline void loop_round_run(struct loop_round *round)
{
    (void)eventfd_write(round->fd, 1);
    loop_run(round->loop);
}

static inline void loop_round_close(struct loop_round *round)
{
    loop_remove(round->loop, &round->watch);
    close(round->fd);
    loop_free(round->loop);
}

#endif
