/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <clock>. */
#include <string.h>

#include "xml/domain_priv.h"
#include "xml/domain_values.h"

/* docs/machine-config.md: the VMM's bound of rtc.offset. */
#define ADJUSTMENT_MAX INT64_C(3155760000)

static int find_timer(const char *name)
{
    for (int i = 0; i < DOMAIN_TIMER_LAST; i++)
        if (strcmp(domain_timer_words[i].name, name) == 0)
            return i;
    return -1;
}

static bool check_present(xmlNode *node, const struct domain_timer_word *word, int present,
                          GError **error)
{
    if (present == DOMAIN_SWITCH_ABSENT || word->only == DOMAIN_SWITCH_ABSENT ||
        present == (int)word->only)
        return true;
    return xml_refuse_attribute(error, node, "name", "%s", word->refused);
}

/* Where a timer shows the wall clock's time, and where its ticks come from: there is one answer. */
static bool read_timer_ways(xmlNode *node, enum domain_timer_kind kind, struct domain_timer *timer,
                            GError **error)
{
    g_autofree char *track = xml_attribute(node, "track");
    g_autofree char *mode = xml_attribute(node, "mode");

    if (xmlHasProp(node, BAD_CAST "frequency"))
        return xml_refuse_attribute(error, node, "frequency", "the TSC is the host's");
    if (track && (kind != DOMAIN_TIMER_RTC || strcmp(track, "wall") != 0))
        return xml_refuse_attribute(error, node, "track",
                                    "there is an RTC that tracks 'wall', and no other");
    if (mode && (kind != DOMAIN_TIMER_TSC || strcmp(mode, "native") != 0))
        return xml_refuse_attribute(error, node, "mode", "the TSC is 'native'");
    timer->track_wall = track;
    timer->mode_native = mode;
    return true;
}

/*
 * Which timers there are is not for a domain to choose, but for the RTC; what is true of the others
 * may be said. Ticks that a guest was too late for concern periodic interrupts, which a guest of a
 * microVM takes from its own local APIC: tools send policies for them with every domain.
 */
static bool read_timer(xmlNode *node, void *target, GError **error)
{
    struct domain_clock *clock = target;
    g_autofree char *name = xml_attribute(node, "name");
    int kind = find_timer(name ? name : "");
    int present = DOMAIN_SWITCH_ABSENT;
    int tickpolicy = DOMAIN_TICK_ABSENT;
    struct domain_timer timer = {.given = true};

    if (kind < 0)
        return xml_refuse_attribute(error, node, "name", "a microVM has no such timer");
    if (clock->timers[kind].given)
        return xml_invalid(error, node, "the timer '%s' is given twice", name);
    if (!xml_enum_attribute(node, "present", domain_yes_no_values, &present, error) ||
        !xml_enum_attribute(node, "tickpolicy", domain_tickpolicy_values, &tickpolicy, error) ||
        !check_present(node, &domain_timer_words[kind], present, error) ||
        !read_timer_ways(node, (enum domain_timer_kind)kind, &timer, error))
        return false;
    if (tickpolicy != DOMAIN_TICK_ABSENT && !domain_timer_words[kind].has_tickpolicy)
        return xml_invalid(error, node, "a %s has no ticks", name);
    /* Nothing but its name: that is a wish for it. */
    if (present == DOMAIN_SWITCH_ABSENT && tickpolicy == DOMAIN_TICK_ABSENT &&
        !check_present(node, &domain_timer_words[kind], DOMAIN_SWITCH_ON, error))
        return false;
    timer.present = (enum domain_switch)present;
    timer.tickpolicy = (enum domain_tickpolicy)tickpolicy;
    clock->timers[kind] = timer;
    return true;
}

static const struct xml_element clock_elements[] = {
    {"timer", "name present track tickpolicy frequency mode", XML_EMPTY, read_timer},
    {},
};

/* As in libvirt, a number of seconds makes of any offset a variable one with that basis. */
static bool read_adjustment(xmlNode *node, struct domain_clock *clock, GError **error)
{
    g_autofree char *text = xml_attribute(node, "adjustment");

    if (!text)
        return true;
    if (strcmp(text, "reset") == 0 && clock->offset != DOMAIN_CLOCK_VARIABLE) {
        clock->reset = true;
        return true;
    }
    if (!xml_parse_signed(text, &clock->adjustment))
        return xml_invalid(error, node, "the adjustment is not a number of seconds");
    if (clock->adjustment < -ADJUSTMENT_MAX || clock->adjustment > ADJUSTMENT_MAX)
        return xml_refuse_attribute(error, node, "adjustment",
                                    "a clock goes at most a century ahead or behind");
    if (clock->offset == DOMAIN_CLOCK_LOCALTIME)
        clock->basis_localtime = true;
    clock->offset = DOMAIN_CLOCK_VARIABLE;
    return true;
}

static bool read_basis(xmlNode *node, struct domain_clock *clock, GError **error)
{
    static const struct xml_value bases[] = {{"utc", false}, {"localtime", true}, {}};
    int basis = false;

    if (!xmlHasProp(node, BAD_CAST "basis"))
        return true;
    if (clock->offset != DOMAIN_CLOCK_VARIABLE)
        return xml_invalid(error, node, "basis is an attribute of a variable offset");
    if (!xml_enum_attribute(node, "basis", bases, &basis, error))
        return false;
    clock->basis_localtime = basis;
    return true;
}

bool domain_read_clock(xmlNode *node, void *target, GError **error)
{
    struct domain_clock *clock = &((struct domain_parser *)target)->def->clock;
    int offset = DOMAIN_CLOCK_UTC;

    if (!xml_enum_attribute(node, "offset", domain_clock_values, &offset, error))
        return false;
    clock->offset = (enum domain_clock_offset)offset;
    /* The others are those of offsets that were refused. */
    return xml_check_attributes(node, "offset adjustment basis", error) &&
           read_basis(node, clock, error) && read_adjustment(node, clock, error) &&
           xml_read_children(node, clock_elements, clock, error);
}
