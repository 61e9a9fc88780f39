/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtvoled: the boot order. Options, directories, settings; the sockets are taken before anything
 * else is touched, because they come with the lock that keeps a second daemon out; then what there
 * was is found again, and clients are let in.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "libvirt-driver/api/console.h"
#include "libvirt-driver/api/events.h"
#include "libvirt-driver/cpus.h"
#include "libvirt-driver/daemon.h"
#include "libvirt-driver/domain/list.h"
#include "libvirt-driver/domain/log_watch.h"
#include "libvirt-driver/domain/restore.h"
#include "libvirt-driver/host.h"
#include "libvirt-driver/log.h"
#include "libvirt-driver/server.h"
#include "libvirt-driver/storage/storage.h"
#include "libvirt-driver/vmm/cgroup.h"
#include "libvirt-driver/watch.h"
#include "xml/error.h"

/* libvirt's "info". */
#define LOG_LEVEL_VERBOSE 2

struct options {
    int timeout; /* seconds; 0: stay */
    gboolean system;
    gboolean session;
    gboolean daemonize;
    gboolean verbose;
    gboolean version;
    char *root;
    char *settings;
};

/* 0, or the status to exit with. */
static int parse_options(struct options *options, int *argc, char ***argv)
{
    const GOptionEntry entries[] = {
        {"timeout", 't', 0, G_OPTION_ARG_INT, &options->timeout,
         "End after N seconds without a client and without a running domain", "N"},
        {"system", 0, 0, G_OPTION_ARG_NONE, &options->system,
         "Serve vole:///system (the default for root)", NULL},
        {"session", 0, 0, G_OPTION_ARG_NONE, &options->session,
         "Serve vole:///session (the default for others)", NULL},
        {"config", 'f', 0, G_OPTION_ARG_FILENAME, &options->settings,
         "Settings to use instead of virtvoled.conf in its place", "FILE"},
        {"root", 0, 0, G_OPTION_ARG_FILENAME, &options->root,
         "Keep everything that lies in /etc, /run and /var below DIR", "DIR"},
        {"daemon", 'd', 0, G_OPTION_ARG_NONE, &options->daemonize, "Run in the background", NULL},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &options->verbose, "Say more", NULL},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &options->version, "Show the version and exit",
         NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- the libvirt daemon for vole");
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, &error)) {
        fprintf(stderr, "virtvoled: %s\n", error->message);
        return 2;
    }
    if (*argc > 1 || options->timeout < 0 || (options->system && options->session)) {
        fprintf(stderr, "virtvoled: %s\n",
                *argc > 1              ? "takes no arguments, only options"
                : options->timeout < 0 ? "--timeout takes a number of seconds"
                                       : "--system and --session exclude each other");
        return 2;
    }
    return 0;
}

/* Descriptors 0 to 2 are always there, so that no socket is taken for a standard stream. */
static void occupy_standard_fds(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

/* Many clients and domains need many descriptors. */
static void raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool prepare(struct daemon *daemon, const struct options *options, GError **error)
{
    bool session = options->session || (geteuid() != 0 && !options->system);
    struct log *log;

    paths_init(&daemon->paths, session, options->root);
    settings_init(&daemon->settings);
    if (!settings_load(&daemon->settings, SETTINGS_DAEMON,
                       options->settings ? options->settings : daemon->paths.settings, error) ||
        !settings_load(&daemon->settings, SETTINGS_DOMAINS, daemon->paths.domain_settings, error) ||
        !identity_find(&daemon->vmm_identity, daemon->settings.user, daemon->settings.group,
                       error) ||
        !paths_make(&daemon->paths, error))
        return false;
    if (options->verbose)
        daemon->settings.log_level = MIN(daemon->settings.log_level, LOG_LEVEL_VERBOSE);
    log = log_new(&daemon->settings, &daemon->paths, error);
    if (log)
        log_take_over(log);
    return log != NULL;
}

static gboolean on_terminate(gpointer data)
{
    struct daemon *daemon = data;

    g_main_loop_quit(daemon->loop);
    return G_SOURCE_CONTINUE;
}

static gboolean on_hangup(gpointer data)
{
    restore_new_configs(data);
    return G_SOURCE_CONTINUE;
}

/*
 * In the background. The child does all the work from the start; the parent waits until it serves,
 * so that whoever ran it may connect at once. What the child has to say before that still goes to
 * the terminal.
 */
static int background(int *ready_fd)
{
    int fds[2];
    char byte;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
        perror("virtvoled");
        return -1;
    }
    if (pid > 0) {
        close(fds[1]);
        _exit(read(fds[0], &byte, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(fds[0]);
    setsid();
    *ready_fd = fds[1];
    return 0;
}

static void background_is_ready(const struct paths *paths, int ready_fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log = open(paths->daemon_log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (log < 0)
        g_warning("cannot open '%s': %s", paths->daemon_log, g_strerror(errno));
    dup2(null, STDIN_FILENO);
    dup2(log < 0 ? null : log, STDOUT_FILENO);
    dup2(log < 0 ? null : log, STDERR_FILENO);
    close(null);
    if (log >= 0)
        close(log);
    if (chdir("/") < 0 || write(ready_fd, "", 1) != 1)
        g_warning("cannot go into the background: %s", g_strerror(errno));
    close(ready_fd);
}

static int serve(struct daemon *daemon, const struct options *options, int ready_fd)
{
    g_autoptr(GError) error = NULL;
    struct log_watch *log_watch;

    daemon->server = server_new(daemon);
    if (!server_listen(daemon->server, &error)) {
        fprintf(stderr, "virtvoled: %s\n", error->message);
        return EXIT_FAILURE;
    }
    g_unix_signal_add(SIGTERM, on_terminate, daemon);
    g_unix_signal_add(SIGINT, on_terminate, daemon);
    g_unix_signal_add(SIGHUP, on_hangup, daemon);
    log_watch = log_watch_new(daemon);
    storage_restore(daemon); /* domains that start by themselves may have volumes of its pools */
    restore_domains(daemon);
    server_start(daemon->server, (guint)options->timeout);
    if (ready_fd >= 0)
        background_is_ready(&daemon->paths, ready_fd);
    g_main_loop_run(daemon->loop);
    server_stop(daemon->server);
    log_watch_free(log_watch);
    return EXIT_SUCCESS;
}

static int run(struct daemon *daemon, const struct options *options)
{
    g_autoptr(GError) error = NULL;
    int ready_fd = -1;
    int status;

    if (options->daemonize && background(&ready_fd) < 0)
        return EXIT_FAILURE;
    daemon->watches = prepare(daemon, options, &error) ? watches_new(&error) : NULL;
    if (!daemon->watches) {
        g_autofree char *message = libvirt_error_message(error);

        fprintf(stderr, "virtvoled: %s\n", message);
        return EXIT_FAILURE;
    }
    daemon->loop = g_main_loop_new(NULL, FALSE);
    daemon->host = host_new(daemon->settings.emulator);
    daemon->cpus = cpus_new();
    daemon->cgroups =
        cgroups_new(daemon->paths.session ? NULL : daemon->settings.cgroup, daemon->paths.run);
    daemon->domains = domain_list_new();
    daemon->events = events_new();
    daemon->consoles = consoles_new();
    daemon->storage = storage_new(&daemon->paths);
    status = serve(daemon, options, ready_fd);
    server_free(daemon->server);
    domain_list_free(daemon->domains);
    storage_free(daemon->storage);
    consoles_free(daemon->consoles);
    events_free(daemon->events);
    cgroups_free(daemon->cgroups);
    cpus_free(daemon->cpus);
    host_free(daemon->host);
    watches_free(daemon->watches);
    g_main_loop_unref(daemon->loop);
    return status;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct daemon daemon = {0};
    int status;

    setlocale(LC_ALL, "");
    occupy_standard_fds();
    status = parse_options(&options, &argc, &argv);
    if (status == 0 && options.version) {
        puts("virtvoled " PACKAGE_VERSION);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (status == 0) {
        umask(022);
        raise_fd_limit();
        signal(SIGPIPE, SIG_IGN);
        status = run(&daemon, &options);
        paths_clear(&daemon.paths);
        settings_clear(&daemon.settings);
    }
    g_free(options.root);
    g_free(options.settings);
    return status;
}
