/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <unistd.h>

#include "xml/error.h"

#define FIRST_FD 3

struct inherit {
    GArray *fds;      /* the i-th is FIRST_FD + i in the child */
    GPtrArray *names; /* "fd:3" ... */
    GPtrArray *whats;
};

struct inherit *inherit_new(void)
{
    struct inherit *inherit = g_new(struct inherit, 1);

    inherit->fds = g_array_new(FALSE, FALSE, sizeof(int));
    inherit->names = g_ptr_array_new_with_free_func(g_free);
    inherit->whats = g_ptr_array_new_with_free_func(g_free);
    return inherit;
}

void inherit_close(struct inherit *inherit)
{
    for (guint i = 0; i < inherit->fds->len; i++)
        close(g_array_index(inherit->fds, int, i));
    g_array_set_size(inherit->fds, 0);
}

void inherit_free(struct inherit *inherit)
{
    inherit_close(inherit);
    g_array_unref(inherit->fds);
    g_ptr_array_unref(inherit->names);
    g_ptr_array_unref(inherit->whats);
    g_free(inherit);
}

const char *inherit_add(struct inherit *inherit, int fd, const char *what)
{
    char *name = g_strdup_printf("fd:%u", FIRST_FD + inherit->fds->len);

    g_array_append_val(inherit->fds, fd);
    g_ptr_array_add(inherit->names, name);
    g_ptr_array_add(inherit->whats, g_strdup(what ? what : name));
    return name;
}

char *inherit_translate(const struct inherit *inherit, const char *text)
{
    GString *out = g_string_new(NULL);

    while (*text) {
        const char *digits = g_str_has_prefix(text, "fd:") ? text + 3 : text;
        char *end = (char *)(uintptr_t)digits;
        guint64 number = digits > text ? g_ascii_strtoull(digits, &end, 10) : 0;

        if (end > digits && number >= FIRST_FD && number - FIRST_FD < inherit->whats->len) {
            g_string_append(out, g_ptr_array_index(inherit->whats, number - FIRST_FD));
            text = end;
        } else {
            g_string_append_c(out, *text++);
        }
    }
    return g_string_free(out, FALSE);
}

/*
 * posix_spawn() makes the child without copying this process's memory maps, and runs nothing of our
 * code in it. The descriptors are first moved above the numbers that they will have, so that giving
 * one its number cannot overwrite another.
 */
static int add_descriptors(const struct inherit *inherit, posix_spawn_file_actions_t *actions,
                           GArray *moved, int output)
{
    int first_free = FIRST_FD + (int)inherit->fds->len;
    int failed = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    failed = failed ? failed : posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
    failed = failed ? failed : posix_spawn_file_actions_adddup2(actions, output, STDERR_FILENO);
    for (guint i = 0; i < inherit->fds->len && !failed; i++) {
        int fd = fcntl(g_array_index(inherit->fds, int, i), F_DUPFD_CLOEXEC, first_free);

        if (fd < 0)
            return errno;
        g_array_append_val(moved, fd);
        failed = posix_spawn_file_actions_adddup2(actions, fd, FIRST_FD + (int)i);
    }
    failed = failed ? failed : posix_spawn_file_actions_addclosefrom_np(actions, first_free);
    return failed ? failed : posix_spawn_file_actions_addchdir_np(actions, "/");
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all;
    sigset_t none;
    int failed;

    sigfillset(&all);
    sigemptyset(&none);
    failed = posix_spawnattr_setsigdefault(attributes, &all);
    failed = failed ? failed : posix_spawnattr_setsigmask(attributes, &none);
    return failed
               ? failed
               : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
                                                          POSIX_SPAWN_SETSIGMASK);
}

/* The daemon's own environment, without what systemd meant for the daemon alone. */
static char **child_environment(void)
{
    char **env = g_get_environ();

    env = g_environ_unsetenv(env, "NOTIFY_SOCKET");
    return g_environ_setenv(env, "LC_ALL", "C", TRUE);
}

pid_t inherit_spawn(const struct inherit *inherit, const char *const *argv, int output,
                    GError **error)
{
    g_auto(GStrv) env = child_environment();
    g_autoptr(GArray) moved = g_array_new(FALSE, FALSE, sizeof(int));
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid = -1;
    int failed;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    failed = add_descriptors(inherit, &actions, moved, output);
    failed = failed ? failed : set_attributes(&attributes);
    /* The child only reads its arguments; execve()'s prototype is older than const. */
    failed = failed ? failed
                    : posix_spawn(&pid, argv[0], &actions, &attributes,
                                  (char *const *)(uintptr_t)argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    for (guint i = 0; i < moved->len; i++)
        close(g_array_index(moved, int, i));
    if (failed) {
        libvirt_error_set_errno(error, failed, "cannot run '%s'", argv[0]);
        return -1;
    }
    return pid;
}
