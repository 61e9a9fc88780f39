/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The built-in storage driver: what one client does while a call of another has let go of the lock
 * to look at a disk. The linker puts the functions that look (--wrap) in between: what a test wants
 * to happen meanwhile, they do.
 */
#include <glib/gstdio.h>

#include "libvirt-driver/storage/files.h"
#include "libvirt-driver/storage/storage.h"
#include "libvirt-driver/util.h"
#include "tests/unit/tap.h"

static const uint8_t uuid[DOMAIN_UUID_BYTES] = {0x6f, 0x1c, 0x3a, 0xd2, 0x5b, 0x5e, 0x4a, 0x55,
                                                0x9e, 0x0c, 0x0d, 0x9f, 0x3b, 0x6b, 0x8f, 0x11};
static const struct volume_key key = {(char *)"pool", (char *)"disk"};

static struct storage *storage;
static struct paths paths;
static char *root;
static void (*meanwhile)(void); /* happens once */

static void let_happen(void)
{
    void (*now)(void) = meanwhile;

    meanwhile = NULL;
    if (now)
        now();
}

int __real_image_probe(int dir, const char *name, struct image *image, GError **error);
int __wrap_image_probe(int dir, const char *name, struct image *image, GError **error);

int __wrap_image_probe(int dir, const char *name, struct image *image, GError **error)
{
    int found = __real_image_probe(dir, name, image, error);

    let_happen();
    return found;
}

bool __real_pool_dir_scan(const char *path, struct pool_contents *contents, GError **error);
bool __wrap_pool_dir_scan(const char *path, struct pool_contents *contents, GError **error);

bool __wrap_pool_dir_scan(const char *path, struct pool_contents *contents, GError **error)
{
    let_happen();
    return __real_pool_dir_scan(path, contents, error);
}

static char *pool_xml(void)
{
    return g_strdup_printf("<pool type='dir'><name>pool</name>"
                           "<uuid>6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11</uuid>"
                           "<target><path>%s/pool</path></target></pool>",
                           root);
}

static void set_up(void)
{
    root = g_dir_make_tmp("vole-storage-XXXXXX", NULL);
    paths_init(&paths, false, root);
    check(paths_make(&paths, NULL));
    storage = storage_new(&paths);
}

/* With a volume of 4 KiB. */
static void set_up_pool(void)
{
    g_autofree char *xml = NULL;
    g_autofree char *volume = NULL;
    struct pool_name name = {0};

    set_up();
    xml = pool_xml();
    check(pool_create_transient(storage, xml, true, &name, NULL));
    g_free(name.name);
    volume = volume_create(storage, uuid,
                           "<volume><name>disk</name><capacity>4096</capacity></volume>", NULL);
    check_str(volume, "disk");
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        remove_tree(child);
    }
    g_remove(path);
}

static void tear_down(void)
{
    storage_free(storage);
    paths_clear(&paths);
    remove_tree(root);
    g_clear_pointer(&root, g_free);
}

static guint64 capacity(void)
{
    hold_lock(&storage->lock);
    struct pool *pool;
    const struct volume *volume = volume_by_key(storage, &key, &pool, NULL);

    return volume ? volume->image.info.capacity : 0;
}

static void resize(void)
{
    check(volume_resize(storage, &key, 8192, 0, NULL));
}

/* What was seen before the change does not replace what was seen behind it. */
static void test_a_volume_is_resized_while_somebody_looks(void)
{
    set_up_pool();
    meanwhile = resize;
    check(volume_update(storage, &key, NULL));
    check_int(capacity(), 8192);
    tear_down();
}

static void refresh(void)
{
    resize();
    check(pool_refresh(storage, uuid, NULL));
}

static void test_a_pool_is_refreshed_while_somebody_looks(void)
{
    set_up_pool();
    meanwhile = refresh;
    check(volume_update(storage, &key, NULL));
    check_int(capacity(), 8192);
    tear_down();
}

static void delete (void)
{
    check(volume_delete(storage, &key, NULL));
}

static void test_a_volume_goes_while_somebody_looks(void)
{
    g_autoptr(GError) error = NULL;

    set_up_pool();
    meanwhile = delete;
    check(!volume_update(storage, &key, &error));
    check(g_error_matches(error, LIBVIRT_ERROR, VIR_ERR_NO_STORAGE_VOL));
    tear_down();
}

static void define(void)
{
    g_autofree char *xml = pool_xml();
    struct pool_name name = {0};

    check(pool_define(storage, xml, &name, NULL));
    g_free(name.name);
}

/* Its directory is not there, so it does not start; the definition stays. */
static void test_a_pool_is_defined_while_it_starts_in_vain(void)
{
    g_autofree char *xml = NULL;
    struct pool_name name = {0};
    const struct pool *pool;

    set_up();
    xml = pool_xml();
    meanwhile = define;
    check(!pool_create_transient(storage, xml, false, &name, NULL));
    g_mutex_lock(&storage->lock);
    pool = pool_by_uuid(storage, uuid, NULL);
    if (check(pool != NULL))
        check(pool->persistent && !pool->active);
    g_mutex_unlock(&storage->lock);
    tear_down();
}

int main(void)
{
    return tap_run((struct tap_test[]){
        TAP(test_a_volume_is_resized_while_somebody_looks),
        TAP(test_a_pool_is_refreshed_while_somebody_looks),
        TAP(test_a_volume_goes_while_somebody_looks),
        TAP(test_a_pool_is_defined_while_it_starts_in_vain),
        {},
    });
}
