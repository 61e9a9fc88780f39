/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/domain/process.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "libvirt-driver/api/events.h"
#include "libvirt-driver/domain/affinity.h"
#include "libvirt-driver/domain/borrow.h"
#include "libvirt-driver/domain/list.h"
#include "libvirt-driver/domain/process_priv.h"
#include "libvirt-driver/domain/quotas.h"
#include "libvirt-driver/domain/store.h"
#include "libvirt-driver/server.h"
#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/cgroup.h"
#include "libvirt-driver/vmm/launch.h"
#include "libvirt-driver/vmm/outfit.h"
#include "libvirt-driver/vmm/passt.h"
#include "libvirt-driver/vmm/vmm.h"

static const struct vmm_callbacks callbacks;

/* How long a process may take to end that was sent SIGKILL: that is up to the kernel alone, and on
 * a host that is busy or stands still it is no sign of anything. */
#define KILLED_TIMEOUT_MS 30000

static guint command_timeout_ms(const struct domain *domain)
{
    return domain->daemon->settings.command_timeout * 1000;
}

void domain_emit(struct domain *domain, int event, int detail)
{
    events_lifecycle(domain->daemon->events, domain, event, detail);
}

void domain_set_state(struct domain *domain, virDomainState state, int reason)
{
    domain->state = state;
    domain->reason = reason;
}

bool domain_save_status(struct domain *domain, GError **error)
{
    struct status status = {
        .state = domain->state,
        .reason = domain->reason,
        .pid = vmm_pid(domain->vmm),
        .start_time = vmm_start_time(domain->vmm),
        .monitor_path = (char *)(uintptr_t)vmm_monitor_path(domain->vmm),
        .cgroup = domain->cgroup,
        .companions = domain->companions,
        .reboot_asked = domain->reboot_asked,
        .live = domain->live,
    };

    return store_save_status(&domain->daemon->paths, &status, error);
}

/* What changes while it runs is worth a try to write down: the old state would be corrected at the
 * next start of the daemon, which asks the VMM. */
static void update_status(struct domain *domain)
{
    g_autoptr(GError) error = NULL;

    if (domain->vmm && !domain_save_status(domain, &error))
        g_warning("domain '%s': %s", domain->name, error->message);
}

void domain_write_due_status(struct domain *domain)
{
    if (domain->status_due)
        update_status(domain);
    domain->status_due = false;
}

static void clear_cgroup(gpointer data, struct daemon *daemon)
{
    g_autofree char *path = data;

    server_worker_waits(daemon->server, true);
    cgroup_clear(path);
    server_worker_waits(daemon->server, false);
}

void cgroup_clear_detached(struct daemon *daemon, char *path)
{
    if (!server_run(daemon->server, clear_cgroup, path, false))
        g_free(path);
}

/* Takes over the path. The VMM should have been alone in it; whoever is there still ends, too. */
static void drop_cgroup(struct daemon *daemon, char *path)
{
    if (cgroup_remove(path))
        g_free(path);
    else
        cgroup_clear_detached(daemon, path);
}

/* What the domain had from others goes back. Releases the lock meanwhile. */
static void give_back(struct domain *domain)
{
    g_autoptr(GArray) companions = g_steal_pointer(&domain->companions);
    g_autoptr(domain_def) live = domain->live ? domain_def_copy(domain->live) : NULL;

    domain->companions = g_array_new(FALSE, FALSE, sizeof(struct companion));
    if (!live || (!companions->len && !borrow_is_needed(live)))
        return;
    domain_begin_wait(domain);
    borrow_return(domain->daemon, live, companions);
    domain_end_wait(domain);
}

/* The process is gone, or never came: nothing of it stays. */
static void forget_process(struct domain *domain)
{
    if (domain->vmm) {
        unlink(vmm_monitor_path(domain->vmm));
        vmm_detach(domain->vmm);
        g_clear_pointer(&domain->vmm, vmm_unref);
    }
    drop_cgroup(domain->daemon, g_steal_pointer(&domain->cgroup));
    store_remove_status(&domain->daemon->paths, domain->name);
    terminals_close(&domain->terminals);
    if (domain->live)
        outfit_clean(&domain->daemon->paths, domain->live);
    g_clear_pointer(&domain->live, domain_def_free);
    g_clear_pointer(&domain->shutdown_cause, g_free);
    g_atomic_int_set(&domain->id, -1);
    g_array_set_size(domain->vcpu_threads, 0);
    domain->autodestroy = NULL;
    domain->reboot_asked = false;
    domain->abandoned = false;
    domain->updated = false;
    server_activity_changed(domain->daemon->server);
}

/* The domain has stopped running: `detail` is for the event, -1 for none. Nothing of it is there
 * any more when that is told: who hears it may want a transient domain's name, or the files. */
static void stopped(struct domain *domain, virDomainShutoffReason reason, int detail)
{
    give_back(domain);
    forget_process(domain);
    domain_set_state(domain, VIR_DOMAIN_SHUTOFF, reason);
    domain_list_remove_void(domain->daemon->domains, domain);
    if (detail >= 0)
        domain_emit(domain, VIR_DOMAIN_EVENT_STOPPED, detail);
}

bool domain_command(struct domain *domain, const char *command, json_t *arguments, json_t **ret,
                    GError **error)
{
    g_autoptr(held_vmm) vmm = vmm_ref(domain->vmm);
    bool ok;

    domain_begin_wait(domain);
    ok = vmm_execute(vmm, command, arguments, ret, error);
    domain_end_wait(domain);
    /* What the command has changed the VMM said before its answer: whoever has the answer may rely
     * on a daemon that is killed now to know it again. */
    domain_write_due_status(domain);
    if (!ok || domain->vmm == vmm)
        return ok;
    libvirt_error_set(error, VIR_ERR_OPERATION_FAILED, "domain is no longer running");
    if (ret)
        g_clear_pointer(ret, json_decref);
    return false;
}

bool domain_pause(struct domain *domain, int reason, GError **error)
{
    if (domain->state == VIR_DOMAIN_PAUSED)
        return true;
    domain->pause_reason = reason;
    /* The state changes when the VMM says STOP, which it does before it replies. */
    return domain_command(domain, "stop", NULL, NULL, error);
}

bool domain_unpause(struct domain *domain, int reason, GError **error)
{
    if (domain->state == VIR_DOMAIN_RUNNING)
        return true;
    domain->run_reason = reason;
    return domain_command(domain, "cont", NULL, NULL, error);
}

/* Puts what the VMM said last in the place of what its silence looked like from here. */
static void set_last_words(const struct launched *launched, GError **error)
{
    g_autofree char *words = launch_last_words(launched);

    g_clear_error(error);
    libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR,
                      "process exited while connecting to monitor: %s",
                      words ? words : "it said nothing");
}

/* Whether the VMM has ended, or is about to, so that it could not be talked to. */
static bool has_ended(struct domain *domain, const GError *failed)
{
    g_autoptr(held_vmm) vmm = vmm_ref(domain->vmm);
    bool closed = g_error_matches(failed, LIBVIRT_ERROR, VIR_ERR_OPERATION_FAILED);
    bool ended;

    /* Its monitor closes a moment before it has ended, and that is a long one on a busy host. */
    domain_begin_wait(domain);
    ended = vmm_wait_end(vmm, closed ? domain->daemon->settings.stop_timeout * 1000 : 1000);
    domain_end_wait(domain);
    return ended;
}

/* A process that ended before it could be talked to says why in its log. */
static void explain_failed_start(struct domain *domain, const struct launched *launched,
                                 GError **error)
{
    if (has_ended(domain, *error))
        set_last_words(launched, error);
}

/* Kills what did not come up, and waits for it, so that its taps and locks are free again. */
static void give_up_start(struct domain *domain)
{
    g_autoptr(held_vmm) vmm = vmm_ref(domain->vmm);

    vmm_signal(vmm, SIGKILL);
    domain_begin_wait(domain);
    vmm_wait_end(vmm, KILLED_TIMEOUT_MS);
    domain_end_wait(domain);
}

/* For what clients ask often: which thread each vCPU is does not change while the VMM lives. */
static void learn_vcpu_threads(struct domain *domain)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_ref) cpus = NULL;
    json_t *cpu;
    size_t i;

    g_array_set_size(domain->vcpu_threads, 0);
    if (!domain_command(domain, "query-cpus-fast", NULL, &cpus, &error)) {
        g_warning("domain '%s': %s", domain->name, error->message);
        return;
    }
    json_array_foreach(cpus, i, cpu)
    {
        json_int_t id = json_integer_value(json_object_get(cpu, "thread-id"));
        pid_t thread = (pid_t)id;

        if (i >= domain->live->vcpus || !vmm_has_thread(domain->vmm, id)) {
            g_warning("domain '%s': its VMM names vCPUs that it does not have", domain->name);
            g_array_set_size(domain->vcpu_threads, 0);
            return;
        }
        g_array_append_val(domain->vcpu_threads, thread);
    }
}

/* The guest learns of what it does not have before it looks for it. */
static bool prepare_balloon(struct domain *domain, GError **error)
{
    const domain_def *live = domain->live;
    json_int_t bytes = (json_int_t)live->current_memory_kib * 1024;

    if (live->memballoon.none)
        return true;
    if (live->memballoon.stats_period &&
        !domain_command(domain, "qom-set",
                        json_pack("{s:s, s:s, s:i}", "path", "/machine/peripheral/balloon0",
                                  "property", "guest-stats-polling-interval", "value",
                                  (int)live->memballoon.stats_period),
                        NULL, error))
        return false;
    return live->current_memory_kib >= live->memory_kib ||
           domain_command(domain, "balloon", json_pack("{s:I}", "value", bytes), NULL, error);
}

/* Waits for the monitor, and lets the guest run. */
static bool bring_up(struct domain *domain, bool paused, GError **error)
{
    g_autoptr(held_vmm) vmm = vmm_ref(domain->vmm);
    guint timeout_ms = domain->daemon->settings.start_timeout * 1000;
    bool ready;

    domain_begin_wait(domain);
    ready = vmm_wait_ready(vmm, timeout_ms, error);
    domain_end_wait(domain);
    if (!ready)
        return false;
    learn_vcpu_threads(domain);
    if (!affinity_apply(domain, error) || !quotas_apply(domain, error) ||
        !prepare_balloon(domain, error))
        return false;
    if (!paused)
        return domain_command(domain, "cont", NULL, NULL, error);
    domain_set_state(domain, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_USER);
    update_status(domain);
    return true;
}

/* What others are asked for is written down before they are: it can be given back even if this
 * daemon does not live to hear the answer. */
static bool note_loans(struct domain *domain, domain_def *def, GError **error)
{
    const struct status status = {
        .state = VIR_DOMAIN_PAUSED,
        .reason = VIR_DOMAIN_PAUSED_STARTING_UP,
        .monitor_path = (char *)(uintptr_t) "",
        .live = def,
    };

    if (domain->vmm || !borrow_is_needed(def))
        return true;
    borrow_name(def);
    return store_save_status(&domain->daemon->paths, &status, error);
}

/* All of a start that waits for others; the lock is not held. */
static struct vmm *launch_unlocked(struct domain *domain, domain_def *def, const GArray *old,
                                   struct launched *launched, GError **error)
{
    struct vmm *vmm = NULL;

    *launched = (struct launched){.pid = -1};
    /* A new one may need the ports that an old one has. */
    for (guint i = 0; i < old->len; i++)
        companion_end(&g_array_index(old, struct companion, i));
    if (!borrow_get(domain->daemon, def, error) ||
        !launch_vmm(domain->daemon, def, &domain->terminals, launched, error))
        return NULL;
    vmm = vmm_attach(domain->daemon->watches, launched->pid, 0, launched->monitor_path,
                     command_timeout_ms(domain), &callbacks, domain_ref(domain), error);
    if (!vmm && launch_abandon(launched))
        set_last_words(launched, error);
    return vmm;
}

/* Of a start that came to nothing; what the domain had before is not its business. */
static void drop_launch(struct domain *domain, domain_def *def, struct launched *launched)
{
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(struct companion));

    drop_cgroup(domain->daemon, g_steal_pointer(&launched->cgroup));
    launched_clear(launched);
    if (!domain->live && borrow_is_needed(def)) {
        domain_begin_wait(domain);
        borrow_return(domain->daemon, def, none);
        domain_end_wait(domain);
    }
    domain_def_free(def);
}

static void adopt(struct domain *domain, struct vmm *vmm, domain_def *def,
                  struct launched *launched)
{
    if (domain->vmm)
        vmm_detach(domain->vmm);
    domain->cgroup = g_steal_pointer(&launched->cgroup);
    g_array_unref(domain->companions);
    domain->companions = g_steal_pointer(&launched->companions);
    g_clear_pointer(&domain->vmm, vmm_unref);
    g_clear_pointer(&domain->live, domain_def_free);
    domain->vmm = vmm;
    domain->live = def;
    g_atomic_int_set(&domain->id, def->id);
    if (domain->state == VIR_DOMAIN_SHUTOFF)
        domain_set_state(domain, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_STARTING_UP);
}

/*
 * Starts a VMM and makes it the domain's. Takes over the definition, which has its id already.
 * False with `error` set: whatever came up is gone again, and forget_process() is to follow.
 */
static bool launch(struct domain *domain, domain_def *def, bool paused, GError **error)
{
    g_autoptr(GArray) old = NULL;
    struct launched launched;
    struct vmm *vmm;
    bool ok;

    if (!domain_def_check_start(def, error) || !note_loans(domain, def, error)) {
        domain_def_free(def);
        return false;
    }
    old = g_array_copy(domain->companions);
    domain_begin_wait(domain);
    vmm = launch_unlocked(domain, def, old, &launched, error);
    domain_end_wait(domain);
    if (!vmm) {
        drop_launch(domain, def, &launched);
        return false;
    }
    adopt(domain, vmm, def, &launched);
    ok = domain_save_status(domain, error) && bring_up(domain, paused, error);
    if (!ok) {
        explain_failed_start(domain, &launched, error);
        give_up_start(domain);
    }
    launched_clear(&launched);
    return ok;
}

bool domain_start(struct domain *domain, domain_def *def, bool paused, GError **error)
{
    def->id = domain_list_next_id(domain->daemon->domains);
    domain->run_reason = VIR_DOMAIN_RUNNING_BOOTED;
    if (!launch(domain, def, paused, error)) {
        give_back(domain);
        forget_process(domain);
        domain_set_state(domain, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_FAILED);
        return false;
    }
    domain_emit(domain, VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_BOOTED);
    if (paused)
        domain_emit(domain, VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_PAUSED);
    server_activity_changed(domain->daemon->server);
    return true;
}

/* The second half of a reboot: a new VMM in the place of the one that has ended. */
static void start_again(struct domain *domain, int run_reason)
{
    g_autofree char *cgroup = g_steal_pointer(&domain->cgroup);
    g_autoptr(GError) error = NULL;

    /* The new one's group has the same name: nobody may be left in it. */
    domain_begin_wait(domain);
    cgroup_clear(cgroup);
    domain_end_wait(domain);
    unlink(vmm_monitor_path(domain->vmm));
    domain->reboot_asked = false;
    g_clear_pointer(&domain->shutdown_cause, g_free);
    domain_set_state(domain, VIR_DOMAIN_RUNNING, run_reason);
    if (launch(domain, domain_def_copy(domain->live), false, &error)) {
        events_reboot(domain->daemon->events, domain);
        return;
    }
    if (domain->destroyers) {
        stopped(domain, VIR_DOMAIN_SHUTOFF_DESTROYED, VIR_DOMAIN_EVENT_STOPPED_DESTROYED);
        return;
    }
    g_warning("domain '%s' did not come back from its reboot: %s", domain->name, error->message);
    stopped(domain, VIR_DOMAIN_SHUTOFF_FAILED, VIR_DOMAIN_EVENT_STOPPED_FAILED);
}

/* Sends the signals; false when the process is there still. Releases the lock meanwhile; the caller
 * is one of the domain's destroyers. */
static bool kill_process(struct domain *domain, struct vmm *vmm, bool graceful, GError **error)
{
    guint timeout_ms = domain->daemon->settings.stop_timeout * 1000;
    bool ended;

    domain_begin_wait(domain);
    vmm_signal(vmm, SIGTERM);
    ended = vmm_wait_end(vmm, timeout_ms);
    if (!ended && !graceful) {
        vmm_signal(vmm, SIGKILL);
        ended = vmm_wait_end(vmm, KILLED_TIMEOUT_MS);
    }
    domain_end_wait(domain);
    /* Who is told of an end while there is a destroyer leaves it to that one: so what came since
     * the wait was over counts, too. */
    if (ended || vmm_wait_end(vmm, 0))
        return true;
    libvirt_error_set(error, VIR_ERR_SYSTEM_ERROR,
                      "Failed to terminate process %d with SIG%s: Device or resource busy",
                      (int)vmm_pid(vmm), graceful ? "TERM" : "KILL");
    return false;
}

static bool end(struct domain *domain, bool graceful, GError **error)
{
    g_autoptr(held_vmm) vmm = vmm_ref(domain->vmm);
    int id = g_atomic_int_get(&domain->id);
    bool killed = true;

    /* Whoever has the job and waits for this VMM stops waiting when it is dead. */
    if (!kill_process(domain, vmm, graceful, error))
        return false;
    if (!domain_begin_job_patiently(domain, "destroy"))
        return true; /* transient, and gone already */
    if (g_atomic_int_get(&domain->id) != id) {
        /* Somebody else cleaned up, and it may have been started anew since: that is not meant. */
        domain_end_job(domain);
        return true;
    }
    if (domain->vmm != vmm) {
        /* A reboot put another one in its place. */
        g_autoptr(held_vmm) other = vmm_ref(domain->vmm);

        killed = kill_process(domain, other, graceful, error);
    }
    if (killed)
        stopped(domain, VIR_DOMAIN_SHUTOFF_DESTROYED, VIR_DOMAIN_EVENT_STOPPED_DESTROYED);
    domain_end_job(domain);
    return killed;
}

bool domain_end(struct domain *domain, bool graceful, GError **error)
{
    bool ended;

    if (!domain->vmm) {
        /* It does not run, or is about to be found again: the job tells. */
        if (!domain_begin_job(domain, "destroy", error))
            return false;
        domain_end_job(domain);
    }
    if (!domain_check_runs(domain, error))
        return false;
    domain->destroyers++;
    ended = end(domain, graceful, error);
    domain->destroyers--;
    return ended;
}

static bool is_cause(const struct domain *domain, const char *cause)
{
    return g_strcmp0(domain->shutdown_cause, cause) == 0;
}

bool domain_has_crashed(const struct domain *domain, const struct vmm_end *end)
{
    if (domain->shutdown_cause)
        return is_cause(domain, "guest-panic") || is_cause(domain, "guest-triple-fault") ||
               is_cause(domain, "host-error");
    return !end->known || end->signalled || end->code != 0;
}

/* Whether what has ended is to come back. */
bool domain_is_to_restart(const struct domain *domain, bool crashed)
{
    if (domain->destroyers)
        return false;
    if (crashed)
        return domain->shutdown_cause && domain->live->on_crash == DOMAIN_ACTION_RESTART;
    return is_cause(domain, "guest-shutdown") &&
           (domain->reboot_asked || domain->live->on_poweroff == DOMAIN_ACTION_RESTART);
}

struct ended {
    struct domain *domain;
    struct vmm *vmm;
};

/* A worker: the process is gone, and everybody has to learn what that means. */
static void process_ended(gpointer data, struct daemon *daemon)
{
    g_autofree struct ended *ended = data;
    struct domain *domain = ended->domain;

    domain_lock(domain);
    if (domain_begin_job_patiently(domain, "end of process")) {
        /* Otherwise whoever had the job has cleaned up, or whoever killed it will. */
        if (domain->vmm == ended->vmm && !domain->destroyers) {
            struct vmm_end end = vmm_end(ended->vmm);
            bool crashed = domain_has_crashed(domain, &end);

            if (domain_is_to_restart(domain, crashed))
                start_again(domain,
                            crashed ? VIR_DOMAIN_RUNNING_CRASHED : VIR_DOMAIN_RUNNING_BOOTED);
            else if (crashed)
                stopped(domain, VIR_DOMAIN_SHUTOFF_CRASHED,
                        domain->shutdown_cause ? VIR_DOMAIN_EVENT_STOPPED_CRASHED
                                               : VIR_DOMAIN_EVENT_STOPPED_FAILED);
            else
                stopped(domain, VIR_DOMAIN_SHUTOFF_SHUTDOWN, VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN);
        }
        domain_end_job(domain);
    }
    domain_unlock(domain);
    vmm_unref(ended->vmm);
    domain_unref(domain);
}

static void on_ended(struct vmm *vmm, gpointer opaque)
{
    struct domain *domain = opaque;
    struct ended *ended = g_new(struct ended, 1);

    *ended = (struct ended){domain_ref(domain), vmm_ref(vmm)};
    if (!server_run(domain->daemon->server, process_ended, ended, false)) {
        vmm_unref(ended->vmm);
        domain_unref(domain);
        g_free(ended);
    }
}

static const struct vmm_callbacks callbacks = {
    .event = domain_vmm_event,
    .ended = on_ended,
    .destroy = (GDestroyNotify)domain_unref,
};

/* What the VMM says it does, for a daemon that did not see it come to that. An event that came
 * while it was asked has said so already, and may be newer than the answer. */
static bool refresh_state(struct domain *domain, GError **error)
{
    virDomainState state = domain->state;
    g_autoptr(json_ref) status = NULL;
    const char *word;
    int reason;

    if (!domain_command(domain, "query-status", NULL, &status, error))
        return false;
    if (domain->state != state)
        return true;
    reason = domain->reason;
    word = json_string_value(json_object_get(status, "status"));
    if (g_strcmp0(word, "running") == 0)
        domain_set_state(domain, VIR_DOMAIN_RUNNING,
                         state == VIR_DOMAIN_RUNNING ? reason : VIR_DOMAIN_RUNNING_UNKNOWN);
    else if (g_strcmp0(word, "shutdown") == 0)
        domain_set_state(domain, VIR_DOMAIN_SHUTDOWN, VIR_DOMAIN_SHUTDOWN_UNKNOWN);
    else if (g_strcmp0(word, "guest-panicked") == 0)
        domain_set_state(domain, VIR_DOMAIN_CRASHED, VIR_DOMAIN_CRASHED_PANICKED);
    else
        domain_set_state(domain, VIR_DOMAIN_PAUSED,
                         state == VIR_DOMAIN_PAUSED ? reason : VIR_DOMAIN_PAUSED_UNKNOWN);
    return true;
}

/* How much of its memory the guest has by now; worth a try, an older VMM may not tell. */
static void refresh_balloon(struct domain *domain)
{
    uint64_t before = domain->live->current_memory_kib;
    g_autoptr(GError) error = NULL;
    g_autoptr(json_ref) balloon = NULL;
    guint64 kib;

    if (domain->live->memballoon.none)
        return;
    if (!domain_command(domain, "query-balloon", NULL, &balloon, &error)) {
        g_info("domain '%s': %s", domain->name, error->message);
        return;
    }
    kib = (guint64)json_integer_value(json_object_get(balloon, "actual")) / 1024;
    if (domain->live->current_memory_kib == before) /* an event knows better */
        domain->live->current_memory_kib = MIN(kib, domain->live->memory_kib);
}

/* The answer's member of that label, or NULL. */
static const json_t *chardev_of(const json_t *chardevs, const char *label)
{
    size_t i;
    const json_t *chardev;

    json_array_foreach(chardevs, i, chardev)
    {
        if (g_strcmp0(json_string_value(json_object_get(chardev, "label")), label) == 0)
            return chardev;
    }
    return NULL;
}

/* Which channels the guest has open by now. */
static void refresh_channels(struct domain *domain)
{
    guint count = domain->live->channels->len;
    g_autofree enum domain_channel_state *before = g_new0(enum domain_channel_state, count);
    g_autoptr(GError) error = NULL;
    g_autoptr(json_ref) chardevs = NULL;

    for (guint i = 0; i < count; i++)
        before[i] = domain_channel_at(domain->live, i)->state;
    if (count == 0)
        return;
    if (!domain_command(domain, "query-chardev", NULL, &chardevs, &error)) {
        g_info("domain '%s': %s", domain->name, error->message);
        return;
    }
    for (guint i = 0; i < count; i++) {
        struct domain_channel *channel = domain_channel_at(domain->live, i);
        const json_t *chardev = chardev_of(chardevs, channel->info.alias);

        if (chardev && channel->state == before[i]) /* an event knows better */
            domain_set_channel(domain, channel,
                               json_is_true(json_object_get(chardev, "frontend-open")));
    }
}

/* Without the lock: of a VMM with many descriptors each is looked at. */
static void recover_terminals(struct domain *domain)
{
    g_autoptr(domain_def) live = domain_def_copy(domain->live);
    g_autoptr(held_vmm) vmm = vmm_ref(domain->vmm);

    domain_begin_wait(domain);
    terminals_recover(&domain->terminals, vmm, live);
    domain_end_wait(domain);
}

/* The networks may have been started anew while this daemon was away. */
static void renew_loans(struct domain *domain)
{
    g_autoptr(domain_def) live = domain_def_copy(domain->live);

    domain_begin_wait(domain);
    borrow_renew(domain->daemon, live);
    domain_end_wait(domain);
}

bool domain_rejoin(struct domain *domain, pid_t pid, guint64 start_time, const char *monitor_path)
{
    g_autoptr(GError) error = NULL;
    guint timeout_ms = domain->daemon->settings.start_timeout * 1000;
    bool starting =
        domain->state == VIR_DOMAIN_PAUSED && domain->reason == VIR_DOMAIN_PAUSED_STARTING_UP;
    int reason = VIR_DOMAIN_SHUTOFF_DAEMON; /* it could not be left running unwatched */
    bool ready;

    domain->vmm = vmm_attach(domain->daemon->watches, pid, start_time, monitor_path,
                             command_timeout_ms(domain), &callbacks, domain_ref(domain), &error);
    if (!domain->vmm) {
        bool killed;

        domain_begin_wait(domain);
        killed = vmm_kill(pid, start_time, KILLED_TIMEOUT_MS);
        domain_end_wait(domain);
        unlink(monitor_path);
        if (!killed)
            reason = VIR_DOMAIN_SHUTOFF_UNKNOWN;
        goto gone;
    }
    {
        g_autoptr(held_vmm) vmm = vmm_ref(domain->vmm);

        domain_begin_wait(domain);
        ready = vmm_wait_ready(vmm, timeout_ms, &error);
        domain_end_wait(domain);
    }
    /* Nobody was ever told that it runs. */
    if (ready && starting)
        libvirt_error_set(&error, VIR_ERR_OPERATION_FAILED, "it had not finished starting");
    if (ready && !starting && refresh_state(domain, &error)) {
        refresh_balloon(domain);
        refresh_channels(domain);
        recover_terminals(domain);
        learn_vcpu_threads(domain);
        update_status(domain);
        renew_loans(domain);
        return true;
    }
    /* It ended just now: who has been told waits for this job, and knows what to make of it. */
    if (!starting && has_ended(domain, error))
        return false;
    give_up_start(domain);
    if (domain->destroyers) {
        stopped(domain, VIR_DOMAIN_SHUTOFF_DESTROYED,
                starting ? -1 : VIR_DOMAIN_EVENT_STOPPED_DESTROYED);
        return false;
    }
gone:
    g_warning("domain '%s' is gone: %s", domain->name, error->message);
    stopped(domain, reason, starting ? -1 : VIR_DOMAIN_EVENT_STOPPED_FAILED);
    return false;
}
