/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting, stopping and resetting domains. Where they differ, the answers are those of libvirt's
 * qemu driver. */
#include <string.h>

#include "libvirt-driver/api/api.h"
#include "libvirt-driver/domain/list.h"
#include "libvirt-driver/domain/process.h"

/* Newer than the oldest libvirt whose headers this builds with. */
#define START_RESET_NVRAM (1u << 5)
/* What a start may be asked for. There is no saved state to restore or to ignore, and no NVRAM. */
#define START_FLAGS                                                                           \
    (VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY | VIR_DOMAIN_START_BYPASS_CACHE | \
     VIR_DOMAIN_START_FORCE_BOOT | START_RESET_NVRAM)

/* Job. Takes over the definition. */
static bool start(struct call *call, struct domain *domain, domain_def *def, unsigned flags,
                  GError **error)
{
    if (!domain_start(domain, def, flags & VIR_DOMAIN_START_PAUSED, error))
        return false;
    if (flags & VIR_DOMAIN_START_AUTODESTROY)
        domain->autodestroy = call->client;
    return true;
}

/* Ends the job. What was to end with a client that went meanwhile is ended here and now: when the
 * client went because the daemon ends, nobody else is there to do it. */
static void finish_start(struct call *call, struct domain *domain)
{
    domain_end_job(domain);
    if (domain->autodestroy == call->client && client_is_gone(call->client))
        domain_end_abandoned(domain);
}

static bool create(struct call *call, const wire_domain *dom, unsigned flags, wire_domain *out,
                   GError **error)
{
    g_autoptr(locked_domain) domain = NULL;
    bool started = false;

    if (!api_check_flags(call, flags, START_FLAGS, error))
        return false;
    domain = api_domain_with_job(call, dom, error);
    if (!domain)
        return false;
    if (domain_runs(domain))
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "domain is already running");
    else
        started = start(call, domain, domain_def_copy(domain->config), flags, error);
    if (started && out)
        api_fill_domain(out, domain);
    finish_start(call, domain);
    return started;
}

bool api_domain_create(struct call *call, const wire_dom *in, wire_none *out, GError **error)
{
    return create(call, &in->dom, 0, NULL, error);
}

bool api_domain_create_with_flags(struct call *call, const wire_dom_flags *in, wire_dom *out,
                                  GError **error)
{
    return create(call, &in->dom, in->flags, &out->dom, error);
}

bool api_domain_create_xml(struct call *call, const wire_str_flags *in, wire_dom *out,
                           GError **error)
{
    g_autoptr(domain_def) def = NULL;
    g_autoptr(locked_domain) domain = NULL;
    bool started = false;

    if (!api_check_flags(call, in->flags, START_FLAGS | VIR_DOMAIN_START_VALIDATE, error))
        return false;
    def = domain_def_parse(in->value, strlen(in->value), DOMAIN_PARSE_DEFINITION, error);
    domain = def ? api_domain_for(call, def, error) : NULL;
    if (!domain)
        return false;
    if (domain_runs(domain)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' is already active",
                          domain->name);
    } else {
        started = start(call, domain, g_steal_pointer(&def), in->flags, error);
    }
    if (started)
        api_fill_domain(&out->dom, domain);
    domain_list_remove_void(call->daemon->domains, domain);
    finish_start(call, domain);
    return started;
}

static bool destroy(struct call *call, const wire_domain *dom, bool graceful, GError **error)
{
    g_autoptr(locked_domain) domain = api_domain(call, dom, error);

    return domain && domain_end(domain, graceful, error);
}

bool api_domain_destroy(struct call *call, const wire_dom *in, wire_none *out, GError **error)
{
    return destroy(call, &in->dom, false, error);
}

bool api_domain_destroy_flags(struct call *call, const wire_dom_flags *in, wire_none *out,
                              GError **error)
{
    return api_check_flags(call, in->flags, VIR_DOMAIN_DESTROY_GRACEFUL, error) &&
           destroy(call, &in->dom, in->flags & VIR_DOMAIN_DESTROY_GRACEFUL, error);
}

/* Does something to a domain that runs, with its job. */
static bool act(struct call *call, const wire_domain *dom,
                bool (*action)(struct domain *domain, GError **error), GError **error)
{
    g_autoptr(locked_domain) domain = api_domain_with_job(call, dom, error);
    bool done;

    if (!domain)
        return false;
    done = domain_check_runs(domain, error) && action(domain, error);
    domain_end_job(domain);
    return done;
}

static bool suspend(struct domain *domain, GError **error)
{
    return domain_pause(domain, VIR_DOMAIN_PAUSED_USER, error);
}

bool api_domain_suspend(struct call *call, const wire_dom *in, wire_none *out, GError **error)
{
    return act(call, &in->dom, suspend, error);
}

static bool resume(struct domain *domain, GError **error)
{
    if (domain->state == VIR_DOMAIN_RUNNING) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "domain is already running");
        return false;
    }
    return domain_unpause(domain, VIR_DOMAIN_RUNNING_UNPAUSED, error);
}

bool api_domain_resume(struct call *call, const wire_dom *in, wire_none *out, GError **error)
{
    return act(call, &in->dom, resume, error);
}

static bool reset(struct domain *domain, GError **error)
{
    domain->reboot_asked = false;
    return domain_command(domain, "system_reset", NULL, NULL, error);
}

bool api_domain_reset(struct call *call, const wire_dom_flags *in, wire_none *out, GError **error)
{
    return api_check_flags(call, in->flags, 0, error) && act(call, &in->dom, reset, error);
}

/* There is no agent in the guest to ask: only the power button can be pressed. */
static bool ask_agent(struct domain *domain, GError **error)
{
    libvirt_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "QEMU guest agent is not configured");
    return false;
}

/* Presses the button, unless the flags leave nothing but the agent. */
static bool press(struct call *call, const wire_domain *dom, unsigned flags,
                  bool (*action)(struct domain *domain, GError **error), GError **error)
{
    const unsigned button = VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN;
    const unsigned agent = VIR_DOMAIN_SHUTDOWN_GUEST_AGENT;

    G_STATIC_ASSERT((int)VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN ==
                    (int)VIR_DOMAIN_REBOOT_ACPI_POWER_BTN);
    G_STATIC_ASSERT((int)VIR_DOMAIN_SHUTDOWN_GUEST_AGENT == (int)VIR_DOMAIN_REBOOT_GUEST_AGENT);
    return api_check_flags(call, flags, button | agent, error) &&
           act(call, dom, (flags & (button | agent)) == agent ? ask_agent : action, error);
}

static bool power_down(struct domain *domain, bool reboot, GError **error)
{
    domain->reboot_asked = reboot;
    if (domain_command(domain, "system_powerdown", NULL, NULL, error)) {
        domain_save_status(domain, NULL);
        return true;
    }
    domain->reboot_asked = false;
    return false;
}

static bool shut_down(struct domain *domain, GError **error)
{
    return power_down(domain, false, error);
}

/* The guest powers off, and comes back; unless its definition makes a reboot an end. */
static bool reboot(struct domain *domain, GError **error)
{
    return power_down(domain, domain->live->on_reboot == DOMAIN_ACTION_RESTART, error);
}

bool api_domain_shutdown(struct call *call, const wire_dom *in, wire_none *out, GError **error)
{
    return act(call, &in->dom, shut_down, error);
}

bool api_domain_shutdown_flags(struct call *call, const wire_dom_flags *in, wire_none *out,
                               GError **error)
{
    return press(call, &in->dom, in->flags, shut_down, error);
}

bool api_domain_reboot(struct call *call, const wire_dom_flags *in, wire_none *out, GError **error)
{
    return press(call, &in->dom, in->flags, reboot, error);
}
