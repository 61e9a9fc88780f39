/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The architecture contract: all that a port has to provide. Each folder under arch/ implements
 * these functions in files of the same names (boot.c, cpu.c, host.c, irqchip.c, platform.c); which
 * folder is built is decided by configure. Nothing outside arch/ asks which architecture it is on.
 *
 * All functions are for the main loop's thread, but for the exits at the end. In the order of a
 * machine's life: arch_cpu_check(), arch_platform_new(), arch_virtio_slot(); then at the start, and
 * again after each reset, arch_vm_type(), arch_vm_setup(), arch_platform_wire(), arch_boot_load()
 * and for each vCPU arch_vcpu_setup().
 */
#ifndef VOLE_ARCH_ARCH_H
#define VOLE_ARCH_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/memory.h"
#include "vmm/util.h"
#include "vmm/vcpu.h"

struct host;
struct host_finding;
struct machine;

/* ---- host.c: what there is to know before there is a machine ---- */

struct arch_traits {
    const char *name;     /* as the kernel has it: uname -m */
    unsigned max_cpus;    /* of a machine; at most CONFIG_MAX_CPUS */
    bool has_flat;        /* flat binaries can be started */
    bool has_ports;       /* there is port I/O, so a debug port can be */
    const char *kvm_hint; /* what to do where there is no /dev/kvm */
};
extern const struct arch_traits arch_traits;

/* `vole check-host`: whether the processor can carry guests, and theirs again. Each fills a finding
 * but for its name. */
void arch_check_processor(struct host *h, struct host_finding *f);
void arch_check_nested(struct host *h, struct host_finding *f);

/* ---- what the functions below speak of ---- */

/* Where and in which mode the first vCPU starts; filled by arch_boot_load(). The modes are the
 * architecture's own. */
struct arch_entry {
    int mode;
    uint64_t address;
    uint64_t argument; /* of the boot data that a register points at */
};

/* What a virtio-mmio device needs of the platform. */
struct arch_virtio_slot {
    uint64_t base; /* guest physical, VIRTIO_MMIO_SIZE bytes */
    uint32_t gsi;  /* perhaps of other devices, too */
};

/* ---- platform.c: the addresses, lines and fixed devices ---- */

/* Splits `size` bytes of RAM into regions (at most MEMORY_MAX_REGIONS); returns their count. */
unsigned arch_memory_layout(uint64_t size, struct memory_region *regions);
/* The place of the n-th virtio device of a machine, n < MACHINE_MAX_VIRTIO. */
struct arch_virtio_slot arch_virtio_slot(unsigned n);
/* Makes m->platform: the fixed devices (serial port, clock, power, reset), with lines out of
 * m->irqs, on the machine's buses. 0, or -1 with `err`; arch_platform_free() follows in both cases.
 */
int arch_platform_new(struct machine *m, struct error *err);
/* Harmless where there is none. */
void arch_platform_free(struct machine *m);
/* The fixed devices as after power-on. While there is no VM. */
void arch_platform_reset(struct machine *m);
/* Gives m->irqs to a fresh VM, whose vCPUs have been made. 0, or -1 with `err`. */
int arch_platform_wire(struct machine *m, struct error *err);
/* Presses the power button. In the main loop's thread. */
void arch_power_button(struct machine *m);

/* ---- irqchip.c: interrupt controllers and what else a VM needs before it has vCPUs ---- */

/* What KVM_CREATE_VM wants to hear for a guest whose RAM ends at the guest physical address `end`.
 * 0, or -1 with `err` where no VM of this host reaches so far. Asked without a machine, too. */
int arch_vm_type(const struct kvm *kvm, uint64_t end, unsigned long *type, struct error *err);
/* Makes what comes before vCPUs in a fresh VM. 0, or -1 with `err`, also where the processors do
 * not address the guest's RAM. */
int arch_vm_setup(struct machine *m, struct error *err);

/* ---- boot.c: the kernel, its parameters and tables, into fresh RAM ---- */

/* Before each start, the devices and vCPUs having been made. 0, or -1 with `err`. */
int arch_boot_load(struct machine *m, struct arch_entry *entry, struct error *err);

/* ---- cpu.c ---- */

/* Whether processors as m->config->cpu wants them can be given on this host. All that is there yet
 * is m->config and m->kvm.fd. 0, or -1 with `err` naming the feature. */
int arch_cpu_check(const struct machine *m, struct error *err);

/* The number by which KVM, and the guest's interrupt controllers, know the index-th vCPU. */
unsigned arch_vcpu_id(const struct machine *m, unsigned index);

/* Registers and features of a fresh vCPU, after all else. `entry` concerns the first one. 0, or -1
 * with `err`. */
int arch_vcpu_setup(struct vcpu *vcpu, const struct arch_entry *entry, struct error *err);
/* An exit that vcpu.c does not know. In the vCPU's thread. */
enum vcpu_next arch_vcpu_exit(struct vcpu *vcpu);
/* The vCPU has left the guest because the machine is to stand still. In the vCPU's thread. */
void arch_vcpu_stopped(struct vcpu *vcpu);
/* One line about where the vCPU stands, for the log. */
void arch_vcpu_describe(const struct vcpu *vcpu, char *buf, size_t size);

#endif
