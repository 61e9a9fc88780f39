/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's start: what it knew before, it knows again. Configurations are read; VMMs that an
 * earlier daemon left running are joined, by workers, while clients see their domains already;
 * domains that are to start at boot are started, once after each boot.
 */
#ifndef VOLE_DOMAIN_RESTORE_H
#define VOLE_DOMAIN_RESTORE_H

#include "libvirt-driver/daemon.h"

/* Main thread, before it serves anybody. */
void restore_domains(struct daemon *daemon);
/* Reads configurations that were put into the directory since, some time later in a worker. */
void restore_new_configs(struct daemon *daemon);

#endif
