/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading and writing XML: limits, tables, values, and what is escaped. */
#include <glib.h>
#include <libxml/parser.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/tap.h"
#include "xml/reader.h"
#include "xml/writer.h"

static xmlDoc *parse(const char *text, char **message)
{
    g_autoptr(GError) error = NULL;
    xmlDoc *doc = xml_document_parse(text, strlen(text), "(test)", &error);

    check(!doc == (error != NULL));
    *message = error ? libvirt_error_message(error) : NULL;
    return doc;
}

static void check_parse(const char *text, const char *want)
{
    g_autofree char *message = NULL;
    xmlDoc *doc = parse(text, &message);

    check_str(message, want);
    xmlFreeDoc(doc);
}

static void append_times(GString *out, const char *text, unsigned times)
{
    while (times--)
        g_string_append(out, text);
}

static char *nested(unsigned depth)
{
    GString *out = g_string_new(NULL);

    append_times(out, "<a>", depth);
    append_times(out, "</a>", depth);
    return g_string_free(out, FALSE);
}

static void test_depth(void)
{
    g_autofree char *most = nested(XML_MAX_DEPTH);
    g_autofree char *more = nested(XML_MAX_DEPTH + 1);
    g_autofree char *open = nested(100000);

    check_parse(most, NULL);
    check_parse(more, "XML error: (test):1: elements are nested too deeply");
    open[300000] = '\0'; /* nothing is ever closed */
    check_parse(open, "XML error: (test):1: elements are nested too deeply");
}

/* <r>, and in it `times` times the text. */
static void check_many(const char *text, unsigned times, const char *want)
{
    GString *out = g_string_new("<r>\n");

    append_times(out, text, times);
    g_string_append(out, "</r>");
    check_parse(out->str, want);
    g_string_free(out, TRUE);
}

static void test_nodes(void)
{
    static const char too_many[] =
        "XML error: (test):2: there are too many elements and attributes";

    check_many("<a/>", XML_MAX_NODES - 1, NULL);
    check_many("<a/>", XML_MAX_NODES, too_many);
    check_many("<a b='1'/>", XML_MAX_NODES / 2 + 1, too_many);
    check_many("<a xmlns:b='c'/>", XML_MAX_NODES / 2 + 1, too_many);
    check_many("<!---->", XML_MAX_NODES, too_many);
    check_many("<?a?>", XML_MAX_NODES, too_many);
    check_many("<![CDATA[x]]>y", XML_MAX_NODES, too_many);
}

static char *with_attributes(unsigned count)
{
    GString *out = g_string_new("<r");

    for (unsigned i = 0; i < count; i++)
        g_string_append_printf(out, " a%u=''", i);
    g_string_append(out, "/>");
    return g_string_free(out, FALSE);
}

/* They are counted before the parser compares each with each. */
static void test_attributes_of_one_element(void)
{
    g_autofree char *most = with_attributes(XML_MAX_NODES - 1);
    g_autofree char *more = with_attributes(XML_MAX_NODES);
    g_autofree char *far_more = with_attributes(300000);

    check_parse(most, NULL);
    check_parse(more, "XML error: (test):1: there are too many elements and attributes");
    check_parse(far_more, "XML error: (test): there are too many elements and attributes");
}

static void test_size(void)
{
    GString *out = g_string_new("<r>");

    while (out->len < XML_MAX_BYTES - 4)
        g_string_append_c(out, ' ');
    g_string_append(out, "</r>");
    check_int(out->len, XML_MAX_BYTES);
    check_parse(out->str, NULL);
    g_string_append_c(out, '\n');
    check_parse(out->str, "XML error: (test): more than 4194304 bytes");
    g_string_free(out, TRUE);
}

static void test_document_types(void)
{
    static const char want[] = "XML error: (test):1: document type declarations are not accepted";

    check_parse("<!DOCTYPE r><r/>", want);
    check_parse("<!DOCTYPE r SYSTEM 'file:///etc/passwd'><r/>", want);
    check_parse("<!DOCTYPE r [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><r>&e;</r>", want);
    check_parse("<!DOCTYPE r [<!ENTITY a 'b'><!ENTITY c '&a;&a;&a;'>]><r>&c;</r>", want);
    check_parse("<!DOCTYPE r [<!ELEMENT r ANY><!ATTLIST r x CDATA 'given'>]><r/>", want);
}

static void test_not_well_formed(void)
{
    check_parse("", "(test):1: Document is empty");
    check_parse("<r>\n<a></b></r>", "(test):2: Opening and ending tag mismatch: a line 2 and b");
    check_parse("<r/><r/>", "(test):1: Extra content at the end of the document");
    check_parse("<r a='1' a='2'/>", "(test):1: Attribute a redefined");
    check_parse("<r>&unknown;</r>", "(test):1: Entity 'unknown' not defined");
}

static void test_encodings(void)
{
    static const char utf16[] = "\377\376<\0r\0/\0>\0";
    static const char ebcdic[] = "\x4c\x6f\xa7\x94\x93\x40";
    static const char *const not_utf8[] = {utf16, ebcdic};

    check_parse("<?xml version='1.0' encoding='ISO-8859-1'?><r>\303\251</r>", NULL);
    check_parse("<?xml version='1.0' encoding='UTF-7'?><r>+ADwAYQ-</r>", NULL);
    check_parse("<?xml version='1.0' encoding='no-such-thing'?><r/>", NULL);
    check_parse("\357\273\277<r/>", NULL); /* a byte order mark */
    check_parse("<r>\351</r>", "(test):1: Input is not proper UTF-8, indicate encoding ! Bytes: "
                               "0xE9 0x3C 0x2F 0x72");
    for (unsigned i = 0; i < G_N_ELEMENTS(not_utf8); i++)
        check(!xml_document_parse(not_utf8[i], i == 0 ? sizeof(utf16) - 1 : sizeof(ebcdic) - 1,
                                  "(test)", NULL));
}

/* Whatever a document has in it, the message is one line of printable length. */
static void test_messages_are_short(void)
{
    GString *name = g_string_new(NULL);
    g_autofree char *text = NULL;
    g_autofree char *message = NULL;
    g_autoptr(xmlDoc) doc = NULL;

    append_times(name, "x\303\251", 10000);
    text = g_strdup_printf("<r><%s></r>", name->str);
    doc = parse(text, &message);
    check(!doc);
    check(message && strlen(message) < 600);
    check(message && g_utf8_validate(message, -1, NULL));
    g_string_free(name, TRUE);
}

static void test_not_terminated(void)
{
    static const char text[] = {'<', 'r', '/', '>', '<'};
    static const char with_nul[] = "<r>\0</r>";
    g_autoptr(GError) error = NULL;
    g_autoptr(xmlDoc) doc = xml_document_parse(text, 4, "(test)", NULL);
    g_autoptr(xmlDoc) none = xml_document_parse(with_nul, sizeof(with_nul) - 1, "(test)", &error);

    check(doc != NULL);
    check(!none && error && libvirt_error_code(error) == VIR_ERR_XML_DETAIL);
}

/* ---- tables ---- */

static bool read_text(xmlNode *node, void *target, GError **error)
{
    GString *out = target;
    g_autofree char *text = xml_text(node);

    g_string_append_printf(out, "[%s=%s]", (const char *)node->name, text ? text : "NULL");
    return true;
}

static const struct xml_element elements[] = {
    {"any", "a bc", 0, read_text},
    {"once", NULL, XML_ONCE | XML_TEXT, read_text},
    {"empty", "a", XML_EMPTY, read_text},
    {"never", .refused = "there is no such thing"},
    {},
};

static void check_children(const char *text, const char *want, const char *want_message)
{
    g_autofree char *message = NULL;
    g_autoptr(xmlDoc) doc = parse(text, &message);
    g_autoptr(GError) error = NULL;
    GString *out = g_string_new(NULL);

    if (check(doc != NULL)) {
        bool ok = xml_read_children(xmlDocGetRootElement(doc), elements, out, &error);

        check(ok == !error);
        if (error)
            message = libvirt_error_message(error);
        check_str(message, want_message);
        check_str(out->str, want);
    }
    g_string_free(out, TRUE);
}

static void test_tables(void)
{
    check_children("<r><once> a<!-- b -->c </once><any a='1' bc='2'/><any>  </any></r>",
                   "[once= ac ][any=NULL][any=NULL]", NULL);
    check_children("<r><once/><any/><once/></r>", "[once=NULL][any=NULL]",
                   "XML error: <once> (line 1): element 'once' can only appear once");
    check_children("<r>\n<never/></r>", "",
                   "unsupported configuration: <never> (line 2): there is no such thing");
    check_children("<r><other/></r>", "",
                   "unsupported configuration: <other> (line 1): element is not understood");
    check_children("<r><any b='1'/></r>", "",
                   "unsupported configuration: <any b='1'> (line 1): attribute 'b' is not "
                   "understood");
    check_children("<r><any x:a='1' xmlns:x='y'/></r>", "",
                   "unsupported configuration: <any> (line 1): attribute 'x:a' is not understood");
    check_children("<r><x:any xmlns:x='y'/></r>", "",
                   "unsupported configuration: <x:any> (line 1): element is not understood");
    check_children("<r><any xmlns='y'/></r>", "",
                   "unsupported configuration: <any> (line 1): element is not understood");
    check_children("<r><empty><a/></empty></r>", "",
                   "unsupported configuration: <empty><a> (line 1): element is not understood");
    check_children("<r><empty>text</empty></r>", "",
                   "XML error: <empty> (line 1): text has no meaning here");
    check_children("<r><once><a/></once></r>", "",
                   "unsupported configuration: <once><a> (line 1): element is not understood");
    check_children("<r><any>text</any></r>", "",
                   "XML error: <any> (line 1): text has no meaning here");
}

/* ---- values ---- */

static void test_unsigned(void)
{
    static const char *const bad[] = {
        "", " ", "-1", "+1", "0x10", "1 2", "1a", "18446744073709551616", "1e3", "\302\2401"};
    uint64_t value = 7;

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
        if (!check(!xml_parse_unsigned(bad[i], G_MAXUINT64, &value)))
            printf("# '%s'\n", bad[i]);
    check_int(value, 7);
    check(xml_parse_unsigned(" \n18446744073709551615\t", G_MAXUINT64, &value));
    check(value == G_MAXUINT64);
    check(xml_parse_unsigned("007", 7, &value));
    check_int(value, 7);
    check(!xml_parse_unsigned("8", 7, &value));
}

static const struct xml_value colours[] = {
    {"red", 1}, {"green", 2}, {"blue", 0, "there is no blue"}, {}};

static void check_enum(const char *text, int want, const char *want_message)
{
    g_autofree char *message = NULL;
    g_autoptr(xmlDoc) doc = parse(text, &message);
    g_autoptr(GError) error = NULL;
    int value = -1;

    if (!check(doc != NULL))
        return;
    check(xml_enum_attribute(xmlDocGetRootElement(doc), "c", colours, &value, &error) == !error);
    if (error)
        message = libvirt_error_message(error);
    check_str(message, want_message);
    check_int(value, want);
}

static void test_enums(void)
{
    check_enum("<r c='green'/>", 2, NULL);
    check_enum("<r/>", -1, NULL);
    check_enum("<r c='blue'/>", -1,
               "unsupported configuration: <r c='blue'> (line 1): there is no blue");
    check_enum("<r c='Red'/>", -1,
               "XML error: Invalid value for attribute 'c' in element 'r': 'Red'.");
    check_enum("<r c=''/>", -1, "XML error: Invalid value for attribute 'c' in element 'r': ''.");
    check_str(xml_value_name(colours, 2), "green");
    check_str(xml_value_name(colours, 0), NULL);
}

static void test_unsigned_attribute(void)
{
    g_autofree char *message = NULL;
    g_autoptr(xmlDoc) doc = parse("<r n='4294967295' m='4294967296'/>", &message);
    g_autoptr(GError) error = NULL;
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    unsigned value = 7;

    if (!check(root != NULL))
        return;
    check(xml_unsigned_attribute(root, "absent", &value, NULL));
    check_int(value, 7);
    check(xml_unsigned_attribute(root, "n", &value, NULL));
    check_int(value, 4294967295u);
    check(!xml_unsigned_attribute(root, "m", &value, &error));
    check_int(libvirt_error_code(error), VIR_ERR_XML_ERROR);
    check_int(value, 4294967295u);
}

static void check_ranged(const char *text, unsigned want, const char *want_error)
{
    g_autofree char *message = NULL;
    g_autoptr(xmlDoc) doc = parse(text, &message);
    g_autoptr(GError) error = NULL;
    unsigned value = 7;

    if (!check(doc != NULL))
        return;
    check(xml_ranged_attribute(xmlDocGetRootElement(doc), "n", 2, 16, &value, &error) ==
          !want_error);
    check_int(value, want);
    check_str(error ? error->message : NULL, want_error);
}

static void test_ranged_attribute(void)
{
    check_ranged("<r/>", 7, NULL);
    check_ranged("<r n=' 2 '/>", 2, NULL);
    check_ranged("<r n='16'/>", 16, NULL);
    check_ranged("<r n='1'/>", 7, "<r n='1'> (line 1): it must be 2 to 16");
    check_ranged("<r n='17'/>", 7, "<r n='17'> (line 1): it must be 2 to 16");
    check_ranged("<r n=''/>", 7, "Invalid value for attribute 'n' in element 'r': ''.");
}

static void test_numbers(void)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {" -1 ", true, -1},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 5},
        {"", false, 5},
        {"-", false, 5},
        {"1 2", false, 5},
        {"0x10", false, 5},
    };
    g_autofree char *message = NULL;
    g_autoptr(xmlDoc) doc = parse("<r>12</r>", &message);
    g_autoptr(xmlDoc) bare = parse("<r> </r>", &message);
    uint64_t number = 5;

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        int64_t value = 5;

        if (!check(xml_parse_signed(cases[i].text, &value) == cases[i].ok) ||
            !check_int(value, cases[i].value))
            printf("# '%s'\n", cases[i].text);
    }
    if (!check(doc != NULL) || !check(bare != NULL))
        return;
    check(!xml_text_number(xmlDocGetRootElement(doc), 11, &number, NULL));
    check(!xml_text_number(xmlDocGetRootElement(bare), 11, &number, NULL));
    check_int(number, 5);
    check(xml_text_number(xmlDocGetRootElement(doc), 12, &number, NULL));
    check_int(number, 12);
}

static void test_excerpt(void)
{
    g_autofree char *text = g_strnfill(65, 'a');
    g_autofree char *shown = xml_excerpt(text);
    g_autofree char *whole = xml_excerpt(text + 1);

    check_int(strlen(shown), 67);
    check(g_str_has_suffix(shown, "a..."));
    check_str(whole, text + 1);
}

/* The first byte of a long character, and nothing but the end of the memory behind it. */
static void test_excerpt_of_no_text(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *text = pages + page - sizeof("ab\xfc");
    g_autofree char *shown = NULL;

    if (!check(pages != MAP_FAILED))
        return;
    memcpy(text, "ab\xfc", sizeof("ab\xfc"));
    check_int(mprotect(pages + page, page, PROT_NONE), 0);
    shown = xml_excerpt(text);
    check_str(shown, "ab\xef\xbf\xbd");
    munmap(pages, 2 * page);
}

/* An element taken out of a document is one by itself. */
static void test_node_to_text(void)
{
    g_autofree char *message = NULL;
    g_autoptr(xmlDoc) doc =
        parse("<r xmlns:p='q' xmlns:unused='u'><m><p:a x='\303\251'>&lt;</p:a></m></r>", &message);
    g_autofree char *text = doc ? xml_node_to_text(xmlDocGetRootElement(doc)->children) : NULL;

    check_str(text, "<m xmlns:p='q'><p:a x='\303\251'>&lt;</p:a></m>");
}

/* ---- the writer ---- */

static void test_writer(void)
{
    struct xml_writer w;
    g_autofree char *text = NULL;

    xml_writer_init(&w);
    xml_open(&w, "a", "x", "1", "absent", NULL, "y", "", NULL);
    xml_empty(&w, "b", NULL);
    xml_open(&w, "c", NULL);
    xml_text_element(&w, "d", "text", "z", "2", NULL);
    xml_raw(&w, "<!-- raw -->");
    xml_close(&w, "c");
    xml_close(&w, "a");
    text = xml_writer_finish(&w);
    check_str(text, "<a x='1' y=''>\n"
                    "  <b/>\n"
                    "  <c>\n"
                    "    <d z='2'>text</d>\n"
                    "    <!-- raw -->\n"
                    "  </c>\n"
                    "</a>\n");
}

/* Whatever is written comes back. */
static void test_writer_escapes(void)
{
    static const char hostile[] = "<&>\"' \t\n\r ]]> &amp; \303\251";
    struct xml_writer w;
    g_autofree char *text = NULL;
    g_autofree char *message = NULL;
    g_autofree char *attribute = NULL;
    g_autofree char *content = NULL;
    g_autoptr(xmlDoc) doc = NULL;

    xml_writer_init(&w);
    xml_text_element(&w, "a", hostile, "x", hostile, NULL);
    text = xml_writer_finish(&w);
    doc = parse(text, &message);
    check_str(message, NULL);
    if (!doc)
        return;
    attribute = xml_attribute(xmlDocGetRootElement(doc), "x");
    content = xml_text(xmlDocGetRootElement(doc));
    check_str(attribute, hostile);
    check_str(content, hostile);
}

int main(void)
{
    int rc = tap_run((struct tap_test[]){TAP(test_depth),
                                         TAP(test_nodes),
                                         TAP(test_attributes_of_one_element),
                                         TAP(test_size),
                                         TAP(test_document_types),
                                         TAP(test_not_well_formed),
                                         TAP(test_encodings),
                                         TAP(test_messages_are_short),
                                         TAP(test_not_terminated),
                                         TAP(test_tables),
                                         TAP(test_unsigned),
                                         TAP(test_enums),
                                         TAP(test_unsigned_attribute),
                                         TAP(test_ranged_attribute),
                                         TAP(test_numbers),
                                         TAP(test_excerpt),
                                         TAP(test_excerpt_of_no_text),
                                         TAP(test_node_to_text),
                                         TAP(test_writer),
                                         TAP(test_writer_escapes),
                                         {}});

    xmlCleanupParser();
    return rc;
}
