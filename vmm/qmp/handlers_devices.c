/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands about devices that are no disks. */
#include "vmm/backend/chardev.h"
#include "vmm/qmp/handlers.h"

QMP_HANDLER(query_chardev)
{
    json_t *chardevs = json_array();
    struct chardev *chr;

    for (unsigned i = 0; (chr = machine_chardev(m, i)) != NULL; i++)
        json_array_append_new(chardevs,
                              json_pack("{s:s, s:s, s:b}", "label", chardev_label(chr), "filename",
                                        chardev_filename(chr), "frontend-open", 1));
    return chardevs;
}
