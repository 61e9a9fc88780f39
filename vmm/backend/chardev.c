/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The common part of all chardevs: two buffers and one function, chardev_pump(), that moves what
 * can be moved.
 *
 * Descriptors are watched edge-triggered for both directions and stay watched as they are: a
 * writer in a vCPU's thread that finds its descriptor full leaves the rest in the ring, and the
 * edge that announces room will find it there. So nobody but the loop's thread ever touches a
 * watch. It also suits a pty's master, which hangs up for as long as nobody has the slave open.
 * The price of edges is that each one must be used up: reading goes on until the host has no more
 * or the front end takes no more, and chardev_accept_input() starts it again.
 *
 * Other threads reach the loop through the kick: an eventfd that makes it pump. Front ends are
 * always called from there, without the lock held, so that they may call back and may hold locks of
 * their own around chardev_write().
 */
#include "vmm/backend/chardev.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "vmm/backend/chardev_priv.h"

/* Bytes offered in one go, after which other watches get their turn. */
#define PUMP_BUDGET (16 * CHARDEV_INPUT)

/* ---- the kinds ---- */

struct chardev_kind {
    const char *name;
    bool has_arg; /* NAME:ARG */
    int (*open)(struct chardev *chr, const char *arg, struct error *err);
};

static const struct chardev_kind kinds[] = {
    {"stdio", false, chardev_open_stdio}, {"pty", false, chardev_open_pty},
    {"unix", true, chardev_open_unix},    {"file", true, chardev_open_file},
    {"fd", true, chardev_open_fd},        {"null", false, chardev_open_null},
    {"none", false, chardev_open_null},
};

static const struct chardev_kind *find_kind(const char *spec, const char **arg, struct error *err)
{
    size_t len = strcspn(spec, ":");

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const struct chardev_kind *kind = &kinds[i];

        if (strlen(kind->name) != len || strncmp(kind->name, spec, len) != 0)
            continue;
        if (kind->has_arg ? spec[len] == '\0' || spec[len + 1] == '\0' : spec[len] != '\0')
            break;
        *arg = kind->has_arg ? spec + len + 1 : NULL;
        return kind;
    }
    error_set(err, "\"%s\" is none of stdio, pty, unix:PATH, file:PATH, fd:N, null, none", spec);
    return NULL;
}

int chardev_check_spec(const char *spec, struct error *err)
{
    const char *arg;

    return find_kind(spec, &arg, err) ? 0 : -1;
}

/* ---- telling the front end ---- */

static void kick(struct chardev *chr)
{
    (void)eventfd_write(chr->kick_fd, 1);
}

/* With the lock held. */
static bool is_connected(struct chardev *chr)
{
    if (!chr->connected && chr->ops->probe && chr->out_fd >= 0)
        chr->connected = chr->ops->probe(chr);
    return chr->connected;
}

/* With the lock held. What was not sent yet is meant for nobody. */
static void drop_output(struct chardev *chr)
{
    chr->out_start = 0;
    chr->out_len = 0;
}

static void tell_connected(struct chardev *chr)
{
    bool connected;

    pthread_mutex_lock(&chr->lock);
    connected = chr->connected;
    pthread_mutex_unlock(&chr->lock);
    if (connected == chr->told_connected)
        return;
    chr->told_connected = connected;
    if (chr->events && chr->events->connected)
        chr->events->connected(chr->opaque, connected);
}

static void tell_writable(struct chardev *chr)
{
    bool owed;

    pthread_mutex_lock(&chr->lock);
    owed = chr->starved && chr->out_len < CHARDEV_BUFFER;
    if (owed)
        chr->starved = false;
    pthread_mutex_unlock(&chr->lock);
    if (owed && chr->events && chr->events->writable)
        chr->events->writable(chr->opaque);
}

/* ---- output ---- */

ssize_t chardev_plain_write(struct chardev *chr, const void *buf, size_t len)
{
    ssize_t n;

    do
        n = write(chr->out_fd, buf, len);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* With the lock held: hands over what the host takes. Returns how much, which is all of it when
 * nobody listens. */
static size_t write_now(struct chardev *chr, const uint8_t *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = chr->ops->write(chr, data + done, len - done);

        if (n == -EAGAIN || n == 0)
            return done;
        if (n < 0) {
            if (!chr->warned && n != -EPIPE && n != -ECONNRESET && n != -EIO)
                log_warn("%s: output is lost: %s", chr->label, strerror((int)-n));
            chr->warned = true;
            return len;
        }
        chr->warned = false;
        done += (size_t)n;
    }
    return done;
}

/* With the lock held. */
static void flush(struct chardev *chr)
{
    while (chr->out_len > 0) {
        size_t piece = MIN(chr->out_len, CHARDEV_BUFFER - chr->out_start);
        size_t n = write_now(chr, chr->out + chr->out_start, piece);

        chr->out_start = (chr->out_start + n) % CHARDEV_BUFFER;
        chr->out_len -= n;
        if (n < piece)
            return;
    }
}

/* With the lock held: into the ring, as much as fits. */
static size_t keep(struct chardev *chr, const uint8_t *data, size_t len)
{
    size_t done = 0;

    len = MIN(len, CHARDEV_BUFFER - chr->out_len);
    while (done < len) {
        size_t end = (chr->out_start + chr->out_len) % CHARDEV_BUFFER;
        size_t piece = MIN(len - done, CHARDEV_BUFFER - end);

        memcpy(chr->out + end, data + done, piece);
        chr->out_len += piece;
        done += piece;
    }
    return done;
}

size_t chardev_write(struct chardev *chr, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    size_t done = 0;
    bool was_connected;
    bool changed;

    if (!chr->ops->write)
        return len;
    pthread_mutex_lock(&chr->lock);
    was_connected = chr->connected;
    if (is_connected(chr)) {
        if (chr->out_len == 0)
            done = write_now(chr, bytes, len);
        done += keep(chr, bytes + done, len - done);
        chr->starved |= done < len;
    } else {
        done = len;
    }
    changed = chr->connected != was_connected;
    pthread_mutex_unlock(&chr->lock);
    if (changed)
        kick(chr);
    return done;
}

bool chardev_can_write(struct chardev *chr)
{
    bool can;

    pthread_mutex_lock(&chr->lock);
    can = chr->out_len < CHARDEV_BUFFER;
    chr->starved |= !can;
    pthread_mutex_unlock(&chr->lock);
    return can;
}

bool chardev_is_connected(struct chardev *chr)
{
    bool connected;

    pthread_mutex_lock(&chr->lock);
    connected = is_connected(chr);
    pthread_mutex_unlock(&chr->lock);
    return connected;
}

/* ---- input ---- */

ssize_t chardev_plain_read(struct chardev *chr, void *buf, size_t len)
{
    ssize_t n;

    do
        n = read(chr->in_fd, buf, len);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

#define CTRL_A 0x01

/* The terminal's own commands, taken out of what came in. Returns what is left. */
static size_t filter_escapes(struct chardev *chr, uint8_t *data, size_t len)
{
    size_t kept = 0;

    for (size_t i = 0; i < len; i++) {
        if (!chr->in_escape && data[i] == CTRL_A) {
            chr->in_escape = true;
            continue;
        }
        /* Ctrl-A means nothing to other keys: they go to the guest. */
        if (chr->in_escape && data[i] == 'x')
            kill(getpid(), SIGTERM);
        else
            data[kept++] = data[i];
        chr->in_escape = false;
    }
    return kept;
}

/* Reads once, into the empty buffer. False when there is nothing more to read now. */
static bool read_more(struct chardev *chr)
{
    ssize_t n;

    if (chr->in_fd < 0 || !chr->ops->read)
        return false;
    n = chr->ops->read(chr, chr->in, sizeof(chr->in));
    if (n == -EAGAIN)
        return false;
    chr->in_start = 0;
    chr->in_end = 0;
    if (n <= 0) {
        if (chr->ops->hung_up)
            chr->ops->hung_up(chr);
        return false;
    }
    chr->in_end = chr->escapes ? filter_escapes(chr, chr->in, (size_t)n) : (size_t)n;
    return true;
}

/*
 * Offers what the buffer holds. `held` is up before the front end is asked, and taken down only
 * when it took everything: so an accept that comes from another thread at any moment after the
 * refusal (even before we see the refusal here) makes a kick.
 */
static bool offer(struct chardev *chr)
{
    size_t len = chr->in_end - chr->in_start;
    size_t taken;

    atomic_store(&chr->held, true);
    taken = chr->events->input(chr->opaque, chr->in + chr->in_start, len);
    chr->in_start += MIN(taken, len);
    if (taken < len)
        return false;
    atomic_store(&chr->held, false);
    return true;
}

static void pump_input(struct chardev *chr)
{
    size_t moved = 0;

    while (chr->events) {
        if (chr->in_start == chr->in_end) {
            if (!read_more(chr))
                return;
            continue;
        }
        if (moved >= PUMP_BUDGET) {
            kick(chr);
            return;
        }
        moved += chr->in_end - chr->in_start;
        if (!offer(chr))
            return;
    }
}

void chardev_accept_input(struct chardev *chr)
{
    if (atomic_exchange(&chr->held, false))
        kick(chr);
}

/* ---- the loop's side ---- */

bool chardev_lingers(struct chardev *chr)
{
    return chr->hung_up && chr->in_fd >= 0 && atomic_load(&chr->held);
}

/* Everything that may have become possible. */
static void chardev_pump(struct chardev *chr)
{
    pthread_mutex_lock(&chr->lock);
    if (chr->ops->probe && chr->out_fd >= 0) {
        chr->connected = chr->ops->probe(chr);
        if (!chr->connected)
            drop_output(chr);
    }
    if (chr->out_fd >= 0)
        flush(chr);
    pthread_mutex_unlock(&chr->lock);
    tell_connected(chr);
    pump_input(chr);
    if (chr->ops->lingers && chardev_lingers(chr))
        chr->ops->lingers(chr);
    tell_connected(chr);
    tell_writable(chr);
}

static void descriptor_ready(void *opaque, uint32_t events)
{
    struct chardev *chr = opaque;

    /* Not acted upon: what was sent before is still to be read, and its end is met by reading. */
    if (events & EPOLLHUP)
        chr->hung_up = true;
    chardev_pump(chr);
}

static void kicked(void *opaque, uint32_t events)
{
    struct chardev *chr = opaque;
    eventfd_t count;

    (void)eventfd_read(chr->kick_fd, &count);
    chardev_pump(chr);
}

/* A descriptor that cannot be waited for (a file) is always ready, so that needs no watch. */
static void watch(struct chardev *chr, struct loop_watch *w, int fd, uint32_t events)
{
    struct error err;
    int rc = loop_add(chr->loop, w, fd, events | EPOLLET, descriptor_ready, chr, &err);

    if (rc < 0 && rc != -EPERM)
        log_warn("%s: %s", chr->label, err.msg);
}

static void watch_descriptors(struct chardev *chr)
{
    if (chr->in_fd >= 0)
        watch(chr, &chr->in_watch, chr->in_fd,
              chr->in_fd == chr->out_fd ? EPOLLIN | EPOLLOUT : EPOLLIN);
    if (chr->out_fd >= 0 && chr->out_fd != chr->in_fd)
        watch(chr, &chr->out_watch, chr->out_fd, EPOLLOUT);
}

void chardev_client(struct chardev *chr, int fd)
{
    pthread_mutex_lock(&chr->lock);
    chr->in_fd = chr->out_fd = fd;
    chr->connected = true;
    pthread_mutex_unlock(&chr->lock);
    chr->hung_up = false;
    watch_descriptors(chr);
    kick(chr);
}

int chardev_take_client(struct chardev *chr)
{
    int fd = chr->in_fd;

    loop_remove(chr->loop, &chr->in_watch);
    pthread_mutex_lock(&chr->lock);
    chr->in_fd = chr->out_fd = -1;
    chr->connected = false;
    drop_output(chr);
    pthread_mutex_unlock(&chr->lock);
    tell_connected(chr); /* now: the next client may follow at once */
    return fd;
}

/* ---- attach, open, close ---- */

struct attachment {
    struct chardev *chr;
    const struct chardev_events *events;
    void *opaque;
};

static void start(struct chardev *chr)
{
    struct error err;

    chr->told_connected = false;
    if (loop_add(chr->loop, &chr->kick_watch, chr->kick_fd, EPOLLIN, kicked, chr, &err) < 0)
        log_warn("%s: %s", chr->label, err.msg);
    watch_descriptors(chr);
    if (chr->ops->start)
        chr->ops->start(chr);
    /* What was there before us makes no edge. Not called from here: the front end may not be ready
     * before attach returns. */
    kick(chr);
}

static void stop(struct chardev *chr)
{
    if (chr->ops->stop)
        chr->ops->stop(chr);
    loop_remove(chr->loop, &chr->in_watch);
    loop_remove(chr->loop, &chr->out_watch);
    loop_remove(chr->loop, &chr->kick_watch);
}

static void attach_in_loop(void *opaque)
{
    const struct attachment *a = opaque;

    if (a->chr->events)
        stop(a->chr);
    a->chr->events = a->events;
    a->chr->opaque = a->opaque;
    if (a->events)
        start(a->chr);
}

void chardev_attach(struct chardev *chr, const struct chardev_events *events, void *opaque)
{
    struct attachment a = {chr, events, opaque};

    if (chr->events || events)
        loop_call(chr->loop, attach_in_loop, &a);
}

static struct chardev *chardev_new(const char *label, struct loop *loop)
{
    struct chardev *chr = xcalloc(1, sizeof(*chr));

    chr->loop = loop;
    chr->label = xstrdup(label);
    chr->out = xcalloc(1, CHARDEV_BUFFER);
    chr->in_fd = chr->out_fd = chr->kick_fd = -1;
    chr->in_watch.fd = chr->out_watch.fd = chr->kick_watch.fd = chr->listen_watch.fd = -1;
    chr->listener = UNIX_LISTENER_CLOSED;
    pthread_mutex_init(&chr->lock, NULL);
    return chr;
}

struct chardev *chardev_open(const char *spec, const char *label, struct loop *loop,
                             struct error *err)
{
    const char *arg = NULL;
    const struct chardev_kind *kind = find_kind(spec, &arg, err);
    struct chardev *chr;

    if (!kind) {
        error_prefix(err, "%s", label);
        return NULL;
    }
    chr = chardev_new(label, loop);
    chr->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (chr->kick_fd < 0) {
        error_set_errno(err, errno, "%s", label);
        chardev_close(chr);
        return NULL;
    }
    if (kind->open(chr, arg, err) < 0) {
        error_prefix(err, "%s", label);
        chardev_close(chr);
        return NULL;
    }
    return chr;
}

/* How long the end waits for a reader, in milliseconds: for any progress, and in all. */
#define DRAIN_STALLED_MS 1000
#define DRAIN_TOTAL_MS   5000

static int64_t now_ms(void)
{
    return (int64_t)(monotonic_ns() / 1000000);
}

/* A guest's last words are worth a wait for a reader that is merely slow, but one that has stopped
 * reading does not keep the machine from ending. */
static void drain(struct chardev *chr)
{
    int64_t end = now_ms() + DRAIN_TOTAL_MS;
    int64_t stalled = 0; /* when to give up; from the last progress on */
    size_t before = SIZE_MAX;

    while (chr->out_fd >= 0 && chr->connected) {
        struct pollfd p = {.fd = chr->out_fd, .events = POLLOUT};
        int64_t now = now_ms();

        flush(chr);
        if (chr->out_len < before)
            stalled = MIN(now + DRAIN_STALLED_MS, end);
        before = chr->out_len;
        if (before == 0)
            return;
        if (now >= stalled || (poll(&p, 1, (int)(stalled - now)) < 0 && errno != EINTR) ||
            (p.revents & (POLLERR | POLLHUP | POLLNVAL)))
            break;
    }
}

void chardev_drain(struct chardev *chr)
{
    pthread_mutex_lock(&chr->lock);
    drain(chr);
    pthread_mutex_unlock(&chr->lock);
}

void chardev_close(struct chardev *chr)
{
    if (!chr)
        return;
    chardev_attach(chr, NULL, NULL);
    pthread_mutex_lock(&chr->lock);
    drain(chr);
    if (chr->out_len > 0)
        log_warn("%s: the last %zu bytes are lost: nobody reads them", chr->label, chr->out_len);
    pthread_mutex_unlock(&chr->lock);
    if (chr->ops && chr->ops->close)
        chr->ops->close(chr);
    if (chr->out_fd >= 0 && chr->out_fd != chr->in_fd)
        close(chr->out_fd);
    if (chr->in_fd >= 0)
        close(chr->in_fd);
    if (chr->kick_fd >= 0)
        close(chr->kick_fd);
    pthread_mutex_destroy(&chr->lock);
    free(chr->out);
    free(chr->label);
    free(chr->filename);
    free(chr->path);
    free(chr);
}

const char *chardev_filename(const struct chardev *chr)
{
    return chr->filename;
}

const char *chardev_path(const struct chardev *chr)
{
    return chr->path;
}

const char *chardev_label(const struct chardev *chr)
{
    return chr->label;
}

bool chardev_tells_clients(const struct chardev *chr)
{
    return chr->ops->read && chr->ops->write && !chr->ops->probe;
}
