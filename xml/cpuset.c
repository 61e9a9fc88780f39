/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/cpuset.h"

#include <string.h>

#include "xml/reader.h"

/* More than enough to name each CPU, and to take it out again. */
#define TEXT_MAX 16384

bool cpuset_has(const struct cpuset *set, unsigned cpu)
{
    return cpu < CPUSET_MAX && set->words[cpu / 64] >> cpu % 64 & 1;
}

void cpuset_add(struct cpuset *set, unsigned cpu)
{
    if (cpu < CPUSET_MAX)
        set->words[cpu / 64] |= UINT64_C(1) << cpu % 64;
}

bool cpuset_is_empty(const struct cpuset *set)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(set->words); i++)
        if (set->words[i])
            return false;
    return true;
}

static bool parse_cpu(const char *text, unsigned *cpu)
{
    uint64_t number;

    if (!xml_parse_unsigned(text, CPUSET_MAX - 1, &number))
        return false;
    *cpu = (unsigned)number;
    return true;
}

/* "3", "^3" or "0-3". */
static bool parse_part(char *part, struct cpuset *set)
{
    char *dash = strchr(part, '-');
    unsigned first;
    unsigned last;

    if (*part == '^') {
        if (!parse_cpu(part + 1, &first) || !cpuset_has(set, first))
            return false;
        set->words[first / 64] &= ~(UINT64_C(1) << first % 64);
        return true;
    }
    if (dash)
        *dash = '\0';
    if (!parse_cpu(part, &first) || !parse_cpu(dash ? dash + 1 : part, &last) || last < first)
        return false;
    for (unsigned cpu = first; cpu <= last; cpu++)
        cpuset_add(set, cpu);
    return true;
}

static bool parse_list(const char *text, struct cpuset *set)
{
    g_auto(GStrv) parts = strlen(text) <= TEXT_MAX ? g_strsplit(text, ",", -1) : NULL;

    for (char **part = parts; part && *part; part++)
        if (!parse_part(g_strstrip(*part), set))
            return false;
    return parts;
}

bool cpuset_parse(const char *text, struct cpuset *set, GError **error)
{
    struct cpuset read = {{0}};

    if (!parse_list(text, &read) || cpuset_is_empty(&read)) {
        g_autofree char *shown = xml_excerpt(text);

        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "Failed to parse bitmap '%s'", shown);
        return false;
    }
    *set = read;
    return true;
}

char *cpuset_format(const struct cpuset *set)
{
    GString *out = g_string_new(NULL);

    for (unsigned cpu = 0; cpu < CPUSET_MAX; cpu++) {
        unsigned first = cpu;

        if (!cpuset_has(set, cpu))
            continue;
        while (cpuset_has(set, cpu + 1))
            cpu++;
        g_string_append_printf(out, "%s%u", out->len ? "," : "", first);
        if (cpu > first)
            g_string_append_printf(out, "-%u", cpu);
    }
    return g_string_free(out, FALSE);
}
