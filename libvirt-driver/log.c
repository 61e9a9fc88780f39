/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <unistd.h>

#include "libvirt-driver/util.h"
#include "xml/error.h"

#define SOURCE_ROOT "libvirt-driver/"

enum level { LEVEL_DEBUG = 1, LEVEL_INFO, LEVEL_WARNING, LEVEL_ERROR };

enum destination { TO_FD, TO_JOURNAL, TO_SYSLOG };

struct output {
    enum level level;
    enum destination to;
    int fd;
    bool own_fd;
};

struct filter {
    enum level level;
    char *word;
};

struct log {
    enum level level;
    GArray *outputs;
    GArray *filters;
    char *syslog_name;
};

static enum level level_of(GLogLevelFlags flags)
{
    if (flags & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL))
        return LEVEL_ERROR;
    if (flags & G_LOG_LEVEL_WARNING)
        return LEVEL_WARNING;
    return flags & (G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO) ? LEVEL_INFO : LEVEL_DEBUG;
}

static const char *find_field(const GLogField *fields, gsize count, const char *key)
{
    for (gsize i = 0; i < count; i++) {
        if (strcmp(fields[i].key, key) == 0 && fields[i].length < 0)
            return fields[i].value;
    }
    return NULL;
}

/* "../libvirt-driver/rpc/dispatch.c" -> "rpc.dispatch". */
static void source_name(const char *file, char *name, gsize size)
{
    const char *own = file ? strstr(file, SOURCE_ROOT) : NULL;

    g_strlcpy(name, own ? own + strlen(SOURCE_ROOT) : "virtvoled", size);
    for (char *at = name; *at; at++) {
        if (*at == '/')
            *at = '.';
    }
    if (g_str_has_suffix(name, ".c"))
        name[strlen(name) - 2] = '\0';
}

static bool is_wanted(const struct log *log, enum level level, const char *source)
{
    for (guint i = 0; i < log->filters->len; i++) {
        const struct filter *filter = &g_array_index(log->filters, struct filter, i);

        if (strstr(source, filter->word))
            return level >= filter->level;
    }
    return level >= log->level;
}

/* As libvirt's daemons write it: time, thread, level, source, text. */
static void write_line(int fd, enum level level, const char *source, const char *text)
{
    static const char *const names[] = {
        [LEVEL_DEBUG] = "debug",
        [LEVEL_INFO] = "info",
        [LEVEL_WARNING] = "warning",
        [LEVEL_ERROR] = "error",
    };
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *time = g_date_time_format(now, "%F %T");
    g_autofree char *line = g_strdup_printf("%s.%03d+0000: %ld: %s : %s : %s\n", time,
                                            g_date_time_get_microsecond(now) / 1000,
                                            syscall(SYS_gettid), names[level], source, text);

    /* One write, so that lines of several threads do not mix; one that fails cannot be told. */
    if (write(fd, line, strlen(line)) < 0)
        return;
}

static void put(const struct output *output, GLogLevelFlags flags, enum level level,
                const char *source, const char *text, const GLogField *fields, gsize count)
{
    static const int priorities[] = {
        [LEVEL_DEBUG] = LOG_DEBUG,
        [LEVEL_INFO] = LOG_INFO,
        [LEVEL_WARNING] = LOG_WARNING,
        [LEVEL_ERROR] = LOG_ERR,
    };

    switch (output->to) {
    case TO_FD:
        write_line(output->fd, level, source, text);
        break;
    case TO_JOURNAL:
        g_log_writer_journald(flags, fields, count, NULL);
        break;
    case TO_SYSLOG:
        syslog(LOG_DAEMON | priorities[level], "%s: %s", source, text);
        break;
    }
}

static GLogWriterOutput writer(GLogLevelFlags flags, const GLogField *fields, gsize count,
                               gpointer data)
{
    const struct log *log = data;
    const char *text = find_field(fields, count, "MESSAGE");
    enum level level = level_of(flags);
    char source[64];

    source_name(find_field(fields, count, "CODE_FILE"), source, sizeof(source));
    if (!is_wanted(log, level, source))
        return G_LOG_WRITER_HANDLED;
    for (guint i = 0; i < log->outputs->len; i++) {
        const struct output *output = &g_array_index(log->outputs, struct output, i);

        if (level >= output->level)
            put(output, flags, level, source, text ? text : "", fields, count);
    }
    return G_LOG_WRITER_HANDLED;
}

/* ---- settings ---- */

static bool refuse(const char *setting, const char *word, GError **error)
{
    libvirt_error_set(error, VIR_ERR_CONF_SYNTAX, "%s: '%s' is not understood", setting, word);
    return false;
}

/* "3:rest": the level; NULL when there is none. */
static const char *parse_level(const char *word, enum level *level)
{
    if (word[0] < '1' || word[0] > '4' || word[1] != ':' || !word[2])
        return NULL;
    *level = (enum level)(word[0] - '0');
    return word + 2;
}

static bool add_file(struct log *log, enum level level, const char *path, GError **error)
{
    struct output output = {.level = level, .to = TO_FD, .own_fd = true};

    output.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (output.fd < 0) {
        libvirt_error_set_errno(error, errno, "cannot open '%s'", path);
        return false;
    }
    g_array_append_val(log->outputs, output);
    return true;
}

static bool add_output(struct log *log, const char *word, GError **error)
{
    struct output output = {.to = TO_FD, .fd = STDERR_FILENO};
    const char *rest = parse_level(word, &output.level);

    if (!rest)
        return refuse("log_outputs", word, error);
    if (g_str_has_prefix(rest, "file:/"))
        return add_file(log, output.level, rest + strlen("file:"), error);
    if (strcmp(rest, "journald") == 0) {
        output.to = TO_JOURNAL;
    } else if (g_str_has_prefix(rest, "syslog:") && rest[strlen("syslog:")] && !log->syslog_name) {
        output.to = TO_SYSLOG;
        log->syslog_name = g_strdup(rest + strlen("syslog:"));
        openlog(log->syslog_name, LOG_PID, LOG_DAEMON);
    } else if (strcmp(rest, "stderr") != 0) {
        return refuse("log_outputs", word, error);
    }
    g_array_append_val(log->outputs, output);
    return true;
}

static bool add_filter(struct log *log, const char *word, GError **error)
{
    struct filter filter;
    const char *rest = parse_level(word, &filter.level);

    if (!rest)
        return refuse("log_filters", word, error);
    filter.word = g_strdup(rest);
    g_array_append_val(log->filters, filter);
    return true;
}

static bool add_words(struct log *log, const char *text,
                      bool (*add)(struct log *log, const char *word, GError **error),
                      GError **error)
{
    g_auto(GStrv) words = g_strsplit_set(text ? text : "", " \t", -1);

    for (guint i = 0; words[i]; i++) {
        if (*words[i] && !add(log, words[i], error))
            return false;
    }
    return true;
}

static bool stderr_is_null(void)
{
    struct stat st;

    return fstat(STDERR_FILENO, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* A session's daemon that its client has started writes to nobody. */
static bool add_default(struct log *log, const struct paths *paths, GError **error)
{
    struct output output = {.level = LEVEL_DEBUG, .to = TO_FD, .fd = STDERR_FILENO};

    if (stderr_is_null())
        return add_file(log, LEVEL_DEBUG, paths->daemon_log, error);
    if (g_log_writer_is_journald(STDERR_FILENO))
        output.to = TO_JOURNAL;
    g_array_append_val(log->outputs, output);
    return true;
}

static void clear_filter(gpointer data)
{
    g_free(((struct filter *)data)->word);
}

static void clear_output(gpointer data)
{
    const struct output *output = data;

    if (output->own_fd)
        close(output->fd);
}

void log_free(struct log *log)
{
    g_array_unref(log->outputs);
    g_array_unref(log->filters);
    g_free(log->syslog_name);
    g_free(log);
}

struct log *log_new(const struct settings *settings, const struct paths *paths, GError **error)
{
    struct log *log = g_new0(struct log, 1);

    log->level = (enum level)settings->log_level;
    log->outputs = g_array_new(FALSE, TRUE, sizeof(struct output));
    g_array_set_clear_func(log->outputs, clear_output);
    log->filters = g_array_new(FALSE, TRUE, sizeof(struct filter));
    g_array_set_clear_func(log->filters, clear_filter);
    if (add_words(log, settings->log_filters, add_filter, error) &&
        (settings->log_outputs ? add_words(log, settings->log_outputs, add_output, error)
                               : add_default(log, paths, error)))
        return log;
    log_free(log);
    return NULL;
}

void log_take_over(struct log *log)
{
    g_log_set_writer_func(writer, log, NULL);
}
