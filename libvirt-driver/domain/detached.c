/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ends of domains that no call waits for: those that a client leaves behind. */
#include "libvirt-driver/domain/list.h"
#include "libvirt-driver/domain/process.h"
#include "libvirt-driver/server.h"

void domain_end_abandoned(struct domain *domain)
{
    g_autoptr(GError) error = NULL;

    if (!domain_end(domain, false, &error))
        g_warning("domain '%s' should have ended with its client: %s", domain->name,
                  error->message);
}

static void end_quietly(gpointer data, struct daemon *daemon)
{
    struct domain *domain = data;

    domain_lock(domain);
    /* It may have ended meanwhile, and somebody may have started it again. */
    if (domain->abandoned)
        domain_end_abandoned(domain);
    domain_unlock(domain);
    domain_unref(domain);
}

/* In a worker, some time later, unless it has ended by then. */
static void end_detached(struct domain *domain)
{
    domain->abandoned = true;
    if (!server_run(domain->daemon->server, end_quietly, domain_ref(domain), false))
        domain_unref(domain);
}

void domain_autodestroy(struct daemon *daemon, struct client *client)
{
    g_autoptr(GPtrArray) all = domain_list_all(daemon->domains);

    for (guint i = 0; i < all->len; i++) {
        struct domain *domain = g_ptr_array_index(all, i);

        domain_lock(domain);
        if (domain->autodestroy == client)
            end_detached(domain);
        domain_unlock(domain);
    }
}
