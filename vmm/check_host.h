/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `vole check-host`: what this host can do for a machine, in words, and what to do about what is
 * missing. It looks, and changes nothing.
 */
#ifndef VOLE_CHECK_HOST_H
#define VOLE_CHECK_HOST_H

#include <stdbool.h>
#include <stddef.h>

enum host_verdict {
    HOST_OK,
    HOST_WARN, /* a machine runs, but not with that, or not as well */
    HOST_FAIL, /* no machine runs, or none with Linux in it */
};

struct host_finding {
    const char *name; /* of the check; stable */
    enum host_verdict verdict;
    char text[200];
    char hint[200]; /* what to do about it; may be empty */
};

#define HOST_CHECKS 14

/* All checks. Files are looked for below `root`, "" being the host's own (another one is for
 * tests). */
void host_check(const char *root, struct host_finding findings[HOST_CHECKS]);

/* The words after `vole check-host`; prints a line for each check to standard output, or with
 * --json an array of objects. Returns the exit status. */
int check_host_command(int argc, char **argv);

/* ---- what is read of the host's files; for the checks, and their tests ---- */

/* Whether a line of /proc/cpuinfo that begins with `key` has that word; -1 when no line does. */
int host_cpuinfo_has(const char *cpuinfo, const char *key, const char *word);
/* The word in brackets: "always [madvise] never". false when there is none that fits. */
bool host_bracketed_word(const char *text, char *word, size_t size);
/* Whether capability `bit` is in the mask of /proc/self/status' CapEff. */
bool host_status_has_capability(const char *status, unsigned bit);

#endif
