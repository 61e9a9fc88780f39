/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Machine documents, or, when the first byte is '-', words of a command line, one a line. What is
 * accepted can be written as a document, and is then read as the same.
 */
#include <stdint.h>
#include <stdio.h>

#include "vmm/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The only words that make somebody open a file. */
static bool opens_file(const char *word)
{
    return strncmp(word, "--config", 8) == 0;
}

static int parse_words(struct config *config, char *text, struct error *err)
{
    char *words[64];
    int count = 0;

    for (char *word; count < 64 && (word = strsep(&text, "\n")) != NULL;) {
        if (opens_file(word))
            return -1;
        words[count++] = word;
    }
    return config_parse_args(config, count, words, err) == 0 ? 0 : -1;
}

static void check_round_trip(const struct config *config)
{
    struct config again;
    struct error err;
    json_t *first = config_to_json(config);
    json_t *second;
    char *text = json_dumps(first, 0);

    config_init(&again);
    if (!text || config_parse_json(&again, text, strlen(text), &err) < 0 ||
        config_validate(&again, &err) < 0)
        abort();
    second = config_to_json(&again);
    if (!json_equal(first, second))
        abort();
    json_decref(first);
    json_decref(second);
    free(text);
    config_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    struct error err;
    char *text = strndup((const char *)data, size);
    int rc;

    config_init(&config);
    if (size > 0 && data[0] == '-')
        rc = parse_words(&config, text, &err);
    else
        rc = config_parse_json(&config, (const char *)data, size, &err);
    if (rc == 0 && config_validate(&config, &err) == 0)
        check_round_trip(&config);
    config_clear(&config);
    free(text);
    return 0;
}
