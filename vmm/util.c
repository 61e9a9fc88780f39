/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

/* Names come from outside (a JSON key may hold a newline): a message stays one line of text. */
static void blank_control_characters(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

int error_set(struct error *err, const char *fmt, ...)
{
    char text[sizeof(err->msg)]; /* the arguments may point into `err` */
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    blank_control_characters(text);
    memcpy(err->msg, text, sizeof(text));
    return -1;
}

int error_set_errno(struct error *err, int errnum, const char *fmt, ...)
{
    char what[sizeof(err->msg)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    /* A name that is too long is cut off, not the reason behind it. */
    errno = errnum;
    return error_set(err, "%.*s: %m", (int)sizeof(err->msg) - 80, what);
}

int error_prefix(struct error *err, const char *fmt, ...)
{
    char context[sizeof(err->msg)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(context, sizeof(context), fmt, ap);
    va_end(ap);
    return error_set(err, "%s: %s", context, err->msg);
}

void log_warn(const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    /* One call, so that lines of several threads do not mix. */
    fprintf(stderr, "vole: %s\n", line);
}

static void *require_memory(void *p)
{
    if (!p) {
        log_warn("out of memory");
        abort();
    }
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    return require_memory(calloc(n, size));
}

char *xstrdup(const char *s)
{
    return require_memory(strdup(s));
}

char *xasprintf(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return require_memory(n < 0 ? NULL : text);
}

int pread_full(int fd, void *buf, size_t len, uint64_t offset)
{
    uint8_t *p = buf;

    while (len > 0) {
        ssize_t n = pread(fd, p, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -ENODATA;
        p += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

uint64_t monotonic_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

const char *format_mac(const uint8_t mac[6], char text[MAC_TEXT_SIZE])
{
    snprintf(text, MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
             mac[4], mac[5]);
    return text;
}

bool spec_is_fd(const char *spec)
{
    return strncmp(spec, "fd:", 3) == 0;
}

int spec_list_fds(const char *spec, int *fds, int max, struct error *err)
{
    const char *p = spec + 2;
    int count = 0;

    if (!spec_is_fd(spec))
        return 0;
    for (; *p == ':'; count++) {
        char digits[12];
        size_t len = strcspn(++p, ":");
        uint64_t number;

        /* One spelling for each descriptor, so that equal ones are seen to be equal. */
        snprintf(digits, sizeof(digits), "%.*s", (int)MIN(len, sizeof(digits)), p);
        if (parse_number(digits, INT32_MAX, &number) < 0 || (digits[0] == '0' && len > 1))
            return error_set(err, "\"%s\" is not fd:N, the number of a descriptor", spec);
        if (count == max)
            return error_set(err, "\"%s\" has more than %d descriptor%s", spec, max,
                             max == 1 ? "" : "s");
        fds[count] = (int)number;
        p += len;
    }
    return count;
}

int inherit_fd(const char *spec, struct error *err)
{
    int fd = -1;
    int flags;
    int count = spec_list_fds(spec, &fd, 1, err);

    if (count < 0)
        return -1;
    if (count == 0)
        return error_set(err, "\"%s\" is not fd:N, the number of a descriptor", spec);
    flags = fcntl(fd, F_GETFD);
    if (flags < 0)
        return error_set(err, "%s: vole was started without such an open descriptor", spec);
    if (fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
        return error_set_errno(err, errno, "%s", spec);
    return fd;
}

/* A descriptor that cannot do what `flags` asks for would fail later, far from the mistake. */
static int check_access_mode(int fd, int flags, const char *spec, struct error *err)
{
    int have = fcntl(fd, F_GETFL);
    int want = flags & O_ACCMODE;

    if (have < 0)
        return error_set_errno(err, errno, "%s", spec);
    have &= O_ACCMODE;
    if (have == O_RDWR || have == want)
        return 0;
    return error_set(err, "%s: the descriptor is open for %s only", spec,
                     have == O_RDONLY ? "reading" : "writing");
}

int open_path_or_fd(const char *spec, int flags, struct error *err)
{
    int fd;

    if (spec_is_fd(spec)) {
        fd = inherit_fd(spec, err);
        if (fd < 0 || check_access_mode(fd, flags, spec, err) == 0)
            return fd;
        close(fd);
        return -1;
    }
    if (spec[0] == '\0')
        return error_set(err, "the path is empty");
    do
        fd = open(spec, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return error_set_errno(err, errno, "%s", spec);
    /* That was for the opening alone, unless the caller asked for it. */
    if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0) {
        error_set_errno(err, errno, "%s", spec);
        close(fd);
        return -1;
    }
    return fd;
}

int reopen_nonblocking(int fd, int mode)
{
    unsigned pty_number;
    char name[32];
    struct stat st;

    if (fstat(fd, &st) < 0 || (!S_ISCHR(st.st_mode) && !S_ISFIFO(st.st_mode)))
        return -1;
    if (ioctl(fd, TIOCGPTN, &pty_number) == 0)
        return -1; /* a pty's master: opening it anew makes another pty */
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    return open(name, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

int parse_number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (*text == '\0')
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value) || value > max)
            return -1;
    }
    *out = value;
    return 0;
}

int parse_size(const char *text, uint64_t *out)
{
    static const char units[] = "KMGT";
    char digits[24];
    size_t n = strspn(text, "0123456789");
    uint64_t value;

    if (n == 0 || n >= sizeof(digits) || (text[n] && text[n + 1]))
        return -1;
    memcpy(digits, text, n);
    digits[n] = '\0';
    if (parse_number(digits, UINT64_MAX, &value) < 0)
        return -1;
    if (text[n]) {
        const char *unit = strchr(units, text[n]);

        if (!unit)
            return -1;
        if (__builtin_mul_overflow(value, (uint64_t)1 << 10 * (unit - units + 1), &value))
            return -1;
    }
    *out = value;
    return 0;
}
