/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/polkit.h"

#include "libvirt-driver/vmm/vmm.h"
#include "xml/error.h"

#define NAME      "org.freedesktop.PolicyKit1"
#define PATH      "/org/freedesktop/PolicyKit1/Authority"
#define INTERFACE "org.freedesktop.PolicyKit1.Authority"

#define ALLOW_USER_INTERACTION 1u
/* For typing a password. */
#define ANSWER_TIMEOUT_MS (5 * 60 * 1000)

struct question {
    GVariant *asked;
    char *action;
    char *id; /* by which polkit knows what is cancelled: no two of a sender's are the same */
    GCancellable *cancel;
    GDBusConnection *bus; /* NULL until there is one */
    polkit_answer_fn answer;
    gpointer opaque;
};

static void question_free(struct question *question)
{
    g_variant_unref(question->asked);
    g_free(question->action);
    g_free(question->id);
    g_object_unref(question->cancel);
    g_clear_object(&question->bus);
    g_free(question);
}

/* A process is known by its pid and start time together, and by its user: pids come back. */
static GVariant *make_question(const struct client_peer *peer, const char *action, const char *id)
{
    GVariantBuilder subject;
    GVariantBuilder details;

    g_variant_builder_init(&subject, G_VARIANT_TYPE("a{sv}"));
    g_variant_builder_add(&subject, "{sv}", "pid", g_variant_new_uint32((guint32)peer->pid));
    g_variant_builder_add(&subject, "{sv}", "start-time",
                          g_variant_new_uint64(vmm_process_start_time(peer->pid)));
    g_variant_builder_add(&subject, "{sv}", "uid", g_variant_new_int32((gint32)peer->uid));
    g_variant_builder_init(&details, G_VARIANT_TYPE("a{ss}"));
    return g_variant_ref_sink(g_variant_new("((sa{sv})sa{ss}us)", "unix-process", &subject, action,
                                            &details, ALLOW_USER_INTERACTION, id));
}

static void on_cancelled(GObject *bus, GAsyncResult *result, gpointer opaque)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(bus), result, &error);

    if (!reply)
        g_info("cannot take back a question to polkit: %s", error->message);
    g_object_unref(opaque);
}

/* Takes the prompt for a password away. The connection stays until that is done. */
static void take_back(struct question *question)
{
    g_dbus_connection_call(question->bus, NAME, PATH, INTERFACE, "CancelCheckAuthorization",
                           g_variant_new("(s)", question->id), NULL, G_DBUS_CALL_FLAGS_NONE, -1,
                           NULL, on_cancelled, g_object_ref(question->bus));
}

/* There is no answer. Takes over the error. */
static void fail(struct question *question, GError *failed)
{
    g_autoptr(GError) reason = failed;
    g_autoptr(GError) error = NULL;

    if (g_error_matches(reason, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        if (question->bus)
            take_back(question);
    } else {
        g_dbus_error_strip_remote_error(reason);
        g_warning("cannot ask polkit for '%s': %s", question->action, reason->message);
    }
    libvirt_error_set(&error, VIR_ERR_AUTH_FAILED, "polkit: %s", reason->message);
    question->answer(question->opaque, error);
    question_free(question);
}

static void on_answer(GObject *bus, GAsyncResult *result, gpointer opaque)
{
    struct question *question = opaque;
    g_autoptr(GError) error = NULL;
    GError *failed = NULL;
    g_autoptr(GVariant) answer =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(bus), result, &failed);
    gboolean allowed = FALSE;
    gboolean challenge = FALSE;

    if (!answer) {
        fail(question, failed);
        return;
    }
    g_variant_get(answer, "((bba{ss}))", &allowed, &challenge, NULL);
    if (!allowed && challenge)
        libvirt_error_set(&error, VIR_ERR_AUTH_UNAVAILABLE,
                          "no polkit agent available to authenticate action '%s'",
                          question->action);
    else if (!allowed)
        libvirt_error_set(&error, VIR_ERR_AUTH_FAILED, "access denied by policy");
    question->answer(question->opaque, error);
    question_free(question);
}

static void on_bus(GObject *source, GAsyncResult *result, gpointer opaque)
{
    struct question *question = opaque;
    GError *failed = NULL;

    question->bus = g_bus_get_finish(result, &failed);
    if (!question->bus) {
        fail(question, failed);
        return;
    }
    /* GLib would end this process when the bus goes away. */
    g_dbus_connection_set_exit_on_close(question->bus, FALSE);
    g_dbus_connection_call(question->bus, NAME, PATH, INTERFACE, "CheckAuthorization",
                           question->asked, G_VARIANT_TYPE("((bba{ss}))"), G_DBUS_CALL_FLAGS_NONE,
                           ANSWER_TIMEOUT_MS, question->cancel, on_answer, question);
}

void polkit_ask(const struct client_peer *peer, const char *action, GCancellable *cancel,
                polkit_answer_fn answer, gpointer opaque)
{
    struct question *question = g_new0(struct question, 1);

    question->action = g_strdup(action);
    question->id = g_uuid_string_random();
    question->asked = make_question(peer, action, question->id);
    question->cancel = g_object_ref(cancel);
    question->answer = answer;
    question->opaque = opaque;
    g_bus_get(G_BUS_TYPE_SYSTEM, cancel, on_bus, question);
}
