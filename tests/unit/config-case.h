/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For the tests of the machine description: one at a time, from words or from a document. */
#ifndef VOLE_TESTS_CONFIG_CASE_H
#define VOLE_TESTS_CONFIG_CASE_H

#include "vmm/config.h"

#include "tests/unit/tap.h"

static struct config config;
static struct error err;

/* Words of one line; '\a' stands for a space inside a word. */
static inline int parse_args(const char *line)
{
    char *words[64];
    char *copy = xstrdup(line);
    char *rest = copy;
    int count = 0;
    int rc;

    config_clear(&config);
    config_init(&config);
    err.msg[0] = '\0';
    for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
        for (char *p = word; *p; p++)
            *p = *p == '\a' ? ' ' : *p;
        words[count++] = word;
    }
    rc = config_parse_args(&config, count, words, &err);
    if (rc == 0)
        rc = config_validate(&config, &err);
    free(copy);
    return rc;
}

static inline int parse_json(const char *text)
{
    config_clear(&config);
    config_init(&config);
    err.msg[0] = '\0';
    if (config_parse_json(&config, text, strlen(text), &err) < 0)
        return -1;
    return config_validate(&config, &err);
}

static inline void check_refused(int rc, const char *message)
{
    check_int(rc, -1);
    check_str(err.msg, message);
}

#endif
