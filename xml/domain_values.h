/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The words that domain XML has for the values in struct domain_def, used for reading and writing.
 * A word that libvirt knows and a microVM cannot honour stands in its table with the reason.
 */
#ifndef VOLE_XML_DOMAIN_VALUES_H
#define VOLE_XML_DOMAIN_VALUES_H

#include "xml/domain.h"
#include "xml/reader.h"

extern const struct xml_value domain_switch_values[]; /* on, off */
extern const struct xml_value domain_memory_source_values[];
extern const struct xml_value domain_memory_access_values[];
extern const struct xml_value domain_memory_allocation_values[];
extern const struct xml_value domain_cpu_policy_values[];
extern const struct xml_value domain_clock_values[]; /* enum domain_clock_offset */
extern const struct xml_value domain_tickpolicy_values[];
extern const struct xml_value domain_disk_io_values[];
extern const struct xml_value domain_discard_values[];
extern const struct xml_value domain_direct_values[];
extern const struct xml_value domain_vlan_native_values[];
extern const struct xml_value domain_net_driver_values[];
extern const struct xml_value domain_link_values[];
extern const struct xml_value domain_channel_state_values[];
extern const struct xml_value domain_yes_no_values[]; /* yes, no: enum domain_switch too */
extern const struct xml_value domain_boot_values[];   /* enum domain_boot_device */
extern const struct xml_value domain_cpu_values[];    /* enum domain_cpu_mode */
extern const struct xml_value domain_cpu_check_values[];
extern const struct xml_value domain_cpu_match_values[];
extern const struct xml_value domain_numa_values[]; /* enum domain_numa_mode */
extern const struct xml_value domain_cpu_fallback_values[];
extern const struct xml_value domain_disk_type_values[];
extern const struct xml_value domain_cache_values[]; /* enum domain_disk_cache */
extern const struct xml_value domain_net_type_values[];
extern const struct xml_value domain_chardev_values[]; /* enum domain_chardev_type */

/* <features>: all that a microVM has, or has not, in any case. */
struct domain_feature_word {
    const char *name;
    bool has_state; /* <vmport state='off'/> and not <acpi/> */
    enum domain_switch only;
    const char *refused; /* why not the other */
};
extern const struct domain_feature_word domain_feature_words[DOMAIN_FEATURE_LAST];

/* Timers: what can be said of each. */
struct domain_timer_word {
    const char *name;
    enum domain_switch only; /* ABSENT: either way */
    bool has_tickpolicy;
    const char *refused; /* why it cannot be present, or absent */
};
extern const struct domain_timer_word domain_timer_words[DOMAIN_TIMER_LAST];

/* Reads those attributes of <driver> that can only say what is so in any case (enum
 * domain_driver_fact) into `*facts`, and refuses other values of them. */
bool domain_read_facts(xmlNode *node, unsigned *facts, GError **error);
/* The value of one of them, or NULL when it was not given. */
const char *domain_fact_value(unsigned facts, enum domain_driver_fact fact);

/* Actions (enum domain_action) differ by event: what can be done about one cannot about another. */
extern const struct xml_value domain_poweroff_values[];
extern const struct xml_value domain_reboot_values[];
extern const struct xml_value domain_crash_values[];

#endif
