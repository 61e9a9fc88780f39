/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors for a child, and the child: each that is added gets a number there, and its name
 * "fd:N" as the machine document has it.
 */
#ifndef VOLE_DRIVER_VMM_INHERIT_H
#define VOLE_DRIVER_VMM_INHERIT_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

struct inherit;
struct identity;

/* What a program is run in. */
struct surroundings {
    int output; /* both of its standard outputs */
    int cgroup; /* the directory of its control group, or -1: the daemon's own */
    const struct identity *identity;
    bool locks_memory; /* it may lock as much as it likes, if that is the daemon's to allow */
};

struct inherit *inherit_new(void);
/* Closes this process's copies; the names stay. */
void inherit_close(struct inherit *inherit);
void inherit_free(struct inherit *inherit);

/* Takes over `fd`; `what` is what a person knows it by. The name is valid as long as `inherit`. */
const char *inherit_add(struct inherit *inherit, int fd, const char *what);
/* Takes over a string that is to live as long as `inherit`. */
const char *inherit_keep(struct inherit *inherit, char *string);
/* A text of the child's with the descriptors it names called what a person knows them by. */
char *inherit_translate(const struct inherit *inherit, const char *text);

/*
 * Runs `argv` with the descriptors, in a new session, in the root directory, with nothing else
 * inherited. The pid, or -1 with `error` set.
 */
pid_t inherit_spawn(const struct inherit *inherit, const char *const *argv,
                    const struct surroundings *surroundings, GError **error);

#endif
