/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "libvirt-driver/util.h"
#include "xml/error.h"

#define SYSTEMD_FIRST_FD 3
#define MAX_SOCKETS      8
/* How long a daemon that is about to end may hold its lock when the next one starts. */
#define LOCK_WAIT_SECONDS 3

struct sockets {
    struct {
        int fd;
        bool readonly;
        char *path; /* to be removed at the end, or NULL */
    } all[MAX_SOCKETS];
    guint count;
    int lock_fd;
};

static void no_op(int signal)
{
    (void)signal;
}

/* Waits for the lock for a bounded time: the alarm interrupts the wait. */
static int lock_patiently(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct sigaction interrupt = {.sa_handler = no_op};
    struct sigaction before;
    int result;

    sigaction(SIGALRM, &interrupt, &before);
    alarm(LOCK_WAIT_SECONDS);
    result = fcntl(fd, F_OFD_SETLKW, &whole);
    alarm(0);
    sigaction(SIGALRM, &before, NULL);
    return result;
}

static int take_lock(const struct paths *paths, GError **error)
{
    g_autofree char *path = paths_file(paths->socket_dir, "virtvoled", ".pid");
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0) {
        libvirt_error_set_errno(error, errno, "cannot open '%s'", path);
        return -1;
    }
    if (lock_patiently(fd) < 0) {
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED,
                          "another virtvoled is running; it holds '%s'", path);
        return -1;
    }
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
        libvirt_error_set_errno(error, errno, "cannot write '%s'", path);
        return -1;
    }
    return steal_fd(&fd);
}

static void add(struct sockets *sockets, int fd, bool readonly, const char *path)
{
    sockets->all[sockets->count].fd = fd;
    sockets->all[sockets->count].readonly = readonly;
    sockets->all[sockets->count].path = g_strdup(path);
    sockets->count++;
}

static bool is_listening(int fd)
{
    int value = 0;
    socklen_t len = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value;
}

/* Whether systemd's socket is a read-only one: its unit's name says so, or else its path. */
static bool passed_readonly(int fd, const char *name)
{
    struct sockaddr_un address = {0};
    socklen_t len = sizeof(address) - 1;

    if (name && *name && strcmp(name, "unknown") != 0)
        return strstr(name, "-ro.socket") || g_str_has_suffix(name, "-ro");
    return getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
           g_str_has_suffix(address.sun_path, "-ro");
}

/* 1 when systemd passed sockets, 0 when it did not, -1 with `error` set. */
static int take_passed(struct sockets *sockets, GError **error)
{
    const char *pid = g_getenv("LISTEN_PID");
    const char *count = g_getenv("LISTEN_FDS");
    g_auto(GStrv) names = NULL;
    guint64 n;

    if (!pid || !count || strtol(pid, NULL, 10) != getpid())
        return 0;
    if (!g_ascii_string_to_unsigned(count, 10, 1, MAX_SOCKETS, &n, NULL)) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "LISTEN_FDS is '%s'", count);
        return -1;
    }
    names = g_strsplit(g_getenv("LISTEN_FDNAMES") ? g_getenv("LISTEN_FDNAMES") : "", ":", -1);
    for (guint i = 0; i < n; i++) {
        int fd = SYSTEMD_FIRST_FD + (int)i;

        if (!is_listening(fd)) {
            libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                              "descriptor %d in LISTEN_FDS is no listening socket", fd);
            return -1;
        }
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        add(sockets, fd, passed_readonly(fd, i < g_strv_length(names) ? names[i] : NULL), NULL);
    }
    g_unsetenv("LISTEN_PID");
    g_unsetenv("LISTEN_FDS");
    g_unsetenv("LISTEN_FDNAMES");
    return 1;
}

static int bind_socket(const char *path, guint mode, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask;
    int result;

    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path)) {
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "the socket path '%s' is too long", path);
        return -1;
    }
    if (fd < 0) {
        libvirt_error_set_errno(error, errno, "cannot make a socket");
        return -1;
    }
    unlink(path);
    mask = umask(0777 & ~mode);
    result = bind(fd, (struct sockaddr *)&address, sizeof(address));
    umask(mask);
    if (result < 0 || listen(fd, SOMAXCONN) < 0) {
        libvirt_error_set_errno(error, errno, "cannot listen on '%s'", path);
        return -1;
    }
    return steal_fd(&fd);
}

static bool give_to_group(const char *path, const char *name, GError **error)
{
    struct group *group = getgrnam(name);

    if (!group) {
        libvirt_error_set(error, VIR_ERR_CONF_SYNTAX, "unix_sock_group: there is no group '%s'",
                          name);
        return false;
    }
    if (chown(path, (uid_t)-1, group->gr_gid) < 0) {
        libvirt_error_set_errno(error, errno, "cannot give '%s' to the group '%s'", path, name);
        return false;
    }
    return true;
}

static bool bind_own(struct sockets *sockets, const struct paths *paths,
                     const struct settings *settings, GError **error)
{
    static const char *const names[] = {"virtvoled-sock", "virtqemuvoled-sock"};

    for (guint i = 0; i < G_N_ELEMENTS(names) * 2; i++) {
        bool readonly = i & 1;
        g_autofree char *path = paths_file(paths->socket_dir, names[i / 2], readonly ? "-ro" : "");
        guint mode = readonly ? settings->unix_sock_ro_perms : settings->unix_sock_rw_perms;
        int fd;

        if (paths->session) {
            if (readonly)
                continue; /* a session's read-only clients use the one socket */
            mode = 0700;
        }
        fd = bind_socket(path, mode, error);
        if (fd < 0)
            return false;
        add(sockets, fd, readonly, paths->session ? NULL : path);
        if (!paths->session && settings->unix_sock_group &&
            !give_to_group(path, settings->unix_sock_group, error))
            return false;
    }
    return true;
}

struct sockets *sockets_open(const struct paths *paths, const struct settings *settings,
                             GError **error)
{
    struct sockets *sockets = g_new0(struct sockets, 1);
    int passed;

    sockets->lock_fd = take_lock(paths, error);
    if (sockets->lock_fd < 0) {
        g_free(sockets);
        return NULL;
    }
    passed = take_passed(sockets, error);
    if (passed < 0 || (passed == 0 && !bind_own(sockets, paths, settings, error))) {
        sockets_free(sockets);
        return NULL;
    }
    return sockets;
}

void sockets_free(struct sockets *sockets)
{
    if (!sockets)
        return;
    for (guint i = 0; i < sockets->count; i++) {
        if (sockets->all[i].path)
            unlink(sockets->all[i].path);
        if (sockets->all[i].fd >= 0)
            close(sockets->all[i].fd);
        g_free(sockets->all[i].path);
    }
    close(sockets->lock_fd);
    g_free(sockets);
}

guint sockets_count(const struct sockets *sockets)
{
    return sockets->count;
}

int sockets_take(struct sockets *sockets, guint i, bool *readonly)
{
    *readonly = sockets->all[i].readonly;
    return steal_fd(&sockets->all[i].fd);
}
