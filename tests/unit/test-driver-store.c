/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon keeps on disk, and its settings. */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "libvirt-driver/domain/store.h"
#include "libvirt-driver/settings.h"
#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/image.h"
#include "tests/unit/tap.h"

static const char xml[] =
    "<domain type='kvm'><name>web1</name><uuid>6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11</uuid>"
    "<memory unit='MiB'>64</memory><vcpu>1</vcpu>"
    "<os><type>hvm</type><kernel>/boot/vmlinuz</kernel></os></domain>";

static domain_def *make_def(void)
{
    g_autoptr(GError) error = NULL;
    domain_def *def = domain_def_parse(xml, strlen(xml), DOMAIN_PARSE_DEFINITION, &error);

    check_str(error ? error->message : NULL, NULL);
    return def;
}

static char *root;

static void use_root(struct paths *paths)
{
    g_autoptr(GError) error = NULL;

    root = g_dir_make_tmp("vole-store-XXXXXX", NULL);
    paths_init(paths, false, root);
    check(paths_make(paths, &error));
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        if (g_file_test(child, G_FILE_TEST_IS_DIR) && !g_file_test(child, G_FILE_TEST_IS_SYMLINK))
            remove_tree(child);
        else
            g_unlink(child);
    }
    g_rmdir(path);
}

static void drop_root(struct paths *paths)
{
    remove_tree(root);
    g_clear_pointer(&root, g_free);
    paths_clear(paths);
}

struct loaded {
    guint count;
    bool autostart;
    char name[32];
};

static void on_config(gpointer opaque, domain_def *def, bool autostart)
{
    struct loaded *loaded = opaque;

    loaded->count++;
    loaded->autostart = autostart;
    g_strlcpy(loaded->name, def->name, sizeof(loaded->name));
    domain_def_free(def);
}

static void test_configurations_come_back(void)
{
    g_autoptr(domain_def) def = make_def();
    g_autoptr(GError) error = NULL;
    struct loaded loaded = {0};
    struct paths paths;

    use_root(&paths);
    check(store_save_config(&paths, def, &error));
    check(store_set_autostart(&paths, "web1", true, &error));
    check(store_set_autostart(&paths, "web1", true, &error));
    store_load_configs(&paths, on_config, &loaded);
    check_int(loaded.count, 1);
    check_str(loaded.name, "web1");
    check(loaded.autostart);

    check(store_remove_config(&paths, "web1", &error));
    check(store_remove_config(&paths, "web1", &error));
    loaded = (struct loaded){0};
    store_load_configs(&paths, on_config, &loaded);
    check_int(loaded.count, 0);
    drop_root(&paths);
}

static int warnings;

static GLogWriterOutput count_warnings(GLogLevelFlags level, const GLogField *fields, gsize n,
                                       gpointer data)
{
    warnings += (level & G_LOG_LEVEL_WARNING) != 0;
    return G_LOG_WRITER_HANDLED;
}

static void put_file(const char *dir, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    check(g_file_set_contents(path, text, -1, NULL));
}

/* Broken files are told and passed over; they hide nothing, and stay as they are. */
static void test_broken_files_are_passed_over(void)
{
    g_autoptr(domain_def) def = make_def();
    struct loaded loaded = {0};
    struct paths paths;

    use_root(&paths);
    warnings = 0;
    put_file(paths.config, "half.xml", "<domain type='kvm'><name>ha");
    put_file(paths.config, "other.xml", xml);
    put_file(paths.config, "empty.xml", "");
    put_file(paths.config, "web1.xml.new", "half written");
    check(store_save_config(&paths, def, NULL));
    store_load_configs(&paths, on_config, &loaded);
    check_int(loaded.count, 1);
    check_str(loaded.name, "web1");
    check_int(warnings, 3);
    drop_root(&paths);
}

struct found_status {
    guint count;
    struct status status;
};

static void on_status(gpointer opaque, struct status *status)
{
    struct found_status *found = opaque;

    found->count++;
    status_clear(&found->status);
    found->status = *status;
}

static void test_states_come_back(void)
{
    g_autoptr(domain_def) def = make_def();
    g_autoptr(GError) error = NULL;
    struct found_status found = {0};
    struct status status = {
        .state = 1,
        .reason = 5,
        .pid = 4711,
        .start_time = 123456789012,
        .monitor_path = (char *)"/run/libvirt/vole/3-web1.qmp",
        .reboot_asked = true,
        .live = def,
    };
    struct paths paths;

    use_root(&paths);
    def->id = 3;
    check(store_save_status(&paths, &status, &error));
    store_load_statuses(&paths, on_status, &found);
    if (check_int(found.count, 1)) {
        check_int(found.status.state, 1);
        check_int(found.status.reason, 5);
        check_int(found.status.pid, 4711);
        check_int(found.status.start_time, 123456789012);
        check_str(found.status.monitor_path, "/run/libvirt/vole/3-web1.qmp");
        check(found.status.reboot_asked);
        check_int(found.status.live->id, 3);
        check_str(found.status.live->name, "web1");
    }
    store_remove_status(&paths, "web1");
    found.count = 0;
    store_load_statuses(&paths, on_status, &found);
    check_int(found.count, 0);
    status_clear(&found.status);
    drop_root(&paths);
}

static void test_broken_states_are_passed_over(void)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"version\":1}",
        "{\"version\":2,\"state\":1,\"reason\":1,\"pid\":5,\"start-time\":1,\"monitor\":\"/m\","
        "\"reboot-asked\":false,\"xml\":\"<domain/>\"}",
        "{\"version\":1,\"state\":1,\"reason\":1,\"pid\":-5,\"start-time\":1,\"monitor\":\"/m\","
        "\"reboot-asked\":false,\"xml\":\"<domain/>\"}",
        "{\"version\":1,\"state\":1,\"reason\":1,\"pid\":5,\"start-time\":1,\"monitor\":\"/m\","
        "\"reboot-asked\":false,\"xml\":\"<domain/>\"}",
    };
    struct found_status found = {0};
    struct paths paths;

    use_root(&paths);
    warnings = 0;
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *name = g_strdup_printf("d%u.json", (guint)i);

        put_file(paths.run, name, texts[i]);
    }
    store_load_statuses(&paths, on_status, &found);
    check_int(found.count, 0);
    check_int(warnings, G_N_ELEMENTS(texts));
    drop_root(&paths);
}

static void test_first_start_is_once(void)
{
    struct paths paths;

    use_root(&paths);
    check(paths_is_first_time(&paths, "a"));
    check(!paths_is_first_time(&paths, "a"));
    check(paths_is_first_time(&paths, "b"));
    drop_root(&paths);
}

/* A failed write leaves the old text, and nothing beside it. */
static void test_files_are_replaced_as_a_whole(void)
{
    g_autofree char *path = NULL;
    g_autofree char *temporary = NULL;
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    struct paths paths;

    use_root(&paths);
    path = g_build_filename(paths.config, "a.xml", NULL);
    temporary = g_strconcat(path, ".new", NULL);
    check(write_file_atomically(path, "old", true, NULL));
    check(g_mkdir(temporary, 0700) == 0);
    check(!write_file_atomically(path, "new", true, &error));
    check(error && libvirt_error_code(error) == VIR_ERR_SYSTEM_ERROR);
    check(g_file_get_contents(path, &text, NULL, NULL));
    check_str(text, "old");
    drop_root(&paths);
}

static void test_settings(void)
{
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"", NULL},
        {"# a comment\n\n  max_clients = 10\nunix_sock_group=\"libvirt\"\n", NULL},
        {"unix_sock_rw_perms = '0700'\n", NULL},
        {"max_clients = 10 # enough\nunix_sock_group = 'libvirt' # they\n", NULL},
        {"auth_unix_rw = \"polkit\"\nauth_unix_ro = 'none'\n", NULL},
        {"log_level = 1\nlog_outputs = \"1:stderr\"\n", NULL},
        {"auth_unix_rw = \"sasl\"\n", "f:1: 'auth_unix_rw' must be \"none\" or \"polkit\""},
        {"log_level = 5\n", "f:1: 'log_level' must be a number from 1 to 4"},
        {"emulator = \"/x\"\n", "f:1: unknown setting 'emulator'"},
        {"unix_sock_group = \"a\" b\n", "f:1: 'unix_sock_group' must be a string in quotes"},
        {"max_client = 10\n", "f:1: unknown setting 'max_client'"},
        {"\nmax_clients 10\n", "f:2: expecting 'name = value'"},
        {"max_clients = ten\n", "f:1: 'max_clients' must be a number from 1 to 100000"},
        {"max_clients = 0\n", "f:1: 'max_clients' must be a number from 1 to 100000"},
        {"max_clients = \"10\"\n", "f:1: 'max_clients' must be a number from 1 to 100000"},
        {"unix_sock_group = libvirt\n", "f:1: 'unix_sock_group' must be a string in quotes"},
        {"unix_sock_group = \"a\"b\"\n", "f:1: 'unix_sock_group' must be a string in quotes"},
        {"unix_sock_ro_perms = \"0999\"\n",
         "f:1: 'unix_sock_ro_perms' must be a file mode in quotes"},
        {"unix_sock_ro_perms = \"1777\"\n",
         "f:1: 'unix_sock_ro_perms' must be a file mode in quotes"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        struct settings settings;

        settings_init(&settings);
        check(settings_parse(&settings, SETTINGS_DAEMON, cases[i].text, "f", &error) ==
              !cases[i].error);
        check_str(error ? error->message : NULL, cases[i].error);
        if (i == 1) {
            check_int(settings.max_clients, 10);
            check_str(settings.unix_sock_group, "libvirt");
        }
        if (i == 2)
            check_int(settings.unix_sock_rw_perms, 0700);
        settings_clear(&settings);
    }
}

static int open_disk(const char *path, bool readonly, bool shareable, GError **error)
{
    struct domain_disk disk = {.source = (char *)(uintptr_t)path,
                               .target = (char *)"vda",
                               .readonly = readonly,
                               .shareable = shareable};

    return image_open_disk(&disk, error);
}

/* Who may have an image open beside whom. */
static void test_images_are_locked(void)
{
    static const struct {
        bool readonly[2];
        bool shareable[2];
        bool together;
    } cases[] = {
        {{false, false}, {false, false}, false}, {{false, false}, {true, true}, true},
        {{false, false}, {true, false}, false},  {{false, true}, {false, false}, false},
        {{true, true}, {false, false}, true},    {{true, false}, {true, true}, true},
    };
    g_autofree char *path = NULL;
    struct paths paths;

    use_root(&paths);
    path = g_build_filename(paths.state, "disk.img", NULL);
    put_file(paths.state, "disk.img", "some bytes of a raw image");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (int first = 0; first < 2; first++) {
            int second = 1 - first;
            g_autoptr(GError) error = NULL;
            auto_close int a =
                open_disk(path, cases[i].readonly[first], cases[i].shareable[first], NULL);
            auto_close int b =
                open_disk(path, cases[i].readonly[second], cases[i].shareable[second], &error);

            check(a >= 0);
            check((b >= 0) == cases[i].together);
            check(cases[i].together || libvirt_error_code(error) == VIR_ERR_RESOURCE_BUSY);
        }
    }
    drop_root(&paths);
}

static void test_what_is_no_image_is_refused(void)
{
    static const struct {
        const char *name;
        const char *text;
        virErrorNumber code;
    } cases[] = {
        {"missing", NULL, VIR_ERR_SYSTEM_ERROR},
        {"disk.qcow2", "QFI\xfb", VIR_ERR_CONFIG_UNSUPPORTED},
        {".", NULL, VIR_ERR_SYSTEM_ERROR},
        {"fifo", NULL, VIR_ERR_CONFIG_UNSUPPORTED},
    };
    g_autofree char *fifo = NULL;
    struct paths paths;

    use_root(&paths);
    fifo = g_build_filename(paths.state, "fifo", NULL);
    check(mkfifo(fifo, 0600) == 0);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_build_filename(paths.state, cases[i].name, NULL);
        g_autoptr(GError) error = NULL;

        if (cases[i].text)
            put_file(paths.state, cases[i].name, cases[i].text);
        check_int(open_disk(path, false, false, &error), -1);
        check_int(libvirt_error_code(error), cases[i].code);
        check(error && strstr(error->message, cases[i].name));
    }
    drop_root(&paths);
}

int main(void)
{
    g_log_set_writer_func(count_warnings, NULL, NULL);
    return tap_run((struct tap_test[]){
        TAP(test_configurations_come_back),
        TAP(test_broken_files_are_passed_over),
        TAP(test_states_come_back),
        TAP(test_broken_states_are_passed_over),
        TAP(test_first_start_is_once),
        TAP(test_files_are_replaced_as_a_whole),
        TAP(test_settings),
        TAP(test_images_are_locked),
        TAP(test_what_is_no_image_is_refused),
        {0},
    });
}
