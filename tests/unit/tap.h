/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unit tests speak TAP. A test program is a list of functions:
 *
 *     static void test_wraps(void) { ... check(x == 1); check_str(err.msg, "..."); ... }
 *     int main(void) { return tap_run((struct tap_test[]){ TAP(test_wraps), {} }); }
 *
 * Each function is one test point; a failed check is told with its place and fails that point, and
 * the function goes on.
 */
#ifndef VOLE_TESTS_TAP_H
#define VOLE_TESTS_TAP_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tap_test {
    const char *name;
    void (*fn)(void);
};

#define TAP(fn) \
    {           \
#fn, fn \
    }

/* Writes what a test needs in a file or a pipe. 0, or -1 where not all of it could be written. */
static inline int write_full(int fd, const void *data, size_t len)
{
    return write(fd, data, len) == (ssize_t)len ? 0 : -1;
}

static bool tap_failed_;
static const char *tap_skip_;

static inline bool tap_check_(bool ok, const char *what, const char *file, int line)
{
    if (!ok) {
        printf("# %s:%d: failed: %s\n", file, line, what);
        tap_failed_ = true;
    }
    return ok;
}

static inline bool tap_check_str_(const char *got, const char *want, const char *file, int line)
{
    bool ok = got && want ? strcmp(got, want) == 0 : got == want;

    if (!ok) {
        printf("# %s:%d: got  \"%s\"\n# %s:%d: want \"%s\"\n", file, line, got ? got : "(null)",
               file, line, want ? want : "(null)");
        tap_failed_ = true;
    }
    return ok;
}

static inline bool tap_check_int_(long long got, long long want, const char *what, const char *file,
                                  int line)
{
    if (got != want) {
        printf("# %s:%d: %s is %lld (0x%llx), not %lld (0x%llx)\n", file, line, what, got,
               (unsigned long long)got, want, (unsigned long long)want);
        tap_failed_ = true;
    }
    return got == want;
}

#define check(cond)          tap_check_((cond), #cond, __FILE__, __LINE__)
#define check_str(got, want) tap_check_str_((got), (want), __FILE__, __LINE__)
#define check_int(got, want) \
    tap_check_int_((long long)(got), (long long)(want), #got, __FILE__, __LINE__)

/* The present test cannot run here; say why, then return from it. */
static inline void tap_skip(const char *why)
{
    tap_skip_ = why;
}

/* Programs of another architecture run by an emulator (./check --arch), which does not have all
 * that a kernel has. Skips the test and returns true then. */
static inline bool tap_skip_emulated(const char *why)
{
    if (getenv("VOLE_EMULATED"))
        tap_skip(why);
    return getenv("VOLE_EMULATED") != NULL;
}

static inline int tap_run(const struct tap_test *tests)
{
    int n = 0;
    int failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (; tests[n].fn; n++)
        ;
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        tap_failed_ = false;
        tap_skip_ = NULL;
        tests[i].fn();
        printf("%sok %d - %s%s%s\n", tap_failed_ ? "not " : "", i + 1, tests[i].name,
               tap_skip_ ? " # SKIP " : "", tap_skip_ ? tap_skip_ : "");
        failed += tap_failed_;
    }
    return failed != 0;
}

#endif
