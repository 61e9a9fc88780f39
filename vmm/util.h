/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The few helpers that every file of the VMM uses: errors that a person can act on, cleanup by
 * scope, and access to fields of fixed width.
 */
#ifndef VOLE_UTIL_H
#define VOLE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a)     (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)         ((a) < (b) ? (a) : (b))
#define MAX(a, b)         ((a) > (b) ? (a) : (b))
#define ALIGN_UP(x, a)    (((x) + (a)-1) & ~((uint64_t)(a)-1))
#define ALIGN_DOWN(x, a)  ((x) & ~((uint64_t)(a)-1))
#define KiB               ((uint64_t)1 << 10)
#define MiB               ((uint64_t)1 << 20)
#define GiB               ((uint64_t)1 << 30)
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/*
 * What went wrong, as one line without a newline, naming the thing it happened to. The caller owns
 * the struct (normally on its stack); whoever fails first fills it, and a caller that knows more
 * puts that in front with error_prefix(). Functions that take one return a negative value or NULL
 * when they have filled it, and leave it alone otherwise.
 */
struct error {
    char msg[512];
};

/* Fills `err` (control characters become '?') and returns -1, so that `return error_set(err, ...)`
 * is one statement. */
int error_set(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The same, with ": " and the text of `errnum` behind it: what was tried ("open /dev/kvm"). */
int error_set_errno(struct error *err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts context and ": " in front of what is there. Returns -1. */
int error_prefix(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* One line to standard error, with the program's name in front; for what is no call's result. */
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);

/*
 * Cleanup by scope. Hand a value over by storing it and setting the local to NULL or -1
 * (steal_ptr(), steal_fd()).
 */
static inline void cleanup_freep(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_closep(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define cleanup_free  __attribute__((cleanup(cleanup_freep)))
#define cleanup_close __attribute__((cleanup(cleanup_closep)))

static inline int steal_fd(int *fd)
{
    int out = *fd;

    *fd = -1;
    return out;
}

#define steal_ptr(pp)                      \
    __extension__({                        \
        __typeof__(*(pp)) stolen_ = *(pp); \
        *(pp) = NULL;                      \
        stolen_;                           \
    })

/* malloc and friends for small, bounded sizes: the process ends when memory does. */
void *xcalloc(size_t n, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/*
 * Reads the whole range at `offset`, retrying what was interrupted or short. Returns 0, or a
 * negative errno, which is -ENODATA where the file ends before.
 */
int pread_full(int fd, void *buf, size_t len, uint64_t offset);

/*
 * A file given as a path, or as "fd:N" for a descriptor that this process inherited. Takes over an
 * inherited descriptor (marks it close-on-exec), which must be open for what `flags` asks; a file
 * that O_CREAT makes is its owner's alone. Opening never waits, as a FIFO without its other end
 * would make it do; whether what was opened will do is the caller's to find out. Returns the
 * descriptor, or -1 with `err` set and an inherited descriptor closed.
 */
int open_path_or_fd(const char *spec, int flags, struct error *err);

/* The first half of it: whether `spec` begins with "fd:", and the descriptor that it names, which
 * may be of any kind. */
bool spec_is_fd(const char *spec);
int inherit_fd(const char *spec, struct error *err);

/*
 * Where a thing takes several descriptors: the numbers in "fd:N:M...", each in its one spelling.
 * Returns how many there are, at most `max`, or -1 with `err`. A text that does not begin with
 * "fd:" has none.
 */
int spec_list_fds(const char *spec, int *fds, int max, struct error *err);

/*
 * A second, non-blocking open file for the terminal, device or pipe that `fd` is open on: unlike
 * with a duplicate, O_NONBLOCK does not reach everybody who shares `fd`. `mode` is O_RDONLY or
 * O_WRONLY. Returns -1 where that is refused (another user's terminal) or cannot be done (a socket,
 * a pty's master; a file, which would lose its position and never blocks).
 */
int reopen_nonblocking(int fd, int mode);

/* Time since some fixed moment; no change of the host's clock touches it. */
uint64_t monotonic_ns(void);

/* Decimal digits only, at most `max`. 0 or -1. */
int parse_number(const char *text, uint64_t max, uint64_t *out);

/* "52:54:00:12:34:56"; returns `text`. */
#define MAC_TEXT_SIZE 18
const char *format_mac(const uint8_t mac[6], char text[MAC_TEXT_SIZE]);
/* "512M" and the like: digits and an optional K, M, G or T (powers of 1024). 0 or -1. */
int parse_size(const char *text, uint64_t *out);

#endif
