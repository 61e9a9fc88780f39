/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/terminals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/vmm.h"

void terminals_init(struct terminals *terminals)
{
    for (guint i = 0; i < G_N_ELEMENTS(terminals->masters); i++)
        terminals->masters[i] = -1;
}

void terminals_close(struct terminals *terminals)
{
    for (guint i = 0; i < G_N_ELEMENTS(terminals->masters); i++)
        close_fdp(&terminals->masters[i]);
    terminals_init(terminals);
}

/* Where the master of the terminal at `path` belongs, or NULL. */
static int *find_place(struct terminals *terminals, const domain_def *live, const char *path)
{
    int *masters = terminals->masters;

    for (guint i = 0; i < live->serials->len; i++) {
        if (g_strcmp0(domain_serial_at(live, i)->source.path, path) == 0)
            return &masters[TERMINAL_SERIAL];
    }
    for (guint i = 0; i < live->consoles->len; i++) {
        if (g_strcmp0(domain_console_at(live, i)->source.path, path) == 0)
            return &masters[TERMINAL_CONSOLES + i];
    }
    for (guint i = 0; i < live->channels->len; i++) {
        if (g_strcmp0(domain_channel_at(live, i)->source.path, path) == 0)
            return &masters[TERMINAL_CHANNELS + i];
    }
    return NULL;
}

/* The path of a terminal whose master is a process's descriptor; false for any other descriptor.
 * All masters are the same file: only this tells them apart without opening them. */
static bool terminal_of(const char *fdinfo, char *path, size_t size)
{
    g_autofree char *text = NULL;
    const char *line;
    unsigned index;

    if (!g_file_get_contents(fdinfo, &text, NULL, NULL))
        return false;
    line = strstr(text, "tty-index:");
    if (!line || sscanf(line, "tty-index: %u", &index) != 1)
        return false;
    g_snprintf(path, size, "/dev/pts/%u", index);
    return true;
}

void terminals_recover(struct terminals *terminals, struct vmm *vmm, const domain_def *live)
{
    g_autofree char *folder = g_strdup_printf("/proc/%d/fdinfo", (int)vmm_pid(vmm));
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *fdinfo = g_build_filename(folder, name, NULL);
        char path[64];
        char taken[64];
        int *place =
            terminal_of(fdinfo, path, sizeof(path)) ? find_place(terminals, live, path) : NULL;
        auto_close int fd = place && *place < 0 ? vmm_copy_fd(vmm, atoi(name)) : -1;

        if (fd >= 0 && ptsname_r(fd, taken, sizeof(taken)) == 0 && strcmp(path, taken) == 0)
            *place = steal_fd(&fd);
    }
}
