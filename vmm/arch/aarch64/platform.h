/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fixed part of the machine, for the files of this folder. */
#ifndef VOLE_ARCH_AARCH64_PLATFORM_H
#define VOLE_ARCH_AARCH64_PLATFORM_H

#include "vmm/arch/aarch64/devtree.h"
#include "vmm/machine_priv.h"

struct arch_platform {
    enum gic_version gic; /* of the present VM */
    int gic_fd;           /* KVM's device; -1 while there is none */
    int its_fd;

    struct pl011 *uart; /* NULL when the machine has none */
    struct pl031 *rtc;  /* likewise */
    struct pl061 *gpio;
    struct pvpanic *pvpanic; /* may be NULL */
    void *genid;             /* ARM64_GENID_SIZE bytes of memory; NULL when there is no such id */
};

/* ---- irqchip.c, for platform.c ---- */

/* Once all vCPUs are made. 0, or -1 with `err`. */
int gic_start(struct machine *m, struct error *err);
void gic_close(struct arch_platform *p);

/* ---- genid.c, for platform.c and irqchip.c ---- */

/* The memory for it. 0, or -1 with `err`. */
int genid_new(struct arch_platform *p, struct error *err);
void genid_free(struct arch_platform *p);
/* Puts the generation id, if there is one, into a fresh VM. 0, or -1 with `err`. */
int genid_map(const struct machine *m, struct error *err);

/* ---- cpu.c, for boot.c ---- */

/* Whether vCPUs have a performance monitor. */
bool arm64_has_pmu(const struct machine *m);

#endif
