/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asking polkit, which a bus of our own and an authority of our own stand in for. */
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "libvirt-driver/polkit.h"
#include "libvirt-driver/vmm/vmm.h"
#include "tests/unit/tap.h"
#include "xml/error.h"

/* A question that the authority answers only when it is taken back. */
#define NEVER "org.libvirt.api.never"

static const char interface_xml[] =
    "<node><interface name='org.freedesktop.PolicyKit1.Authority'>"
    "<method name='CheckAuthorization'>"
    "<arg type='(sa{sv})' direction='in'/><arg type='s' direction='in'/>"
    "<arg type='a{ss}' direction='in'/><arg type='u' direction='in'/>"
    "<arg type='s' direction='in'/><arg type='(bba{ss})' direction='out'/>"
    "</method><method name='CancelCheckAuthorization'>"
    "<arg type='s' direction='in'/></method></interface></node>";

/* What it was asked last. */
struct question {
    GMutex lock;
    char action[64];
    guint32 pid;
    guint64 start_time;
    gint32 uid;
    guint32 flags;
    char id[64];
    GDBusMethodInvocation *open; /* a call without an answer */
    char taken_back[64];
};
static struct question question;

static void note_question(GVariant *parameters)
{
    g_autoptr(GVariant) details = NULL;
    const char *kind;
    const char *action;
    const char *id;

    g_variant_get(parameters, "((&s@a{sv})&sa{ss}u&s)", &kind, &details, &action, NULL,
                  &question.flags, &id);
    check_str(kind, "unix-process");
    g_strlcpy(question.action, action, sizeof(question.action));
    g_strlcpy(question.id, id, sizeof(question.id));
    check(g_variant_lookup(details, "pid", "u", &question.pid));
    check(g_variant_lookup(details, "start-time", "t", &question.start_time));
    check(g_variant_lookup(details, "uid", "i", &question.uid));
}

static void note_taken_back(GVariant *parameters)
{
    const char *id;

    g_variant_get(parameters, "(&s)", &id);
    g_strlcpy(question.taken_back, id, sizeof(question.taken_back));
    if (question.open)
        g_dbus_method_invocation_return_dbus_error(g_steal_pointer(&question.open),
                                                   "org.freedesktop.PolicyKit1.Error.Cancelled",
                                                   "taken back");
}

/* Who may only look is let in, who would manage is not; anything else takes a password. */
static void on_call(GDBusConnection *bus, const char *sender, const char *path,
                    const char *interface, const char *method, GVariant *parameters,
                    GDBusMethodInvocation *invocation, gpointer opaque)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locked = g_mutex_locker_new(&question.lock);
    bool monitor;
    bool manage;

    /* For a test that looks whether this came. */
    g_main_context_wakeup(NULL);
    if (strcmp(method, "CancelCheckAuthorization") == 0) {
        note_taken_back(parameters);
        g_dbus_method_invocation_return_value(invocation, NULL);
        return;
    }
    note_question(parameters);
    if (strcmp(question.action, NEVER) == 0) {
        question.open = invocation;
        return;
    }
    monitor = strcmp(question.action, "org.libvirt.unix.monitor") == 0;
    manage = strcmp(question.action, "org.libvirt.unix.manage") == 0;
    g_dbus_method_invocation_return_value(
        invocation, g_variant_new("((bba{ss}))", monitor, !monitor && !manage, NULL));
}

struct authority {
    GMainContext *context;
    GMainLoop *loop;
    GThread *thread;
    char *address;
    GMutex lock;
    GCond changed;
    bool ready;
};

static void on_name(GDBusConnection *bus, const char *name, gpointer opaque)
{
    struct authority *authority = opaque;

    g_mutex_lock(&authority->lock);
    authority->ready = true;
    g_cond_signal(&authority->changed);
    g_mutex_unlock(&authority->lock);
}

static gpointer run_authority(gpointer opaque)
{
    static const GDBusInterfaceVTable vtable = {.method_call = on_call};
    struct authority *authority = opaque;
    g_autoptr(GDBusNodeInfo) node = g_dbus_node_info_new_for_xml(interface_xml, NULL);
    g_autoptr(GDBusConnection) bus = NULL;
    g_autoptr(GError) error = NULL;

    g_main_context_push_thread_default(authority->context);
    bus = g_dbus_connection_new_for_address_sync(authority->address,
                                                 G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                     G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                                 NULL, NULL, &error);
    check_str(error ? error->message : NULL, NULL);
    g_dbus_connection_register_object(bus, "/org/freedesktop/PolicyKit1/Authority",
                                      node->interfaces[0], &vtable, NULL, NULL, &error);
    check_str(error ? error->message : NULL, NULL);
    g_bus_own_name_on_connection(bus, "org.freedesktop.PolicyKit1", G_BUS_NAME_OWNER_FLAGS_NONE,
                                 on_name, NULL, authority, NULL);
    g_main_loop_run(authority->loop);
    g_dbus_connection_close_sync(bus, NULL, NULL);
    g_main_context_pop_thread_default(authority->context);
    return NULL;
}

static void start_authority(struct authority *authority, const char *address)
{
    authority->context = g_main_context_new();
    authority->loop = g_main_loop_new(authority->context, FALSE);
    authority->address = g_strdup(address);
    g_mutex_init(&authority->lock);
    g_cond_init(&authority->changed);
    authority->thread = g_thread_new("authority", run_authority, authority);
    g_mutex_lock(&authority->lock);
    while (!authority->ready)
        g_cond_wait(&authority->changed, &authority->lock);
    g_mutex_unlock(&authority->lock);
}

static void stop_authority(struct authority *authority)
{
    g_main_loop_quit(authority->loop);
    g_thread_join(authority->thread);
    g_main_loop_unref(authority->loop);
    g_main_context_unref(authority->context);
    g_mutex_clear(&authority->lock);
    g_cond_clear(&authority->changed);
    g_free(authority->address);
}

static void on_answer(gpointer opaque, const GError *error)
{
    *(int *)opaque = error ? (int)libvirt_error_code(error) : 0;
}

/* Runs the main loop, which is ours, until there is an answer. */
static void wait_for_answer(const int *code)
{
    while (*code < 0)
        g_main_context_iteration(NULL, TRUE);
}

static int code_of(const struct client_peer *peer, const char *action)
{
    g_autoptr(GCancellable) cancel = g_cancellable_new();
    int code = -1;

    polkit_ask(peer, action, cancel, on_answer, &code);
    check_int(code, -1);
    wait_for_answer(&code);
    return code;
}

static gboolean is_taken_back(void)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locked = g_mutex_locker_new(&question.lock);

    return question.taken_back[0] != '\0';
}

static gboolean is_open(void)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locked = g_mutex_locker_new(&question.lock);

    return question.open != NULL;
}

/* A client that goes: its question is answered at once, and taken back from the authority. */
static void take_one_back(const struct client_peer *peer)
{
    g_autoptr(GCancellable) cancel = g_cancellable_new();
    int code = -1;

    polkit_ask(peer, NEVER, cancel, on_answer, &code);
    while (!is_open())
        g_main_context_iteration(NULL, TRUE);
    check_int(code, -1);
    g_cancellable_cancel(cancel);
    wait_for_answer(&code);
    check_int(code, VIR_ERR_AUTH_FAILED);
    while (!is_taken_back())
        g_main_context_iteration(NULL, TRUE);
    check_str(question.taken_back, question.id);
}

static void test_answers_of_the_authority(void)
{
    const struct client_peer peer = {.pid = getpid(), .uid = 1234, .gid = 1234};
    struct authority authority = {0};

    start_authority(&authority, g_getenv("DBUS_SYSTEM_BUS_ADDRESS"));

    check_int(code_of(&peer, "org.libvirt.unix.monitor"), 0);
    g_mutex_lock(&question.lock);
    check_str(question.action, "org.libvirt.unix.monitor");
    check_int(question.pid, getpid());
    check_int(question.start_time, vmm_process_start_time(getpid()));
    check_int(question.uid, 1234);
    check_int(question.flags, 1);
    g_mutex_unlock(&question.lock);
    check_int(code_of(&peer, "org.libvirt.unix.manage"), VIR_ERR_AUTH_FAILED);
    check_int(code_of(&peer, "org.libvirt.api.other"), VIR_ERR_AUTH_UNAVAILABLE);
    take_one_back(&peer);
    stop_authority(&authority);
}

static void test_without_an_authority_nobody_is_let_in(void)
{
    const struct client_peer peer = {.pid = getpid(), .uid = 1234, .gid = 1234};

    check_int(code_of(&peer, "org.libvirt.unix.monitor"), VIR_ERR_AUTH_FAILED);
}

int main(void)
{
    g_autofree char *program = g_find_program_in_path("dbus-daemon");
    GTestDBus *bus;
    int status;

    if (!program) {
        puts("1..0 # SKIP there is no dbus-daemon");
        return 0;
    }
    bus = g_test_dbus_new(G_TEST_DBUS_NONE);
    g_test_dbus_up(bus);
    g_setenv("DBUS_SYSTEM_BUS_ADDRESS", g_test_dbus_get_bus_address(bus), TRUE);
    status = tap_run((struct tap_test[]){
        TAP(test_without_an_authority_nobody_is_let_in),
        TAP(test_answers_of_the_authority),
        {0},
    });
    g_test_dbus_stop(bus);
    g_object_unref(bus);
    return status;
}
