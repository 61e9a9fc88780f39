/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "libvirt-driver/cpus.h"
#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/cgroup.h"
#include "libvirt-driver/vmm/chardev.h"
#include "libvirt-driver/vmm/inherit.h"
#include "libvirt-driver/vmm/log_file.h"
#include "libvirt-driver/vmm/outfit.h"
#include "libvirt-driver/vmm/passt.h"
#include "xml/launch.h"

#define EMULATOR_NAME "vole"
/* How much of a name goes into the monitor's path, which has little room. */
#define MONITOR_NAME_CHARS 20
#define LAST_WORDS_BYTES   2048

void launched_clear(struct launched *launched)
{
    g_clear_pointer(&launched->monitor_path, g_free);
    g_clear_pointer(&launched->log_path, g_free);
    g_clear_pointer(&launched->cgroup, g_free);
    g_clear_pointer(&launched->inherit, inherit_free);
    g_clear_pointer(&launched->companions, g_array_unref);
}

/* Once nobody holds the other ends of their sockets. */
static void end_companions(const struct launched *launched)
{
    for (guint i = 0; i < launched->companions->len; i++)
        companion_end(&g_array_index(launched->companions, struct companion, i));
}

/* The socket is made here and listens already when the VMM starts, so that connecting to it needs
 * no waiting; and it can be found by name after a restart of the daemon. */
static bool add_monitor(struct outfit *outfit, const struct paths *paths, const domain_def *def,
                        struct launched *launched, GError **error)
{
    g_autofree char *name = g_strndup(def->name, MONITOR_NAME_CHARS);
    g_autofree char *valid = g_utf8_make_valid(name, -1);

    launched->monitor_path = g_strdup_printf("%s/%d-%s.qmp", paths->run, def->id, valid);
    outfit->qmp[0] =
        outfit_add(outfit, chardev_listen(launched->monitor_path, error), launched->monitor_path);
    outfit->sources.qmp = outfit->qmp;
    return outfit->qmp[0] != NULL;
}

static int make_document(const domain_def *def, const struct outfit *outfit, GError **error)
{
    g_autofree char *document = launch_document(def, &outfit->sources, LAUNCH_PAUSED, error);
    auto_close int fd = -1;
    gsize len;

    if (!document)
        return -1;
    len = strlen(document);
    fd = memfd_create("vole-machine", MFD_CLOEXEC);
    if (fd < 0 || write(fd, document, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0) {
        libvirt_error_set_errno(error, errno, "cannot write the machine document");
        return -1;
    }
    return steal_fd(&fd);
}

static void log_start(int fd, const char *emulator, const domain_def *def,
                      struct launched *launched)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *time = g_date_time_format_iso8601(now);

    if (dprintf(fd, "%s: starting %s as domain %d, '%s'\n", time, emulator, def->id, def->name) < 0)
        g_warning("cannot write '%s'", launched->log_path);
    launched->log_start = lseek(fd, 0, SEEK_END);
}

/* In the build tree both programs lie side by side; installed, the VMM is in bindir. */
char *launch_emulator(const domain_def *def, const char *otherwise, GError **error)
{
    g_autofree char *self = NULL;
    g_autofree char *dir = NULL;
    g_autofree char *beside = NULL;

    if (def && def->emulator)
        otherwise = def->emulator;
    if (otherwise) {
        if (g_file_test(otherwise, G_FILE_TEST_IS_EXECUTABLE))
            return g_strdup(otherwise);
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "emulator '%s' is not there or is no program", otherwise);
        return NULL;
    }
    self = g_file_read_link("/proc/self/exe", NULL);
    dir = g_path_get_dirname(self ? self : "/");
    beside = g_build_filename(dir, EMULATOR_NAME, NULL);
    if (g_file_test(beside, G_FILE_TEST_IS_EXECUTABLE))
        return g_steal_pointer(&beside);
    if (g_file_test(VOLE_BINDIR "/" EMULATOR_NAME, G_FILE_TEST_IS_EXECUTABLE))
        return g_strdup(VOLE_BINDIR "/" EMULATOR_NAME);
    libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot find the program '%s' in %s",
                      EMULATOR_NAME, VOLE_BINDIR);
    return NULL;
}

static pid_t spawn(const struct outfit *outfit, const char *emulator, const domain_def *def,
                   const struct surroundings *surroundings, GError **error)
{
    int document = make_document(def, outfit, error);
    const char *config =
        document < 0 ? NULL : inherit_add(outfit->inherit, document, "the machine document");
    const char *const argv[] = {emulator, "run", "--name", def->name, "--config", config, NULL};

    return config ? inherit_spawn(outfit->inherit, argv, surroundings, error) : -1;
}

/* In its control group, whose limits hold from the first instruction. */
static pid_t spawn_in_group(const struct daemon *daemon, const struct outfit *outfit,
                            const char *emulator, const domain_def *def, int log,
                            const struct launched *launched, GError **error)
{
    const struct surroundings surroundings = {
        .output = log,
        .cgroup = outfit->cgroup,
        .identity = &daemon->vmm_identity,
        .locks_memory = def->memory_backing.locked,
    };

    return cgroup_apply(launched->cgroup, def, error)
               ? spawn(outfit, emulator, def, &surroundings, error)
               : -1;
}

/* Nothing of a start that failed stays. */
static void undo(struct launched *launched)
{
    inherit_close(launched->inherit);
    end_companions(launched);
    cgroup_clear(launched->cgroup);
    if (launched->monitor_path)
        unlink(launched->monitor_path);
    launched_clear(launched);
}

bool launch_vmm(const struct daemon *daemon, domain_def *live, struct terminals *terminals,
                struct launched *launched, GError **error)
{
    const struct settings *settings = &daemon->settings;
    g_autofree char *emulator = launch_emulator(live, settings->emulator, error);
    auto_close int log = -1;
    struct outfit outfit = {.inherit = inherit_new(), .cgroup = -1};

    *launched = (struct launched){
        .pid = -1,
        .inherit = outfit.inherit,
        .log_path = paths_file(daemon->paths.log, live->name, ".log"),
        .companions = g_array_new(FALSE, FALSE, sizeof(struct companion)),
    };
    domain_def_assign_aliases(live);
    outfit.companions = launched->companions;
    if (emulator)
        outfit.cgroup = cgroup_make(daemon->cgroups, live, &launched->cgroup);
    if (emulator && cpus_resolve(daemon->cpus, live, error) &&
        outfit_fill(&outfit, &daemon->paths, live, terminals, error) &&
        add_monitor(&outfit, &daemon->paths, live, launched, error))
        log = log_file_open(launched->log_path, settings, error);
    if (log >= 0) {
        log_start(log, emulator, live, launched);
        launched->pid = spawn_in_group(daemon, &outfit, emulator, live, log, launched, error);
    }
    close_fdp(&outfit.cgroup);
    if (launched->pid < 0) {
        undo(launched);
        return false;
    }
    /* While this process holds a copy of the monitor's socket, its end cannot be noticed. */
    inherit_close(outfit.inherit);
    return true;
}

bool launch_abandon(const struct launched *launched)
{
    siginfo_t info = {0};
    bool by_itself;

    kill(launched->pid, SIGKILL);
    unlink(launched->monitor_path);
    by_itself =
        waitid(P_PID, (id_t)launched->pid, &info, WEXITED) == 0 && info.si_code == CLD_EXITED;
    end_companions(launched);
    return by_itself;
}

char *launch_last_words(const struct launched *launched)
{
    auto_close int fd = open(launched->log_path, O_RDONLY | O_CLOEXEC);
    char text[LAST_WORDS_BYTES + 1];
    off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    /* A log that is shorter than it was has been cut since. */
    off_t start = MAX(launched->log_start <= end ? launched->log_start : 0, end - LAST_WORDS_BYTES);
    ssize_t n = end < 0 ? -1 : pread(fd, text, LAST_WORDS_BYTES, start);
    g_autofree char *valid = NULL;
    char *line;

    if (n <= 0)
        return NULL;
    text[n] = '\0';
    g_strchomp(text);
    line = strrchr(text, '\n');
    valid = g_utf8_make_valid(line ? line + 1 : text, -1);
    return *valid ? inherit_translate(launched->inherit, valid) : NULL;
}
