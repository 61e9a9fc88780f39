/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/host_libvirt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/identity.h"
#include "libvirt-driver/vmm/inherit.h"
#include "xml/error.h"

#define HELPER          "virtvoled-helper"
#define REPLY_MAX_BYTES (4u << 20)

/* In the build tree it lies beside the daemon. */
static char *find_helper(GError **error)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *dir = g_path_get_dirname(self ? self : "/");
    g_autofree char *beside = g_build_filename(dir, HELPER, NULL);

    if (g_file_test(beside, G_FILE_TEST_IS_EXECUTABLE))
        return g_steal_pointer(&beside);
    if (g_file_test(VOLE_LIBEXECDIR "/" HELPER, G_FILE_TEST_IS_EXECUTABLE))
        return g_strdup(VOLE_LIBEXECDIR "/" HELPER);
    libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot find the program '%s' in %s", HELPER,
                      VOLE_LIBEXECDIR);
    return NULL;
}

/* The request as a file in memory. */
static int write_request(const struct daemon *daemon, json_t *steps, GError **error)
{
    const struct settings *settings = &daemon->settings;
    const char *level = daemon->paths.session ? "session" : "system";
    g_autofree char *network = g_strdup_printf("network:///%s", level);
    g_autofree char *storage = g_strdup_printf("storage:///%s", level);
    g_autoptr(json_ref) request = json_pack(
        "{s:s, s:s, s:O}", "network-uri", settings->network_uri ? settings->network_uri : network,
        "storage-uri", settings->storage_uri ? settings->storage_uri : storage, "steps", steps);
    auto_close int fd = memfd_create("virtvoled-request", MFD_CLOEXEC);

    if (request && fd >= 0 && json_dumpfd(request, fd, JSON_COMPACT) == 0 &&
        lseek(fd, 0, SEEK_SET) == 0)
        return steal_fd(&fd);
    libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot write a request to libvirt");
    return -1;
}

static pid_t start_helper(int request, int reply, int null, GError **error)
{
    static const struct identity own = {0};
    const struct surroundings surroundings = {.output = null, .cgroup = -1, .identity = &own};
    g_autofree char *program = find_helper(error);
    const char *const argv[] = {program, NULL};
    struct inherit *inherit = inherit_new();
    pid_t pid = -1;

    inherit_add(inherit, request, "request");
    inherit_add(inherit, reply, "reply");
    if (program)
        pid = inherit_spawn(inherit, argv, &surroundings, error);
    inherit_free(inherit);
    return pid;
}

/* Until its end: a helper that fails closes it, too. False when that takes too long. */
static bool read_reply(int fd, guint seconds, GString *reply)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
    char piece[4096];

    for (;;) {
        gint64 left = (deadline - g_get_monotonic_time()) / 1000;
        ssize_t n;

        if (left <= 0 || reply->len > REPLY_MAX_BYTES || !wait_for_fd(fd, POLLIN, left))
            return false;
        n = read(fd, piece, sizeof(piece));
        if (n == 0 || (n < 0 && errno != EINTR))
            return true;
        if (n > 0)
            g_string_append_len(reply, piece, n);
    }
}

/* The results, or NULL with libvirt's own error. */
static json_t *results_of(const GString *text, GError **error)
{
    g_autoptr(json_ref) reply = json_loadb(text->str, text->len, 0, NULL);
    const json_t *failed = json_object_get(reply, "error");
    json_t *results = json_object_get(reply, "results");
    const char *message = json_string_value(json_object_get(failed, "message"));
    int code = (int)json_integer_value(json_object_get(failed, "code"));

    if (json_is_array(results))
        return json_incref(results);
    if (!failed || !message || code <= VIR_ERR_OK)
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "'%s' gave no answer", HELPER);
    else if (*message)
        libvirt_error_set(error, (virErrorNumber)code, "%s", message);
    else
        libvirt_error_set(error, (virErrorNumber)code, NULL);
    return NULL;
}

static json_t *ask(const struct daemon *daemon, json_t *steps, GError **error)
{
    auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    auto_close int request = write_request(daemon, steps, error);
    g_autoptr(GString) reply = g_string_new(NULL);
    auto_close int reply_end = -1;
    int ends[2];
    bool in_time;
    pid_t pid;

    if (request < 0)
        return NULL;
    if (null < 0 || pipe2(ends, O_CLOEXEC) < 0) {
        libvirt_error_set_errno(error, errno, "cannot ask libvirt");
        return NULL;
    }
    reply_end = ends[0];
    pid = start_helper(steal_fd(&request), ends[1], null, error);
    if (pid < 0)
        return NULL;
    in_time = read_reply(reply_end, daemon->settings.libvirt_timeout, reply);
    /* It has nothing more to say either way. */
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    if (in_time)
        return results_of(reply, error);
    libvirt_error_set(error, VIR_ERR_OPERATION_TIMEOUT,
                      "the host's libvirt did not answer within %u seconds",
                      daemon->settings.libvirt_timeout);
    return NULL;
}

json_t *host_libvirt_ask(const struct daemon *daemon, json_t *steps, GError **error)
{
    g_autoptr(json_ref) owned = steps;

    return ask(daemon, owned, error);
}
