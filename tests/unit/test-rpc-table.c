/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The dispatch table, checked against what libvirt's own library does with each call. */
#include <string.h>

#include "libvirt-driver/rpc/dispatch.h"
#include "tests/unit/tap.h"

/* Calls that libvirt's client library itself refuses on a read-only connection. */
static const char *const writers[] = {
    "CONNECT_BASELINE_HYPERVISOR_CPU",
    "CONNECT_COMPARE_HYPERVISOR_CPU",
    "CONNECT_GET_DOMAIN_CAPABILITIES",
    "CONNECT_FIND_STORAGE_POOL_SOURCES",
    "CONNECT_SET_IDENTITY",
    "DOMAIN_ABORT_JOB",
    "DOMAIN_ADD_IOTHREAD",
    "DOMAIN_ATTACH_DEVICE",
    "DOMAIN_ATTACH_DEVICE_FLAGS",
    "DOMAIN_BLOCK_RESIZE",
    "DOMAIN_CREATE",
    "DOMAIN_CREATE_WITH_FLAGS",
    "DOMAIN_CREATE_XML",
    "DOMAIN_DEFINE_XML",
    "DOMAIN_DEFINE_XML_FLAGS",
    "DOMAIN_DEL_IOTHREAD",
    "DOMAIN_DESTROY",
    "DOMAIN_DESTROY_FLAGS",
    "DOMAIN_DETACH_DEVICE",
    "DOMAIN_DETACH_DEVICE_ALIAS",
    "DOMAIN_DETACH_DEVICE_FLAGS",
    "DOMAIN_OPEN_CHANNEL",
    "DOMAIN_OPEN_CONSOLE",
    "DOMAIN_PIN_EMULATOR",
    "DOMAIN_PIN_IOTHREAD",
    "DOMAIN_PIN_VCPU",
    "DOMAIN_PIN_VCPU_FLAGS",
    "DOMAIN_REBOOT",
    "DOMAIN_RENAME",
    "DOMAIN_RESET",
    "DOMAIN_RESUME",
    "DOMAIN_SET_AUTOSTART",
    "DOMAIN_SET_BLKIO_PARAMETERS",
    "DOMAIN_SET_BLOCK_IO_TUNE",
    "DOMAIN_SET_INTERFACE_PARAMETERS",
    "DOMAIN_SET_LIFECYCLE_ACTION",
    "DOMAIN_SET_MAX_MEMORY",
    "DOMAIN_SET_MEMORY",
    "DOMAIN_SET_MEMORY_FLAGS",
    "DOMAIN_SET_MEMORY_PARAMETERS",
    "DOMAIN_SET_MEMORY_STATS_PERIOD",
    "DOMAIN_SET_METADATA",
    "DOMAIN_SET_NUMA_PARAMETERS",
    "DOMAIN_SET_SCHEDULER_PARAMETERS",
    "DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS",
    "DOMAIN_SET_VCPUS",
    "DOMAIN_SET_VCPUS_FLAGS",
    "DOMAIN_SHUTDOWN",
    "DOMAIN_SHUTDOWN_FLAGS",
    "DOMAIN_SUSPEND",
    "DOMAIN_UNDEFINE",
    "DOMAIN_UNDEFINE_FLAGS",
    "DOMAIN_UPDATE_DEVICE_FLAGS",
    "STORAGE_POOL_BUILD",
    "STORAGE_POOL_CREATE",
    "STORAGE_POOL_CREATE_XML",
    "STORAGE_POOL_DEFINE_XML",
    "STORAGE_POOL_DELETE",
    "STORAGE_POOL_DESTROY",
    "STORAGE_POOL_REFRESH",
    "STORAGE_POOL_SET_AUTOSTART",
    "STORAGE_POOL_UNDEFINE",
    "STORAGE_VOL_CREATE_XML",
    "STORAGE_VOL_CREATE_XML_FROM",
    "STORAGE_VOL_DELETE",
    "STORAGE_VOL_DOWNLOAD",
    "STORAGE_VOL_RESIZE",
    "STORAGE_VOL_UPLOAD",
    "STORAGE_VOL_WIPE",
    "STORAGE_VOL_WIPE_PATTERN",
};

/* What a client sends before it has opened a connection. */
static const char *const early[] = {
    "AUTH_LIST", "AUTH_POLKIT", "CONNECT_OPEN", "CONNECT_CLOSE", "CONNECT_SUPPORTS_FEATURE",
};

static bool is_in(const char *name, const char *const *names, gsize count)
{
    for (gsize i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static void test_entries_are_whole(void)
{
    gsize count;
    const struct rpc_procedure *all = rpc_procedures(&count);
    guint served = 0;

    for (gsize i = 0; i < count; i++) {
        if (!all[i].name)
            continue;
        served++;
        check_int(all[i].number, i);
        check(all[i].args && all[i].ret && all[i].handler);
        check(rpc_procedure_find((int)i) == &all[i]);
    }
    /* The fewest that unmodified clients connect, list and control domains with. */
    check(served >= 115);
}

static void test_only_these_need_write_access(void)
{
    gsize count;
    const struct rpc_procedure *all = rpc_procedures(&count);

    for (gsize i = 0; i < count; i++) {
        if (all[i].name && all[i].needs_write != is_in(all[i].name, writers, G_N_ELEMENTS(writers)))
            check_str(all[i].name, all[i].needs_write ? "(a reader)" : "(a writer)");
    }
}

static void test_only_these_come_before_open(void)
{
    gsize count;
    const struct rpc_procedure *all = rpc_procedures(&count);

    for (gsize i = 0; i < count; i++) {
        if (all[i].name &&
            (all[i].phase == RPC_PHASE_OPEN) == is_in(all[i].name, early, G_N_ELEMENTS(early)))
            check_str(all[i].name, all[i].phase == RPC_PHASE_OPEN ? "(early)" : "(needs open)");
    }
}

/* A call that may wait for a VMM must not take the threads of those that never do. */
static void test_what_changes_a_domain_may_wait(void)
{
    gsize count;
    const struct rpc_procedure *all = rpc_procedures(&count);

    for (gsize i = 0; i < count; i++) {
        if (all[i].name && strncmp(all[i].name, "DOMAIN_", 7) == 0 && all[i].needs_write &&
            strncmp(all[i].name, "DOMAIN_OPEN_", 12) != 0 && all[i].pool != RPC_POOL_WAIT)
            check_str(all[i].name, "(may wait)");
    }
}

static void test_numbers_that_are_not_served(void)
{
    static const int numbers[] = {0, -1, 61, 69, 444, 453, 454, 100000, G_MAXINT, G_MININT};

    for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++)
        check(rpc_procedure_find(numbers[i]) == NULL);
}

static void test_function_names_are_libvirts(void)
{
    static const struct {
        int number;
        const char *function;
    } known[] = {
        {12, "virDomainDestroy"},
        {11, "virDomainDefineXML"},
        {14, "virDomainGetXMLDesc"},
        {196, "virDomainCreateWithFlags"},
        {342, "virConnectGetDomainCapabilities"},
        {110, "virConnectGetURI"},
        {22, "virDomainLookupByID"},
        {19, "virDomainGetOSType"},
        {352, "virDomainPinIOThread"},
        {312, "virConnectGetCPUModelNames"},
        {225, "virDomainPinVcpuFlags"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(known); i++) {
        const struct rpc_procedure *procedure = rpc_procedure_find(known[i].number);
        g_autofree char *function = procedure ? rpc_procedure_function(procedure) : NULL;

        check_str(function, known[i].function);
    }
}

/* A value of nothing but zeros is what a handler starts from: it can be sent and cleared. */
static void test_every_shape_can_be_cleared(void)
{
#define CLEAR(shape)                                                    \
    {                                                                   \
        g_autofree void *value = g_malloc0(rpc_shape_##shape.size);     \
                                                                        \
        rpc_value_clear(&rpc_shape_##shape, value);                     \
        check(rpc_shape_##shape.size > 0 && rpc_shape_##shape.name[0]); \
    }
    RPC_SHAPES(CLEAR)
#undef CLEAR
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_entries_are_whole),
        TAP(test_only_these_need_write_access),
        TAP(test_only_these_come_before_open),
        TAP(test_what_changes_a_domain_may_wait),
        TAP(test_numbers_that_are_not_served),
        TAP(test_function_names_are_libvirts),
        TAP(test_every_shape_can_be_cleared),
        {0},
    });
}
