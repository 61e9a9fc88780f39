/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host's firmware says of the host (SMBIOS), as the kernel shows it. */
#include <libvirt/libvirt.h>
#include <string.h>

#include "libvirt-driver/api/api.h"

#define DMI "/sys/class/dmi/id"

/* Elements and entries of libvirt's <sysinfo>, in its order, and the kernel's files. */
static const struct entry {
    const char *element;
    const char *name;
    const char *file;
} entries[] = {
    {"bios", "vendor", "bios_vendor"},
    {"bios", "version", "bios_version"},
    {"bios", "date", "bios_date"},
    {"bios", "release", "bios_release"},
    {"system", "manufacturer", "sys_vendor"},
    {"system", "product", "product_name"},
    {"system", "version", "product_version"},
    {"system", "serial", "product_serial"},
    {"system", "uuid", "product_uuid"},
    {"system", "sku", "product_sku"},
    {"system", "family", "product_family"},
    {"baseBoard", "manufacturer", "board_vendor"},
    {"baseBoard", "product", "board_name"},
    {"baseBoard", "version", "board_version"},
    {"baseBoard", "serial", "board_serial"},
    {"baseBoard", "asset", "board_asset_tag"},
    {"chassis", "manufacturer", "chassis_vendor"},
    {"chassis", "version", "chassis_version"},
    {"chassis", "serial", "chassis_serial"},
    {"chassis", "asset", "chassis_asset_tag"},
};

/* Some are for root's eyes only, and firmware leaves many empty. */
static char *read_entry(const struct entry *entry)
{
    g_autofree char *path = g_build_filename(DMI, entry->file, NULL);
    g_autofree char *raw = NULL;
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &raw, NULL, NULL))
        return NULL;
    text = g_utf8_make_valid(g_strstrip(raw), -1);
    return *text ? g_markup_escape_text(text, -1) : NULL;
}

static void format_entries(GString *xml)
{
    const char *open = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(entries); i++) {
        g_autofree char *text = read_entry(&entries[i]);

        if (!text)
            continue;
        if (g_strcmp0(open, entries[i].element) != 0) {
            if (open)
                g_string_append_printf(xml, "  </%s>\n", open);
            open = entries[i].element;
            g_string_append_printf(xml, "  <%s>\n", open);
        }
        g_string_append_printf(xml, "    <entry name='%s'>%s</entry>\n", entries[i].name, text);
    }
    if (open)
        g_string_append_printf(xml, "  </%s>\n", open);
}

bool api_connect_get_sysinfo(struct call *call, const wire_int *in, wire_str *out, GError **error)
{
    GString *xml;

    if (!api_check_flags(call, (unsigned)in->value, 0, error))
        return false;
    if (!g_file_test(DMI, G_FILE_TEST_IS_DIR)) {
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "Host SMBIOS information is not available");
        return false;
    }
    xml = g_string_new("<sysinfo type='smbios'>\n");
    format_entries(xml);
    g_string_append(xml, "</sysinfo>\n");
    out->value = g_string_free(xml, FALSE);
    return true;
}
