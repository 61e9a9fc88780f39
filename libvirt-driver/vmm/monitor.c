/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/monitor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "libvirt-driver/util.h"
#include "libvirt-driver/watch.h"
#include "xml/error.h"

/* A longer line is no VMM of ours. */
#define LINE_MAX_BYTES ((gsize)4 * 1024 * 1024)
#define READ_CHUNK     65536

/* The id of qmp_capabilities; commands count from 1. */
#define GREETING_ID 0

struct monitor {
    int fd;
    struct watches *watches;
    monitor_event_fn event;
    gpointer opaque; /* the owner, held as long as the main thread may come to the monitor */
    GDestroyNotify release_owner;
    GByteArray *line; /* the main thread's */

    GMutex lock; /* for what follows */
    GCond changed;
    guint64 watch;
    bool ready;
    bool closed;
    gint64 last_id;
    GHashTable *pending;  /* id -> struct monitor_call, for which somebody waits */
    gint64 overdue_id;    /* a command that was given up waiting for; 0: none */
    gint64 overdue_since; /* monotonic time */
};

void monitor_free(struct monitor *monitor)
{
    close(monitor->fd);
    g_byte_array_unref(monitor->line);
    g_hash_table_unref(monitor->pending);
    g_mutex_clear(&monitor->lock);
    g_cond_clear(&monitor->changed);
    g_free(monitor);
}

/* Sends one object; the monitor is locked. A control message is far smaller than the socket's
 * buffer, so what does not fit at once tells of a VMM that has stopped reading. */
static bool send_locked(struct monitor *monitor, const json_t *message)
{
    g_autofree char *text = json_dumps(message, JSON_COMPACT);
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    gsize len = strlen(line);

    return !monitor->closed &&
           send(monitor->fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

static json_t *make_command(const char *command, json_t *arguments, gint64 id)
{
    json_t *message = json_pack("{s:s, s:I}", "execute", command, "id", (json_int_t)id);

    if (arguments)
        json_object_set_new(message, "arguments", arguments);
    return message;
}

void monitor_close(struct monitor *monitor)
{
    struct watches *watches = monitor->watches;
    guint64 watch;

    g_mutex_lock(&monitor->lock);
    watch = monitor->watch;
    monitor->closed = true;
    g_cond_broadcast(&monitor->changed);
    g_mutex_unlock(&monitor->lock);
    watch_end(watches, watch);
}

/* Takes over the message, which is given to who waits for it. */
static void handle_reply(struct monitor *monitor, json_t *reply)
{
    g_autoptr(json_ref) message = reply;
    hold_lock(&monitor->lock);
    gint64 id = json_integer_value(json_object_get(message, "id"));
    struct monitor_call *call;

    if (!json_is_integer(json_object_get(message, "id")))
        return;
    if (id == GREETING_ID) {
        monitor->ready = json_object_get(message, "return") != NULL;
    } else {
        call = g_hash_table_lookup(monitor->pending, &id);
        if (call && !call->reply)
            call->reply = g_steal_pointer(&message);
        /* Commands are answered in their order: this one tells that the VMM has caught up. */
        if (id >= monitor->overdue_id)
            monitor->overdue_id = 0;
    }
    g_cond_broadcast(&monitor->changed);
}

static void handle_greeting(struct monitor *monitor)
{
    hold_lock(&monitor->lock);
    g_autoptr(json_ref) command = make_command("qmp_capabilities", NULL, GREETING_ID);

    if (!send_locked(monitor, command))
        g_info("a VMM's monitor takes no commands");
}

/* False when the line is not what a VMM says. */
static bool handle_line(struct monitor *monitor, const guint8 *line, gsize len)
{
    g_autoptr(json_ref) message = json_loadb((const char *)line, len, JSON_REJECT_DUPLICATES, NULL);
    const char *event = json_string_value(json_object_get(message, "event"));

    if (!json_is_object(message))
        return false;
    if (event)
        monitor->event(monitor->opaque, event, json_object_get(message, "data"));
    else if (json_object_get(message, "QMP"))
        handle_greeting(monitor);
    else
        handle_reply(monitor, g_steal_pointer(&message));
    return true;
}

/* Handles the lines that are complete; false when what came makes no sense. */
static bool handle_lines(struct monitor *monitor)
{
    gsize done = 0;

    for (;;) {
        const guint8 *line = monitor->line->data + done;
        gsize left = monitor->line->len - done;
        const guint8 *end = left ? memchr(line, '\n', left) : NULL;
        gsize len;

        if (!end)
            break;
        len = (gsize)(end - line);
        done += len + 1;
        if (len && line[len - 1] == '\r')
            len--;
        if (len && !handle_line(monitor, line, len))
            return false;
    }
    g_byte_array_remove_range(monitor->line, 0, (guint)done);
    return monitor->line->len <= LINE_MAX_BYTES;
}

/* 1 when something came, 0 when there is nothing yet, -1 when there will be nothing more. */
static int monitor_read(struct monitor *monitor)
{
    guint8 chunk[READ_CHUNK];
    ssize_t n = recv(monitor->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -1;
    g_byte_array_append(monitor->line, chunk, (guint)n);
    if (!handle_lines(monitor)) {
        g_info("a VMM's monitor said something that is no QMP; closing it");
        monitor->event(monitor->opaque, MONITOR_BROKE, NULL);
        return -1;
    }
    return 1;
}

static bool monitor_is_closed(struct monitor *monitor)
{
    hold_lock(&monitor->lock);

    return monitor->closed;
}

void monitor_drain(struct monitor *monitor)
{
    gsize left = LINE_MAX_BYTES;

    /* No more than the socket can hold: a process that the VMM left behind may go on writing. */
    while (left && !monitor_is_closed(monitor) && monitor_read(monitor) > 0)
        left -= READ_CHUNK;
    monitor_close(monitor);
}

static bool on_readable(gpointer data)
{
    struct monitor *monitor = data;

    if (monitor_read(monitor) >= 0)
        return true;
    monitor_close(monitor);
    return false;
}

static void release(gpointer data)
{
    struct monitor *monitor = data;

    monitor->release_owner(monitor->opaque);
}

static int connect_to(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    /* A VMM that takes no connections, and has many waiting, must not keep us waiting as well. */
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path)) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "the monitor's path '%s' is too long",
                          path);
        return -1;
    }
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        libvirt_error_set_errno(error, errno, "failed to connect to monitor socket '%s'", path);
        return -1;
    }
    return steal_fd(&fd);
}

/* Under the lock, so that whoever closes the monitor knows the watch. */
static bool watch(struct monitor *monitor, GError **error)
{
    hold_lock(&monitor->lock);

    monitor->watch =
        watch_begin(monitor->watches, monitor->fd, on_readable, monitor, release, error);
    return monitor->watch != 0;
}

struct monitor *monitor_connect(struct watches *watches, const char *path, monitor_event_fn event,
                                gpointer opaque, GDestroyNotify release_owner, GError **error)
{
    int fd = connect_to(path, error);
    struct monitor *monitor;

    if (fd < 0) {
        release_owner(opaque);
        return NULL;
    }
    monitor = g_new0(struct monitor, 1);
    monitor->fd = fd;
    monitor->watches = watches;
    monitor->event = event;
    monitor->opaque = opaque;
    monitor->release_owner = release_owner;
    monitor->line = g_byte_array_new();
    monitor->pending = g_hash_table_new(g_int64_hash, g_int64_equal);
    g_mutex_init(&monitor->lock);
    g_cond_init(&monitor->changed);
    if (watch(monitor, error))
        return monitor;
    monitor_free(monitor);
    return NULL;
}

static gint64 deadline_in(guint timeout_ms)
{
    return g_get_monotonic_time() + (gint64)timeout_ms * 1000;
}

static void set_gone(GError **error)
{
    libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "the domain's VMM has ended");
}

bool monitor_wait_ready(struct monitor *monitor, guint timeout_ms, GError **error)
{
    hold_lock(&monitor->lock);
    gint64 deadline = deadline_in(timeout_ms);
    bool in_time = true;

    while (!monitor->ready && !monitor->closed && in_time)
        in_time = g_cond_wait_until(&monitor->changed, &monitor->lock, deadline);
    if (monitor->closed)
        set_gone(error);
    else if (!monitor->ready)
        libvirt_error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                          "the domain's VMM does not answer on its monitor");
    return monitor->ready && !monitor->closed;
}

/* The reply's "return", or the error it holds. */
static bool take_reply(const char *command, json_t *reply, json_t **ret, GError **error)
{
    json_t *value = json_object_get(reply, "return");
    const json_t *failed = json_object_get(reply, "error");
    const char *desc = json_string_value(json_object_get(failed, "desc"));
    const char *class = json_string_value(json_object_get(failed, "class"));
    bool no_device =
        g_strcmp0(class, "DeviceNotActive") == 0 || g_strcmp0(class, "DeviceNotFound") == 0;

    if (!value) {
        libvirt_error_set(error, no_device ? VIR_ERR_OPERATION_INVALID : VIR_ERR_INTERNAL_ERROR,
                          "unable to execute command '%s': %s", command,
                          desc ? desc : "the VMM sent no reason");
        return false;
    }
    if (ret)
        *ret = json_incref(value);
    return true;
}

static void set_not_answered(const char *command, GError **error)
{
    libvirt_error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                      "command '%s' was not answered in time by the domain's VMM", command);
}

bool monitor_begin(struct monitor *monitor, struct monitor_call *call, const char *command,
                   json_t *arguments, GError **error)
{
    hold_lock(&monitor->lock);
    gint64 id = ++monitor->last_id;
    g_autoptr(json_ref) message = make_command(command, arguments, id);

    *call = (struct monitor_call){NULL, 0, NULL};
    if (monitor->overdue_id) {
        set_not_answered(command, error);
        return false;
    }
    if (!send_locked(monitor, message)) {
        set_gone(error);
        return false;
    }
    *call = (struct monitor_call){command, id, NULL};
    g_hash_table_insert(monitor->pending, &call->id, call);
    return true;
}

bool monitor_finish(struct monitor *monitor, struct monitor_call *call, gint64 deadline,
                    json_t **ret, GError **error)
{
    const char *command = call->command;
    g_autoptr(json_ref) reply = NULL;
    bool in_time = true;
    bool closed;

    g_mutex_lock(&monitor->lock);
    while (!call->reply && !monitor->closed && in_time)
        in_time = g_cond_wait_until(&monitor->changed, &monitor->lock, deadline);
    g_hash_table_remove(monitor->pending, &call->id);
    reply = call->reply;
    closed = monitor->closed;
    if (!reply && !closed && !monitor->overdue_id) {
        monitor->overdue_id = call->id;
        monitor->overdue_since = g_get_monotonic_time();
    }
    g_mutex_unlock(&monitor->lock);

    *call = (struct monitor_call){NULL, 0, NULL};
    if (reply)
        return take_reply(command, reply, ret, error);
    if (closed)
        set_gone(error);
    else
        set_not_answered(command, error);
    return false;
}

bool monitor_execute(struct monitor *monitor, const char *command, json_t *arguments,
                     guint timeout_ms, json_t **ret, GError **error)
{
    struct monitor_call call;

    return monitor_begin(monitor, &call, command, arguments, error) &&
           monitor_finish(monitor, &call, deadline_in(timeout_ms), ret, error);
}

gint64 monitor_overdue(struct monitor *monitor)
{
    hold_lock(&monitor->lock);

    return monitor->overdue_id ? MAX(g_get_monotonic_time() - monitor->overdue_since, 1) : 0;
}
