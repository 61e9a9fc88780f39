/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/domain/list.h"
#include "libvirt-driver/util.h"

#include <string.h>

struct domain_list {
    GMutex lock;
    GHashTable *by_uuid; /* owns a reference; the keys lie in the domains */
    GHashTable *by_name;
    int last_id;
};

static guint uuid_hash(gconstpointer uuid)
{
    guint32 word;

    /* Any part of a UUID is as random as the other. */
    memcpy(&word, (const char *)uuid + DOMAIN_UUID_BYTES - sizeof(word), sizeof(word));
    return word;
}

static gboolean uuid_equal(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, DOMAIN_UUID_BYTES) == 0;
}

struct domain_list *domain_list_new(void)
{
    struct domain_list *list = g_new0(struct domain_list, 1);

    g_mutex_init(&list->lock);
    list->by_uuid =
        g_hash_table_new_full(uuid_hash, uuid_equal, NULL, (GDestroyNotify)domain_unref);
    list->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    return list;
}

void domain_list_free(struct domain_list *list)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, list->by_uuid);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        domain_leave(value);
    g_hash_table_unref(list->by_name);
    g_hash_table_unref(list->by_uuid);
    g_mutex_clear(&list->lock);
    g_free(list);
}

static struct domain *find(struct domain_list *list, GHashTable *table, gconstpointer key)
{
    hold_lock(&list->lock);
    struct domain *domain = g_hash_table_lookup(table, key);

    return domain ? domain_ref(domain) : NULL;
}

struct domain *domain_list_by_uuid(struct domain_list *list, const uint8_t uuid[DOMAIN_UUID_BYTES])
{
    return find(list, list->by_uuid, uuid);
}

struct domain *domain_list_by_name(struct domain_list *list, const char *name)
{
    return find(list, list->by_name, name);
}

struct domain *domain_list_by_id(struct domain_list *list, int id)
{
    hold_lock(&list->lock);
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, list->by_uuid);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct domain *domain = value;

        if (id >= 0 && g_atomic_int_get(&domain->id) == id)
            return domain_ref(domain);
    }
    return NULL;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    const struct domain *const *first = a;
    const struct domain *const *second = b;

    return strcmp((*first)->name, (*second)->name);
}

GPtrArray *domain_list_all(struct domain_list *list)
{
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)domain_unref);
    GHashTableIter iter;
    gpointer value;

    g_mutex_lock(&list->lock);
    g_hash_table_iter_init(&iter, list->by_uuid);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        g_ptr_array_add(all, domain_ref(value));
    g_mutex_unlock(&list->lock);
    g_ptr_array_sort(all, by_name);
    return all;
}

/* Finds or adds; the list is locked. */
static struct domain *find_or_add(struct domain_list *list, struct daemon *daemon,
                                  const domain_def *def, GError **error)
{
    struct domain *domain = g_hash_table_lookup(list->by_uuid, def->uuid);
    char uuid[DOMAIN_UUID_TEXT];

    if (domain && strcmp(domain->name, def->name) != 0) {
        domain_uuid_format(domain->uuid, uuid);
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED,
                          "domain '%s' is already defined with uuid %s", domain->name, uuid);
        return NULL;
    }
    if (domain)
        return domain_ref(domain);
    domain = g_hash_table_lookup(list->by_name, def->name);
    if (domain) {
        domain_uuid_format(domain->uuid, uuid);
        libvirt_error_set(error, VIR_ERR_OPERATION_FAILED,
                          "domain '%s' already exists with uuid %s", def->name, uuid);
        return NULL;
    }
    domain = domain_new(daemon, def->name, def->uuid);
    g_hash_table_insert(list->by_uuid, domain->uuid, domain);
    g_hash_table_insert(list->by_name, domain->name, domain);
    return domain_ref(domain);
}

locked_domain *domain_list_add(struct daemon *daemon, const domain_def *def, GError **error)
{
    struct domain_list *list = daemon->domains;

    for (;;) {
        struct domain *domain;

        g_mutex_lock(&list->lock);
        domain = find_or_add(list, daemon, def, error);
        g_mutex_unlock(&list->lock);
        if (!domain)
            return NULL;
        domain_lock(domain);
        if (!domain->removed)
            return domain;
        /* It went away between the two locks. */
        domain_release(domain);
    }
}

void domain_list_remove_void(struct domain_list *list, struct domain *domain)
{
    hold_lock(&list->lock);

    if (!domain_is_void(domain) || domain->removed)
        return;
    domain->removed = true;
    g_hash_table_remove(list->by_name, domain->name);
    g_hash_table_remove(list->by_uuid, domain->uuid);
}

struct domain *domain_list_reserve_name(struct daemon *daemon, const struct domain *domain,
                                        const char *name, GError **error)
{
    struct domain_list *list = daemon->domains;
    hold_lock(&list->lock);
    struct domain *reserved;

    if (g_hash_table_contains(list->by_name, name)) {
        libvirt_error_set(error, VIR_ERR_OPERATION_INVALID, "domain with name '%s' already exists",
                          name);
        return NULL;
    }
    reserved = domain_new(daemon, name, domain->uuid);
    g_hash_table_insert(list->by_name, reserved->name, reserved);
    return reserved;
}

void domain_list_replace(struct domain_list *list, struct domain *old, struct domain *renamed)
{
    hold_lock(&list->lock);

    old->removed = true;
    g_hash_table_remove(list->by_name, old->name);
    g_hash_table_replace(list->by_uuid, renamed->uuid, domain_ref(renamed));
}

void domain_list_drop_name(struct domain_list *list, struct domain *reserved)
{
    hold_lock(&list->lock);

    g_hash_table_remove(list->by_name, reserved->name);
}

int domain_list_next_id(struct domain_list *list)
{
    hold_lock(&list->lock);

    return ++list->last_id;
}

void domain_list_reserve_id(struct domain_list *list, int id)
{
    hold_lock(&list->lock);

    list->last_id = MAX(list->last_id, id);
}

guint domain_list_count_active(struct domain_list *list)
{
    hold_lock(&list->lock);
    GHashTableIter iter;
    gpointer value;
    guint count = 0;

    g_hash_table_iter_init(&iter, list->by_uuid);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        count += g_atomic_int_get(&((struct domain *)value)->id) >= 0;
    return count;
}
