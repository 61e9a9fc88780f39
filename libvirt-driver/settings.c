/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/settings.h"

#include <string.h>

#include "xml/error.h"

enum kind { KIND_STRING, KIND_NUMBER, KIND_MODE, KIND_AUTH };

static const struct key {
    const char *name;
    enum settings_file file;
    enum kind kind;
    gsize offset;
    guint min;
    guint max;
} keys[] = {
#define KEY(file, kind, field, min, max)                                                        \
    {                                                                                           \
#field, SETTINGS_##file, KIND_##kind, G_STRUCT_OFFSET(struct settings, field), min, max \
    }
    KEY(DAEMON, STRING, unix_sock_group, 0, 0),
    KEY(DAEMON, MODE, unix_sock_ro_perms, 0, 0777),
    KEY(DAEMON, MODE, unix_sock_rw_perms, 0, 0777),
    KEY(DAEMON, AUTH, auth_unix_ro, 0, 0),
    KEY(DAEMON, AUTH, auth_unix_rw, 0, 0),
    KEY(DAEMON, NUMBER, max_clients, 1, 100000),
    KEY(DAEMON, NUMBER, max_anonymous_clients, 1, 100000),
    KEY(DAEMON, NUMBER, max_client_requests, 1, 1000),
    KEY(DAEMON, NUMBER, max_workers, 1, 1000),
    KEY(DAEMON, NUMBER, prio_workers, 1, 1000),
    KEY(DAEMON, NUMBER, keepalive_interval, 0, 86400),
    KEY(DAEMON, NUMBER, keepalive_count, 1, 1000),
    KEY(DAEMON, NUMBER, host_daemon_timeout, 1, 3600),
    KEY(DAEMON, NUMBER, log_level, 1, 4),
    KEY(DAEMON, STRING, log_outputs, 0, 0),
    KEY(DAEMON, STRING, log_filters, 0, 0),
    KEY(DOMAINS, STRING, emulator, 0, 0),
    KEY(DOMAINS, STRING, user, 0, 0),
    KEY(DOMAINS, STRING, group, 0, 0),
    KEY(DOMAINS, STRING, cgroup, 0, 0),
    KEY(DOMAINS, NUMBER, max_log_size, 0, 1u << 30),
    KEY(DOMAINS, NUMBER, max_log_files, 0, 1000),
    KEY(DOMAINS, NUMBER, start_timeout, 1, 3600),
    KEY(DOMAINS, NUMBER, command_timeout, 1, 3600),
    KEY(DOMAINS, STRING, network_uri, 0, 0),
    KEY(DOMAINS, STRING, storage_uri, 0, 0),
    KEY(DOMAINS, NUMBER, libvirt_timeout, 1, 3600),
    KEY(DOMAINS, NUMBER, stop_timeout, 1, 3600),
#undef KEY
};

void settings_init(struct settings *settings)
{
    *settings = (struct settings){
        .unix_sock_ro_perms = 0777,
        .unix_sock_rw_perms = 0770,
        .max_clients = 5000,
        .max_anonymous_clients = 20,
        .max_client_requests = 5,
        .max_workers = 20,
        .prio_workers = 5,
        .keepalive_interval = 5,
        .keepalive_count = 5,
        .host_daemon_timeout = 10,
        .log_level = 3,
        .cgroup = g_strdup("/machine"),
        .max_log_size = 2 * 1024 * 1024,
        .max_log_files = 3,
        .start_timeout = 30,
        .command_timeout = 30,
        .libvirt_timeout = 10,
        .stop_timeout = 10,
    };
}

void settings_clear(struct settings *settings)
{
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (keys[i].kind == KIND_STRING)
            g_clear_pointer((char **)(void *)((char *)settings + keys[i].offset), g_free);
    }
}

static const struct key *find_key(enum settings_file file, const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (keys[i].file == file && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

/* Takes the quotes off; NULL when there are none, or something that is no comment follows. */
static char *unquote(const char *value)
{
    const char *end = *value == '"' || *value == '\'' ? strchr(value + 1, *value) : NULL;
    const char *rest = end ? end + 1 : NULL;

    if (!rest)
        return NULL;
    while (g_ascii_isspace(*rest))
        rest++;
    return !*rest || *rest == '#' ? g_strndup(value + 1, (gsize)(end - value - 1)) : NULL;
}

static bool read_number(const char *value, const struct key *key, guint64 *number)
{
    g_autofree char *text = g_strndup(value, strcspn(value, "#"));

    return g_ascii_string_to_unsigned(g_strchomp(text), 10, key->min, key->max, number, NULL);
}

static bool set_value(struct settings *settings, const struct key *key, const char *value)
{
    void *field = (char *)settings + key->offset;
    g_autofree char *string = unquote(value);
    guint64 number = 0;

    switch (key->kind) {
    case KIND_STRING:
        if (!string)
            return false;
        g_free(*(char **)field);
        *(char **)field = *string ? g_steal_pointer(&string) : NULL;
        return true;
    case KIND_NUMBER:
        if (!read_number(value, key, &number))
            return false;
        break;
    case KIND_MODE:
        if (!string || !g_ascii_string_to_unsigned(string, 8, key->min, key->max, &number, NULL))
            return false;
        break;
    case KIND_AUTH:
        if (g_strcmp0(string, "polkit") == 0)
            number = AUTH_POLKIT;
        else if (g_strcmp0(string, "none") == 0)
            number = AUTH_NONE;
        else
            return false;
        break;
    }
    *(guint *)field = (guint)number;
    return true;
}

static void refuse_value(const struct key *key, const char *path, guint number, GError **error)
{
    static const char *const wanted[] = {
        [KIND_STRING] = "a string in quotes",
        [KIND_MODE] = "a file mode in quotes",
        [KIND_AUTH] = "\"none\" or \"polkit\"",
    };

    if (key->kind == KIND_NUMBER)
        libvirt_error_set(error, VIR_ERR_CONF_SYNTAX, "%s:%u: '%s' must be a number from %u to %u",
                          path, number, key->name, key->min, key->max);
    else
        libvirt_error_set(error, VIR_ERR_CONF_SYNTAX, "%s:%u: '%s' must be %s", path, number,
                          key->name, wanted[key->kind]);
}

static bool parse_line(struct settings *settings, enum settings_file file, char *line,
                       const char *path, guint number, GError **error)
{
    char *equals;
    const struct key *key;

    g_strstrip(line);
    if (!*line || *line == '#')
        return true;
    equals = strchr(line, '=');
    if (!equals) {
        libvirt_error_set(error, VIR_ERR_CONF_SYNTAX, "%s:%u: expecting 'name = value'", path,
                          number);
        return false;
    }
    *equals = '\0';
    key = find_key(file, g_strstrip(line));
    if (!key) {
        libvirt_error_set(error, VIR_ERR_CONF_SYNTAX, "%s:%u: unknown setting '%s'", path, number,
                          line);
        return false;
    }
    if (set_value(settings, key, g_strstrip(equals + 1)))
        return true;
    refuse_value(key, path, number, error);
    return false;
}

bool settings_parse(struct settings *settings, enum settings_file file, const char *text,
                    const char *path, GError **error)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i]; i++) {
        if (!parse_line(settings, file, lines[i], path, i + 1, error))
            return false;
    }
    return true;
}

bool settings_load(struct settings *settings, enum settings_file file, const char *path,
                   GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) failed = NULL;

    if (!g_file_get_contents(path, &text, NULL, &failed)) {
        if (g_error_matches(failed, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            return true;
        libvirt_error_set(error, VIR_ERR_OPEN_FAILED, "%s", failed->message);
        return false;
    }
    return settings_parse(settings, file, text, path, error);
}
