/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Single devices: what becomes of a definition with them, or without. */
#include <libxml/parser.h>
#include <string.h>

#include "tests/unit/tap.h"
#include "xml/device.h"

#define HEAD                                                                             \
    "<domain type='kvm'><name>a</name><uuid>6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11</uuid>" \
    "<memory unit='MiB'>64</memory><os><type>hvm</type><kernel>/k</kernel></os>"         \
    "<devices>"
#define TAIL "</devices></domain>"

#define DISK(name, file) \
    "<disk type='file'><source file='" file "'/><target dev='" name "'/></disk>"
#define NET(mac) "<interface type='user'><mac address='52:54:00:00:00:" mac "'/></interface>"
#define NAMED_NET(mac, name) \
    "<interface type='user'><mac address='52:54:00:00:00:" mac "'/>" ALIAS(name) "</interface>"
#define ALIAS(name)   "<alias name='" name "'/>"
#define CONSOLE       "<console type='pty'><target type='virtio'/></console>"
#define CONSOLE_NULL  "<console type='null'><target type='virtio'/></console>"
#define PORT(n)       "<console type='pty'><target type='virtio' port='" n "'/></console>"
#define CHANNEL(name) "<channel type='unix'><target type='virtio' name='" name "'/></channel>"
#define SERIAL        "<serial type='pty'/>"
#define RNG           "<rng model='virtio'><backend model='builtin'/></rng>"
#define RANDOM        "<rng model='virtio'><backend model='random'>/dev/random</backend></rng>"
#define URANDOM       "<rng model='virtio'><backend model='random'/></rng>" /* /dev/urandom */
#define VSOCK         "<vsock model='virtio'><cid auto='no' address='7'/></vsock>"
#define BALLOON       "<memballoon model='virtio' autodeflate='off'/>"
#define NO_BALLOON    "<memballoon model='none'/>"
#define PANIC         "<panic model='isa'/>"

typedef bool (*changer)(domain_def *def, const domain_device *device, GError **error);

struct device_case {
    const char *before; /* the definition's devices */
    const char *device;
    const char *after; /* its devices then, or with a digit first the error */
};

static domain_def *parse(const char *devices)
{
    g_autofree char *text = g_strconcat(HEAD, devices, TAIL, NULL);
    g_autoptr(GError) error = NULL;
    domain_def *def = domain_def_parse(text, strlen(text), DOMAIN_PARSE_DEFINITION, &error);

    check_str(error ? error->message : NULL, NULL);
    return def;
}

/* The definition as a client would define it, or the refusal. */
static char *outcome(domain_def *def, const struct device_case *c, changer change)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(domain_device) device = domain_device_parse(c->device, strlen(c->device), &error);

    if (device && change(def, device, &error) && domain_def_check(def, &error))
        return domain_def_format(def, 0);
    return error ? g_strdup_printf("%d: %s", error->code, error->message) : NULL;
}

static void check_cases(const struct device_case *cases, size_t count, changer change)
{
    for (size_t i = 0; i < count; i++) {
        const struct device_case *c = &cases[i];
        g_autoptr(domain_def) def = parse(c->before);
        g_autoptr(domain_def) after = g_ascii_isdigit(c->after[0]) ? NULL : parse(c->after);
        g_autofree char *want = after ? domain_def_format(after, 0) : g_strdup(c->after);
        g_autofree char *got = outcome(def, c, change);

        if (!check_str(got, want))
            printf("# %s\n", c->device);
    }
}

#define CHECK_CASES(change, ...)                                 \
    do {                                                         \
        static const struct device_case cases[] = {__VA_ARGS__}; \
        check_cases(cases, G_N_ELEMENTS(cases), change);         \
    } while (0)

static void test_attached(void)
{
    CHECK_CASES(domain_def_attach, {"", DISK("vda", "/a"), DISK("vda", "/a")},
                {DISK("vdc", "/c"), DISK("vdb", "/b"), DISK("vdb", "/b") DISK("vdc", "/c")},
                /* By another bus' name it has the letter all the same, as a CD-ROM, too. */
                {DISK("vda", "/a"), DISK("sdc", "/c"), DISK("vda", "/a") DISK("vdc", "/c")},
                {DISK("vdc", "/c"),
                 "<disk type='file' device='cdrom'><source file='/cd'/><target dev='hda'/></disk>",
                 "<disk type='file'><source file='/cd'/><target dev='vda'/><readonly/></disk>" DISK(
                     "vdc", "/c")},
                {"", "<disk type='volume'><source pool='p' volume='v'/><target dev='vda'/></disk>",
                 "<disk type='volume'><source pool='p' volume='v'/><target dev='vda'/></disk>"},
                {NET("02"), NET("01"), NET("02") NET("01")},
                {NET("01"), NET("01"), NET("01") NET("01")}, {"", SERIAL, SERIAL},
                {SERIAL CONSOLE, CONSOLE, SERIAL CONSOLE CONSOLE},
                {CHANNEL("a"), CHANNEL("b"), CHANNEL("a") CHANNEL("b")}, {"", RNG, RNG},
                {"", VSOCK, VSOCK}, {"", PANIC, PANIC}, {NO_BALLOON, BALLOON, BALLOON});
}

static void test_not_attached(void)
{
    CHECK_CASES(
        domain_def_attach, {DISK("vda", "/a"), DISK("vda", "/b"), "55: target vda already exists"},
        {DISK("vda", "/a"), DISK("sda", "/b"), "55: target vda already exists"},
        {"", "<disk type='file'><target dev='vda'/></disk>", "19: vda"},
        {"", "<disk type='file' device='cdrom'><target dev='hda'/></disk>", "19: hda"},
        {"", "<disk type='file'><source file='/a'/></disk>", "20: /a"},
        {"", "<disk type='file'>\n<source file='a'/><target dev='vda'/></disk>",
         "67: <disk><source> (line 2): 'a': a path must be absolute"},
        {SERIAL, SERIAL, "55: chardev already exists"},
        {SERIAL, "<serial type='null'/>",
         "67: <serial> (line 1): a microVM has at most one serial port"},
        {"", "<console type='pty'/>", "84: attaching serial console is not supported"},
        {CHANNEL("a"), CHANNEL("a"), "55: chardev already exists"},
        {CONSOLE CONSOLE CONSOLE CONSOLE, CONSOLE,
         "67: <console> (line 1): a microVM has at most 4 virtio consoles"},
        {RNG, RNG, "67: <rng> (line 1): a microVM has at most one entropy device"},
        {VSOCK, VSOCK, "55: domain already has a vsock device"},
        {"", BALLOON, "55: domain already has a memballoon device"},
        {PANIC, PANIC, "67: <panic> (line 1): a microVM has at most one panic device"},
        {NAMED_NET("01", "ua-a"), NAMED_NET("02", "ua-a"), "27: non unique alias detected: ua-a"},
        /* What is left out of a definition is nobody's wish; this is somebody's. */
        {"", "<input type='tablet' bus='usb'/>",
         "84: persistent attach of device 'input' is not supported"},
        {"", "<controller type='usb'/>",
         "84: persistent attach of device 'controller' is not supported"},
        {"", NO_BALLOON, "84: persistent attach of device 'memballoon' is not supported"},
        {"", "<watchdog model='i6300esb'/>", "67: <watchdog> (line 1): a microVM has no watchdog"});
}

static void test_no_device(void)
{
    CHECK_CASES(
        domain_def_attach, {"", "<domain type='kvm'/>", "67: unknown device type 'domain'"},
        {"", "<devices>" RNG "</devices>", "67: unknown device type 'devices'"},
        {"", "<emulator>/e</emulator>", "67: unknown device type 'emulator'"},
        {"", "<x:rng xmlns:x='urn:x'/>", "67: <x:rng> (line 1): element is not understood"},
        {"", RNG RNG, "35: (device_definition):1: Extra content at the end of the document"},
        {"", "", "35: (device_definition):1: Document is empty"});
}

static void test_detached(void)
{
    CHECK_CASES(domain_def_detach,
                {DISK("vda", "/a") DISK("vdb", "/b"), DISK("vda", "/a"), DISK("vdb", "/b")},
                /* Its target is enough. */
                {DISK("vda", "/a"), "<disk type='block'><target dev='sda' bus='sata'/></disk>", ""},
                {NET("01") NET("02"), NET("01"), NET("02")},
                {NET("01"), "<interface type='bridge'><source bridge='br0'/></interface>", ""},
                {NAMED_NET("01", "ua-a") NAMED_NET("01", "ua-b"), NAMED_NET("01", "ua-b"),
                 NAMED_NET("01", "ua-a")},
                {SERIAL, SERIAL, ""}, {SERIAL CONSOLE CONSOLE_NULL, CONSOLE, SERIAL CONSOLE_NULL},
                {SERIAL CONSOLE_NULL CONSOLE CONSOLE, PORT("2"), SERIAL CONSOLE_NULL CONSOLE},
                {CHANNEL("a") CHANNEL("b"), CHANNEL("a"), CHANNEL("b")}, {RNG, RNG, ""},
                {RANDOM, RANDOM, ""}, {VSOCK, VSOCK, ""}, {PANIC, PANIC, ""},
                {"", "<memballoon model='virtio'/>", NO_BALLOON});
}

static void test_not_detached(void)
{
    CHECK_CASES(
        domain_def_detach, {DISK("vda", "/a"), DISK("vdb", "/a"), "99: no target device vdb"},
        {NET("01"), NET("02"),
         "99: no device found matching MAC address '52:54:00:00:00:02' and alias '(<null>)'"},
        {NAMED_NET("01", "ua-a"), "<interface type='user'>" ALIAS("ua-b") "</interface>",
         "99: no device found matching MAC address '(<null>)' and alias 'ua-b'"},
        {NET("01") NET("01"), NET("01"),
         "9: multiple devices matching MAC address 52:54:00:00:00:01 found"},
        {NET("01") NET("02"), "<interface type='user'/>", "9: multiple matching devices found"},
        {SERIAL, "<serial type='null'/>", "8: device not present in domain configuration"},
        {SERIAL, "<console type='pty'/>", "55: detaching serial console is not supported"},
        {SERIAL CONSOLE CONSOLE, CONSOLE, "9: multiple matching devices found"},
        {SERIAL CONSOLE, PORT("2"), "8: device not present in domain configuration"},
        {CHANNEL("a"), CHANNEL("b"), "8: device not present in domain configuration"},
        {RNG, RANDOM, "99: no matching RNG device was found"},
        {RNG, URANDOM, "99: no matching RNG device was found"},
        {URANDOM, RNG, "99: no matching RNG device was found"},
        {VSOCK, "<vsock><cid auto='no' address='8'/></vsock>",
         "9: matching vsock device not found"},
        {"", PANIC, "99: no matching panic device was found"},
        {NO_BALLOON, BALLOON, "99: no matching memballoon device was found"},
        {"", "<video/>", "84: persistent detach of device 'video' is not supported"});
}

static void test_replaced(void)
{
    CHECK_CASES(domain_def_replace,
                {DISK("vda", "/a") DISK("vdb", "/b"), DISK("vda", "/c"),
                 DISK("vda", "/c") DISK("vdb", "/b")},
                {NET("01") NET("02"),
                 "<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='b'/>"
                 "</interface>",
                 "<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='b'/>"
                 "</interface>" NET("02")},
                {NET("01"), "<interface type='user'><mtu size='1400'/></interface>",
                 "<interface type='user'><mac address='52:54:00:00:00:01'/><mtu size='1400'/>"
                 "</interface>"},
                {DISK("vda", "/a"), DISK("vdb", "/a"), "8: target vdb doesn't exist."},
                {DISK("vda", "/a"), "<disk type='file' device='cdrom'><target dev='vda'/></disk>",
                 "19: vda"},
                {RNG, RNG, "84: persistent update of device 'rng' is not supported"});
}

static void test_by_alias(void)
{
    static const char devices[] = NAMED_NET("01", "ua-a")
        NAMED_NET("02", "ua-b") "<memballoon model='virtio'>" ALIAS("ua-c") "</memballoon>";
    g_autoptr(domain_def) def = parse(devices);
    g_autoptr(domain_def) without = parse(NAMED_NET("01", "ua-a") NO_BALLOON);
    g_autoptr(GError) error = NULL;
    g_autofree char *want = domain_def_format(without, 0);
    g_autofree char *got = NULL;

    check(domain_def_detach_alias(def, "ua-b", NULL));
    check(domain_def_detach_alias(def, "ua-c", NULL));
    got = domain_def_format(def, 0);
    check_str(got, want);
    check(!domain_def_detach_alias(def, "ua-b", &error));
    check_str(error->message, "no device found with alias ua-b");
}

int main(void)
{
    int rc = tap_run((struct tap_test[]){TAP(test_attached),
                                         TAP(test_not_attached),
                                         TAP(test_no_device),
                                         TAP(test_detached),
                                         TAP(test_not_detached),
                                         TAP(test_replaced),
                                         TAP(test_by_alias),
                                         {}});

    xmlCleanupParser();
    return rc;
}
