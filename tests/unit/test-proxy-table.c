/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which procedures go to the host's own daemons, checked against all that libvirt has, by name. */
#include <stdio.h>
#include <string.h>

#include "libvirt-driver/proxy/proxy.h"
#include "libvirt-driver/rpc/dispatch.h"
#include "tests/unit/tap.h"

/* What stands in a procedure's name, and whose it is then. */
static const struct {
    const char *part;
    enum proxy_driver driver;
} parts[] = {
    {"NWFILTER", PROXY_NWFILTER},         {"STORAGE_", PROXY_STORAGE},
    {"NODE_DEVICE", PROXY_NODEDEV},       {"NODE_NUM_OF_DEVICES", PROXY_NODEDEV},
    {"NODE_LIST_DEVICES", PROXY_NODEDEV}, {"SECRET", PROXY_SECRET},
    {"NETWORK", PROXY_NETWORK},           {"INTERFACE", PROXY_INTERFACE},
};

/* Calls on a domain's interfaces, and those on devices that change what a guest may have. */
static const char *const hypervisors[] = {
    "NODE_DEVICE_DETTACH",
    "NODE_DEVICE_RE_ATTACH",
    "NODE_DEVICE_RESET",
    "NODE_DEVICE_DETACH_FLAGS",
};

static enum proxy_driver expected_driver(const char *name)
{
    if (g_str_has_prefix(name, "DOMAIN_"))
        return PROXY_NONE;
    for (gsize i = 0; i < G_N_ELEMENTS(hypervisors); i++) {
        if (strcmp(hypervisors[i], name) == 0)
            return PROXY_NONE;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (strstr(name, parts[i].part))
            return parts[i].driver;
    }
    return PROXY_NONE;
}

static bool is_event(const char *name)
{
    return strstr(name, "_EVENT_") && !strstr(name, "REGISTER");
}

static enum proxy_kind kind_of(const char *name, bool stream)
{
    if (is_event(name))
        return PROXY_EVENT;
    if (stream)
        return PROXY_STREAM;
    return strstr(name, "_DEREGISTER_") ? PROXY_DEREGISTER
           : strstr(name, "_REGISTER_") ? PROXY_REGISTER
                                        : PROXY_CALL;
}

static void check_one(int number, const char *name, bool stream)
{
    const struct proxy_procedure *procedure = proxy_procedure_find(number);
    enum proxy_driver driver = expected_driver(name);

    check_int(procedure ? procedure->driver : PROXY_NONE, driver);
    check_int(proxy_event_allowed(PROXY_NETWORK, number),
              driver == PROXY_NETWORK && is_event(name));
    if (!procedure)
        return;
    check_str(procedure->name, name);
    check_int(procedure->kind, kind_of(name, stream));
}

static void test_every_procedure_has_its_driver(void)
{
    FILE *list = fopen(TOP_SRCDIR "/tests/unit/libvirt-procedures", "r");
    char line[256];
    int last = 0;
    gsize count;

    check(list != NULL);
    while (list && fgets(line, sizeof(line), list)) {
        char name[200];
        char rest[20] = "";
        int number;

        if (sscanf(line, "%d %199s %19s", &number, name, rest) < 2)
            continue;
        check_int(number, last + 1);
        last = number;
        check_one(number, name, strcmp(rest, "stream") == 0);
    }
    if (list)
        fclose(list);
    check_int(last, 453);
    proxy_procedures(&count);
    check_int(count <= 454, true);
}

static void test_numbers_of_nobody(void)
{
    check(!proxy_procedure_find(-1) && !proxy_procedure_find(0) && !proxy_procedure_find(454));
    check(!proxy_procedure_find(G_MAXINT) && !proxy_procedure_find(G_MININT));
    /* An event of a release to come can only be one that was registered for. */
    check(proxy_event_allowed(PROXY_NETWORK, 454));
    check(!proxy_event_allowed(PROXY_NETWORK, 318) && !proxy_event_allowed(PROXY_NETWORK, -1));
    check(!proxy_event_allowed(PROXY_STORAGE, 315) && proxy_event_allowed(PROXY_NETWORK, 315));
}

/* What the dispatch table has as well is for hosts without such a daemon. */
static void test_names_agree_with_the_dispatch_table(void)
{
    gsize count;
    const struct proxy_procedure *all = proxy_procedures(&count);
    guint both = 0;

    for (gsize i = 0; i < count; i++) {
        const struct rpc_procedure *own = all[i].name ? rpc_procedure_find((int)i) : NULL;

        if (!own)
            continue;
        both++;
        check_str(own->name, all[i].name);
    }
    check(both > 40);
}

static void test_one_question_goes_by_its_argument(void)
{
    struct rpc_header header = {RPC_PROGRAM_REMOTE, RPC_PROGRAM_VERSION, 60, RPC_CALL, 0, RPC_OK};

    for (int feature = 0; feature < 20; feature++) {
        wire_int argument = {feature};
        g_autoptr(GBytes) packet = rpc_packet_new(&header, &rpc_shape_int, &argument);

        check_int(proxy_driver_of(&header, packet), feature == 16 ? PROXY_NETWORK : PROXY_NONE);
    }
    g_autoptr(GBytes) cut = rpc_packet_new_raw(&header, NULL, 0);
    check_int(proxy_driver_of(&header, cut), PROXY_NONE);
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_every_procedure_has_its_driver),
        TAP(test_numbers_of_nobody),
        TAP(test_names_agree_with_the_dispatch_table),
        TAP(test_one_question_goes_by_its_argument),
        {0},
    });
}
