/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vole: one process, one microVM. main() is the boot order, start() has a line for each stage. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

#include "vmm/backend/chardev.h"
#include "vmm/check_host.h"
#include "vmm/config.h"
#include "vmm/loop.h"
#include "vmm/machine.h"
#include "vmm/qmp/qmp.h"
#include <config.h> /* the build's, not vmm/config.h */

/* How long an end may take. What waits longer waits for storage that does not answer. */
#define END_SECONDS 5

/* For the handlers of signals, which are given nothing else. */
static struct {
    int fd;     /* eventfd: a signal asks us to end */
    bool asked; /* one did; atomic */
    int status; /* enum vole_exit; what to exit with when the time is up; atomic */
} ending = {.fd = -1, .status = EXIT_OK};

/* Everything of one run, for the one way out. */
struct run {
    struct config config;
    struct loop *loop;
    struct machine *machine;
    struct qmp *qmp;
    struct loop_watch signal_watch;
};

/* ---- asked to end ---- */

static void on_end_asked(void *opaque, uint32_t events)
{
    struct run *run = opaque;
    eventfd_t count;

    (void)events;
    if (eventfd_read(ending.fd, &count) == 0)
        machine_quit(run->machine, CAUSE_HOST_SIGNAL);
}

/* The clock runs from here, not from when the main loop hears of it: that may be waiting for the
 * very storage that hangs. And from the first signal: who asks again and again until we are gone
 * would otherwise turn it back each time. */
static void on_end_signal(int sig)
{
    int saved = errno;

    (void)sig;
    (void)eventfd_write(ending.fd, 1);
    if (!__atomic_exchange_n(&ending.asked, true, __ATOMIC_RELAXED))
        (void)alarm(END_SECONDS);
    errno = saved;
}

static void on_time_up(int sig)
{
    static const char line[] = "vole: ended without waiting any longer for the host's storage\n";

    (void)sig;
    chardev_restore_terminals();
    (void)!write(STDERR_FILENO, line, sizeof(line) - 1);
    _exit(__atomic_load_n(&ending.status, __ATOMIC_RELAXED));
}

/*
 * Signals that ask us to end become events of the main loop, which has END_SECONDS from then on.
 * One that we were started to ignore (nohup) is left alone.
 */
static int watch_signals(struct run *run, struct error *err)
{
    static const int ends[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = on_end_signal, .sa_flags = (int)SA_RESTART};
    struct sigaction inherited;
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    ending.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ending.fd < 0)
        return error_set_errno(err, errno, "make an eventfd");
    sigfillset(&action.sa_mask);
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        if (sigaction(ends[i], NULL, &inherited) < 0 || inherited.sa_handler == SIG_IGN)
            continue;
        sigaction(ends[i], &action, NULL);
        sigaddset(&set, ends[i]);
    }
    action.sa_handler = on_time_up;
    sigaction(SIGALRM, &action, NULL);
    sigaddset(&set, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return loop_add(run->loop, &run->signal_watch, ending.fd, EPOLLIN, on_end_asked, run, err);
}

static void on_fatal_signal(int sig)
{
    /* The handler was reset when it was called: the second time the signal does its work. */
    chardev_restore_terminals();
    raise(sig);
}

/* However we end, the terminal is not left in raw mode. */
static void guard_terminals(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT};
    struct sigaction action = {.sa_handler = on_fatal_signal, .sa_flags = (int)SA_RESETHAND};

    atexit(chardev_restore_terminals);
    for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
        sigaction(fatal[i], &action, NULL);
}

static void on_machine_event(void *opaque, const struct machine_event *ev)
{
    struct run *run = opaque;

    if (ev->kind == MACHINE_EVENT_SHUTDOWN) {
        __atomic_store_n(&ending.status, (int)machine_exit_status(run->machine), __ATOMIC_RELAXED);
        (void)alarm(END_SECONDS);
    }
    if (run->qmp)
        qmp_machine_event(run->qmp, ev);
}

static int start(struct run *run, struct error *err)
{
    struct config *config = &run->config;

    if (config_validate(&run->config, err) < 0)
        return -1;
    /* We run no other program. A guest that has taken us over must gain nothing by running one. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_set_errno(err, errno, "set no_new_privs");
    run->loop = loop_new(err);
    if (!run->loop || watch_signals(run, err) < 0)
        return -1;
    guard_terminals();
    run->machine = machine_new(config, run->loop, err);
    if (!run->machine)
        return -1;
    run->qmp = qmp_new(run->machine, run->loop, config->qmp, config->qmp_count, err);
    if (!run->qmp)
        return -1;
    machine_listen(run->machine, on_machine_event, run);
    return config->paused ? 0 : machine_cont(run->machine, err);
}

/* Who is connected to the monitor takes the end of that for ours: it comes when disks, interfaces
 * and sockets can be had again. */
static void finish(struct run *run)
{
    qmp_stop_listening(run->qmp);
    machine_free(run->machine);
    qmp_free(run->qmp);
    if (run->loop) {
        loop_remove(run->loop, &run->signal_watch);
        loop_free(run->loop);
    }
    config_clear(&run->config);
}

static int run_command(int argc, char **argv)
{
    struct run run = {.signal_watch.fd = -1};
    struct error err;
    int status = EXIT_ERROR;
    int parsed;

    config_init(&run.config);
    parsed = config_parse_args(&run.config, argc, argv, &err);
    if (parsed > 0) {
        config_print_help(stdout);
        status = EXIT_OK;
    } else if (parsed < 0 || start(&run, &err) < 0) {
        log_warn("%s", err.msg);
    } else {
        loop_run(run.loop);
        status = machine_exit_status(run.machine);
    }
    finish(&run);
    return status;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (strcmp(command, "run") == 0)
        return run_command(argc - 2, argv + 2);
    if (strcmp(command, "check-host") == 0)
        return check_host_command(argc - 2, argv + 2);
    if (strcmp(command, "--version") == 0) {
        printf("vole %s\n", PACKAGE_VERSION);
        return EXIT_OK;
    }
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) {
        config_print_help(stdout);
        return EXIT_OK;
    }
    config_print_help(stderr);
    return EXIT_USAGE;
}
