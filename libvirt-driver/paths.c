/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/paths.h"

#include <errno.h>
#include <fcntl.h>

#include "libvirt-driver/util.h"
#include "xml/error.h"

static void init_system(struct paths *paths, const char *root)
{
    paths->socket_dir = g_build_filename(root, "run", "libvirt", NULL);
    paths->config = g_build_filename(root, "etc", "libvirt", "vole", NULL);
    paths->run = g_build_filename(root, "run", "libvirt", "vole", NULL);
    paths->state = g_build_filename(root, "var", "lib", "libvirt", "vole", NULL);
    paths->boot = g_build_filename(root, "var", "lib", "libvirt", "boot", NULL);
    paths->log = g_build_filename(root, "var", "log", "libvirt", "vole", NULL);
    paths->daemon_log = g_build_filename(root, "var", "log", "libvirt", "virtvoled.log", NULL);
}

/* Settings lie where `make install` puts them; all else where libvirt's clients and tools look. */
static void init_settings(struct paths *paths, const char *dir)
{
    paths->settings = g_build_filename(dir, "libvirt", "virtvoled.conf", NULL);
    paths->domain_settings = g_build_filename(dir, "libvirt", "vole.conf", NULL);
}

static void init_session(struct paths *paths)
{
    const char *config = g_get_user_config_dir();
    const char *runtime = g_getenv("XDG_RUNTIME_DIR");

    /* Without XDG_RUNTIME_DIR libvirt's clients look in ~/.cache, as does GLib. */
    if (!runtime || !*runtime)
        runtime = g_get_user_cache_dir();
    paths->socket_dir = g_build_filename(runtime, "libvirt", NULL);
    paths->config = g_build_filename(config, "libvirt", "vole", NULL);
    paths->run = g_build_filename(runtime, "libvirt", "vole", NULL);
    paths->state = g_build_filename(config, "libvirt", "vole", "lib", NULL);
    paths->log = g_build_filename(g_get_user_cache_dir(), "libvirt", "vole", "log", NULL);
    paths->daemon_log =
        g_build_filename(g_get_user_cache_dir(), "libvirt", "vole", "virtvoled.log", NULL);
    init_settings(paths, config);
}

void paths_init(struct paths *paths, bool session, const char *root)
{
    paths->session = session;
    if (session && !root) {
        init_session(paths);
    } else {
        g_autofree char *etc = g_build_filename(root ? root : "/", "etc", NULL);

        init_system(paths, root ? root : "/");
        init_settings(paths, root ? etc : VOLE_SYSCONFDIR);
    }
    paths->autostart = g_build_filename(paths->config, "autostart", NULL);
}

static bool make_dir(const char *path, int mode, GError **error)
{
    if (g_mkdir_with_parents(path, mode) == 0)
        return true;
    libvirt_error_set_errno(error, errno, "cannot create directory '%s'", path);
    return false;
}

bool paths_make(const struct paths *paths, GError **error)
{
    /* In a session nobody else has business there; in the system all may reach the sockets. */
    return make_dir(paths->socket_dir, paths->session ? 0700 : 0755, error) &&
           make_dir(paths->config, 0700, error) && make_dir(paths->autostart, 0700, error) &&
           make_dir(paths->run, 0700, error) &&
           (!paths->boot || make_dir(paths->boot, 0711, error)) &&
           make_dir(paths->state, 0700, error) && make_dir(paths->log, 0700, error);
}

bool paths_is_first_time(const struct paths *paths, const char *what)
{
    g_autofree char *mark = g_build_filename(paths->run, what, NULL);
    auto_close int fd = open(mark, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    return fd >= 0;
}

void paths_clear(struct paths *paths)
{
    g_clear_pointer(&paths->socket_dir, g_free);
    g_clear_pointer(&paths->config, g_free);
    g_clear_pointer(&paths->autostart, g_free);
    g_clear_pointer(&paths->run, g_free);
    g_clear_pointer(&paths->state, g_free);
    g_clear_pointer(&paths->boot, g_free);
    g_clear_pointer(&paths->log, g_free);
    g_clear_pointer(&paths->daemon_log, g_free);
    g_clear_pointer(&paths->settings, g_free);
    g_clear_pointer(&paths->domain_settings, g_free);
}

char *paths_file(const char *dir, const char *name, const char *suffix)
{
    return g_strdup_printf("%s/%s%s", dir, name, suffix);
}
