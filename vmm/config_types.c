/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The types of single values in the machine description: from JSON, to JSON and from a flag's text.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "vmm/config_priv.h"

static int wrong_type(const char *where, const char *wanted, struct error *err)
{
    return error_set(err, "%s is not %s", where, wanted);
}

/* A JSON string that says what the flag's text says. */
static int read_as_text(void *base, const struct field *f, const json_t *value, const char *where,
                        struct error *err)
{
    if (!json_is_string(value))
        return wrong_type(where, "a string", err);
    if (f->type->parse(base, f, json_string_value(value), err) < 0)
        return error_prefix(err, "%s", where);
    return 0;
}

/* ---- strings ---- */

static int read_string(void *base, const struct field *f, const json_t *value, const char *where,
                       struct error *err)
{
    char **text = config_member(base, f->offset);

    if (!json_is_string(value))
        return wrong_type(where, "a string", err);
    free(*text);
    *text = xstrdup(json_string_value(value));
    return 0;
}

static json_t *write_string(const void *base, const struct field *f)
{
    char *const *text = config_const_member(base, f->offset);

    return *text ? json_string(*text) : NULL;
}

int config_parse_text(char **out, const char *text, struct error *err)
{
    if (text[0] == '\0')
        return error_set(err, "the value is empty");
    free(*out);
    *out = xstrdup(text);
    return 0;
}

static int parse_string(void *base, const struct field *f, const char *text, struct error *err)
{
    return config_parse_text(config_member(base, f->offset), text, err);
}

const struct field_type config_type_string = {read_string, write_string, parse_string};

int config_parse_uuid(const char *text, char **uuid, struct error *err)
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    char canonical[sizeof(shape)];
    size_t i;

    for (i = 0; shape[i]; i++) {
        bool fits = shape[i] == 'x' ? isxdigit((unsigned char)text[i]) : text[i] == shape[i];

        if (!fits)
            break; /* also at the end of a text that is too short */
        canonical[i] = (char)tolower((unsigned char)text[i]);
    }
    if (shape[i] || text[i])
        return error_set(err, "\"%s\" is no UUID like 6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11", text);
    canonical[i] = '\0';
    free(*uuid);
    *uuid = xstrdup(canonical);
    return 0;
}

static int parse_uuid(void *base, const struct field *f, const char *text, struct error *err)
{
    return config_parse_uuid(text, config_member(base, f->offset), err);
}

const struct field_type config_type_uuid = {read_as_text, write_string, parse_uuid};

static int parse_mac(void *base, const struct field *f, const char *text, struct error *err)
{
    struct config_net *net = base;
    uint8_t bytes[6];
    int n = -1;

    if (strlen(text) != 17 ||
        sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &bytes[0], &bytes[1], &bytes[2],
               &bytes[3], &bytes[4], &bytes[5], &n) != 6 ||
        n != 17 || text[strspn(text, "0123456789abcdefABCDEF:")] != '\0')
        return error_set(err, "\"%s\" is no MAC address like 52:54:00:12:34:56", text);
    if (bytes[0] & 1)
        return error_set(err, "%s is a multicast address, a network device needs a unicast one",
                         text);
    if (memcmp(bytes, (const uint8_t[6]){0}, 6) == 0)
        return error_set(err, "%s cannot be a network device's address", text);
    memcpy(net->mac, bytes, 6);
    net->has_mac = true;
    return 0;
}

static json_t *write_mac(const void *base, const struct field *f)
{
    char text[MAC_TEXT_SIZE];

    return json_string(format_mac(((const struct config_net *)base)->mac, text));
}

const struct field_type config_type_mac = {read_as_text, write_mac, parse_mac};

/* ---- choices ---- */

static int read_flag(const json_t *value, const char *where, bool *out, struct error *err)
{
    if (!json_is_boolean(value))
        return wrong_type(where, "true or false", err);
    *out = json_is_true(value);
    return 0;
}

static int parse_flag(const char *text, bool *out, struct error *err)
{
    if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
        return error_set(err, "\"%s\" is neither on nor off", text);
    *out = strcmp(text, "on") == 0;
    return 0;
}

static int read_bool(void *base, const struct field *f, const json_t *value, const char *where,
                     struct error *err)
{
    return read_flag(value, where, config_member(base, f->offset), err);
}

static json_t *write_bool(const void *base, const struct field *f)
{
    return json_boolean(*(const bool *)config_const_member(base, f->offset));
}

static int parse_bool(void *base, const struct field *f, const char *text, struct error *err)
{
    return parse_flag(text, config_member(base, f->offset), err);
}

const struct field_type config_type_bool = {read_bool, write_bool, parse_bool};

static int read_not(void *base, const struct field *f, const json_t *value, const char *where,
                    struct error *err)
{
    bool flag = false;

    if (read_flag(value, where, &flag, err) < 0)
        return -1;
    *(bool *)config_member(base, f->offset) = !flag;
    return 0;
}

static json_t *write_not(const void *base, const struct field *f)
{
    return json_boolean(!*(const bool *)config_const_member(base, f->offset));
}

static int parse_not(void *base, const struct field *f, const char *text, struct error *err)
{
    bool flag = false;

    if (parse_flag(text, &flag, err) < 0)
        return -1;
    *(bool *)config_member(base, f->offset) = !flag;
    return 0;
}

const struct field_type config_type_not = {read_not, write_not, parse_not};

static int none_of(const char *text, const char *const *names, struct error *err)
{
    char list[128] = "";
    size_t len = 0;

    if (!names[2])
        return error_set(err, "\"%s\" is neither %s nor %s", text, names[0], names[1]);
    for (size_t i = 0; names[i] && len < sizeof(list); i++)
        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "", names[i]);
    return error_set(err, "\"%s\" is none of %s", text, list);
}

/* The enums of config.h have no negative values: the compilers store them as unsigned. */
static_assert(sizeof(enum on_panic) == sizeof(unsigned), "an enum's width");

static int parse_enum(void *base, const struct field *f, const char *text, struct error *err)
{
    for (unsigned i = 0; f->names[i]; i++) {
        if (strcmp(f->names[i], text) == 0) {
            *(unsigned *)config_member(base, f->offset) = i;
            return 0;
        }
    }
    return none_of(text, f->names, err);
}

static json_t *write_enum(const void *base, const struct field *f)
{
    return json_string(f->names[*(const unsigned *)config_const_member(base, f->offset)]);
}

const struct field_type config_type_enum = {read_as_text, write_enum, parse_enum};

/* One word for two members: whether there is a clock at all, and what it shows. */
static int parse_rtc_base(void *base, const struct field *f, const char *text, struct error *err)
{
    static const char *const names[] = {"utc", "localtime", "off", NULL};
    struct config_rtc *rtc = base;
    unsigned choice = 0;
    const struct field choose = {.names = names};

    if (parse_enum(&choice, &choose, text, err) < 0)
        return -1;
    rtc->localtime = choice == 1;
    rtc->absent = choice == 2;
    return 0;
}

static json_t *write_rtc_base(const void *base, const struct field *f)
{
    const struct config_rtc *rtc = base;

    if (rtc->absent)
        return json_string("off");
    return json_string(rtc->localtime ? "localtime" : "utc");
}

const struct field_type config_type_rtc_base = {read_as_text, write_rtc_base, parse_rtc_base};

/* ---- numbers ---- */

static int read_integer(const struct field *f, const json_t *value, const char *where, int64_t *n,
                        struct error *err)
{
    if (!json_is_integer(value))
        return wrong_type(where, "an integer", err);
    *n = json_integer_value(value);
    if (*n < f->min || *n > f->max)
        return error_set(err, "%s is %" PRId64 ", which is not within %" PRId64 " and %" PRId64,
                         where, *n, f->min, f->max);
    return 0;
}

/* For fields that cannot be negative. */
static int parse_integer(const struct field *f, const char *text, uint64_t *n, struct error *err)
{
    if (parse_number(text, (uint64_t)f->max, n) < 0 || (int64_t)*n < f->min)
        return error_set(err, "\"%s\" is no number from %" PRId64 " to %" PRId64, text, f->min,
                         f->max);
    return 0;
}

static int read_unsigned(void *base, const struct field *f, const json_t *value, const char *where,
                         struct error *err)
{
    int64_t n = 0;

    if (read_integer(f, value, where, &n, err) < 0)
        return -1;
    *(unsigned *)config_member(base, f->offset) = (unsigned)n;
    return 0;
}

static json_t *write_unsigned(const void *base, const struct field *f)
{
    unsigned n = *(const unsigned *)config_const_member(base, f->offset);

    return n ? json_integer(n) : NULL;
}

static int parse_unsigned(void *base, const struct field *f, const char *text, struct error *err)
{
    uint64_t n = 0;

    if (parse_integer(f, text, &n, err) < 0)
        return -1;
    *(unsigned *)config_member(base, f->offset) = (unsigned)n;
    return 0;
}

const struct field_type config_type_unsigned = {read_unsigned, write_unsigned, parse_unsigned};

static int read_count(void *base, const struct field *f, const json_t *value, const char *where,
                      struct error *err)
{
    int64_t n = 0;

    if (read_integer(f, value, where, &n, err) < 0)
        return -1;
    *(uint64_t *)config_member(base, f->offset) = (uint64_t)n;
    return 0;
}

static json_t *write_count(const void *base, const struct field *f)
{
    uint64_t n = *(const uint64_t *)config_const_member(base, f->offset);

    return n ? json_integer((json_int_t)n) : NULL;
}

static int parse_count(void *base, const struct field *f, const char *text, struct error *err)
{
    return parse_integer(f, text, config_member(base, f->offset), err);
}

const struct field_type config_type_count = {read_count, write_count, parse_count};

static int read_size(void *base, const struct field *f, const json_t *value, const char *where,
                     struct error *err)
{
    if (json_is_integer(value))
        return read_count(base, f, value, where, err);
    if (!json_is_string(value))
        return wrong_type(where, "an integer or a string like \"256M\"", err);
    if (parse_size(json_string_value(value), config_member(base, f->offset)) < 0)
        return error_set(err, "%s is \"%s\", which is no size like 256M", where,
                         json_string_value(value));
    return 0;
}

static int parse_size_text(void *base, const struct field *f, const char *text, struct error *err)
{
    if (parse_size(text, config_member(base, f->offset)) < 0)
        return error_set(err, "\"%s\" is no size like 256M", text);
    return 0;
}

const struct field_type config_type_size = {read_size, write_count, parse_size_text};

/* Signed, and 0 is a value like any other. */
static int read_seconds(void *base, const struct field *f, const json_t *value, const char *where,
                        struct error *err)
{
    return read_integer(f, value, where, config_member(base, f->offset), err);
}

static json_t *write_seconds(const void *base, const struct field *f)
{
    return json_integer(*(const int64_t *)config_const_member(base, f->offset));
}

static int parse_seconds(void *base, const struct field *f, const char *text, struct error *err)
{
    bool is_negative = text[0] == '-';
    uint64_t n = 0;
    uint64_t max = is_negative ? (uint64_t)-f->min : (uint64_t)f->max;

    if (parse_number(text + is_negative, max, &n) < 0)
        return error_set(err, "\"%s\" is no number of seconds from %" PRId64 " to %" PRId64, text,
                         f->min, f->max);
    *(int64_t *)config_member(base, f->offset) = is_negative ? -(int64_t)n : (int64_t)n;
    return 0;
}

const struct field_type config_type_seconds = {read_seconds, write_seconds, parse_seconds};

/* An int whose -1 means that it was not given. */
static int read_debug_port(void *base, const struct field *f, const json_t *value,
                           const char *where, struct error *err)
{
    int64_t n = 0;

    if (read_integer(f, value, where, &n, err) < 0)
        return -1;
    *(int *)config_member(base, f->offset) = (int)n;
    return 0;
}

static json_t *write_debug_port(const void *base, const struct field *f)
{
    int port = *(const int *)config_const_member(base, f->offset);

    return port < 0 ? NULL : json_integer(port);
}

int config_parse_port_number(const char *text, int *port, struct error *err)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(text, &end, 0);
    if (text[0] < '0' || text[0] > '9' || *end || errno || n > UINT16_MAX)
        return error_set(err, "\"%s\" is no port number like 0xf1", text);
    *port = (int)n;
    return 0;
}

const struct field_type config_type_debug_port = {read_debug_port, write_debug_port, NULL};

/* No member stands behind it: there is one version. */
static int read_version(void *base, const struct field *f, const json_t *value, const char *where,
                        struct error *err)
{
    int64_t n = 0;

    return read_integer(f, value, where, &n, err);
}

static json_t *write_version(const void *base, const struct field *f)
{
    return json_integer(f->max);
}

const struct field_type config_type_version = {read_version, write_version, NULL};
