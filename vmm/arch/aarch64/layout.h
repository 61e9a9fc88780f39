/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine that an arm64 guest sees: where RAM lies, and the addresses and lines of what is
 * fixed. It learns all of it from the device tree.
 *
 *   0x0800_0000   GICv3 or v2: distributor; CPU interface (v2) or ITS (v3)
 *   0x0900_0000   PL011, PL031, PL061, pvpanic, generation id: a page each
 *   0x0a00_0000   virtio-mmio, a page each
 *   0x1000_0000   GICv3 redistributors, 128 KiB for each vCPU
 *   0x4000_0000   RAM: the kernel first, device tree and initrd at the end of what it maps early
 */
#ifndef VOLE_ARCH_AARCH64_LAYOUT_H
#define VOLE_ARCH_AARCH64_LAYOUT_H

#include "vmm/util.h"

#define ARM64_GICD       UINT64_C(0x08000000)
#define ARM64_GICD_SIZE  (64 * KiB)
#define ARM64_GICC       UINT64_C(0x08010000)
#define ARM64_GICC_SIZE  (8 * KiB)
#define ARM64_ITS        UINT64_C(0x08080000)
#define ARM64_ITS_SIZE   (128 * KiB)
#define ARM64_UART       UINT64_C(0x09000000)
#define ARM64_RTC        UINT64_C(0x09010000)
#define ARM64_GPIO       UINT64_C(0x09030000)
#define ARM64_PVPANIC    UINT64_C(0x09040000)
#define ARM64_GENID      UINT64_C(0x09050000)
#define ARM64_GENID_SIZE (64 * KiB) /* a page of memory, also where pages are largest */
#define ARM64_VIRTIO     UINT64_C(0x0a000000)
#define ARM64_VIRTIO_END UINT64_C(0x0b000000)
#define ARM64_GICR       UINT64_C(0x10000000)
#define ARM64_GICR_SIZE  (128 * KiB) /* of each vCPU */
#define ARM64_RAM        UINT64_C(0x40000000)
/* The kernel may map no more around itself before it has read the device tree. */
#define ARM64_EARLY_WINDOW (1 * GiB)

#define ARM64_MAX_CPUS       512
#define ARM64_MAX_CPUS_GICV2 8

_Static_assert(ARM64_GICR + ARM64_MAX_CPUS * ARM64_GICR_SIZE <= ARM64_RAM, "room for each");
_Static_assert(ARM64_GENID + ARM64_GENID_SIZE <= ARM64_VIRTIO, "they do not touch");

/* Shared interrupts (SPIs) as the device tree counts them, from 0; the GIC, from 32. KVM's number
 * for an irqfd is the former. */
enum arm64_spi {
    ARM64_SPI_UART = 1,
    ARM64_SPI_RTC = 2,
    ARM64_SPI_GPIO = 3,
    ARM64_SPI_GENID = 4,   /* announced, for the binding has it; nothing raises it */
    ARM64_SPI_VIRTIO = 16, /* one for each device from here on */
};
#define ARM64_FIRST_SPI 32

/* Each vCPU's own (PPIs), as the device tree counts them; the GIC, from 16. */
enum arm64_ppi {
    ARM64_PPI_PMU = 7,
    ARM64_PPI_TIMER_HYP = 10,
    ARM64_PPI_TIMER_VIRT = 11,
    ARM64_PPI_TIMER_SECURE = 13,
    ARM64_PPI_TIMER_PHYS = 14,
};
#define ARM64_FIRST_PPI 16

/* The affinity that KVM gives the vCPU of that id, as in MPIDR_EL1. */
static inline uint64_t arm64_mpidr(unsigned id)
{
    return (id & 0xf) | (uint64_t)(id >> 4 & 0xff) << 8 | (uint64_t)(id >> 12) << 16;
}

#endif
