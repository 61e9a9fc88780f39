/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's errors: codes, words, and what a client is shown. */
#include <errno.h>
#include <gio/gio.h>

#include "tests/unit/tap.h"
#include "xml/error.h"

static void check_message(virErrorNumber code, const char *detail, const char *want)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *message = NULL;

    if (detail)
        libvirt_error_set(&error, code, "%s", detail);
    else
        libvirt_error_set(&error, code, NULL);
    message = libvirt_error_message(error);
    check_str(message, want);
    check_int(libvirt_error_code(error), code);
}

static void test_messages(void)
{
    check_message(VIR_ERR_NO_DOMAIN, "no domain with matching name 'a'",
                  "Domain not found: no domain with matching name 'a'");
    check_message(VIR_ERR_NO_DOMAIN, NULL, "Domain not found");
    check_message(VIR_ERR_OPERATION_INVALID, "domain is not running",
                  "Requested operation is not valid: domain is not running");
    check_message(VIR_ERR_CONFIG_UNSUPPORTED, "x", "unsupported configuration: x");
    check_message(VIR_ERR_XML_ERROR, "x", "XML error: x");
    check_message(VIR_ERR_XML_DETAIL, "(domain_definition):1: x", "(domain_definition):1: x");
    check_message(VIR_ERR_NO_SUPPORT, "virDomainSave",
                  "this function is not supported by the connection driver: virDomainSave");
    check_message(VIR_ERR_INTERNAL_ERROR, "x", "internal error: x");
    check_message(VIR_ERR_NO_NAME, NULL, "missing name information");
    check_message(VIR_ERR_NO_MEMORY, NULL, "out of memory");
    check_message(VIR_ERR_SYSTEM_ERROR, "x", "x");
    check_message(VIR_ERR_OPERATION_DENIED, "read only access",
                  "operation forbidden: read only access");
}

/* A detail is never a format. */
static void test_percent_signs(void)
{
    check_message(VIR_ERR_NO_DOMAIN, "100%s %n", "Domain not found: 100%s %n");
}

static void test_code_without_words(void)
{
    check_message((virErrorNumber)9999, "x", "internal error: x");
    check_message((virErrorNumber)-1, NULL, "internal error");
}

static void test_formats(void)
{
    for (int code = 0; code < 200; code++) {
        const char *with = libvirt_error_format((virErrorNumber)code, TRUE);
        const char *alone = libvirt_error_format((virErrorNumber)code, FALSE);
        const char *place = strstr(with, "%s");

        if (!check(place && !strchr(place + 1, '%')) || !check(*alone && !strchr(alone, '%')))
            printf("# code %d\n", code);
    }
}

static void test_errno(void)
{
    g_autoptr(GError) error = NULL;

    libvirt_error_set_errno(&error, ENOENT, "cannot open '%s'", "/a");
    check_str(error->message, "cannot open '/a': No such file or directory");
    check_int(libvirt_error_code(error), VIR_ERR_SYSTEM_ERROR);
}

static void test_no_text(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) system = NULL;

    libvirt_error_set(&error, VIR_ERR_NO_STORAGE_POOL, "'%s'", "a\xfc");
    check_str(error->message, "'a\xef\xbf\xbd'");
    libvirt_error_set_errno(&system, ENOENT, "'%s'", "a\xfc");
    check_str(system->message, "'a\xef\xbf\xbd': No such file or directory");
}

static void test_errors_of_others(void)
{
    g_autoptr(GError) error = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_FAILED, "it failed");
    g_autofree char *message = libvirt_error_message(error);

    check_int(libvirt_error_code(error), VIR_ERR_INTERNAL_ERROR);
    check_str(message, "internal error: it failed");
}

static void test_nobody_asks(void)
{
    libvirt_error_set(NULL, VIR_ERR_NO_DOMAIN, "%s", "x");
    libvirt_error_set_errno(NULL, EIO, "%s", "x");
}

int main(void)
{
    return tap_run((struct tap_test[]){TAP(test_messages),
                                       TAP(test_percent_signs),
                                       TAP(test_code_without_words),
                                       TAP(test_formats),
                                       TAP(test_errno),
                                       TAP(test_no_text),
                                       TAP(test_errors_of_others),
                                       TAP(test_nobody_asks),
                                       {}});
}
