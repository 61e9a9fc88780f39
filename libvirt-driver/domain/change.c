/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/domain/change.h"

#include "libvirt-driver/domain/process.h"
#include "libvirt-driver/domain/store.h"

bool domain_impact(const struct domain *domain, unsigned flags, bool *live, bool *config,
                   GError **error)
{
    bool runs = domain_runs(domain);

    *live = flags & VIR_DOMAIN_AFFECT_LIVE;
    *config = flags & VIR_DOMAIN_AFFECT_CONFIG;
    if (!*live && !*config) {
        *live = runs;
        *config = !runs;
    }
    if (*live && !domain_check_runs(domain, error))
        return false;
    if (*config && !domain->config) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID,
                          "transient domains do not have any persistent config");
        return false;
    }
    return true;
}

/* Makes a definition the configuration, on disk and here; takes it over. */
static bool set_config(struct domain *domain, domain_def *def, GError **error)
{
    bool saved;

    domain_begin_wait(domain);
    saved = store_save_config(&domain->daemon->paths, def, error);
    domain_end_wait(domain);
    if (!saved) {
        domain_def_free(def);
        return false;
    }
    g_clear_pointer(&domain->config, domain_def_free);
    domain->config = def;
    return true;
}

bool domain_edit(struct domain *domain, const struct edit *edit, const void *what, unsigned flags,
                 GError **error)
{
    g_autoptr(domain_def) config = NULL;
    g_autoptr(domain_def) live = NULL;
    bool want_live;
    bool want_config;

    if (!domain_impact(domain, flags, &want_live, &want_config, error))
        return false;
    if (want_config) {
        config = domain_def_copy(domain->config);
        if (!edit->edit(config, false, what, error) || !domain_def_check(config, error))
            return false;
    }
    if (want_live) {
        /* A rehearsal: afterwards the live definition itself is changed, because events may change
         * other parts of it while the VMM is talked to. */
        live = domain_def_copy(domain->live);
        if (!edit->edit(live, true, what, error) || !domain_def_check(live, error) ||
            (edit->apply && !edit->apply(domain, what, error)) ||
            !edit->edit(domain->live, true, what, error))
            return false;
        if (!domain_save_status(domain, error))
            return false;
    }
    return !config || set_config(domain, g_steal_pointer(&config), error);
}
