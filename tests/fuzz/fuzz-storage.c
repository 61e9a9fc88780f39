/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the built-in storage driver reads. The first byte says which: 'p' a pool's XML, 'v' a
 * volume's, as clients send them; 'i' an image's first bytes, as anybody puts them into a pool's
 * directory. Of XML that is accepted what is written is read back as the same, and what is refused
 * has an error of one line.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "libvirt-driver/storage/image.h"
#include "tests/fuzz/refusal.h"
#include "xml/storage.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGE_NAME "image"

static char *folder;
static int folder_fd;

static void remove_folder(void)
{
    unlinkat(folder_fd, IMAGE_NAME, 0);
    rmdir(folder);
    close(folder_fd);
    g_free(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    folder = g_dir_make_tmp("vole-fuzz-XXXXXX", NULL);
    folder_fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder_fd < 0)
        abort();
    atexit(remove_folder);
    return 0;
}

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void try_pool(const char *xml)
{
    static const struct storage_space space = {3, 2, 1};
    g_autoptr(GError) error = NULL;
    g_autoptr(storage_pool_def) def = storage_pool_def_parse(xml, &error);
    g_autoptr(storage_pool_def) same = NULL;
    g_autofree char *text = NULL;
    g_autofree char *again = NULL;

    if (!def) {
        check_refusal(error);
        return;
    }
    /* It becomes the name of a file, and a directory that is opened. */
    require(storage_volume_name_valid(def->name) && g_path_is_absolute(def->path));
    text = storage_pool_def_format(def, &space);
    same = storage_pool_def_parse(text, NULL);
    require(same);
    again = storage_pool_def_format(same, &space);
    require(strcmp(again, text) == 0);
}

static void try_volume(const char *xml)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(storage_volume_def) def = storage_volume_def_parse(xml, &error);
    g_autoptr(storage_volume_def) same = NULL;
    g_autofree char *text = NULL;

    if (!def) {
        check_refusal(error);
        return;
    }
    require(storage_volume_name_valid(def->name));
    text = storage_volume_format(&(struct storage_volume_info){.name = def->name,
                                                               .path = "/pool/volume",
                                                               .format = "raw",
                                                               .backing = def->format,
                                                               .capacity = def->capacity,
                                                               .allocation = def->allocation,
                                                               .permissions = def->permissions});
    same = storage_volume_def_parse(text, NULL);
    require(same && strcmp(same->name, def->name) == 0 && same->capacity == def->capacity &&
            same->allocation == def->allocation &&
            memcmp(&same->permissions, &def->permissions, sizeof(def->permissions)) == 0);
}

static void try_image(const uint8_t *data, size_t size)
{
    int fd = openat(folder_fd, IMAGE_NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct image image;
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
    require(image_probe(folder_fd, IMAGE_NAME, &image, &error) == 1);
    image.info.name = IMAGE_NAME;
    image.info.path = "/pool/" IMAGE_NAME;
    text = storage_volume_format(&image.info);
    g_autoptr(storage_volume_def) def = storage_volume_def_parse(text, &error);
    require(def && def->capacity == image.info.capacity);
    require(image.info.physical == size && image.info.capacity <= G_MAXINT64);
    image_clear(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = size ? g_strndup((const char *)data + 1, size - 1) : NULL;

    if (!text)
        return 0;
    if (data[0] == 'p')
        try_pool(text);
    else if (data[0] == 'v')
        try_volume(text);
    else if (data[0] == 'i')
        try_image(data + 1, size - 1);
    return 0;
}
