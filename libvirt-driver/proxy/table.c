/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/proxy/table.h"

#include <assert.h>

/* The newest procedure that is known here, whosever it is (DOMAIN_EVENT_NIC_MAC_CHANGE). */
#define LAST_KNOWN 453

static const struct proxy_procedure procedures[] = {
#define PROXIED(number, NAME, its_driver, its_kind) \
    [(number)] = {#NAME, PROXY_##its_driver, PROXY_##its_kind},
#include "libvirt-driver/proxy/procedures.def"
#undef PROXIED
};

static const char *const names[] = {
    [PROXY_NETWORK] = "network",     [PROXY_STORAGE] = "storage", [PROXY_NODEDEV] = "nodedev",
    [PROXY_INTERFACE] = "interface", [PROXY_SECRET] = "secret",   [PROXY_NWFILTER] = "nwfilter",
};
static_assert(G_N_ELEMENTS(names) == PROXY_DRIVERS, "each driver has a name");

const struct proxy_procedure *proxy_procedures(gsize *count)
{
    *count = G_N_ELEMENTS(procedures);
    return procedures;
}

const struct proxy_procedure *proxy_procedure_find(int number)
{
    if (number < 0 || (gsize)number >= G_N_ELEMENTS(procedures) || !procedures[number].name)
        return NULL;
    return &procedures[number];
}

bool proxy_event_allowed(enum proxy_driver driver, int number)
{
    const struct proxy_procedure *procedure = proxy_procedure_find(number);

    if (procedure)
        return procedure->driver == driver && procedure->kind == PROXY_EVENT;
    return number > LAST_KNOWN;
}

const char *proxy_driver_name(enum proxy_driver driver)
{
    return names[driver];
}
