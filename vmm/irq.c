/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/irq.h"

#include <errno.h>
#include <sys/eventfd.h>

int irq_line_init(struct irq_line *line, uint32_t gsi, struct error *err)
{
    line->gsi = gsi;
    line->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (line->eventfd < 0)
        return error_set_errno(err, errno, "make the eventfd of interrupt line %u", gsi);
    return 0;
}

void irq_line_close(struct irq_line *line)
{
    if (line->eventfd >= 0)
        close(line->eventfd);
    line->eventfd = -1;
}

void irq_line_raise(const struct irq_line *line)
{
    uint64_t one = 1;
    ssize_t n;

    if (line->eventfd < 0)
        return;
    do
        n = write(line->eventfd, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
    /* The only other failure is EAGAIN, a counter that nobody reads: it is raised already. */
}

struct irq_line *irq_lines_get(struct irq_lines *all, uint32_t gsi, struct error *err)
{
    for (unsigned i = 0; i < all->count; i++) {
        if (all->lines[i].gsi == gsi)
            return &all->lines[i];
    }
    if (all->count == IRQ_MAX_LINES) {
        error_set(err, "no room for interrupt line %u: %u are in use", gsi, all->count);
        return NULL;
    }
    if (irq_line_init(&all->lines[all->count], gsi, err) < 0)
        return NULL;
    return &all->lines[all->count++];
}

void irq_lines_close(struct irq_lines *all)
{
    while (all->count > 0)
        irq_line_close(&all->lines[--all->count]);
}
