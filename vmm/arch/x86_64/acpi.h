/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ACPI tables of a hardware-reduced PC (ACPI 6.4): RSDP, XSDT, FADT, MADT, DSDT. They are how a
 * stock kernel finds its processors, the serial port, the power button and every virtio-mmio
 * device.
 */
#ifndef VOLE_ARCH_X86_64_ACPI_H
#define VOLE_ARCH_X86_64_ACPI_H

#include <stdint.h>

#include "vmm/util.h"

struct machine;

/* Writes the tables for this machine at X86_ACPI. 0 with the RSDP's address in *rsdp, or -1 with
 * `err`. */
int acpi_write_tables(const struct machine *m, uint64_t *rsdp, struct error *err);

#endif
