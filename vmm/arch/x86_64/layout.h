/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The PC that a guest sees: where RAM lies, where the boot data goes, and the addresses and lines
 * of the fixed devices.
 *
 *   0x0000_0500   GDT for the first instructions
 *   0x0000_1000   flat binaries
 *   0x0000_6000   PVH start info, memory map, module list
 *   0x0000_7000   Linux boot_params ("zero page")
 *   0x0000_9000   page tables that map the first 4 GiB one to one
 *   0x0002_0000   command line
 *   0x000e_0000   ACPI tables
 *   0x000f_f000   the generation id
 *   0x000f_fff0   the reset vector of the firmware that there is not
 *   0x0010_0000   the kernel, or higher, as it asks
 *   0xc000_0000   end of low RAM; devices up to 4 GiB; more RAM from there
 */
#ifndef VOLE_ARCH_X86_64_LAYOUT_H
#define VOLE_ARCH_X86_64_LAYOUT_H

#include "vmm/util.h"

#define X86_GDT          UINT64_C(0x500)
#define X86_FLAT         UINT64_C(0x1000)
#define X86_FLAT_MAX     UINT64_C(0x8000)
#define X86_PVH_INFO     UINT64_C(0x6000)
#define X86_BOOT_PARAMS  UINT64_C(0x7000)
#define X86_PAGE_TABLES  UINT64_C(0x9000)
#define X86_CMDLINE      UINT64_C(0x20000)
#define X86_CMDLINE_MAX  UINT64_C(0x10000)
#define X86_LOW_RAM_END  UINT64_C(0x9fc00)
#define X86_ACPI         UINT64_C(0xe0000)
#define X86_ACPI_END     UINT64_C(0xff000)
#define X86_GENID        UINT64_C(0xff000)
#define X86_RESET_VECTOR UINT64_C(0xffff0)
#define X86_HIGH_RAM     UINT64_C(0x100000)
#define X86_HOLE         UINT64_C(0xc0000000)
#define X86_HOLE_END     UINT64_C(0x100000000)

#define X86_VIRTIO_BASE UINT64_C(0xd0000000)
#define X86_VIRTIO_END  UINT64_C(0xe0000000)
#define X86_IOAPIC      0xfec00000u
#define X86_LAPIC       0xfee00000u
/* Three pages that KVM needs on older Intel processors, out of the guest's way. */
#define X86_KVM_TSS      UINT64_C(0xfffbd000)
#define X86_IDENTITY_MAP UINT64_C(0xfffbc000)

#define X86_PORT_KBC         0x60
#define X86_PORT_RTC         0x70
#define X86_PORT_SERIAL      0x3f8
#define X86_PORT_PCI_ADDRESS 0xcf8
#define X86_PORT_PVPANIC     0x505
#define X86_PORT_POWER       0x600

#define X86_GSI_SERIAL 4
#define X86_GSI_RTC    8
#define X86_GSI_POWER  9
#define X86_GSIS       24 /* pins of the one I/O APIC */

/* The highest id that an xAPIC can be told an interrupt is for; the next one means "all". */
#define X86_MAX_APIC_ID 254

/* arch_entry.mode */
enum x86_mode {
    X86_MODE_LONG, /* 64-bit, paging on; RSI has the argument */
    X86_MODE_PVH,  /* 32-bit protected, paging off; EBX has the argument */
    X86_MODE_REAL, /* 16-bit at 0000:address */
};

#endif
