/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/irq.h"

#include <sys/eventfd.h>

#include "tests/unit/tap.h"

/* How often it was raised since the last look. */
static uint64_t raised(const struct irq_line *line)
{
    eventfd_t count = 0;

    (void)eventfd_read(line->eventfd, &count);
    return count;
}

static void test_raises(void)
{
    struct irq_line closed = {.eventfd = -1};
    struct irq_line line;
    struct error err;

    irq_line_raise(&closed);
    check_int(irq_line_init(&line, 7, &err), 0);
    check_int(raised(&line), 0);
    irq_line_raise(&line);
    irq_line_raise(&line);
    check_int(raised(&line), 2);
    irq_line_close(&line);
    check_int(line.eventfd, -1);
    irq_line_close(&line);
}

static void test_who_asks_for_the_same_one_shares_it(void)
{
    struct irq_lines all = {0};
    struct error err;
    struct irq_line *first = irq_lines_get(&all, 16, &err);
    struct irq_line *other = irq_lines_get(&all, 5, &err);

    check(first && other && first != other);
    check(irq_lines_get(&all, 16, &err) == first);
    check_int(all.count, 2);
    check_int(other->gsi, 5);
    irq_line_raise(first);
    check_int(raised(first), 1);
    check_int(raised(other), 0);
    irq_lines_close(&all);
    check_int(all.count, 0);
}

static void test_no_more_than_there_is_room_for(void)
{
    struct irq_lines all = {0};
    struct error err;

    for (unsigned i = 0; i < IRQ_MAX_LINES; i++)
        check(irq_lines_get(&all, 100 + i, &err) != NULL);
    check(irq_lines_get(&all, 1, &err) == NULL);
    check_str(err.msg, "no room for interrupt line 1: 64 are in use");
    check(irq_lines_get(&all, 100, &err) == &all.lines[0]);
    irq_lines_close(&all);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_raises),
        TAP(test_who_asks_for_the_same_one_shares_it),
        TAP(test_no_more_than_there_is_room_for),
        {},
    });
}
