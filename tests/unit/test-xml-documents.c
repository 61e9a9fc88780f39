/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The two programs share nothing but the machine document: what the daemon's side writes
 * (tests/golden/NAME.json, held to by test-xml-golden) is what the VMM's side reads.
 */
#include <dirent.h>
#include <stdlib.h>

#include "tests/unit/tap.h"
#include "vmm/config.h"
#include "vmm/util.h"

#define GOLDEN_DIR     TOP_SRCDIR "/tests/golden"
#define DOCUMENT_MAX   (64 * 1024)
#define DOCUMENT_LEAST 20 /* as many files are there at the least */

static bool is_document(const char *file)
{
    size_t len = strlen(file);

    return len > 5 && strcmp(file + len - 5, ".json") == 0;
}

/* The whole of a file; its length, or 0 when it cannot be read or is too long. */
static size_t read_document(const char *file, char *text, size_t size)
{
    cleanup_free char *path = NULL;
    FILE *stream;
    size_t len = 0;

    if (asprintf(&path, GOLDEN_DIR "/%s", file) < 0)
        abort();
    stream = fopen(path, "re");
    if (stream) {
        len = fread(text, 1, size, stream);
        fclose(stream);
    }
    return len < size ? len : 0;
}

static void check_document(const char *file)
{
    static char text[DOCUMENT_MAX];
    size_t len = read_document(file, text, sizeof(text));
    struct config config;
    struct error err = {0};

    config_init(&config);
    if (!check(len > 0) || !check(config_parse_json(&config, text, len, &err) == 0) ||
        !check(config_validate(&config, &err) == 0))
        printf("# %s: %s\n", file, err.msg);
    config_clear(&config);
}

static void test_documents(void)
{
    DIR *dir = opendir(GOLDEN_DIR);
    unsigned count = 0;
    const struct dirent *entry;

    if (!check(dir != NULL))
        return;
    while ((entry = readdir(dir))) {
        if (!is_document(entry->d_name))
            continue;
        check_document(entry->d_name);
        count++;
    }
    closedir(dir);
    check(count >= DOCUMENT_LEAST);
}

int main(void)
{
    return tap_run((struct tap_test[]){TAP(test_documents), {}});
}
