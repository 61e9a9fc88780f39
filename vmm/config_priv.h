/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the readers of flags (config_args.c) and of documents (config_json.c) have in common. */
#ifndef VOLE_CONFIG_PRIV_H
#define VOLE_CONFIG_PRIV_H

#include "vmm/config.h"

#define CONFIG_DOCUMENT_MAX (1 * MiB)

/* Values as text. 0, or -1 with `err` saying what is wrong with it, but not where it stands. */
int config_parse_mac(const char *text, uint8_t mac[6], struct error *err);
int config_parse_uuid(const char *text, char **uuid, struct error *err);
int config_parse_on_reboot(const char *text, enum on_reboot *out, struct error *err);
const char *config_on_reboot_name(enum on_reboot value);
/* Seventeen characters and the end. */
void config_format_mac(const uint8_t mac[6], char text[18]);

/* Names for what was given none, and addresses for network devices. Repeatable. */
void config_fill_defaults(struct config *config);

#endif
