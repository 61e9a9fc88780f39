/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/polkit.h"

#include <gio/gio.h>

#include "libvirt-driver/vmm/vmm.h"
#include "xml/error.h"

#define NAME      "org.freedesktop.PolicyKit1"
#define PATH      "/org/freedesktop/PolicyKit1/Authority"
#define INTERFACE "org.freedesktop.PolicyKit1.Authority"

#define ALLOW_USER_INTERACTION 1u
/* For typing a password. */
#define ANSWER_TIMEOUT_MS (5 * 60 * 1000)

/* A process is known by its pid and start time together, and by its user: pids come back. */
static GVariant *make_question(const struct client_peer *peer, const char *action)
{
    GVariantBuilder subject;
    GVariantBuilder details;

    g_variant_builder_init(&subject, G_VARIANT_TYPE("a{sv}"));
    g_variant_builder_add(&subject, "{sv}", "pid", g_variant_new_uint32((guint32)peer->pid));
    g_variant_builder_add(&subject, "{sv}", "start-time",
                          g_variant_new_uint64(vmm_process_start_time(peer->pid)));
    g_variant_builder_add(&subject, "{sv}", "uid", g_variant_new_int32((gint32)peer->uid));
    g_variant_builder_init(&details, G_VARIANT_TYPE("a{ss}"));
    return g_variant_new("((sa{sv})sa{ss}us)", "unix-process", &subject, action, &details,
                         ALLOW_USER_INTERACTION, "");
}

static GVariant *ask(const struct client_peer *peer, const char *action, GError **error)
{
    g_autoptr(GDBusConnection) bus = g_bus_get_sync(G_BUS_TYPE_SYSTEM, NULL, error);

    if (!bus)
        return NULL;
    /* GLib would end this process when the bus goes away. */
    g_dbus_connection_set_exit_on_close(bus, FALSE);
    return g_dbus_connection_call_sync(bus, NAME, PATH, INTERFACE, "CheckAuthorization",
                                       make_question(peer, action), G_VARIANT_TYPE("((bba{ss}))"),
                                       G_DBUS_CALL_FLAGS_NONE, ANSWER_TIMEOUT_MS, NULL, error);
}

bool polkit_check(const struct client_peer *peer, const char *action, GError **error)
{
    g_autoptr(GError) failed = NULL;
    g_autoptr(GVariant) answer = ask(peer, action, &failed);
    gboolean allowed = FALSE;
    gboolean challenge = FALSE;

    if (!answer) {
        g_dbus_error_strip_remote_error(failed);
        g_warning("cannot ask polkit for '%s': %s", action, failed->message);
        libvirt_error_set(error, VIR_ERR_AUTH_FAILED, "polkit: %s", failed->message);
        return false;
    }
    g_variant_get(answer, "((bba{ss}))", &allowed, &challenge, NULL);
    if (allowed)
        return true;
    if (challenge)
        libvirt_error_set(error, VIR_ERR_AUTH_UNAVAILABLE,
                          "no polkit agent available to authenticate action '%s'", action);
    else
        libvirt_error_set(error, VIR_ERR_AUTH_FAILED, "access denied by policy");
    return false;
}
