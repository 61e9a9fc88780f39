/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/settings.h"

#include <string.h>

#include "xml/error.h"

enum kind { KIND_STRING, KIND_NUMBER, KIND_MODE };

static const struct key {
    const char *name;
    enum kind kind;
    gsize offset;
    guint min;
    guint max;
} keys[] = {
#define NUMBER(field, min, max)                                                \
    {                                                                          \
#field, KIND_NUMBER, G_STRUCT_OFFSET(struct settings, field), min, max \
    }
#define MODE(field)                                                         \
    {                                                                       \
#field, KIND_MODE, G_STRUCT_OFFSET(struct settings, field), 0, 0777 \
    }
    {"unix_sock_group", KIND_STRING, G_STRUCT_OFFSET(struct settings, unix_sock_group), 0, 0},
    MODE(unix_sock_ro_perms),
    MODE(unix_sock_rw_perms),
    NUMBER(max_clients, 1, 100000),
    NUMBER(max_client_requests, 1, 1000),
    NUMBER(max_workers, 1, 1000),
    NUMBER(prio_workers, 1, 1000),
    NUMBER(keepalive_interval, 0, 86400),
    NUMBER(keepalive_count, 1, 1000),
    NUMBER(start_timeout, 1, 3600),
    NUMBER(stop_timeout, 1, 3600),
#undef NUMBER
#undef MODE
};

void settings_init(struct settings *settings)
{
    *settings = (struct settings){
        .unix_sock_ro_perms = 0777,
        .unix_sock_rw_perms = 0770,
        .max_clients = 5000,
        .max_client_requests = 5,
        .max_workers = 20,
        .prio_workers = 5,
        .keepalive_interval = 5,
        .keepalive_count = 5,
        .start_timeout = 30,
        .stop_timeout = 10,
    };
}

void settings_clear(struct settings *settings)
{
    g_clear_pointer(&settings->unix_sock_group, g_free);
}

static const struct key *find_key(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

/* Takes the quotes off; NULL when there are none or something follows them. */
static char *unquote(const char *value)
{
    gsize len = strlen(value);

    if (len < 2 || (value[0] != '"' && value[0] != '\'') || value[len - 1] != value[0] ||
        memchr(value + 1, value[0], len - 2))
        return NULL;
    return g_strndup(value + 1, len - 2);
}

static bool set_value(struct settings *settings, const struct key *key, const char *value)
{
    void *field = (char *)settings + key->offset;
    g_autofree char *string = unquote(value);
    guint64 number;

    switch (key->kind) {
    case KIND_STRING:
        if (!string)
            return false;
        g_free(*(char **)field);
        *(char **)field = *string ? g_steal_pointer(&string) : NULL;
        return true;
    case KIND_NUMBER:
        if (!g_ascii_string_to_unsigned(value, 10, key->min, key->max, &number, NULL))
            return false;
        break;
    case KIND_MODE:
        if (!string || !g_ascii_string_to_unsigned(string, 8, key->min, key->max, &number, NULL))
            return false;
        break;
    default:
        return false;
    }
    *(guint *)field = (guint)number;
    return true;
}

static bool parse_line(struct settings *settings, char *line, const char *path, guint number,
                       GError **error)
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
    key = find_key(g_strstrip(line));
    if (!key) {
        libvirt_error_set(error, VIR_ERR_CONF_SYNTAX, "%s:%u: unknown setting '%s'", path, number,
                          line);
        return false;
    }
    if (!set_value(settings, key, g_strstrip(equals + 1))) {
        static const char *const wanted[] = {
            [KIND_STRING] = "a string in quotes",
            [KIND_NUMBER] = "a number",
            [KIND_MODE] = "a file mode in quotes",
        };

        libvirt_error_set(error, VIR_ERR_CONF_SYNTAX, "%s:%u: '%s' must be %s%s", path, number,
                          key->name, wanted[key->kind],
                          key->kind == KIND_NUMBER ? " in its range" : "");
        return false;
    }
    return true;
}

bool settings_parse(struct settings *settings, const char *text, const char *path, GError **error)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i]; i++) {
        if (!parse_line(settings, lines[i], path, i + 1, error))
            return false;
    }
    return true;
}

bool settings_load(struct settings *settings, const char *path, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) failed = NULL;

    if (!g_file_get_contents(path, &text, NULL, &failed)) {
        if (g_error_matches(failed, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            return true;
        libvirt_error_set(error, VIR_ERR_OPEN_FAILED, "%s", failed->message);
        return false;
    }
    return settings_parse(settings, text, path, error);
}
