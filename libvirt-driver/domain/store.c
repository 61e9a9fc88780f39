/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/domain/store.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/passt.h"

#define STATUS_VERSION 1
/* Larger files are none of ours. */
#define FILE_MAX_BYTES ((gsize)16 * 1024 * 1024)

static const char config_header[] =
    "<!--\n"
    "  Kept by virtvoled, which reads it when it starts and overwrites it when the domain is\n"
    "  defined again. To change the domain use \"virsh edit\" or another client of libvirt.\n"
    "-->\n";

/* ---- configurations ---- */

bool store_save_config(const struct paths *paths, const domain_def *def, GError **error)
{
    g_autofree char *path = paths_file(paths->config, def->name, ".xml");
    g_autofree char *xml = domain_def_format(def, VIR_DOMAIN_XML_INACTIVE);
    g_autofree char *text = g_strconcat(config_header, xml, NULL);

    return write_file_atomically(path, text, true, error);
}

bool store_has_config(const struct paths *paths, const char *name)
{
    g_autofree char *path = paths_file(paths->config, name, ".xml");

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static bool remove_file(const char *path, GError **error)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return true;
    libvirt_error_set_errno(error, errno, "cannot remove '%s'", path);
    return false;
}

bool store_remove_config(const struct paths *paths, const char *name, GError **error)
{
    g_autofree char *path = paths_file(paths->config, name, ".xml");

    return store_set_autostart(paths, name, false, error) && remove_file(path, error);
}

bool store_set_autostart(const struct paths *paths, const char *name, bool autostart,
                         GError **error)
{
    g_autofree char *link = paths_file(paths->autostart, name, ".xml");
    g_autofree char *config = paths_file(paths->config, name, ".xml");

    if (!autostart)
        return remove_file(link, error);
    if (symlink(config, link) == 0 || errno == EEXIST)
        return true;
    libvirt_error_set_errno(error, errno, "Failed to create symlink '%s' to '%s'", link, config);
    return false;
}

/* The file's text, or NULL after a warning. */
static char *read_file(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    gsize len;

    if (!g_file_get_contents(path, &text, &len, &error)) {
        g_warning("%s", error->message);
        return NULL;
    }
    if (len > FILE_MAX_BYTES || strlen(text) != len) {
        g_warning("'%s' is not a file of this daemon", path);
        return NULL;
    }
    return g_steal_pointer(&text);
}

/* The names of a directory's files that end in `suffix`, without it. */
static GPtrArray *list_names(const char *dir, const char *suffix)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) handle = g_dir_open(dir, 0, NULL);
    const char *entry;

    while (handle && (entry = g_dir_read_name(handle))) {
        if (g_str_has_suffix(entry, suffix))
            g_ptr_array_add(names, g_strndup(entry, strlen(entry) - strlen(suffix)));
    }
    return names;
}

static domain_def *load_config(const struct paths *paths, const char *name)
{
    g_autofree char *path = paths_file(paths->config, name, ".xml");
    g_autofree char *text = read_file(path);
    g_autoptr(GError) error = NULL;
    g_autoptr(domain_def) def = NULL;

    if (!text)
        return NULL;
    def = domain_def_parse(text, strlen(text), DOMAIN_PARSE_DEFINITION, &error);
    if (!def) {
        g_warning("'%s': %s", path, error->message);
        return NULL;
    }
    if (strcmp(def->name, name) != 0) {
        g_warning("'%s' holds a domain named '%s'", path, def->name);
        return NULL;
    }
    return g_steal_pointer(&def);
}

void store_load_configs(const struct paths *paths,
                        void (*found)(gpointer opaque, domain_def *def, bool autostart),
                        gpointer opaque)
{
    g_autoptr(GPtrArray) names = list_names(paths->config, ".xml");

    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *link = paths_file(paths->autostart, name, ".xml");
        domain_def *def = load_config(paths, name);

        if (def)
            found(opaque, def, g_file_test(link, G_FILE_TEST_IS_SYMLINK));
    }
}

/* ---- running domains ---- */

void status_clear(struct status *status)
{
    g_clear_pointer(&status->monitor_path, g_free);
    g_clear_pointer(&status->cgroup, g_free);
    g_clear_pointer(&status->companions, g_array_unref);
    g_clear_pointer(&status->live, domain_def_free);
}

static json_t *companions_json(const GArray *companions)
{
    json_t *list = json_array();

    for (guint i = 0; companions && i < companions->len; i++) {
        const struct companion *each = &g_array_index(companions, struct companion, i);

        json_array_append_new(
            list, json_pack("[I, I]", (json_int_t)each->pid, (json_int_t)each->start_time));
    }
    return list;
}

/* States of daemons before there were any have no list. */
static GArray *read_companions(const json_t *list)
{
    GArray *companions = g_array_new(FALSE, FALSE, sizeof(struct companion));
    json_t *entry;
    size_t i;

    json_array_foreach(list, i, entry)
    {
        struct companion each = {
            .pid = (pid_t)json_integer_value(json_array_get(entry, 0)),
            .start_time = (guint64)json_integer_value(json_array_get(entry, 1)),
        };

        if (each.pid > 0 && each.start_time)
            g_array_append_val(companions, each);
    }
    return companions;
}

bool store_save_status(const struct paths *paths, const struct status *status, GError **error)
{
    g_autofree char *path = paths_file(paths->run, status->live->name, ".json");
    g_autofree char *xml = domain_def_format(status->live, 0);
    g_autofree char *text = NULL;
    g_autoptr(json_ref) json =
        json_pack("{s:i, s:i, s:i, s:I, s:I, s:s, s:s*, s:b, s:o, s:s}", "version", STATUS_VERSION,
                  "state", status->state, "reason", status->reason, "pid", (json_int_t)status->pid,
                  "start-time", (json_int_t)status->start_time, "monitor", status->monitor_path,
                  "cgroup", status->cgroup, "reboot-asked", status->reboot_asked, "companions",
                  companions_json(status->companions), "xml", xml);

    text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    if (!text) {
        libvirt_error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot write down the state of '%s'",
                          status->live->name);
        return false;
    }
    return write_file_atomically(path, text, false, error);
}

void store_remove_status(const struct paths *paths, const char *name)
{
    g_autofree char *path = paths_file(paths->run, name, ".json");

    if (unlink(path) < 0 && errno != ENOENT)
        g_warning("cannot remove '%s': %s", path, g_strerror(errno));
}

static bool parse_status(const char *path, const char *text, struct status *status)
{
    g_autoptr(GError) error = NULL;
    json_error_t where;
    g_autoptr(json_ref) json = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    const char *monitor;
    const char *cgroup = NULL;
    json_t *companions = NULL;
    const char *xml;
    json_int_t pid;
    json_int_t start_time;
    int version;
    int reboot_asked;

    if (!json) {
        g_warning("'%s': line %d: %s", path, where.line, where.text);
        return false;
    }
    if (json_unpack_ex(json, &where, 0, "{s:i, s:i, s:i, s:I, s:I, s:s, s?s, s:b, s?o, s:s}",
                       "version", &version, "state", &status->state, "reason", &status->reason,
                       "pid", &pid, "start-time", &start_time, "monitor", &monitor, "cgroup",
                       &cgroup, "reboot-asked", &reboot_asked, "companions", &companions, "xml",
                       &xml) < 0) {
        g_warning("'%s': %s", path, where.text);
        return false;
    }
    /* Without its time of start a process could be any that has the pid by now. */
    if (version != STATUS_VERSION || pid < 0 || pid > G_MAXINT || start_time < 0 ||
        (pid > 0 && start_time == 0)) {
        g_warning("'%s' is not a state that this daemon wrote", path);
        return false;
    }
    status->live = domain_def_parse(xml, strlen(xml), DOMAIN_PARSE_LIVE, &error);
    if (!status->live) {
        g_warning("'%s': %s", path, error->message);
        return false;
    }
    status->pid = (pid_t)pid;
    status->start_time = (guint64)start_time;
    status->reboot_asked = reboot_asked;
    status->monitor_path = g_strdup(monitor);
    status->cgroup = g_strdup(cgroup);
    status->companions = read_companions(companions);
    return true;
}

void store_load_statuses(const struct paths *paths,
                         void (*found)(gpointer opaque, struct status *status), gpointer opaque)
{
    g_autoptr(GPtrArray) names = list_names(paths->run, ".json");

    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = paths_file(paths->run, g_ptr_array_index(names, i), ".json");
        g_autofree char *text = read_file(path);
        struct status status = {0};

        if (text && parse_status(path, text, &status))
            found(opaque, &status);
    }
}
