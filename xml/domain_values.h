/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The words that domain XML has for the values in struct domain_def, used for reading and writing.
 * A word that libvirt knows and a microVM cannot honour stands in its table with the reason.
 */
#ifndef VOLE_XML_DOMAIN_VALUES_H
#define VOLE_XML_DOMAIN_VALUES_H

#include "xml/reader.h"

extern const struct xml_value domain_switch_values[]; /* on, off */
extern const struct xml_value domain_yes_no_values[]; /* yes, no: enum domain_switch too */
extern const struct xml_value domain_boot_values[];   /* enum domain_boot_device */
extern const struct xml_value domain_cpu_values[];    /* enum domain_cpu_mode */
extern const struct xml_value domain_cpu_check_values[];
extern const struct xml_value domain_clock_values[]; /* there is but one: utc */
extern const struct xml_value domain_disk_type_values[];
extern const struct xml_value domain_cache_values[]; /* enum domain_disk_cache */
extern const struct xml_value domain_net_type_values[];
extern const struct xml_value domain_chardev_values[]; /* enum domain_chardev_type */

/* Actions (enum domain_action) differ by event: what can be done about one cannot about another. */
extern const struct xml_value domain_poweroff_values[];
extern const struct xml_value domain_reboot_values[];
extern const struct xml_value domain_crash_values[];

#endif
