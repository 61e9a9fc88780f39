/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/error.h"

/*
 * libvirt's own wording for each code: with a detail, and without one. A client's user has met
 * these texts before, so they are the same. A code that is not listed is not used by this driver;
 * it is formatted as an internal error would be.
 */
static const struct message {
    const char *with_detail;
    const char *alone;
} messages[] = {
    [VIR_ERR_INTERNAL_ERROR] = {"internal error: %s", "internal error"},
    [VIR_ERR_NO_MEMORY] = {"out of memory: %s", "out of memory"},
    [VIR_ERR_NO_SUPPORT] = {"this function is not supported by the connection driver: %s",
                            "this function is not supported by the connection driver"},
    [VIR_ERR_NO_CONNECT] = {"no connection driver available for %s",
                            "no connection driver available"},
    [VIR_ERR_INVALID_CONN] = {"invalid connection pointer in %s", "invalid connection pointer in"},
    [VIR_ERR_INVALID_DOMAIN] = {"invalid domain pointer in %s", "invalid domain pointer in"},
    [VIR_ERR_INVALID_ARG] = {"invalid argument: %s", "invalid argument"},
    [VIR_ERR_OPERATION_FAILED] = {"operation failed: %s", "operation failed"},
    [VIR_ERR_OS_TYPE] = {"unknown OS type %s", "unknown OS type"},
    [VIR_ERR_NO_KERNEL] = {"missing kernel information: %s", "missing kernel information"},
    [VIR_ERR_NO_SOURCE] = {"missing source information for device %s",
                           "missing source information for device"},
    [VIR_ERR_NO_TARGET] = {"missing target information for device %s",
                           "missing target information for device"},
    [VIR_ERR_NO_NAME] = {"missing name information in %s", "missing name information"},
    [VIR_ERR_NO_OS] = {"missing operating system information for %s",
                       "missing operating system information"},
    [VIR_ERR_NO_DEVICE] = {"missing devices information for %s", "missing devices information"},
    [VIR_ERR_CALL_FAILED] = {"library call failed: %s", "library call failed"},
    [VIR_ERR_XML_ERROR] = {"XML error: %s", "XML description is invalid or not well formed"},
    [VIR_ERR_DOM_EXIST] = {"domain %s exists already", "this domain exists already"},
    [VIR_ERR_OPERATION_DENIED] = {"operation forbidden: %s",
                                  "operation forbidden for read only access"},
    [VIR_ERR_OPEN_FAILED] = {"failed to open configuration file %s",
                             "failed to open configuration file"},
    [VIR_ERR_READ_FAILED] = {"failed to read configuration file %s",
                             "failed to read configuration file"},
    [VIR_ERR_PARSE_FAILED] = {"failed to parse configuration file %s",
                              "failed to parse configuration file"},
    [VIR_ERR_CONF_SYNTAX] = {"configuration file syntax error: %s",
                             "configuration file syntax error"},
    [VIR_ERR_WRITE_FAILED] = {"failed to write configuration file: %s",
                              "failed to write configuration file"},
    [VIR_ERR_XML_DETAIL] = {"%s", "parser error"},
    [VIR_ERR_SYSTEM_ERROR] = {"%s", "system call error"},
    [VIR_ERR_RPC] = {"%s", "RPC error"},
    [VIR_ERR_NO_DOMAIN] = {"Domain not found: %s", "Domain not found"},
    [VIR_ERR_NO_NETWORK] = {"Network not found: %s", "Network not found"},
    [VIR_ERR_INVALID_MAC] = {"invalid MAC address: %s", "invalid MAC address"},
    [VIR_ERR_AUTH_FAILED] = {"authentication failed: %s", "authentication failed"},
    [VIR_ERR_NO_STORAGE_POOL] = {"Storage pool not found: %s", "Storage pool not found"},
    [VIR_ERR_NO_STORAGE_VOL] = {"Storage volume not found: %s", "Storage volume not found"},
    [VIR_ERR_STORAGE_VOL_EXIST] = {"storage volume %s exists already",
                                   "this storage volume exists already"},
    [VIR_ERR_NO_NODE_DEVICE] = {"Node device not found: %s", "Node device not found"},
    [VIR_ERR_OPERATION_INVALID] = {"Requested operation is not valid: %s",
                                   "Requested operation is not valid"},
    [VIR_ERR_NO_INTERFACE] = {"Interface not found: %s", "Interface not found"},
    [VIR_ERR_NO_NWFILTER] = {"Network filter not found: %s", "Network filter not found"},
    [VIR_ERR_NO_SECRET] = {"Secret not found: %s", "Secret not found"},
    [VIR_ERR_CONFIG_UNSUPPORTED] = {"unsupported configuration: %s", "unsupported configuration"},
    [VIR_ERR_OPERATION_TIMEOUT] = {"Timed out during operation: %s", "Timed out during operation"},
    [VIR_ERR_NO_DOMAIN_SNAPSHOT] = {"Domain snapshot not found: %s", "Domain snapshot not found"},
    [VIR_ERR_INVALID_STREAM] = {"invalid stream pointer in %s", "invalid stream pointer"},
    [VIR_ERR_ARGUMENT_UNSUPPORTED] = {"argument unsupported: %s", "argument unsupported"},
    [VIR_ERR_OPERATION_ABORTED] = {"operation aborted: %s", "operation aborted"},
    [VIR_ERR_AUTH_CANCELLED] = {"authentication cancelled: %s", "authentication cancelled"},
    [VIR_ERR_NO_DOMAIN_METADATA] = {"metadata not found: %s", "metadata not found"},
    [VIR_ERR_OVERFLOW] = {"numerical overflow: %s", "numerical overflow"},
    [VIR_ERR_OPERATION_UNSUPPORTED] = {"Operation not supported: %s", "Operation not supported"},
    [VIR_ERR_AGENT_UNRESPONSIVE] = {"Guest agent is not responding: %s",
                                    "Guest agent is not responding"},
    [VIR_ERR_RESOURCE_BUSY] = {"resource busy: %s", "resource busy"},
    [VIR_ERR_ACCESS_DENIED] = {"access denied: %s", "access denied"},
    [VIR_ERR_CPU_INCOMPATIBLE] = {"the CPU is incompatible with host CPU: %s",
                                  "the CPU is incompatible with host CPU"},
    [VIR_ERR_XML_INVALID_SCHEMA] = {"XML document failed to validate against schema: %s",
                                    "XML document failed to validate against schema"},
    [VIR_ERR_AUTH_UNAVAILABLE] = {"authentication unavailable: %s", "authentication unavailable"},
    [VIR_ERR_DEVICE_MISSING] = {"device not found: %s", "device not found"},
    [VIR_ERR_NO_DOMAIN_CHECKPOINT] = {"Domain checkpoint not found: %s",
                                      "Domain checkpoint not found"},
    [VIR_ERR_NO_DOMAIN_BACKUP] = {"Domain backup job id not found: %s",
                                  "Domain backup job id not found"},
    [VIR_ERR_MULTIPLE_DOMAINS] = {"multiple matching domains found: %s",
                                  "multiple matching domains found"},
};

G_DEFINE_QUARK(libvirt - error - quark, libvirt_error)

/* Of unknown flags libvirt says nothing but what they are. */
static gboolean is_whole(const GError *error)
{
    return libvirt_error_code(error) == VIR_ERR_INVALID_ARG &&
           g_str_has_prefix(error->message, "unsupported flags (");
}

static const struct message *find_message(virErrorNumber code)
{
    if ((unsigned)code < G_N_ELEMENTS(messages) && messages[code].alone)
        return &messages[code];
    return &messages[VIR_ERR_INTERNAL_ERROR];
}

/* Names in it come from clients, and not all of them read what is no UTF-8. */
static char *make_detail(const char *format, va_list args) G_GNUC_PRINTF(1, 0);
static char *make_detail(const char *format, va_list args)
{
    g_autofree char *detail = g_strdup_vprintf(format, args);

    return g_utf8_validate(detail, -1, NULL) ? g_steal_pointer(&detail)
                                             : g_utf8_make_valid(detail, -1);
}

void libvirt_error_set(GError **error, virErrorNumber code, const char *format, ...)
{
    g_autofree char *detail = NULL;

    if (format) {
        va_list args;

        va_start(args, format);
        detail = make_detail(format, args);
        va_end(args);
    }
    g_set_error_literal(error, LIBVIRT_ERROR, (int)code, detail ? detail : "");
}

void libvirt_error_set_errno(GError **error, int errnum, const char *format, ...)
{
    g_autofree char *detail = NULL;
    va_list args;

    va_start(args, format);
    detail = make_detail(format, args);
    va_end(args);
    g_set_error(error, LIBVIRT_ERROR, VIR_ERR_SYSTEM_ERROR, "%s: %s", detail, g_strerror(errnum));
}

virErrorNumber libvirt_error_code(const GError *error)
{
    return error->domain == LIBVIRT_ERROR ? (virErrorNumber)error->code : VIR_ERR_INTERNAL_ERROR;
}

const char *libvirt_error_format(virErrorNumber code, gboolean with_detail)
{
    const struct message *message = find_message(code);

    return with_detail ? message->with_detail : message->alone;
}

char *libvirt_error_message(const GError *error)
{
    gboolean has_detail = error->message && *error->message;
    const char *format = libvirt_error_format(libvirt_error_code(error), has_detail);
    const char *place = strstr(format, "%s");

    /* Not by printf: the format is the table's, but a checked one cannot be looked up at run time.
     */
    if (is_whole(error))
        return g_strdup(error->message);
    if (!place)
        return g_strdup(format);
    return g_strdup_printf("%.*s%s%s", (int)(place - format), format, error->message, place + 2);
}
